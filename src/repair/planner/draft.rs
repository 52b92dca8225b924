//! The edits of a plan while they are gathered: one for each target, whoever asks for it.

use std::collections::BTreeMap;

use crate::domain::{FindingCode, Fleet, Lane, LegId, NodeId, Reason};
use crate::repair::plan::{
    Answers, Attributes, Bytes, Edit, FileState, NodePlan, Relabel, Target, Text,
};
use crate::survey::{FileFact, FileKind, FileState as Found, Meta};

/// Why something is done: the reason, and the leg that it breaks.
pub(super) type Because = (Reason, LegId);

/// All edits.
#[derive(Debug, Default)]
pub(super) struct Draft {
    edits: BTreeMap<(NodeId, Target), Change>,
}

#[derive(Debug)]
struct Change {
    before: FileState,
    after: FileState,
    label: Option<Relabel>,
    because: Vec<Because>,
    /// What is no fault of a leg, and worth mending all the same.
    found: Vec<(FindingCode, LegId)>,
}

pub(super) fn attributes(meta: Meta) -> Attributes {
    Attributes {
        uid: meta.uid,
        gid: meta.gid,
        mode: meta.mode,
    }
}

/// What a fact says is there; `None` where that is not known, or is nothing that a plan may touch.
pub(super) fn state_of(fact: &FileFact) -> Option<FileState> {
    match &fact.state {
        Found::Absent => Some(FileState::Absent),
        Found::Unreadable(_) => None,
        Found::Present { meta, content, .. } => {
            let attributes = attributes(*meta);
            match (meta.kind, content) {
                _ if meta.symlink => None,
                (FileKind::Directory, _) => Some(FileState::Directory { attributes }),
                (FileKind::File, Some(content)) => Some(FileState::File {
                    attributes,
                    text: text_of(content),
                }),
                (FileKind::File, None) => Some(FileState::Opaque { attributes }),
                (FileKind::Other, _) => None,
            }
        }
    }
}

fn text_of(content: &crate::survey::Content) -> Text {
    Text(vec![crate::repair::plan::Piece::Bytes(Bytes(
        content.bytes.clone(),
    ))])
}

impl Draft {
    fn change(&mut self, node: NodeId, target: &Target, before: &FileState) -> &mut Change {
        self.edits
            .entry((node, target.clone()))
            .or_insert_with(|| Change {
                before: before.clone(),
                after: before.clone(),
                label: None,
                because: Vec::new(),
                found: Vec::new(),
            })
    }

    /// Other owner or mode for what is there. What somebody else has asked for already stays where it says more.
    pub(super) fn set_attributes(
        &mut self,
        (node, target): (NodeId, &Target),
        before: &FileState,
        to: Attributes,
        because: impl IntoIterator<Item = Because>,
    ) {
        let change = self.change(node, target, before);
        change.because.extend(because);
        match &mut change.after {
            FileState::Absent => {}
            FileState::Directory { attributes }
            | FileState::File { attributes, .. }
            | FileState::Opaque { attributes } => *attributes = to,
        }
    }

    /// Other bytes for a file; `new` is its owner and mode where there was none.
    pub(super) fn set_text(
        &mut self,
        (node, target): (NodeId, &Target),
        before: &FileState,
        new: Attributes,
        text: Text,
        because: impl IntoIterator<Item = Because>,
    ) {
        let change = self.change(node, target, before);
        change.because.extend(because);
        let attributes = change.after.attributes().unwrap_or(new);
        change.after = FileState::File { attributes, text };
    }

    /// Other bytes for a file that is there, for what was found on legs that work.
    pub(super) fn mend(
        &mut self,
        (node, target): (NodeId, &Target),
        before: &FileState,
        text: Text,
        found: impl IntoIterator<Item = (FindingCode, LegId)>,
    ) {
        let change = self.change(node, target, before);
        change.found.extend(found);
        if let Some(attributes) = change.after.attributes() {
            change.after = FileState::File { attributes, text };
        }
    }

    /// A directory that is not there yet.
    pub(super) fn make_directory(
        &mut self,
        (node, target): (NodeId, &Target),
        attributes: Attributes,
        because: impl IntoIterator<Item = Because>,
    ) {
        let change = self.change(node, target, &FileState::Absent);
        change.because.extend(because);
        change.after = FileState::Directory { attributes };
    }

