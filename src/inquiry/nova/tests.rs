use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::frame::Nonce;

const REQUEST: &str = "req-7c1f0a5e-2f0e-4f7a-9c55-0b1f3c1d2e3f";
const SERVER: &str = "9f0d2c7a-52a1-4f6f-8f5a-0d1c2b3a4e5f";

/// As nova 34 writes it.
fn log() -> String {
    let head = "2026-11-26 01:02:03.456 12 ERROR nova.compute.manager";
    format!(
        "2026-11-26 01:00:00.000 12 ERROR nova.compute.manager [instance: {SERVER}] of an older failure\n\
         2026-11-26 01:02:01.000 12 INFO nova.compute.manager [None {REQUEST} admin admin - - default default] began\n\
         2026-11-26 01:02:02.000 12 ERROR nova.compute.manager [None req-00000000-2f0e-4f7a-9c55-0b1f3c1d2e3f a b - - c d] [instance: 11111111-52a1-4f6f-8f5a-0d1c2b3a4e5f] of another server\n\
         {head} [None {REQUEST} admin admin - - default default] [instance: {SERVER}] Setting instance vm_state to ERROR: oslo_concurrency.processutils.ProcessExecutionError: Unexpected error while running command.\n\
         {head} [instance: {SERVER}] Traceback (most recent call last):\n\
         {head} [instance: {SERVER}]   File \"/usr/lib/python3/dist-packages/nova/compute/manager.py\", line 1, in x\n\
         {head} [instance: {SERVER}] oslo_concurrency.processutils.ProcessExecutionError: Unexpected error while running command.\n\
         {head} [instance: {SERVER}] Command: scp -r /i/u_resize/disk 10.0.0.2:/i/u/disk\n\
         {head} [instance: {SERVER}] Exit code: 255\n\
         {head} [instance: {SERVER}] Stdout: ''\n\
         {head} [instance: {SERVER}] Stderr: 'Host key verification failed.\\r\\nlost connection\\r\\n'\n"
    )
}

/// What nova 34 writes of an error that oslo.messaging has caught: one head, no instance.
fn outside() -> String {
    let head = "2026-11-26 01:02:04.000 12 ERROR oslo_messaging.rpc.server";
    format!(
        "2026-11-26 01:02:01.000 12 INFO nova.compute.manager [None {REQUEST} a a - - d d] began\n\
         {head} [None {REQUEST} a a - - d d] Exception during message handling: nova.exception.ResizeError: Resize error: not able to execute ssh command: Unexpected error while running command.\n\
         Command: ssh -o BatchMode=yes 10.77.0.3 mkdir -p /i/u\n\
         Stderr: 'cut here\n\
         2026-11-26 01:02:04.000 12 ERROR nova.another of another thread\n\
         {head} [None req-00000000-2f0e-4f7a-9c55-0b1f3c1d2e3f a a - - d d] of another request\n\
         {head} Traceback (most recent call last):\n\
         {head}   File \"/usr/lib/python3/dist-packages/nova/utils.py\", line 1, in x\n\
         {head} Stderr: 'Host key verification failed.\\r\\n'\n\
         2026-11-26 01:02:05.000 12 ERROR oslo_messaging.rpc.server of a later moment\n"
    )
}

#[test]
fn what_follows_of_an_error_belongs_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nova-compute.log");
    std::fs::write(&path, outside()).unwrap();
    assert_eq!(
        asked(Some(path.to_str().unwrap()), &["env"]).telling(),
        [
            "Exception during message handling: nova.exception.ResizeError: Resize error: not able to execute ssh command: Unexpected error while running command.",
            "Command: ssh -o BatchMode=yes 10.77.0.3 mkdir -p /i/u",
            "Stderr: 'cut here",
            r"Stderr: 'Host key verification failed.\r\n'",
        ]
    );
}

/// What the program really answers, run by this machine's shell.
fn asked(file: Option<&str>, context: &[&str]) -> NovaLog {
    let nonce = Nonce::new([7; 16]);
    let question = NovaQuestion {
        request_id: REQUEST,
        server: SERVER,
        file,
        ago: Duration::from_secs(60),
    };
    let context: Vec<String> = context.iter().map(|it| (*it).to_owned()).collect();
    let program = nova_script(&nonce, &question, &context);
    let mut sh = Command::new("sh")
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = sh.stdin.take().unwrap();
    stdin.write_all(program.as_bytes()).unwrap();
    drop(stdin);
    let output = sh.wait_with_output().unwrap();
    NovaLog::read(&output.stdout, &nonce).expect("a whole answer")
}

#[test]
fn the_lines_of_a_request_are_found_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nova compute's.log");
    std::fs::write(&path, log()).unwrap();
    let path = path.to_str().unwrap();
    for context in [&[][..], &["env"]] {
        let found = asked(Some(path), context);
        assert_eq!(found.source(), Some(path));
        assert!(found.text().contains("Traceback"), "{}", found.text());
        assert!(!found.text().contains("older"), "{}", found.text());
        assert!(!found.text().contains("another"), "{}", found.text());
        assert_eq!(
            found.telling(),
            [
                "Setting instance vm_state to ERROR: oslo_concurrency.processutils.ProcessExecutionError: Unexpected error while running command.",
                "oslo_concurrency.processutils.ProcessExecutionError: Unexpected error while running command.",
                "Command: scp -r /i/u_resize/disk 10.0.0.2:/i/u/disk",
                "Exit code: 255",
                r"Stderr: 'Host key verification failed.\r\nlost connection\r\n'",
            ]
        );
    }
}

#[test]
fn a_log_that_was_rotated_is_read_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nova-compute.log");
    std::fs::write(&path, "nothing of it\n").unwrap();
    let rotated = format!("{}.1", path.display());
    std::fs::write(&rotated, log()).unwrap();
    let found = asked(Some(path.to_str().unwrap()), &["env"]);
    assert_eq!(found.source(), Some(rotated.as_str()));
}

#[test]
fn what_could_not_be_read_is_said_place_by_place() {
    let directory = tempfile::tempdir().unwrap();
    let there = directory.path().join("there.log");
    std::fs::write(&there, "nothing of it\n").unwrap();
    let there = there.to_str().unwrap();
    let found = asked(Some(there), &["env"]);
    assert_eq!(found.source(), None);
    assert!(
        found
            .nothing()
            .starts_with(&format!("{there} has nothing of this request, ")),
        "{}",
        found.nothing()
    );
    let found = asked(Some(directory.path().to_str().unwrap()), &["env"]);
    assert!(
        found.nothing().contains("cannot be read"),
        "{}",
        found.nothing()
    );
    let found = asked(Some("/nowhere/nova.log"), &["env"]);
    assert!(
        found
            .nothing()
            .starts_with("/nowhere/nova.log is not there"),
        "{}",
        found.nothing()
    );
}

#[test]
fn a_log_says_no_more_than_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nova-compute.log");
    let line = format!(
        "2026 12 ERROR nova [None {REQUEST} a] [instance: {SERVER}] {}\n",
        "x".repeat(5_000)
    );
    std::fs::write(&path, line.repeat(3_000)).unwrap();
    let found = asked(Some(path.to_str().unwrap()), &["env"]);
    assert!(found.source().is_some());
    assert!(found.text().len() <= 131_072, "{}", found.text().len());
}
