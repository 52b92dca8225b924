//! Resizes, moves that go back or wait, and live moves that are ended from another terminal.

use clearway::report::SteeredRow;
use clearway_nova_lab::{LivePhase, Steer};
use serde_json::Value;

use crate::gate::Forgotten;
use crate::ground::{Ended, Ground, ended};

fn flavor(ground: &Ground, id: &str) -> String {
    let server = ground.cloud().server(id).unwrap();
    server["flavor"]["original_name"]
        .as_str()
        .unwrap_or_else(|| server["flavor"]["id"].as_str().unwrap_or_default())
        .to_owned()
}

fn newest_row(ground: &Ground, id: &str) -> Value {
    let rows = ground
        .cloud()
        .get(&format!("/os-migrations?instance_uuid={id}"))
        .unwrap();
    rows["migrations"][0].clone()
}

fn settle(ground: &Ground, words: &[&str]) -> Ended {
    let words = [&["moves"], words, &["--yes", "--format", "json"]].concat();
    ground.run("operator", &words)
}

fn steered(ended: &Ended) -> Vec<SteeredRow> {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.all()))
}

pub(crate) fn resized(ground: &Ground) {
    let id = ground.cloud().boot_server("resized", "node1.lab").unwrap();
    let plan = ground.run(
        "operator",
        &["migrate", &id, "--resize", "small", "--dry-run"],
    );
    assert_eq!(plan.code, 0, "{}", plan.all());
    assert!(
        plan.stdout.contains("node2.lab, node3.lab, node4.lab"),
        "{}",
        plan.stdout
    );
    assert_eq!(ground.requests_of("resize", &id).len(), 0);
    let ended = ground.moves(&["migrate", &id, "--resize", "small"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let it = ended.only();
    assert_eq!((it.verdict.as_str(), it.kind.as_str()), ("done", "resize"));
    let (status, host) = ground.server(&id);
    assert_eq!(status, "ACTIVE");
    assert_eq!(it.destination, Some(host), "where Nova chose");
    assert_eq!(flavor(ground, &id), "small");
    assert_eq!(ground.requests_of("resize", &id).len(), 1);
    assert_eq!(newest_row(ground, &id)["migration_type"], "resize");
    let wrong = ground.moves(&["migrate", &id, "--resize", "no-such-flavor"]);
    assert_eq!(wrong.code, 2, "{}", wrong.all());
    assert!(
        wrong
            .stderr
            .contains("no flavor is called `no-such-flavor`"),
        "{}",
        wrong.stderr
    );
}

pub(crate) fn resize_refused(ground: &Ground) {
    let id = ground.cloud().boot_server("unsized", "node1.lab").unwrap();
    let _broken = Forgotten::new(ground, "node1", "10.77.0.3");
    let ended = ground.moves(&["migrate", &id, "--resize", "small"]);
    assert_eq!(ended.code, 4, "{}", ended.all());
    let it = ended.only();
    assert_eq!(it.verdict, "refused");
    assert!(
        it.why
            .contains("these are not proven: node2.lab (cold-push is broken(host-key-unknown)")
            && !it.why.contains("node3.lab"),
        "{}",
        it.why
    );
    assert_eq!(ground.requests_of("resize", &id).len(), 0, "never asked");
    // A host that Nova cannot choose needs no proof.
    let cloud = ground.cloud();
    let services = cloud.get("/os-services?binary=nova-compute").unwrap();
    let service = services["services"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["host"] == "node2.lab")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let set = |status: &str| {
        let body = format!(r#"{{"status": "{status}"}}"#);
        let path = format!("/os-services/{service}");
        cloud
            .request("operator", "PUT", &path, Some(&body))
            .unwrap();
    };
    set("disabled");
    let ended = ground.moves(&["migrate", &id, "--resize", "small"]);
    set("enabled");
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_ne!(ground.server(&id).1, "node2.lab");
}

pub(crate) fn reverted(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("there-and-back", "node1.lab").unwrap();
    let ended = ground.moves(&["migrate", &id, "--to", "node2.lab", "--revert"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.only().verdict, "reverted");
    assert_eq!(
        ground.server(&id),
        ("ACTIVE".to_owned(), "node1.lab".to_owned())
    );
    assert_eq!(newest_row(ground, &id)["status"], "reverted");
    assert_eq!(ground.requests_of("revertResize", &id).len(), 1);
    assert_eq!(ground.requests_of("confirmResize", &id).len(), 0);
}

pub(crate) fn settled_later(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("later", 3, "node1.lab").unwrap();
    let (keep, back, sized) = (ids[0].as_str(), ids[1].as_str(), ids[2].as_str());
    let left = ground.moves(&[
        "migrate",
        keep,
        back,
        "--to",
        "node2.lab",
        "--leave-unconfirmed",
    ]);
    assert_eq!(left.code, 0, "{}", left.all());
    let left = ground.moves(&["migrate", sized, "--resize", "small", "--leave-unconfirmed"]);
    assert_eq!(left.code, 0, "{}", left.all());
    let kept = settle(ground, &["confirm", keep]);
    assert_eq!(kept.code, 0, "{}", kept.all());
    let it = kept.only();
    assert_eq!(
        (it.verdict.as_str(), it.source.as_str()),
        ("done", "node1.lab")
    );
    assert_eq!(
        ground.server(keep),
        ("ACTIVE".to_owned(), "node2.lab".to_owned())
    );
    let brought = settle(ground, &["revert", back, sized]);
    assert_eq!(brought.code, 0, "{}", brought.all());
    for it in brought.report().moves {
        assert_eq!(it.verdict, "reverted", "{it:?}");
    }
    for id in [back, sized] {
        assert_eq!(
            ground.server(id),
            ("ACTIVE".to_owned(), "node1.lab".to_owned())
        );
    }
    assert_eq!(flavor(ground, sized), "tiny");
    // Nothing waits any more, and nothing is asked of Nova.
    let again = settle(ground, &["confirm", keep]);
    assert_eq!(again.code, 1, "{}", again.all());
    assert!(
        again.report().stay[0].why.contains("no move of it waits"),
        "{}",
        again.all()
    );
    assert_eq!(ground.requests_of("confirmResize", keep).len(), 1);
    // The run can be watched to its end from elsewhere.
    let watched = ground.run("operator", &["watch", &brought.report().run]);
    assert_eq!(watched.code, 0, "{}", watched.all());
    for said in ["later-2: cold node1.lab → node2.lab: reverting", "reverted"] {
        assert!(watched.stdout.contains(said), "{said}: {}", watched.stdout);
    }
    assert!(watched.stderr.contains("is finished"), "{}", watched.stderr);
}

pub(crate) fn aborted(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("ended", 3, "node1.lab").unwrap();
    cloud
        .steer("*", "*", Steer::well().live_seconds(LivePhase::Run, 90.0))
        .unwrap();
    let idle = settle(ground, &["abort", &ids[2]]);
    assert_eq!(idle.code, 1, "{}", idle.all());
    assert_eq!(steered(&idle)[0].why, "no live move of it is under way");
    for (id, command, code, status, host, outcome) in [
        (&ids[0], "abort", 1, "failed", "node1.lab", "aborted"),
        (
            &ids[1],
            "force-complete",
            0,
            "done",
            "node2.lab",
            "completed",
        ),
    ] {
        let running = ground.start_moves(&["migrate", id, "--live", "--to", "node2.lab"]);
        ground.until("it runs", 60, || {
            let row = newest_row(ground, id);
            row["migration_type"] == "live-migration" && row["status"] == "running"
        });
        let words = if command == "abort" {
            vec![command, "--run", "last"]
        } else {
            vec![command, id.as_str()]
        };
        let done = settle(ground, &words);
        assert_eq!(done.code, 0, "{command}: {}", done.all());
        let rows = steered(&done);
        assert_eq!(rows.len(), 1, "{command}: {}", done.all());
        assert_eq!(rows[0].outcome, outcome, "{command}: {}", done.all());
        assert_eq!(rows[0].host.as_deref(), Some(host));
        // The intent is in the ledger, and what came of it.
        let shown = ground.run("operator", &["show", "last", "--format", "jsonl"]);
        let events: Vec<&str> = shown.stdout.lines().collect();
        assert_eq!(events.len(), 2, "{command}: {}", shown.all());
        assert!(events[0].contains("nova-asking") && events[0].contains(command));
        assert!(events[1].contains("nova-asked") && events[1].contains(outcome));
        // The run that began it says the same.
        let ended = ended(&running.wait_with_output().unwrap());
        assert_eq!(ended.code, code, "{command}: {}", ended.all());
        assert_eq!(ended.only().verdict, status, "{command}: {}", ended.all());
        assert_eq!(ground.server(id), ("ACTIVE".to_owned(), host.to_owned()));
    }
}

pub(crate) fn copying(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("copied", "node1.lab").unwrap();
    cloud
        .steer("*", "*", Steer::well().live_seconds(LivePhase::Run, 6.0))
        .unwrap();
    let words = [
        "migrate",
        &id,
        "--live",
        "--to",
        "node2.lab",
        "--yes",
        "--interval",
        "0.5",
        "--format",
        "jsonl",
    ];
    let ended = ground.run("operator", &words);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let copying: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|it: &Value| it["event"] == "move-copying")
        .collect();
    assert!(copying.len() >= 3, "{}", ended.all());
    // The flavor has 64 MiB and a disk of 1 GiB.
    assert_eq!(copying[0]["memory_total"], 64 << 20, "{}", ended.all());
    assert_eq!(copying[0]["disk_total"], 1 << 30);
    let left: Vec<u64> = copying
        .iter()
        .filter_map(|it| it["disk_remaining"].as_u64())
        .collect();
    assert!(left.is_sorted_by(|a, b| a > b), "{left:?}");
    let last = copying.last().unwrap();
    assert!(last["rate"].as_u64().is_some_and(|it| it > 0), "{last}");
    assert!(
        last["seconds_left"].as_u64().is_some_and(|it| it < 10),
        "{last}"
    );
    // They are for whoever looks, and not kept.
    let kept = ground.run("operator", &["watch", "last", "--format", "jsonl"]);
    assert!(!kept.stdout.contains("move-copying"), "{}", kept.stdout);
}

pub(crate) fn stays_count(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("stays", 2, "node1.lab").unwrap();
    cloud
        .act("operator", &ids[0], r#"{"os-stop": null}"#)
        .unwrap();
    cloud
        .wait_for_status(&ids[0], "SHUTOFF", std::time::Duration::from_secs(30))
        .unwrap();
    let first = ground.moves(&["drain", "node1.lab", "--live"]);
    assert_eq!(first.code, 1, "{}", first.all());
    let report = first.report();
    assert_eq!(report.stay.len(), 1);
    let again = ground.run("operator", &["resume", &report.run, "--format", "json"]);
    assert_eq!(again.code, 1, "{}", again.all());
    assert_eq!(again.report().stay, report.stay);
}
