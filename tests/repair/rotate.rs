//! New keys for nodes that work: no moment without a verified mesh, whatever is killed when.

use std::time::{Duration, Instant};

use clearway_lab::{Lab, LabSupport, Node};

use crate::binary::{clearway, start};
use crate::support::{AUTHORIZED_KEYS, left_beside, picture, sh};
use crate::wrapped::{At, arm, disarm, wrap};

const KEY: &str = "/var/lib/nova/.ssh/id_ed25519";
const ROTATE: &[&str] = &["keys", "rotate", "--yes", "--format", "json"];

fn working(nodes: usize) -> Option<Lab> {
    if LabSupport::skips_test() {
        return None;
    }
    let lab = Lab::builder().nodes(nodes).start().unwrap();
    // Lines of somebody else, and one of theirs that admits the key of node1.
    for node in lab.nodes() {
        sh(
            node,
            &format!("printf '# ours\\r\\n' >>{AUTHORIZED_KEYS}; echo 'x y' >>{AUTHORIZED_KEYS}"),
        );
    }
    Some(lab)
}

fn public(node: &Node) -> String {
    let text = sh(node, &format!("ssh-keygen -y -P '' -f {KEY}"));
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn publics(lab: &Lab) -> Vec<String> {
    lab.nodes().iter().map(public).collect()
}

/// The keys that a node lets in.
fn admitted(node: &Node) -> String {
    sh(node, &format!("cat {AUTHORIZED_KEYS}"))
}

fn verified(lab: &Lab, when: &str) {
    let check = clearway(lab, &["check", "--format", "json"]);
    assert_eq!(check.code(), 0, "{when}: {}\n{}", check.err, check.out);
    let nodes = lab.nodes().len() as u64;
    assert_eq!(check.report().summary.pairs.verified, nodes * (nodes - 1));
}

#[test]
fn every_node_gets_a_new_key_and_the_old_ones_are_let_in_nowhere() {
    let Some(lab) = working(3) else { return };
    let before = publics(&lab);
    let pictures: Vec<String> = lab.nodes().iter().map(picture).collect();

    let shown = clearway(&lab, &["keys", "rotate", "--diff"]);
    assert_eq!(shown.code(), 1, "{shown:?}");
    assert!(shown.out.contains("id_ed25519.clearway-new"), "{shown:?}");
    let asked = clearway(&lab, &["keys", "rotate"]);
    assert_eq!(asked.code(), 1, "{asked:?}");
    let now: Vec<String> = lab.nodes().iter().map(picture).collect();
    assert_eq!(now, pictures);

    let rotated = clearway(&lab, ROTATE);
    assert_eq!(rotated.code(), 0, "{}\n{}", rotated.err, rotated.out);
    let after = publics(&lab);
    for (node, (old, new)) in lab.nodes().iter().zip(before.iter().zip(&after)) {
        assert_ne!(old, new, "{}", node.name());
        let mode = sh(
            node,
            &format!("stat -c '%a %U' {KEY}; cut -d' ' -f1,2 {KEY}.pub"),
        );
        assert_eq!(mode, format!("600 nova\n{new}"));
    }
    for node in lab.nodes() {
        let text = admitted(node);
        for (other, (old, new)) in lab.nodes().iter().zip(before.iter().zip(&after)) {
            assert!(
                !text.contains(old),
                "{} lets {} in: {text}",
                node.name(),
                other.name()
            );
            assert_eq!(text.contains(new), other.name() != node.name(), "{text}");
        }
        assert!(
            text.contains("# ours\r\n") || text.contains("# ours\r"),
            "{text:?}"
        );
        assert!(text.contains("x y"), "{text}");
        assert!(!node.path(&format!("{KEY}.clearway-new")).exists());
    }
    verified(&lab, "rotated");

    // Everything can be put back, and the fleet works with the old keys again.
    let undone = clearway(&lab, &["repair", "undo", "last", "--yes"]);
    assert_eq!(undone.code(), 2, "`last` is the check: {undone:?}");
    let run = first_run(&lab);
    let undone = clearway(&lab, &["repair", "undo", &run, "--yes"]);
    assert_eq!(undone.code(), 0, "{undone:?}");
    let now: Vec<String> = lab.nodes().iter().map(picture).collect();
    assert_eq!(now, pictures);
    for node in lab.nodes() {
        assert_eq!(left_beside(node), [""; 0]);
    }
    verified(&lab, "undone");
}

/// The run that began the latest rotation.
fn first_run(lab: &Lab) -> String {
    let runs = clearway(lab, &["runs", "--format", "json"]);
    let rows: serde_json::Value = serde_json::from_str(&runs.out).unwrap();
    let ids = rows.as_array().unwrap().iter();
    let rotating = ids.filter(|row| row["command"] == "keys rotate");
    let mut ids: Vec<&str> = rotating.map(|row| row["run"].as_str().unwrap()).collect();
    ids.retain(|id| id.matches('-').count() == 2);
    ids.first().unwrap().to_string()
}
