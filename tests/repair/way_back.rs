//! An undo is a run of its own: listed, shown again, and gone on with after a kill.

use std::time::{Duration, Instant};

use clearway::report::Report;
use clearway_lab::{Lab, Node};
use serde_json::Value;

use crate::binary::{Running, clearway, command, start};
use crate::support::left_beside;
use crate::whole::{bare, pictures};
use crate::wrapped::{At, arm, disarm, wrap};

/// What `runs` says, the newest first.
fn runs(lab: &Lab) -> Vec<Value> {
    let listed = clearway(lab, &["runs", "--format", "json"]);
    assert_eq!(listed.code(), 0, "{listed:?}");
    serde_json::from_str(&listed.out).unwrap()
}

/// What is printed as JSON lines: the events, and the report.
fn lines(text: &str) -> (Vec<Value>, Report) {
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut events: Vec<Value> = lines.collect();
    let mut last = events.pop().unwrap();
    assert_eq!(last["event"], "report");
    (
        events,
        serde_json::from_value(last["report"].take()).unwrap(),
    )
}

fn count(events: &[Value], stage: &str) -> usize {
    let is = |it: &&Value| it["event"] == "node-repaired" && it["stage"] == stage;
    events.iter().filter(is).count()
}

/// Waits until a node has stopped at a command.
fn held(node: &Node, running: &mut Running) {
    let since = Instant::now();
    while !node.path("/run/wrapped/held").exists() {
        assert!(!running.has_ended(), "it never came to {}", node.name());
        assert!(since.elapsed() < Duration::from_secs(60), "it never does");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_undo_that_is_interrupted_finishes_the_node_at_work_and_says_how_to_go_on() {
    let Some(lab) = bare(2) else { return };
    let node = lab.node("node1");
    wrap(node, &["flock"]);
    let before = pictures(&lab);
    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    assert_eq!(repaired.code(), 0, "{}", repaired.err);
    let run = repaired.report().run;
    let after = pictures(&lab);

    arm(node, 1, At::Hold);
    let words = ["repair", "undo", &run, "--yes", "--format", "json"];
    let mut running = start(&lab, &[&words[..], &["--concurrency", "1"]].concat());
    held(node, &mut running);
    running.interrupt();
    std::thread::sleep(Duration::from_millis(300));
    std::fs::write(node.path("/run/wrapped/go"), "").unwrap();
    let interrupted = running.end();
    disarm(node);
    assert_eq!(interrupted.code(), 130, "{}", interrupted.err);
    let report = interrupted.report();
    let repair = report.repair.as_ref().unwrap();
    assert!(report.interrupted && !repair.complete);
    let outcomes: Vec<&str> = repair.nodes.iter().map(|it| it.outcome.as_str()).collect();
    assert_eq!(outcomes, ["undone", "kept"]);
    assert_eq!(pictures(&lab), [before[0].clone(), after[1].clone()]);
    assert_eq!(runs(&lab)[0]["state"], "interrupted");
    let hint = format!(" repair undo {run}` goes on");
    assert!(
        interrupted
            .err
            .contains("hint: not done on every node: `clearway -i "),
        "{}",
        interrupted.err
    );
    assert!(interrupted.err.contains(&hint), "{}", interrupted.err);

    let undone = clearway(&lab, &words);
    assert_eq!(undone.code(), 0, "{}", undone.err);
    assert_eq!(pictures(&lab), before);
}

#[test]
fn an_undo_that_is_killed_is_unfinished_and_the_next_one_is_a_run_that_tells_all() {
    let Some(lab) = bare(2) else { return };
    let node = lab.node("node2");
    wrap(node, &["flock"]);
    let before = pictures(&lab);
    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    assert_eq!(repaired.code(), 0, "{}", repaired.err);
    let run = repaired.report().run;

    // Killed while node2 is at work.
    arm(node, 1, At::Hold);
    let undo = ["repair", "undo", &run, "--yes", "--format", "jsonl"];
    let mut running = start(&lab, &undo);
    held(node, &mut running);
    let listed = runs(&lab);
    assert_eq!(listed[0]["command"], "repair undo");
    assert_eq!(listed[0]["about"], Value::from(run.clone()));
    assert_eq!(listed[0]["state"], "running");
    let first = listed[0]["run"].as_str().unwrap().to_owned();
    // Nobody else may be at it meanwhile, in no direction.
    for words in [
        ["repair", "undo", &run, "--yes"].as_slice(),
        &["repair", "forget", &run, "--yes"],
        &["repair", "resume", &run],
    ] {
        let refused = clearway(&lab, words);
        assert_eq!(refused.code(), 2, "{words:?}: {refused:?}");
        let said = format!("run {first} goes on in process ");
        let ended = "came to its end: nothing to resume";
        assert!(
            refused.err.contains(&said) || refused.err.contains(ended),
            "{words:?}: {refused:?}"
        );
    }
    running.kill();
    std::fs::write(node.path("/run/wrapped/go"), "").unwrap();
    assert_eq!(runs(&lab)[0]["state"], "unfinished");
    let shown = clearway(&lab, &["show", &first]);
    assert_eq!(shown.code(), 2, "{shown:?}");
    let hint = format!(" repair undo {run}` goes on with it");
    assert!(shown.err.contains(&hint), "{}", shown.err);
    let resumed = clearway(&lab, &["repair", "resume", &first]);
    assert_eq!(resumed.code(), 2, "{resumed:?}");
    assert!(resumed.err.contains(&hint), "{}", resumed.err);

    // Its own name will do: it means what it was to put back.
    let operator = "somebody-else";
    let undone = command(
        &lab,
        &["repair", "undo", &first, "--yes", "--format", "jsonl"],
    )
    .env("LOGNAME", operator)
    .output()
    .unwrap();
    disarm(node);
    let (out, err) = (undone.stdout, String::from_utf8_lossy(&undone.stderr));
    assert_eq!(undone.status.code(), Some(0), "{err}");
    assert_eq!(pictures(&lab), before);
    assert_eq!(left_beside(node), ["/usr/local/sbin/.wrapped"; 0]);
    let (events, report) = lines(std::str::from_utf8(&out).unwrap());
    assert_ne!(report.run, run);
    assert_ne!(report.run, first);
    assert_eq!(report.about(), Some(run.as_str()));
    assert_eq!(events[0]["event"], "way-back-started");
    assert_eq!(events[0]["run"], Value::from(report.run.clone()));
    assert_eq!(events[0]["about"], Value::from(run.clone()));
    let repair = report.repair.as_ref().unwrap();
    assert!(repair.complete, "{repair:#?}");
    assert!(
        repair.nodes.iter().all(|it| it.outcome == "undone"),
        "{repair:#?}"
    );
    assert_eq!(count(&events, "undo"), repair.nodes.len());
    assert_eq!(events.last().unwrap()["event"], "run-finished");

    // It is listed, and read back in every format.
    let listed = runs(&lab);
    assert_eq!(listed[0]["run"], Value::from(report.run.clone()));
    assert_eq!(listed[0]["state"], "finished");
    assert_eq!(listed[0]["exit_code"], 0);
    assert_eq!(listed[0]["operator"], operator);
    let table = clearway(&lab, &["runs"]);
    let end = run.rsplit('-').next().unwrap();
    assert!(table.out.contains(&format!(" of {end}: all ")), "{table:?}");
    let shown = clearway(&lab, &["show", "last", "--format", "jsonl"]);
    let (stored, again) = lines(&shown.out);
    assert_eq!(again, report);
    assert_eq!(stored.len(), events.len());
    let shown = clearway(&lab, &["show", "last", "--format", "json"]);
    assert_eq!(shown.report(), report);
    let schema = serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    assert!(schema.is_valid(&serde_json::from_str(&shown.out).unwrap()));
    let shown = clearway(&lab, &["show", "last"]);
    assert!(shown.out.contains(&format!(" of run {run}\n")), "{shown:?}");
    assert!(shown.out.contains("put back: node"), "{shown:?}");
    let shown = clearway(&lab, &["show", "last", "--format", "junit"]);
    assert!(
        shown.out.contains("<testsuite name=\"repair undo\"") && !shown.out.contains("<failure"),
        "{shown:?}"
    );
    let shown = clearway(&lab, &["show", &first]);
    let went_on = format!("hint: run {}, `clearway repair undo`, went on", report.run);
    assert!(shown.err.contains(&went_on), "{}", shown.err);
}
