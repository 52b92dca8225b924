//! The two processes of a cloud.
//!
//! A process that has an owner reads its standard input, a pipe of the owner, and ends when it closes: when the owner
//! drops it or dies, for whatever reason. (PR_SET_PDEATHSIG would end it with the thread that started it, which in a
//! test ends before the cloud does.)

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cache::{Cache, sources};
use crate::error::{CloudError, During, Result};

/// One of the cloud's services.
#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    dir: PathBuf,
}

impl Service {
    /// Starts `python -m cloud.MODULE PLAN` in a process group of its own.
    pub(crate) fn start(
        name: &'static str,
        module: &str,
        cache: &Cache,
        plan: &Path,
        owned: bool,
    ) -> Result<Self> {
        use std::os::unix::process::CommandExt;
        let dir = plan.parent().unwrap_or(Path::new("/")).to_owned();
        let output = dir.join(format!("{name}.out"));
        let log = File::create(&output).during(|| format!("making {}", output.display()))?;
        let errors = log.try_clone().during(|| "duplicating a file".into())?;
        let python = cache.python();
        let child = Command::new(&python)
            .args(["-B", "-W", "ignore", "-m", &format!("cloud.{module}")])
            .arg(plan)
            .current_dir(sources())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .stdin(if owned { Stdio::piped() } else { Stdio::null() })
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .during(|| format!("starting {}", python.display()))?;
        Ok(Self { name, child, dir })
    }

    /// Waits until the service says that it answers.
    pub(crate) fn wait_until_ready(&mut self, patience: Duration) -> Result<()> {
        self.wait_for(&format!("{}.ready", self.name), patience)
    }

    /// Waits until it has made this file in the cloud's directory.
    pub(crate) fn wait_for(&mut self, file: &str, patience: Duration) -> Result<()> {
        let ready = self.dir.join(file);
        let deadline = Instant::now() + patience;
        loop {
            if ready.exists() {
                return Ok(());
            }
            let ended = self
                .child
                .try_wait()
                .during(|| format!("waiting for {}", self.name))?;
            if let Some(status) = ended {
                return Err(self.failed(&format!("it ended with {status}")));
            }
            if Instant::now() > deadline {
                return Err(self.failed(&format!("no answer in {} s", patience.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn failed(&self, how: &str) -> CloudError {
        let mut why = how.to_owned();
        for file in [format!("{}.out", self.name), format!("{}.log", self.name)] {
            let text = fs::read_to_string(self.dir.join(&file)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let end = lines[lines.len().saturating_sub(15)..].join("\n");
            if !end.is_empty() {
                why.push_str(&format!("; {file} ends:\n{end}"));
            }
        }
        CloudError::Start {
            service: self.name,
            why,
        }
    }

    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets the process go on without this handle.
    pub(crate) fn let_go(self) -> u32 {
        let pid = self.pid();
        std::mem::forget(self);
        pid
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        end(self.child.id());
        let _ = self.child.wait();
    }
}

/// Kills a service and what it has started.
pub(crate) fn end(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        // Its group has its number. There is nothing to save: the databases go with the directory.
        let _ = kill(Pid::from_raw(-pid), Signal::SIGKILL);
    }
}

/// Whether the process is a service of the cloud in this directory, and no other that has got its number.
pub(crate) fn is_service_of(pid: u32, dir: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let plan = dir.join(crate::cloud::Cloud::PLAN);
    let mut arguments = line.split(|byte| *byte == 0);
    arguments.any(|argument| argument == plan.as_os_str().as_encoded_bytes())
}
