//! What moving costs, on a real Nova whose hypervisors are made up, over the lab's real nodes: a drain against the
//! unmodified `openstack` client, what the gate adds to a move, and what following many moves takes.
//!
//! What a thousand moves need is measured on a cloud that is made up ([`simulator`]): no lab's Nova boots so many servers.
//!
//! `MOVES_SERVERS` (40), `MOVES_FLIGHT` (50) and `MOVES_SIMULATED` (1000) change the sizes; 0 leaves a part out.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures time, reads its sizes from the environment and prints"
)]

#[allow(
    dead_code,
    reason = "the ground of the tests of moves, which use all of it"
)]
#[path = "../../tests/moves/ground.rs"]
mod ground;
mod simulator;
mod thousand;
mod watched;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clearway_nova_lab::{ColdPhase, Steer};
use ground::Ground;
use serde_json::Value;

use crate::watched::Watched;

/// Moves at the same time, of both contenders.
const AT_ONCE: usize = 8;
/// The interval of the run whose requests are counted, in seconds.
const INTERVAL: f64 = 2.0;

fn main() -> ExitCode {
    let ground: &'static Ground = match Ground::start() {
        Ok(ground) => Box::leak(Box::new(ground)),
        Err(why) => {
            println!("NOT MEASURED: moves on a real Nova: {why}");
            return ExitCode::SUCCESS;
        }
    };
    let (servers, flight) = (size("MOVES_SERVERS", 40), size("MOVES_FLIGHT", 50));
    println!("| what | measured | bar | |\n|---|---:|---|---|");
    if servers > 0 {
        against_openstack(ground, servers);
    }
    if flight > 0 {
        in_flight(ground, flight);
    }
    let simulated = size("MOVES_SIMULATED", 1_000);
    if simulated > 0 {
        thousand::measure(ground, simulated);
    }
    ground.stop();
    ExitCode::SUCCESS
}

/// A drain by clearway, and the same by hand.
fn against_openstack(ground: &Ground, servers: usize) {
    let ours = drain(ground, servers);
    let theirs = openstack(ground, servers);
    row(
        &format!("drain of {servers} servers, {AT_ONCE} at once: wall, s"),
        ours,
        None,
    );
    row(
        &format!("`openstack server migrate --wait` and confirm, {AT_ONCE} at once: wall, s"),
        theirs,
        None,
    );
    row("wall: clearway / openstack", ours / theirs, Some(1.1));
}

fn size(name: &str, otherwise: usize) -> usize {
    let value = std::env::var(name).ok();
    value.map_or(otherwise, |it| it.parse().expect("a number"))
}

fn row(what: &str, measured: f64, bar: Option<f64>) {
    let (bar, verdict) = match bar {
        None => (String::new(), ""),
        Some(bar) if measured <= bar => (format!("≤ {bar}"), "met"),
        Some(bar) => (format!("≤ {bar}"), "NOT met"),
    };
    println!("| {what} | {measured:.2} | {bar} | {verdict} |");
}

/// Wall seconds of `clearway drain`, confirmations included.
fn drain(ground: &Ground, servers: usize) -> f64 {
    ground.reset();
    let cloud = ground.cloud();
    let ids = cloud
        .boot_servers("ours", servers, "node1.lab")
        .expect("servers");
    let began = Instant::now();
    let at_once = AT_ONCE.to_string();
    let drained = ground.run(
        "operator",
        &[
            "drain",
            "node1.lab",
            "--cold",
            "--yes",
            "--format",
            "json",
            "--max-moves",
            &at_once,
            "--per-source",
            &at_once,
            "--per-destination",
            &at_once,
        ],
    );
    let wall = began.elapsed().as_secs_f64();
    assert_eq!(drained.code, 0, "{}", drained.all());
    for id in &ids {
        assert_ne!(ground.server(id).1, "node1.lab");
    }
    wall
}

