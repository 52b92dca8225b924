//! Taking keys out of every file that trusts them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::draft::state_of;
use super::input::Situation;
use super::places::{may_hold_host_keys, may_hold_keys, target};
use crate::domain::{Lane, NodeId};
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::PublicKey;
use crate::openssh::known_hosts::{KnownHosts, Marker};
use crate::repair::edit::LineEdits;
use crate::repair::plan::{Answers, Edit, FileState, NodePlan, RetiredKey, Target};
use crate::survey::FileFact;

/// What an edit that withdraws trust answers: no fault, but what the operator asked for.
const ASKED: &str = "key-retired";

/// The edits that take these keys out of the files of all nodes in scope but one: every line that admits one of them, or
/// that vouches for one, whoever wrote it, and no other line.
#[must_use]
pub(super) fn withdraw(
    situation: &Situation<'_>,
    retired: &[RetiredKey],
    but: Option<NodeId>,
) -> Vec<NodePlan> {
    let keys = |host: bool| -> Vec<PublicKey> {
        let of_kind = retired.iter().filter(|it| it.host == host);
        let read = of_kind.filter_map(|it| PublicKey::read(it.public.as_bytes()).ok());
        read.map(|(key, _)| key).collect()
    };
    let (users, hosts) = (keys(false), keys(true));
    let mut nodes = Vec::new();
    for &id in situation.scope.nodes() {
        let node = situation.fleet.node(id);
        let Some(facts) = situation.facts[id.index()]
            .as_ref()
            .filter(|_| but != Some(id))
        else {
            continue;
        };
        let mut edits: Vec<Edit> = Vec::new();
        let mut done: BTreeSet<Target> = BTreeSet::new();
        for login in &facts.server.accounts {
            let Some(account) = &login.account else {
                continue;
            };
            for checked in &login.authorized_keys {
                let place = target(&node.profile.sshd.context, &checked.file.path);
                if may_hold_keys(&place.path, account) && done.insert(place.clone()) {
                    edits.extend(edit(&checked.file, place, |bytes| {
                        let file = AuthorizedKeys::parse(bytes.to_vec());
                        let lines = file.keys().filter(|(_, line)| users.contains(&line.key));
                        lines.map(|(number, _)| number).collect()
                    }));
                }
            }
        }
        for client in &facts.clients {
            let Some(account) = &client.account else {
                continue;
            };
            let context = node.profile.files_context(&client.context);
            for fact in &client.known_hosts {
                let place = target(&context, &fact.path);
                if may_hold_host_keys(&place.path, account) && done.insert(place.clone()) {
                    edits.extend(edit(fact, place, |bytes| {
                        let file = KnownHosts::parse(bytes.to_vec());
                        let plain = file.entries().filter(|(_, it)| it.marker == Marker::None);
                        let named = plain.filter(|(_, it)| hosts.contains(&it.key));
                        named.map(|(number, _)| number).collect()
                    }));
                }
            }
        }
        if !edits.is_empty() {
            let node = node.name.to_string();
            nodes.push(NodePlan { node, edits });
        }
    }
    nodes
}

/// A file without some of its lines; `None` where it has none of them.
fn edit(fact: &FileFact, place: Target, lines: impl Fn(&[u8]) -> Vec<usize>) -> Option<Edit> {
    let before = state_of(fact)?;
    let FileState::File { attributes, .. } = before else {
        return None;
    };
    let bytes: Arc<[u8]> = fact.content()?.bytes.clone();
    let mut file = LineEdits::new(Arc::clone(&bytes));
    for number in lines(&bytes) {
        file.remove(number);
    }
    if file.is_empty() {
        return None;
    }
    let after = FileState::File {
        attributes,
        text: file.finish(),
    };
    Some(Edit {
        target: place,
        before,
        after,
        label: None,
        answers: vec![Answers {
            reason: ASKED.to_owned(),
            lane: Lane::ColdPush,
            client: None,
            server: None,
        }],
    })
}
