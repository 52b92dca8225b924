//! What OpenSSH 9.8 and later does to those who fail to log in: it drops their connections for a while
//! (`PerSourcePenalties`), those of healthy accounts too.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ::clearway::report::{LegReport, Report};
use clearway_lab::{Image, Lab, LabSupport};

use crate::clearway::{QuietLab, check, quiet_lab_on};

/// Nodes whose sshd has its limits as OpenSSH ships them, penalties among them.
fn penalising_lab(nodes: usize) -> QuietLab {
    let lab = quiet_lab_on(Image::Newer, nodes);
    let settings = lab.node("node1").sh("/usr/sbin/sshd -T").unwrap();
    let settings = String::from_utf8(settings.stdout).unwrap();
    let of = |key: &str| {
        let mut lines = settings.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(found, _)| *found == key);
        found.map(|(_, value)| value.to_owned())
    };
    let penalties = of("persourcepenalties").expect("OpenSSH 9.8 or later");
    for wanted in ["authfail:5", "noauth:1", "min:15"] {
        assert!(penalties.contains(wanted), "sshd's default: {penalties}");
    }
    assert_eq!(of("persourcepenaltyexemptlist").as_deref(), Some("none"));
    assert_eq!(of("maxstartups").as_deref(), Some("10:30:100"));
    lab
}

fn cold_mesh(lab: &Lab, depth: &str) -> Report {
    let options = ["--format", "json", "--lanes", "cold-push,cold-pull"];
    let options = [&options[..], &["--depth", depth]].concat();
    let ended = check(lab, &options, Duration::from_secs(900));
    let report = ended.report();
    println!("{} legs took {:?}", report.legs.len(), ended.took);
    let nodes = lab.nodes().len();
    assert_eq!(report.legs.len(), 2 * nodes * (nodes - 1));
    for leg in &report.legs {
        assert_eq!(leg.proven.as_deref(), Some("works"), "{leg:#?}");
    }
    assert_eq!(report.summary.exit_code, 0);
    report
}

#[test]
fn the_default_limits_and_penalties_cost_no_false_verdict_on_a_full_mesh_of_40_nodes() {
    if LabSupport::skips_test_on(Image::Newer) {
        return;
    }
    // Sources are penalised for how they log in; that copies work there as well, the smaller mesh shows.
    let report = cold_mesh(&penalising_lab(40), "login");
    for leg in &report.legs {
        assert_eq!(leg.reached.unwrap().as_str(), "login", "{leg:#?}");
        assert_eq!(leg.code.as_deref(), Some("predicted-only"), "{leg:#?}");
    }
}

#[test]
fn every_pair_of_a_penalising_fleet_is_verified_in_both_cold_lanes() {
    if LabSupport::skips_test_on(Image::Newer) {
        return;
    }
    let report = cold_mesh(&penalising_lab(12), "copy");
    assert!(report.legs.iter().all(|leg| leg.verdict == "verified"));
}

/// Lets clients that may not log in try it often enough for a penalty, checks every lane, and says which healthy legs were
/// dropped for that. `lame` are the clients whose nova node2 does not know; every other leg is healthy, and must not be
/// called broken.
fn dropped_for_others(lab: &Lab, lame: &[&str]) -> BTreeSet<String> {
    for client in lame {
        let plant = format!("sed -i '/nova@{client}$/d' /var/lib/nova/.ssh/authorized_keys");
        assert!(lab.node("node2").sh(&plant).unwrap().status.success());
    }
    // At the same time, for a source that is penalised already is not heard. 5 s for each: some 40 s for all.
    let tries = 8_usize.div_ceil(lame.len());
    let try_it =
        format!("for i in $(seq {tries}); do ssh -n -o BatchMode=yes 10.77.0.3 true & done; wait");
    let is_lame = |leg: &LegReport| {
        leg.server == "node2" && lame.contains(&&*leg.client) && leg.lane.as_str() != "live"
    };
    for _ in 0..6 {
        for client in lame {
            lab.node(client).sh_as("nova", &try_it).unwrap();
        }
        let report = check(lab, &["--format", "json"], Duration::from_secs(300)).report();
        let mut dropped = BTreeSet::new();
        for leg in &report.legs {
            let (verdict, code) = (leg.verdict.as_str(), leg.code.as_deref());
            match (verdict, code) {
                // The files say it, also where the proof was kept from it.
                ("broken", Some("key-not-authorized")) if is_lame(leg) => {}
                ("verified", _) if !is_lame(leg) => {}
                ("unproven", Some("throttled")) if leg.server == "node2" && !is_lame(leg) => {
                    dropped.insert(format!("{} {}", leg.client, leg.lane.as_str()));
                }
                _ => panic!("{leg:#?}"),
            }
        }
        if !dropped.is_empty() {
            return dropped;
        }
    }
    panic!("sshd has penalised nobody: {}", lab.read_log("node2"));
}

#[test]
fn a_healthy_lane_of_a_penalised_source_is_throttled_and_verified_once_that_is_over() {
    if LabSupport::skips_test_on(Image::Newer) {
        return;
    }
    let lab = penalising_lab(3);
    // Root's own key, and node1 alone.
    let dropped = dropped_for_others(&lab, &["node1"]);
    assert_eq!(dropped, BTreeSet::from(["node1 live".to_owned()]));
    assert!(
        lab.read_log("node2")
            .contains("penalty: failed authentication")
    );

    let started = Instant::now();
    let options = [
        "--format",
        "json",
        "--lanes",
        "live",
        "--limit",
        "node[1-2]",
    ];
    loop {
        let report = check(&lab, &options, Duration::from_secs(60)).report();
        if report.legs.iter().all(|leg| leg.verdict == "verified") {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(90),
            "{:#?}",
            report.legs
        );
        sleep(Duration::from_secs(3));
    }
}

#[test]
fn a_node_that_shares_its_address_with_penalised_ones_is_throttled_and_not_broken() {
    if LabSupport::skips_test_on(Image::Newer) {
        return;
    }
    let lab = penalising_lab(6);
    // Everybody comes to node2 from one address, which no node has: its log cannot tell them apart.
    let translate = "nft 'table ip lab { chain from { type nat hook postrouting priority 100; \
        ip daddr 10.77.0.3 ip saddr != 10.77.255.254 snat to 192.0.2.9; }; }'";
    let done = lab.hub_sh(translate).unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    // Those that come to node2 first in the rotation.
    let dropped = dropped_for_others(&lab, &["node1", "node6", "node5"]);
    println!("{dropped:?}");
    assert!(
        lab.read_log("node2")
            .contains("drop connection #0 from [192.0.2.9]")
    );
}
