//! Taking a node out of everybody's trust.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Fleet, Lane, NodeId, Reason};
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::PublicKey;
use crate::openssh::known_hosts::{KnownHosts, Marker};
use crate::repair::plan::{
    Answers, Attributes, Edit, FileState, Left, NodePlan, PLAN_SCHEMA, Plan, SshdChange, Target,
    Text,
};
use crate::survey::{FileFact, NodeFacts};
use crate::trust::PairScope;
use crate::trust::legs::Legs;

use super::drop_in::{DropIn, is_set_elsewhere};
use super::entries::{
    REVOKED, before, host_authority_entries, host_authority_lines, parts, revoked_entries,
    with_lines,
};
use super::names::owned_names;
use super::plan::ports;
use super::policy::{Authorities, Policy};
use super::sites::client_sites;
use super::wanted::surveyed;

/// Where sshd finds the binary revocation list.
const LIST: &str = "/etc/ssh/clearway-revoked.krl";

/// Everything that was revoked, as ssh-keygen(1) reads it ("KEY REVOCATION LISTS"): `id: …` and `key: …` lines and
/// comments. It is the operator's file: what nodes hold is made from it, and nothing is read back from them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationList {
    ids: BTreeSet<String>,
    keys: BTreeSet<String>,
}

/// A line that is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: neither `id: …` nor `key: TYPE BASE64`")]
pub struct BadRevocation {
    /// Number of the line, from 1.
    pub line: usize,
}

/// What `ssh-keygen -k` is given: for each authority, the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationParts {
    /// The authority's public key and the text of a specification file.
    pub by_authority: Vec<(PublicKey, String)>,
}

impl RevocationList {
    /// Reads the operator's file.
    ///
    /// # Errors
    /// The first line that is no entry.
    pub fn parse(text: &str) -> Result<Self, BadRevocation> {
        let mut list = Self::default();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if let Some(id) = text.strip_prefix("id:") {
                list.ids.insert(id.trim().to_owned());
            } else if let Some(key) = text.strip_prefix("key:")
                && let Ok((key, _)) = PublicKey::read(key.trim().as_bytes())
            {
                list.keys.insert(key.to_plain().to_string());
            } else {
                return Err(BadRevocation { line });
            }
        }
        Ok(list)
    }

    /// The file's text: the same list always gives the same.
    #[must_use]
    pub fn text(&self) -> String {
        let ids = self.ids.iter().map(|id| format!("id: {id}\n"));
        let keys = self.keys.iter().map(|key| format!("key: {key}\n"));
        let head =
            "# Revoked by clearway. Nodes hold lists that are made from this file: keep it.\n";
        std::iter::once(head.to_owned())
            .chain(ids)
            .chain(keys)
            .collect()
    }

    /// Whether nothing was revoked yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.keys.is_empty()
    }

    /// Whether certificates of this key id are revoked.
    #[must_use]
    pub fn has_id(&self, id: &[u8]) -> bool {
        std::str::from_utf8(id).is_ok_and(|id| self.ids.contains(id))
    }

    /// The first key id of this name that is not revoked: a node that comes back after it was revoked gets new ones.
    /// No `#`, with which ssh-keygen lets a comment begin.
    #[must_use]
    pub fn next_id(&self, name: &str) -> String {
        let mut number = 1_u64;
        loop {
            let id = format!("{name}:{number}");
            if !self.ids.contains(&id) {
                return id;
            }
            number += 1;
        }
    }

    /// Adds what a node could identify itself with.
    pub fn add(&mut self, revocation: &Revocation) {
        self.ids.extend(revocation.ids.iter().cloned());
        let keys = revocation.user_keys.iter().chain(&revocation.host_keys);
        self.keys.extend(keys.map(ToString::to_string));
    }

    /// What the binary list is made from.
    #[must_use]
    pub fn parts(&self, authorities: &Authorities) -> RevocationParts {
        let ids: String = self.ids.iter().map(|id| format!("id: {id}\n")).collect();
        let keys: String = self
            .keys
            .iter()
            .map(|key| format!("key: {key}\n"))
            .collect();
        let mut by_authority = vec![(authorities.users.clone(), format!("{ids}{keys}"))];
        if authorities.hosts != authorities.users {
            by_authority.push((authorities.hosts.clone(), ids));
        }
        RevocationParts { by_authority }
    }
}

