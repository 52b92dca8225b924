//! Every step of an authority is journaled: whatever ends it, it can be finished or undone.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clearway_lab::{LabSupport, Node};

use crate::commands::{Keys, started};
use crate::fleet::sh;

/// Everything that an authority's commands touch: bytes, modes, owners; and what sshd would do with it.
fn state(node: &Node) -> String {
    sh(
        node,
        "find /etc/ssh /root/.ssh /var/lib/nova/.ssh ! -name '*.clearway-2*' -printf '%p %y %m %U:%G %l\\n' | sort
         find /etc/ssh /root/.ssh /var/lib/nova/.ssh -type f ! -name '*.clearway-2*' -exec sha256sum {} + | sort
         sshd -T | grep -iE 'hostcert|revoked' | sort",
    )
}

fn states(keys: &Keys) -> Vec<String> {
    keys.lab().nodes().iter().map(state).collect()
}

/// What the sshd that answers shows: a certificate, or the plain key.
fn shows_a_certificate(keys: &Keys, node: &str) -> bool {
    let host = keys.cloud.node(node).host();
    let line = format!("ssh-keyscan -c {host} 2>/dev/null");
    let other = if node == "node1" { "node2" } else { "node1" };
    let output = keys.cloud.node(other).sh(&line).unwrap();
    String::from_utf8_lossy(&output.stdout).contains("cert")
}

#[test]
fn what_is_certified_and_retired_is_undone_to_every_byte_mode_and_owner() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(3);
    let with_keys = states(&keys);
    keys.well(&["certify", "--yes"]);
    let with_both = states(&keys);
    assert_ne!(with_keys, with_both);
    assert!(shows_a_certificate(&keys, "node1"));
    keys.well(&["retire", "--yes"]);
    let runs = keys.runs();
    assert_eq!(runs.len(), 2, "{runs:?}");

    keys.repaired(&["undo", &runs[1], "--yes"], "undo of retire");
    assert_eq!(states(&keys), with_both);
    keys.cloud.all_verified("with both again");
    keys.repaired(&["undo", &runs[0], "--yes"], "undo of certify");
    assert_eq!(states(&keys), with_keys);
    for node in ["node1", "node2", "node3"] {
        assert!(!shows_a_certificate(&keys, node), "{node} was told again");
    }
    keys.cloud.all_verified("with keys again");
}

#[test]
fn a_revocation_is_undone_and_the_node_is_let_in_again() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(3);
    keys.well(&["certify", "--yes"]);
    let before = states(&keys);
    keys.well(&["revoke", "node3", "--yes"]);
    assert_ne!(states(&keys), before);
    keys.repaired(&["undo", "last", "--yes"], "undo of revoke");
    assert_eq!(states(&keys), before);
    keys.cloud.all_verified("let in again");
}

#[test]
fn killed_at_any_moment_migrations_work_and_it_is_resumed_to_its_end_or_undone() {
    const MOMENTS: u32 = 8;
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(3);
    let before = states(&keys);
    let mut resumed = 0;
    for moment in 0..MOMENTS {
        let when = format!("killed at moment {moment}");
        let mut clearway = started(&keys, &["certify", "--yes", "--revert-after", "4"]);
        // From the first file on, a little later each time.
        let began = Instant::now();
        let is_begun = |node: &Node| !marks(node).is_empty();
        while !keys.lab().nodes().iter().any(is_begun) {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "nothing was begun"
            );
            sleep(Duration::from_millis(3));
        }
        sleep(Duration::from_millis(130) * moment);
        clearway.kill().unwrap();
        clearway.wait().unwrap();
        keys.cloud.all_verified(&when);
        let (code, said) = keys.repair(&["resume", "last"]);
        if said.contains("nothing to resume") {
            assert_eq!(code, Some(2), "{when}: {said}");
        } else {
            assert_eq!(code, Some(0), "{when}: {said}");
            resumed += 1;
        }
        keys.cloud.all_verified(&format!("{when}, then resumed"));
        let now = states(&keys);
        let whole = now
            .iter()
            .all(|it| it.contains("hostcertificate /etc/ssh/"));
        assert!(whole, "{when}: {now:#?}");
        let certified = keys.runs().pop().unwrap();
        let again = keys.well(&["certify", "--yes"]);
        assert!(
            again.contains("0 certificates to put on nodes, 12 as"),
            "{when}: {again}"
        );
        assert_eq!(
            states(&keys),
            now,
            "{when}: a second time nothing is written"
        );
        keys.repaired(&["undo", &certified, "--yes"], &when);
        assert_eq!(states(&keys), before, "{when}, resumed and undone");
    }
    assert!(
        resumed >= 2,
        "only {resumed} of the kills were before the end"
    );
    keys.cloud.all_verified("at last");
}

