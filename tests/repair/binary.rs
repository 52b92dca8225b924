//! The real clearway, told to repair a lab.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clearway::report::Report;
use clearway_lab::Lab;

const LIMIT: Duration = Duration::from_secs(180);

/// A clearway at work. Killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    out: File,
    err: File,
    started: Instant,
}

/// How one ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// `clearway WORDS` on all nodes of a lab, with a ledger in the lab's directory.
pub(crate) fn command(lab: &Lab, words: &[&str]) -> Command {
    let mut command = lab.command(env!("CARGO_BIN_EXE_clearway"));
    command
        .args(words)
        .arg("--inventory")
        .arg(lab.inventory())
        .arg("--ledger")
        .arg(lab.dir().join("ledger.sqlite"))
        .stdin(Stdio::null());
    command
}

pub(crate) fn start(lab: &Lab, words: &[&str]) -> Running {
    let out = tempfile::tempfile().unwrap();
    let err = tempfile::tempfile().unwrap();
    let child = command(lab, words)
        .stdout(out.try_clone().unwrap())
        .stderr(err.try_clone().unwrap())
        .spawn()
        .unwrap();
    Running {
        child,
        out,
        err,
        started: Instant::now(),
    }
}

pub(crate) fn clearway(lab: &Lab, words: &[&str]) -> Done {
    start(lab, words).end()
}

impl Running {
    pub(crate) fn end(mut self) -> Done {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                self.started.elapsed() < LIMIT,
                "still running: {}",
                content(&mut self.err)
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        Done {
            status,
            out: content(&mut self.out),
            err: content(&mut self.err),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -INT \"$1\"", "sh", &pid])
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Done {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    pub(crate) fn report(&self) -> Report {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no report ({error}): {self:?}"))
    }
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