/// What a node could identify itself with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocation {
    /// Inventory name.
    pub node: String,
    /// Key ids of its certificates, also of those that nobody can look at because the node does not answer.
    pub ids: BTreeSet<String>,
    /// The keys that it logs in with. Keys that other nodes have too are left out: they would be locked out with it.
    pub user_keys: Vec<PublicKey>,
    /// Its host keys, from its disk or, where it does not answer, as others have recorded them.
    pub host_keys: Vec<PublicKey>,
    /// Keys that it shares with other nodes.
    pub shared: Vec<PublicKey>,
}

impl Revocation {
    /// Collects it. The node itself need not answer.
    #[must_use]
    pub fn of(
        fleet: &Fleet,
        facts: &[Option<NodeFacts>],
        legs: &Legs,
        node: NodeId,
        list: &RevocationList,
    ) -> Self {
        let name = fleet.node(node).name.as_str();
        let mut revocation = Self {
            node: name.to_owned(),
            ..Self::default()
        };
        let accounts: BTreeSet<&str> = facts
            .iter()
            .flatten()
            .flat_map(|facts| &facts.clients)
            .filter_map(|client| client.account.as_ref().map(|it| it.name.as_str()))
            .collect();
        let users = accounts
            .iter()
            .map(|account| format!("clearway:user:{account}@{name}"));
        for prefix in std::iter::once(format!("clearway:host:{name}")).chain(users) {
            revocation.ids.insert(list.next_id(&prefix));
        }
        let others = |id: &NodeId| *id != node;
        let others: Vec<&NodeFacts> = fleet
            .ids()
            .filter(others)
            .filter_map(|id| facts[id.index()].as_ref())
            .collect();
        let theirs: Vec<PublicKey> = others.iter().flat_map(|it| user_keys(it)).collect();
        let their_hosts: Vec<PublicKey> = others.iter().flat_map(|it| host_keys(it)).collect();
        let (own_users, own_hosts) = match &facts[node.index()] {
            Some(facts) => (user_keys(facts), host_keys(facts)),
            None => (
                Vec::new(),
                recorded(
                    &others,
                    &owned_names(fleet, facts, legs, false)[node.index()].names,
                ),
            ),
        };
        for (own, theirs, into) in [
            (own_users, theirs, &mut revocation.user_keys),
            (own_hosts, their_hosts, &mut revocation.host_keys),
        ] {
            for key in own {
                if theirs.contains(&key) {
                    revocation.shared.push(key);
                } else if !into.contains(&key) {
                    into.push(key);
                }
            }
        }
        revocation
    }
}

fn user_keys(facts: &NodeFacts) -> Vec<PublicKey> {
    let identities = facts.clients.iter().flat_map(|client| &client.identities);
    let lines = identities.filter_map(|identity| identity.public.as_deref());
    lines
        .filter_map(|line| PublicKey::read(line.as_bytes()).ok())
        .map(|(key, _)| key.to_plain())
        .collect()
}

fn host_keys(facts: &NodeFacts) -> Vec<PublicKey> {
    let keys = facts.server.host_keys.iter();
    keys.filter_map(|key| PublicKey::read(key.public.as_bytes()).ok())
        .map(|(key, _)| key.to_plain())
        .collect()
}

fn recorded(facts: &[&NodeFacts], names: &[String]) -> Vec<PublicKey> {
    let files = facts.iter().flat_map(|facts| &facts.clients);
    let files = files.flat_map(|client| &client.known_hosts);
    let mut keys = Vec::new();
    let mut seen = BTreeSet::new();
    for content in files.filter_map(FileFact::content) {
        if !seen.insert(content.sha256) {
            continue;
        }
        let file = KnownHosts::parse(content.bytes.to_vec());
        for (_, entry) in file.entries() {
            let is_for_it = names.iter().any(|name| entry.hosts.matches(name));
            if entry.marker == Marker::None && is_for_it && !keys.contains(&entry.key) {
                keys.push(entry.key.clone());
            }
        }
    }
    keys
}

