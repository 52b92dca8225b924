//! A second opinion on plans of certificates: what they may touch, and what they may say. It shares nothing with the
//! planner but the parsers.

use std::collections::BTreeSet;

use super::super::policy::Policy;
use crate::domain::Fleet;
use crate::openssh::Lines;
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::{CertRole, PublicKey};
use crate::openssh::known_hosts::{Hosts, KnownHosts, Marker};
use crate::repair::plan::{Edit, FileState, Plan};

/// Complains of the first thing that a plan which only adds must not do.
pub(super) fn only_adds(plan: &Plan, fleet: &Fleet, policy: &Policy) {
    for node in &plan.nodes {
        for edit in &node.edits {
            file_of_trust(edit, &node.node, fleet, policy);
        }
    }
    for change in &plan.sshd {
        for edit in &change.edits {
            let path = edit.target.path.as_str();
            if path.ends_with("-cert.pub") {
                certificate(edit, CertRole::Host, &change.node, fleet, policy);
            } else {
                assert!(path.starts_with("/etc/ssh/sshd_config"), "{path}");
                let added = added(edit);
                let is_ours = |line: &String| {
                    line.starts_with('#') || line.starts_with("HostCertificate /etc/ssh/")
                };
                assert!(added.iter().all(is_ours), "{added:?}");
            }
        }
    }
}

fn file_of_trust(edit: &Edit, node: &str, fleet: &Fleet, policy: &Policy) {
    let path = edit.target.path.as_str();
    if let FileState::Directory { attributes } = edit.after {
        assert!(
            path.ends_with("/.ssh") && attributes.mode == 0o700,
            "{path}"
        );
        return;
    }
    if path.ends_with("-cert.pub") {
        return certificate(edit, CertRole::User, node, fleet, policy);
    }
    for line in added(edit) {
        if path.ends_with("known_hosts") {
            let file = KnownHosts::parse(line.clone().into_bytes());
            let entry = file.entry(1).expect("a line that ssh reads");
            assert_eq!(
                (entry.marker, &entry.key),
                (Marker::CertAuthority, &policy.authorities.hosts)
            );
            let Hosts::List(names) = &entry.hosts else {
                panic!("{line}");
            };
            let names = std::str::from_utf8(names).unwrap();
            for name in names.split(',') {
                assert!(!name.contains(['*', '?', '!']), "{line}");
                let known = fleet.nodes.iter().any(|node| is_of(node, name));
                assert!(known, "{name} is no name of a node");
            }
        } else {
            assert!(path.ends_with("authorized_keys"), "{path}");
            let file = AuthorizedKeys::parse(line.clone().into_bytes());
            let key = file.key(1).expect("a line that sshd reads");
            let options = key.options.as_ref().unwrap();
            assert_eq!(key.key, policy.authorities.users);
            assert!(options.cert_authority && options.restricted, "{line}");
            assert!(!options.pty && !options.port_forwarding && !options.agent_forwarding);
            assert_eq!(options.principals.as_deref(), Some(&b"nova"[..]));
        }
    }
}

fn certificate(edit: &Edit, role: CertRole, node: &str, fleet: &Fleet, policy: &Policy) {
    let text = lines(&edit.after).join("\n");
    let (key, _) = PublicKey::read_file(text.as_bytes()).unwrap();
    let certificate = key.certificate().unwrap();
    assert_eq!(certificate.role, role);
    assert!(certificate.extensions.is_empty());
    let authority = match role {
        CertRole::Host => &policy.authorities.hosts,
        CertRole::User => &policy.authorities.users,
    };
    assert_eq!(certificate.authority, *authority);
    assert!(!certificate.principals.is_empty());
    assert!(certificate.valid_before < policy.now + 400 * 86_400);
    let node = fleet.node(fleet.find(node).unwrap());
    for principal in &certificate.principals {
        let principal = std::str::from_utf8(principal).unwrap();
        match role {
            CertRole::Host => assert!(is_of(node, principal), "{principal} is not {}", node.name),
            CertRole::User => assert_eq!(principal, "nova"),
        }
    }
}

/// Whether the inventory says, in the widest sense, that a name is the node's.
fn is_of(node: &crate::domain::Node, name: &str) -> bool {
    let label = |name: &str| {
        name.split('.')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let stated = [
        &node.migration_address,
        &node.service_host,
        &node.live_address,
    ];
    let stated = stated.into_iter().flatten().any(|it| it == name);
    stated || node.control.address == name || label(node.name.as_str()) == label(name)
}

/// The lines that are new; all others must still be there, in their order.
fn added(edit: &Edit) -> Vec<String> {
    let before = lines(&edit.before);
    let mut rest = before.iter().peekable();
    let mut added = Vec::new();
    for line in lines(&edit.after) {
        if rest.peek() == Some(&&line) {
            rest.next();
        } else {
            added.push(line);
        }
    }
    // What is replaced is clearway's own.
    let gone: BTreeSet<&String> = rest.collect();
    assert!(
        gone.iter().all(|line| line.contains("clearway")),
        "{}: {gone:?}",
        edit.target.path
    );
    added
}

fn lines(state: &FileState) -> Vec<String> {
    let bytes = state.text().and_then(|text| text.bytes(|_| None));
    let lines = Lines::new(bytes.unwrap_or_default());
    let all = (1..=lines.len()).filter_map(|number| lines.raw(number));
    all.map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}
