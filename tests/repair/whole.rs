//! Whole repairs by the real binary: from broken to verified, and back.

use clearway_lab::{Lab, LabSupport};

use crate::binary::clearway;
use crate::support::{left_beside, picture, sh};

fn pictures(lab: &Lab) -> Vec<String> {
    lab.nodes().iter().map(picture).collect()
}

/// A lab whose nodes have no keys of Nova's and do not know each other.
pub(crate) fn bare(nodes: usize) -> Option<Lab> {
    if LabSupport::skips_test() {
        return None;
    }
    let lab = Lab::builder().nodes(nodes).start().unwrap();
    for node in lab.nodes() {
        sh(
            node,
            "rm -rf /var/lib/nova/.ssh; rm -f /etc/ssh/ssh_known_hosts",
        );
    }
    Some(lab)
}

#[test]
fn nodes_without_keys_become_a_verified_mesh_and_undo_gives_everything_back() {
    let Some(lab) = bare(3) else { return };
    let before = pictures(&lab);

    let shown = clearway(&lab, &["repair", "--diff"]);
    assert_eq!(shown.code(), 1, "{shown:?}");
    assert_eq!(pictures(&lab), before);
    let asked = clearway(&lab, &["repair"]);
    assert_eq!(asked.code(), 1, "{asked:?}");
    assert!(
        asked.err.contains("there is no terminal to ask on"),
        "{asked:?}"
    );
    assert_eq!(pictures(&lab), before);

    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    let report = repaired.report();
    assert_eq!(repaired.code(), 0, "{:#?}\n{}", report.repair, repaired.err);
    assert_eq!(report.summary.pairs.verified, 6);
    let repair = report.repair.as_ref().unwrap();
    assert!(repair.complete && repair.applied);
    assert!(
        repair.nodes.iter().all(|node| node.outcome == "kept"),
        "{repair:#?}"
    );

    let after = pictures(&lab);
    let again = clearway(&lab, &["repair", "--yes"]);
    assert_eq!(again.code(), 0, "{again:?}");
    assert!(
        again.err.contains("nothing to repair: 0 files written"),
        "{again:?}"
    );
    assert_eq!(pictures(&lab), after);

    let undone = clearway(&lab, &["repair", "undo", &report.run, "--yes"]);
    assert_eq!(undone.code(), 0, "{undone:?}");
    assert_eq!(pictures(&lab), before);
    for node in lab.nodes() {
        assert_eq!(left_beside(node), [""; 0]);
    }
    let twice = clearway(&lab, &["repair", "undo", &report.run, "--yes"]);
    assert_eq!(twice.code(), 2, "{twice:?}");
}
