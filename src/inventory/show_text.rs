//! The text of `clearway inventory show`.

use std::collections::BTreeMap;
use std::fmt;

use super::problem::printable;
use super::show::{ResolvedNode, Shown};
use crate::domain::{Dial, HostKeyTrust, Lane, LaneUse, Scope, fold};

/// Properties that usually differ from node to node; nodes are folded in spite of them.
const OWN: [&str; 6] = [
    "service_host",
    "migration_address",
    "live_address",
    "control.address",
    "control.host_key_alias",
    "control.host_key",
];

/// What is shown for a property that nothing states.
const UNSTATED: [(&str, &str); 5] = [
    ("service_host", "(nova.conf says)"),
    ("migration_address", "(nova.conf says)"),
    ("live_address", "(nova.conf says)"),
    ("control.identity", "(the usual files in ~/.ssh)"),
    (
        "control.known_hosts",
        "(~/.ssh/known_hosts, /etc/ssh/ssh_known_hosts)",
    ),
];

/// Longer values push the origin to the right instead of being cut.
const VALUE_WIDTH: usize = 40;

/// One line: property, value (`None`: not stated) and origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    path: String,
    value: Option<String>,
    origin: Option<String>,
    /// Whether the origin is the entry of the node itself.
    in_entry: bool,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nodes whose rows agree, apart from the values that are each node's own; in order of the first of each.
        let mut order: Vec<Vec<Row>> = Vec::new();
        let mut alike: BTreeMap<Vec<Row>, Vec<(&str, Vec<Row>)>> = BTreeMap::new();
        for node in &self.nodes {
            let rows = rows(node);
            let mut key = rows.clone();
            for row in &mut key {
                if row.in_entry {
                    row.origin = None;
                }
                if OWN.contains(&row.path.as_str()) && row.value.is_some() {
                    row.value = Some(String::new());
                }
            }
            let members = alike.entry(key.clone()).or_default();
            if members.is_empty() {
                order.push(key);
            }
            members.push((node.node.name.as_str(), rows));
        }
        for key in order {
            let members = &alike[&key];
            let names = fold(members.iter().map(|(name, _)| name));
            match members.len() {
                1 => writeln!(f, "{names}")?,
                count => writeln!(f, "{names} ({count} nodes)")?,
            }
            for index in 0..key.len() {
                let same: Vec<&Row> = members.iter().map(|(_, rows)| &rows[index]).collect();
                write_row(f, &same)?;
            }
            writeln!(f)?;
        }
        write_scope(f, &self.scope)
    }
}

/// One line for the same row of several nodes.
fn write_row(f: &mut fmt::Formatter<'_>, rows: &[&Row]) -> fmt::Result {
    let Row {
        path,
        value,
        origin,
        ..
    } = rows[0];
    let unstated = UNSTATED.iter().find(|(known, _)| known == path);
    let value = match (value, unstated) {
        (None, None) => return Ok(()),
        (None, Some((_, text))) => (*text).to_owned(),
        (Some(value), _) if rows.iter().all(|row| row.value == rows[0].value) => printable(value),
        _ if path == "control.host_key" => format!("({} different)", rows.len()),
        _ => printable(&fold(rows.iter().filter_map(|row| row.value.as_deref()))),
    };
    let origin = match origin {
        None => return writeln!(f, "  {path:24} {value}"),
        Some(origin) if rows.iter().all(|row| row.origin == rows[0].origin) => printable(origin),
        Some(_) => "each node's own entry".to_owned(),
    };
    writeln!(f, "  {path:24} {value:VALUE_WIDTH$} {origin}")
}

fn write_scope(f: &mut fmt::Formatter<'_>, scope: &Scope) -> fmt::Result {
    match scope {
        Scope::All => write!(f, "scope: every node to every other"),
        Scope::PerCell => write!(f, "scope: every node to every other of its cell"),
        Scope::Groups(rules) => {
            write!(f, "scope:")?;
            for rule in rules {
                write!(f, "\n  {} to {}", rule.from.join(", "), rule.to.join(", "))?;
            }
            Ok(())
        }
    }
}

