//! The second step: lines of plain keys go, once certificates do their work.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::{CertRole, PublicKey};
use crate::openssh::known_hosts::{Hosts, KnownHosts, Marker};
use crate::repair::plan::{Answers, Edit, FileState, NodePlan, PLAN_SCHEMA, Plan, Target, Text};
use crate::survey::{FileFact, NodeFacts};
use crate::trust::PairScope;
use crate::trust::legs::Legs;

use super::entries::{before, parts, with_lines};
use super::policy::Policy;
use super::sites::client_sites;
use super::standing::trusted_names;
use super::wanted::surveyed;
use crate::domain::{Fleet, HOST_AUTHORITY, Lane, NodeId, Reason, USER_AUTHORITY};

/// What takes the plain keys of certified nodes out of known_hosts and authorized_keys, and lines of clearway's for other
/// authorities than today's. Names that no certificate is for, keys with a forced command, and every other line stay.
///
/// Only after certificates are proven: hold [`super::Outlook`] against it first.
#[must_use]
pub fn retire(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    scope: &PairScope,
    policy: &Policy,
    inventory: &str,
) -> Plan {
    let legs = Legs::new(fleet, facts);
    let owned = trusted_names(fleet, facts, &legs, policy);
    let sites = client_sites(fleet, facts, &legs, scope, &owned);
    let certified = Certified::of(fleet, facts, scope, policy);
    let mut edits: BTreeMap<NodeId, Vec<Edit>> = BTreeMap::new();
    for site in &sites {
        let names: BTreeSet<&str> = site.names.all.iter().map(String::as_str).collect();
        for file in &site.facts.known_hosts {
            let edit = forget(file, &names, &certified.hosts, policy);
            let of_node = edits.entry(site.node).or_default();
            of_node.extend(edit.map(|(old, after)| Edit {
                target: Target {
                    context: site.files.clone(),
                    path: file.path.clone(),
                },
                before: old,
                after,
                label: None,
                answers: answers(),
            }));
        }
    }
    for (id, _, facts) in surveyed(fleet, facts, scope) {
        let files = facts
            .server
            .accounts
            .iter()
            .flat_map(|it| &it.authorized_keys);
        for file in files.map(|it| &it.file) {
            let edit = dismiss(file, &certified.users, policy);
            let of_node = edits.entry(id).or_default();
            of_node.extend(edit.map(|(old, after)| Edit {
                target: Target {
                    context: fleet.node(id).profile.sshd.context.clone(),
                    path: file.path.clone(),
                },
                before: old,
                after,
                label: None,
                answers: answers(),
            }));
        }
    }
    let nodes = edits.into_iter().filter_map(|(id, mut edits)| {
        let mut seen = HashSet::new();
        edits.retain(|edit| seen.insert(edit.target.clone()));
        (!edits.is_empty()).then(|| NodePlan {
            node: fleet.node(id).name.to_string(),
            edits,
        })
    });
    Plan {
        schema: PLAN_SCHEMA,
        inventory: inventory.to_owned(),
        keys: Vec::new(),
        copies: Vec::new(),
        commands: Vec::new(),
        nodes: nodes.collect(),
        sshd: Vec::new(),
        turnover: crate::repair::plan::Turnover::default(),
        left: Vec::new(),
    }
}

fn answers() -> Vec<Answers> {
    vec![Answers {
        reason: Reason::KeyNotAuthorized.code().to_owned(),
        lane: Lane::ColdPush,
        client: None,
        server: None,
    }]
}

/// The plain keys that have a certificate of today's authorities.
struct Certified {
    /// Host keys, with the names that their certificate is for.
    hosts: HashMap<PublicKey, BTreeSet<String>>,
    users: HashSet<PublicKey>,
}

impl Certified {
    fn of(fleet: &Fleet, facts: &[Option<NodeFacts>], scope: &PairScope, policy: &Policy) -> Self {
        let mut certified = Self {
            hosts: HashMap::new(),
            users: HashSet::new(),
        };
        for (_, _, facts) in surveyed(fleet, facts, scope) {
            let of_hosts = facts.server.host_keys.iter();
            let of_hosts = of_hosts.filter_map(|key| key.certificate.as_ref());
            let of_users = facts.clients.iter().flat_map(|it| &it.identities);
            let of_users = of_users.filter_map(|identity| identity.certificate.as_ref());
            for file in of_hosts.chain(of_users) {
                let content = file.content();
                let key = content.and_then(|it| PublicKey::read_file(&it.bytes).ok());
                let Some((key, _)) = key else { continue };
                let Some(certificate) = key.certificate() else {
                    continue;
                };
                let lasts = certificate.valid_after <= policy.now
                    && certificate.valid_before > policy.now
                    && !policy.revoked.has_id(&certificate.key_id)
                    && !policy.revoked.has_key(&key);
                if !lasts || certificate.authority != *policy.authority(certificate.role) {
                    continue;
                }
                let names = certificate.principals.iter();
                let names = names.map(|name| String::from_utf8_lossy(name).into_owned());
                match certificate.role {
                    CertRole::Host => {
                        certified
                            .hosts
                            .entry(key.to_plain())
                            .or_default()
                            .extend(names);
                    }
                    CertRole::User => {
                        certified.users.insert(key.to_plain());
                    }
                }
            }
        }
        certified
    }
}

