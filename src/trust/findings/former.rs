//! Keys that a repair once let in, of nodes that the inventory does not have any more.

use std::collections::BTreeSet;

use super::find::{file, on};
use super::fleet::Seen;
use crate::domain::{Finding, FindingCode, USER_AUTHORITY, node_of_comment};

pub(super) fn find(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    for (_, name, facts) in &seen.nodes {
        let accounts = facts.server.accounts.iter();
        for checked in accounts.flat_map(|it| &it.authorized_keys) {
            let Some(content) = checked.file.content() else {
                continue;
            };
            let path = &checked.file.path;
            for (former, line) in formers(&content.bytes, |node| seen.fleet.find(node).is_some()) {
                found.push(on(
                    name,
                    FindingCode::FormerNodeTrusted,
                    format!("{path} lets in a key of {former}, which the inventory does not have"),
                    vec![file(
                        name,
                        path,
                        Some(line),
                        "a line that a repair has written",
                    )],
                ));
            }
        }
    }
    found.dedup();
}

/// The nodes named behind keys that are none of the fleet's, each with the first line that names it.
fn formers(bytes: &[u8], is_node: impl Fn(&str) -> bool) -> Vec<(&str, usize)> {
    let mut named = BTreeSet::new();
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let mut found = Vec::new();
    for (number, line) in lines {
        let last = line.trim_ascii_end().rsplit(|byte| *byte == b' ').next();
        let former = last
            .filter(|word| *word != USER_AUTHORITY.as_bytes())
            .and_then(node_of_comment)
            .filter(|node| !node.is_empty() && !line.starts_with(b"#"))
            .filter(|node| !is_node(node));
        if let Some(former) = former
            && named.insert(former)
        {
            found.push((former, number + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_the_inventory_does_not_have_are_found_once() {
        let text =
            b"# clearway: begin\nrestrict,from=\"10.0.0.1\" ssh-ed25519 AAAA clearway:cmp1\n\
            restrict ssh-ed25519 AAAB clearway:cmp9\r\nssh-ed25519 AAAC clearway:cmp9\n\
            cert-authority ssh-ed25519 AAAD clearway:user-authority\nssh-ed25519 AAAE me@here\n\
            ssh-ed25519 AAAF clearway:\n# ssh-ed25519 AAAG clearway:cmp8\n# clearway: end\n";
        let found = formers(text, |node| node == "cmp1");
        assert_eq!(found, [("cmp9", 3)]);
    }
}
