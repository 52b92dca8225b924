//! A running lab, as its owner sees it.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;

use crate::builder::Builder;
use crate::enter::{Depth, enter};
use crate::error::{During, Result};
use crate::fault::Fault;
use crate::inventory::ControlFiles;
use crate::node::{Node, plain_environment};
use crate::process::Process;
use crate::report::Reports;
use crate::supervisor::{HUB_ROOT, SCRATCH};
use crate::{net, state, sys};

/// Stops the lab when it is dropped.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) guard: Process,
    /// None only while being dropped.
    pub(crate) reports: Option<Reports>,
    /// Removed even if the guard could not.
    pub(crate) dir: PathBuf,
}

impl Owner {
    /// Lets the lab go on without an owner.
    pub(crate) fn let_go(mut self) {
        self.reports = None;
        std::mem::forget(self);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        drop(self.reports.take());
        // A lab that runs until stopped does not look at the socket.
        let _ = sys::pidfd_signal(self.guard.handle.as_fd(), Signal::SIGTERM);
        let _ = waitpid(self.guard.pid, None);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A running lab. Dropping it removes everything, except a lab that [runs until stopped](Builder::until_stopped).
#[derive(Debug)]
pub struct Lab {
    pub(crate) dir: PathBuf,
    pub(crate) files: ControlFiles,
    pub(crate) guard: Process,
    pub(crate) hub: Process,
    pub(crate) nodes: Vec<Node>,
    pub(crate) owner: Option<Owner>,
}

impl Lab {
    /// A lab of three nodes in a temporary directory, to be changed before it is started.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The lab that a fault wants to be planted in.
    #[must_use]
    pub fn for_fault(fault: &Fault) -> Builder {
        Self::builder()
            .nodes(fault.lab.nodes)
            .control_user(&fault.lab.control_user)
    }

    /// Finds the lab that was started in this directory and runs until stopped.
    ///
    /// # Errors
    /// [`LabError::NotRunning`](crate::LabError::NotRunning) if there is none.
    pub fn attach(dir: &Path) -> Result<Self> {
        state::load(dir)
    }

    /// A lab that somebody else owns.
    pub(crate) fn found(dir: PathBuf, guard: Process, hub: Process, nodes: Vec<Node>) -> Self {
        Self {
            files: ControlFiles::in_dir(&dir),
            dir,
            guard,
            hub,
            nodes,
            owner: None,
        }
    }

    /// The nodes, `node1` first.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of this name.
    ///
    /// # Panics
    /// If there is none: a test has asked for a node that it did not start.
    #[must_use]
    pub fn node(&self, name: &str) -> &Node {
        self.nodes
            .iter()
            .find(|node| node.name == name)
            .unwrap_or_else(|| panic!("the lab has no {name}"))
    }

    /// The lab's private directory on this machine.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// An inventory of all nodes for clearway.
    #[must_use]
    pub fn inventory(&self) -> &Path {
        &self.files.inventory
    }

    /// The private key that `deploy` and `root` accept on every node.
    #[must_use]
    pub fn control_key(&self) -> &Path {
        &self.files.key
    }

    /// A known_hosts file with every node's host keys, by address.
    #[must_use]
    pub fn control_known_hosts(&self) -> &Path {
        &self.files.known_hosts
    }

    /// A command of this machine that reaches the nodes: only its network is the lab's.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        enter(&mut command, &self.hub, Depth::Network, None);
        command
    }

    /// The address of the router, under which every node reaches what listens there.
    #[must_use]
    pub fn hub_address(&self) -> Ipv4Addr {
        net::HUB
    }

    /// Runs a shell line as root on the router between the nodes, where node N's cable is called `vN`.
    ///
    /// Its files are the image's, not this machine's; `ssh deploy@ADDRESS` works there as the control connection does.
    ///
    /// # Errors
    /// If the shell could not be started; its own failure is in the output.
    pub fn hub_sh(&self, line: &str) -> Result<Output> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]);
        plain_environment(&mut command);
        let root = self.dir.join(SCRATCH).join(HUB_ROOT);
        enter(&mut command, &self.hub, Depth::Everything, Some(root));
        command
            .output()
            .during(|| format!("running a shell on the hub: {line}"))
    }

    /// The node's /var/log/auth.log, or nothing if there is none.
    #[must_use]
    pub fn read_log(&self, node: &str) -> String {
        let path = self.node(node).path("/var/log/auth.log");
        let bytes = std::fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Writes control_known_hosts again, from the keys that lie on the nodes' disks now.
    pub(crate) fn refresh_control_known_hosts(&self) -> Result<()> {
        let mut text = String::new();
        for node in &self.nodes {
            let keys = node.sh("cat /etc/ssh/ssh_host_*_key.pub")?;
            for line in String::from_utf8_lossy(&keys.stdout).lines() {
                text.push_str(&format!("{} {line}\n", node.address));
            }
        }
        let path = &self.files.known_hosts;
        std::fs::write(path, text).during(|| format!("writing {}", path.display()))
    }

    /// The process that holds the lab together; killing it ends the lab.
    #[must_use]
    pub fn guard_pid(&self) -> i32 {
        self.guard.pid.as_raw()
    }

    /// The process whose network namespace routes between the nodes.
    #[must_use]
    pub fn hub_pid(&self) -> i32 {
        self.hub.pid.as_raw()
    }

    /// Stops the lab, waits until it is gone, and removes its directory.
    ///
    /// # Errors
    /// If the lab's guard could not be told or did not end.
    pub fn stop(mut self) -> Result<()> {
        if let Some(owner) = self.owner.take() {
            drop(owner);
            return Ok(());
        }
        let guard = self.guard.handle.as_fd();
        sys::pidfd_signal(guard, Signal::SIGTERM)
            .during(|| format!("stopping process {}", self.guard.pid))?;
        let mut watched = [PollFd::new(guard, PollFlags::POLLIN)];
        poll(&mut watched, PollTimeout::from(30_000_u16))
            .during(|| format!("waiting for process {}", self.guard.pid))?;
        std::fs::remove_dir_all(&self.dir).during(|| format!("removing {}", self.dir.display()))
    }
}
