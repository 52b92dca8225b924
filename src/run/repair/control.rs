//! That a plan does not take away the key with which clearway itself logs in: nothing could be put back after that.

use std::collections::HashMap;

use crate::domain::{Fleet, NodeId};
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::PublicKey;
use crate::repair::{FileState, NodePlan, Piece, Plan, RenewedKey};
use crate::survey::NodeFacts;

/// The fingerprints of the keys that nodes have let clearway in with.
pub(super) type ControlKeys = HashMap<NodeId, String>;

/// What a plan takes of the control connections' own keys, node by node in words. Only where a node's control account was
/// surveyed can a plan touch its files.
pub(super) fn cut_off(
    plan: &Plan,
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    keys: &ControlKeys,
) -> Vec<String> {
    let cut = plan.nodes.iter().filter_map(|edited| {
        let id = fleet.find(&edited.node)?;
        let path = lost(edited, fleet, id, facts[id.index()].as_ref()?, keys.get(&id)?)?;
        let user = &fleet.node(id).control.user;
        let key = keys.get(&id)?;
        Some(format!(
            "on {} it takes {key} out of {path}, and with that key clearway logs in there as {user}",
            edited.node
        ))
    });
    cut.collect()
}

/// The keys that a rotation is to replace although clearway logs in with them.
pub(super) fn replaced(renewed: &[RenewedKey], fleet: &Fleet, keys: &ControlKeys) -> Vec<String> {
    let mut found = Vec::new();
    for key in renewed {
        let Ok((old, _)) = PublicKey::read(key.was.as_bytes()) else {
            continue;
        };
        let old = old.fingerprint().to_string();
        let node = fleet.ids().find(|id| keys.get(id) == Some(&old));
        if let Some(id) = node {
            found.push(format!(
                "{} of {} is {old}, and with that key clearway logs in to {}",
                key.target.path,
                key.node,
                fleet.node(id).name
            ));
        }
    }
    found
}

/// The file that let the control account's key in, where no other one does after the edits.
fn lost<'p>(
    edited: &'p NodePlan,
    fleet: &Fleet,
    id: NodeId,
    facts: &NodeFacts,
    key: &str,
) -> Option<&'p str> {
    let lists = |bytes: &[u8]| {
        let file = AuthorizedKeys::parse(bytes.to_vec());
        file.keys()
            .any(|(_, line)| line.key.fingerprint().to_string() == key)
    };
    let user = &fleet.node(id).control.user;
    let mut accounts = facts.server.accounts.iter();
    let account = accounts.find(|it| it.name == *user)?;
    let mut gone = None;
    for checked in &account.authorized_keys {
        let before = checked.file.content().is_some_and(|it| lists(&it.bytes));
        let mut edits = edited.edits.iter();
        match edits.find(|it| it.target.path == checked.file.path) {
            None if before => return None,
            None => {}
            Some(edit) => {
                let after = match &edit.after {
                    FileState::File { text, .. } => {
                        let known = text.0.iter().filter_map(|piece| match piece {
                            Piece::Bytes(bytes) => Some(&bytes.0[..]),
                            Piece::PublicKey(_) => None,
                        });
                        lists(&known.collect::<Vec<_>>().concat())
                    }
                    FileState::Absent => false,
                    _ => before,
                };
                if after {
                    return None;
                }
                if before {
                    gone = Some(edit.target.path.as_str());
                }
            }
        }
    }
    gone
}