/// What a run leaves beside the files of a node as soon as it edits the first of them.
fn marks(node: &Node) -> String {
    let output = node.sh(
        "find /root/.ssh /var/lib/nova/.ssh /run/clearway-sshd -name '*clearway-2*' -o -name 'is.*' 2>/dev/null",
    );
    String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
}

#[test]
fn killed_in_the_middle_and_undone_without_being_resumed() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(2);
    let before = states(&keys);
    let mut clearway = started(&keys, &["certify", "--yes", "--revert-after", "5"]);
    let began = Instant::now();
    let is_begun = |node: &Node| {
        let sshd = node.sh("[ -e /run/clearway-sshd/pid ]").unwrap();
        sshd.status.success()
    };
    while !keys.lab().nodes().iter().any(is_begun) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "nothing was begun"
        );
        sleep(Duration::from_millis(3));
    }
    clearway.kill().unwrap();
    clearway.wait().unwrap();
    keys.repaired(&["undo", "last", "--yes"], "undone at once");
    assert_eq!(states(&keys), before);
    keys.cloud.all_verified("undone at once");
}

#[test]
fn what_somebody_has_put_into_sshd_since_stays_and_is_told() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(2);
    keys.well(&["certify", "--yes"]);
    let node = keys.cloud.node("node2");
    let file = "/etc/ssh/sshd_config.d/10-clearway.conf";
    sh(node, &format!("echo 'MaxSessions 11' >>{file}"));
    let with_both = state(node);
    let (code, said) = keys.repair(&["undo", "last", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    // All of a node's part, or none of it.
    assert_eq!(state(node), with_both);
    assert!(
        said.contains("10-clearway.conf") && said.contains("node2"),
        "{said}"
    );
    assert!(sh(node, &format!("cat {file}")).ends_with("MaxSessions 11\n"));
    let shown = keys.command_output(&["show", "last"], Stdio::null());
    assert!(shown.contains("could not be put back: node2"), "{shown}");
    keys.cloud.all_verified("keys carry");
}

/// The lab's inventory says that its nodes trust by certificates.
fn by_certificates(keys: &Keys) {
    let inventory = keys.lab().inventory();
    let text = std::fs::read_to_string(inventory).unwrap();
    let text = text.replace("defaults:\n", "defaults:\n  trust: certificates\n");
    std::fs::write(inventory, text).unwrap();
}

#[test]
fn a_repair_gives_nodes_that_trust_by_certificates_keys_and_then_certificates() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(2);
    by_certificates(&keys);
    for node in keys.lab().nodes() {
        sh(
            node,
            "rm /root/.ssh/known_hosts /var/lib/nova/.ssh/known_hosts /var/lib/nova/.ssh/authorized_keys
             rm /var/lib/nova/.ssh/id_*",
        );
    }
    let before = states(&keys);
    let ca = keys.authority.to_str().unwrap();
    // What is signed has to be there first: the first plan is one of keys.
    let (code, said) = keys.repair(&["--diff", "--ca", ca]);
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("cert-authority"), "{said}");
    let shown = keys.runs().len();
    let said = keys.repaired(&["--yes", "--ca", ca], "in rounds");
    assert!(said.contains("+@cert-authority "), "{said}");
    assert!(said.contains("+HostCertificate "), "{said}");
    keys.cloud.all_verified("by certificates");
    for node in keys.lab().nodes() {
        let plain = "grep -v cert-authority /var/lib/nova/.ssh/known_hosts || true";
        assert_eq!(sh(node, plain), "", "no plain host key is trusted");
    }
    let runs = keys.runs().split_off(shown);
    assert_eq!(runs.len(), 2, "keys, and certificates: {runs:?}");
    let now = states(&keys);
    let again = keys.repaired(&["--yes", "--ca", ca], "again");
    assert!(again.contains("0 files written"), "{again}");
    assert_eq!(states(&keys), now);
    for run in runs.iter().rev() {
        keys.repair(&["undo", run, "--yes"]);
    }
    assert_eq!(states(&keys), before);
}

#[test]
fn a_plan_of_certificates_is_applied_as_it_was_reviewed() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(2);
    by_certificates(&keys);
    for node in keys.lab().nodes() {
        sh(
            node,
            "rm /root/.ssh/known_hosts /var/lib/nova/.ssh/known_hosts",
        );
    }
    let before = states(&keys);
    let ca = keys.authority.to_str().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let plan = dir.path().join("plan.json");
    let plan = plan.to_str().unwrap();
    let (code, said) = keys.repair(&["--out", plan, "--ca", ca]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(states(&keys), before, "nothing was written");
    // Whose certificates these are is not believed from the plan.
    let (code, said) = keys.repair(&["--plan", plan, "--yes"]);
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(states(&keys), before, "nothing was written");
    keys.repaired(&["--plan", plan, "--yes", "--ca", ca], "as reviewed");
    keys.cloud.all_verified("by certificates");
}
