//! Settings of ssh and sshd that are unsafe, or not the same where they should be; clocks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::find::{file, on};
use super::fleet::{Seen, setting};
use crate::domain::{Evidence, Finding, FindingCode, Lane, LegId, NodeId};
use crate::openssh::key::{KeyBlob, PublicKey};
use crate::openssh::known_hosts::{KnownHosts, Marker};
use crate::survey::{Answer, ClientFacts, NodeFacts};

/// Certificates and logs bear this much.
const SECONDS_APART: i64 = 30;
/// sshd's own default is 10:30:100.
const USUAL_STARTUPS: u32 = 10;
/// What matters of a client for a lane.
const CLIENT: &[&str] = &[
    "certificatefile",
    "controlmaster",
    "globalknownhostsfile",
    "hostkeyalias",
    "identityfile",
    "port",
    "proxycommand",
    "proxyjump",
    "pubkeyauthentication",
    "stricthostkeychecking",
    "user",
    "userknownhostsfile",
];
/// What matters of a server for a lane.
const SERVER: &[&str] = &[
    "allowgroups",
    "allowusers",
    "authenticationmethods",
    "authorizedkeysfile",
    "denygroups",
    "denyusers",
    "forcecommand",
    "permitrootlogin",
    "port",
    "pubkeyauthentication",
    "strictmodes",
    "subsystem",
    "trustedusercakeys",
    "usepam",
];

pub(super) fn find(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    for (id, name, facts) in &seen.nodes {
        for client in &facts.clients {
            for lane in seen.lanes_of(*id, client) {
                root_lane(seen, *id, name, lane, client, found);
            }
            if !seen.lanes_of(*id, client).is_empty() {
                unchecked(seen, *id, name, client, found);
            }
        }
        clock(name, facts, found);
        startups(name, facts, found);
    }
    differing(seen, found);
}

/// Who dials. Whoever is not known is not taken for root.
fn account(client: &ClientFacts) -> &str {
    client.account.as_ref().map_or("?", |it| it.name.as_str())
}

fn root_lane(
    seen: &Seen<'_>,
    id: NodeId,
    name: &str,
    lane: Lane,
    client: &ClientFacts,
    found: &mut Vec<Finding>,
) {
    let Some(&server) = seen.scope.nodes().iter().find(|&&other| other != id) else {
        return;
    };
    let leg = seen.legs.leg(LegId {
        lane,
        client: id,
        server,
    });
    let Some(leg) = leg else { return };
    let configured = setting(&client.base_config, "user").unwrap_or(account(client));
    if leg.user.as_deref().unwrap_or(configured) == "root" {
        found.push(on(
            name,
            FindingCode::RootLane,
            format!("{lane} logs in as root"),
            vec![Evidence::Fact {
                node: Some(name.to_owned()),
                text: format!("{} dials others as root@", account(client)),
            }],
        ));
    }
}

/// Any host key is taken, or one that nobody compared.
fn unchecked(
    seen: &Seen<'_>,
    id: NodeId,
    name: &str,
    client: &ClientFacts,
    found: &mut Vec<Finding>,
) {
    let strict = setting(&client.base_config, "stricthostkeychecking").unwrap_or("ask");
    let files = setting(&client.base_config, "userknownhostsfile").unwrap_or_default();
    let nowhere = files
        .split_ascii_whitespace()
        .all(|path| path == "/dev/null" || path == "none");
    let detail = match strict {
        "false" | "no" | "off" => "StrictHostKeyChecking no",
        "accept-new" if nowhere => "StrictHostKeyChecking accept-new, and nowhere to record",
        _ => return,
    };
    found.push(on(
        name,
        FindingCode::HostKeysNotChecked,
        format!("{}: {detail}", account(client)),
        vec![Evidence::Fact {
            node: Some(name.to_owned()),
            text: format!("ssh -G: stricthostkeychecking {strict}, userknownhostsfile {files}"),
        }],
    ));
    stale(seen, id, name, client, found);
}

/// Recorded keys that only `StrictHostKeyChecking no` lets pass.
fn stale(seen: &Seen<'_>, id: NodeId, name: &str, client: &ClientFacts, found: &mut Vec<Finding>) {
    let mut owned: BTreeMap<NodeId, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (blob, owner) in &seen.host_keys {
        let blobs = owned.entry(*owner).or_default();
        blobs.insert(KeyBlob::as_bytes(blob).to_vec());
    }
    for fact in &client.known_hosts {
        let Some(content) = fact.content() else {
            continue;
        };
        let document = KnownHosts::parse(&*content.bytes);
        for (dialled, nodes) in &seen.names {
            let Some((server, keys)) = nodes
                .first()
                .filter(|_| nodes.len() == 1)
                .and_then(|node| Some((node, owned.get(node)?)))
            else {
                continue;
            };
            if *server == id {
                continue;
            }
            let recorded: Vec<(usize, &PublicKey)> = document
                .entries()
                .filter(|(_, entry)| entry.marker == Marker::None && entry.hosts.matches(dialled))
                .map(|(line, entry)| (line, &entry.key))
                .collect();
            let is_right = |key: &PublicKey| keys.contains(key.plain_blob().as_bytes());
            if let Some((line, _)) = recorded.first()
                && !recorded.iter().any(|(_, key)| is_right(key))
            {
                let server = &seen.fleet.node(*server).name;
                found.push(on(
                    name,
                    FindingCode::HostKeyStaleButAccepted,
                    format!(
                        "{}: what is recorded for {dialled} is no key of {server}",
                        account(client)
                    ),
                    vec![file(
                        name,
                        &fact.path,
                        Some(*line),
                        "no host key on the disk of that node",
                    )],
                ));
            }
        }
    }
}

