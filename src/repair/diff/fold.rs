//! Changes of all nodes, the same ones told once.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::model::{Change, Folded, Hunk, HunkLine, Tag};
use super::unified::hunks;
use crate::domain::fold;
use crate::openssh::key::PublicKey;
use crate::repair::plan::{Answers, Edit, FileState, KeyId, KeySource, Piece, Plan, Target, Text};

/// What a plan changes, in the order of nodes and of what is done on each; the same change of several nodes once.
///
/// A key that does not exist yet shows as `(key that NODE will make)`. Where files of many nodes differ only in that each is
/// without the line of its own node, they are told once too ([`Folded::without_own`]).
#[must_use]
pub fn diff(plan: &Plan) -> Vec<Folded> {
    let mut folder = Folder::default();
    for key in &plan.keys {
        let change = Change::NewKey {
            key_type: key.key_type.clone(),
            attributes: key.owner,
        };
        folder.add(&key.node, &key.target, change, &key.answers);
    }
    for copy in &plan.copies {
        let (from, source) = match &copy.of {
            KeySource::New(id) => match plan.keys.iter().find(|it| it.id == *id) {
                Some(key) => (&key.node, &key.target),
                // A review refuses such a plan.
                None => continue,
            },
            KeySource::Existing { node, target, .. } => (node, target),
        };
        let change = Change::CopiedKey {
            from: from.clone(),
            source: source.clone(),
            attributes: copy.owner,
        };
        folder.add(&copy.node, &copy.target, change, &copy.answers);
    }
    for key in plan.turnover.renewed.iter().filter(|it| it.takes_place) {
        let fingerprint = |public: &str| {
            let key = PublicKey::read(public.as_bytes());
            key.map_or_else(|_| String::new(), |(key, _)| key.fingerprint().to_string())
        };
        let change = Change::RenewedKey {
            was: fingerprint(&key.was),
            becomes: key.public.as_deref().map(fingerprint).unwrap_or_default(),
        };
        folder.add(&key.node, &key.target, change, &key.answers);
    }
    for command in &plan.commands {
        let target = Target {
            context: command.context.clone(),
            path: String::new(),
        };
        let change = Change::Command {
            words: command.words.clone(),
            undo: command.undo.clone(),
        };
        folder.add(&command.node, &target, change, &command.answers);
    }
    for node in &plan.nodes {
        for edit in &node.edits {
            if let Some(change) = change(plan, edit) {
                folder.add(&node.node, &edit.target, change, &edit.answers);
            }
            if let Some(label) = &edit.label {
                let change = Change::Label {
                    before: label.before.clone(),
                    after: label.after.clone(),
                };
                folder.add(&node.node, &edit.target, change, &edit.answers);
            }
        }
    }
    for sshd in &plan.sshd {
        for edit in &sshd.edits {
            if let Some(change) = change(plan, edit) {
                folder.add(&sshd.node, &edit.target, change, &edit.answers);
            }
        }
    }
    folder.finish()
}

/// The fingerprint of the key in a line of known_hosts or authorized_keys, which a person can compare.
#[must_use]
pub fn key_fingerprint(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        if let Ok((key, _)) = PublicKey::read(rest.as_bytes()) {
            return Some(key.fingerprint().to_string());
        }
        rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
    }
    None
}

fn maker<'p>(plan: &'p Plan, id: &KeyId) -> &'p str {
    let key = plan.keys.iter().find(|key| key.id == *id);
    key.map_or("another node", |key| &key.node)
}

fn bytes(plan: &Plan, text: &Text) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in &text.0 {
        match piece {
            Piece::Bytes(bytes) => all.extend_from_slice(&bytes.0),
            Piece::PublicKey(id) => {
                let words = format!("(key that {} will make)", maker(plan, id));
                all.extend_from_slice(words.as_bytes());
            }
        }
    }
    all
}

fn change(plan: &Plan, edit: &Edit) -> Option<Change> {
    if edit.before == edit.after {
        return None;
    }
    let before = edit.before.attributes();
    let Some(after) = edit.after.attributes() else {
        let old = edit.before.text().map(|text| bytes(plan, text));
        return before.map(|before| Change::Removed {
            before,
            hunks: hunks(&old.unwrap_or_default(), b""),
        });
    };
    match (&edit.before, &edit.after) {
        (FileState::Absent, FileState::Directory { attributes }) => Some(Change::NewDirectory {
            attributes: *attributes,
        }),
        (old, FileState::File { text, .. }) => {
            let old = old.text().map(|text| bytes(plan, text));
            let old = old.unwrap_or_default();
            let hunks = hunks(&old, &bytes(plan, text));
            match before {
                Some(before) if hunks.is_empty() => Some(Change::Attributes { before, after }),
                before => Some(Change::Text {
                    before,
                    after,
                    hunks,
                }),
            }
        }
        _ => before.map(|before| Change::Attributes { before, after }),
    }
}

#[derive(Debug, Default)]
struct Folder {
    groups: Vec<Group>,
    by_change: HashMap<String, usize>,
}

#[derive(Debug)]
struct Group {
    target: Target,
    change: Change,
    nodes: Vec<String>,
    answers: Vec<Answers>,
}

impl Folder {
    fn add(&mut self, node: &str, target: &Target, change: Change, answers: &[Answers]) {
        let key = serde_json::to_string(&(target, &change)).unwrap_or_default();
        let place = *self.by_change.entry(key).or_insert(self.groups.len());
        match self.groups.get_mut(place) {
            Some(group) => group.nodes.push(node.to_owned()),
            None => self.groups.push(Group {
                target: target.clone(),
                change,
                nodes: vec![node.to_owned()],
                answers: answers.to_vec(),
            }),
        }
    }

