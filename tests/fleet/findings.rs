//! What is true of nodes and breaks no leg: each is found where it is, and nowhere else.

use std::collections::BTreeSet;
use std::time::Duration;

use clearway_lab::{Image, Lab, LabSupport};

use crate::clearway::{check, quiet_lab_on};

/// Code, node and detail of what a survey finds.
fn found(lab: &Lab) -> BTreeSet<(String, String, String)> {
    let options = ["--format", "json", "--predict-only"];
    let report = check(lab, &options, Duration::from_secs(180)).report();
    assert_eq!(report.summary.surveyed, lab.nodes().len() as u64);
    let findings = report.findings.into_iter();
    findings.map(|it| (it.code, it.nodes, it.detail)).collect()
}

#[test]
fn what_sets_one_node_apart_is_found_on_that_node_alone() {
    for image in [Image::Distribution, Image::Newer] {
        if !LabSupport::skips_test_on(image) {
            sets_apart(&quiet_lab_on(image, 5));
        }
    }
}

fn sets_apart(lab: &Lab) {
    let usual = found(lab);
    let plants = [
        (
            "node1",
            "cd /var/lib/nova/.ssh; cp id_ed25519 id_rsa; chown nova: id_rsa; chmod 644 id_rsa",
        ),
        (
            "node2",
            "echo 'MaxStartups 5:30:60' >/etc/ssh/sshd_config.d/10-lab.conf",
        ),
        (
            "node3",
            "echo 'AllowUsers nova deploy' >/etc/ssh/sshd_config.d/10-lab.conf",
        ),
        (
            "node4",
            "echo 'StrictHostKeyChecking accept-new' >/etc/ssh/ssh_config.d/10-lab.conf",
        ),
        (
            "node5",
            // Its clock, where the survey reads it: time is the machine's own in every namespace.
            r#"cat >/usr/local/bin/awk <<'END'
#!/bin/sh
/usr/bin/awk "$@" | while IFS= read -r line; do
	case $line in
	clock*) printf 'clock\t%s\n' $((${line#clock?} + 600)) ;;
	*) printf '%s\n' "$line" ;;
	esac
done
END
chmod 755 /usr/local/bin/awk"#,
        ),
    ];
    for (node, plant) in plants {
        assert!(
            lab.node(node).sh(plant).unwrap().status.success(),
            "{plant}"
        );
    }
    let found = found(lab);
    let new: Vec<_> = found.difference(&usual).collect();
    let expected = [
        ("clock-skew", "node5", "its clock is "),
        ("max-startups-low", "node2", "MaxStartups 5:30:60"),
        (
            "private-key-copy-readable",
            "node1",
            "/var/lib/nova/.ssh/id_rsa can be read by others (mode 0644",
        ),
        (
            "ssh-config-differs",
            "node4",
            "ssh: stricthostkeychecking is accept-new, in group lab mostly ask",
        ),
        (
            "sshd-config-differs",
            "node3",
            "sshd: allowusers is nova deploy, in group lab mostly not set",
        ),
    ];
    // What every node of a lab has in common is found with or without the plants, and is none of this.
    let codes = expected.map(|(code, ..)| code);
    assert!(
        !usual.iter().any(|(code, ..)| codes.contains(&&**code)),
        "{usual:#?}"
    );
    assert_eq!(new.len(), expected.len(), "{new:#?}");
    for ((code, node, detail), (wanted, place, begins)) in new.into_iter().zip(expected) {
        assert_eq!((code.as_str(), node.as_str()), (wanted, place));
        assert!(detail.starts_with(begins), "{detail}");
    }
}
