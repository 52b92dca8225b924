//! However a lab ends, nothing of it stays.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clearway_lab::{Lab, LabSupport};

/// Everything of a lab that the machine could keep.
struct Traces {
    pids: Vec<i32>,
    /// `net:[4026532250]`.
    networks: Vec<PathBuf>,
    dir: PathBuf,
}

impl Traces {
    fn of(lab: &Lab) -> Self {
        let mut pids = vec![lab.guard_pid(), lab.hub_pid()];
        pids.extend(lab.nodes().iter().map(clearway_lab::Node::pid));
        let networks = pids[1..]
            .iter()
            .map(|pid| fs::read_link(format!("/proc/{pid}/ns/net")).unwrap())
            .collect();
        Self {
            pids,
            networks,
            dir: lab.dir().to_owned(),
        }
    }

    /// What is still there, after a moment of patience for the kernel.
    fn left(&self) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.left_now();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn left_now(&self) -> Vec<String> {
        let mut left = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
                continue;
            };
            let network = fs::read_link(entry.path().join("ns/net")).unwrap_or_default();
            if self.networks.contains(&network) || (self.pids.contains(&pid) && !is_zombie(pid)) {
                left.push(format!("process {pid}"));
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        if mounts.contains(&*self.dir.to_string_lossy()) {
            left.push("a mount".into());
        }
        left
    }
}

fn is_zombie(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'))
    })
}

fn kill_hard(pid: i32) {
    let done = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(done.unwrap().success());
}

#[test]
fn nothing_is_left_when_the_lab_is_dropped() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(2).start().unwrap();
    lab.node("node1")
        .sh("sleep 600 >/dev/null 2>&1 & :")
        .unwrap();
    let traces = Traces::of(&lab);
    assert_eq!(
        traces.left_now().len(),
        7,
        "guard, hub, two inits, two sshds, a sleep"
    );
    drop(lab);
    assert_eq!(traces.left(), Vec::<String>::new());
    assert!(!traces.dir.exists());
}

#[test]
fn nothing_is_left_when_the_guard_or_the_hub_is_killed() {
    if LabSupport::skips_test() {
        return;
    }
    for victim in [Lab::guard_pid, Lab::hub_pid] {
        let lab = Lab::builder().nodes(2).start().unwrap();
        let traces = Traces::of(&lab);
        kill_hard(victim(&lab));
        assert_eq!(traces.left(), Vec::<String>::new());
        drop(lab);
        assert!(!traces.dir.exists());
    }
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() {
    if LabSupport::skips_test() {
        return;
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "own_a_lab_until_killed",
            "--nocapture",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(owner.stdout.take().unwrap());
    let dir = std::io::BufRead::lines(lines)
        .map_while(Result::ok)
        .find_map(|line| {
            line.split_once("lab in ")
                .map(|(_, dir)| PathBuf::from(dir))
        })
        .expect("the owner says where its lab is");
    let traces = traces_by_directory(&dir);
    assert!(
        traces.pids.len() > 3,
        "guard, hub, init, sshd: {:?}",
        traces.pids
    );
    kill_hard(i32::try_from(owner.id()).unwrap());
    owner.wait().unwrap();
    assert_eq!(traces.left(), Vec::<String>::new());
    assert!(!dir.exists());
}

/// The other half of the test above.
#[test]
#[ignore = "run by nothing_is_left_when_the_owner_is_killed, in a process that can be killed"]
fn own_a_lab_until_killed() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    println!("lab in {}", lab.dir().display());
    std::thread::sleep(Duration::from_secs(60));
}

/// The processes whose standard error is the lab's log, and those that they started.
fn traces_by_directory(dir: &Path) -> Traces {
    let log = dir.join("lab.log");
    let mut traces = Traces {
        pids: Vec::new(),
        networks: Vec::new(),
        dir: dir.to_owned(),
    };
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        if fs::read_link(entry.path().join("fd/2")).is_ok_and(|file| file == log) {
            traces.pids.push(pid);
            let network = fs::read_link(entry.path().join("ns/net")).unwrap();
            if network != own {
                traces.networks.push(network);
            }
        }
    }
    traces
}

#[test]
fn two_labs_live_side_by_side() {
    if LabSupport::skips_test() {
        return;
    }
    let one = Lab::builder().nodes(2).start().unwrap();
    let two = Lab::builder().nodes(2).start().unwrap();
    let id = |lab: &Lab| lab.node("node1").sh("cat /etc/machine-id").unwrap().stdout;
    assert_ne!(id(&one), id(&two));
    drop(one);
    let answer = two
        .node("node1")
        .sh_as("nova", "ssh -n -o BatchMode=yes node2 uname -n");
    assert_eq!(answer.unwrap().stdout, b"node2\n");
}

#[test]
fn a_lab_that_runs_until_stopped_is_found_again() {
    if LabSupport::skips_test() {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("up");
    let started = Lab::builder()
        .nodes(1)
        .dir(&dir)
        .until_stopped()
        .start()
        .unwrap();
    let traces = Traces::of(&started);
    drop(started);
    assert!(
        Lab::builder().dir(&dir).start().is_err(),
        "one lab per directory"
    );
    let found = Lab::attach(&dir).unwrap();
    assert_eq!(
        found.node("node1").sh("uname -n").unwrap().stdout,
        b"node1\n"
    );
    found.stop().unwrap();
    assert_eq!(traces.left(), Vec::<String>::new());
    assert!(Lab::attach(&dir).is_err());
}
