//! Programs: their output, their end, and their limits.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use clearway::domain::Why;
use clearway::remote::{Connection, Exit, Limits};
use tokio::time::Instant;

use crate::sshd::*;

async fn connected(server: &Sshd) -> Connection {
    connector().connect(&server.node()).await.unwrap()
}

#[tokio::test]
async fn output_and_exit_come_back_as_they_are() {
    if !can_run("output_and_exit_come_back_as_they_are") {
        return;
    }
    let server = Sshd::start();
    let connection = connected(&server).await;
    for (script, stdout, stderr, exit) in [
        ("true", "", "", Exit::Status(0)),
        (
            "echo out; echo err >&2; exit 3",
            "out\n",
            "err\n",
            Exit::Status(3),
        ),
        ("kill -KILL $$", "", "", Exit::Signal("KILL".to_owned())),
        ("cat; echo \"[$?]\"", "[0]\n", "", Exit::Status(0)),
        (
            "cat <<'X'\na 'b' \"c\" $d\nX",
            "a 'b' \"c\" $d\n",
            "",
            Exit::Status(0),
        ),
    ] {
        let output = connection
            .run_program(script.as_bytes(), &limits())
            .await
            .unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            stdout,
            "{script}"
        );
        assert_eq!(
            String::from_utf8(output.stderr_tail).unwrap(),
            stderr,
            "{script}"
        );
        assert_eq!(output.exit, exit, "{script}");
    }
    let output = connection
        .run_program(b"if true; then echo never", &limits())
        .await
        .unwrap();
    assert!(!output.exit.is_success() && output.stdout.is_empty());
    let output = connection
        .run_program(b"printf '\\377\\000'", &limits())
        .await
        .unwrap();
    assert_eq!(output.stdout, [0xff, 0]);
}

