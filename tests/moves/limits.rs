//! How many at once, in which order, until when; and which servers are listed.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::Duration;

use clearway_nova_lab::{ColdPhase, LivePhase, Steer};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::gate::Copied;
use crate::ground::{Ended, Ground, ended};

pub(crate) fn until(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("window", 3, "node1.lab").unwrap();
    let slow = Steer::well().cold_seconds(ColdPhase::Copy, 25.0);
    cloud.steer("*", "*", slow).unwrap();
    let until = Timestamp::now() + SignedDuration::from_secs(20);
    let until = until.to_string();
    let words = ["drain", "node1.lab", "--cold", "--per-source", "1"];
    let drained = ground.moves(&[&words[..], &["--until", &until]].concat());
    assert_eq!(drained.code, 3, "{}", drained.all());
    let report = drained.report();
    let verdicts: Vec<&str> = report.moves.iter().map(|it| it.verdict.as_str()).collect();
    assert_eq!(verdicts, ["done", "not-started", "not-started"]);
    let why = "the deadline has passed (--until)";
    assert_eq!(report.stopped.as_deref(), Some(why));
    assert_eq!(report.moves[1].why, why);
    assert_eq!(ground.requests_of("migrate", &ids[0]).len(), 1);
    for id in &ids[1..] {
        assert_eq!(ground.requests_of("migrate", id).len(), 0);
        assert_eq!(ground.server(id).1, "node1.lab");
    }
}

/// The most rows of these servers that were open at the same time, by destination, and in all; then how it ended.
fn most_open(ground: &Ground, mut running: Child, ids: &[String]) -> (usize, usize, Ended) {
    let (mut all, mut one) = (0, 0);
    while running.try_wait().unwrap().is_none() {
        let rows = ground.cloud().get("/os-migrations").unwrap();
        let mut open: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows["migrations"].as_array().unwrap() {
            let is_its = ids.iter().any(|id| row["instance_uuid"] == id.as_str());
            let over = ["confirmed", "completed", "error", "failed", "reverted"];
            if is_its && !over.contains(&row["status"].as_str().unwrap()) {
                let host = row["dest_compute"].as_str().unwrap_or_default();
                *open.entry(host.to_owned()).or_default() += 1;
            }
        }
        all = all.max(open.values().sum());
        // Nova has not looked at a new one yet.
        open.remove("");
        one = one.max(open.values().copied().max().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(100));
    }
    (all, one, ended(&running.wait_with_output().unwrap()))
}

pub(crate) fn live_per_source(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("live", 4, "node1.lab").unwrap();
    let slow = Steer::well().live_seconds(LivePhase::Run, 3.0);
    cloud.steer("*", "*", slow).unwrap();
    let move_all = |servers: &[String], to: &str, more: &[&str]| {
        let named = servers.iter().map(String::as_str);
        let words: Vec<&str> = ["migrate", "--live", "--to", to]
            .into_iter()
            .chain(named)
            .chain(more.iter().copied())
            .collect();
        let running = ground.start_moves(&words);
        let (all, _, ended) = most_open(ground, running, servers);
        assert_eq!(ended.code, 0, "{}", ended.all());
        all
    };
    let two = ["--live-per-source", "2"];
    assert_eq!(move_all(&ids, "node2.lab", &two), 2, "as it is told");
    assert_eq!(
        move_all(&ids[..2], "node1.lab", &[]),
        1,
        "as Nova by itself"
    );
    let set = "s/^host = .*/&\\nmax_concurrent_live_migrations = 2/";
    let _set = Copied::new(ground, "node1", set);
    assert_eq!(
        move_all(&ids[..2], "node3.lab", &[]),
        2,
        "as its nova.conf says"
    );
}

pub(crate) fn per_destination(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("spread", 4, "node1.lab").unwrap();
    let slow = Steer::well().cold_seconds(ColdPhase::Copy, 3.0);
    cloud.steer("*", "*", slow).unwrap();
    let words = ["drain", "node1.lab", "--cold", "--per-destination", "1"];
    let words = [&words[..], &["--to", "node2.lab,node3.lab"]].concat();
    let running = ground.start_moves(&words);
    let (all, one, ended) = most_open(ground, running, &ids);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!((all, one), (2, 1), "both destinations, one at a time");
}

