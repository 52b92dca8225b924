//! The file by which `lab down`, `lab node` and the others find a lab that runs until stopped.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{During, LabError, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::process::Process;

const FILE: &str = "lab.json";

#[derive(Serialize, Deserialize)]
struct State {
    guard: SavedProcess,
    hub: SavedProcess,
    nodes: Vec<SavedNode>,
}

/// A process number and, because numbers are used again, when it started.
#[derive(Serialize, Deserialize)]
struct SavedProcess {
    pid: i32,
    /// In clock ticks after boot, as /proc/PID/stat says it.
    start: u64,
}

#[derive(Serialize, Deserialize)]
struct SavedNode {
    name: String,
    host: String,
    address: Ipv4Addr,
    init: SavedProcess,
}

impl SavedProcess {
    fn of(process: &Process) -> Result<Self> {
        let pid = process.pid.as_raw();
        let start = start_time(pid).during(|| format!("reading /proc/{pid}/stat"))?;
        Ok(Self { pid, start })
    }

    /// None if that process has ended.
    fn find(&self) -> Option<Process> {
        let process = Process::new(Pid::from_raw(self.pid)).ok()?;
        (start_time(self.pid).ok()? == self.start).then_some(process)
    }
}

/// Field 22 of proc_pid_stat(5). The command name, field 2, may hold anything, so fields are counted after its end.
fn start_time(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(19)?.parse().ok())
        .ok_or_else(|| io::Error::other("no start time"))
}

/// Makes the directory of a new lab. What a dead lab has left there is removed, anything else is refused.
pub(crate) fn prepare_dir(dir: &Path) -> Result<PathBuf> {
    if dir.join(FILE).exists() {
        if load(dir).is_ok() {
            return Err(LabError::Start {
                why: format!("a lab is running in {}", dir.display()),
            });
        }
        fs::remove_dir_all(dir).during(|| format!("removing {}", dir.display()))?;
    }
    fs::create_dir_all(dir).during(|| format!("making {}", dir.display()))?;
    let mut entries = fs::read_dir(dir).during(|| format!("listing {}", dir.display()))?;
    if entries.next().is_some() {
        return Err(LabError::Start {
            why: format!("{} is not empty", dir.display()),
        });
    }
    dir.canonicalize()
        .during(|| format!("resolving {}", dir.display()))
}

pub(crate) fn save(lab: &Lab) -> Result<()> {
    let state = State {
        guard: SavedProcess::of(&lab.guard)?,
        hub: SavedProcess::of(&lab.hub)?,
        nodes: lab
            .nodes
            .iter()
            .map(|node| {
                Ok(SavedNode {
                    name: node.name.clone(),
                    host: node.host.clone(),
                    address: node.address,
                    init: SavedProcess::of(&node.process)?,
                })
            })
            .collect::<Result<_>>()?,
    };
    let path = lab.dir.join(FILE);
    let text = serde_json::to_vec_pretty(&state).map_err(io::Error::from);
    text.and_then(|text| fs::write(&path, text))
        .during(|| format!("writing {}", path.display()))
}

pub(crate) fn load(dir: &Path) -> Result<Lab> {
    let path = dir.join(FILE);
    let not_running = |why: &str| LabError::NotRunning {
        dir: dir.to_owned(),
        why: why.to_owned(),
    };
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(not_running("no lab was started here"));
        }
        read => read.during(|| format!("reading {}", path.display()))?,
    };
    let state: State = serde_json::from_slice(&text)
        .map_err(io::Error::from)
        .during(|| format!("understanding {}", path.display()))?;
    let ended = || not_running("the lab has ended");
    let nodes = state
        .nodes
        .iter()
        .map(|node| {
            Some(Node {
                name: node.name.clone(),
                host: node.host.clone(),
                address: node.address,
                process: node.init.find()?,
            })
        })
        .collect::<Option<_>>()
        .ok_or_else(ended)?;
    Ok(Lab::found(
        dir.to_owned(),
        state.guard.find().ok_or_else(ended)?,
        state.hub.find().ok_or_else(ended)?,
        nodes,
    ))
}