#[tokio::test]
async fn the_script_is_in_no_process_list() {
    if !can_run("the_script_is_in_no_process_list") {
        return;
    }
    let server = Sshd::start();
    let connection = connected(&server).await;
    let script = b"tr '\\0' ' ' < /proc/$$/cmdline; : a-secret-word";
    let output = connection.run_program(script, &limits()).await.unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.starts_with("/bin/sh -s") && !shown.contains("a-secret-word"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_long_script_and_a_long_answer_arrive_whole() {
    if !can_run("a_long_script_and_a_long_answer_arrive_whole") {
        return;
    }
    let server = Sshd::start();
    let connection = connected(&server).await;
    let long = "x".repeat(3_000_000);
    let script = format!("cat <<'X'\n{long}\nX\n");
    let output = connection
        .run_program(script.as_bytes(), &limits())
        .await
        .unwrap();
    assert_eq!(output.stdout.len(), long.len() + 1);
}

#[tokio::test]
async fn a_variable_of_bash_in_the_environment_makes_no_other_shell_bash() {
    if !can_run("a_variable_of_bash_in_the_environment_makes_no_other_shell_bash") {
        return;
    }
    let server = Sshd::with(&["host_ed25519"], "SetEnv SHLVL=2 BASH_VERSION=5.2");
    let connection = connected(&server).await;
    let never = "echo half a script\n".repeat(10_000);
    let script = format!("never() {{\n{never}}}\necho whole\n");
    let output = connection
        .run_program(script.as_bytes(), &limits())
        .await
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "whole\n");
}

#[tokio::test]
async fn programs_can_run_at_the_same_time_on_one_connection() {
    if !can_run("programs_can_run_at_the_same_time_on_one_connection") {
        return;
    }
    let server = Sshd::start();
    let connection = connected(&server).await;
    let limits = limits();
    let (one, two) = tokio::join!(
        connection.run_program(b"sleep 0.2; echo one", &limits),
        connection.run_program(b"echo two", &limits),
    );
    assert_eq!(
        (one.unwrap().stdout, two.unwrap().stdout),
        (b"one\n".to_vec(), b"two\n".to_vec())
    );
    assert_eq!(server.logged("Accepted publickey"), 1);
}

#[tokio::test]
async fn a_flood_is_cut_off_and_takes_no_memory() {
    if !can_run("a_flood_is_cut_off_and_takes_no_memory") {
        return;
    }
    let server = Sshd::start();
    let connection = connected(&server).await;
    let before = resident_kib();
    let bounds = Limits {
        stdout: 4 << 20,
        ..limits()
    };
    for script in [
        "head -c 1073741824 /dev/zero",
        "head -c 1073741824 /dev/zero >&2",
    ] {
        let error = connection
            .run_program(script.as_bytes(), &bounds)
            .await
            .unwrap_err();
        assert_eq!(error.why, Why::ControlGarbage, "{error}");
    }
    assert_eq!(
        connection
            .run_program(b"echo alive", &limits())
            .await
            .unwrap()
            .stdout,
        b"alive\n"
    );
    // Other tests run in this process too.
    assert!(
        resident_kib() < before + 200_000,
        "{before} {}",
        resident_kib()
    );
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_reader_can_break_off() {
    if !can_run("a_reader_can_break_off") {
        return;
    }
    let server = Sshd::start();
    let connection = connected(&server).await;
    let mut taken = 0;
    let limits = limits();
    let result = connection.stream_program(b"cat /dev/zero", &limits, |bytes| {
        taken += bytes.len();
        if taken < 100_000 {
            std::ops::ControlFlow::Continue(())
        } else {
            std::ops::ControlFlow::Break("enough".to_owned())
        }
    });
    let error = result.await.unwrap_err();
    assert_eq!(
        (error.why, error.detail.as_str()),
        (Why::ControlGarbage, "enough")
    );
}

#[tokio::test]
async fn a_program_that_does_not_end_is_ended() {
    if !can_run("a_program_that_does_not_end_is_ended") {
        return;
    }
    let server = Sshd::start();
    let connection = connected(&server).await;
    let short = Duration::from_millis(700);
    let script = b"while :; do echo x; sleep 0.05; done";
    let error = connection
        .run_program(
            script,
            &Limits {
                deadline: short,
                ..limits()
            },
        )
        .await
        .unwrap_err();
    assert_eq!(error.why, Why::ControlTimedOut, "{error}");
    assert!(
        error.detail.starts_with("the program did not end"),
        "{error}"
    );
    let error = connection
        .run_program(
            b"sleep 5",
            &Limits {
                idle: short,
                ..limits()
            },
        )
        .await
        .unwrap_err();
    assert_eq!(error.why, Why::ControlTimedOut, "{error}");
    assert!(error.detail.contains("silent"), "{error}");
    let error = connection
        .run_program(
            b"while :; do echo x >&2; sleep 0.05; done",
            &Limits {
                first: short,
                ..limits()
            },
        )
        .await
        .unwrap_err();
    assert_eq!(error.why, Why::ControlTimedOut, "{error}");
    assert!(error.detail.contains("said nothing"), "{error}");
}

#[tokio::test]
async fn what_a_program_leaves_behind_does_not_hold_it_up() {
    if !can_run("what_a_program_leaves_behind_does_not_hold_it_up") {
        return;
    }
    let server = Sshd::start();
    let connection = connected(&server).await;
    let start = Instant::now();
    let output = connection
        .run_program(b"sleep 15 & echo done; exit 4", &limits())
        .await
        .unwrap();
    assert_eq!(
        (output.stdout.as_slice(), output.exit),
        (&b"done\n"[..], Exit::Status(4))
    );
    assert!(start.elapsed() < Duration::from_secs(12));
}

#[tokio::test]
async fn a_dropped_program_dies_at_its_next_write() {
    if !can_run("a_dropped_program_dies_at_its_next_write") {
        return;
    }
    let server = Sshd::start();
    let connection = connected(&server).await;
    let started = server.file("started");
    let script = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; i=0; while [ $i -lt 400 ]; do echo x; sleep 0.05; i=$((i+1)); done",
        text(&started)
    );
    {
        let bounds = limits();
        let program = connection.run_program(script.as_bytes(), &bounds);
        tokio::select! {
            result = program => panic!("{result:?}"),
            () = until(|| started.exists()) => {}
        }
    }
    let pid = fs::read_to_string(&started).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    until(|| !process.exists()).await;
    assert!(!connection.is_closed());
}

async fn until(happened: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !happened() {
        assert!(Instant::now() < end, "it did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_lost() {
    if !can_run("a_connection_that_breaks_off_is_lost") {
        return;
    }
    let server = Sshd::start();
    let connection = connected(&server).await;
    let error = connection
        .run_program(b"kill -KILL $PPID; sleep 5", &limits())
        .await
        .unwrap_err();
    assert_eq!(error.why, Why::ControlLost, "{error}");
    assert!(connection.is_closed());
    assert_eq!(
        connection
            .run_program(b"true", &limits())
            .await
            .unwrap_err()
            .why,
        Why::ControlLost
    );
}

#[tokio::test]
async fn sudo_is_used_and_its_refusal_is_told_from_other_failures() {
    if !can_run("sudo_is_used_and_its_refusal_is_told_from_other_failures") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let sudo = directory.path().join("sudo");
    let path = format!("SetEnv PATH={}:/usr/bin:/bin", text(directory.path()));
    let server = Sshd::with(&["host_ed25519"], &path);
    let mut node = server.node();
    node.control.sudo = true;
    let with_sudo = async |script: &str, program: &[u8]| {
        fs::write(&sudo, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).unwrap();
        connector()
            .connect(&node)
            .await
            .unwrap()
            .run_program(program, &limits())
            .await
    };
    let works = "[ \"$1\" = -n ] || exit 9; shift; SUDOED=yes exec \"$@\"";
    let output = with_sudo(works, b"echo $SUDOED").await.unwrap();
    assert_eq!(output.stdout, b"yes\n");
    let refuses = "echo 'sudo: a password is required' >&2; exit 1";
    let error = with_sudo(refuses, b"true").await.unwrap_err();
    assert_eq!(
        (error.why, error.detail.as_str()),
        (Why::SudoRefused, "sudo: a password is required")
    );
    let output = with_sudo(works, refuses.as_bytes()).await.unwrap();
    assert_eq!(output.exit, Exit::Status(1));
    fs::remove_file(&sudo).unwrap();
    let missing = Sshd::with(&["host_ed25519"], "SetEnv PATH=/nowhere");
    node.control.port = missing.port;
    let connection = connector().connect(&node).await.unwrap();
    assert!(connection.run_program(b"true", &limits()).await.is_err());
}

#[tokio::test]
async fn a_login_shell_that_starts_nothing_is_a_denied_login() {
    if !can_run("a_login_shell_that_starts_nothing_is_a_denied_login") {
        return;
    }
    let server = Sshd::with(&["host_ed25519"], "ForceCommand echo not here >&2; exit 1");
    let error = connected(&server)
        .await
        .run_program(b"true", &limits())
        .await
        .unwrap_err();
    assert_eq!(error.why, Why::ControlDenied, "{error}");
    assert!(error.detail.contains("not here"), "{error}");
    let server = Sshd::with(&["host_ed25519"], "MaxSessions 0");
    let error = connected(&server)
        .await
        .run_program(b"true", &limits())
        .await
        .unwrap_err();
    assert_eq!(error.why, Why::ControlDenied, "{error}");
}
