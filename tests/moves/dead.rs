//! A nova-compute that dies, as Nova itself sees it (`service_down_time`): nobody says that it is down.

use clearway_nova_lab::{ColdPhase, Steer};

use crate::ground::{Ground, ended};

/// A nova-compute that is killed until this is dropped.
struct Dead<'g> {
    ground: &'g Ground,
    host: &'static str,
}

impl<'g> Dead<'g> {
    fn new(ground: &'g Ground, host: &'static str) -> Self {
        ground.cloud().kill_compute(host).unwrap();
        Self { ground, host }
    }
}

impl Drop for Dead<'_> {
    fn drop(&mut self) {
        self.ground.cloud().revive_compute(self.host).unwrap();
    }
}

/// What Nova itself says: `up` or `down`, and whether an operator has said so.
fn state(ground: &Ground, host: &str) -> (String, bool) {
    let path = format!("/os-services?binary=nova-compute&host={host}");
    let services = ground.cloud().get(&path).unwrap();
    let service = &services["services"][0];
    let state = service["state"].as_str().unwrap().to_owned();
    (state, service["forced_down"].as_bool().unwrap())
}

fn until(ground: &Ground, host: &str, wanted: &str) {
    ground.until(wanted, 90, || state(ground, host).0 == wanted);
    assert!(!state(ground, host).1, "nobody has said so");
}

/// Whether a server is being copied to this host.
fn is_copied(ground: &Ground, id: &str, host: &str) -> bool {
    let server = ground.cloud().server(id).unwrap();
    ground.asked_for(id).contains(host) && server["OS-EXT-STS:task_state"] == "resize_migrating"
}

pub(crate) fn destination(ground: &Ground) {
    let ground = ground.second();
    let cloud = ground.cloud();
    until(ground, "node2.lab", "up");
    let ids = cloud.boot_servers("bereft", 6, "node1.lab").unwrap();
    let steer = Steer::well().cold_seconds(ColdPhase::Copy, 3.0);
    cloud.steer("*", "*", steer).unwrap();
    let words = ["drain", "node1.lab", "--cold", "--per-source", "2"];
    let more = ["--to", "node2.lab,node3.lab", "--max-failures", "0"];
    let running = ground.start_moves(&[&words[..], &more, &["--longest", "0.6"]].concat());
    ground.until("a copy to node2", 60, || {
        ids.iter().any(|id| is_copied(ground, id, "node2.lab"))
    });
    let dead = Dead::new(ground, "node2.lab");
    until(ground, "node2.lab", "down");
    let place = cloud.access_log().unwrap().len();
    let first = ended(&running.wait_with_output().unwrap());
    assert_eq!(first.code, 3, "{}", first.all());
    let report = first.report();
    let there = |it: &&clearway::report::MoveRow| it.destination.as_deref() == Some("node2.lab");
    assert!(report.moves.iter().any(|it| there(&it)), "{}", first.all());
    for it in &report.moves {
        if !there(&it) {
            assert_eq!(it.verdict, "done", "{}", first.all());
            continue;
        }
        assert_eq!(it.verdict, "unknown", "{}", first.all());
        for said in ["nova-compute on node2.lab is down", "clearway resume "] {
            assert!(it.why.contains(said), "{said}: {}", it.why);
        }
    }
    let later = &cloud.access_log().unwrap()[place..];
    let moved = |it: &&clearway_nova_lab::Request| it.action.as_deref() == Some("migrate");
    let later: Vec<_> = later.iter().filter(moved).collect();
    assert!(!later.is_empty(), "others went on: {}", first.all());
    for it in later {
        assert!(!it.body.contains("node2.lab"), "{}", it.body);
    }
    let told = "nova-compute on node2.lab: it is down";
    assert!(first.stderr.contains(told), "{}", first.stderr);

    drop(dead);
    until(ground, "node2.lab", "up");
    let again = ground.run("operator", &["resume", &report.run, "--format", "json"]);
    assert_eq!(again.code, 0, "{}", again.all());
    for id in &ids {
        assert_eq!(ground.requests_of("migrate", id).len(), 1, "moved once");
        assert_eq!(ground.server(id).0, "ACTIVE");
        assert_ne!(ground.server(id).1, "node1.lab");
    }
}

pub(crate) fn source(ground: &Ground) {
    let ground = ground.second();
    let cloud = ground.cloud();
    until(ground, "node1.lab", "up");
    until(ground, "node2.lab", "up");
    let ids = cloud.boot_servers("marooned", 2, "node1.lab").unwrap();
    let steer = Steer::well().cold_seconds(ColdPhase::Copy, 3.0);
    cloud.steer("*", "*", steer).unwrap();
    let words = ["drain", "node1.lab", "--cold", "--per-source", "1"];
    let more = ["--to", "node2.lab", "--longest", "0.5"];
    let running = ground.start_moves(&[&words[..], &more].concat());
    ground.until("the copy", 60, || is_copied(ground, &ids[0], "node2.lab"));
    let dead = Dead::new(ground, "node1.lab");
    let first = ended(&running.wait_with_output().unwrap());
    assert_eq!(state(ground, "node1.lab"), ("down".to_owned(), false));
    assert_eq!(first.code, 3, "{}", first.all());
    let report = first.report();
    let (hangs, waits) = (&report.moves[0], &report.moves[1]);
    assert_eq!(
        (hangs.verdict.as_str(), waits.verdict.as_str()),
        ("unknown", "not-started"),
        "{}",
        first.all()
    );
    for said in ["nova-compute on node1.lab is down", "clearway resume "] {
        assert!(hangs.why.contains(said), "{said}: {}", hangs.why);
    }
    assert!(ground.asked_for(&ids[1]).is_empty());
    // Nova's own words do not say which service it is.
    let refused = ground.moves(&["migrate", &ids[1], "--to", "node2.lab"]);
    assert_eq!(refused.code, 1, "{}", refused.all());
    let why = refused.only().why;
    for said in ["HTTP 409", "nova-compute on node1.lab is down"] {
        assert!(why.contains(said), "{said}: {why}");
    }
    drop(dead);
    until(ground, "node1.lab", "up");
    let here = ("ACTIVE".to_owned(), "node1.lab".to_owned());
    ground.until("nova-compute to put it back", 60, || {
        ids.iter().all(|id| ground.server(id) == here)
    });
    let moved = ground.moves(&["migrate", &ids[1], "--to", "node2.lab"]);
    assert_eq!(moved.code, 0, "{}", moved.all());
}
