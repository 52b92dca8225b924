//! Taking a node out of everybody's trust, where there is no certificate authority.

use super::input::Situation;
use super::rotate::user_keys;
use super::withdraw::withdraw;
use crate::domain::{Reason, fold, node_of_comment};
use crate::openssh::authorized_keys::{AuthorizedKey, AuthorizedKeys};
use crate::openssh::key::{Fingerprint, KeyError, PublicKey};
use crate::openssh::known_hosts::{HostName, KnownHosts, Marker};
use crate::openssh::server_config::ServerSettings;
use crate::repair::certificates::{RevocationList, owned_names};
use crate::repair::plan::{Left, PLAN_SCHEMA, Plan, RetiredKey, Turnover};
use crate::survey::{Answer, FileFact, NodeFacts};

/// What is taken out of the others' trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Inventory name of the node.
    pub node: String,
    /// Keys that the operator names: public ones.
    pub keys: Vec<PublicKey>,
    /// Fingerprints that the operator names; every key with one of them that a file of a node has.
    pub fingerprints: Vec<String>,
}

/// A line that is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: no public key")]
pub struct BadKeyFile {
    /// Number of the line, from 1.
    pub line: usize,
    #[source]
    why: KeyError,
}

impl Revocation {
    /// Of a node, with nothing that the operator names.
    #[must_use]
    pub fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            keys: Vec::new(),
            fingerprints: Vec::new(),
        }
    }

    /// Takes a fingerprint (`SHA256:…`). Whether it is one.
    pub fn name_fingerprint(&mut self, text: &str) -> bool {
        let is_one = Fingerprint::parse(text).is_some();
        if is_one {
            self.fingerprints.push(text.to_owned());
        }
        is_one
    }

    /// Takes the public keys of a file, one on each line.
    ///
    /// # Errors
    /// The first line that is none; blank lines are left out.
    pub fn name_keys(&mut self, text: &str) -> Result<(), BadKeyFile> {
        for (line, text) in (1..).zip(text.lines()) {
            if text.trim().is_empty() {
                continue;
            }
            let key = PublicKey::read(text.trim().as_bytes());
            let (key, _) = key.map_err(|why| BadKeyFile { line, why })?;
            self.keys.push(key.to_plain());
        }
        Ok(())
    }
}

