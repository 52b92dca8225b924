//! What the operator's list of revoked keys says of nodes, and what nodes say of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Fleet, HOST_AUTHORITY, NodeId, USER_AUTHORITY};
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::{CertRole, PublicKey};
use crate::openssh::known_hosts::{KnownHosts, Marker};
use crate::openssh::revoked::RevokedKeys;
use crate::survey::{FileFact, NodeFacts};
use crate::trust::PairScope;
use crate::trust::legs::Legs;

use super::entries::revoked_entries;
use super::names::{OwnedNames, owned_names};
use super::policy::{Authorities, Policy};
use super::revocation_list::RevocationList;
use super::wanted::surveyed;

/// Where sshd finds the binary revocation list.
pub(super) const LIST: &str = "/etc/ssh/clearway-revoked.krl";

/// Whether a node is out as a whole: every host key that it has was revoked.
pub(super) fn is_out(facts: &NodeFacts, list: &RevocationList) -> bool {
    let mut keys = host_keys(facts).peekable();
    keys.peek().is_some() && keys.all(|key| list.has_key(&key))
}

/// The host keys of a node, without certificates.
pub(super) fn host_keys(facts: &NodeFacts) -> impl Iterator<Item = PublicKey> {
    let keys = facts.server.host_keys.iter();
    keys.filter_map(|key| PublicKey::read(key.public.as_bytes()).ok())
        .map(|(key, _)| key.to_plain())
}

/// Whether a key was revoked: the list has it, or the key id of the certificate that it has, whose key nobody could ask
/// for when that was revoked.
pub(super) fn is_revoked(
    key: &PublicKey,
    certificate: Option<&FileFact>,
    list: &RevocationList,
) -> bool {
    let bytes = certificate.and_then(FileFact::content);
    let signed = bytes.and_then(|it| PublicKey::read_file(&it.bytes).ok());
    let has_id = signed.is_some_and(|(signed, _)| {
        let certificate = signed.certificate();
        signed.plain_blob() == key.plain_blob()
            && certificate.is_some_and(|it| list.has_id(&it.key_id))
    });
    has_id || list.has_key(key)
}

/// The names of every node that the authority may vouch for: none of a node that is out. Of a node that was revoked once
/// and does not say which keys it has now, names are neither given nor taken.
pub(super) fn trusted_names(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    legs: &Legs,
    policy: &Policy,
) -> Vec<OwnedNames> {
    let mut owned = owned_names(fleet, facts, legs, policy.reported_addresses);
    for id in fleet.ids() {
        let owned = &mut owned[id.index()];
        match &facts[id.index()] {
            Some(facts) if is_out(facts, &policy.revoked) => owned.names.clear(),
            Some(_) => {}
            None => {
                owned.is_uncertain = policy.revoked.has_host(fleet.node(id).name.as_str());
            }
        }
    }
    owned
}

/// What nodes refuse, by their sshd's list and in their known_hosts, and the operator's list does not have: entries, with
/// the nodes. Lists are made from the operator's, so that is the wrong one, and nodes would trust again what was revoked.
#[must_use]
pub fn unlisted<'a>(
    fleet: &'a Fleet,
    facts: &[Option<NodeFacts>],
    scope: &PairScope,
    list: &RevocationList,
) -> BTreeMap<String, BTreeSet<&'a str>> {
    let known = list.as_revoked();
    let mut unlisted: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for &id in scope.nodes() {
        let Some(facts) = &facts[id.index()] else {
            continue;
        };
        // It has no say in what the others refuse.
        if is_out(facts, list) {
            continue;
        }
        let lists = facts.server.trust_files.iter().filter(|it| it.path == LIST);
        let mut entries: BTreeSet<String> = lists
            .filter_map(FileFact::content)
            .flat_map(|it| known.lacks(&RevokedKeys::parse(&it.bytes)))
            .collect();
        let files = facts.clients.iter().flat_map(|it| &it.known_hosts);
        for content in files.filter_map(FileFact::content) {
            let file = KnownHosts::parse(content.bytes.to_vec());
            let own = revoked_entries(&content.bytes).into_iter();
            let keys = own.filter_map(|number| file.entry(number));
            let keys = keys.filter(|it| !list.has_key(&it.key));
            entries.extend(keys.map(|it| format!("key: {}", it.key.to_plain())));
        }
        for entry in entries {
            let nodes = unlisted.entry(entry).or_default();
            nodes.insert(fleet.node(id).name.as_str());
        }
    }
    unlisted
}

/// The nodes that trust another authority by clearway's own lines, where none trusts this one: it is not the fleet's.
#[must_use]
pub fn other_authority<'a>(
    fleet: &'a Fleet,
    facts: &[Option<NodeFacts>],
    scope: &PairScope,
    authorities: &Authorities,
) -> Vec<&'a str> {
    let mut others = Vec::new();
    for role in [CertRole::Host, CertRole::User] {
        let ours = match role {
            CertRole::Host => &authorities.hosts,
            CertRole::User => &authorities.users,
        };
        let trusted: Vec<(NodeId, Vec<PublicKey>)> = surveyed(fleet, facts, scope)
            .map(|(id, _, facts)| (id, trusted_by(facts, role)))
            .filter(|(_, keys)| !keys.is_empty())
            .collect();
        if !trusted.iter().any(|(_, keys)| keys.contains(ours)) {
            others.extend(trusted.into_iter().map(|(id, _)| id));
        }
    }
    others.sort_unstable();
    others.dedup();
    let name = |id| fleet.node(id).name.as_str();
    others.into_iter().map(name).collect()
}

/// The authorities that clearway's lines on a node trust.
fn trusted_by(facts: &NodeFacts, role: CertRole) -> Vec<PublicKey> {
    let mut keys = Vec::new();
    match role {
        CertRole::Host => {
            let files = facts.clients.iter().flat_map(|it| &it.known_hosts);
            for content in files.filter_map(FileFact::content) {
                let file = KnownHosts::parse(content.bytes.to_vec());
                let own = file.entries().filter(|(_, it)| {
                    it.marker == Marker::CertAuthority
                        && it.comment.trim_ascii() == HOST_AUTHORITY.as_bytes()
                });
                keys.extend(own.map(|(_, it)| it.key.clone()));
            }
        }
        CertRole::User => {
            let accounts = facts.server.accounts.iter();
            let files = accounts.flat_map(|it| &it.authorized_keys);
            for content in files.filter_map(|it| it.file.content()) {
                let file = AuthorizedKeys::parse(content.bytes.to_vec());
                let own = file
                    .keys()
                    .filter(|(_, it)| it.comment.trim_ascii() == USER_AUTHORITY.as_bytes());
                keys.extend(own.map(|(_, it)| it.key.clone()));
            }
        }
    }
    keys
}
