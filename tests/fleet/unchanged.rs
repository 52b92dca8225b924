//! What a check leaves as it found it.

use std::collections::BTreeSet;
use std::time::Duration;

use clearway_lab::{Lab, LabSupport, Node};

use crate::clearway::check;

#[test]
fn probes_leave_known_hosts_and_files_as_they_were() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(3).start().unwrap();
    // Where OpenSSH itself would write: a name that known_hosts does not have is learnt by an accept-new client.
    for node in lab.nodes() {
        node.sh("printf 'Host *\\n  StrictHostKeyChecking accept-new\\n' >/etc/ssh/ssh_config.d/50-learn.conf")
            .unwrap();
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
    for (node, before) in lab.nodes().iter().zip(&before) {
        let after = files(node);
        let changed: Vec<_> = before.symmetric_difference(&after).collect();
        assert!(changed.is_empty(), "{}: {changed:#?}", node.name());
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
