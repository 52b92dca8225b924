//! Commands that run inside a lab's namespaces.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns};

use crate::process::Process;
use crate::sys;

/// How far a command goes into the namespaces of a process of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Only its network: the command sees the caller's files.
    Network,
    /// All of them: the command sees the node's files, processes, name and network.
    Everything,
}

/// Makes `command` start in the namespaces of `process`; `root`, if given, becomes its `/`.
pub(crate) fn enter(command: &mut Command, process: &Process, depth: Depth, root: Option<PathBuf>) {
    let pidfd = Arc::clone(&process.handle);
    let mut namespaces = match depth {
        Depth::Network => CloneFlags::CLONE_NEWNET,
        Depth::Everything => sys::NAMESPACES,
    };
    if process.other_user {
        namespaces |= CloneFlags::CLONE_NEWUSER;
    }
    let hook = move || -> io::Result<()> {
        setns(pidfd.as_fd(), namespaces)?;
        if depth == Depth::Everything {
            be_inside()?;
        }
        if let Some(root) = &root {
            nix::unistd::chroot(root)?;
            nix::unistd::chdir("/")?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the hook makes system calls only: no allocation, no locks.
    unsafe { command.pre_exec(hook) };
}

/// A pid namespace takes effect for children only: the child goes on to the command, this process waits for it and
/// hands its end on, so that the caller's `Child` behaves as if it were the command.
pub(crate) fn be_inside() -> io::Result<()> {
    // SAFETY: this process has one thread, and both sides make system calls only.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => sys::die_with_parent(),
        child => {
            // Above all the pipe over which the caller learns that exec has worked.
            sys::close_from(3);
            let mut status = 0;
            // SAFETY: plain system calls in a process that will not return.
            unsafe {
                while libc::waitpid(child, &raw mut status, 0) < 0
                    && *libc::__errno_location() == libc::EINTR
                {}
                if libc::WIFSIGNALED(status) {
                    // A core dump of the messenger would only confuse.
                    libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
                    libc::signal(libc::WTERMSIG(status), libc::SIG_DFL);
                    libc::raise(libc::WTERMSIG(status));
                }
                libc::_exit(libc::WEXITSTATUS(status))
            }
        }
    }
}