    /// Another SELinux label for what is there.
    pub(super) fn relabel(
        &mut self,
        (node, target): (NodeId, &Target),
        before: &FileState,
        label: Relabel,
        because: impl IntoIterator<Item = Because>,
    ) {
        let change = self.change(node, target, before);
        change.because.extend(because);
        change.label = Some(label);
    }

    /// What is edited so far, on which node and why.
    pub(super) fn edited(&self) -> impl Iterator<Item = (NodeId, &Target, &[Because])> {
        let edited = self.edits.iter().filter(|(_, it)| it.before != it.after);
        edited.map(|((node, target), it)| (*node, target, it.because.as_slice()))
    }

    /// The edits of each node, in inventory order, a directory before what is in it.
    pub(super) fn finish(self, fleet: &Fleet) -> Vec<NodePlan> {
        let mut nodes: Vec<NodePlan> = Vec::new();
        for ((node, target), change) in self.edits {
            let is_same = change.before == change.after;
            if is_same && change.label.is_none() {
                continue;
            }
            let name = fleet.node(node).name.as_str();
            if nodes.last().is_none_or(|last| last.node != name) {
                nodes.push(NodePlan {
                    node: name.to_owned(),
                    edits: Vec::new(),
                });
            }
            if let Some(last) = nodes.last_mut() {
                let shown = |state: FileState| match is_same {
                    // A label has nothing to do with the bytes.
                    true => state.without_text(),
                    false => state,
                };
                last.edits.push(Edit {
                    target,
                    before: shown(change.before),
                    after: shown(change.after),
                    label: change.label,
                    answers: all_answers(fleet, change.because, change.found),
                });
            }
        }
        nodes
    }
}

fn all_answers(
    fleet: &Fleet,
    because: Vec<Because>,
    found: Vec<(FindingCode, LegId)>,
) -> Vec<Answers> {
    let mut all = answers(fleet, because);
    all.extend(fold_answers(fleet, found, FindingCode::code));
    all
}

/// Reasons and legs, those of many nodes as those of all.
pub(super) fn answers(fleet: &Fleet, because: Vec<Because>) -> Vec<Answers> {
    fold_answers(fleet, because, Reason::code)
}

fn fold_answers<T: Copy + Ord>(
    fleet: &Fleet,
    mut because: Vec<(T, LegId)>,
    code: impl Fn(T) -> &'static str,
) -> Vec<Answers> {
    /// More are not told one by one.
    const TOLD: usize = 16;
    because.sort_unstable_by_key(|(reason, id)| (*reason, id.lane, id.client, id.server));
    because.dedup();
    let name = |id: NodeId| fleet.node(id).name.to_string();
    let mut all = Vec::new();
    for group in because.chunk_by(|one, two| (one.0, one.1.lane) == (two.0, two.1.lane)) {
        let Some(&(reason, first)) = group.first() else {
            continue;
        };
        let told = |lane: Lane, client: Option<NodeId>, server: Option<NodeId>| Answers {
            reason: code(reason).to_owned(),
            lane,
            client: client.map(name),
            server: server.map(name),
        };
        let lane = first.lane;
        if group.len() <= TOLD {
            let one = |(_, id): &(T, LegId)| told(lane, Some(id.client), Some(id.server));
            all.extend(group.iter().map(one));
        } else if group.iter().all(|(_, id)| id.client == first.client) {
            all.push(told(lane, Some(first.client), None));
        } else if group.iter().all(|(_, id)| id.server == first.server) {
            all.push(told(lane, None, Some(first.server)));
        } else {
            let mut servers: Vec<NodeId> = group.iter().map(|(_, id)| id.server).collect();
            servers.sort_unstable();
            servers.dedup();
            let mut clients: Vec<NodeId> = group.iter().map(|(_, id)| id.client).collect();
            clients.sort_unstable();
            clients.dedup();
            if servers.len() <= clients.len() {
                all.extend(servers.into_iter().map(|it| told(lane, None, Some(it))));
            } else {
                all.extend(clients.into_iter().map(|it| told(lane, Some(it), None)));
            }
        }
    }
    all
}
