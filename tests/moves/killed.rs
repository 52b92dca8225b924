//! Runs that are killed, interrupted, or in each other's way.

use std::time::Duration;

use clearway_nova_lab::{ColdPhase, LivePhase, Steer};

use crate::ground::{Ground, ended};

/// How often the run is killed at most. Every kill is at another point of it.
const KILLS: u64 = 12;

pub(crate) fn locked(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("locked", "node1.lab").unwrap();
    cloud
        .steer("*", "*", Steer::well().cold_seconds(ColdPhase::Copy, 5.0))
        .unwrap();
    let first = ground.start_moves(&["migrate", &id]);
    ground.until("the request", 60, || {
        !ground.requests_of("migrate", &id).is_empty()
    });
    let second = ground.moves(&["migrate", &id]);
    assert_eq!(second.code, 2, "{}", second.all());
    assert!(
        second.stderr.contains("another run works on the same"),
        "{}",
        second.stderr
    );
    let first = ended(&first.wait_with_output().unwrap());
    assert_eq!(first.code, 0, "{}", first.all());
    assert_eq!(ground.requests_of("migrate", &id).len(), 1);
}

/// Killed before it could ask for the way back, and confirmed by somebody else before it goes on.
pub(crate) fn not_reverted(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("kept", "node1.lab").unwrap();
    let slow = Steer::well().cold_seconds(ColdPhase::Copy, 4.0);
    cloud.steer("*", "*", slow).unwrap();
    let mut running = ground.start_moves(&["migrate", &id, "--to", "node2.lab", "--revert"]);
    ground.until("the request", 60, || {
        !ground.requests_of("migrate", &id).is_empty()
    });
    running.kill().unwrap();
    running.wait().unwrap();
    ground.until("arrival", 60, || ground.server(&id).0 == "VERIFY_RESIZE");
    let confirm = r#"{"confirmResize": null}"#;
    cloud.act("operator", &id, confirm).unwrap();
    let resumed = ground.run("operator", &["resume", "last", "--format", "json"]);
    assert_eq!(resumed.code, 1, "{}", resumed.all());
    let it = resumed.only();
    assert_eq!(it.verdict, "failed");
    let why = "somebody confirmed it, and it was to be reverted";
    assert!(it.why.contains(why), "{}", it.why);
}

pub(crate) fn interrupted(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("interrupted", 3, "node1.lab").unwrap();
    cloud
        .steer("*", "*", Steer::well().live_seconds(LivePhase::Run, 3.0))
        .unwrap();
    let running = ground.start_moves(&["drain", "node1.lab", "--live"]);
    let asked = || {
        ids.iter()
            .filter(|id| !ground.asked_for(id).is_empty())
            .count()
    };
    ground.until("the first request", 60, || asked() > 0);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(running.id()).unwrap()),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    let stopped = ended(&running.wait_with_output().unwrap());
    assert_eq!(stopped.code, 130, "{}", stopped.all());
    let report = stopped.report();
    assert!(report.interrupted);
    let done = report
        .moves
        .iter()
        .filter(|it| it.verdict == "done")
        .count();
    assert_eq!(
        done,
        asked(),
        "what was begun was finished: {}",
        stopped.all()
    );
    assert!(done < 3, "live moves go one after the other");
    assert_eq!(ground.service("node1.lab").0, "enabled");
    let resumed = ground.run("operator", &["resume", &report.run, "--format", "json"]);
    assert_eq!(resumed.code, 0, "{}", resumed.all());
    for id in &ids {
        assert_ne!(ground.server(id).1, "node1.lab");
        assert_eq!(ground.requests_of("os-migrateLive", id).len(), 1);
    }
    assert_eq!(ground.service("node1.lab"), ("enabled".to_owned(), None));
    let again = ground.run("operator", &["resume", &report.run, "--format", "json"]);
    assert_eq!(again.code, 0, "nothing is left: {}", again.all());
}

pub(crate) fn anywhere(ground: &Ground) {
    let killed = drained_in_spite_of_kills(ground, 8, 0, KILLS);
    assert!(killed > 0, "it was killed at least once after it had begun");
}

/// Drains of 20 servers, until a hundred kills have hit them.
pub(crate) fn a_hundred_times(ground: &Ground) {
    let (mut killed, mut drains) = (0, 0);
    while killed < 100 {
        ground.reset();
        killed += drained_in_spite_of_kills(ground, 20, killed, 100);
        drains += 1;
        assert!(drains < 20, "only {killed} kills in {drains} drains");
    }
}

/// Drains a host with so many servers; the run is killed and resumed until it comes to its end, or until kill number
/// `last`. Then everything has to be as if nobody had killed anything. Says how many kills hit a run that had begun.
fn drained_in_spite_of_kills(ground: &Ground, servers: usize, first: u64, last: u64) -> u64 {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("killed", servers, "node1.lab").unwrap();
    cloud
        .steer(
            "*",
            "*",
            Steer::well()
                .cold_seconds(ColdPhase::Copy, 1.0)
                .cold_seconds(ColdPhase::Finish, 0.5),
        )
        .unwrap();
    let mut run: Option<String> = None;
    let mut killed = 0;
    for round in first..last {
        let mut running = match &run {
            None => ground.start_moves(&["drain", "node1.lab", "--cold", "--per-source", "3"]),
            Some(run) => {
                let mut command = ground.command("operator", &["resume", run, "--format", "json"]);
                command
                    .stdout(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::piped())
                    .spawn()
                    .unwrap()
            }
        };
        // Another moment each time, from before the survey to the middle of moves.
        std::thread::sleep(Duration::from_millis(1_500 + round * 733 % 7_000));
        if running.try_wait().unwrap().is_some() {
            break;
        }
        running.kill().unwrap();
        running.wait().unwrap();
        if run.is_none() {
            let listed = ground.run("operator", &["runs", "--format", "json"]);
            let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
            run = listed[0]["run"].as_str().map(str::to_owned);
        }
        killed += u64::from(run.is_some());
    }
    let run = run.expect("it was killed at least once after it had begun");
    let ended = ground.run("operator", &["resume", &run, "--format", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    for id in &ids {
        let (status, host) = ground.server(id);
        assert_eq!(status, "ACTIVE", "confirmed");
        assert_ne!(host, "node1.lab", "moved");
        let taken = ground
            .requests_of("migrate", id)
            .into_iter()
            .filter(|it| it.status == 202)
            .count();
        assert_eq!(taken, 1, "moved exactly once");
        let rows = cloud
            .get(&format!("/os-migrations?instance_uuid={id}"))
            .unwrap();
        assert_eq!(rows["migrations"].as_array().unwrap().len(), 1);
        assert_eq!(rows["migrations"][0]["status"], "confirmed");
    }
    assert_eq!(ground.service("node1.lab"), ("enabled".to_owned(), None));
    killed
}
