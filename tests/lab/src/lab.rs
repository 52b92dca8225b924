//! A running lab, as its owner sees it.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::enter::{Depth, enter};
use crate::error::{During, LabError, Result};
use crate::fault::Fault;
use crate::inventory::ControlFiles;
use crate::keys::{KeyPair, KeyType};
use crate::plan::{Kex, NodePlan, Plan};
use crate::privilege::Privilege;
use crate::report::{Report, Reports};
use crate::supervisor::{self, HUB_ROOT, Life, SCRATCH};
use crate::{base, state, sys};

/// The search path of commands in a node: a root login's, plus the lab's own helpers.
const NODE_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/lib/lab";

/// What a lab shall be. Made by [`Lab::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    nodes: usize,
    kex: Kex,
    control_user: String,
    dir: Option<PathBuf>,
    life: Life,
}

impl Builder {
    /// How many nodes (3 unless told). They are called `node1`, `node2` and so on.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count;
        self
    }

    /// Which key exchange the nodes' clients use (the fast one unless told).
    #[must_use]
    pub fn kex(mut self, kex: Kex) -> Self {
        self.kex = kex;
        self
    }

    /// The account that the inventory names for the control connection: `deploy`, which may use sudo, unless told.
    #[must_use]
    pub fn control_user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.control_user);
        self
    }

    /// Puts the lab's files into this directory, which must not exist or be empty, instead of a temporary one.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Lets the lab go on when its owner ends, until [`Lab::stop`] or SIGTERM to its guard.
    #[must_use]
    pub fn until_stopped(mut self) -> Self {
        self.life = Life::UntilStopped;
        self
    }

    /// Starts the lab and returns when every node's sshd listens. [`LabSupport::detect`](crate::LabSupport::detect)
    /// says beforehand whether this machine can hold one.
    ///
    /// Makes the base image first if it is missing and can be made (about a minute, once).
    ///
    /// # Errors
    /// See [`LabError`]; whatever had been started is gone by then.
    pub fn start(self) -> Result<Lab> {
        let base = base::ensure(false)?;
        let dir = match &self.dir {
            Some(dir) => state::prepare_dir(dir)?,
            None => tempfile::Builder::new()
                .prefix("clearway-lab.")
                .tempdir()
                .during(|| "making a temporary directory".into())?
                .keep(),
        };
        let lab = start_in(&dir, base, &self);
        if lab.is_err() {
            let _ = std::fs::remove_dir_all(&dir);
        }
        lab
    }
}

fn start_in(dir: &Path, base: PathBuf, wanted: &Builder) -> Result<Lab> {
    let control_key = KeyPair::generate(KeyType::Ed25519, "clearway")?;
    let plan = Plan::new(
        Privilege::require()?.clone(),
        dir.to_owned(),
        base,
        wanted.nodes,
        wanted.kex,
        &control_key,
    )?;
    let files = ControlFiles::in_dir(dir);
    files.write(&control_key, &wanted.control_user, &plan.nodes)?;
    let scratch = dir.join(SCRATCH);
    std::fs::create_dir(&scratch).during(|| format!("making {}", scratch.display()))?;

    let (reports, theirs) = Reports::channel()?;
    let guard = Process::new(supervisor::start(&plan, wanted.life, theirs)?)?;
    let owner = Owner {
        guard: guard.clone(),
        reports: Some(reports),
        dir: dir.to_owned(),
    };
    // From here on an early return stops the lab, by dropping `owner`.
    let (hub, nodes) = wait_until_ready(&owner, &plan)?;
    let mut lab = Lab {
        dir: dir.to_owned(),
        files,
        guard,
        hub,
        nodes,
        owner: Some(owner),
    };
    if wanted.life == Life::UntilStopped {
        state::save(&lab)?;
        if let Some(owner) = lab.owner.take() {
            owner.let_go();
        }
    }
    Ok(lab)
}

fn wait_until_ready(owner: &Owner, plan: &Plan) -> Result<(Process, Vec<Node>)> {
    let reports = owner.reports.as_ref().expect("taken only by drop");
    let patience = Duration::from_secs(20) + Duration::from_millis(200) * plan.nodes.len() as u32;
    let deadline = Instant::now() + patience;
    let mut hub = None;
    let mut nodes: Vec<Option<Node>> = plan.nodes.iter().map(|_| None).collect();
    while hub.is_none() || nodes.iter().any(Option::is_none) {
        match reports.next(deadline)? {
            Report::Hub(pid) => hub = Some(Process::new(pid)?),
            Report::Node(number, pid) => {
                if let (Some(slot), Some(planned)) =
                    (nodes.get_mut(number - 1), plan.nodes.get(number - 1))
                {
                    *slot = Some(Node::new(planned, Process::new(pid)?));
                }
            }
            Report::Failed(why) => return Err(LabError::Start { why }),
            end @ (Report::Ended | Report::Silence) => {
                let log = std::fs::read_to_string(plan.dir.join(supervisor::LOG));
                let missing = nodes.iter().filter(|node| node.is_none()).count();
                return Err(LabError::Start {
                    why: format!(
                        "{} nodes are not ready ({end:?}); {}",
                        missing,
                        log.unwrap_or_default().trim()
                    ),
                });
            }
        }
    }
    let hub = hub.expect("the loop ends with a hub");
    Ok((hub, nodes.into_iter().flatten().collect()))
}

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

/// Stops the lab when it is dropped.
#[derive(Debug)]
struct Owner {
    guard: Process,
    /// None only while being dropped.
    reports: Option<Reports>,
    /// Removed even if the guard could not.
    dir: PathBuf,
}

impl Owner {
    /// Lets the lab go on without an owner.
    fn let_go(mut self) {
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
    owner: Option<Owner>,
}

impl Lab {
    /// A lab of three nodes in a temporary directory, to be changed before it is started.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            nodes: 3,
            kex: Kex::default(),
            control_user: "deploy".into(),
            dir: None,
            life: Life::WithOwner,
        }
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
    /// [`LabError::NotRunning`] if there is none.
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

/// One node of a running lab.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) process: Process,
}

impl Node {
    fn new(planned: &NodePlan, process: Process) -> Self {
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

    pub(crate) fn output(&self, command: &mut Command, line: &str) -> Result<Output> {
        command
            .output()
            .during(|| format!("running a shell on {}: {line}", self.name))
    }
}

fn plain_environment(command: &mut Command) {
    command
        .env_clear()
        .env("PATH", NODE_PATH)
        .env("HOME", "/root")
        .env("USER", "root");
}
