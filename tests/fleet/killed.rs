//! A check that ends before its time.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clearway_lab::{Lab, LabSupport, Node};

use crate::clearway::{Check, check, quiet_lab};

/// Of a connection. The programs on the nodes have their own, which follow from it.
const TIMEOUT: &str = "3";
/// By when the nodes' own deadlines are certainly over: two timeouts, one for each round of legs, and ten seconds to
/// end what hangs.
const OVER: Duration = Duration::from_secs(45);
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn killed_at_any_moment_nothing_is_left_on_any_node() {
    if LabSupport::skips_test() {
        return;
    }
    const MOMENTS: u32 = 8;
    let lab = quiet_lab(3);
    let idle: Vec<_> = lab.nodes().iter().map(processes).collect();
    let options = ["--format", "json", "--timeout", TIMEOUT];
    let whole = check(&lab, &options, LIMIT).took;
    for moment in 1..=MOMENTS {
        let mut check = Check::start(&lab, &options);
        sleep(whole * moment / (MOMENTS + 1));
        check.kill();
        settle(&lab, &idle, &format!("killed at {moment} of {MOMENTS}"));
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
    let hang =
        "printf '#!/bin/sh\\nsleep 1000\\n' >/usr/local/bin/hang; chmod 755 /usr/local/bin/hang
                usermod -s /usr/local/bin/hang nova";
    let planted = lab.node("node3").sh(hang).unwrap();
    assert!(planted.status.success(), "{planted:?}");
    let mut check = Check::start(&lab, &["--format", "json", "--timeout", TIMEOUT]);
    let hangs = |node: &Node| {
        processes(node)
            .keys()
            .any(|line| line.contains("sleep 1000"))
    };
    let began = Instant::now();
    while !hangs(lab.node("node3")) {
        assert!(began.elapsed() < LIMIT, "nobody logged in");
        sleep(Duration::from_millis(50));
    }
    check.kill();
    // The hanging shell is node3's own; what matters is that nobody of clearway's waits for it.
    let began = Instant::now();
    let clients = &lab.nodes()[..2];
    while clients
        .iter()
        .zip(&idle)
        .any(|(node, idle)| processes(node) != *idle)
    {
        assert!(
            began.elapsed() < OVER,
            "{:#?}",
            clients.iter().map(processes).collect::<Vec<_>>()
        );
        sleep(Duration::from_millis(200));
    }
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
