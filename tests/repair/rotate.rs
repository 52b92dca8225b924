//! New keys for nodes that work: no moment without a verified mesh, whatever is killed when.

use std::time::{Duration, Instant};

use clearway_lab::{Lab, LabSupport, Node};

use crate::binary::{Done, clearway, start};
use crate::support::{AUTHORIZED_KEYS, left_beside, picture, sh};
use crate::wrapped::{At, arm, disarm, wrap};

pub(crate) const KEY: &str = "/var/lib/nova/.ssh/id_ed25519";
const ROTATE: &[&str] = &["keys", "rotate", "--yes", "--format", "json"];

pub(crate) fn working(nodes: usize) -> Option<Lab> {
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

pub(crate) fn public(node: &Node) -> String {
    let text = sh(node, &format!("ssh-keygen -y -P '' -f {KEY}"));
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn publics(lab: &Lab) -> Vec<String> {
    lab.nodes().iter().map(public).collect()
}

/// The keys that a node lets in.
pub(crate) fn admitted(node: &Node) -> String {
    sh(node, &format!("cat {AUTHORIZED_KEYS}"))
}

pub(crate) fn verified(lab: &Lab, when: &str) {
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
pub(crate) fn first_run(lab: &Lab) -> String {
    let runs = clearway(lab, &["runs", "--format", "json"]);
    let rows: serde_json::Value = serde_json::from_str(&runs.out).unwrap();
    let ids = rows.as_array().unwrap().iter();
    let rotating = ids.filter(|row| row["command"] == "keys rotate");
    let mut ids: Vec<&str> = rotating.map(|row| row["run"].as_str().unwrap()).collect();
    ids.retain(|id| id.matches('-').count() == 2);
    ids.first().unwrap().to_string()
}

/// Between two steps of a rotation, as the files of two nodes show it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Between {
    /// New keys are made, and nobody lets them in.
    KeysAndLines,
    /// Both keys are let in.
    LinesAndNames,
    /// The new ones have their names.
    NamesAndEnd,
    /// The old ones are let in nowhere.
    EndAndReport,
}

impl Between {
    const ALL: [Self; 4] = [
        Self::KeysAndLines,
        Self::LinesAndNames,
        Self::NamesAndEnd,
        Self::EndAndReport,
    ];

    /// Whether it has come to that, since the nodes had these keys.
    fn is_there(self, lab: &Lab, old: &[String]) -> bool {
        let read =
            |node: &Node, path: &str| std::fs::read_to_string(node.path(path)).unwrap_or_default();
        let all = |is: &dyn Fn(&Node, &str) -> bool| {
            lab.nodes().iter().zip(old).all(|(node, old)| is(node, old))
        };
        match self {
            Self::KeysAndLines => {
                all(&|node, _| node.path(&format!("{KEY}.clearway-new")).exists())
            }
            Self::LinesAndNames => {
                let new: Vec<String> = lab
                    .nodes()
                    .iter()
                    .map(|node| read(node, &format!("{KEY}.clearway-new.pub")))
                    .collect();
                lab.nodes().iter().enumerate().all(|(at, node)| {
                    let file = read(node, AUTHORIZED_KEYS);
                    new.iter().enumerate().all(|(other, new)| {
                        let key: Vec<&str> = new.split(' ').take(2).collect();
                        at == other || key.len() == 2 && file.contains(&key.join(" "))
                    })
                })
            }
            Self::NamesAndEnd => all(&|node, old| {
                let now = read(node, &format!("{KEY}.pub"));
                !now.is_empty() && !now.contains(old)
            }),
            Self::EndAndReport => lab.nodes().iter().all(|node| {
                let file = read(node, AUTHORIZED_KEYS);
                !file.is_empty() && !old.iter().any(|old| file.contains(old))
            }),
        }
    }
}

/// Nobody has an old key, and nobody lets one in.
fn is_rotated(lab: &Lab, old: &[String], when: &str) {
    for node in lab.nodes() {
        assert!(!old.contains(&public(node)), "{when}: {}", node.name());
        let file = admitted(node);
        assert!(!old.iter().any(|it| file.contains(it)), "{when}: {file}");
        assert!(
            !node.path(&format!("{KEY}.clearway-new")).exists(),
            "{when}"
        );
    }
    verified(lab, when);
}

#[test]
fn killed_between_any_two_steps_everything_works_and_it_goes_on() {
    let Some(lab) = working(2) else { return };
    for between in Between::ALL {
        let when = format!("killed at {between:?}");
        let old = publics(&lab);
        let mut running = start(&lab, ROTATE);
        let since = Instant::now();
        while !between.is_there(&lab, &old) {
            assert!(!running.has_ended(), "{when}: ended before");
            assert!(since.elapsed() < Duration::from_secs(120), "{when}: never");
            std::thread::sleep(Duration::from_millis(2));
        }
        running.kill();
        verified(&lab, &when);
        // Told again or resumed, it comes to the same end.
        let on: Done = if between == Between::LinesAndNames {
            clearway(&lab, ROTATE)
        } else {
            let run = first_run(&lab);
            clearway(&lab, &["repair", "resume", &run, "--format", "json"])
        };
        assert_eq!(on.code(), 0, "{when}: {}\n{}", on.err, on.out);
        is_rotated(&lab, &old, &when);
    }
}

#[test]
fn killed_within_a_step_everything_works_and_it_goes_on() {
    let Some(lab) = working(2) else { return };
    let node = lab.node("node2");
    wrap(node, &["flock", "ln", "mv", "cp", "sync"]);
    arm(node, 0, At::Hold);
    let old = publics(&lab);
    let whole = clearway(&lab, ROTATE);
    assert_eq!(whole.code(), 0, "{}", whole.err);
    let length = disarm(node);
    is_rotated(&lab, &old, "whole");
    println!("{length} commands on node2");
    for number in 0..3 {
        let at = 2 + number * length / 3;
        let when = format!("killed at command {at} of {length}");
        let old = publics(&lab);
        arm(node, at, At::Hold);
        let mut running = start(&lab, ROTATE);
        let since = Instant::now();
        while !node.path("/run/wrapped/held").exists() {
            assert!(!running.has_ended(), "{when}: ended before");
            assert!(since.elapsed() < Duration::from_secs(120), "{when}: never");
            std::thread::sleep(Duration::from_millis(5));
        }
        running.kill();
        verified(&lab, &when);
        std::fs::write(node.path("/run/wrapped/go"), "").unwrap();
        let on = clearway(&lab, ROTATE);
        disarm(node);
        assert_eq!(on.code(), 0, "{when}: {}\n{}", on.err, on.out);
        is_rotated(&lab, &old, &when);
    }
}

#[test]
fn where_disks_are_copied_with_rsync_new_keys_are_proven_with_it() {
    let Some(lab) = working(2) else { return };
    for node in lab.nodes() {
        let rsync = "sed -i '/^\\[libvirt\\]/a remote_filesystem_transport = rsync' /etc/nova/nova.conf; grep -c rsync /etc/nova/nova.conf";
        assert_eq!(sh(node, rsync), "1");
        // Whatever is copied is not copied with scp.
        sh(node, "rm $(command -v scp)");
    }
    verified(&lab, "with rsync");
    let old = publics(&lab);
    let rotated = clearway(&lab, ROTATE);
    assert_eq!(rotated.code(), 0, "{}\n{}", rotated.err, rotated.out);
    is_rotated(&lab, &old, "with rsync");
}

#[test]
fn a_node_that_does_not_answer_loses_nobody_and_keeps_its_key() {
    let Some(lab) = working(3) else { return };
    let old = publics(&lab);
    let down = lab.node("node3");
    sh(down, "kill $(cat /run/sshd.pid)");
    let rotated = clearway(&lab, &["keys", "rotate", "--yes"]);
    assert_eq!(rotated.code(), 3, "{rotated:?}");
    assert!(
        rotated.out.contains("node3 could not be looked at")
            && rotated.out.contains("--without node3"),
        "{rotated:?}"
    );
    assert_eq!(publics(&lab), old);

    let rotated = clearway(&lab, &["keys", "rotate", "--yes", "--without", "node3"]);
    assert_eq!(rotated.code(), 3, "{rotated:?}");
    let now = publics(&lab);
    assert!(now[0] != old[0] && now[1] != old[1] && now[2] == old[2]);
    for name in ["node1", "node2"] {
        let file = admitted(lab.node(name));
        assert!(file.contains(&old[2]), "{file}");
        assert!(!file.contains(&old[0]) && !file.contains(&old[1]), "{file}");
    }
    // It comes back: its own key works everywhere, and a repair tells it the new ones.
    sh(down, "/usr/sbin/sshd");
    let repaired = clearway(&lab, &["repair", "--yes"]);
    assert_eq!(repaired.code(), 0, "{repaired:?}");
    verified(&lab, "repaired");
}

#[test]
fn a_key_that_several_nodes_are_to_share_is_not_rotated() {
    let Some(lab) = working(2) else { return };
    let inventory = std::fs::read_to_string(lab.inventory()).unwrap();
    let shared = lab.dir().join("shared.yaml");
    let text = inventory.replacen("defaults:", "defaults:\n  keys: shared", 1);
    assert_ne!(text, inventory, "{inventory}");
    std::fs::write(&shared, text).unwrap();
    let refused = lab
        .command(env!("CARGO_BIN_EXE_clearway"))
        .args(["keys", "rotate", "--yes", "--inventory"])
        .arg(&shared)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("`keys: shared`"), "{text}");
}
