//! Keys that a repair once let in, of nodes that the inventory does not have any more or does not let in any more.

use std::collections::{BTreeSet, HashSet};

use super::find::{file, on};
use super::fleet::Seen;
use crate::domain::{Finding, FindingCode, USER_AUTHORITY, node_of_comment};

pub(super) fn find(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    // Of a node that has another name now, the key is still a node's.
    let clients = (seen.nodes.iter()).flat_map(|(_, _, facts)| &facts.clients);
    let present: HashSet<&[u8]> = clients
        .flat_map(|client| &client.identities)
        .filter_map(|identity| identity.public.as_deref()?.split(' ').nth(1))
        .map(str::as_bytes)
        .collect();
    for (id, name, facts) in &seen.nodes {
        let accounts = facts.server.accounts.iter();
        for checked in accounts.flat_map(|it| &it.authorized_keys) {
            let Some(content) = checked.file.content() else {
                continue;
            };
            let path = &checked.file.path;
            let mut told = BTreeSet::new();
            for line in lines(&content.bytes).filter(|line| !line.node.is_empty()) {
                let (code, why) = match seen.fleet.find(line.node) {
                    Some(other) => {
                        let joined = seen.fleet.in_scope(other, *id);
                        if joined || seen.fleet.in_scope(*id, other) || other == *id {
                            continue;
                        }
                        let why = "which has no pair with it in scope";
                        (FindingCode::OutOfScopeTrusted, why)
                    }
                    None if present.contains(line.key) => continue,
                    None => {
                        let why = "which the inventory does not have";
                        (FindingCode::FormerNodeTrusted, why)
                    }
                };
                if !told.insert(line.node) {
                    continue;
                }
                let node = line.node;
                found.push(on(
                    name,
                    code,
                    format!("{path} lets in a key of {node}, {why}"),
                    vec![file(
                        name,
                        path,
                        Some(line.number),
                        "a line that a repair has written",
                    )],
                ));
            }
        }
    }
    found.dedup();
}

/// A line that a repair has written.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    number: usize,
    /// The node that it was written for.
    node: &'a str,
    /// The key, as it stands there.
    key: &'a [u8],
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    lines.filter_map(|(number, line)| {
        let mut words = line.trim_ascii_end().rsplit(|byte| *byte == b' ');
        let last = words.next()?;
        if line.starts_with(b"#") || last == USER_AUTHORITY.as_bytes() {
            return None;
        }
        let node = node_of_comment(last)?;
        let key = words.next()?;
        Some(Line { number, node, key })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_a_repair_has_written_are_known_by_their_comments() {
        let text =
            b"# clearway: begin\nrestrict,from=\"10.0.0.1\" ssh-ed25519 AAAA clearway:cmp1\n\
            restrict ssh-ed25519 AAAB clearway:cmp9\r\n\
            cert-authority ssh-ed25519 AAAD clearway:user-authority\nssh-ed25519 AAAE me@here\n\
            # ssh-ed25519 AAAG clearway:cmp8\n# clearway: end\n";
        let line = |number, node, key| Line { number, node, key };
        let expected = [line(2, "cmp1", &b"AAAA"[..]), line(3, "cmp9", b"AAAB")];
        assert_eq!(lines(text).collect::<Vec<_>>(), expected);
    }
}
