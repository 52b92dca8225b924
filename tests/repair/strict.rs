//! A client configuration that defeats checking is set right only when asked for, and only once the keys are in place.

use clearway_lab::{Lab, Node};

use crate::binary::clearway;
use crate::rotate::working;
use crate::support::{KNOWN_HOSTS, left_beside, sh};
use crate::whole::pictures;

const CONFIG: &str = "/var/lib/nova/.ssh/config";

/// What many deployments give Nova's account.
fn careless(node: &Node) {
    sh(
        node,
        &format!(
            "printf '# ours\\nHost *\\n\\tServerAliveInterval 15\\n\\tStrictHostKeyChecking no\\n\\tUserKnownHostsFile /dev/null\\n' >{CONFIG}; \
             chmod 600 {CONFIG}; chown nova: {CONFIG}"
        ),
    );
}

fn configs(lab: &Lab) -> Vec<String> {
    let of = |node: &Node| sh(node, &format!("cat {CONFIG}"));
    lab.nodes().iter().map(of).collect()
}

/// What ssh makes of it when Nova dials the other node.
fn effective(node: &Node) -> String {
    let said = node
        .sh_as(
            "nova",
            "ssh -G 10.77.0.2 | grep -E '^(stricthostkeychecking|userknownhostsfile) '",
        )
        .unwrap();
    String::from_utf8_lossy(&said.stdout).into_owned()
}

#[test]
fn host_keys_are_checked_again_when_asked_for_with_everything_else_as_it_was() {
    let Some(lab) = working(2) else { return };
    lab.nodes().iter().for_each(careless);
    // Nobody misses what is not looked at: node2 does not know node1.
    sh(lab.node("node2"), &format!(": >{KNOWN_HOSTS}"));
    let before = pictures(&lab);
    let careless = configs(&lab);

    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    assert_eq!(repaired.code(), 0, "{repaired:?}");
    assert!(
        repaired.out.contains("host-keys-not-checked"),
        "{repaired:?}"
    );
    assert_eq!(configs(&lab), careless);

    let strict = ["repair", "--yes", "--strict-host-keys", "--format", "json"];
    let made = clearway(&lab, &strict);
    assert_eq!(made.code(), 0, "{made:?}");
    let report = made.report();
    assert_eq!(report.summary.pairs.verified, 2, "{:#?}", report.summary);
    for node in lab.nodes() {
        let effective = effective(node);
        assert!(
            !effective.contains("stricthostkeychecking false")
                && !effective.contains("stricthostkeychecking no")
                && !effective.contains("/dev/null"),
            "{}: {effective}",
            node.name()
        );
        let text = sh(node, &format!("cat {CONFIG}"));
        assert!(text.contains("# ours\nHost *\n"), "{text}");
        assert!(text.contains("\tServerAliveInterval 15"), "{text}");
    }
    // Checked by the node's own ssh, now with the keys.
    let checked = clearway(&lab, &["check", "--format", "json"]);
    assert_eq!(checked.code(), 0, "{checked:?}");
    assert!(
        !checked.out.contains("host-keys-not-checked"),
        "{checked:?}"
    );
    let after = pictures(&lab);
    let again = clearway(&lab, &strict);
    assert_eq!(again.code(), 0, "{again:?}");
    assert_eq!(pictures(&lab), after);

    // The keys come in a run of their own, before the configuration that needs them; each is taken back by itself, the last
    // one first.
    let repair = report.repair.as_ref().unwrap();
    assert_eq!(repair.earlier.len(), 1, "{repair:#?}");
    for run in [&report.run, &repair.earlier[0]] {
        let undone = clearway(&lab, &["repair", "undo", run, "--yes"]);
        assert_eq!(undone.code(), 0, "{undone:?}");
    }
    assert_eq!(pictures(&lab), before);
    for node in lab.nodes() {
        assert_eq!(left_beside(node), [""; 0]);
    }
}