fn clock(name: &str, facts: &NodeFacts, found: &mut Vec<Finding>) {
    let Some(skew) = facts.clock_skew.filter(|it| it.abs() > SECONDS_APART) else {
        return;
    };
    // Positive when the controller is ahead.
    let side = if skew > 0 { "behind" } else { "ahead" };
    found.push(on(
        name,
        FindingCode::ClockSkew,
        format!("its clock is {} s {side}", skew.abs()),
        vec![Evidence::Fact {
            node: Some(name.to_owned()),
            text: format!("{} s since the epoch when it was asked", facts.clock),
        }],
    ));
}

fn startups(name: &str, facts: &NodeFacts, found: &mut Vec<Finding>) {
    let Some(value) = setting(&facts.server.base_config, "maxstartups") else {
        return;
    };
    let first = value
        .split(':')
        .next()
        .and_then(|it| it.parse::<u32>().ok());
    if first.is_some_and(|it| it < USUAL_STARTUPS) {
        found.push(on(
            name,
            FindingCode::MaxStartupsLow,
            format!("MaxStartups {value}"),
            vec![Evidence::Fact {
                node: Some(name.to_owned()),
                text: format!("sshd -T: maxstartups {value}"),
            }],
        ));
    }
}

/// Nodes of one group, or of one cell without groups, that do not have what most of the others have.
fn differing(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    let mut groups: BTreeMap<String, Vec<(&str, &NodeFacts)>> = BTreeMap::new();
    for (id, name, facts) in &seen.nodes {
        let node = seen.fleet.node(*id);
        let group = node.groups.last().or(node.cell.as_ref());
        let group = group.cloned().unwrap_or_default();
        groups.entry(group).or_default().push((name, facts));
    }
    for (group, nodes) in groups {
        let place = if group.is_empty() {
            "the inventory".to_owned()
        } else {
            format!("group {group}")
        };
        let servers = nodes.iter();
        let servers = servers.map(|(name, facts)| (*name, &facts.server.base_config));
        minority(
            &servers.collect::<Vec<_>>(),
            SERVER,
            &mut |name, keyword, value, usual| {
                let detail = format!("sshd: {keyword} is {value}, in {place} mostly {usual}");
                found.push(on(name, FindingCode::SshdConfigDiffers, detail, Vec::new()));
            },
        );
        let contexts = nodes.iter().map(|(_, facts)| facts.clients.len()).max();
        for place_of_client in 0..contexts.unwrap_or(0) {
            let clients = nodes.iter().filter_map(|(name, facts)| {
                let client = facts.clients.get(place_of_client)?;
                client
                    .failed
                    .is_none()
                    .then_some((*name, &client.base_config))
            });
            minority(
                &clients.collect::<Vec<_>>(),
                CLIENT,
                &mut |name, keyword, value, usual| {
                    let detail = format!("ssh: {keyword} is {value}, in {place} mostly {usual}");
                    found.push(on(name, FindingCode::SshConfigDiffers, detail, Vec::new()));
                },
            );
        }
    }
}

/// All values that were printed for a keyword, as one text.
fn values(answer: &Answer, keyword: &str) -> String {
    let Answer::Output(content) = answer else {
        return "not known".to_owned();
    };
    let text = String::from_utf8_lossy(&content.bytes);
    let found: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(key, _)| key.eq_ignore_ascii_case(keyword))
        .map(|(_, value)| value.trim())
        .collect();
    if found.is_empty() {
        "not set".to_owned()
    } else {
        found.join(" ")
    }
}

/// Calls `tell` with every node, keyword and value that is not the one which more than half of the nodes have, and with
/// that one.
fn minority<'n>(
    nodes: &[(&'n str, &Answer)],
    keywords: &[&str],
    tell: &mut dyn FnMut(&'n str, &str, &str, &str),
) {
    // Most nodes print the same: each text is searched once.
    let mut kinds: Vec<&Answer> = Vec::new();
    let mut numbers: HashMap<Option<[u8; 32]>, usize> = HashMap::new();
    let mut all: Vec<(&'n str, usize)> = Vec::with_capacity(nodes.len());
    for (name, answer) in nodes {
        let identity = match answer {
            Answer::Output(content) => Some(content.sha256),
            Answer::Failed { .. } => None,
        };
        let number = *numbers.entry(identity).or_insert_with(|| {
            kinds.push(answer);
            kinds.len() - 1
        });
        all.push((name, number));
    }
    if kinds.len() < 2 {
        return;
    }
    for keyword in keywords {
        let values: Vec<String> = kinds.iter().map(|kind| values(kind, keyword)).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, kind) in &all {
            *counts.entry(&values[*kind]).or_default() += 1;
        }
        if counts.len() < 2 {
            continue;
        }
        let Some((usual, _)) = counts.iter().find(|(_, count)| **count * 2 > all.len()) else {
            continue;
        };
        for (name, kind) in &all {
            let value = &values[*kind];
            if value != usual {
                tell(name, keyword, value, usual);
            }
        }
    }
}
