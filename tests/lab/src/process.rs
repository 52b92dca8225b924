//! Handles of the lab's processes.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::unistd::Pid;

use crate::error::{During, Result};
use crate::sys;

/// A process of the lab, by a handle that no other process can take over.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) handle: Arc<OwnedFd>,
    /// Whether it lives in another user namespace than ours, which must be entered first.
    pub(crate) other_user: bool,
}

impl Process {
    /// The process must not end before this returns, or the number may be another's.
    pub(crate) fn new(pid: Pid) -> Result<Self> {
        let handle = sys::pidfd(pid).during(|| format!("watching process {pid}"))?;
        let user = |pid: &str| {
            let link = format!("/proc/{pid}/ns/user");
            std::fs::read_link(&link).during(|| format!("reading {link}"))
        };
        Ok(Self {
            other_user: user(&pid.to_string())? != user("self")?,
            pid,
            handle: Arc::new(handle),
        })
    }
}
