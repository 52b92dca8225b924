//! The system calls that nix does not offer, and the only `unsafe` of the start-up path.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// The namespaces of a node, and of the hub that all nodes hang on.
pub(crate) const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC);

/// Runs `child` in a forked copy of this process and never comes back from it.
///
/// The caller may have other threads: glibc's `fork` keeps the allocator usable in the child, and `child` must not
/// rely on any other lock that a lost thread could hold (environment, standard streams).
pub(crate) fn fork(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: the child runs only `child` and then leaves by `_exit`, as described above.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => leave(child),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Like [`fork`], but the child starts in the new namespaces that `flags` names.
///
/// Must be called from a process with one thread: the raw call skips glibc's preparation of the allocator's locks.
pub(crate) fn clone(flags: CloneFlags, child: impl FnOnce() -> i32) -> io::Result<Pid> {
    let flags = libc::c_long::from(flags.bits() | libc::SIGCHLD);
    // SAFETY: without CLONE_VM this is a fork; a null stack means "a copy of mine", the other pointers are unused.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        0 => leave(child),
        pid => Ok(Pid::from_raw(pid as libc::pid_t)),
    }
}

fn leave(child: impl FnOnce() -> i32) -> ! {
    let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(101);
    // SAFETY: `_exit` has no preconditions; it skips the parent's exit handlers on purpose.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor from `first` on. Only system calls, so it may be used between fork and exec.
pub(crate) fn close_from(first: RawFd) {
    // SAFETY: the callers are forked children that own nothing above `first`.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
}

/// Moves `keep` to descriptor 3 and closes all others above the standard streams.
pub(crate) fn keep_only(keep: OwnedFd) -> io::Result<OwnedFd> {
    const PLACE: RawFd = 3;
    if keep.as_raw_fd() != PLACE {
        // SAFETY: both are plain descriptors; whatever was at 3 belongs to the parent's copy.
        if unsafe { libc::dup3(keep.as_raw_fd(), PLACE, libc::O_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    std::mem::forget(keep);
    close_from(PLACE + 1);
    // SAFETY: descriptor 3 was just made ours.
    Ok(unsafe { OwnedFd::from_raw_fd(PLACE) })
}

/// Asks the kernel to kill this process when its parent dies (prctl(2), PR_SET_PDEATHSIG).
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// A descriptor that names the process for good, whatever becomes of its number (pidfd_open(2)).
pub(crate) fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sends a signal to exactly the process that the descriptor names.
pub(crate) fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    // SAFETY: integers and a null pointer (default signal information).
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as libc::c_int,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets the kernel reap every child of this process at once, without the children inheriting an ignored SIGCHLD.
pub(crate) fn reap_automatically() -> io::Result<()> {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::SA_NOCLDWAIT, SigSet::empty());
    // SAFETY: the default disposition runs no code of ours.
    unsafe { sigaction(Signal::SIGCHLD, &action) }?;
    Ok(())
}
