//! Nothing of a cloud is left when its owner is gone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clearway_nova_lab::{Cloud, RealCloud, Support};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn wait_until_gone(pids: &[u32], dir: &Path) {
    let started = Instant::now();
    let there = || {
        pids.iter()
            .any(|pid| Path::new(&format!("/proc/{pid}/fd/0")).exists())
            || dir.exists()
    };
    while there() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{pids:?} {}",
            dir.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Run by the next test in a process of its own.
#[test]
#[ignore = "a part of killing_the_owner_ends_the_cloud"]
fn owner() {
    let cloud = Cloud::builder().computes(1).start().unwrap();
    let [keystone, nova] = cloud.pids();
    println!("CLOUD {} {keystone} {nova}", cloud.dir().display());
    std::thread::sleep(Duration::from_secs(60));
}

/// Run by the test after the next in a process of its own.
#[test]
#[ignore = "a part of killing_the_owner_ends_a_cloud_with_real_hypervisors"]
fn owner_of_real_hypervisors() {
    let real = RealCloud::start(2).unwrap();
    let [keystone, nova] = real.cloud().pids();
    let (lab, cloud) = (real.lab(), real.cloud());
    let nodes: Vec<String> = lab
        .nodes()
        .iter()
        .map(|node| node.pid().to_string())
        .collect();
    println!("CLOUD {} {keystone} {nova}", cloud.dir().display());
    println!(
        "LAB {} {} {} {}",
        lab.dir().display(),
        lab.guard_pid(),
        lab.hub_pid(),
        nodes.join(" ")
    );
    std::thread::sleep(Duration::from_secs(60));
}

/// Starts a test of this file as an owner, lets it say what it has started (a directory and processes per line that
/// begins with one of these words), and kills it.
fn killed_owner(test: &str, words: &[&str]) -> Vec<(PathBuf, Vec<u32>)> {
    use std::io::{BufRead, BufReader};
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", test])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let started = words
        .iter()
        .map(|word| {
            // The harness says what it runs on the same line.
            let line = lines
                .find_map(|line| Some(line.split_once(&format!("{word} "))?.1.to_owned()))
                .unwrap_or_else(|| panic!("the owner did not say {word}"));
            let mut parts = line.split(' ');
            let dir = PathBuf::from(parts.next().unwrap());
            assert!(dir.exists(), "{}", dir.display());
            (dir, parts.map(|pid| pid.parse().unwrap()).collect())
        })
        .collect();
    kill(Pid::from_raw(owner.id() as i32), Signal::SIGKILL).unwrap();
    owner.wait().unwrap();
    started
}

#[test]
fn killing_the_owner_ends_the_cloud() {
    if Support::skips_test() {
        return;
    }
    for (dir, pids) in killed_owner("ends::owner", &["CLOUD"]) {
        wait_until_gone(&pids, &dir);
    }
}

#[test]
fn killing_the_owner_ends_a_cloud_with_real_hypervisors() {
    if let Support::None(why) = Support::detect_real() {
        eprintln!("NOT RUN: {why}");
        return;
    }
    for (dir, pids) in killed_owner("ends::owner_of_real_hypervisors", &["CLOUD", "LAB"]) {
        wait_until_gone(&pids, &dir);
    }
}

#[test]
fn dropping_a_cloud_ends_it_and_a_lasting_one_ends_when_it_is_stopped() {
    if Support::skips_test() {
        return;
    }
    let cloud = Cloud::builder().computes(1).start().unwrap();
    let (pids, dir) = (cloud.pids(), cloud.dir().to_owned());
    drop(cloud);
    wait_until_gone(&pids, &dir);

    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("up");
    let cloud = Cloud::builder()
        .computes(1)
        .until_stopped_in(&dir)
        .start()
        .unwrap();
    drop(cloud);
    let again = Cloud::attach(&dir).unwrap();
    let pids = again.pids();
    assert!(again.get("/servers").is_ok());
    assert!(
        Cloud::builder().until_stopped_in(&dir).start().is_err(),
        "the directory is taken"
    );
    again.stop().unwrap();
    wait_until_gone(&pids, &dir);
    assert!(Cloud::attach(&dir).is_err());
}
