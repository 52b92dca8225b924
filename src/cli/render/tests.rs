//! Literal text of reports.

use insta::assert_snapshot;

use super::*;
use crate::cli::paint::Paint;
use crate::domain::{Evidence, KeySeen, Lane, Reason, Severity, Why};
use crate::report::{FindingReport, FoldedLegs, ProvenEarlier, Report, sample};

const COLD: [Lane; 2] = [Lane::ColdPush, Lane::ColdPull];

fn view(width: usize) -> View {
    View {
        paint: Paint::default(),
        width,
        verbose: false,
    }
}

fn table(mut report: Report, width: usize) -> String {
    sample::summarise(&mut report);
    let mut out = Vec::new();
    write_table(&mut out, &report, Kept::Usual, view(width)).unwrap();
    String::from_utf8(out).unwrap()
}

fn trace(mut report: Report) -> String {
    report.command = "trace".to_owned();
    sample::summarise(&mut report);
    let mut out = Vec::new();
    write_trace(&mut out, &report, view(80)).unwrap();
    String::from_utf8(out).unwrap()
}

/// The classic: a compute was reinstalled, and everybody still knows its old host key.
fn stale_key(nodes: usize) -> Report {
    let mut report = sample::healthy(nodes);
    for leg in report.pick(&COLD, |_, server| server == "cmp017") {
        let dialled = leg.dialled.clone().unwrap();
        leg.break_with(
            Reason::HostKeyChanged,
            &format!(
                "On {}: `ssh-keygen -R {dialled}`, then add the key that {} presents.",
                leg.client, leg.server
            ),
        );
        leg.evidence = vec![
            Evidence::FileLine {
                node: leg.client.clone(),
                path: "/var/lib/nova/.ssh/known_hosts".to_owned(),
                line: Some(17),
                note: format!("another key for {dialled}"),
            },
            Evidence::Key {
                seen: KeySeen::Recorded,
                node: leg.client.clone(),
                key_type: "ssh-ed25519".to_owned(),
                fingerprint: "SHA256:8GtEN3GUu0Cn8s6LmrXJnkJDTcYqbzZuxGcpnGAbTDM".to_owned(),
                path: None,
            },
            Evidence::Key {
                seen: KeySeen::Served,
                node: leg.server.clone(),
                key_type: "ssh-ed25519".to_owned(),
                fingerprint: "SHA256:kqVhJ1Q7Gl0ntWwFjUCrHkKq5xM2VlOq2m4Wr1e0b3s".to_owned(),
                path: None,
            },
        ];
    }
    report
}

