//! A node that lies, floods or hangs: node3, whose sudo, through which every program of a control connection runs,
//! is not sudo.

use std::time::Duration;

use ::clearway::report::{LegReport, Report};
use clearway_lab::{Lab, LabSupport};

use crate::clearway::{Ended, QuietLab, check, quiet_lab};

/// Above the deadlines of survey and proof together.
const LIMIT: Duration = Duration::from_secs(180);
const MOST_KIB: u64 = 200 * 1024;
/// A survey must fit in, on a busy machine too.
const TIMEOUT: &str = "15";

/// What makes the rest of a script run only after the survey.
const AFTER_SURVEY: &str =
    "[ -e /tmp/surveyed ] || { : >/tmp/surveyed; exec /usr/bin/honest \"$@\"; }\n";
const STARTS: &str = "echo clearway-program-starts >&2\n";
const GARBAGE: &str = "head -c 65536 /dev/urandom; head -c 65536 /dev/urandom >&2";
const FLOOD: &str = "exec head -c 1000000000 /dev/zero";
const FLOOD_OF_LINES: &str = "yes clearway/1 | head -c 1000000000";
const FLOOD_OF_ERRORS: &str = "exec head -c 1000000000 /dev/zero >&2";
const SILENCE: &str = "exec sleep 100000";
const ESCAPES: &str = "p() { printf '\\033]0;owned\\007\\033[2J\\033[1;31mverified\\033[0m\\r\\n\\302\\2332J\\342\\200\\256'; }
p; p >&2; exit 1";
const TRUNCATED: &str = "/usr/bin/honest \"$@\" | head -c 3000";

fn lab_with(hostility: &str) -> QuietLab {
    let lab = quiet_lab(3);
    replace_sudo(&lab, "node3", hostility);
    lab
}

fn replace_sudo(lab: &Lab, node: &str, script: &str) {
    let done = lab.node(node).sh(&format!(
        "set -e\nmv /usr/bin/sudo /usr/bin/honest\ncat >/usr/bin/sudo <<'END'\n#!/bin/sh\n{script}\nEND\nchmod 755 /usr/bin/sudo"
    ));
    let done = done.unwrap();
    assert!(done.status.success(), "{done:?}");
}

fn checked(lab: &Lab) -> (Ended, Report) {
    let ended = check(lab, &["--format", "json", "--timeout", TIMEOUT], LIMIT);
    assert!(
        ended.peak_kib > 0 && ended.peak_kib < MOST_KIB,
        "{} KiB",
        ended.peak_kib
    );
    assert!(!ended.stdout.contains(&0x1b) && !ended.stderr.contains(&0x1b));
    let report = ended.report();
    (ended, report)
}

fn show(leg: &LegReport) -> String {
    format!(
        "{} {} -> {}: {} {:?} {:?}",
        leg.lane, leg.client, leg.server, leg.verdict, leg.code, leg.evidence
    )
}

/// What every lie in the survey must come to: nothing is known of node3, and all is well with the others.
fn harms_only_its_own_rows(hostility: &str) {
    if LabSupport::skips_test() {
        return;
    }
    for starts in ["", STARTS] {
        only_node3_is_lost(&lab_with(&format!("{starts}{hostility}")));
    }
}

fn only_node3_is_lost(lab: &Lab) {
    let (ended, report) = checked(lab);
    let node3 = report
        .nodes
        .iter()
        .find(|node| node.name == "node3")
        .unwrap();
    let why = node3.why.as_deref().unwrap_or_default();
    assert!(!node3.surveyed, "{node3:?}");
    assert!(
        why.starts_with("control-") || why == "sudo-refused",
        "{node3:?}"
    );
    let mut between_others = 0;
    for leg in &report.legs {
        if leg.client == "node3" || leg.server == "node3" {
            assert_eq!(leg.verdict, "unproven", "{}", show(leg));
        } else {
            assert_eq!(leg.verdict, "verified", "{}", show(leg));
            between_others += 1;
        }
    }
    assert!(between_others > 0);
    assert_eq!(ended.status.code(), Some(3));
}

/// The same for what is hostile only when it is asked to climb: what others found out about node3 stays.
fn harms_only_what_it_climbs(hostility: &str) -> Option<Ended> {
    if LabSupport::skips_test() {
        return None;
    }
    let lab = lab_with(&format!("{AFTER_SURVEY}{STARTS}{hostility}"));
    let (ended, report) = checked(&lab);
    assert!(
        report.nodes.iter().all(|node| node.surveyed),
        "{:?}",
        report.nodes
    );
    for leg in &report.legs {
        let wanted = if leg.client == "node3" {
            "unproven"
        } else {
            "verified"
        };
        assert_eq!(leg.verdict, wanted, "{}", show(leg));
    }
    assert_eq!(ended.status.code(), Some(3));
    Some(ended)
}

