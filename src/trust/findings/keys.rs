//! Keys: shared, readable by others, weak.

use std::collections::{BTreeMap, BTreeSet};

use super::find::{file, on};
use super::fleet::Seen;
use crate::domain::{Evidence, Finding, FindingCode, KeySeen};
use crate::openssh::key::{KeyBlob, KeyKind, PublicKey};
use crate::survey::{Identity, IdentityState};

/// NIST SP 800-131A has refused shorter ones since 2014; OpenSSH makes 3072 bits by default.
const SHORTEST_RSA: u32 = 2048;

pub(super) fn find(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    shared(seen, found);
    for (_, name, facts) in &seen.nodes {
        for client in &facts.clients {
            for identity in &client.identities {
                readable_by_others(name, identity, found);
                if let Some(key) = public(identity) {
                    weak(name, &key, &identity.path, found);
                }
            }
        }
        for host_key in &facts.server.host_keys {
            if let Ok((key, _)) = PublicKey::read(host_key.public.as_bytes()) {
                weak(name, &key, &host_key.path, found);
            }
        }
    }
    found.dedup();
}

fn public(identity: &Identity) -> Option<PublicKey> {
    let line = identity.public.as_ref()?;
    PublicKey::read(line.as_bytes()).ok().map(|(key, _)| key)
}

/// One private key on several nodes.
fn shared(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    let mut holders: BTreeMap<String, (BTreeSet<&str>, Vec<Evidence>)> = BTreeMap::new();
    let mut blobs: BTreeMap<String, KeyBlob> = BTreeMap::new();
    for (_, name, facts) in &seen.nodes {
        for identity in facts.clients.iter().flat_map(|client| &client.identities) {
            // Only a private key that is really there counts, not a public half left behind.
            if matches!(
                identity.state,
                IdentityState::Missing | IdentityState::Invalid
            ) {
                continue;
            }
            let Some(key) = public(identity) else {
                continue;
            };
            let fingerprint = key.fingerprint().to_string();
            blobs.insert(fingerprint.clone(), key.plain_blob().clone());
            let (nodes, evidence) = holders.entry(fingerprint.clone()).or_default();
            if nodes.insert(name) && evidence.len() < 3 {
                evidence.push(Evidence::Key {
                    seen: KeySeen::Offered,
                    node: (*name).to_owned(),
                    key_type: key.type_name().to_owned(),
                    fingerprint,
                    path: Some(identity.path.clone()),
                });
            }
        }
    }
    for (fingerprint, (nodes, evidence)) in holders {
        if nodes.len() > 1 {
            found.push(Finding {
                code: FindingCode::PrivateKeyShared,
                nodes: nodes.iter().map(|it| (*it).to_owned()).collect(),
                detail: format!("{fingerprint} lies on {} nodes", nodes.len()),
                evidence,
            });
        }
    }
}

fn readable_by_others(node: &str, identity: &Identity, found: &mut Vec<Finding>) {
    let Some(meta) = &identity.meta else { return };
    if identity.state != IdentityState::Missing && meta.mode & 0o044 != 0 {
        let note = format!("mode {:04o}, owner uid {}", meta.mode, meta.uid);
        found.push(on(
            node,
            FindingCode::PrivateKeyCopyReadable,
            format!("{} can be read by others ({note})", identity.path),
            vec![file(node, &identity.path, None, &note)],
        ));
    }
    if meta.symlink {
        found.push(on(
            node,
            FindingCode::UserConfigSymlinked,
            format!("{} is a symbolic link", identity.path),
            vec![file(node, &identity.path, None, "a symbolic link")],
        ));
    }
}

fn weak(node: &str, key: &PublicKey, path: &str, found: &mut Vec<Finding>) {
    let why = match key.kind() {
        KeyKind::Dsa => "DSA, which OpenSSH 10 no longer knows".to_owned(),
        KeyKind::Rsa if key.bits() < SHORTEST_RSA => format!("RSA of {} bits", key.bits()),
        _ => return,
    };
    found.push(on(
        node,
        FindingCode::KeyWeak,
        format!("{path} is {why}"),
        vec![file(node, path, None, &key.fingerprint().to_string())],
    ));
}
