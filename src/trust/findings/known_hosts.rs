//! known_hosts: lines that cannot be read, vouch for too many, or for nobody.

use std::collections::{BTreeSet, HashMap};

use super::find::{file, on};
use super::fleet::{Seen, setting};
use crate::domain::{Evidence, Finding, FindingCode, NodeId};
use crate::openssh::key::KeyBlob;
use crate::openssh::known_hosts::{Hosts, KnownHosts, Line, Marker};
use crate::survey::{ClientFacts, FileState};

/// Findings of one kind from one file are listed up to here; a last one counts the rest.
const MOST_PER_FILE: usize = 5;

/// What a distinct file says; found once however many nodes have it.
struct Remark {
    code: FindingCode,
    line: usize,
    text: String,
}

pub(super) fn find(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    let mut known: HashMap<[u8; 32], Vec<Remark>> = HashMap::new();
    let mut single = HashMap::new();
    for (id, name, facts) in &seen.nodes {
        for client in &facts.clients {
            if seen.lanes_of(*id, client).is_empty() {
                continue;
            }
            rewritten(name, client, &mut single, found);
            let revoked = setting(&client.base_config, "revokedhostkeys");
            // A list of revoked keys is no known_hosts file.
            let files = client.known_hosts.iter();
            for fact in files.filter(|it| Some(&*it.path) != revoked) {
                if let FileState::Present { meta, .. } = &fact.state
                    && meta.symlink
                {
                    found.push(on(
                        name,
                        FindingCode::UserConfigSymlinked,
                        format!("{} is a symbolic link", fact.path),
                        vec![file(name, &fact.path, None, "a symbolic link")],
                    ));
                }
                let Some(content) = fact.content() else {
                    continue;
                };
                let remarks = known
                    .entry(content.sha256)
                    .or_insert_with(|| read(seen, &content.bytes));
                for remark in remarks {
                    let at = if remark.line == 0 {
                        fact.path.clone()
                    } else {
                        format!("{}:{}", fact.path, remark.line)
                    };
                    let line = (remark.line > 0).then_some(remark.line);
                    found.push(on(
                        name,
                        remark.code,
                        format!("{at} {}", remark.text),
                        vec![file(name, &fact.path, line, &remark.text)],
                    ));
                }
            }
        }
    }
    found.dedup_by(|a, b| {
        let same = a.code == b.code && a.nodes == b.nodes && a.detail == b.detail;
        same && matches!(a.evidence.first(), Some(Evidence::FileLine { .. }))
    });
}

/// The first of the account's files that ssh would add the far end's other keys to: the setting is on, which is the
/// default, and a key is recorded for one name alone. `client_input_hostkeys` of clientloop.c leaves the file alone where
/// the host is found in a list, by a pattern or as an authority, and where its key stands under another name too.
fn rewritten(
    node: &str,
    client: &ClientFacts,
    single: &mut HashMap<[u8; 32], Option<usize>>,
    found: &mut Vec<Finding>,
) {
    if !matches!(
        setting(&client.base_config, "updatehostkeys"),
        Some("true" | "yes")
    ) {
        return;
    }
    let own = setting(&client.base_config, "userknownhostsfile").unwrap_or_default();
    for path in own.split_ascii_whitespace() {
        let fact = client.known_hosts.iter().find(|it| it.path == path);
        let Some(content) = fact.and_then(|fact| fact.content()) else {
            continue;
        };
        let line = single
            .entry(content.sha256)
            .or_insert_with(|| single_name(&content.bytes));
        if let Some(line) = *line {
            found.push(on(
                node,
                FindingCode::UpdateHostKeys,
                format!("ssh may rewrite {path}"),
                vec![file(node, path, Some(line), "for one name alone")],
            ));
            return;
        }
    }
}

/// The first line whose key is recorded for one name alone.
fn single_name(bytes: &[u8]) -> Option<usize> {
    let document = KnownHosts::parse(bytes);
    let is_simple = |hosts: &Hosts| match hosts {
        Hosts::Hashed(_) => true,
        Hosts::List(list) => !list.iter().any(|byte| b"*?!,".contains(byte)),
    };
    let mut lines_of: HashMap<&KeyBlob, usize> = HashMap::new();
    for (_, entry) in document.entries() {
        *lines_of.entry(entry.key.plain_blob()).or_default() += 1;
    }
    let mut entries = document.entries();
    let found = entries.find(|(_, entry)| {
        entry.marker == Marker::None
            && is_simple(&entry.hosts)
            && lines_of[entry.key.plain_blob()] == 1
    });
    found.map(|(line, _)| line)
}

fn read(seen: &Seen<'_>, bytes: &[u8]) -> Vec<Remark> {
    let document = KnownHosts::parse(bytes);
    let mut remarks: HashMap<FindingCode, Vec<Remark>> = HashMap::new();
    for (line, content) in document.lines() {
        let remark = match content {
            Line::Bad(why) => Some((
                FindingCode::KnownHostsBadLine,
                format!("is skipped by ssh: {why}"),
            )),
            // Certificate authorities vouch for many by their nature, and revocations should match all.
            Line::Entry(entry) if entry.marker == Marker::None => {
                match &entry.hosts {
                    Hosts::List(_) => {
                        let matched: BTreeSet<NodeId> = seen
                            .names
                            .iter()
                            .filter(|(name, _)| {
                                entry.hosts.matches(name) || ported(seen, name, &entry.hosts)
                            })
                            .flat_map(|(_, nodes)| nodes.iter().copied())
                            .collect();
                        if matched.len() > 1 {
                            Some((
                                FindingCode::KnownHostsPatternBroad,
                                format!("vouches with one key for {} nodes", matched.len()),
                            ))
                        } else if matched.is_empty() {
                            let owner = seen.host_keys.get(entry.key.plain_blob());
                            let owner = owner.filter(|owner| !seen.unnamed.contains(owner));
                            owner.map(|&owner| {
                            let owner = &seen.fleet.node(owner).name;
                            (
                                FindingCode::KnownHostsNeverMatches,
                                format!("has a host key of {owner}, but matches no name that is dialled"),
                            )
                        })
                        } else {
                            None
                        }
                    }
                    Hosts::Hashed(_) => None,
                }
            }
            _ => None,
        };
        if let Some((code, text)) = remark {
            remarks
                .entry(code)
                .or_default()
                .push(Remark { code, line, text });
        }
    }
    let mut all = Vec::new();
    for (code, mut of_kind) in remarks {
        let rest = of_kind.len().saturating_sub(MOST_PER_FILE);
        of_kind.truncate(MOST_PER_FILE);
        all.append(&mut of_kind);
        if rest > 0 {
            all.push(Remark {
                code,
                line: 0,
                text: format!("has {rest} more such lines"),
            });
        }
    }
    all.sort_by_key(|remark| (remark.code, remark.line == 0, remark.line));
    all
}

/// Whether an entry matches the name with a port that a lane dials.
fn ported(seen: &Seen<'_>, name: &str, hosts: &Hosts) -> bool {
    seen.ports
        .iter()
        .any(|port| hosts.matches(&format!("[{name}]:{port}")))
}
