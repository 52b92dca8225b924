//! What `--pairs`, `--depth`, `--no-write`, `--lanes` and `--limit` come to on real nodes, and a trace of a pair of them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use ::clearway::report::Report;
use clearway_lab::{Lab, LabSupport};

use crate::clearway::quiet_lab;

/// Runs clearway with its ledger beside the lab; what it printed, its report if it printed one, and its exit status.
fn run(lab: &Lab, words: &[&str]) -> (String, Option<i32>) {
    let output = lab
        .command(env!("CARGO_BIN_EXE_clearway"))
        .args(words)
        .arg("--inventory")
        .arg(lab.inventory())
        .arg("--ledger")
        .arg(lab.inventory().with_file_name("ledger.db"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        !text.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (text, output.status.code())
}

fn report(lab: &Lab, words: &[&str]) -> Report {
    let (text, _) = run(lab, &[&["check", "--format", "json"], words].concat());
    let schema = serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let value = serde_json::from_str(&text).unwrap();
    let errors: Vec<_> = schema
        .iter_errors(&value)
        .map(|it| it.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new(), "{words:?}");
    serde_json::from_value(value).unwrap()
}

/// `source destination` of every pair that has a proof.
fn proven(report: &Report) -> BTreeSet<String> {
    let legs = report.legs.iter().filter(|leg| leg.proven.is_some());
    legs.map(|leg| format!("{} {}", leg.source, leg.destination))
        .collect()
}

fn names(pairs: &[(u32, u32)]) -> BTreeSet<String> {
    let name = |(from, to)| format!("node{from} node{to}");
    pairs.iter().copied().map(name).collect()
}

#[test]
fn what_is_not_asked_to_be_proven_is_reported_as_predicted_only() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(4);
    let ring = report(&lab, &["--pairs", "ring"]);
    assert_eq!(proven(&ring), names(&[(1, 2), (2, 3), (3, 4), (4, 1)]));
    let pairs = ring.summary.pairs;
    assert_eq!(
        (pairs.total, pairs.verified, pairs.predicted_only),
        (12, 4, 8)
    );
    let folded: u64 = ring.predicted_only.iter().map(|it| it.count).sum();
    assert_eq!(folded, ring.summary.legs.predicted_only);
    assert_eq!(ring.summary.exit_code, 0);

    let sample = report(&lab, &["--pairs", "sample=2"]);
    let mut of_source = BTreeMap::new();
    for pair in proven(&sample) {
        let source = pair.split(' ').next().unwrap().to_owned();
        *of_source.entry(source).or_insert(0) += 1;
    }
    let each = |number| (format!("node{number}"), 2);
    assert_eq!(of_source, (1..=4).map(each).collect());
    let limited = report(&lab, &["--limit", "node[1-3],!node2"]);
    assert_eq!(proven(&limited), names(&[(1, 3), (3, 1)]));
    let predicted = report(&lab, &["--predict-only"]);
    assert_eq!(proven(&predicted), BTreeSet::new());
    assert_eq!(predicted.summary.pairs.predicted_only, 12);
    let live = report(&lab, &["--lanes", "live", "--pairs", "ring"]);
    assert!(live.legs.iter().all(|leg| leg.lane.as_str() == "live"));
}

#[test]
fn only_pairs_with_a_changed_end_are_proven_again() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(3);
    assert_eq!(proven(&report(&lab, &[])).len(), 6);
    let nothing = report(&lab, &["--pairs", "changed"]);
    assert_eq!(proven(&nothing), BTreeSet::new());
    assert_eq!(nothing.proven_earlier.map(|it| it.pairs), Some(6));
    let change = "echo '# x' >>/var/lib/nova/.ssh/authorized_keys; printf 'MaxSessions 9\\n' >/etc/ssh/sshd_config.d/10-x.conf";
    assert!(lab.node("node3").sh(change).unwrap().status.success());
    let again = report(&lab, &["--pairs", "changed"]);
    assert_eq!(proven(&again), names(&[(1, 3), (2, 3), (3, 1), (3, 2)]));
    assert_eq!(again.proven_earlier.map(|it| it.pairs), Some(2));
}

#[test]
fn what_only_a_proof_can_tell_is_proven_again() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(3);
    // node2 asks a program for keys, and no file says what that answers.
    let change = "cd /usr/local/bin; mv /var/lib/nova/.ssh/authorized_keys /etc/ssh/nova_keys; printf '#!/bin/sh\ncat /etc/ssh/nova_keys\n' >keys; chmod 755 keys
        printf 'Match User nova\n AuthorizedKeysFile none\n AuthorizedKeysCommand /usr/local/bin/keys\n AuthorizedKeysCommandUser root\n' >/etc/ssh/sshd_config.d/10-x.conf
        kill -HUP $(cat /run/sshd.pid); sleep 0.5";
    assert!(lab.node("node2").sh(change).unwrap().status.success());
    let all = report(&lab, &[]);
    assert_eq!(all.summary.pairs.verified, 6, "{:#?}", all.legs);
    let again = report(&lab, &["--pairs", "changed"]);
    assert_eq!(proven(&again), names(&[(1, 2), (2, 1), (2, 3), (3, 2)]));
    assert_eq!(again.summary.exit_code, 0, "{:#?}", again.legs);
}

