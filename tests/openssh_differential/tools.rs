//! The OpenSSH of this machine.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use clearway::openssh::Release;

/// Whether the tools are installed; if not, says so where nothing hides it.
pub(crate) fn have(test: &str, tools: &[&str]) -> bool {
    let missing: Vec<&&str> = tools.iter().filter(|tool| !is_installed(tool)).collect();
    if missing.is_empty() {
        return true;
    }
    not_run(test, &format!("{missing:?} not installed"));
    false
}

fn is_installed(tool: &str) -> bool {
    if tool.starts_with('/') {
        Path::new(tool).exists()
    } else {
        Command::new("sh")
            .args(["-c", "command -v \"$0\"", tool])
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success()
    }
}

/// Says that a test did not run. Straight to stderr, because the test harness hides what passing tests print.
pub(crate) fn not_run(test: &str, why: &str) {
    writeln!(std::io::stderr().lock(), "NOT RUN: {test}: {why}").unwrap();
}

/// Runs a program to its end, without input.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// The same, for programs that must succeed; returns what they print.
pub(crate) fn succeed(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The release of `ssh`.
pub(crate) fn release() -> Release {
    let output = run("ssh", &["-V"]);
    Release::find(&String::from_utf8_lossy(&output.stderr)).expect("ssh -V names its release")
}

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    succeed("id", &["-u"]).trim() == "0"
}

/// A key pair in a directory, without passphrase.
pub(crate) fn make_key(directory: &Path, name: &str, options: &[&str]) -> String {
    let path = directory.join(name).to_str().unwrap().to_owned();
    let arguments = [&["-q", "-N", "", "-C", "", "-f", &path], options].concat();
    succeed("ssh-keygen", &arguments);
    path
}

/// The public half, `TYPE BASE64`.
pub(crate) fn public(path: &str) -> String {
    let text = std::fs::read_to_string(format!("{path}.pub")).unwrap();
    text.split_ascii_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The fields in which two values differ, as text; a whole dump of both would be unreadable.
pub(crate) fn differing<T: std::fmt::Debug>(ours: &T, theirs: &T) -> Vec<String> {
    let (ours, theirs) = (format!("{ours:#?}"), format!("{theirs:#?}"));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<String>>();
    let (ours, theirs) = (lines(&ours), lines(&theirs));
    let only = |some: &[String], others: &[String], who: &str| {
        let missing = some.iter().filter(|line| !others.contains(line));
        missing
            .map(|line| format!("{who}: {}", line.trim()))
            .collect::<Vec<String>>()
    };
    [only(&ours, &theirs, "ours"), only(&theirs, &ours, "theirs")].concat()
}