#[test]
fn a_node_of_garbage_harms_only_its_own_rows() {
    harms_only_its_own_rows(GARBAGE);
}

#[test]
fn a_node_that_sends_a_gigabyte_of_zeros_harms_only_its_own_rows() {
    harms_only_its_own_rows(FLOOD);
}

#[test]
fn a_node_that_sends_a_gigabyte_of_lines_harms_only_its_own_rows() {
    harms_only_its_own_rows(FLOOD_OF_LINES);
}

#[test]
fn a_node_that_sends_a_gigabyte_of_errors_harms_only_its_own_rows() {
    harms_only_its_own_rows(FLOOD_OF_ERRORS);
}

#[test]
fn a_node_that_floods_when_it_climbs_harms_only_what_it_climbs() {
    harms_only_what_it_climbs(FLOOD);
}

#[test]
fn a_silent_node_harms_only_its_own_rows() {
    harms_only_its_own_rows(SILENCE);
}

/// It is waited for once, not once for each of its contexts, and that is told.
#[test]
fn a_node_that_is_silent_when_it_climbs_harms_only_what_it_climbs_and_is_named() {
    let Some(ended) = harms_only_what_it_climbs(SILENCE) else {
        return;
    };
    // Of the first context a connection's deadline and a little, of the second only the little.
    assert!(ended.took < Duration::from_secs(75), "{:?}", ended.took);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        said.lines()
            .any(|line| line.starts_with("proving ") && line.ends_with(" · waiting for node3")),
        "{said}"
    );
}

#[test]
fn a_node_that_stops_in_the_middle_harms_only_its_own_rows() {
    harms_only_its_own_rows(TRUNCATED);
}

#[test]
fn a_node_of_terminal_escapes_harms_only_its_own_rows_and_no_terminal() {
    harms_only_its_own_rows(ESCAPES);
    if LabSupport::skips_test() {
        return;
    }
    let lab = lab_with(&format!("{STARTS}{ESCAPES}"));
    let ended = check(&lab, &["--verbose", "--color", "never"], LIMIT);
    for bytes in [&ended.stdout, &ended.stderr] {
        let text = std::str::from_utf8(bytes).unwrap();
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(bad), "{text:?}");
    }
}

#[test]
fn a_node_that_replays_what_another_once_answered_harms_only_its_own_rows() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(3);
    replace_sudo(&lab, "node1", "/usr/bin/honest \"$@\" | tee -a /tmp/answer");
    let honest = check(&lab, &["--predict-only", "--format", "json"], LIMIT).report();
    assert!(honest.nodes.iter().all(|node| node.surveyed));
    let answer = std::fs::read(lab.node("node1").path("/tmp/answer")).unwrap();
    assert!(answer.len() > 1000);
    std::fs::write(lab.node("node3").path("/tmp/answer"), answer).unwrap();
    lab.node("node1")
        .sh("mv /usr/bin/honest /usr/bin/sudo")
        .unwrap();
    lab.node("node3").sh("chmod 644 /tmp/answer").unwrap();
    replace_sudo(&lab, "node3", &format!("{STARTS}cat /tmp/answer"));
    only_node3_is_lost(&lab);
}

#[test]
fn a_node_that_hands_the_survey_on_to_another_harms_only_its_own_rows() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = quiet_lab(3);
    let key = lab
        .node("node3")
        .sh("set -e; cd /home/deploy; mkdir -p .ssh; ssh-keygen -q -t ed25519 -N '' -f .ssh/relay; chown -R deploy: .ssh; cat .ssh/relay.pub")
        .unwrap();
    let key = String::from_utf8(key.stdout).unwrap();
    let grant = format!("echo '{}' >>/home/deploy/.ssh/authorized_keys", key.trim());
    assert!(lab.node("node1").sh(&grant).unwrap().status.success());
    let relay = r#"exec ssh -q -i /home/deploy/.ssh/relay -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null deploy@node1 "sudo -n /bin/sh -c 'echo clearway-program-starts >&2; eval \"\$(cat)\"'""#;
    replace_sudo(&lab, "node3", relay);
    only_node3_is_lost(&lab);
    let (_, report) = checked(&lab);
    let why = |name: &str| {
        let node = report.nodes.iter().find(|node| node.name == name);
        node.unwrap().why.clone()
    };
    assert_eq!(why("node3").as_deref(), Some("control-misled"));
    assert_eq!(why("node1"), None);
}