#[test]
fn a_lane_that_the_inventory_switches_off_is_not_dialled() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(2);
    let text = std::fs::read_to_string(lab.inventory()).unwrap();
    let with = "  profile: nova\n  lanes: {live: {used: no}}\n";
    let changed = text.replacen("  profile: nova\n", with, 1);
    assert_ne!(changed, text);
    std::fs::write(lab.inventory(), changed).unwrap();
    let report = report(&lab, &[]);
    let (live, cold): (Vec<_>, Vec<_>) = report
        .legs
        .iter()
        .partition(|leg| leg.lane.as_str() == "live");
    assert_eq!((live.len(), cold.len()), (2, 4));
    for leg in live {
        assert_eq!(leg.verdict, "not-needed", "{leg:#?}");
        assert_eq!(leg.code.as_deref(), Some("lane-off"));
        assert_eq!(leg.proven, None);
    }
    assert!(
        cold.iter().all(|leg| leg.verdict == "verified"),
        "{cold:#?}"
    );
    assert_eq!(report.summary.pairs.verified, 2);
    assert_eq!(report.summary.exit_code, 0);
}

#[test]
fn a_lower_depth_and_no_writing_prove_less_and_say_so() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(2);
    for (words, reached) in [
        (["--depth", "connect"].as_slice(), "host-key"),
        (&["--depth", "login"], "login"),
    ] {
        let report = report(&lab, words);
        assert_eq!(report.summary.legs.verified, 0, "{words:?}");
        for leg in &report.legs {
            assert_eq!(leg.reached.unwrap().as_str(), reached, "{words:?}");
            assert_eq!(leg.verdict, "unproven");
            assert_eq!(leg.code.as_deref(), Some("predicted-only"));
        }
    }
    // Whoever writes there is seen, also when it is gone afterwards.
    let instances = "/var/lib/nova/instances";
    let stamp = || {
        let stat = lab.node("node2").sh(&format!("stat -c %y {instances}"));
        String::from_utf8(stat.unwrap().stdout).unwrap()
    };
    let before = stamp();
    let report_without = report(&lab, &["--no-write"]);
    assert_eq!(stamp(), before);
    let push = |report: &Report| {
        let legs = report.legs.iter();
        let mut push = legs.filter(|leg| leg.lane.as_str() == "cold-push");
        push.next().unwrap().verdict.clone()
    };
    assert_eq!(push(&report_without), "unproven");
    assert_eq!(push(&report(&lab, &[])), "verified");
    assert_ne!(stamp(), before);
}

/// What a trace says of the leg with this heading.
fn leg<'t>(text: &'t str, heading: &str) -> Vec<&'t str> {
    let mut lines = text.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "`{heading}` is missing: {text}");
    lines.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn a_trace_shows_every_rung_of_a_pair_and_is_shown_again() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(3);
    let plant = "sed -i '/nova@node1$/d' /var/lib/nova/.ssh/authorized_keys";
    assert!(lab.node("node2").sh(plant).unwrap().status.success());
    let (text, status) = run(&lab, &["trace", "node1", "node2", "--color", "never"]);
    assert_eq!(status, Some(1), "{text}");
    let push = leg(&text, "cold-push: broken: node1 dials node2 as 10.77.0.3");
    let rungs = [
        "  ok        resolve",
        "  ok        connect",
        "  ok        host-key",
        "  FAILED    login",
        "  not tried command",
        "  not tried copy",
    ];
    assert_eq!(push[..rungs.len()], rungs, "{text}");
    assert!(push[6].starts_with("  key-not-authorized: "), "{text}");
    assert!(push[7].contains("tried for real: refused"), "{text}");
    let evidence = &push[8..];
    let offered = |line: &&str| line.contains("SHA256:") && line.contains("/var/lib/nova/.ssh/id_");
    assert!(evidence.iter().any(offered), "the key offered: {text}");
    let file =
        |line: &&str| line.contains("node2") && line.contains("/var/lib/nova/.ssh/authorized_keys");
    assert!(evidence.iter().any(file), "the file without it: {text}");
    let todo = |line: &&str| line.trim_start().starts_with("do: ");
    assert!(evidence.iter().any(todo), "what to do: {text}");

    let pull = leg(&text, "cold-pull: verified: node2 dials node1 as node1.lab");
    let climbed = ["resolve", "connect", "host-key", "login", "command", "copy"];
    let climbed = climbed.map(|rung| format!("  ok        {rung}"));
    assert_eq!(pull[..climbed.len()], climbed, "{text}");
    let live = leg(&text, "live: verified: node1 dials node2 as node2.lab");
    assert_eq!(live[..5], climbed[..5], "{text}");
    assert_eq!(live[5], "  no need   copy", "{text}");
    let shown = lab
        .command(env!("CARGO_BIN_EXE_clearway"))
        .args(["show", "last", "--format", "junit", "--ledger"])
        .arg(lab.inventory().with_file_name("ledger.db"))
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.starts_with("<?xml"), "{shown}");
    assert!(shown.contains("key-not-authorized"), "{shown}");
}
