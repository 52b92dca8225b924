//! Process 1 of a node: makes the node's view of the world, starts sshd, keeps the log.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};
use nix::unistd::Pid;

use crate::error::{During, LabError, Result, chain};
use crate::net::{self, Netlink};
use crate::plan::NodePlan;
use crate::{sys, syslog};

/// Where a node's layers are, below the supervisor's scratch directory.
pub(crate) fn upper(node: &NodePlan) -> String {
    format!("n{}/upper", node.number)
}

/// Lives as the node until it is killed. The current directory is the supervisor's scratch directory.
///
/// `report` takes one message: `ready N`, or `failed NAME: why`.
pub(crate) fn run(node: &NodePlan, hub: &Netlink, report: BorrowedFd<'_>) -> i32 {
    let failed = match live(node, hub, report) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    let message = format!("failed {}: {}", node.name, chain(&failed));
    let _ = send(report.as_raw_fd(), message.as_bytes(), MsgFlags::empty());
    1
}

/// A type without values: the node's life has no successful end.
enum Never {}

fn live(node: &NodePlan, hub: &Netlink, report: BorrowedFd<'_>) -> Result<Never> {
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    nix::unistd::sethostname(&node.name).during(|| "setting the host name".into())?;
    net::set_up_node(hub, node.number, node.address)?;
    enter_root(node)?;

    let log = UnixDatagram::bind("/dev/log").during(|| "binding /dev/log".into())?;
    fs::set_permissions("/dev/log", Permissions::from_mode(0o666))
        .during(|| "opening /dev/log to all".into())?;
    let sshd = start_sshd()?;
    sys::reap_automatically().during(|| "setting SIGCHLD".into())?;

    let mut announced = false;
    let mut datagram = [0; 16 * 1024];
    loop {
        if !announced {
            wait_for_words(log.as_fd(), sshd.as_fd())?;
        }
        let length = match log.recv(&mut datagram) {
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).during(|| "receiving from /dev/log".into()),
        };
        let entry = syslog::line(&datagram[..length], &node.name);
        // A full or read-only disk may be the fault that a test has planted: logging goes on when it can.
        let _ = OpenOptions::new()
            .append(true)
            .create(true)
            .open(entry.file)
            .and_then(|mut file| file.write_all(&entry.line));
        if !announced && find(&entry.line, b"Server listening on") {
            announced = true;
            send(
                report.as_raw_fd(),
                format!("ready {}", node.number).as_bytes(),
                MsgFlags::empty(),
            )
            .during(|| "announcing the node".into())?;
        }
    }
}

/// Waits for something to log, unless sshd ends first.
fn wait_for_words(log: BorrowedFd<'_>, sshd: BorrowedFd<'_>) -> Result<()> {
    let mut watched = [
        PollFd::new(log, PollFlags::POLLIN),
        PollFd::new(sshd, PollFlags::POLLIN),
    ];
    poll(&mut watched, PollTimeout::NONE).during(|| "waiting for sshd".into())?;
    let logged = watched[0].any().unwrap_or(false);
    if !logged {
        return Err(LabError::Start {
            why: format!(
                "sshd ended: {}",
                fs::read_to_string(COMPLAINTS).unwrap_or_default().trim()
            ),
        });
    }
    Ok(())
}

fn find(line: &[u8], words: &[u8]) -> bool {
    line.windows(words.len()).any(|window| window == words)
}

/// The mount with its target in the error.
fn mount_at(
    source: &str,
    target: &str,
    kind: &str,
    flags: MsFlags,
    options: Option<&str>,
) -> Result<()> {
    mount(Some(source), target, Some(kind), flags, options)
        .during(|| format!("mounting {kind} at {target}"))
}

fn enter_root(node: &NodePlan) -> Result<()> {
    let (upper, work, root) = (
        upper(node),
        format!("n{}/work", node.number),
        format!("n{}/root", node.number),
    );
    for dir in [&work, &root] {
        fs::create_dir(dir).during(|| format!("making {dir}"))?;
    }
    let layers = format!("lowerdir=common:base,upperdir={upper},workdir={work}");
    mount_at("overlay", &root, "overlay", MsFlags::empty(), Some(&layers))?;
    std::env::set_current_dir(&root).during(|| format!("entering {root}"))?;

    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_at("proc", "proc", "proc", quiet | MsFlags::MS_NOEXEC, None)?;
    mount_at("tmpfs", "run", "tmpfs", quiet, Some("mode=755"))?;
    mount_at(
        "tmpfs",
        "dev",
        "tmpfs",
        MsFlags::MS_NOSUID,
        Some("mode=755"),
    )?;
    make_devices()?;
    for dir in ["run/sshd", "run/lock"] {
        fs::create_dir(dir).during(|| format!("making {dir}"))?;
    }

    fs::create_dir(".old").during(|| "making .old".into())?;
    nix::unistd::pivot_root(".", ".old").during(|| "pivot_root".into())?;
    std::env::set_current_dir("/").during(|| "entering the new root".into())?;
    umount2("/.old", MntFlags::MNT_DETACH).during(|| "leaving the old root".into())?;
    fs::remove_dir("/.old").during(|| "removing .old".into())
}

fn make_devices() -> Result<()> {
    const DEVICES: [(&str, u64, u64); 6] = [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ];
    for (name, major, minor) in DEVICES {
        let path = Path::new("dev").join(name);
        mknod(&path, SFlag::S_IFCHR, Mode::empty(), makedev(major, minor))
            .during(|| format!("making {}", path.display()))?;
        // Not subject to the umask.
        fs::set_permissions(&path, Permissions::from_mode(0o666))
            .during(|| format!("opening {} to all", path.display()))?;
    }
    for dir in ["dev/pts", "dev/shm"] {
        fs::create_dir(dir).during(|| format!("making {dir}"))?;
    }
    mount_at(
        "devpts",
        "dev/pts",
        "devpts",
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        Some("newinstance,ptmxmode=0666,mode=620"),
    )?;
    mount_at(
        "tmpfs",
        "dev/shm",
        "tmpfs",
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        None,
    )?;
    for (link, target) in [
        ("dev/ptmx", "pts/ptmx"),
        ("dev/fd", "/proc/self/fd"),
        ("dev/stdin", "/proc/self/fd/0"),
        ("dev/stdout", "/proc/self/fd/1"),
        ("dev/stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, link).during(|| format!("linking {link}"))?;
    }
    Ok(())
}

/// What sshd says about a broken configuration: on stderr only.
const COMPLAINTS: &str = "/var/log/sshd.err";

fn start_sshd() -> Result<OwnedFd> {
    let complaints = fs::File::create(COMPLAINTS).during(|| format!("making {COMPLAINTS}"))?;
    let sshd = Command::new("/usr/sbin/sshd")
        .arg("-D")
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(complaints)
        .spawn()
        .during(|| "starting /usr/sbin/sshd".into())?;
    let pid = Pid::from_raw(sshd.id().cast_signed());
    sys::pidfd(pid).during(|| "watching sshd".into())
}
