//! Whether a plan is made as plans are made.

use std::collections::HashSet;

use super::check::Review;
use super::complaint::Rule;
use crate::repair::plan::{FileState, KeySource, PLAN_SCHEMA, Piece, Target};

/// Whether a path is absolute and the same whatever it leads through.
pub(super) fn is_straight(path: &str) -> bool {
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    path.starts_with('/') && !path.chars().any(char::is_control) && !path[1..].split('/').any(odd)
}

impl Review<'_> {
    pub(super) fn shape(&mut self) {
        let plan = self.plan;
        if plan.schema != PLAN_SCHEMA {
            self.complain(Rule::Shape, "", None, "another schema");
        }
        let mut ids = HashSet::new();
        let mut made: HashSet<(&str, &Target)> = HashSet::new();
        for key in &plan.keys {
            if !ids.insert(&key.id) || !made.insert((&key.node, &key.target)) {
                self.complain(Rule::Shape, &key.node, Some(&key.target), "made twice");
            }
            self.told(&key.node, Some(&key.target), key.answers.is_empty());
        }
        for copy in &plan.copies {
            if !made.insert((&copy.node, &copy.target)) {
                self.complain(Rule::Shape, &copy.node, Some(&copy.target), "made twice");
            }
            if let KeySource::New(id) = &copy.of
                && !ids.contains(id)
            {
                self.complain(Rule::Shape, &copy.node, Some(&copy.target), "of no key");
            }
            self.told(&copy.node, Some(&copy.target), copy.answers.is_empty());
        }
        for command in &plan.commands {
            self.told(&command.node, None, command.answers.is_empty());
        }
        let mut last = None;
        for node in &plan.nodes {
            let Some(id) = self.fleet.find(&node.node) else {
                self.complain(Rule::Shape, &node.node, None, "no node of the inventory");
                continue;
            };
            if last.is_some_and(|last| last >= id) {
                self.complain(Rule::Shape, &node.node, None, "not in inventory order");
            }
            last = Some(id);
            let mut seen: HashSet<&Target> = HashSet::new();
            for edit in &node.edits {
                let target = Some(&edit.target);
                if !seen.insert(&edit.target) || made.contains(&(&*node.node, &edit.target)) {
                    self.complain(Rule::Shape, &node.node, target, "edited twice");
                }
                let inside = format!("{}/", edit.target.path);
                let is_above = |it: &&Target| {
                    it.context == edit.target.context && it.path.starts_with(&inside)
                };
                if seen.iter().any(is_above) {
                    self.complain(Rule::Shape, &node.node, target, "comes after what is in it");
                }
                if edit.before == edit.after && edit.label.is_none() {
                    self.complain(Rule::Shape, &node.node, target, "changes nothing");
                }
                if edit.after == FileState::Absent || !is_straight(&edit.target.path) {
                    self.complain(Rule::Shape, &node.node, target, "no place for an edit");
                }
                self.told(&node.node, target, edit.answers.is_empty());
                let pieces = [&edit.before, &edit.after]
                    .into_iter()
                    .filter_map(|it| it.text())
                    .flat_map(|text| &text.0);
                for piece in pieces {
                    if let Piece::PublicKey(id) = piece
                        && !ids.contains(id)
                    {
                        self.complain(Rule::Shape, &node.node, target, "a key that nobody makes");
                    }
                }
            }
        }
    }

    pub(super) fn told(&mut self, node: &str, target: Option<&Target>, is_silent: bool) {
        if is_silent {
            self.complain(Rule::Unanswered, node, target, "no reason");
        }
    }
}