    fn finish(self) -> Vec<Folded> {
        let mut folded: Vec<Folded> = Vec::new();
        let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, group) in self.groups.iter().enumerate() {
            if let (Some(rest), [_]) = (without_named(&group.change), group.nodes.as_slice()) {
                let key = serde_json::to_string(&(&group.target, rest)).unwrap_or_default();
                alike.entry(key).or_default().push(place);
            }
        }
        let mut joined: HashMap<usize, Folded> = HashMap::new();
        let mut gone: HashSet<usize> = HashSet::new();
        for places in alike.into_values() {
            let groups: Vec<&Group> = places.iter().map(|&at| &self.groups[at]).collect();
            if let (Some(first), Some(all)) = (places.first(), join(&groups)) {
                joined.insert(*first, all);
                gone.extend(&places[1..]);
            }
        }
        for (place, group) in self.groups.into_iter().enumerate() {
            if let Some(all) = joined.remove(&place) {
                folded.push(all);
            } else if !gone.contains(&place) {
                folded.push(Folded {
                    nodes: fold(&group.nodes),
                    count: group.nodes.len(),
                    target: group.target,
                    change: group.change,
                    without_own: false,
                    answers: group.answers,
                });
            }
        }
        folded
    }
}

fn named(line: &HunkLine) -> Option<&str> {
    let (_, comment) = line.text.rsplit_once(' ')?;
    let is_new = line.tag == Tag::Added && !line.without_end;
    comment.strip_prefix("clearway:").filter(|_| is_new)
}

/// A change without its new lines that name nodes; `None` if there are none.
fn without_named(change: &Change) -> Option<Change> {
    let mut rest = change.clone();
    let Change::Text { hunks, .. } = &mut rest else {
        return None;
    };
    let mut found = false;
    for hunk in hunks {
        let count = hunk.lines.len();
        hunk.lines.retain(|line| named(line).is_none());
        found |= hunk.lines.len() < count;
        // What counts lines counts those that are not the same everywhere, too.
        (hunk.new_start, hunk.new_lines) = (0, 0);
    }
    found.then_some(rest)
}

/// The new lines of a change by the nodes that they name, in their order; `None` if they stand in several hunks, or those
/// of one node apart.
fn by_node(group: &Group) -> Option<Vec<(&str, Vec<&HunkLine>)>> {
    let Change::Text { hunks, .. } = &group.change else {
        return None;
    };
    let is_named = |hunk: &&Hunk| hunk.lines.iter().any(|line| named(line).is_some());
    if hunks.iter().filter(is_named).count() != 1 {
        return None;
    }
    let mut found: Vec<(&str, Vec<&HunkLine>)> = Vec::new();
    for line in hunks.iter().flat_map(|hunk| &hunk.lines) {
        let Some(node) = named(line) else {
            continue;
        };
        match found.last_mut() {
            Some((last, lines)) if *last == node => lines.push(line),
            _ => found.push((node, vec![line])),
        }
    }
    let mut nodes: Vec<&str> = found.iter().map(|(node, _)| *node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    (nodes.len() == found.len()).then_some(found)
}

/// One change for all, if each is without the lines of its own node and otherwise has the same.
fn join(groups: &[&Group]) -> Option<Folded> {
    /// Fewer are shown one by one.
    const FEWEST: usize = 3;
    if groups.len() < FEWEST {
        return None;
    }
    let mut all = Vec::with_capacity(groups.len());
    for group in groups {
        all.push((group.nodes.first()?.as_str(), by_node(group)?));
    }
    // The first is without its own lines: the second tells where they stand.
    let ((own, first), (_, second)) = (&all[0], &all[1]);
    let mut order = first.clone();
    if let Some(at) = second.iter().position(|(node, _)| node == own) {
        let before = at.checked_sub(1).map(|at| second[at].0);
        let place = before.and_then(|it| order.iter().position(|(node, _)| *node == it));
        order.insert(place.map_or(0, |at| at + 1), second[at].clone());
    }
    let texts = |lines: &[&HunkLine]| -> Vec<String> {
        lines.iter().map(|line| line.text.clone()).collect()
    };
    for (own, lines) in &all {
        let expected = order.iter().filter(|(node, _)| node != own);
        let is_same = lines.len() == order.iter().filter(|(node, _)| node != own).count()
            && lines
                .iter()
                .zip(expected)
                .all(|(one, other)| one.0 == other.0 && texts(&one.1) == texts(&other.1));
        if !is_same {
            return None;
        }
    }
    let mut change = groups[0].change.clone();
    if let Change::Text { hunks, .. } = &mut change {
        let has = |hunk: &&mut Hunk| hunk.lines.iter().any(|line| named(line).is_some());
        let hunk = hunks.iter_mut().find(has)?;
        let place = hunk.lines.iter().position(|line| named(line).is_some())?;
        hunk.lines.retain(|line| named(line).is_none());
        let lines = order.iter().flat_map(|(_, lines)| lines);
        let lines: Vec<HunkLine> = lines.map(|line| (*line).clone()).collect();
        hunk.lines.splice(place..place, lines);
        let stays = |line: &&HunkLine| line.tag != Tag::Removed;
        hunk.new_lines = hunk.lines.iter().filter(stays).count();
    }
    Some(Folded {
        nodes: fold(groups.iter().flat_map(|group| &group.nodes)),
        count: groups.len(),
        target: groups[0].target.clone(),
        change,
        without_own: true,
        answers: groups[0].answers.clone(),
    })
}
