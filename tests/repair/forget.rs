//! The way back of a repair is given up.

use clearway_lab::Node;

use crate::binary::clearway;
use crate::rotate::{first_run, verified, working};
use crate::support::{left_beside, sh};
use crate::whole::bare;

#[test]
fn what_is_forgotten_leaves_nothing_beside_files_and_cannot_be_undone() {
    let Some(lab) = bare(2) else { return };
    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    assert_eq!(repaired.code(), 0, "{repaired:?}");
    let run = repaired.report().run;
    let left = |node: &Node| left_beside(node).len();
    assert!(lab.nodes().iter().all(|node| left(node) > 0));
    let asked = clearway(&lab, &["repair", "forget", &run]);
    assert_eq!(asked.code(), 1, "{asked:?}");
    let words = ["repair", "forget", &run, "--yes", "--format", "json"];
    let forgotten = clearway(&lab, &words);
    assert_eq!(forgotten.code(), 0, "{forgotten:?}");
    let report = forgotten.report();
    assert_eq!(report.about(), Some(run.as_str()));
    let nodes = &report.repair.as_ref().unwrap().nodes;
    assert!(nodes.iter().all(|it| it.outcome == "forgotten"));
    let shown = clearway(&lab, &["show", &report.run, "--format", "json"]);
    assert_eq!(shown.report(), report);
    assert!(lab.nodes().iter().all(|node| left(node) == 0));
    for words in [
        ["repair", "undo", &run, "--yes"],
        ["repair", "forget", &run, "--yes"],
    ] {
        let refused = clearway(&lab, &words);
        assert_eq!(refused.code(), 2, "{words:?}: {refused:?}");
    }
    verified(&lab, "forgotten");
}

#[test]
fn old_keys_go_when_a_rotation_is_forgotten_and_not_before_its_end() {
    let Some(lab) = working(2) else { return };
    let rotated = clearway(&lab, &["keys", "rotate", "--yes"]);
    assert_eq!(rotated.code(), 0, "{rotated:?}");
    let run = first_run(&lab);
    let keys = "find /var/lib/nova -name 'id_*.clearway-*'";
    assert_ne!(sh(lab.node("node1"), keys), "");
    let forgotten = clearway(&lab, &["repair", "forget", &run, "--yes"]);
    assert_eq!(forgotten.code(), 0, "{forgotten:?}");
    for node in lab.nodes() {
        assert_eq!(sh(node, keys), "");
        assert_eq!(left_beside(node), [""; 0]);
    }
    let refused = clearway(&lab, &["repair", "undo", &run, "--yes"]);
    assert_eq!(refused.code(), 2, "{refused:?}");
    verified(&lab, "forgotten");
}