pub(crate) fn order(ground: &Ground) {
    let tiny = ground.boot("a-tiny", "tiny", "node1.lab");
    let small = ground.boot("b-small", "small", "node1.lab");
    let asked = |words: &[&str]| {
        let place = ground.requests("migrate").len();
        let moved = ground.moves(words);
        assert_eq!(moved.code, 0, "{}", moved.all());
        let mut asked = ground.requests("migrate").split_off(place);
        asked.retain(|it| it.status == 202);
        let of = |path: &str| {
            if path.contains(&tiny) {
                "tiny"
            } else {
                "small"
            }
        };
        let asked: Vec<&str> = asked.iter().map(|it| of(&it.path)).collect();
        asked
    };
    let words = ["--cold", "--per-source", "1", "--to"];
    let drain = |from, to, order: &[&str]| {
        let words = [&["drain", from], &words[..], &[to], order].concat();
        asked(&words)
    };
    let largest = drain("node1.lab", "node2.lab", &["--order", "largest"]);
    assert_eq!(largest, ["small", "tiny"]);
    let by_name = drain("node2.lab", "node1.lab", &[]);
    assert_eq!(by_name, ["tiny", "small"]);
    // One at a time: they may be on different hosts by now.
    let words = ["migrate", &tiny, &small, "--max-moves", "1", "--order"];
    assert_eq!(
        asked(&[&words[..], &["largest"]].concat()),
        ["small", "tiny"]
    );
    let as_named = ["migrate", &small, &tiny, "--max-moves", "1"];
    assert_eq!(asked(&as_named), ["small", "tiny"], "as they are named");
}

pub(crate) fn two_drains(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("contended", "node1.lab").unwrap();
    let first = ground.drain_under_way(&id, 5.0);
    // Also where none of its servers is the first one's.
    let words = ["drain", "node1.lab", "node4.lab", "--cold"];
    let second = ground.moves(&words);
    let first = ended(&first.wait_with_output().unwrap());
    assert_eq!(first.code, 0, "{}", first.all());
    assert_eq!(second.code, 2, "{}", second.all());
    for said in ["another run works on the same", &first.report().run] {
        assert!(second.stderr.contains(said), "{said}: {}", second.stderr);
    }
    assert_eq!(ground.requests_of("migrate", &id).len(), 1);
    assert_eq!(ground.service("node4.lab"), ("enabled".to_owned(), None));
}

pub(crate) fn filters(ground: &Ground) {
    let cloud = ground.cloud();
    let runs = cloud.boot_server("filter-runs", "node1.lab").unwrap();
    let stopped = cloud.boot_server("filter-stopped", "node1.lab").unwrap();
    cloud
        .act("operator", &stopped, r#"{"os-stop": null}"#)
        .unwrap();
    let patience = Duration::from_secs(30);
    cloud
        .wait_for_status(&stopped, "SHUTOFF", patience)
        .unwrap();
    let listed = |words: &[&str]| {
        let words = [&["servers"], words, &["--format", "json"]].concat();
        let ended = ground.run("operator", &words);
        assert_eq!(ended.code, 0, "{}", ended.all());
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        let servers = report["servers"].as_array().unwrap().iter();
        let mut ids: Vec<String> = servers
            .map(|it| it["server"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    let mut both = vec![runs.clone(), stopped.clone()];
    both.sort();
    let none: Vec<String> = Vec::new();
    let file = ground.scratch().join("servers.txt");
    std::fs::write(&file, format!("# mine\n{runs}\n\n")).unwrap();
    let file = file.display().to_string();
    let project = cloud.server(&runs).unwrap()["tenant_id"].clone();
    let project = project.as_str().unwrap();
    assert_eq!(listed(&["--file", &file]), std::slice::from_ref(&runs));
    assert_eq!(
        listed(&["--status", "SHUTOFF"]),
        std::slice::from_ref(&stopped)
    );
    assert_eq!(listed(&["--status", "ERROR"]), none);
    assert_eq!(listed(&["--name", "ter-run"]), [runs]);
    assert_eq!(listed(&["--name", "nobody"]), none);
    assert_eq!(listed(&["--zone", "nova"]), both);
    assert_eq!(listed(&["--zone", "elsewhere"]), none);
    assert_eq!(listed(&["--project", project]), both);
    let another = "0123456789abcdef0123456789abcdef";
    assert_eq!(listed(&["--project", another]), none);
}
