//! Taking a node out of everybody's trust.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Fleet, Lane, NodeId, Reason, SshdProfile};
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::PublicKey;
use crate::openssh::known_hosts::{KnownHosts, Marker};
use crate::repair::plan::{
    Answers, Edit, FileState, Left, NodePlan, PLAN_SCHEMA, Plan, SshdChange, Target, Text,
};
use crate::survey::{FileFact, NodeFacts, ServerFacts};
use crate::trust::PairScope;
use crate::trust::legs::Legs;

use super::drop_in::DropIn;
use super::entries::{
    before, host_authority_entries, host_authority_lines, parts, with_lines, with_revoked,
};
use super::names::owned_names;
use super::policy::Policy;
use super::revocation_list::RevocationList;
use super::server_side::{ports, refuse};
use super::sites::{Names, client_sites};
use super::standing::{host_keys, is_out, trusted_names};
use super::told::{Problem, Told};
use super::wanted::surveyed;

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
            Some(facts) => (user_keys(facts), host_keys(facts).collect()),
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
/// authorized_keys, its host keys become `@revoked`, and `list` (made from [`RevocationList::text`]) becomes their
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
    let is_other = |id: &NodeId| {
        // What was revoked before is out, too.
        let is_out = |facts: &NodeFacts| is_out(facts, &policy.revoked);
        fleet.node(*id).name.as_str() != revocation.node
            && !facts[id.index()].as_ref().is_some_and(is_out)
    };
    let others: Vec<NodeId> = scope.nodes().iter().copied().filter(is_other).collect();
    let others = PairScope::among(fleet, others);
    let sites = client_sites(
        fleet,
        facts,
        &legs,
        &others,
        &trusted_names(fleet, facts, &legs, policy),
    );
    let mut told = Told::default();
    let names: BTreeMap<*const _, &Names> = sites
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
                    Err(why) => told.problem(node, &Problem::new(Reason::KeyRevoked, why)),
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
                Err(why) => told.problem(node, &Problem::new(Reason::KeyRevoked, why)),
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
        match refuse_it((node, &profile.sshd), &facts.server, list) {
            Ok(change) => plan.sshd.extend(change),
            Err(problem) => told.problem(node, &problem),
        }
    }
    plan.left.extend(told.left());
    plan
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
    names: Option<&Names>,
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
        let lines = host_authority_lines(&names.beside(&new, &present), authority);
        new = with_lines(&new, &present, &lines);
    }
    let keys = revocation.host_keys.iter().chain(policy.revoked.keys());
    new = with_revoked(&new, keys);
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

/// The list of revoked keys, in force.
fn refuse_it(
    (node, profile): (&str, &SshdProfile),
    server: &ServerFacts,
    list: &[u8],
) -> Result<Option<SshdChange>, Problem> {
    let problem = |why| Problem::new(Reason::KeyRevoked, why);
    if !profile.context.is_empty() {
        let why = "its sshd runs in a container, which clearway does not reload";
        return Err(problem(why.to_owned()));
    }
    let drop_in = DropIn::find(server, profile).map_err(problem)?;
    let refusing = refuse(server, &drop_in, list)?;
    let mut edits: Vec<Edit> = refusing.edit.into_iter().collect();
    let mut directives = drop_in.directives();
    if !directives.contains(&refusing.directive) {
        directives.push(refusing.directive);
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
        ports: ports(server, profile.port),
        edits,
    }))
}
