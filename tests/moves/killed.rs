//! Runs that are killed, interrupted, or in each other's way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use clearway_nova_lab::{ColdPhase, LivePhase, Steer};

use crate::ground::{Ground, ended};
use crate::kept::Kept;

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
    let mut tally = Tally::default();
    drained_in_spite_of_kills(ground, 8, &mut tally, KILLS);
    tally.tell();
    assert!(tally.killed >= 3, "{tally:?}");
    // Moves that wait for others of their source, and some that Nova works on.
    assert!(tally.of(&["planned"]) > 0, "{tally:?}");
    assert!(tally.of(&["accepted", "moving"]) > 0, "{tally:?}");
}

/// Drains of 20 servers, until a hundred kills have hit them.
pub(crate) fn a_hundred_times(ground: &Ground) {
    let mut tally = Tally::default();
    let mut drains = 0;
    while tally.killed < 100 {
        ground.reset();
        drained_in_spite_of_kills(ground, 20, &mut tally, 100);
        ground.every_request_had_a_pass();
        drains += 1;
        assert!(drains < 20, "{tally:?}");
    }
    tally.tell();
    for stages in [
        &["proving", "passed"][..],
        &["requested", "accepted"],
        &["moving"],
        &["waiting", "confirming", "arrived"],
        &["ended"],
    ] {
        assert!(tally.of(stages) > 0, "{stages:?}: {tally:?}");
    }
}

/// What was hit by kills.
#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    /// Kills of a run that had planned its moves.
    killed: u64,
    /// Kills that hit a move at this stage, or the service when it was out of scheduling with nothing left to move.
    hit: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn of(&self, stages: &[&str]) -> u64 {
        stages.iter().filter_map(|it| self.hit.get(it)).sum()
    }

    fn count(&mut self, run: &Kept) {
        self.killed += 1;
        let mut stages: BTreeSet<&str> = run.moves.iter().map(|it| it.stage().as_str()).collect();
        if stages.iter().all(|it| *it == "ended") && run.services.iter().any(|it| !it.restored) {
            stages.insert("service still disabled");
        }
        for stage in stages {
            *self.hit.entry(stage).or_default() += 1;
        }
    }

    fn tell(&self) {
        eprintln!("{self:?}");
    }
}

/// Drains a host with so many servers; the run is killed and resumed until it comes to its end, or until there have been so
/// many kills. Then everything has to be as if nobody had killed anything.
fn drained_in_spite_of_kills(ground: &Ground, servers: usize, tally: &mut Tally, last: u64) {
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
    let asked =
        |ground: &Ground| ground.requests("migrate").len() + ground.requests("confirmResize").len();
    while tally.killed < last {
        let before = asked(ground);
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
        // Another moment each time, from before there is a run to after the last move. On a busy machine most of these are
        // before anything has been asked of Nova: every other time it is waited for that.
        tally.rounds += 1;
        let is_waiting = tally.rounds.is_multiple_of(2);
        let started = Instant::now();
        while is_waiting
            && asked(ground) == before
            && running.try_wait().unwrap().is_none()
            && started.elapsed() < Duration::from_secs(120)
        {
            std::thread::sleep(Duration::from_millis(100));
        }
        let longest = if is_waiting { 2_000 } else { 8_000 };
        std::thread::sleep(Duration::from_millis(100 + tally.rounds * 733 % longest));
        if running.try_wait().unwrap().is_some() {
            break;
        }
        running.kill().unwrap();
        running.wait().unwrap();
        // One that was killed before its plan was kept has begun nothing: it is begun anew.
        if let Some(kept) = ground.kept().first() {
            run = Some(kept.run.clone());
            tally.count(kept);
        }
    }
    let run = run.expect("it was killed at least once after it had begun");
    let ended = ground.run("operator", &["resume", &run, "--format", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    for id in &ids {
        let (status, host) = ground.server(id);
        assert_eq!(status, "ACTIVE", "confirmed");
        assert_ne!(host, "node1.lab", "moved");
        for action in ["migrate", "confirmResize"] {
            let asked = ground.requests_of(action, id);
            let taken = asked.iter().filter(|it| (200..300).contains(&it.status));
            assert_eq!(taken.count(), 1, "exactly once: {action}: {asked:?}");
        }
        let rows = cloud
            .get(&format!("/os-migrations?instance_uuid={id}"))
            .unwrap();
        assert_eq!(rows["migrations"].as_array().unwrap().len(), 1);
        assert_eq!(rows["migrations"][0]["status"], "confirmed");
    }
    assert_eq!(ground.service("node1.lab"), ("enabled".to_owned(), None));
}
