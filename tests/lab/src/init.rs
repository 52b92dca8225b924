//! Process 1 of a node: makes the node's view of the world, starts its daemons, keeps the log.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;

use crate::error::{During, LabError, Result};
use crate::layer::LIBVIRT_GROUP;
use crate::net::{self, Netlink};
use crate::plan::{NodePlan, Plan};
use crate::supervisor::fail;
use crate::{rootfs, sys, syslog};

/// Where a node's own files are, below the supervisor's scratch directory.
pub(crate) fn directory(node: &NodePlan) -> PathBuf {
    format!("n{}", node.number).into()
}

/// Lives as the node until it is killed. The current directory is the supervisor's scratch directory.
///
/// `report` takes one message: `ready N`, or `failed NAME: why`.
pub(crate) fn run(plan: &Plan, node: &NodePlan, hub: &Netlink, report: BorrowedFd<'_>) -> i32 {
    let failed = match live(plan, node, hub, report) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    fail(&node.name, &failed, report);
    1
}

/// A type without values: the node's life has no successful end.
enum Never {}

fn live(plan: &Plan, node: &NodePlan, hub: &Netlink, report: BorrowedFd<'_>) -> Result<Never> {
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    nix::unistd::sethostname(&node.name).during(|| "setting the host name".into())?;
    net::set_up_node(hub, node.number, node.address)?;
    enter_root(plan, node)?;

    let log = UnixDatagram::bind("/dev/log").during(|| "binding /dev/log".into())?;
    fs::set_permissions("/dev/log", Permissions::from_mode(0o666))
        .during(|| "opening /dev/log to all".into())?;
    let stand_in = if plan.libvirt {
        start("/usr/sbin/libvirtd", &[], LIBVIRT_COMPLAINTS)?;
        None
    } else {
        Some(listen_as_libvirt()?)
    };
    let sshd = start("/usr/sbin/sshd", &["-D"], COMPLAINTS)?;
    sys::reap_automatically().during(|| "setting SIGCHLD".into())?;

    let mut announced = false;
    loop {
        let woken = wait(
            log.as_fd(),
            stand_in.as_ref().map(AsFd::as_fd),
            (!announced).then_some(sshd.as_fd()),
        )?;
        if let Some(libvirt) = stand_in.as_ref().filter(|_| woken.libvirt) {
            // Whoever connects is hung up on: a daemon is there, and no more is needed here.
            drop(libvirt.accept());
        }
        if woken.log && record(&log, &node.name)? && !announced {
            announced = true;
            // sshd says that it listens just before it writes its pid file, which faults and tests read. A node without
            // one by then is for them to complain of.
            wait_until(|| fs::metadata("/run/sshd.pid").is_ok_and(|it| it.len() > 0));
            if plan.libvirt && !wait_until(|| fs::exists(LIBVIRT_SOCKET).unwrap_or(false)) {
                return Err(LabError::Start {
                    why: format!(
                        "libvirtd does not answer: {}",
                        fs::read_to_string(LIBVIRT_COMPLAINTS)
                            .unwrap_or_default()
                            .trim()
                    ),
                });
            }
            let ready = format!("ready {}", node.number);
            send(report.as_raw_fd(), ready.as_bytes(), MsgFlags::empty())
                .during(|| "announcing the node".into())?;
        }
    }
}