/// Plans that no other node trusts a node any more: the keys that it has on its disk, those that others have under its name,
/// and those that the operator names go out of authorized_keys; its host keys go out of known_hosts. No other line does, and
/// no key that another node has, too: that would be lost with it.
///
/// What keys do not reach is left: a certificate of the node's is valid wherever its authority is believed. `revoked` is
/// what an authority has revoked already.
#[must_use]
pub fn plan_revocation(
    situation: &Situation<'_>,
    revocation: &Revocation,
    revoked: &RevocationList,
) -> Plan {
    let mut plan = Plan {
        schema: PLAN_SCHEMA,
        inventory: situation.inventory.to_owned(),
        keys: Vec::new(),
        copies: Vec::new(),
        commands: Vec::new(),
        nodes: Vec::new(),
        sshd: Vec::new(),
        turnover: Turnover::default(),
        left: Vec::new(),
    };
    // One that is not in the inventory any more may still be in files.
    let node = situation.fleet.find(&revocation.node);
    let own = node.and_then(|id| situation.facts[id.index()].as_ref());
    let others: Vec<&NodeFacts> = (situation.scope.nodes().iter())
        .filter(|&&id| Some(id) != node)
        .filter_map(|id| situation.facts[id.index()].as_ref())
        .collect();
    let mut users: Vec<PublicKey> = own.into_iter().flat_map(user_keys).collect();
    users.extend(revocation.keys.iter().map(PublicKey::to_plain));
    users.extend(admitted(&others, revocation));
    let mut hosts: Vec<PublicKey> = own.into_iter().flat_map(host_keys).collect();
    hosts.extend(recorded(situation, &revocation.node, &others));
    let holders = |key: &PublicKey, host: bool| {
        let ids = situation
            .scope
            .nodes()
            .iter()
            .filter(|&&id| Some(id) != node);
        let holders = ids.filter(|id| {
            let facts = situation.facts[id.index()].as_ref();
            facts.is_some_and(|it| match host {
                true => host_keys(it).any(|it| it == *key),
                false => user_keys(it).any(|it| it == *key),
            })
        });
        let names: Vec<&str> = holders
            .map(|&id| situation.fleet.node(id).name.as_str())
            .collect();
        (!names.is_empty()).then(|| fold(names))
    };
    for (keys, host) in [(users, false), (hosts, true)] {
        for key in keys {
            let retired = RetiredKey {
                node: revocation.node.clone(),
                public: key.to_string(),
                host,
            };
            if let Some(holders) = holders(&key, host) {
                let again = format!("`clearway keys revoke {}` again", revocation.node);
                let (what, remedy) = if host {
                    let make = format!(
                        "On {holders}: make new host keys (`ssh-keygen -A` makes those that are missing), reload sshd, `clearway repair`"
                    );
                    ("host key", make)
                } else {
                    let rotate = format!("`clearway keys rotate --limit {holders}`");
                    ("key", rotate)
                };
                let left = Left {
                    reason: Reason::KeyRevoked.code().to_owned(),
                    legs: Vec::new(),
                    why: format!(
                        "{holders} has the {what} {} of {}, too: taking it out would lock it out with it",
                        key.fingerprint(),
                        revocation.node
                    ),
                    remedy: format!("{remedy}, then {again}."),
                };
                if !plan.left.contains(&left) {
                    plan.left.push(left);
                }
            } else if !plan.turnover.retired.contains(&retired) {
                plan.turnover.retired.push(retired);
            }
        }
    }
    plan.left
        .extend(certificates(situation, &revocation.node, own, revoked));
    plan.turnover.retired.sort_unstable();
    plan.nodes = withdraw(situation, &plan.turnover.retired, node);
    plan
}

/// Says who believes certificates, where the node has one that nobody has revoked, or may have one.
fn certificates(
    situation: &Situation<'_>,
    node: &str,
    own: Option<&NodeFacts>,
    revoked: &RevocationList,
) -> Option<Left> {
    let held = match own {
        Some(own) if has_certificate(own, revoked) => {
            format!("a certificate of {node} stays valid")
        }
        Some(_) => return None,
        None => format!("a certificate of {node}, if it has one, stays valid"),
    };
    let believers = situation.scope.nodes().iter().filter(|&&id| {
        let facts = situation.facts[id.index()].as_ref();
        situation.fleet.node(id).name.as_str() != node && facts.is_some_and(believes)
    });
    let names: Vec<&str> = believers
        .map(|&id| situation.fleet.node(id).name.as_str())
        .collect();
    (!names.is_empty()).then(|| Left {
        reason: Reason::KeyRevoked.code().to_owned(),
        legs: Vec::new(),
        why: format!("{held} on {}, which believe its authority", fold(names)),
        remedy: format!("clearway keys revoke {node} --ca FILE"),
    })
}

/// For its users or its hosts, on a key that is not revoked.
fn has_certificate(own: &NodeFacts, revoked: &RevocationList) -> bool {
    let users = own.clients.iter().flat_map(|it| &it.identities);
    let users = users.filter_map(|it| Some((it.certificate.as_ref()?, it.public.as_deref())));
    let hosts = own.server.host_keys.iter();
    let hosts = hosts.filter_map(|it| Some((it.certificate.as_ref()?, Some(it.public.as_str()))));
    let mut there = users
        .chain(hosts)
        .filter(|(file, _)| file.content().is_some());
    there.any(|(_, public)| {
        let key = public.and_then(|text| PublicKey::read(text.trim().as_bytes()).ok());
        !key.is_some_and(|(key, _)| revoked.has_key(&key))
    })
}

