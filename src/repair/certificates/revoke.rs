//! Taking a node out of everybody's trust.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Fleet, Lane, NodeId, REVOKED, Reason};
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
    before, host_authority_entries, host_authority_lines, parts, revoked_entries, with_lines,
};
use super::names::owned_names;
use super::policy::Policy;
use super::revocation_list::RevocationList;
use super::server_side::ports;
use super::sites::client_sites;
use super::wanted::surveyed;

/// Where sshd finds the binary revocation list.
const LIST: &str = "/etc/ssh/clearway-revoked.krl";

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
        turnover: crate::repair::plan::Turnover::default(),
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
            match lock_out(file, &profile.sshd.context, revocation) {
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
        label: None,
        answers: answers(Lane::ColdPush),
    }))
}

/// One authorized_keys file without the node's keys.
fn lock_out(
    file: &FileFact,
    context: &[String],
    revocation: &Revocation,
) -> Result<Option<Edit>, String> {
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
            context: context.to_vec(),
            path: file.path.clone(),
        },
        before: old,
        after: FileState::File {
            attributes,
            text: Text::known(with_lines::<&str>(&bytes, &theirs, &[])),
        },
        label: None,
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
            label: None,
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
            label: None,
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
