//! An API that is away for longer than a proof lasts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use clearway::ledger::Ledger;
use clearway::moves::machine::Record;
use clearway_nova_lab::{ColdPhase, Steer};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::ground::Ground;

/// Longer than a proof may be old.
const AWAY: Duration = Duration::from_secs(65);

pub(crate) fn a_minute(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("patient", 6, "node1.lab").unwrap();
    let copying = |seconds| Steer::well().cold_seconds(ColdPhase::Copy, seconds);
    cloud.steer("*", "node2.lab", copying(3.0)).unwrap();
    cloud.steer("*", "node3.lab", copying(15.0)).unwrap();
    let said = ground.scratch().join("said");
    let words = ["drain", "node1.lab", "--cold", "--yes", "--format", "jsonl"];
    let more = ["--to", "node2.lab,node3.lab", "--per-source", "3"];
    let mut running = ground
        .command("operator", &[&words[..], &more].concat())
        .stdout(Stdio::piped())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let (mut events, mut proving) = (Vec::new(), BTreeMap::<String, usize>::new());
    let mut gone = None;
    for line in BufReader::new(running.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["stage"] == "proving" {
            let server = event["server"].as_str().unwrap().to_owned();
            *proving.entry(server.clone()).or_default() += 1;
            // One of the first three is copied for some time yet, this one is at the gate, two wait.
            if proving.len() == 4 && gone.is_none() {
                cloud.refuse_connections(AWAY).unwrap();
                gone = Some((server, Timestamp::now()));
            }
        }
        events.push(event);
    }
    let code = running.wait().unwrap().code();
    let said = std::fs::read_to_string(said).unwrap();
    assert_eq!(code, Some(0), "{said}");
    let (at_the_gate, since) = gone.expect("a fourth one came to the gate");

    for id in &ids {
        let (status, host) = ground.server(id);
        assert_eq!(status, "ACTIVE", "{said}");
        assert_ne!(host, "node1.lab", "{said}");
        assert_eq!(ground.requests_of("migrate", id).len(), 1, "{said}");
        assert_eq!(ground.requests_of("confirmResize", id).len(), 1, "{said}");
    }
    assert!(proving[&at_the_gate] > 1, "proven anew: {said}");
    assert!(!said.contains("is closed"), "no pair is to blame: {said}");
    assert_eq!(ground.service("node1.lab"), ("enabled".to_owned(), None));

    // Told soon, and once.
    let told = |name: &str| {
        let told = events.iter().filter(|it| it["event"] == name);
        told.cloned().collect::<Vec<_>>()
    };
    let (unheard, heard) = (told("cloud-unheard"), told("cloud-heard"));
    assert!((1..=3).contains(&unheard.len()), "{unheard:?}");
    let at: Timestamp = unheard[0]["at"].as_str().unwrap().parse().unwrap();
    let late = at.duration_since(since);
    assert!(late < SignedDuration::from_secs(15), "{late}: {said}");
    assert_eq!(heard.len(), 1, "{said}");
    assert!(heard[0]["seconds"].as_u64().unwrap() >= 50, "{heard:?}");
    for words in ["no answer from http://", "Nova answers again, after "] {
        assert!(said.contains(words), "{words}: {said}");
    }
    in_time(ground, &ids);
}

pub(crate) fn stays_away(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("forsaken", 2, "node1.lab").unwrap();
    let said = ground.scratch().join("said");
    let words = ["drain", "node1.lab", "--cold", "--yes", "--format", "jsonl"];
    // Twelve seconds; besides, what is asked once is asked for a minute or two.
    let more = ["--to", "node2.lab,node3.lab", "--longest", "0.2"];
    let mut running = ground
        .command("operator", &[&words[..], &more].concat())
        .stdout(Stdio::piped())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let mut gone = None;
    for line in BufReader::new(running.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["stage"] == "proving" && gone.is_none() {
            cloud.refuse_connections(Duration::from_secs(600)).unwrap();
            gone = Some(Timestamp::now());
        }
    }
    let code = running.wait().unwrap().code();
    let took = Timestamp::now().duration_since(gone.expect("one came to the gate"));
    let said = std::fs::read_to_string(said).unwrap();
    assert!(took < SignedDuration::from_secs(400), "{took}: {said}");
    cloud.clear_api_faults().unwrap();

    // Its service could not be put back, and it says how to.
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no answer from http://"), "{said}");
    assert!(said.contains("clearway resume "), "{said}");
    for id in &ids {
        assert_eq!(ground.requests_of("migrate", id).len(), 0, "{said}");
    }
    let resumed = ground.run("operator", &["resume", "last"]);
    assert_eq!(
        ground.service("node1.lab"),
        ("enabled".to_owned(), None),
        "{}",
        resumed.all()
    );
}

/// No request was sent after its pass had lapsed, by the journal and by Nova's own log.
fn in_time(ground: &Ground, ids: &[String]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let records = runtime.block_on(async {
        let ledger = Ledger::open_existing(&ground.ledger()).await.unwrap();
        let ledger = ledger.expect("a ledger");
        let run = ledger.find("last").await.unwrap().start.id;
        ledger.move_records(&run).await.unwrap()
    });
    for id in ids {
        let own = records.iter().filter(|it| it.server == *id);
        let mut passes = own.filter_map(|it| {
            let record: Record = serde_json::from_str(&it.json).unwrap();
            match record {
                Record::Passed { until, .. } => Some((it.at, until)),
                _ => None,
            }
        });
        let (at, until) = passes.next_back().expect("it has passed");
        assert!(until.duration_since(at) <= SignedDuration::from_secs(60));
        let asked = &ground.requests_of("migrate", id)[0];
        let asked: Timestamp = asked.time.parse().unwrap();
        assert!(asked <= until, "asked at {asked}, good until {until}");
    }
}