#[test]
fn all_well_is_said_in_a_few_lines() {
    assert_snapshot!(table(sample::healthy(40), 80), @r#"
    check: 40 nodes, 1560 ordered pairs: all verified
      4680 legs: 3120 verified, 1560 not needed
      run 20261123-013355-7f3a9c, proof up to copy, 12 s

    not needed
      cmp[001-040] → cmp[001-040]: live-over-tls (live, 1560 legs)  Live migration uses `qemu+tls`: libvirt makes no SSH login.
    "#);
}

#[test]
fn one_stale_key_is_one_group_with_one_remedy() {
    assert_snapshot!(table(stale_key(40), 80), @r#"
    check: 40 nodes, 1560 ordered pairs: 78 broken, 1482 verified
      4680 legs: 78 broken, 3042 verified, 1560 not needed
      run 20261123-013355-7f3a9c, proof up to copy, 12 s

                             1 2
      1 cmp[001-016,018-040] . X
      2 cmp017               X
      a move from row to column: . verified   X broken

    broken
      cmp[001-016,018-040] → cmp017: host-key-changed (cold-push, cold-pull, 78 legs)
        The client has another host key recorded for that name than the one the server presents.
        cold-push on cmp001 dialled 10.0.0.17: connect succeeded, host-key failed
          cmp001:/var/lib/nova/.ssh/known_hosts:17: another key for 10.0.0.17
          recorded on cmp001: ssh-ed25519 SHA256:8GtEN3GUu0Cn8s6LmrXJnkJDTcYqbzZuxGcpnGAbTDM
          served by cmp017: ssh-ed25519 SHA256:kqVhJ1Q7Gl0ntWwFjUCrHkKq5xM2VlOq2m4Wr1e0b3s
        do: (cold-push) On cmp[001-016,018-040]: `ssh-keygen -R 10.0.0.17`, then add the key that cmp017 presents.
        do: (cold-pull) On cmp[001-016,018-040]: `ssh-keygen -R cmp017.example.org`, then add the key that cmp017 presents.

    not needed
      cmp[001-040] → cmp[001-040]: live-over-tls (live, 1560 legs)  Live migration uses `qemu+tls`: libvirt makes no SSH login.

    next
      clearway trace cmp001 cmp017                         this pair rung by rung
      clearway reasons host-key-changed                    what it means
      clearway show 20261123-013355-7f3a9c --format json   everything, for programs
    "#);
}

#[test]
fn a_dead_node_among_forty_is_a_line_and_not_forty() {
    let mut report = sample::healthy(40);
    sample::lose(
        &mut report,
        "cmp017",
        Why::ControlUnreachable,
        "root@10.0.0.17:22: no answer within 10 s",
    );
    for leg in report.pick(&COLD, |_, server| server == "cmp017") {
        leg.break_with(
            Reason::ConnectionTimedOut,
            &format!(
                "See whether cmp017 is up; allow the port between {} and cmp017.",
                leg.client
            ),
        );
    }
    assert_snapshot!(table(report, 80), @r#"
    check: 40 nodes, 1560 ordered pairs: 78 broken, 1482 verified
      1 node could not be surveyed
      4680 legs: 78 broken, 117 unproven, 2964 verified, 1521 not needed
      run 20261123-013355-7f3a9c, proof up to copy, 12 s

                             1 2
      1 cmp[001-016,018-040] . X
      2 cmp017               X
      a move from row to column: . verified   X broken

    not surveyed
      cmp017: control-unreachable (117 legs unproven for it)
        The control connection to the node could not be opened: no answer, refused, or no route.
        cmp017: root@10.0.0.17:22: no answer within 10 s
        do: Check the address, port and jump host in the inventory (`clearway inventory show cmp017`), and that sshd runs there.

    broken
      cmp[001-016,018-040] → cmp017: connection-timed-out (cold-push, cold-pull, 78 legs)
        No answer to the TCP connection: a firewall drops it, or the address is wrong.
        cold-push on cmp001 dialled 10.0.0.17: resolve succeeded, connect failed
        do: See whether cmp017 is up; allow the port between cmp[001-016,018-040] and cmp017.

    not needed
      cmp[001-016,018-040] → cmp[001-040]: live-over-tls (live, 1521 legs)  Live migration uses `qemu+tls`: libvirt makes no SSH login.

    next
      clearway trace cmp001 cmp017                         this pair rung by rung
      clearway reasons connection-timed-out                what it means
      clearway show 20261123-013355-7f3a9c --format json   everything, for programs
    "#);
}

#[test]
fn everything_unproven_claims_nothing() {
    let mut report = sample::healthy(3);
    report.interrupted = true;
    for leg in report.pick(&Lane::ALL, |_, _| true) {
        leg.leave_unproven(Why::Interrupted);
    }
    assert_snapshot!(table(report, 80), @r#"
    check, interrupted: 3 nodes, 6 ordered pairs: all unproven
      18 legs: all unproven
      run 20261123-013355-7f3a9c, proof up to copy, 12 s

    unproven
      cmp[001-003] → cmp[001-003]: interrupted (cold-push, cold-pull, live, 18 legs)
        The run was interrupted before this leg was proven, or before its node had told so (nodes tell what works every few seconds).
        do: Run it again.

    next
      clearway trace cmp001 cmp002                         this pair rung by rung
      clearway reasons interrupted                         what it means
      clearway check                                       proves everything
      clearway show 20261123-013355-7f3a9c --format json   everything, for programs
    "#);
}

#[test]
fn two_hundred_nodes_fold_and_still_have_a_matrix() {
    let mut report = stale_key(200);
    for leg in report.pick(&COLD[..1], |client, _| {
        ("cmp101"..="cmp120").contains(&client)
    }) {
        leg.break_with(
            Reason::IdentityModes,
            &format!("On {}: `chmod 600 /var/lib/nova/.ssh/id_rsa`.", leg.client),
        );
    }
    assert_snapshot!(table(report, 80), @r#"
    check: 200 nodes, 39800 ordered pairs: 4358 broken, 35442 verified
      119400 legs: 4358 broken, 75242 verified, 39800 not needed
      run 20261123-013355-7f3a9c, proof up to copy, 12 s

                                     1 2 3
      1 cmp[001-016,018-100,121-200] . X .
      2 cmp017                       X   X
      3 cmp[101-120]                 X X X
      a move from row to column: . verified   X broken

    broken
      cmp[101-120] → cmp[001-200]: identity-modes (cold-push, 3980 legs)
        ssh ignores the private key because others may read it.
        cold-push on cmp101 dialled 10.0.0.1: host-key succeeded, login failed
        do: On cmp[101-120]: `chmod 600 /var/lib/nova/.ssh/id_rsa`.
      cmp[001-016,018-200] → cmp017: host-key-changed (cold-pull, 199 legs)
        The client has another host key recorded for that name than the one the server presents.
        cold-pull on cmp001 dialled cmp017.example.org: connect succeeded, host-key failed
          cmp001:/var/lib/nova/.ssh/known_hosts:17: another key for cmp017.example.org
          recorded on cmp001: ssh-ed25519 SHA256:8GtEN3GUu0Cn8s6LmrXJnkJDTcYqbzZuxGcpnGAbTDM
          served by cmp017: ssh-ed25519 SHA256:kqVhJ1Q7Gl0ntWwFjUCrHkKq5xM2VlOq2m4Wr1e0b3s
        do: On cmp[001-016,018-200]: `ssh-keygen -R cmp017.example.org`, then add the key that cmp017 presents.
      cmp[001-016,018-100,121-200] → cmp017: host-key-changed (cold-push, 179 legs)
        cold-push on cmp001 dialled 10.0.0.17: connect succeeded, host-key failed
          cmp001:/var/lib/nova/.ssh/known_hosts:17: another key for 10.0.0.17
          recorded on cmp001: ssh-ed25519 SHA256:8GtEN3GUu0Cn8s6LmrXJnkJDTcYqbzZuxGcpnGAbTDM
          served by cmp017: ssh-ed25519 SHA256:kqVhJ1Q7Gl0ntWwFjUCrHkKq5xM2VlOq2m4Wr1e0b3s
        do: On cmp[001-016,018-100,121-200]: `ssh-keygen -R 10.0.0.17`, then add the key that cmp017 presents.

    not needed
      cmp[001-200] → cmp[001-200]: live-over-tls (live, 39800 legs)  Live migration uses `qemu+tls`: libvirt makes no SSH login.

    next
      clearway trace cmp101 cmp001                         this pair rung by rung
      clearway reasons identity-modes                      what it means
      clearway show 20261123-013355-7f3a9c --format json   everything, for programs
    "#);
}

#[test]
fn a_matrix_that_does_not_fit_is_left_out_with_a_word() {
    let mut report = sample::healthy(30);
    for leg in report.pick(&COLD[..1], |client, server| client[3..] < server[3..]) {
        leg.break_with(Reason::HostKeyUnknown, "");
    }
    let text = table(report, 40);
    let matrix: Vec<_> = text.lines().skip(4).take(2).collect();
    assert_snapshot!(matrix.join("\n"), @"  no matrix: 30 kinds of nodes in 40 columns; `--format json` has every pair");
}

#[test]
fn a_step_that_was_not_to_be_tried_has_not_failed() {
    let mut report = sample::healthy(2);
    for leg in report.pick(&COLD[..1], |client, _| client == "cmp001") {
        leg.break_with(Reason::KeyNotAuthorized, "Add it.");
        leg.proven = Some("works".to_owned());
        leg.proven_code = None;
    }
    let text = table(report.clone(), 80);
    let story = text.lines().find(|line| line.contains(" dialled "));
    assert_eq!(
        story,
        Some(
            "    cold-push on cmp001 dialled 10.0.0.2: host-key succeeded, login was not tried and will fail by the files"
        )
    );
    let text = trace(report);
    assert!(
        text.contains("ok        host-key\n  will fail login\n"),
        "{text}"
    );
}

#[test]
fn nodes_cannot_write_to_the_terminal() {
    let mut report = sample::healthy(2);
    for leg in report.pick(&COLD[..1], |client, _| client == "cmp001") {
        leg.break_with(Reason::ShellNoisy, "On cmp002: look at `\u{1b}[8m.bashrc`.");
        leg.dialled = Some("10.0.0.2\u{1b}[31m".to_owned());
        leg.evidence = vec![
            Evidence::Output {
                node: "cmp001".to_owned(),
                command: "ssh 10.0.0.2".to_owned(),
                status: None,
                text: "\u{1b}]0;title\u{7}\r\nall \u{202e}deifirev\n\u{9b}2J".to_owned(),
            },
            Evidence::Log {
                node: "cmp002".to_owned(),
                text: "\u{fffd}\u{fffd} \u{200b}".to_owned(),
            },
        ];
    }
    report.nodes[1].gaps = vec!["no /etc/shadow\u{7}".to_owned()];
    report.findings.push(FindingReport {
        code: "clock-skew".to_owned(),
        severity: Severity::Warning,
        nodes: "cmp002".to_owned(),
        detail: "3 h\u{1b}c".to_owned(),
        evidence: Vec::new(),
        remedy: "Repair\u{7}.".to_owned(),
    });
    let text = table(report.clone(), 80);
    assert!(!text.contains(|c| c != '\n' && crate::report::escape::is_deceptive(c)));
    assert_snapshot!(text, @r#"
    check: 2 nodes, 2 ordered pairs: 1 broken, 1 verified
      6 legs: 1 broken, 3 verified, 2 not needed
      run 20261123-013355-7f3a9c, proof up to copy, 12 s

               1 2
      1 cmp001   X
      2 cmp002 .
      a move from row to column: . verified   X broken

    broken
      cmp001 → cmp002: shell-noisy (cold-push, 1 leg)
        The far end's shell prints text before the copy starts, which breaks scp, sftp and rsync.
        cold-push on cmp001 dialled 10.0.0.2\u{1b}[31m: command succeeded, copy failed
          cmp001$ ssh 10.0.0.2  (cut off)
            \u{1b}]0;title\u{7}
            all \u{202e}deifirev
            \u{9b}2J
          log of cmp002:
            �� \u{200b}
        do: On cmp002: look at `\u{1b}[8m.bashrc`.

    findings
      warning clock-skew
        A node's clock is away from the controller's by more than certificates and logs bear.
        cmp002: 3 h\u{1b}c
        do: Repair\u{7}.

    gaps in the survey
      cmp002: no /etc/shadow\u{7}

    not needed
      cmp[001-002] → cmp[001-002]: live-over-tls (live, 2 legs)  Live migration uses `qemu+tls`: libvirt makes no SSH login.

    next
      clearway trace cmp001 cmp002                         this pair rung by rung
      clearway reasons shell-noisy                         what it means
      clearway show 20261123-013355-7f3a9c --format json   everything, for programs
    "#);
    let text = trace(report.clone());
    assert!(!text.contains(|c| c != '\n' && crate::report::escape::is_deceptive(c)));
    let mut out = Vec::new();
    write_junit(&mut out, &report).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains(|c| c != '\n' && crate::report::escape::is_deceptive(c)));
}

#[test]
fn what_was_only_predicted_is_no_success() {
    let mut report = sample::healthy(4);
    report.settings.pairs = "ring".to_owned();
    report
        .legs
        .retain(|leg| leg.lane == Lane::ColdPush && leg.source < leg.destination);
    report.predicted_only.push(FoldedLegs {
        lane: Lane::ColdPush,
        sources: "cmp[002-004]".to_owned(),
        destinations: "cmp001".to_owned(),
        count: 3,
    });
    assert_snapshot!(table(report, 80), @r#"
    check: 4 nodes, 9 ordered pairs: 3 predicted only, 6 verified
      9 legs: 3 predicted only, 6 verified
      run 20261123-013355-7f3a9c, proof up to copy, pairs ring, 12 s

               1 2 3 4
      1 cmp001   . . .
      2 cmp002 ~   . .
      3 cmp003 ~     .
      4 cmp004 ~
      a move from row to column: . verified   ~ predicted only

    predicted to work, not proven in this run
      moves from cmp[002-004] to cmp001: not tried (cold-push, 3 legs)

    next
      clearway check                                       proves everything
      clearway show 20261123-013355-7f3a9c --format json   everything, for programs
    "#);
}

#[test]
fn what_was_proven_earlier_says_so() {
    let mut report = sample::healthy(2);
    report.settings.pairs = "changed".to_owned();
    report.legs.clear();
    report.predicted_only.push(FoldedLegs {
        lane: Lane::ColdPush,
        sources: "cmp[001-002]".to_owned(),
        destinations: "cmp[001-002]".to_owned(),
        count: 2,
    });
    report.proven_earlier = Some(ProvenEarlier {
        pairs: 2,
        since: "2026-11-26T10:00:00.000Z".to_owned(),
    });
    assert_snapshot!(table(report, 80), @r#"
    check: 2 nodes, 2 ordered pairs: all predicted only
      2 legs: all predicted only
      run 20261123-013355-7f3a9c, proof up to copy, pairs changed, 12 s

    predicted to work, not proven in this run
      moves from cmp[001-002] to cmp[001-002]: not tried (cold-push, 2 legs)
      proven by earlier runs, with nothing changed at either end since: 2 pairs, the oldest proof of 2026-11-26T10:00:00.000Z

    next
      clearway check                                       proves everything
      clearway show 20261123-013355-7f3a9c --format json   everything, for programs
    "#);
}

#[test]
fn findings_of_one_kind_are_told_together() {
    let mut report = sample::healthy(4);
    for (nodes, detail) in [
        ("cmp[001-003]", "id_rsa of nova"),
        ("cmp[002-004]", "id_rsa of root"),
    ] {
        report.findings.push(FindingReport {
            code: "private-key-shared".to_owned(),
            severity: Severity::Warning,
            nodes: nodes.to_owned(),
            detail: detail.to_owned(),
            evidence: Vec::new(),
            remedy: "Give each node a key of its own (`clearway keys rotate`).".to_owned(),
        });
    }
    assert_snapshot!(table(report, 80), @r#"
    check: 4 nodes, 12 ordered pairs: all verified
      36 legs: 24 verified, 12 not needed
      run 20261123-013355-7f3a9c, proof up to copy, 12 s

    findings
      warning private-key-shared
        The same private key lies on several nodes: whoever takes one node has them all, and no single node can be revoked.
        cmp[001-003]: id_rsa of nova
        cmp[002-004]: id_rsa of root
        do: Give each node a key of its own (`clearway keys rotate`).

    not needed
      cmp[001-004] → cmp[001-004]: live-over-tls (live, 12 legs)  Live migration uses `qemu+tls`: libvirt makes no SSH login.
    "#);
}

fn pair(mut report: Report) -> Report {
    report.nodes.truncate(2);
    report
        .legs
        .retain(|leg| leg.source == "cmp001" && leg.destination == "cmp002");
    report
}

#[test]
fn a_trace_shows_every_rung_of_every_leg() {
    let mut report = pair(sample::healthy(2));
    for leg in report.pick(&COLD[1..], |_, _| true) {
        leg.break_with(
            Reason::KeyNotAuthorized,
            "Add the public key of nova@cmp002 to /var/lib/nova/.ssh/authorized_keys on cmp001, or run `clearway repair`.",
        );
        leg.evidence = vec![Evidence::Output {
            node: "cmp002".to_owned(),
            command: "ssh -o BatchMode=yes cmp001.example.org touch /var/lib/nova/instances/x"
                .to_owned(),
            status: Some(255),
            text: "nova@cmp001.example.org: Permission denied (publickey).\r\n".to_owned(),
        }];
    }
    assert_snapshot!(trace(report), @r#"
    trace: cmp001 → cmp002: broken
      run 20261123-013355-7f3a9c, proof up to copy, 12 s
      cmp001: service host cmp001.example.org, migration address 10.0.0.1
      cmp002: service host cmp002.example.org, migration address 10.0.0.2

    cold-push: verified: cmp001 dials cmp002 as 10.0.0.2
      ok        resolve
      ok        connect
      ok        host-key
      ok        login
      ok        command
      ok        copy
      the files say: works; tried for real: works in 412 ms

    cold-pull: broken: cmp002 dials cmp001 as cmp001.example.org
      ok        resolve
      ok        connect
      ok        host-key
      FAILED    login
      not tried command
      not tried copy
      key-not-authorized: None of the keys offered is authorised for the account on the far end.
      the files say: breaks (key-not-authorized); tried for real: breaks (key-not-authorized) in 412 ms
        cmp002$ ssh -o BatchMode=yes cmp001.example.org touch /var/lib/nova/instances/x  (exit 255)
          nova@cmp001.example.org: Permission denied (publickey).
        do: Add the public key of nova@cmp002 to /var/lib/nova/.ssh/authorized_keys on cmp001, or run `clearway repair`.

    live: not-needed: cmp001 to cmp002
      live-over-tls: Live migration uses `qemu+tls`: libvirt makes no SSH login.
    "#);
}

#[test]
fn a_trace_of_a_dead_node_says_why_it_knows_nothing() {
    let mut report = pair(sample::healthy(2));
    sample::lose(
        &mut report,
        "cmp002",
        Why::ControlDenied,
        "Permission denied (publickey).",
    );
    for leg in report.pick(&COLD[..1], |_, _| true) {
        leg.break_with(
            Reason::SharedAddress,
            "Give each node an address of its own.",
        );
        leg.proven = None;
        leg.reached = None;
    }
    assert_snapshot!(trace(report), @r#"
    trace: cmp001 → cmp002: broken
      run 20261123-013355-7f3a9c, proof up to copy, 12 s
      cmp001: service host cmp001.example.org, migration address 10.0.0.1
      cmp002: not surveyed: control-denied
        Permission denied (publickey).
        do: Check `control.user` and `control.identity` in the inventory; try `ssh` by hand.

    cold-push: broken: cmp001 dials cmp002 as 10.0.0.2
      will fail resolve
      not tried connect
      not tried host-key
      not tried login
      not tried command
      not tried copy
      shared-address: Two nodes announce the same migration address, or one announces an address that it does not own. Nova then takes their storage for shared, copies no disk and loses it.
      the files say: breaks (shared-address); not tried for real in 412 ms
        do: Give each node an address of its own.

    cold-pull: unproven: cmp002 dials cmp001 as cmp001.example.org
      control-denied: The node does not let clearway log in.
      the files say: unknown (control-denied); not tried for real
        do: Check `control.user` and `control.identity` in the inventory; try `ssh` by hand.

    live: not-needed: cmp001 to cmp002
      live-over-tls: Live migration uses `qemu+tls`: libvirt makes no SSH login.
    "#);
}

#[test]
fn junit_tells_failures_errors_and_skipped_apart() {
    let mut report = pair(stale_key(2));
    for leg in report.pick(&COLD[..1], |_, _| true) {
        leg.break_with(Reason::DiskFull, "On cmp002: `df -h </var>`.");
    }
    for leg in report.pick(&COLD[1..], |_, _| true) {
        leg.leave_unproven(Why::Throttled);
    }
    let mut out = Vec::new();
    write_junit(&mut out, &report).unwrap();
    assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="clearway check" tests="3" skipped="1" failures="1" errors="1">
        <testsuite name="cold-push" tests="1" skipped="0" errors="0" failures="1">
            <testcase name="cmp001 → cmp002" classname="clearway.cold-push" time="0.412">
                <failure message="disk-full at command: The file system of the instances directory is full (space or inodes)." type="disk-full">cmp001 dials cmp002 as 10.0.0.2
    do: On cmp002: `df -h &lt;/var&gt;`.</failure>
            </testcase>
        </testsuite>
        <testsuite name="cold-pull" tests="1" skipped="0" errors="1" failures="0">
            <testcase name="cmp001 → cmp002" classname="clearway.cold-pull">
                <error message="throttled: The far end dropped the connection before the banner, also when tried again: MaxStartups or PerSourcePenalties. That says nothing about trust." type="throttled">cmp002 dials cmp001 as cmp001.example.org
    do: Try again in a few minutes, raise `MaxStartups` on cmp001, or list the migration network in `PerSourcePenaltyExemptList`.</error>
            </testcase>
        </testsuite>
        <testsuite name="live" tests="1" skipped="1" errors="0" failures="0">
            <testcase name="cmp001 → cmp002" classname="clearway.live">
                <skipped message="live-over-tls: Live migration uses `qemu+tls`: libvirt makes no SSH login." type="live-over-tls"/>
            </testcase>
        </testsuite>
    </testsuites>
    "#);
}

/// The published schema; `strict` also refuses fields that it does not have.
fn schema(strict: bool) -> jsonschema::Validator {
    fn close(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(object) => {
                object.values_mut().for_each(close);
                if object.contains_key("properties") && object.contains_key("required") {
                    object.insert("additionalProperties".to_owned(), false.into());
                }
            }
            serde_json::Value::Array(array) => array.iter_mut().for_each(close),
            _ => {}
        }
    }
    let text = include_str!("../../../docs/report.schema.json");
    let mut schema = serde_json::from_str(text).unwrap();
    if strict {
        close(&mut schema);
    }
    jsonschema::draft202012::new(&schema).unwrap()
}

fn json(report: &Report) -> serde_json::Value {
    let mut out = Vec::new();
    write_json(&mut out, report).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn json_is_what_the_schema_says_and_the_schema_has_every_field() {
    let mut all = stale_key(20);
    sample::lose(&mut all, "cmp003", Why::ControlLost, "reset");
    all.nodes[3]
        .gaps
        .push("no access to /etc/shadow".to_owned());
    all.legs[0].evidence = vec![
        Evidence::Log {
            node: "cmp001".to_owned(),
            text: "x".to_owned(),
        },
        Evidence::Fact {
            node: None,
            text: "y".to_owned(),
        },
        Evidence::Output {
            node: "cmp001".to_owned(),
            command: "ssh".to_owned(),
            status: None,
            text: "\u{1b}".to_owned(),
        },
    ];
    all.findings.push(FindingReport {
        code: "clock-skew".to_owned(),
        severity: Severity::Info,
        nodes: "cmp002".to_owned(),
        detail: String::new(),
        evidence: Vec::new(),
        remedy: String::new(),
    });
    all.predicted_only.push(FoldedLegs {
        lane: Lane::Live,
        sources: "cmp001".to_owned(),
        destinations: "cmp002".to_owned(),
        count: 1,
    });
    all.proven_earlier = Some(ProvenEarlier {
        pairs: 1,
        since: "2026-11-26T10:00:00.000Z".to_owned(),
    });
    sample::summarise(&mut all);
    for report in [sample::healthy(3), all] {
        for strict in [false, true] {
            let value = json(&report);
            let errors: Vec<_> = schema(strict)
                .iter_errors(&value)
                .map(|e| e.to_string())
                .collect();
            assert_eq!(errors, Vec::<String>::new());
        }
    }
}

#[test]
fn the_schema_refuses_what_a_report_never_says() {
    let check = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = json(&stale_key(20));
        change(&mut value);
        schema(false).is_valid(&value)
    };
    assert!(check(&|_| {}));
    assert!(check(&|value| value["later"] = "field".into()));
    assert!(!check(&|value| value["schema"] = 2.into()));
    assert!(!check(
        &|value| value["legs"][0]["verdict"] = "broken".into()
    ));
    assert!(!check(&|value| value["legs"][0]["lane"] = "warm".into()));
    assert!(!check(
        &|value| value["summary"]["legs"]["broken"] = (-1).into()
    ));
}

#[test]
fn colour_adds_nothing_but_colour() {
    let mut report = stale_key(40);
    sample::summarise(&mut report);
    let mut colourful = Vec::new();
    let painted = View {
        paint: Paint::new(
            crate::cli::paint::ColorChoice::Always,
            crate::system::Terminal::default(),
            false,
        ),
        ..view(80)
    };
    write_table(&mut colourful, &report, Kept::Usual, painted).unwrap();
    let colourful = String::from_utf8(colourful).unwrap();
    let mut plain = String::new();
    let mut rest = colourful.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert!(colourful.len() > plain.len());
    assert_eq!(plain, table(report, 80));
}

#[test]
fn what_to_type_next_finds_the_run_where_it_was_recorded() {
    let mut report = stale_key(40);
    sample::summarise(&mut report);
    let shown = |kept| {
        let mut out = Vec::new();
        write_table(&mut out, &report, kept, view(80)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let line = text.lines().find(|line| line.contains(" show "));
        line.map(|line| line.trim().to_owned())
    };
    let elsewhere = Kept::In("/srv/my runs.db".as_ref());
    assert_eq!(
        shown(elsewhere).as_deref(),
        Some(
            "clearway --ledger '/srv/my runs.db' show 20261123-013355-7f3a9c --format json   everything, for programs"
        )
    );
    assert_eq!(shown(Kept::Nowhere), None);
}
