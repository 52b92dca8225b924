//! The two processes that hold a lab together.
//!
//! The *guard* is a plain child of the owner. It ends the lab when the owner is gone (its end of a socket closes), on
//! SIGTERM, or when the hub dies. The *hub* is process 1 of a pid namespace that contains every node, and its network
//! namespace is the router: when it dies, for whatever reason, the kernel kills all nodes and drops every mount and
//! network namespace. The hub dies with the guard (PR_SET_PDEATHSIG). So there is no way to leave anything behind.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, setsid};

use crate::error::{During, LabError, Result, chain};
use crate::net::Netlink;
use crate::plan::Plan;
use crate::{init, layer, net, rootfs, sys};

/// The file in a lab's directory that the lab's own processes panic into.
pub(crate) const LOG: &str = "lab.log";
/// The scratch directory in a lab's directory; only the lab's processes see what is mounted there.
pub(crate) const SCRATCH: &str = "scratch";
/// The hub's own root directory in the scratch directory, for commands that the machine itself may not have.
pub(crate) const HUB_ROOT: &str = "hub/root";

/// How long a lab lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// As long as its owner holds the other end of the socket. The lab's directory goes with it.
    WithOwner,
    /// Until SIGTERM. The directory stays, for `lab up` was asked to make it.
    UntilStopped,
}

/// Starts guard and hub; their reports arrive at the other end of `report`.
pub(crate) fn start(plan: &Plan, life: Life, report: OwnedFd) -> Result<Pid> {
    sys::fork(move || {
        let Ok(report) = sys::keep_only(report) else {
            return 1;
        };
        let ended = guard(plan, life, report.as_fd());
        if life == Life::WithOwner {
            let _ = fs::remove_dir_all(&plan.dir);
        }
        match ended {
            Ok(()) => 0,
            Err(error) => {
                fail("guard", &error, report.as_fd());
                1
            }
        }
    })
    .during(|| "forking the lab's guard".into())
}

/// Tells the owner that a part of the lab cannot go on.
pub(crate) fn fail(who: &str, error: &LabError, report: BorrowedFd<'_>) {
    let message = format!("failed {who}: {}", chain(error));
    let _ = send(
        report.as_raw_fd(),
        message.as_bytes(),
        MsgFlags::MSG_NOSIGNAL,
    );
}

fn guard(plan: &Plan, life: Life, report: BorrowedFd<'_>) -> Result<()> {
    let _ = setsid();
    // The directory is made here, by the process that removes it when the owner is gone.
    umask(Mode::empty());
    fs::DirBuilder::new()
        .recursive(life == Life::UntilStopped)
        .mode(0o700)
        .create(&plan.dir)
        .during(|| format!("making {}", plan.dir.display()))?;
    std::env::set_current_dir(&plan.dir).during(|| format!("entering {}", plan.dir.display()))?;
    layer::write(Path::new(""), &plan.files)?;
    fs::create_dir(SCRATCH).during(|| format!("making {SCRATCH}"))?;
    detach_streams()?;
    plan.privilege.enter()?;

    let mut stop = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        stop.add(signal);
    }
    stop.thread_block().during(|| "blocking signals".into())?;
    let signals = SignalFd::new(&stop).during(|| "making a signalfd".into())?;

    // The hub goes on only after it has asked to die with the guard, and only if the guard is still there.
    let (mut wait, go) = io::pipe().during(|| "making a pipe".into())?;
    let mut go = Some(go);
    let hub = sys::clone(sys::NAMESPACES, || {
        drop(go.take());
        run_hub(plan, &mut wait, report)
    })
    .during(|| "cloning the hub".into())?;
    let hub_end = sys::pidfd(hub).during(|| "watching the hub".into())?;
    if let Some(mut go) = go {
        let _ = go.write_all(b"!");
    }

    wait_for_the_end(life, report, signals.as_fd(), hub_end.as_fd())?;
    let _ = kill(hub, Signal::SIGKILL);
    waitpid(hub, None).during(|| "waiting for the hub".into())?;
    Ok(())
}

fn detach_streams() -> Result<()> {
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .during(|| "opening /dev/null".into())?;
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(LOG)
        .during(|| format!("opening {LOG}"))?;
    nix::unistd::dup2_stdin(&null)
        .and_then(|()| nix::unistd::dup2_stdout(&null))
        .and_then(|()| nix::unistd::dup2_stderr(&log))
        .during(|| "redirecting the standard streams".into())
}

fn wait_for_the_end(
    life: Life,
    owner: BorrowedFd<'_>,
    signals: BorrowedFd<'_>,
    hub: BorrowedFd<'_>,
) -> Result<()> {
    // Nobody writes to the guard: the owner's descriptor becomes readable only by being closed.
    let mut watched = vec![
        PollFd::new(signals, PollFlags::POLLIN),
        PollFd::new(hub, PollFlags::POLLIN),
    ];
    if life == Life::WithOwner {
        watched.push(PollFd::new(owner, PollFlags::POLLIN));
    }
    loop {
        match poll(&mut watched, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            done => {
                return done
                    .map(|_| ())
                    .during(|| "waiting for the lab's end".into());
            }
        }
    }
}

fn run_hub(plan: &Plan, go: &mut io::PipeReader, report: BorrowedFd<'_>) -> i32 {
    if sys::die_with_parent().is_err() || go.read_exact(&mut [0]).is_err() {
        return 1;
    }
    let failed = match set_up(plan, report) {
        Ok(()) => loop {
            nix::unistd::pause();
        },
        Err(error) => error,
    };
    fail("hub", &failed, report);
    1
}

fn set_up(plan: &Plan, report: BorrowedFd<'_>) -> Result<()> {
    sys::reap_automatically().during(|| "setting SIGCHLD".into())?;
    SigSet::empty()
        .thread_set_mask()
        .during(|| "unblocking signals".into())?;
    nix::unistd::sethostname("hub").during(|| "setting the host name".into())?;
    mount_scratch(&plan.base)?;
    layer::write(Path::new("common"), &plan.common)?;
    layer::write(&Path::new("hub").join(rootfs::UPPER), &plan.hub)?;
    rootfs::make(Path::new("hub"), "base")?;
    net::set_up_hub()?;
    send(report.as_raw_fd(), b"ready hub", MsgFlags::empty())
        .during(|| "announcing the hub".into())?;
    for node in &plan.nodes {
        layer::write(&init::directory(node).join(rootfs::UPPER), &node.files)?;
        let hub = Netlink::open()?;
        sys::clone(sys::NAMESPACES, || init::run(plan, node, &hub, report))
            .during(|| format!("cloning {}", node.name))?;
    }
    Ok(())
}

/// A tmpfs that only this mount namespace sees becomes the current directory; `base` in it is the image.
fn mount_scratch(base: &Path) -> Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .during(|| "making all mounts private".into())?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none)
        .during(|| "mounting proc".into())?;
    mount(
        Some("tmpfs"),
        SCRATCH,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )
    .during(|| "mounting the scratch tmpfs".into())?;
    std::env::set_current_dir(SCRATCH).during(|| "entering the scratch tmpfs".into())?;
    for dir in ["base", "common"] {
        fs::create_dir(dir).during(|| format!("making {dir}"))?;
    }
    // Overlays name their layers in a list with separators; a fixed name for the base needs no escapes.
    mount(Some(base), "base", none, MsFlags::MS_BIND, none)
        .during(|| format!("binding {}", base.display()))
}
