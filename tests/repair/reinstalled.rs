//! A node with new host keys under its old name.

use std::io::Write as _;

use clearway_lab::Lab;

use crate::binary::clearway;
use crate::rotate::{verified, working};
use crate::support::{KNOWN_HOSTS, sh};

/// Records the host keys of a node where the operator's control connections look them up, instead of the old ones.
pub(crate) fn record(lab: &Lab, name: &str) {
    let node = lab.node(name);
    let known = lab.control_known_hosts();
    let address = node.address().to_string();
    let text = std::fs::read_to_string(known).unwrap();
    let is_its = |line: &&str| {
        let names = line.split(' ').next().unwrap_or_default();
        let bare = |it: &str| it.trim_start_matches('[').split(']').next() == Some(&*address);
        names.split(',').any(|it| it == name || bare(it))
    };
    let names: Vec<&str> = text
        .lines()
        .filter(is_its)
        .filter_map(|it| it.split(' ').next())
        .collect();
    let names = names.first().expect("it was known").to_string();
    let mut kept: String = text
        .lines()
        .filter(|it| !is_its(it))
        .map(|it| format!("{it}\n"))
        .collect();
    for key in sh(node, "cat /etc/ssh/ssh_host_*_key.pub").lines() {
        let key: Vec<&str> = key.split(' ').take(2).collect();
        kept.push_str(&format!("{names} {}\n", key.join(" ")));
    }
    let mut file = std::fs::File::create(known).unwrap();
    file.write_all(kept.as_bytes()).unwrap();
}

#[test]
fn its_old_host_keys_are_replaced_everywhere_and_fingerprints_are_shown() {
    let Some(lab) = working(3) else { return };
    let node = lab.node("node2");
    let fingerprint = || {
        let line = sh(node, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
        line.split(' ').nth(1).unwrap().to_owned()
    };
    let key = || sh(node, "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub");
    let (old, old_key) = (fingerprint(), key());
    sh(
        node,
        "rm /etc/ssh/ssh_host_*; ssh-keygen -qA; kill -HUP $(cat /run/sshd.pid)",
    );
    record(&lab, "node2");
    let (new, new_key) = (fingerprint(), key());
    let shown = clearway(&lab, &["repair", "--diff"]);
    assert_eq!(shown.code(), 1, "{shown:?}");
    assert!(shown.out.contains("host-key-changed"), "{shown:?}");
    assert!(
        shown.out.contains(&old) && shown.out.contains(&new),
        "{shown:?}"
    );
    let repaired = clearway(&lab, &["repair", "--yes"]);
    assert_eq!(repaired.code(), 0, "{repaired:?}");
    for name in ["node1", "node3"] {
        let known = sh(lab.node(name), &format!("cat {KNOWN_HOSTS}"));
        assert!(
            known.contains(&new_key) && !known.contains(&old_key),
            "{known}"
        );
    }
    verified(&lab, "reinstalled");
}
