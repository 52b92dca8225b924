//! Checks and traces that end before their time.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clearway_lab::{Lab, LabSupport, Node};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::clearway::{Check, quiet_lab};

/// Of a connection. The programs on the nodes have their own, which follow from it.
const TIMEOUT: &str = "3";
/// By when the nodes' own deadlines are certainly over: two timeouts, one for each round of legs, and ten seconds to
/// end what hangs.
const OVER: Duration = Duration::from_secs(45);
const LIMIT: Duration = Duration::from_secs(120);

/// Kills this command at random moments of its work. `PROPTEST_RNG_SEED`, which is printed, chooses the same again.
fn is_killed(command: &[&str], moments: u32) {
    let lab = quiet_lab(3);
    let idle: Vec<_> = lab.nodes().iter().map(processes).collect();
    let options = ["--format", "json", "--timeout", TIMEOUT];
    let whole = Check::of(&lab, command, &options).end(LIMIT).took;
    settle(&lab, &idle, "not killed");
    let seed = seed();
    println!("{command:?} takes {whole:?}; PROPTEST_RNG_SEED={seed}");
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &seeded(seed));
    let mut at_work = 0;
    for number in 1..=moments {
        let part = f64::from(random.next_u32()) / f64::from(u32::MAX);
        let mut killed = Check::of(&lab, command, &options);
        sleep(whole.mul_f64(part));
        at_work += u32::from(killed.kill());
        let when =
            format!("{command:?} killed at {part:.3} of its time, number {number} of seed {seed}");
        settle(&lab, &idle, &when);
    }
    // What takes a little less time than the whole one did has ended before the last moments.
    assert!(
        at_work * 2 > moments,
        "only {at_work} of {moments} were at work"
    );
}

/// The seed to begin with: given, or of this moment.
fn seed() -> u64 {
    match std::env::var("PROPTEST_RNG_SEED") {
        Ok(seed) => seed.parse().expect("a number in PROPTEST_RNG_SEED"),
        Err(_) => {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap();
            now.as_secs() ^ u64::from(now.subsec_nanos())
        }
    }
}

fn seeded(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

#[test]
fn a_check_killed_at_any_moment_leaves_nothing_on_any_node() {
    if !LabSupport::skips_test() {
        is_killed(&["check"], 8);
    }
}

#[test]
fn a_trace_killed_at_any_moment_leaves_nothing_on_any_node() {
    if !LabSupport::skips_test() {
        is_killed(&["trace", "node1", "node2"], 8);
    }
}

#[test]
#[ignore = "takes minutes; `make test-fleet` runs it"]
fn a_check_killed_forty_times_leaves_nothing_on_any_node() {
    if !LabSupport::skips_test() {
        is_killed(&["check"], 40);
    }
}

#[test]
#[ignore = "takes minutes; `make test-fleet` runs it"]
fn a_trace_killed_forty_times_leaves_nothing_on_any_node() {
    if !LabSupport::skips_test() {
        is_killed(&["trace", "node1", "node2"], 40);
    }
}

#[test]
fn killed_while_a_far_end_hangs_nothing_is_left_on_any_node() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(3);
    let idle: Vec<_> = lab.nodes().iter().map(processes).collect();
    // Whoever logs in as nova on node3 hangs before the first command.
    const HANG: &str = "/usr/local/bin/hang";
    const HANGS: &str = "sleep 1000";
    let hang = format!(
        "printf '#!/bin/sh\\n{HANGS}\\n' >{HANG}; chmod 755 {HANG}; usermod -s {HANG} nova"
    );
    let planted = lab.node("node3").sh(&hang).unwrap();
    assert!(planted.status.success(), "{planted:?}");
    let mut check = Check::start(&lab, &["--format", "json", "--timeout", TIMEOUT]);
    let hangs = |node: &Node| processes(node).keys().any(|line| line.contains(HANGS));
    let began = Instant::now();
    while !hangs(lab.node("node3")) {
        assert!(began.elapsed() < LIMIT, "nobody logged in");
        sleep(Duration::from_millis(50));
    }
    check.kill();
    // The hanging shells are node3's own; what matters is that nobody of clearway's waits for them.
    let without_planted = |node: &Node| {
        let mut processes = processes(node);
        processes.retain(|line, _| !line.contains(HANGS) && !line.contains(HANG));
        processes
    };
    let began = Instant::now();
    loop {
        let now: Vec<_> = lab.nodes().iter().map(without_planted).collect();
        if now == idle {
            break;
        }
        assert!(began.elapsed() < OVER, "{now:#?}, at first {idle:#?}");
        sleep(Duration::from_millis(200));
    }
    assert!(
        hangs(lab.node("node3")),
        "what was planted has gone by itself"
    );
    for node in lab.nodes() {
        assert_eq!(leftovers(node), "", "{}", node.name());
    }
}

#[test]
fn interrupted_it_reports_what_it_knows_and_leaves_nothing() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(3);
    let idle: Vec<_> = lab.nodes().iter().map(processes).collect();
    let options = ["--format", "json", "--timeout", TIMEOUT];
    let check = Check::start(&lab, &options);
    let began = Instant::now();
    while lab
        .nodes()
        .iter()
        .zip(&idle)
        .all(|(node, idle)| processes(node) == *idle)
    {
        assert!(began.elapsed() < LIMIT, "nothing began");
    }
    check.interrupt();
    let ended = check.end(LIMIT);
    assert_eq!(ended.status.code(), Some(130));
    let report = ended.report();
    assert!(report.interrupted);
    assert!(report.legs.iter().all(|leg| leg.verdict != "broken"));
    settle(&lab, &idle, "interrupted");
}

/// Waits until the nodes are as they were.
fn settle(lab: &Lab, idle: &[BTreeMap<String, usize>], when: &str) {
    let began = Instant::now();
    for (node, idle) in lab.nodes().iter().zip(idle) {
        loop {
            let (now, left) = (processes(node), leftovers(node));
            if now == *idle && left.is_empty() {
                break;
            }
            assert!(
                began.elapsed() < OVER,
                "{when}, {}: {now:#?}, at first {idle:#?}; files: {left}",
                node.name()
            );
            sleep(Duration::from_millis(200));
        }
    }
    println!("{when}: clean after {:?}", began.elapsed());
}

/// The command lines of the node's processes, and how many there are of each.
fn processes(node: &Node) -> BTreeMap<String, usize> {
    let listed = node.sh("exec ps -e -o args --no-headers").unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let mut processes = BTreeMap::new();
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        if !line.starts_with("ps -e ") {
            *processes.entry(line.to_owned()).or_default() += 1;
        }
    }
    processes
}

/// Files that have clearway's name, wherever its programs may write.
fn leftovers(node: &Node) -> String {
    let found = node
        .sh("find /tmp /var/tmp /dev/shm /run /root /home /var/lib/nova -iname '*clearway*' 2>/dev/null")
        .unwrap();
    String::from_utf8_lossy(&found.stdout).into_owned()
}
