//! A thousand moves at the same time, on a cloud that is made up: what clearway itself needs for them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::ground::{self, Ground};
use crate::simulator::Simulator;
use crate::watched::Watched;
use crate::{INTERVAL, row};

/// For how long moves that all copy are followed.
const FOLLOWED: Duration = Duration::from_secs(60);
/// How long the way to the gate and the ends may take.
const PATIENCE: Duration = Duration::from_secs(1_800);

pub(crate) fn measure(ground: &Ground, moves: usize) {
    ground.reset();
    let cloud = Simulator::start(moves, ground::NODES, ground.scratch());
    let many = moves.to_string();
    let words = ["drain", "node1.lab", "--cold", "--yes", "--format", "jsonl"];
    let limits = ["--max-moves", &many, "--per-source", &many];
    let words = [&words[..], &limits, &["--per-destination", &many]].concat();
    let mut command = ground.command("simulated", &words);
    command.env("OS_CLIENT_CONFIG_FILE", cloud.clouds_yaml());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Watched::new(command.spawn().expect("it starts"));

    let began = Instant::now();
    running.gates(moves, PATIENCE);
    while cloud.copying() < moves {
        assert!(began.elapsed() < PATIENCE, "{} are copied", cloud.copying());
        std::thread::sleep(Duration::from_millis(100));
    }
    let through = began.elapsed().as_secs_f64();
    let busy = running.cpu();

    let (before, cpu, began) = (cloud.asked(), running.cpu(), Instant::now());
    std::thread::sleep(FOLLOWED);
    let (now, seconds) = (cloud.asked(), began.elapsed().as_secs_f64());
    let cpu = (running.cpu() - cpu) / seconds * 100.0;
    // Counted by looks, and not by seconds: a time of 30 intervals may have 31 of them in it.
    let looks = now.looks - before.looks;
    assert!(
        looks <= seconds / INTERVAL + 1.0,
        "{looks} looks in {seconds} s"
    );
    let listings = (now.listings - before.listings) / looks;
    let reads = (now.reads - before.reads) / looks;

    let (ends, before) = (Instant::now(), running.cpu());
    cloud.release();
    let (code, memory, after) = running.ended(PATIENCE);
    let ends = ends.elapsed().as_secs_f64();
    assert_eq!(code, Some(0), "every move went well");
    assert_eq!(cloud.moved(), moves, "each one is confirmed");
    assert_eq!(cloud.strange(), [""; 0], "the simulator knows no answer");

    let row = |what: &str, measured: f64, bar| {
        row(
            &format!("{moves} simulated moves in flight: {what}"),
            measured,
            bar,
        );
    };
    row("listings per interval", listings, Some(2.0));
    row("all API reads per interval", reads, None);
    row("% of one core while all copy", cpu, Some(5.0));
    row(
        "memory at most, from beginning to end, MiB",
        memory,
        Some(100.0),
    );
    row("until all are requested, s", through, None);
    row("CPU until then, s", busy, None);
    row(
        "from the end of the first copy to the end of the run, s",
        ends,
        None,
    );
    row("CPU from then on, s", after - before, None);
}
