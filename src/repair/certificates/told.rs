//! What is left to a person, told once for all the nodes that it is the same for.

use std::collections::BTreeMap;

use crate::domain::{Reason, fold};
use crate::repair::plan::{Answers, Left};

/// Why something is left, and what a person can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: Reason,
    pub(super) why: String,
    pub(super) remedy: String,
}

impl Problem {
    /// One about which no more can be said than about its reason.
    pub(super) fn new(reason: Reason, why: impl Into<String>) -> Self {
        Self {
            reason,
            why: why.into(),
            remedy: format!("clearway reasons {}", reason.code()),
        }
    }
}

/// The words around the nodes, and the remedy.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Same {
    code: &'static str,
    before: String,
    after: String,
    remedy: String,
}

/// Collects it.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<Same, (Vec<String>, Vec<Answers>)>);

impl Told {
    /// `before NODE after` is why.
    pub(super) fn add(
        &mut self,
        node: &str,
        reason: Reason,
        (before, after): (&str, &str),
        remedy: &str,
        legs: impl IntoIterator<Item = Answers>,
    ) {
        let same = Same {
            code: reason.code(),
            before: before.to_owned(),
            after: after.to_owned(),
            remedy: remedy.to_owned(),
        };
        let (nodes, answers) = self.0.entry(same).or_default();
        if !nodes.iter().any(|it| it == node) {
            nodes.push(node.to_owned());
        }
        answers.extend(legs);
    }

    /// `NODE: why`.
    pub(super) fn problem(&mut self, node: &str, problem: &Problem) {
        let after = format!(": {}", problem.why);
        self.add(node, problem.reason, ("", &after), &problem.remedy, []);
    }

    pub(super) fn left(self) -> impl Iterator<Item = Left> {
        self.0.into_iter().map(|(same, (nodes, legs))| Left {
            reason: same.code.to_owned(),
            legs,
            why: format!("{}{}{}", same.before, fold(&nodes), same.after),
            remedy: same.remedy,
        })
    }
}
