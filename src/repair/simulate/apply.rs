//! Applying a plan to facts.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::files::{set_directory, set_file};
use crate::domain::{Fleet, NodeId, Profile};
use crate::repair::plan::{Attributes, FileState, KeyId, KeySource, Plan, Target};
use crate::survey::{Content, FileKind, Identity, IdentityState, Meta, NodeFacts};

/// Contents that a survey could not see, by node and path: they show once they can be read.
pub type Hidden = HashMap<(NodeId, String), Content>;

/// A content that is equal to no other of other bytes.
pub(super) fn content(bytes: Vec<u8>) -> Content {
    Content {
        sha256: Sha256::digest(&bytes).into(),
        bytes: bytes.into(),
    }
}

pub(super) fn meta(kind: FileKind, attributes: Attributes) -> Meta {
    Meta {
        kind,
        mode: attributes.mode,
        uid: attributes.uid,
        gid: attributes.gid,
        size: 0,
        symlink: false,
    }
}

/// The public key that stands for one that a node would make: `type base64`, the same for the same id.
#[must_use]
pub(super) fn made_key(id: &KeyId) -> String {
    use base64::Engine as _;
    let point: [u8; 32] = Sha256::digest(id.0.as_bytes()).into();
    let mut blob = Vec::from(&b"\0\0\0\x0bssh-ed25519\0\0\0\x20"[..]);
    blob.extend(point);
    let data = base64::engine::general_purpose::STANDARD.encode(blob);
    format!("ssh-ed25519 {data}")
}

/// The facts that a survey would find after a plan was applied to nodes with these facts.
///
/// # Panics
/// When the plan is for another fleet, or does not start from these facts: a node would refuse it.
#[must_use]
pub fn apply(
    plan: &Plan,
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    hidden: &Hidden,
) -> Vec<Option<NodeFacts>> {
    let mut facts = facts.to_vec();
    let node = |name: &str| fleet.find(name).expect("a node of the fleet");
    let mut made: HashMap<&KeyId, String> = HashMap::new();
    for key in &plan.keys {
        made.insert(&key.id, made_key(&key.id));
        let id = node(&key.node);
        let public = made_key(&key.id);
        put_identity(&mut facts, fleet, id, (&key.target, key.owner), &public);
    }
    for copy in &plan.copies {
        let public = match &copy.of {
            KeySource::New(id) => made_key(id),
            KeySource::Existing { public, .. } => public.clone(),
        };
        let id = node(&copy.node);
        put_identity(&mut facts, fleet, id, (&copy.target, copy.owner), &public);
    }
    for edits in &plan.nodes {
        let id = node(&edits.node);
        let profile = &fleet.node(id).profile;
        for edit in &edits.edits {
            let Some(facts) = &mut facts[id.index()] else {
                panic!("{} was not surveyed", edits.node);
            };
            let find = |id| made.get(id).map(String::as_bytes);
            if let Some(label) = &edit.label {
                super::files::set_label(profile, facts, &edit.target, label);
            }
            if edit.before == edit.after {
                continue;
            }
            match &edit.after {
                FileState::Absent => panic!("plans remove nothing"),
                FileState::Directory { attributes } => {
                    set_directory(profile, facts, &edit.target, *attributes);
                }
                FileState::File { attributes, text } => {
                    let bytes = text.bytes(find).expect("keys are made first");
                    let new = (*attributes, Some(content(bytes)));
                    set_file(profile, facts, &edit.target, new, &edit.before);
                }
                FileState::Opaque { attributes } => {
                    let shown = hidden.get(&(id, edit.target.path.clone())).cloned();
                    set_file(
                        profile,
                        facts,
                        &edit.target,
                        (*attributes, shown),
                        &edit.before,
                    );
                }
            }
        }
        if let Some(facts) = &mut facts[id.index()] {
            super::files::look_again(id, facts, hidden);
        }
    }
    facts
}

/// Whether a client's context has its files at a target's place.
pub(super) fn is_place(profile: &Profile, context: &[String], target: &Target) -> bool {
    profile.files_context(context) == target.context
}

fn put_identity(
    facts: &mut [Option<NodeFacts>],
    fleet: &Fleet,
    node: NodeId,
    (target, owner): (&Target, Attributes),
    public: &str,
) {
    let profile = &fleet.node(node).profile;
    let directory = target.path.rsplit_once('/').map(|(directory, _)| Target {
        context: target.context.clone(),
        path: directory.to_owned(),
    });
    let Some(facts) = &mut facts[node.index()] else {
        panic!("a node that was not surveyed");
    };
    if let Some(directory) = directory {
        let of_owner = Attributes {
            mode: 0o700,
            ..owner
        };
        super::files::make_directory(profile, facts, &directory, of_owner);
    }
    for client in &mut facts.clients {
        if !is_place(profile, &client.context, target) {
            continue;
        }
        let readable = client
            .account
            .as_ref()
            .is_some_and(|it| it.uid == owner.uid);
        let new = Identity {
            path: target.path.clone(),
            meta: Some(meta(FileKind::File, owner)),
            state: if readable {
                IdentityState::Usable
            } else {
                IdentityState::Unreadable
            },
            public: Some(public.to_owned()),
            stale: None,
            certificate: None,
        };
        match client
            .identities
            .iter_mut()
            .find(|it| it.path == target.path)
        {
            Some(old) => {
                assert!(old.meta.is_none(), "a private key is overwritten");
                *old = new;
            }
            None => client.identities.push(new),
        }
    }
}