/// A known_hosts file without the names that certificates vouch for; a line whose last name goes, goes with it.
fn forget(
    file: &FileFact,
    dialled: &BTreeSet<&str>,
    certified: &HashMap<PublicKey, BTreeSet<String>>,
    policy: &Policy,
) -> Option<(FileState, FileState)> {
    let old = before(file).ok()?;
    let FileState::File { attributes, .. } = old else {
        return None;
    };
    let (bytes, _) = parts(&old, attributes);
    let parsed = KnownHosts::parse(bytes.clone());
    let mut gone = Vec::new();
    let mut shorter: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    for (number, entry) in parsed.entries() {
        if entry.marker == Marker::CertAuthority {
            let is_ours = entry.comment.trim_ascii() == HOST_AUTHORITY.as_bytes();
            if is_ours && entry.key != policy.authorities.hosts {
                gone.push(number);
            }
            continue;
        }
        let Some(names) = certified.get(&entry.key) else {
            continue;
        };
        if entry.marker != Marker::None {
            continue;
        }
        let vouched = |name: &str| {
            let plain = name.strip_prefix('[').and_then(|it| it.split_once("]:"));
            dialled.contains(name) && names.contains(plain.map_or(name, |(plain, _)| plain))
        };
        match &entry.hosts {
            Hosts::Hashed(hashed) => {
                let mut dialled = dialled.iter();
                if dialled.any(|name| hashed.matches(name.as_bytes()) && vouched(name)) {
                    gone.push(number);
                }
            }
            Hosts::List(list) => {
                let Ok(list) = std::str::from_utf8(list) else {
                    continue;
                };
                // What a pattern or a negation matches beyond the fleet is not clearway's to judge.
                if list.contains(['*', '?', '!']) {
                    continue;
                }
                let all = list.split(',');
                let kept: Vec<&str> = all
                    .filter(|name| !vouched(&name.to_ascii_lowercase()))
                    .collect();
                if kept.is_empty() {
                    gone.push(number);
                } else if kept.len() < list.split(',').count() {
                    let line = parsed.raw_line(number).unwrap_or_default();
                    let place = line
                        .windows(list.len())
                        .position(|window| window == list.as_bytes());
                    if let Some(place) = place {
                        let (start, rest) = line.split_at(place);
                        let kept = kept.join(",");
                        let line = [start, kept.as_bytes(), &rest[list.len()..]].concat();
                        shorter.insert(number, line);
                    }
                }
            }
        }
    }
    let mut new = bytes.clone();
    // Lines keep their numbers while they are only rewritten.
    for (number, line) in shorter {
        new = with_lines(&new, &[number], &[line]);
    }
    new = with_lines::<&str>(&new, &gone, &[]);
    (new != bytes).then(|| {
        let text = Text::known(new);
        (old.clone(), FileState::File { attributes, text })
    })
}

/// An authorized_keys file without the plain keys that certificates stand for.
fn dismiss(
    file: &FileFact,
    certified: &HashSet<PublicKey>,
    policy: &Policy,
) -> Option<(FileState, FileState)> {
    let old = before(file).ok()?;
    let FileState::File { attributes, .. } = old else {
        return None;
    };
    let (bytes, _) = parts(&old, attributes);
    let parsed = AuthorizedKeys::parse(bytes.clone());
    let mut gone = Vec::new();
    let mut is_trusted = false;
    for (number, line) in parsed.keys() {
        let Ok(options) = &line.options else { continue };
        if options.cert_authority {
            let is_ours = line.comment.trim_ascii() == USER_AUTHORITY.as_bytes();
            is_trusted |= is_ours && line.key == policy.authorities.users;
            if is_ours && line.key != policy.authorities.users {
                gone.push(number);
            }
        } else if options.command.is_none() && certified.contains(&line.key) {
            gone.push(number);
        }
    }
    // A file without the authority's line stays as it is: something is not as the first step left it.
    if !is_trusted || gone.is_empty() {
        return None;
    }
    let text = Text::known(with_lines::<&str>(&bytes, &gone, &[]));
    Some((old, FileState::File { attributes, text }))
}