/// Waits for so long as a daemon may take; false if it took longer.
fn wait_until(done: impl Fn() -> bool) -> bool {
    const PATIENCE: u32 = 1000;
    for _ in 0..PATIENCE {
        if done() {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Where Debian's libvirtd listens.
const LIBVIRT_SOCKET: &str = "/run/libvirt/libvirt-sock";

/// The socket of a libvirt daemon, as Debian's libvirtd makes it.
fn listen_as_libvirt() -> Result<UnixListener> {
    fs::create_dir("/run/libvirt").during(|| "making /run/libvirt".into())?;
    let socket =
        UnixListener::bind(LIBVIRT_SOCKET).during(|| format!("binding {LIBVIRT_SOCKET}"))?;
    chown(LIBVIRT_SOCKET, None, Some(LIBVIRT_GROUP))
        .and_then(|()| fs::set_permissions(LIBVIRT_SOCKET, Permissions::from_mode(0o770)))
        .during(|| format!("giving {LIBVIRT_SOCKET} to its group"))?;
    Ok(socket)
}

struct Woken {
    log: bool,
    libvirt: bool,
}

/// Waits for something to do. sshd is given until the node is announced: it must not end before.
fn wait(
    log: BorrowedFd<'_>,
    libvirt: Option<BorrowedFd<'_>>,
    sshd: Option<BorrowedFd<'_>>,
) -> Result<Woken> {
    let sources = [Some(log), libvirt, sshd];
    let mut watched: Vec<PollFd<'_>> = sources
        .iter()
        .flatten()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    match poll(&mut watched, PollTimeout::NONE) {
        Err(Errno::EINTR) => {}
        done => {
            done.during(|| "waiting for messages".into())?;
        }
    }
    let mut answers = watched.iter().map(|fd| fd.any().unwrap_or(false));
    let [log, libvirt, sshd] =
        sources.map(|source| source.is_some() && answers.next().unwrap_or(false));
    if sshd && !log && !libvirt {
        return Err(LabError::Start {
            why: format!(
                "sshd ended: {}",
                fs::read_to_string(COMPLAINTS).unwrap_or_default().trim()
            ),
        });
    }
    Ok(Woken { log, libvirt })
}

/// Writes one message to the log; true if it says that sshd is ready.
fn record(log: &UnixDatagram, hostname: &str) -> Result<bool> {
    let mut datagram = [0; 16 * 1024];
    let length = log
        .recv(&mut datagram)
        .during(|| "receiving from /dev/log".into())?;
    let entry = syslog::line(&datagram[..length], hostname);
    // A full or read-only disk may be the fault that a test has planted: logging goes on when it can.
    let _ = OpenOptions::new()
        .append(true)
        .create(true)
        .open(entry.file)
        .and_then(|mut file| file.write_all(&entry.line));
    let words = b"Server listening on";
    Ok(entry.line.windows(words.len()).any(|part| part == words))
}

/// Starts a daemon that stays in the foreground; what it says goes to `complaints`.
fn start(program: &str, arguments: &[&str], complaints: &str) -> Result<OwnedFd> {
    let said = fs::File::create(complaints).during(|| format!("making {complaints}"))?;
    let daemon = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .during(|| format!("starting {program}"))?;
    let pid = Pid::from_raw(daemon.id().cast_signed());
    sys::pidfd(pid).during(|| format!("watching {program}"))
}

/// Makes the node's root directory the root of everything.
fn enter_root(plan: &Plan, node: &NodePlan) -> Result<()> {
    let root = rootfs::make(&directory(node), "common:base")?;
    if plan.libvirt {
        rootfs::add_sys(&root)?;
    }
    for dir in &plan.shared {
        rootfs::share(&root, dir)?;
    }
    std::env::set_current_dir(&root).during(|| format!("entering {}", root.display()))?;
    for dir in ["run/sshd", "run/lock", ".old"] {
        fs::create_dir(dir).during(|| format!("making {dir}"))?;
    }
    nix::unistd::pivot_root(".", ".old").during(|| "pivot_root".into())?;
    std::env::set_current_dir("/").during(|| "entering the new root".into())?;
    umount2("/.old", MntFlags::MNT_DETACH).during(|| "leaving the old root".into())?;
    fs::remove_dir("/.old").during(|| "removing .old".into())
}

/// The search path of daemons.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What sshd says about a broken configuration: on stderr only.
const COMPLAINTS: &str = "/var/log/sshd.err";
/// What libvirtd says.
const LIBVIRT_COMPLAINTS: &str = "/var/log/libvirtd.err";
