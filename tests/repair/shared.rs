//! One key for all nodes, where a deployment insists: made on one, brought to the others, and written down nowhere else.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clearway_lab::{Lab, Node};

use crate::binary::{Done, clearway, start};
use crate::rotate::KEY;
use crate::support::{left_beside, sh};
use crate::whole::{bare, pictures};
use crate::wrapped::{At, arm, disarm, wrap};

/// Nodes without keys, that are to have the same.
fn to_share(nodes: usize) -> Option<Lab> {
    let lab = bare(nodes)?;
    let inventory = std::fs::read_to_string(lab.inventory()).unwrap();
    let text = inventory.replacen("defaults:", "defaults:\n  keys: shared", 1);
    assert_ne!(text, inventory, "{inventory}");
    std::fs::write(lab.inventory(), text).unwrap();
    Some(lab)
}

fn private(node: &Node) -> String {
    sh(node, &format!("cat {KEY}"))
}

/// The lines of a private key that say something.
fn secret_lines(key: &str) -> Vec<&str> {
    let lines = key.lines().filter(|line| !line.starts_with('-'));
    // The first one is a header that all keys of a type have.
    lines.skip(1).collect()
}

/// Nothing that was said or kept has a line of the key.
fn is_kept_to_the_nodes(lab: &Lab, key: &str, said: &[&Done]) {
    let secret = secret_lines(key);
    assert!(secret.len() >= 3, "{key}");
    let mut texts: Vec<(String, Vec<u8>)> = said
        .iter()
        .map(|it| ("said".to_owned(), format!("{it:?}").into_bytes()))
        .collect();
    for entry in std::fs::read_dir(lab.dir()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("ledger.sqlite") || name == "plan.json" {
            texts.push((name, std::fs::read(&path).unwrap()));
        }
    }
    assert!(texts.iter().any(|(name, _)| name == "ledger.sqlite"));
    for (name, bytes) in texts {
        let text = String::from_utf8_lossy(&bytes);
        for line in &secret {
            assert!(!text.contains(line), "{name} has a line of the private key");
        }
    }
}

#[test]
fn all_nodes_get_one_key_and_nothing_else_ever_has_its_private_half() {
    let Some(lab) = to_share(3) else { return };
    let before = pictures(&lab);
    let plan = lab.dir().join("plan.json");
    let planned = clearway(&lab, &["repair", "--out", plan.to_str().unwrap()]);
    assert_eq!(planned.code(), 1, "{planned:?}");
    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    assert_eq!(repaired.code(), 0, "{repaired:?}");
    assert_eq!(repaired.report().summary.pairs.verified, 6);
    // What it costs is said.
    assert!(repaired.out.contains("private-key-shared"), "{repaired:?}");

    let keys: BTreeSet<String> = lab.nodes().iter().map(private).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    let key = keys.first().unwrap();
    is_kept_to_the_nodes(&lab, key, &[&planned, &repaired]);

    let again = clearway(&lab, &["repair", "--yes"]);
    assert_eq!(again.code(), 0, "{again:?}");
    assert!(
        again.err.contains("nothing to repair: 0 files written"),
        "{again:?}"
    );
    let undone = clearway(&lab, &["repair", "undo", &repaired.report().run, "--yes"]);
    assert_eq!(undone.code(), 0, "{undone:?}");
    assert_eq!(pictures(&lab), before);
    for node in lab.nodes() {
        assert_eq!(left_beside(node), [""; 0]);
    }
}

#[test]
fn killed_while_the_key_is_on_its_way_it_is_resumed_with_the_same_key_or_undone() {
    let Some(lab) = to_share(2) else { return };
    let before = pictures(&lab);
    let makes = |node: &Node| node.path(KEY).exists();
    for resumes in [true, false] {
        // Both nodes are held where they begin; which of them makes the key is the plan's business.
        for node in lab.nodes() {
            wrap(node, &["flock"]);
            arm(node, 2, At::Hold);
        }
        let mut running = start(&lab, &["repair", "--yes", "--lanes", "cold-push"]);
        let since = Instant::now();
        let held = |node: &Node| node.path("/run/wrapped/held").exists();
        while !lab.nodes().iter().any(held) {
            assert!(!running.has_ended(), "{:?}", running.end());
            assert!(since.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(5));
        }
        // One has made the key, and nobody else has it yet.
        let having: Vec<&Node> = lab.nodes().iter().filter(|it| makes(it)).collect();
        assert_eq!(having.len(), 1);
        let key = private(having[0]);
        running.kill();
        for node in lab.nodes() {
            std::fs::write(node.path("/run/wrapped/go"), "").unwrap();
            disarm(node);
            sh(node, "rm -f /usr/local/sbin/flock /usr/local/sbin/.wrapped");
        }
        if resumes {
            let resumed = clearway(&lab, &["repair", "resume", "last", "--format", "json"]);
            assert_eq!(resumed.code(), 0, "{resumed:?}");
            for node in lab.nodes() {
                assert_eq!(private(node), key, "{}", node.name());
            }
            is_kept_to_the_nodes(&lab, &key, &[&resumed]);
        }
        let undone = clearway(&lab, &["repair", "undo", "last", "--yes"]);
        assert_eq!(undone.code(), 0, "{undone:?}");
        assert_eq!(pictures(&lab), before);
    }
}

#[test]
fn a_node_that_comes_later_gets_the_key_that_is_there() {
    let Some(lab) = to_share(3) else { return };
    let first = clearway(&lab, &["repair", "--yes", "--limit", "node[1-2]"]);
    assert_eq!(first.code(), 0, "{first:?}");
    let later = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    assert_eq!(later.code(), 0, "{later:?}");
    assert_eq!(later.report().summary.pairs.verified, 6);
    let keys: BTreeSet<String> = lab.nodes().iter().map(private).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    is_kept_to_the_nodes(&lab, keys.first().unwrap(), &[&first, &later]);
}
