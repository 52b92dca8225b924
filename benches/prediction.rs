//! How long prediction takes on made-up facts, and how that grows: `cargo bench --bench prediction`.
//!
//! Each line is a process of its own, so that its peak memory is its own. Every ordered pair is asked for in both
//! cold lanes. `growth` is the exponent of the time over the line before: 1 is linear in nodes, 2 in pairs. The bars are
//! for wall time on two processors; on a busy machine the CPU time beside it says what the wall time would be on an idle
//! one at best. `PREDICTION_NODES=100,300` measures other sizes.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock and prints"
)]

use std::process::Command;
use std::time::Instant;

use clearway::domain::{Lane, LegId, Predicted};
use clearway::trust::simulate::{Form, Simulation};
use clearway::trust::{Legs, PairScope, Prediction};
use rayon::prelude::*;

const FORMS: [(&str, Form); 3] = [
    ("plain", Form::Plain),
    ("hashed", Form::Hashed),
    ("host-ca", Form::Authority),
];
const NODES: [usize; 5] = [100, 300, 1_000, 3_000, 10_000];

/// Fleets with a bar: nodes, seconds, MiB.
const BARS: [(usize, f64, f64); 2] = [(1_000, 1.0, 4096.0), (10_000, 30.0, 4096.0)];

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, one, form, nodes] = words.as_slice()
        && one == "--one"
    {
        let form = FORMS
            .iter()
            .find(|(name, _)| name == form)
            .expect("a form")
            .1;
        measure(form, nodes.parse().expect("a number"));
        return;
    }
    let sizes = std::env::var("PREDICTION_NODES").map_or(NODES.to_vec(), |text| {
        let sizes = text.split(',');
        sizes.map(|it| it.parse().expect("a number")).collect()
    });
    println!(
        "{:>8} {:>7} {:>12} {:>9} {:>9} {:>9} {:>7} {:>8} {:>12}  bar",
        "form",
        "nodes",
        "pairs",
        "prepare s",
        "pairs s",
        "CPU s",
        "growth",
        "peak MiB",
        "legs broken"
    );
    for (name, _) in FORMS {
        let mut before: Option<(usize, f64)> = None;
        for &nodes in &sizes {
            let program = std::env::current_exe().expect("this program");
            let output = Command::new(program)
                .args(["--one", name, &nodes.to_string()])
                .output()
                .expect("it runs");
            let text = String::from_utf8(output.stdout).expect("text");
            let numbers: Vec<f64> = text
                .split_whitespace()
                .map(|word| word.parse().expect("a number"))
                .collect();
            let [prepare, pairs, cpu, peak, broken] = numbers[..] else {
                panic!(
                    "{nodes} nodes failed: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            };
            let seconds = prepare + pairs;
            let growth = before.map_or(String::new(), |(fewer, shorter)| {
                let exponent = (seconds / shorter).ln() / (nodes as f64 / fewer as f64).ln();
                format!("{exponent:.2}")
            });
            before = Some((nodes, seconds));
            println!(
                "{name:>8} {nodes:>7} {:>12} {prepare:>9.3} {pairs:>9.3} {cpu:>9.2} {growth:>7} {peak:>8.0} {broken:>12}  {}",
                nodes * (nodes - 1),
                verdict(nodes, seconds, peak)
            );
        }
    }
}

/// Whether the bar of this size is met, where there is one.
fn verdict(nodes: usize, seconds: f64, peak: f64) -> String {
    let bar = BARS.iter().find(|(size, ..)| *size == nodes);
    bar.map_or(String::new(), |(_, within, memory)| {
        let met = seconds <= *within && peak <= *memory;
        let word = if met { "met" } else { "NOT met" };
        format!("{within} s, {memory} MiB: {word}")
    })
}

/// Prints seconds of preparing, seconds of asking, CPU seconds of both, peak MiB, and broken legs.
fn measure(form: Form, nodes: usize) {
    let simulation = Simulation {
        form,
        fault_every: 50,
        ..Simulation::of(nodes)
    };
    let world = simulation.world();
    let cpu_before = cpu_seconds();
    let start = Instant::now();
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let prediction = Prediction::new(&world.fleet, &world.facts, &legs, &scope);
    let prepared = start.elapsed().as_secs_f64();
    let broken: u64 = scope
        .nodes()
        .par_iter()
        .map(|&client| {
            let servers = scope.nodes().iter().filter(|&&server| server != client);
            let legs = servers.flat_map(|&server| {
                [Lane::ColdPush, Lane::ColdPull].map(|lane| LegId {
                    lane,
                    client,
                    server,
                })
            });
            legs.map(|leg| u64::from(matches!(prediction.verdict(leg), Predicted::Breaks(_))))
                .sum::<u64>()
        })
        .sum();
    let all = start.elapsed().as_secs_f64();
    let cpu = cpu_seconds() - cpu_before;
    println!(
        "{prepared} {} {cpu} {} {broken}",
        all - prepared,
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
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .expect("a peak");
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|it| it.parse().ok())
        .expect("KiB");
    kib / 1024.0
}