/// Every property of a node, in the order of the documentation; all nodes have the same rows.
fn rows(resolved: &ResolvedNode) -> Vec<Row> {
    let node = &resolved.node;
    let control = &node.control;
    let profile = &node.profile;
    let paths = |paths: &[std::path::PathBuf]| {
        let texts: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        listed(&texts)
    };
    let jump: Vec<String> = control
        .jump
        .iter()
        .map(|hop| format!("{}@{}", hop.user, with_port(&hop.address, hop.port)))
        .collect();
    let HostKeyTrust {
        known_hosts,
        alias,
        pinned,
    } = &control.host_key;
    let mut values = vec![
        ("groups".to_owned(), listed(&node.groups)),
        ("cell".to_owned(), node.cell.clone()),
        ("service_host".to_owned(), node.service_host.clone()),
        (
            "migration_address".to_owned(),
            node.migration_address.clone(),
        ),
        ("live_address".to_owned(), node.live_address.clone()),
        ("control.address".to_owned(), Some(control.address.clone())),
        ("control.port".to_owned(), Some(control.port.to_string())),
        ("control.user".to_owned(), Some(control.user.clone())),
        ("control.sudo".to_owned(), Some(yes_no(control.sudo))),
        ("control.identity".to_owned(), paths(&control.identities)),
        ("control.agent".to_owned(), Some(yes_no(control.agent))),
        ("control.known_hosts".to_owned(), paths(known_hosts)),
        ("control.host_key".to_owned(), listed(pinned)),
        ("control.host_key_alias".to_owned(), alias.clone()),
        (
            "control.jump".to_owned(),
            (!jump.is_empty()).then(|| jump.join(" → ")),
        ),
        ("profile".to_owned(), Some(profile.name.clone())),
        ("nova_conf".to_owned(), listed(&profile.nova_conf)),
        (
            "nova_context".to_owned(),
            Some(command(&profile.nova_context)),
        ),
        (
            "sshd.context".to_owned(),
            Some(command(&profile.sshd.context)),
        ),
        ("sshd.binary".to_owned(), Some(profile.sshd.binary.clone())),
        ("sshd.config".to_owned(), Some(profile.sshd.config.clone())),
        ("sshd.port".to_owned(), Some(profile.sshd.port.to_string())),
    ];
    for name in Lane::ALL {
        let lane = profile.lane(name);
        let used = match lane.used {
            LaneUse::Auto => "auto",
            LaneUse::Yes => "yes",
            LaneUse::No => "no",
        };
        let dial = match lane.dial {
            Dial::MigrationAddress => "migration-address",
            Dial::ServiceHost => "service-host",
            Dial::LiveAddress => "live-address",
        };
        values.extend([
            (format!("lanes.{name}.used"), Some(used.to_owned())),
            (
                format!("lanes.{name}.context"),
                Some(command(&lane.context)),
            ),
            (format!("lanes.{name}.dial"), Some(dial.to_owned())),
            (format!("lanes.{name}.user"), lane.user.clone()),
            (
                format!("lanes.{name}.port"),
                lane.port.map(|port| port.to_string()),
            ),
            (format!("lanes.{name}.identity"), lane.identity.clone()),
        ]);
    }
    let repair = &profile.repair;
    let word = |text: &str| Some(text.to_owned());
    values.extend([
        ("trust".to_owned(), word(repair.trust.as_str())),
        ("keys".to_owned(), word(repair.keys.as_str())),
        ("key_type".to_owned(), word(repair.key_type.as_str())),
        ("known_hosts".to_owned(), word(repair.known_hosts.as_str())),
        (
            "nova_root".to_owned(),
            Some(command(&profile.files_context(&profile.nova_context))),
        ),
    ]);
    values
        .into_iter()
        .map(|(path, value)| {
            let origin = resolved.from.get(&path);
            Row {
                origin: origin.map(|from| format!("{}, {}:{}", from.layer, from.file, from.line)),
                in_entry: origin.is_some_and(|from| from.in_entry),
                path,
                value,
            }
        })
        .collect()
}

fn listed(texts: &[String]) -> Option<String> {
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn command(words: &[String]) -> String {
    if words.is_empty() {
        "(the host itself, as root)".to_owned()
    } else {
        words.join(" ")
    }
}

fn with_port(address: &str, port: u16) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}
