//! Nothing of a cloud is left when its owner is gone.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clearway_nova_lab::{Cloud, Support};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn wait_until_gone(pids: [u32; 2], dir: &Path) {
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
    println!("CLOUD {keystone} {nova} {}", cloud.dir().display());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn killing_the_owner_ends_the_cloud() {
    if Support::skips_test() {
        return;
    }
    use std::io::{BufRead, BufReader};
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "ends::owner"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let line = lines
        .map_while(Result::ok)
        .find(|line| line.contains("CLOUD "))
        .unwrap();
    let mut words = line.split("CLOUD ").nth(1).unwrap().split(' ');
    let mut pid = || words.next().unwrap().parse::<u32>().unwrap();
    let pids = [pid(), pid()];
    let dir = Path::new(words.next().unwrap());
    assert!(dir.join("clouds.yaml").exists());
    kill(Pid::from_raw(owner.id() as i32), Signal::SIGKILL).unwrap();
    owner.wait().unwrap();
    wait_until_gone(pids, dir);
}

#[test]
fn dropping_a_cloud_ends_it_and_a_lasting_one_ends_when_it_is_stopped() {
    if Support::skips_test() {
        return;
    }
    let cloud = Cloud::builder().computes(1).start().unwrap();
    let (pids, dir) = (cloud.pids(), cloud.dir().to_owned());
    drop(cloud);
    wait_until_gone(pids, &dir);

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
    wait_until_gone(pids, &dir);
    assert!(Cloud::attach(&dir).is_err());
}