/// The same by hand: each of [`AT_ONCE`] workers takes the next server, moves it, waits, and confirms.
fn openstack(ground: &Ground, servers: usize) -> f64 {
    ground.reset();
    let cloud = ground.cloud();
    let ids = cloud
        .boot_servers("theirs", servers, "node1.lab")
        .expect("servers");
    let left = Mutex::new(ids.iter().enumerate().collect::<Vec<_>>());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((number, id)) = left.lock().expect("no worker died").pop() else {
                        break;
                    };
                    let host = format!("node{}.lab", 2 + number % (ground::NODES - 1));
                    for words in [
                        &["server", "migrate", "--wait", "--host", &host, id][..],
                        &["server", "migration", "confirm", id],
                    ] {
                        let output = cloud.openstack("operator", words).expect("it starts");
                        let said = String::from_utf8_lossy(&output.stderr);
                        assert!(output.status.success(), "{words:?}: {said}");
                    }
                }
            });
        }
    });
    for id in &ids {
        ground.until("confirmed", 60, || ground.server(id).0 == "ACTIVE");
        assert_ne!(ground.server(id).1, "node1.lab");
    }
    began.elapsed().as_secs_f64()
}

/// Many moves that all copy at the same time.
fn in_flight(ground: &Ground, moves: usize) {
    ground.reset();
    let cloud = ground.cloud();
    cloud
        .steer("*", "*", Steer::well().cold_seconds(ColdPhase::Copy, 90.0))
        .expect("steered");
    cloud
        .boot_servers("flight", moves, "node1.lab")
        .expect("servers");
    let many = moves.to_string();
    let mut running = Watched::new(
        ground
            .command(
                "operator",
                &[
                    "drain",
                    "node1.lab",
                    "--cold",
                    "--yes",
                    "--format",
                    "jsonl",
                    "--max-moves",
                    &many,
                    "--per-source",
                    &many,
                    "--per-destination",
                    &many,
                ],
            )
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts"),
    );
    // Until all are on their way, and what was asked for them has been answered.
    let started = Instant::now();
    let gates = running.gates(moves, Duration::from_secs(600));
    let through = started.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(5));
    let asked = |ground: &Ground| {
        let log = ground.cloud().access_log().expect("a log");
        let ours = |agent: &Option<String>| {
            agent
                .as_deref()
                .is_some_and(|it| it.starts_with("clearway/"))
        };
        log.into_iter()
            .filter(|it| it.method == "GET" && ours(&it.agent))
            .count()
    };
    let (asked_before, cpu_before, began) = (asked(ground), running.cpu(), Instant::now());
    std::thread::sleep(Duration::from_secs(20));
    let seconds = began.elapsed().as_secs_f64();
    let calls = (asked(ground) - asked_before) as f64 / (seconds / INTERVAL);
    let cpu = (running.cpu() - cpu_before) / seconds * 100.0;
    let memory = running.peak_mib();
    running.kill();
    let mean = gates.iter().sum::<f64>() / gates.len() as f64;
    row(
        &format!("{moves} moves in flight: the gate, s per move, mean"),
        mean,
        Some(1.0),
    );
    let longest = gates.iter().copied().fold(0.0, f64::max);
    row(
        &format!("{moves} moves in flight: the gate, s, longest"),
        longest,
        None,
    );
    row(
        &format!("{moves} moves in flight: until all are through the gate, s"),
        through,
        None,
    );
    row(
        &format!("{moves} moves in flight: API calls per interval"),
        calls,
        Some(2.0),
    );
    row(
        &format!("{moves} moves in flight: memory at most, MiB"),
        memory,
        Some(100.0),
    );
    row(
        &format!("{moves} moves in flight: % of one core"),
        cpu,
        Some(5.0),
    );
}

/// Seconds from `proving` to `passed` of each server, from the events of a run.
fn gate_of(events: &mut HashMap<String, String>, event: &Value) -> Option<f64> {
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time");
    match event["stage"].as_str()? {
        "proving" => {
            events.entry(text("server")).or_insert_with(|| text("at"));
            None
        }
        "passed" => {
            let began = events.get(&text("server"))?;
            Some(at(&text("at")).duration_since(at(began)).as_secs_f64())
        }
        _ => None,
    }
}