/// What takes a node out of the trust of all others in scope: its names go out of the authority's lines, its keys out of
/// authorized_keys, its host keys become `@revoked`, and `list` (made from [`RevocationList::parts`]) becomes their
/// sshd's `RevokedKeys`.
#[must_use]
pub fn revoke(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    scope: &PairScope,
    revocation: &Revocation,
    policy: &Policy,
    list: &[u8],
    inventory: &str,
) -> Plan {
    let legs = Legs::new(fleet, facts);
    let others = scope.nodes().iter().copied();
    let others: Vec<NodeId> = others
        .filter(|&id| fleet.node(id).name.as_str() != revocation.node)
        .collect();
    let others = PairScope::among(fleet, others);
    let sites = client_sites(
        fleet,
        facts,
        &legs,
        &others,
        &owned_names(fleet, facts, &legs, policy.reported_addresses),
    );
    let names: BTreeMap<*const _, &[String]> = sites
        .iter()
        .map(|site| (std::ptr::from_ref(site.facts), &*site.names))
        .collect();
    let mut plan = Plan {
        schema: PLAN_SCHEMA,
        inventory: inventory.to_owned(),
        keys: Vec::new(),
        copies: Vec::new(),
        commands: Vec::new(),
        nodes: Vec::new(),
        sshd: Vec::new(),
        left: Vec::new(),
    };
    for key in &revocation.shared {
        plan.left.push(Left {
            reason: Reason::KeyRevoked.code().to_owned(),
            legs: Vec::new(),
            why: format!(
                "{} shares the key {} with other nodes: revoking it would lock them out",
                revocation.node,
                key.fingerprint()
            ),
            remedy: "clearway keys rotate".to_owned(),
        });
    }
    for (id, node, facts) in surveyed(fleet, facts, &others) {
        let mut edits: Vec<Edit> = Vec::new();
        let profile = &fleet.node(id).profile;
        for client in &facts.clients {
            let names = names.get(&std::ptr::from_ref(client)).copied();
            for file in &client.known_hosts {
                let files = profile.files_context(&client.context);
                match distrust(file, &files, names, revocation, policy) {
                    Ok(edit) => edits.extend(edit),
                    Err(why) => plan.left.push(left(node, why)),
                }
            }
        }
        let files = facts
            .server
            .accounts
            .iter()
            .flat_map(|it| &it.authorized_keys);
        for file in files.map(|it| &it.file) {
            match lock_out(file, revocation) {
                Ok(edit) => edits.extend(edit),
                Err(why) => plan.left.push(left(node, why)),
            }
        }
        let mut seen = BTreeSet::new();
        edits.retain(|edit| seen.insert(edit.target.clone()));
        if !edits.is_empty() {
            plan.nodes.push(NodePlan {
                node: node.to_owned(),
                edits,
            });
        }
        match refuse(fleet, id, node, facts, list) {
            Ok(change) => plan.sshd.extend(change),
            Err(why) => plan.left.push(left(node, why)),
        }
    }
    plan
}

fn left(node: &str, why: String) -> Left {
    Left {
        reason: Reason::KeyRevoked.code().to_owned(),
        legs: Vec::new(),
        why: format!("{node}: {why}"),
        remedy: format!("clearway reasons {}", Reason::KeyRevoked.code()),
    }
}

fn answers(lane: Lane) -> Vec<Answers> {
    vec![Answers {
        reason: Reason::KeyRevoked.code().to_owned(),
        lane,
        client: None,
        server: None,
    }]
}