/// Whether a node lets users in, or believes hosts, by certificates.
fn believes(facts: &NodeFacts) -> bool {
    let accounts = facts.server.accounts.iter();
    let mut admitting = accounts
        .flat_map(|it| &it.authorized_keys)
        .filter_map(|it| it.file.content());
    let mut recording = facts
        .clients
        .iter()
        .flat_map(|it| &it.known_hosts)
        .filter_map(FileFact::content);
    admitting.any(|content| {
        let parsed = AuthorizedKeys::parse(content.bytes.to_vec());
        let is_authority = |key: &AuthorizedKey| {
            let options = key.options.as_ref();
            options.is_ok_and(|it| it.cert_authority)
        };
        parsed.keys().any(|(_, key)| is_authority(key))
    }) || recording.any(|content| {
        let parsed = KnownHosts::parse(content.bytes.to_vec());
        parsed
            .entries()
            .any(|(_, entry)| entry.marker == Marker::CertAuthority)
    }) || trusts_authorities(facts)
}

fn trusts_authorities(facts: &NodeFacts) -> bool {
    let Answer::Output(content) = &facts.server.base_config else {
        return false;
    };
    let settings = ServerSettings::parse(&content.bytes).ok();
    settings.is_some_and(|it| it.trusted_user_ca_keys.is_some())
}

fn host_keys(facts: &NodeFacts) -> impl Iterator<Item = PublicKey> {
    let keys = facts.server.host_keys.iter();
    let read = keys.filter_map(|key| PublicKey::read(key.public.trim().as_bytes()).ok());
    read.map(|(key, _)| key.to_plain())
}

/// The keys that files of others let in under the node's name, or that have a fingerprint which the operator names.
fn admitted(others: &[&NodeFacts], revocation: &Revocation) -> Vec<PublicKey> {
    let accounts = others.iter().flat_map(|it| &it.server.accounts);
    let files = accounts.flat_map(|it| &it.authorized_keys);
    let mut keys = Vec::new();
    for content in files.filter_map(|it| it.file.content()) {
        for (_, line) in AuthorizedKeys::parse(content.bytes.to_vec()).keys() {
            let fingerprint = line.key.fingerprint().to_string();
            let is_named = revocation.fingerprints.contains(&fingerprint);
            if is_named || is_of(&line.comment, &revocation.node) {
                keys.push(line.key.to_plain());
            }
        }
    }
    keys
}

/// Whether a comment says that a key is a node's: clearway's own, and what `ssh-keygen` writes by itself.
fn is_of(comment: &[u8], node: &str) -> bool {
    if let Some(name) = node_of_comment(comment) {
        return name == node;
    }
    let text = std::str::from_utf8(comment.trim_ascii()).unwrap_or_default();
    text.rsplit_once('@').is_some_and(|(_, host)| {
        host == node || host.split_once('.').is_some_and(|(host, _)| host == node)
    })
}

/// The host keys that others have recorded under names which are the node's, or that clearway has recorded as its.
fn recorded(situation: &Situation<'_>, node: &str, others: &[&NodeFacts]) -> Vec<PublicKey> {
    let names: Vec<String> = situation.fleet.find(node).map_or_else(Vec::new, |id| {
        let owned = owned_names(situation.fleet, situation.facts, situation.legs, false);
        // Of a node that does not answer, nobody knows what is dialled; the inventory has its names all the same.
        let port = situation.fleet.node(id).profile.sshd.port;
        let stated = situation.fleet.node(id).stated_names();
        let stated = stated.map(|name| HostName::new(name, port).first());
        stated.chain(owned[id.index()].names.clone()).collect()
    });
    let files = others.iter().flat_map(|it| &it.clients);
    let files = files.flat_map(|it| &it.known_hosts);
    let mut keys = Vec::new();
    for content in files.filter_map(FileFact::content) {
        for (_, entry) in KnownHosts::parse(content.bytes.to_vec()).entries() {
            let is_its = node_of_comment(&entry.comment) == Some(node)
                || names.iter().any(|name| entry.hosts.matches(name));
            if entry.marker == Marker::None && is_its && !keys.contains(&entry.key) {
                keys.push(entry.key.clone());
            }
        }
    }
    keys
}
