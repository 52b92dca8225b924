//! What was revoked stays so, whatever is signed and whoever comes later.

use clearway_lab::LabSupport;

use crate::commands::Keys;
use crate::fleet::sh;

/// Logs in without any regard to host keys: it is the other side that has to refuse.
const LOGIN: &str =
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null";

#[test]
fn nothing_is_signed_for_revoked_keys_and_a_node_that_comes_later_refuses_them() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(3);
    keys.well(&["certify", "--yes"]);
    keys.well(&["retire", "--yes"]);
    keys.well(&["revoke", "node3", "--yes"]);
    let (later, out) = (keys.cloud.node("node1"), keys.cloud.node("node3"));
    let certificates = "cat /etc/ssh/*-cert.pub ~nova/.ssh/*-cert.pub ~root/.ssh/*-cert.pub";
    let before = sh(out, certificates);
    for words in [
        &["certify", "--yes"][..],
        &["renew", "--yes", "--before", "200", "--lifetime", "400"],
    ] {
        let said = keys.said(words);
        assert!(
            said.contains("keys of node3 were revoked, and nothing is signed for them"),
            "{words:?}: {said}"
        );
        assert_eq!(sh(out, certificates), before, "{words:?}");
    }

    // As if it had just been installed.
    sh(
        later,
        "rm -f /etc/ssh/sshd_config.d/10-clearway.conf /etc/ssh/*-cert.pub /etc/ssh/*.krl ~nova/.ssh/*-cert.pub ~nova/.ssh/known_hosts \
         ~nova/.ssh/authorized_keys ~root/.ssh/*-cert.pub ~root/.ssh/known_hosts; kill -HUP $(cat /run/sshd.pid)",
    );
    keys.said(&["certify", "--yes"]);
    let known = sh(later, "cat ~nova/.ssh/known_hosts");
    assert!(known.contains("@revoked "), "{known}");
    let authority = known.lines().find(|it| it.starts_with("@cert-authority "));
    assert!(!authority.unwrap().contains("node3"), "{known}");
    let logs_in = |from: &str| {
        let line = format!("{LOGIN} {} true", later.address());
        let output = keys.cloud.node(from).sh_as("nova", &line).unwrap();
        output.status.success()
    };
    assert!(logs_in("node2") && !logs_in("node3"));
}

#[test]
fn with_another_list_or_another_authority_nothing_is_changed() {
    if LabSupport::skips_test() {
        return;
    }
    let mut keys = Keys::start(3);
    keys.well(&["certify", "--yes"]);
    keys.well(&["revoke", "node3", "--yes"]);
    let kept = std::fs::read(keys.list()).unwrap();
    std::fs::remove_file(keys.list()).unwrap();
    let state = "cat /etc/ssh/clearway-revoked.krl ~nova/.ssh/known_hosts | sha256sum";
    let before = sh(keys.cloud.node("node1"), state);
    for words in [&["revoke", "node2", "--yes"][..], &["certify", "--yes"]] {
        let said = keys.said(words);
        assert!(
            said.contains("nodes refuse what is not in the list of everything revoked"),
            "{words:?}: {said}"
        );
        assert!(said.contains("id: clearway:host:node3:1"), "{said}");
    }
    assert!(!keys.list().exists());
    std::fs::write(keys.list(), kept).unwrap();

    keys.take_another_authority();
    let said = keys.said(&["certify", "--yes"]);
    assert!(
        said.contains("another authority than this one is trusted on node["),
        "{said}"
    );
    let said = keys.said(&["renew", "--yes", "--before", "179"]);
    assert!(
        said.contains("is a certificate of another authority"),
        "{said}"
    );
    assert_eq!(keys.code(&["renew", "--yes", "--before", "179"]), Some(1));
    assert_eq!(sh(keys.cloud.node("node1"), state), before);
}