/// One known_hosts file that does not believe the node any more. `names` are those of the others that the authority
/// vouches for, where it does so in this file.
fn distrust(
    file: &FileFact,
    context: &[String],
    names: Option<&[String]>,
    revocation: &Revocation,
    policy: &Policy,
) -> Result<Option<Edit>, String> {
    let old = before(file)?;
    let FileState::File { attributes, .. } = old else {
        return Ok(None);
    };
    let (bytes, _) = parts(&old, attributes);
    let mut new = bytes.clone();
    let authority = &policy.authorities.hosts;
    let present = host_authority_entries(&new, Some(authority));
    if let (false, Some(names)) = (present.is_empty(), names) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        new = with_lines(&new, &present, &host_authority_lines(&names, authority));
    }
    let parsed = KnownHosts::parse(new.clone());
    let present = revoked_entries(&new);
    let known: Vec<String> = present
        .iter()
        .filter_map(|&number| parsed.entry(number).map(|it| it.key.to_string()))
        .collect();
    let mut keys: BTreeSet<String> = known.into_iter().collect();
    keys.extend(revocation.host_keys.iter().map(ToString::to_string));
    let lines: Vec<String> = keys
        .iter()
        .map(|key| format!("@revoked * {key} {REVOKED}"))
        .collect();
    new = with_lines(&new, &present, &lines);
    Ok((new != bytes).then(|| Edit {
        target: Target {
            context: context.to_vec(),
            path: file.path.clone(),
        },
        before: old.clone(),
        after: FileState::File {
            attributes,
            text: Text::known(new),
        },
        answers: answers(Lane::ColdPush),
    }))
}

/// One authorized_keys file without the node's keys.
fn lock_out(file: &FileFact, revocation: &Revocation) -> Result<Option<Edit>, String> {
    let old = before(file)?;
    let FileState::File { attributes, .. } = old else {
        return Ok(None);
    };
    let (bytes, _) = parts(&old, attributes);
    let parsed = AuthorizedKeys::parse(bytes.clone());
    let theirs: Vec<usize> = parsed
        .keys()
        .filter(|(_, line)| revocation.user_keys.contains(&line.key))
        .map(|(number, _)| number)
        .collect();
    if theirs.is_empty() {
        return Ok(None);
    }
    Ok(Some(Edit {
        target: Target {
            context: Vec::new(),
            path: file.path.clone(),
        },
        before: old,
        after: FileState::File {
            attributes,
            text: Text::known(with_lines::<&str>(&bytes, &theirs, &[])),
        },
        answers: answers(Lane::ColdPush),
    }))
}

/// The list of revoked keys, in force. Its directive is only there once something is revoked: where the file cannot be
/// read, sshd refuses every key.
fn refuse(
    fleet: &Fleet,
    id: NodeId,
    node: &str,
    facts: &NodeFacts,
    list: &[u8],
) -> Result<Option<SshdChange>, String> {
    let profile = &fleet.node(id).profile.sshd;
    if !profile.context.is_empty() {
        return Err("its sshd runs in a container, which clearway does not reload".to_owned());
    }
    let drop_in = DropIn::find(&facts.server, profile)?;
    if is_set_elsewhere(&facts.server, &drop_in, "RevokedKeys", None) {
        return Err(
            "its sshd has a RevokedKeys of its own, which clearway's would replace: add the keys there"
                .to_owned(),
        );
    }
    let present = facts.server.trust_files.iter().find(|it| it.path == LIST);
    let old = present.map_or(Ok(FileState::Absent), before)?;
    let root = Attributes {
        uid: 0,
        gid: 0,
        mode: 0o644,
    };
    let (bytes, attributes) = parts(&old, root);
    let mut edits = Vec::new();
    if bytes != list {
        edits.push(Edit {
            target: Target {
                context: Vec::new(),
                path: LIST.to_owned(),
            },
            before: old,
            after: FileState::File {
                attributes,
                text: Text::known(list),
            },
            answers: answers(Lane::ColdPush),
        });
    }
    let mut directives = drop_in.directives();
    let directive = format!("RevokedKeys {LIST}");
    if !directives.contains(&directive) {
        directives.push(directive);
    }
    if let Some(after) = drop_in.with(&directives) {
        edits.push(Edit {
            target: Target {
                context: Vec::new(),
                path: drop_in.path.clone(),
            },
            before: drop_in.before.clone(),
            after,
            answers: answers(Lane::ColdPush),
        });
    }
    Ok((!edits.is_empty()).then(|| SshdChange {
        node: node.to_owned(),
        binary: profile.binary.clone(),
        config: profile.config.clone(),
        ports: ports(&facts.server, profile.port),
        edits,
    }))
}
