//! What the survey and the inventory say of names, keys and certificates, looked up once for a whole plan.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::authority::{AuthorityRules, certified, issued, not_revoked};
use crate::domain::{Fleet, NodeId};
use crate::openssh::key::{CertRole, PublicKey};
use crate::survey::{FileFact, NodeFacts};

/// Rules, and what they are held against.
pub(super) struct Known<'a> {
    pub(super) rules: &'a AuthorityRules,
    /// The nodes that the inventory gives a name to.
    stated: HashMap<String, Vec<NodeId>>,
    /// The nodes whose inventory name begins with this part.
    firsts: HashMap<String, Vec<NodeId>>,
    addresses: HashMap<IpAddr, Vec<NodeId>>,
    /// Host keys and login keys, as blobs, with the nodes that have them.
    host_keys: HashMap<Vec<u8>, Vec<NodeId>>,
    user_keys: HashMap<Vec<u8>, Vec<NodeId>>,
    /// Login keys with a certificate that is good, and host keys with the names of theirs.
    pub(super) certified_users: HashSet<Vec<u8>>,
    certified_hosts: HashMap<Vec<u8>, Vec<String>>,
}

fn first(name: &str) -> String {
    let first = name.split('.').next().unwrap_or_default();
    first.to_ascii_lowercase()
}

fn blob(line: &str) -> Option<Vec<u8>> {
    let (key, _) = PublicKey::read(line.trim_start().as_bytes()).ok()?;
    Some(key.plain_blob().as_bytes().to_vec())
}

impl<'a> Known<'a> {
    pub(super) fn new(
        rules: &'a AuthorityRules,
        fleet: &Fleet,
        facts: &[Option<NodeFacts>],
    ) -> Self {
        let mut known = Self {
            rules,
            stated: HashMap::new(),
            firsts: HashMap::new(),
            addresses: HashMap::new(),
            host_keys: HashMap::new(),
            user_keys: HashMap::new(),
            certified_users: HashSet::new(),
            certified_hosts: HashMap::new(),
        };
        for id in fleet.ids() {
            let node = fleet.node(id);
            let names = [
                Some(node.name.as_str()),
                Some(node.control.address.as_str()),
                node.service_host.as_deref(),
                node.migration_address.as_deref(),
                node.live_address.as_deref(),
            ];
            for name in names.into_iter().flatten() {
                let owners = known.stated.entry(name.to_ascii_lowercase()).or_default();
                if owners.last() != Some(&id) {
                    owners.push(id);
                }
            }
            let begins = known.firsts.entry(first(node.name.as_str()));
            begins.or_default().push(id);
            if let Some(facts) = &facts[id.index()] {
                known.look(id, facts);
            }
        }
        known
    }

    fn look(&mut self, id: NodeId, facts: &NodeFacts) {
        for address in &facts.addresses {
            let owners = self.addresses.entry(address.to_canonical()).or_default();
            if owners.last() != Some(&id) {
                owners.push(id);
            }
        }
        let rules = self.rules;
        for key in &facts.server.host_keys {
            let Some(blob) = blob(&key.public) else {
                continue;
            };
            let file = key.certificate.as_ref().and_then(FileFact::content);
            let signed = file.and_then(|file| certified(&file.bytes, &key.public).ok());
            let names = signed.as_ref().and_then(|signed| {
                let certificate = issued(signed, CertRole::Host, &rules.hosts, rules.now).ok()?;
                not_revoked(signed, certificate, &rules.revoked).ok()?;
                let names = certificate.principals.iter();
                Some(names.map(|it| String::from_utf8_lossy(it).to_ascii_lowercase()))
            });
            if let Some(names) = names {
                let known = self.certified_hosts.entry(blob.clone()).or_default();
                known.extend(names);
            }
            self.host_keys.entry(blob).or_default().push(id);
        }
        for identity in facts.clients.iter().flat_map(|it| &it.identities) {
            let public = identity.public.as_deref().unwrap_or_default();
            let Some(blob) = blob(public) else { continue };
            let file = identity.certificate.as_ref().and_then(FileFact::content);
            let signed = file.and_then(|file| certified(&file.bytes, public).ok());
            if signed.is_some_and(|signed| {
                let certificate = issued(&signed, CertRole::User, &rules.users, rules.now);
                certificate.is_ok_and(|it| not_revoked(&signed, it, &rules.revoked).is_ok())
            }) {
                self.certified_users.insert(blob.clone());
            }
            let owners = self.user_keys.entry(blob).or_default();
            if owners.last() != Some(&id) {
                owners.push(id);
            }
        }
    }

    /// The nodes whose a name is: the inventory gives it to them, or it is their inventory name with another domain; or,
    /// where that counts, an address that only one node has.
    pub(super) fn owners(&self, name: &str, reported: bool) -> &[NodeId] {
        let name = name.to_ascii_lowercase();
        if let Some(owners) = self.stated.get(&name) {
            return owners;
        }
        match name.parse::<IpAddr>() {
            Ok(address) => match self.addresses.get(&address.to_canonical()) {
                Some(owners) if reported && owners.len() == 1 => owners,
                _ => &[],
            },
            Err(_) => self.firsts.get(&first(&name)).map_or(&[], Vec::as_slice),
        }
    }

    /// The nodes that a host key is of.
    pub(super) fn hosts_with(&self, key: &PublicKey) -> &[NodeId] {
        let nodes = self.host_keys.get(key.plain_blob().as_bytes());
        nodes.map_or(&[], Vec::as_slice)
    }

    /// The nodes that log in with a key.
    pub(super) fn clients_with(&self, key: &PublicKey) -> &[NodeId] {
        let nodes = self.user_keys.get(key.plain_blob().as_bytes());
        nodes.map_or(&[], Vec::as_slice)
    }

    /// Whether a host key has a certificate for a name.
    pub(super) fn vouches(&self, key: &[u8], name: &str) -> bool {
        let names = self.certified_hosts.get(key);
        names.is_some_and(|it| it.iter().any(|it| it.eq_ignore_ascii_case(name)))
    }
}
