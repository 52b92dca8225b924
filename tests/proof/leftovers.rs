//! Whatever happens to the program, nothing of it stays on any node.

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearway::domain::{Lane, Leg, Proven, Step, Why};
use clearway::proof::{Program, Settings, programs};
use clearway_lab::Lab;

use super::support::*;

/// A copy that never gets an answer, and ends when its connection does.
const HANGING_SFTP: &str =
    "printf '#!/bin/sh\\nexec cat >/dev/null\\n' >/usr/lib/openssh/sftp-server";

fn patient(total: u64) -> Settings {
    Settings {
        connection: Duration::from_secs(6),
        total: Duration::from_secs(total),
        ..settings()
    }
}

fn start(lab: &Lab, program: &Program) -> Child {
    let mut child = lab
        .node("node1")
        .command("/bin/sh")
        .args(["-c", "eval \"$(cat)\""])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(program.script().as_bytes()).unwrap();
    child
}

/// Waits until the probe's directory is there, in the middle of a leg.
fn in_flight(lab: &Lab) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let found = lab
            .node("node2")
            .sh(&format!("ls -d {INSTANCES}/.clearway*"))
            .unwrap();
        if found.status.success() {
            return;
        }
        assert!(Instant::now() < end, "no leg is in flight");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The pids of the program's shells on the client node: all, or those that are their own parent's only ones.
fn shells(lab: &Lab) -> Vec<String> {
    let list = "ps -eo pid,args | awk '/sh -c eval/ && !/awk/ {print $1}'";
    let output = lab.node("node1").sh(list).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

fn kill(lab: &Lab, signal: &str, pids: &[String]) {
    sh(lab, 1, &format!("kill -{signal} {}", pids.join(" ")));
}

fn hanging() -> (Lab, Program) {
    let lab = Lab::builder().nodes(2).start().unwrap();
    sh(&lab, 2, HANGING_SFTP);
    let legs = vec![leg(&lab, Lane::ColdPush, 1, 2)];
    let program = programs(legs, &patient(60), &nonce()).remove(0);
    (lab, program)
}

#[test]
fn a_lost_control_connection_ends_it_at_its_next_word() {
    let (lab, program) = hanging();
    let mut child = start(&lab, &program);
    in_flight(&lab);
    drop(child.stdout.take());
    nothing_is_left(&lab, Duration::from_secs(25));
    child.wait().unwrap();
}

#[test]
fn a_lost_control_connection_ends_it_where_the_context_ignores_broken_pipes() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    sh(&lab, 2, HANGING_SFTP);
    // Programs that enter containers, and what runs in them, may have SIGPIPE ignored: no shell can trap it then.
    let words = ["env", "--ignore-signal=PIPE", "runuser", "-u", "nova", "--"];
    let push = Leg {
        context: words.map(str::to_owned).into(),
        ..leg(&lab, Lane::ColdPush, 1, 2)
    };
    // One after the other they take a minute and more.
    let patient = Settings {
        workers: 2,
        ..patient(120)
    };
    let program = programs(vec![push; 20], &patient, &nonce()).remove(0);
    let mut child = start(&lab, &program);
    in_flight(&lab);
    drop(child.stdout.take());
    nothing_is_left(&lab, Duration::from_secs(25));
    child.wait().unwrap();
}

/// Like `docker exec -i`: what runs inside has the pipes of a daemon, which reads on when nobody listens any more, and closes
/// its standard input then.
const DAEMON: &str = r#"cat >/usr/bin/box <<'END'
#!/usr/bin/perl
use POSIX; $SIG{PIPE} = 'IGNORE';
pipe(my $in_r, my $in_w); pipe(my $out_r, my $out_w);
if (!fork) {
    setsid; open(STDIN, '<&', $in_r); open(STDOUT, '>&', $out_w);
    close $_ for $in_r, $in_w, $out_r, $out_w;
    exec 'runuser', '-u', 'nova', '--', @ARGV;
}
close $in_r; close $out_w;
my $feeder = fork;
if (!$feeder) { close $out_r; while (sysread STDIN, my $text, 4096) { syswrite $in_w, $text } exit }
close $in_w;
my $listens = 1;
while (sysread $out_r, my $text, 4096) {
    next if !$listens || defined syswrite STDOUT, $text;
    $listens = 0;
    kill 'TERM', $feeder;
}
kill 'TERM', $feeder;
END
chmod 755 /usr/bin/box"#;

