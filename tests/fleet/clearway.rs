//! Runs the real clearway on a lab, and watches it.

use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Deref;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ::clearway::report::Report;
use clearway_lab::{Image, Lab};

const TICK: Duration = Duration::from_millis(20);

/// A lab that has the machine for itself as far as these tests go: what they do has deadlines.
pub(crate) struct QuietLab {
    lab: Lab,
    _alone: MutexGuard<'static, ()>,
}

/// Starts a lab when no other test has one.
pub(crate) fn quiet_lab(nodes: usize) -> QuietLab {
    quiet_lab_on(Image::Distribution, nodes)
}

/// The same on nodes that run this image.
pub(crate) fn quiet_lab_on(image: Image, nodes: usize) -> QuietLab {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed has nothing to hand on.
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    QuietLab {
        lab: Lab::builder().nodes(nodes).image(image).start().unwrap(),
        _alone: alone,
    }
}

impl Deref for QuietLab {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

/// A `clearway check`, or another command that proves, at work. Killed when it is dropped.
pub(crate) struct Check {
    child: Child,
    stdout: File,
    stderr: File,
    started: Instant,
    peak_kib: u64,
}

/// How one ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) took: Duration,
    /// The most memory that it had at once (`VmHWM` of proc(5)), in KiB.
    pub(crate) peak_kib: u64,
}

impl Check {
    /// Starts `clearway check` on all nodes of the lab.
    pub(crate) fn start(lab: &Lab, options: &[&str]) -> Self {
        Self::of(lab, &["check"], options)
    }

    /// Starts `clearway COMMAND` on the lab.
    pub(crate) fn of(lab: &Lab, command: &[&str], options: &[&str]) -> Self {
        let stdout = tempfile::tempfile().unwrap();
        let stderr = tempfile::tempfile().unwrap();
        let child = lab
            .command(env!("CARGO_BIN_EXE_clearway"))
            .args(command)
            .args(["--no-ledger", "--inventory"])
            .arg(lab.inventory())
            .args(options)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            stdout,
            stderr,
            started: Instant::now(),
            peak_kib: 0,
        }
    }

    /// Waits for its end, which must come within `limit`.
    pub(crate) fn end(mut self, limit: Duration) -> Ended {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                self.started.elapsed() < limit,
                "still running after {limit:?}: {}",
                String::from_utf8_lossy(&content(&mut self.stderr))
            );
            self.peak_kib = self.peak_kib.max(peak_kib(self.child.id()));
            sleep(TICK);
        };
        Ended {
            status,
            took: self.started.elapsed(),
            stdout: content(&mut self.stdout),
            stderr: content(&mut self.stderr),
            peak_kib: self.peak_kib,
        }
    }

    /// SIGKILL; no code of clearway's runs any more. Whether it was still at work.
    pub(crate) fn kill(&mut self) -> bool {
        let was_at_work = self.child.try_wait().unwrap().is_none();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        was_at_work
    }

    /// What Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("sh")
            .args(["-c", "kill -INT \"$1\"", "sh", &pid])
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `clearway check` to its end.
pub(crate) fn check(lab: &Lab, options: &[&str], limit: Duration) -> Ended {
    Check::start(lab, options).end(limit)
}

impl Ended {
    /// The report that it printed as JSON.
    pub(crate) fn report(&self) -> Report {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "no report ({error}), {}: {}",
                self.status,
                String::from_utf8_lossy(&self.stderr)
            )
        })
    }
}

fn content(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}
