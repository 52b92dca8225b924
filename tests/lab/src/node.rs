//! One node of a running lab.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::enter::{Depth, enter};
use crate::error::{During, Result};
use crate::openssh::OpenSsh;
use crate::plan::NodePlan;
use crate::process::Process;

/// The search path of commands in a node: a root login's, plus the lab's own helpers.
const NODE_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/lib/lab";

/// One node of a running lab.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) process: Process,
}

impl Node {
    pub(crate) fn new(planned: &NodePlan, process: Process) -> Self {
        Self {
            name: planned.name.clone(),
            host: planned.host.clone(),
            address: planned.address,
            process,
        }
    }

    /// Its name in the inventory, which is what `uname -n` says on it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Nova's service host name, `CONF.host`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its only address, `my_ip` of its nova.conf.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The node's first process, as this machine numbers it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid.as_raw()
    }

    /// Where this machine sees a file of the node.
    #[must_use]
    pub fn path(&self, absolute: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{absolute}", self.process.pid))
    }

    /// A command on the node, as root, with a root login's search path and nothing else in its environment.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        plain_environment(&mut command);
        enter(&mut command, &self.process, Depth::Everything, None);
        command
    }

    /// Runs a shell line on the node as root.
    ///
    /// # Errors
    /// If the shell could not be started; its own failure is in the output.
    pub fn sh(&self, line: &str) -> Result<Output> {
        self.output(self.command("/bin/sh").args(["-c", line]), line)
    }

    /// Runs a shell line on the node as another user, with the groups and the home directory of that account.
    ///
    /// # Errors
    /// If the shell could not be started; its own failure is in the output.
    pub fn sh_as(&self, user: &str, line: &str) -> Result<Output> {
        let mut command = self.command("/usr/bin/setpriv");
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={user}"))
            .args(["--init-groups", "--reset-env", "/bin/sh", "-c", line]);
        self.output(&mut command, line)
    }

    /// The release of its ssh.
    ///
    /// # Errors
    /// If it does not tell one.
    pub fn openssh(&self) -> Result<OpenSsh> {
        let output = self.sh("ssh -V 2>&1")?;
        let text = String::from_utf8_lossy(&output.stdout);
        OpenSsh::told(&text)
            .ok_or_else(|| io::Error::other(format!("it says: {text}")))
            .during(|| format!("asking ssh on {} for its release", self.name))
    }

    pub(crate) fn output(&self, command: &mut Command, line: &str) -> Result<Output> {
        command
            .output()
            .during(|| format!("running a shell on {}: {line}", self.name))
    }
}

pub(crate) fn plain_environment(command: &mut Command) {
    command
        .env_clear()
        .env("PATH", NODE_PATH)
        .env("HOME", "/root")
        .env("USER", "root");
}
