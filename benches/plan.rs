//! How long a plan of repair takes on made-up facts: `cargo bench --bench plan`.
//!
//! `nothing` is a fleet without any trust: every node gets a file of everybody's keys and one of everybody's host keys.
//! `one` is a fleet in which one host key was remade, `faults` one with a fault in every fiftieth node, `well` one in which
//! all is well. CPU seconds are of the whole process, by what they are spent on.

#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::collections::HashMap;

use clearway::repair::{ControlAccount, Plan, Policy, Situation, diff, lint, plan};
use clearway::survey::{FileState, IdentityState};
use clearway::trust::simulate::{Simulation, World};
use clearway::trust::{Legs, PairScope, Prediction};

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let sizes: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let sizes = if sizes.is_empty() {
        vec![100, 300, 1_000]
    } else {
        sizes
    };
    println!(
        "{:>8} {:>7} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8} {:>9}",
        "case", "nodes", "predict s", "plan s", "diff s", "lint s", "edits", "keys", "peak MiB"
    );
    for nodes in sizes {
        for case in ["nothing", "one", "faults", "well"] {
            measure(case, nodes);
        }
    }
}

fn world(case: &str, nodes: usize) -> World {
    let fault_every = match case {
        "one" => nodes,
        "faults" => 50,
        _ => 0,
    };
    let mut world = Simulation {
        fault_every,
        ..Simulation::of(nodes)
    }
    .world();
    if case == "nothing" {
        for facts in world.facts.iter_mut().flatten() {
            for client in &mut facts.clients {
                client.public_halves.clear();
                client.known_hosts[0].state = FileState::Absent;
                for key in &mut client.identities {
                    key.state = IdentityState::Missing;
                    (key.meta, key.public) = (None, None);
                }
            }
            for login in &mut facts.server.accounts {
                login.authorized_keys[0].file.state = FileState::Absent;
            }
        }
    }
    world
}

fn measure(case: &str, nodes: usize) {
    let world = world(case, nodes);
    let mut last = cpu_seconds();
    let mut spent = || {
        let now = cpu_seconds();
        now - std::mem::replace(&mut last, now)
    };
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let prediction = Prediction::new(&world.fleet, &world.facts, &legs, &scope);
    let predicting = spent();
    let seen = HashMap::new();
    let situation = Situation {
        fleet: &world.fleet,
        facts: &world.facts,
        legs: &legs,
        prediction: &prediction,
        scope: &scope,
        seen: &seen,
        inventory: "/bench.yaml",
    };
    let made: Plan = plan(&situation, &Policy::new([1; 32]));
    let planning = spent();
    // Without a diff of every pair's lines, which only matters where a person would read it.
    let diffing = if nodes <= 300 {
        let _ = diff(&made);
        format!("{:.3}", spent())
    } else {
        "-".to_owned()
    };
    let linting = if nodes <= 1_000 {
        let control = ControlAccount::of(&world.fleet);
        let complaints = lint(&made, &world.facts, &world.fleet, &scope, &control);
        assert!(complaints.is_empty(), "{complaints:?}");
        format!("{:.3}", spent())
    } else {
        "-".to_owned()
    };
    let edits: usize = made.nodes.iter().map(|node| node.edits.len()).sum();
    println!(
        "{case:>8} {nodes:>7} {predicting:>10.3} {planning:>10.3} {diffing:>10} {linting:>10} {edits:>8} {:>8} {:>9.0}",
        made.keys.len(),
        peak_mib()
    );
}

/// User and system time of this process (proc(5), `/proc/self/stat` fields 14 and 15, in ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind_name = stat.rsplit(')').next().expect("a name in brackets");
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

/// The most memory that this process ever had (proc(5), `VmHWM`).
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let mut lines = status.lines();
    let line = lines
        .find(|line| line.starts_with("VmHWM"))
        .expect("a peak");
    let kib = line
        .split_whitespace()
        .nth(1)
        .and_then(|it| it.parse::<f64>().ok());
    kib.expect("KiB") / 1024.0
}
