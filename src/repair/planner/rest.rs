//! What is left of a plan that was carried out before, as a whole or in part.

use std::collections::BTreeMap;

use super::draft::{attributes, state_of};
use crate::domain::{Fleet, Profile};
use crate::openssh::key::PublicKey;
use crate::repair::plan::{Edit, FileState, KeyId, KeySource, NewKey, Piece, Plan, Target, Text};
use crate::survey::{Identity, NodeFacts};

/// A plan without what is already as it leaves it. `made` are keys that are known to have been made for this very plan
/// (`type base64`): where they are there still, they are not made again, and edits name them.
#[must_use]
pub fn rest_of(
    plan: &Plan,
    facts: &[Option<NodeFacts>],
    fleet: &Fleet,
    made: &BTreeMap<KeyId, String>,
) -> Plan {
    let node = |name: &str| {
        let id = fleet.find(name)?;
        Some((&fleet.node(id).profile, facts[id.index()].as_ref()?))
    };
    let has = |name: &str, target: &Target, public: &str| {
        node(name).is_some_and(|(profile, facts)| has_key(profile, facts, target, public))
    };
    let made = |key: &&NewKey| {
        let public = made.get(&key.id)?;
        has(&key.node, &key.target, public).then(|| (key.id.clone(), public.clone()))
    };
    let made: BTreeMap<KeyId, String> = plan.keys.iter().filter_map(|key| made(&key)).collect();
    let mut rest = plan.clone();
    rest.keys.retain(|key| !made.contains_key(&key.id));
    for copy in &mut rest.copies {
        if let KeySource::New(id) = &copy.of
            && let Some(public) = made.get(id)
            && let Some(key) = plan.keys.iter().find(|it| it.id == *id)
        {
            copy.of = KeySource::Existing {
                node: key.node.clone(),
                target: key.target.clone(),
                owner: key.owner,
                public: public.clone(),
            };
        }
    }
    rest.copies.retain(|copy| match &copy.of {
        KeySource::Existing { public, .. } => !has(&copy.node, &copy.target, public),
        KeySource::New(_) => true,
    });
    for of_node in &mut rest.nodes {
        let Some((profile, facts)) = node(&of_node.node) else {
            continue;
        };
        for edit in &mut of_node.edits {
            if let FileState::File { text, .. } = &mut edit.after {
                *text = with_made(text, &made);
            }
        }
        of_node.edits.retain(|edit| !is_done(profile, facts, edit));
    }
    rest.nodes.retain(|it| !it.edits.is_empty());
    rest
}

/// A text in which keys that were made stand as they are.
fn with_made(text: &Text, made: &BTreeMap<KeyId, String>) -> Text {
    let pieces = text.0.iter().map(|piece| match piece {
        Piece::PublicKey(id) => match made.get(id) {
            Some(public) => Piece::Bytes(public.clone().into_bytes().into()),
            None => piece.clone(),
        },
        Piece::Bytes(_) => piece.clone(),
    });
    Text(pieces.collect())
}

fn identities<'f>(
    profile: &Profile,
    facts: &'f NodeFacts,
    target: &Target,
) -> impl Iterator<Item = &'f Identity> {
    let clients = facts.clients.iter();
    let clients = clients.filter(|it| profile.files_context(&it.context) == target.context);
    let path = target.path.clone();
    let identities = clients.flat_map(|it| &it.identities);
    identities.filter(move |it| it.path == path)
}

fn has_key(profile: &Profile, facts: &NodeFacts, target: &Target, public: &str) -> bool {
    let blob = |text: &str| {
        let (key, _) = PublicKey::read(text.trim().as_bytes()).ok()?;
        Some(key.plain_blob().clone())
    };
    let wanted = blob(public);
    let mut there = identities(profile, facts, target).filter_map(|it| it.public.as_deref());
    wanted.is_some() && there.any(|it| blob(it) == wanted)
}

/// Whether a survey has found what an edit leads to.
fn is_done(profile: &Profile, facts: &NodeFacts, edit: &Edit) -> bool {
    edit.label.is_none() && states(profile, facts, &edit.target).contains(&edit.after)
}

/// What a survey has found at a place, in each role that the place has.
fn states(profile: &Profile, facts: &NodeFacts, target: &Target) -> Vec<FileState> {
    let path = target.path.as_str();
    let mut states = Vec::new();
    for client in &facts.clients {
        if profile.files_context(&client.context) == target.context {
            let files = (client.known_hosts.iter())
                .chain(&client.config_files)
                .chain(&client.directories);
            states.extend(files.filter(|it| it.path == path).filter_map(state_of));
        }
    }
    let keys = identities(profile, facts, target).filter_map(|it| it.meta);
    states.extend(keys.map(|meta| FileState::Opaque {
        attributes: attributes(meta),
    }));
    if profile.sshd.context == target.context {
        for checked in (facts.server.accounts.iter()).flat_map(|it| &it.authorized_keys) {
            if checked.file.path == path {
                states.extend(state_of(&checked.file));
            }
            let above = checked.above.iter().filter(|(it, _)| it == path);
            states.extend(above.map(|(_, meta)| FileState::Directory {
                attributes: attributes(*meta),
            }));
        }
    }
    states
}
