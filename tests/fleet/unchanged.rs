//! What a check leaves as it found it.

use std::collections::BTreeSet;
use std::time::Duration;

use clearway_lab::{LabSupport, Node};

use crate::clearway::{check, quiet_lab};

#[test]
fn probes_leave_known_hosts_and_files_as_they_were() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(3);
    // Where OpenSSH itself would write: a name or an address that known_hosts does not have is learnt. No file at all, one
    // that lacks some, and one for all accounts beside that of each.
    for (node, script) in [
        ("node1", "accepts accept-new; rm $kh"),
        ("node2", "accepts no; sed -i '/^node3/d' $kh; chown nova:nova $kh"),
        (
            "node3",
            "accepts ask 'CheckHostIP yes'; cat $kh >>/etc/ssh/ssh_known_hosts; chmod 644 /etc/ssh/ssh_known_hosts
             sed -i 's/^\\(node[0-9]*\\),[^ ]* /\\1,\\1.lab /' $kh; chown nova:nova $kh",
        ),
    ] {
        let script = format!(
            "set -e; kh=/var/lib/nova/.ssh/known_hosts
             accepts() {{ printf 'Host *\\n  StrictHostKeyChecking %s\\n  %s\\n' \"$@\" >/etc/ssh/ssh_config.d/50-learn.conf; }}
             {script}"
        );
        let done = lab.node(node).sh(&script).unwrap();
        assert!(
            done.status.success(),
            "{node}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
    let before: Vec<_> = lab.nodes().iter().map(files).collect();
    assert!(before.iter().all(|files| files.len() > 100));

    let ended = check(&lab, &["--format", "json"], Duration::from_secs(120));
    let report = ended.report();
    assert!(report.legs.iter().any(|leg| leg.verdict == "verified"));
    assert!(
        report.legs.iter().all(|leg| leg.verdict == "verified"),
        "{:#?}",
        report.legs
    );
    assert!(
        !report
            .findings
            .iter()
            .any(|finding| finding.code == "prediction-differs"),
        "{:#?}",
        report.findings
    );
    for (node, before) in lab.nodes().iter().zip(&before) {
        let after = files(node);
        let changed: Vec<_> = before.symmetric_difference(&after).collect();
        assert!(changed.is_empty(), "{}: {changed:#?}", node.name());
    }
}

#[test]
fn the_finding_that_ssh_rewrites_known_hosts_is_what_ssh_does() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(3);
    let known_hosts = "/var/lib/nova/.ssh/known_hosts";
    // One key of each node is recorded, so that there are more to learn: for one name alone, in a list of names, and
    // under several names, each hashed.
    let only = |more: &str| {
        format!("set -e; sed -i '/ecdsa/d; {more}' {known_hosts}; chown nova:nova {known_hosts}")
    };
    let single = only(r"s/^node\([0-9]*\),[^ ]*/node\1.lab/");
    let hashed = format!(
        "{}; ssh-keygen -q -H -f {known_hosts}; rm {known_hosts}.old; chown nova:nova {known_hosts}",
        only("")
    );
    for (node, script) in [("node1", single), ("node2", hashed), ("node3", only(""))] {
        assert!(lab.node(node).sh(&script).unwrap().status.success());
    }

    let options = ["--format", "json", "--predict-only"];
    let report = check(&lab, &options, Duration::from_secs(120)).report();
    let nodes: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.code == "update-host-keys")
        .map(|finding| finding.nodes.as_str())
        .collect();
    assert_eq!(nodes, ["node1"]);
    for (name, other, rewrites) in [
        ("node1", "node2", true),
        ("node2", "node1", false),
        ("node3", "node2", false),
    ] {
        let node = lab.node(name);
        let read = || std::fs::read(node.path(known_hosts)).unwrap();
        let before = read();
        let login = format!("runuser -u nova -- ssh -o BatchMode=yes {other}.lab true");
        assert!(node.sh(&login).unwrap().status.success());
        assert_eq!(read() != before, rewrites, "{name}");
    }
}

/// Each file with its content's hash, type, mode, owner and time of change; of a directory not the time.
fn files(node: &Node) -> BTreeSet<String> {
    let places = "/var/lib/nova /var/lib/libvirt /root /home /etc /tmp /var/tmp /dev/shm";
    let listed = node.sh(&format!(
        "set -e; here=; for d in {places}; do [ ! -e $d ] || here=\"$here $d\"; done
         find $here ! -type d -printf '%p %y %m %U:%G %T@ %l\\n'
         find $here -type d -printf '%p %y %m %U:%G\\n'
         find $here -type f -exec sha256sum {{}} +"
    ));
    let listed = listed.unwrap();
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}