#[test]
fn a_lost_control_connection_ends_it_behind_a_daemon_that_reads_on() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    sh(&lab, 1, DAEMON);
    let push = Leg {
        context: Arc::from(["box".to_owned()]),
        ..leg(&lab, Lane::ColdPush, 1, 2)
    };
    let proof = climb(&lab, push.clone());
    assert_eq!((proof.reached, proof.outcome), works(Step::Copy));
    nothing_is_left(&lab, Duration::from_secs(8));
    sh(&lab, 2, HANGING_SFTP);
    let program = programs(vec![push; 20], &patient(120), &nonce()).remove(0);
    let mut child = start(&lab, &program);
    in_flight(&lab);
    drop(child.stdout.take());
    nothing_is_left(&lab, Duration::from_secs(25));
    child.wait().unwrap();
}

#[test]
fn a_signal_ends_it_at_once_and_cleans_up_on_the_far_end() {
    let (lab, program) = hanging();
    let mut child = start(&lab, &program);
    in_flight(&lab);
    let begun = Instant::now();
    kill(&lab, "TERM", &shells(&lab)[1..2]);
    let mut answer = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut answer)
        .unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let found = lab
        .node("node2")
        .sh(&format!("ls -dA {INSTANCES}/.clearway*"))
        .unwrap();
    assert!(!found.status.success(), "{found:?}");
    child.wait().unwrap();
    let mut reader = program.reader();
    reader.push(&answer, &name, &mut Vec::new()).unwrap();
    let ended = clearway::proof::Ended::Exited {
        status: Some(0),
        stderr: b"",
    };
    assert_eq!(
        reader.finish(ended, &name)[0].1.outcome,
        Proven::Unknown(Why::Interrupted)
    );
    nothing_is_left(&lab, Duration::from_secs(8));
}

#[test]
fn a_kill_of_any_one_of_its_shells_leaves_nothing() {
    let count = {
        let (lab, program) = hanging();
        let mut child = start(&lab, &program);
        in_flight(&lab);
        let count = shells(&lab).len();
        drop(child.stdout.take());
        child.kill().unwrap();
        child.wait().unwrap();
        nothing_is_left(&lab, Duration::from_secs(40));
        count
    };
    assert!(count >= 4, "{count}");
    for victim in 1..count {
        let (lab, program) = hanging();
        let mut child = start(&lab, &program);
        in_flight(&lab);
        kill(&lab, "KILL", &shells(&lab)[victim..=victim]);
        drop(child.stdout.take());
        nothing_is_left(&lab, Duration::from_secs(45));
        child.wait().unwrap();
    }
}

#[test]
fn the_far_end_cleans_up_after_a_client_that_died() {
    let (lab, program) = hanging();
    let mut child = start(&lab, &program);
    in_flight(&lab);
    let everything = "ps -eo pid,args | awk '/clearway|ssh -x|scp|timeout|sh -c eval|sleep/ && !/awk|sshd/ {print $1}'";
    let output = lab.node("node1").sh(everything).unwrap();
    let pids: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    // Some may have ended since.
    sh(&lab, 1, &format!("kill -KILL {} || true", pids.join(" ")));
    child.wait().unwrap();
    sh(&lab, 1, "rm -rf /tmp/.clearway-*");
    nothing_is_left(&lab, Duration::from_secs(45));
}

#[test]
fn its_own_deadline_ends_it_and_says_so() {
    let (lab, _) = hanging();
    let legs = vec![leg(&lab, Lane::ColdPush, 1, 2)];
    let proof = climb_with(&lab, &patient(3), legs).remove(0);
    assert_eq!(proof.outcome, Proven::Unknown(Why::ProbeTimedOut));
    nothing_is_left(&lab, Duration::from_secs(8));
}

#[test]
fn a_copy_that_hangs_is_cut_and_known_to_have_come_that_far() {
    let (lab, _) = hanging();
    let legs = vec![leg(&lab, Lane::ColdPush, 1, 2)];
    let proof = climb_with(&lab, &patient(60), legs).remove(0);
    assert_eq!(
        (proof.reached, proof.outcome),
        (Some(Step::Command), Proven::Unknown(Why::ProbeTimedOut))
    );
    nothing_is_left(&lab, Duration::from_secs(8));
}
