use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::domain::{Depth, Event, Lane, Reason};
use crate::repair::{Plan, Record};
use crate::report::{Report, sample};
use crate::system::ProcessId;

fn moment() -> Timestamp {
    "2026-11-23T01:33:55Z".parse().unwrap()
}

fn start(id: &str, started: Timestamp) -> RunStart {
    let report = sample::healthy(0);
    RunStart {
        id: id.to_owned(),
        command: "check".to_owned(),
        operator: Some("ops".to_owned()),
        about: None,
        clearway: report.clearway,
        inventory: report.inventory,
        inventory_path: "/etc/clearway.yaml".to_owned(),
        settings: report.settings,
        started,
        process: None,
    }
}

fn report(run: &str, nodes: usize) -> Report {
    Report {
        run: run.to_owned(),
        ..sample::healthy(nodes)
    }
}

async fn scratch() -> (tempfile::TempDir, Ledger) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&directory.path().join("state/clearway/ledger.sqlite"))
        .await
        .unwrap();
    (directory, ledger)
}

/// Writes a whole run.
async fn run(ledger: &Ledger, report: &Report, at: Timestamp) {
    let start = RunStart {
        settings: report.settings.clone(),
        ..start(&report.run, at)
    };
    ledger.begin(&start).await.unwrap();
    ledger.finish(report, at).await.unwrap();
}

#[tokio::test]
async fn a_report_comes_back_as_it_was_stored() {
    let (_directory, ledger) = scratch().await;
    let mut report = report("a", 5);
    for leg in report.pick(&Lane::ALL, |_, server| server == "cmp002") {
        leg.break_with(Reason::HostKeyChanged, "\u{1b}[2J hostile");
    }
    run(&ledger, &report, moment()).await;
    assert_eq!(ledger.report("a").await.unwrap(), Some(report.clone()));
    let record = ledger.find("a").await.unwrap();
    assert_eq!(record.state, RunState::Finished);
    assert_eq!(record.summary, Some(report.summary));
    assert_eq!(record.exit_code, Some(report.summary.exit_code));
    assert_eq!(record.finished, Some(moment()));
}

#[tokio::test]
async fn a_ledger_is_its_owners_alone() {
    let (_directory, ledger) = scratch().await;
    run(&ledger, &report("a", 2), moment()).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(ledger.path().parent().unwrap()), 0o700);
    for entry in fs::read_dir(ledger.path().parent().unwrap()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[tokio::test]
async fn what_is_stored_is_there_after_opening_again() {
    let (_directory, ledger) = scratch().await;
    let path = ledger.path().to_owned();
    run(&ledger, &report("a", 2), moment()).await;
    ledger.close().await;
    let ledger = Ledger::open_existing(&path).await.unwrap().unwrap();
    assert_eq!(ledger.runs(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn looking_into_a_ledger_that_is_not_there_does_not_make_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.sqlite");
    assert!(Ledger::open_existing(&path).await.unwrap().is_none());
    assert!(!path.exists());
}

#[tokio::test]
async fn a_run_without_an_end_is_running_only_while_its_process_lives() {
    let (_directory, ledger) = scratch().await;
    let mine = RunStart {
        process: ProcessId::current(),
        ..start("mine", moment())
    };
    let killed = RunStart {
        process: ProcessId::current().map(|process| ProcessId {
            started: process.started - 1,
            ..process
        }),
        ..start("killed", moment())
    };
    for run in [&mine, &killed] {
        ledger.begin(run).await.unwrap();
    }
    assert_eq!(ledger.find("mine").await.unwrap().state, RunState::Running);
    let killed = ledger.find("killed").await.unwrap();
    assert_eq!(killed.state, RunState::Unfinished);
    assert_eq!(ledger.report("killed").await.unwrap(), None);
}

#[tokio::test]
async fn a_run_that_failed_says_why() {
    let (_directory, ledger) = scratch().await;
    ledger.begin(&start("a", moment())).await.unwrap();
    ledger
        .fail("a", moment(), 2, "no such group")
        .await
        .unwrap();
    let record = ledger.find("a").await.unwrap();
    assert_eq!(record.state, RunState::Failed);
    assert_eq!(record.failure.as_deref(), Some("no such group"));
}

#[tokio::test]
async fn a_run_is_found_by_either_end_of_its_name_if_that_is_clear() {
    let (_directory, ledger) = scratch().await;
    for (seconds, id) in [
        "20261122-230000-aaaaaa",
        "20261123-010000-bbbbbb",
        "20261123-020000-ccaaaa",
    ]
    .into_iter()
    .enumerate()
    {
        let started = moment() + SignedDuration::from_secs(seconds as i64);
        ledger.begin(&start(id, started)).await.unwrap();
    }
    let find = async |name: &str| ledger.find(name).await.map(|run| run.start.id);
    assert_eq!(find("last").await.unwrap(), "20261123-020000-ccaaaa");
    assert_eq!(find("20261122").await.unwrap(), "20261122-230000-aaaaaa");
    assert_eq!(find("bbbbbb").await.unwrap(), "20261123-010000-bbbbbb");
    assert_eq!(
        find("20261123-010000-bbbbbb").await.unwrap(),
        "20261123-010000-bbbbbb"
    );
    for ambiguous in ["20261123", "aaaa", ""] {
        let error = find(ambiguous).await.unwrap_err();
        assert!(
            matches!(error, LedgerError::AmbiguousRun { .. }),
            "{ambiguous}: {error}"
        );
    }
    for unknown in ["2025", "%", "%aaaaaa"] {
        let error = find(unknown).await.unwrap_err();
        assert!(
            matches!(error, LedgerError::UnknownRun { .. }),
            "{unknown}: {error}"
        );
    }
}

#[tokio::test]
async fn events_are_stored_in_order_and_without_holes() {
    let (_directory, ledger) = scratch().await;
    ledger.begin(&start("a", moment())).await.unwrap();
    let recorder = Recorder::start(ledger.clone(), "a".to_owned());
    let record = recorder.handle();
    for seq in 1..=3000 {
        record(seq, moment(), &Event::Interrupted);
    }
    recorder.finish().await.unwrap();
    record(3001, moment(), &Event::Interrupted);
    let events = ledger.events("a").await.unwrap();
    assert_eq!(events.len(), 3000);
    assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq));
    assert_eq!(events[0].json, r#"{"event":"interrupted"}"#);
    assert_eq!(events[0].at, moment());
}

#[tokio::test]
async fn a_recorder_that_cannot_write_says_so_at_the_end() {
    let (_directory, ledger) = scratch().await;
    // Nobody has begun this run.
    let recorder = Recorder::start(ledger, "nobody's".to_owned());
    recorder.handle()(1, moment(), &Event::Interrupted);
    assert!(recorder.finish().await.is_err());
}

#[tokio::test]
async fn pruning_forgets_the_oldest_and_spares_what_is_going_on() {
    let (_directory, ledger) = scratch().await;
    let running = RunStart {
        process: ProcessId::current(),
        ..start("running", moment() - SignedDuration::from_hours(9))
    };
    ledger.begin(&running).await.unwrap();
    for (seconds, id) in ["a", "b", "c"].into_iter().enumerate() {
        let at = moment() + SignedDuration::from_secs(seconds as i64);
        run(&ledger, &report(id, 2), at).await;
    }
    assert_eq!(ledger.prune(1).await.unwrap(), 2);
    let left: Vec<_> = ledger
        .runs(9)
        .await
        .unwrap()
        .into_iter()
        .map(|run| run.start.id)
        .collect();
    assert_eq!(left, ["c", "running"]);
    assert_eq!(ledger.report("a").await.unwrap(), None);
    assert!(ledger.report("c").await.unwrap().is_some());
}

/// The proofs that are held, as `client server depth run`.
async fn held(ledger: &Ledger) -> Vec<String> {
    ledger
        .proven("/etc/clearway.yaml")
        .await
        .unwrap()
        .iter()
        .filter(|leg| leg.lane == Lane::ColdPush)
        .map(|leg| format!("{} {} {:?} {}", leg.client, leg.server, leg.depth, leg.run))
        .collect()
}

#[tokio::test]
async fn a_proof_is_held_until_the_leg_fails() {
    let (_directory, ledger) = scratch().await;
    run(&ledger, &report("a", 2), moment()).await;
    assert_eq!(
        held(&ledger).await,
        ["cmp001 cmp002 Copy a", "cmp002 cmp001 Copy a"]
    );
    let mut broken = report("b", 2);
    for leg in broken.pick(&[Lane::ColdPush], |client, _| client == "cmp001") {
        leg.break_with(Reason::ConnectionRefused, "");
    }
    run(&ledger, &broken, moment()).await;
    assert_eq!(held(&ledger).await, ["cmp002 cmp001 Copy b"]);
    assert_eq!(ledger.proven("/another/cloud.yaml").await.unwrap(), []);
}

#[tokio::test]
async fn a_leg_that_was_not_tried_keeps_its_proof() {
    let (_directory, ledger) = scratch().await;
    run(&ledger, &report("a", 2), moment()).await;
    let mut ring = report("b", 2);
    for leg in &mut ring.legs {
        leg.proven = None;
        leg.verdict = "unproven".to_owned();
    }
    run(&ledger, &ring, moment()).await;
    assert_eq!(
        held(&ledger).await,
        ["cmp001 cmp002 Copy a", "cmp002 cmp001 Copy a"]
    );
}

#[tokio::test]
async fn a_shallow_proof_does_not_replace_a_deep_one_of_the_same_facts() {
    let (_directory, ledger) = scratch().await;
    run(&ledger, &report("a", 2), moment()).await;
    let mut shallow = report("b", 2);
    shallow.settings.no_write = true;
    run(&ledger, &shallow, moment()).await;
    assert_eq!(
        held(&ledger).await,
        ["cmp001 cmp002 Copy a", "cmp002 cmp001 Copy a"]
    );
    shallow.run = "c".to_owned();
    shallow.settings.depth = Depth::Connect;
    shallow.nodes[0].facts_digest = Some("changed".to_owned());
    run(&ledger, &shallow, moment()).await;
    assert_eq!(
        held(&ledger).await,
        ["cmp001 cmp002 Connect c", "cmp002 cmp001 Connect c"]
    );
}

#[tokio::test]
async fn a_ledger_of_the_first_version_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.sqlite");
    make_database(&path, include_str!("schema/1.sql")).await;
    let ledger = Ledger::open(&path).await.unwrap();
    run(&ledger, &report("a", 2), moment()).await;
    assert_eq!(ledger.repair("a").await.unwrap(), None);
}

fn plan() -> Plan {
    serde_json::from_str(
        r#"{"schema": 1, "inventory": "/i", "keys": [], "left": [],
            "nodes": [{"node": "cmp001", "edits": []}]}"#,
    )
    .unwrap()
}

#[tokio::test]
async fn a_repair_comes_back_with_all_its_records_in_order() {
    let (_directory, ledger) = scratch().await;
    ledger.begin(&start("a", moment())).await.unwrap();
    let worked = vec![(
        Lane::ColdPush,
        "cmp001".to_owned(),
        vec!["cmp002".to_owned()],
    )];
    ledger.begin_repair("a", &plan(), &worked).await.unwrap();
    let records = [Record::Proving, Record::Closed];
    for (seq, record) in (1..).zip(&records) {
        ledger
            .record_repair("a", seq, moment(), record)
            .await
            .unwrap();
    }
    let stored = ledger.repair("a").await.unwrap().unwrap();
    assert_eq!((stored.plan, stored.worked), (plan(), worked));
    assert_eq!(stored.records, records);
    // Two processes cannot write one journal.
    let twice = ledger
        .record_repair("a", 2, moment(), &Record::Proving)
        .await;
    assert!(twice.is_err());
}

#[tokio::test]
async fn a_repair_without_an_end_is_not_forgotten() {
    let (_directory, ledger) = scratch().await;
    ledger.begin(&start("a", moment())).await.unwrap();
    ledger
        .begin_repair("a", &plan(), &Vec::new())
        .await
        .unwrap();
    assert_eq!(ledger.prune(0).await.unwrap(), 0);
    assert!(ledger.repair("a").await.unwrap().is_some());
    ledger
        .record_repair("a", 1, moment(), &Record::Closed)
        .await
        .unwrap();
    assert_eq!(ledger.prune(0).await.unwrap(), 1);
    assert_eq!(ledger.repair("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let text = "not a database, and long enough to be looked at as one\n".repeat(40);
    fs::write(&path, &text).unwrap();
    let error = Ledger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    let path = directory.path().join("other.sqlite");
    make_database(&path, "CREATE TABLE bookmarks (url TEXT)").await;
    let before = fs::read(&path).unwrap();
    let error = Ledger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::Foreign { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_ledger_of_a_later_version_is_refused() {
    let (_directory, ledger) = scratch().await;
    let path = ledger.path().to_owned();
    sqlx::raw_sql("PRAGMA user_version = 99")
        .execute(&ledger.pool)
        .await
        .unwrap();
    ledger.close().await;
    let error = Ledger::open(&path).await.unwrap_err();
    assert!(
        matches!(
            error,
            LedgerError::Newer {
                found: 99,
                known: 4,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains(path.to_str().unwrap()));
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let error = Ledger::open(&directory.path().join("file/ledger.sqlite"))
        .await
        .unwrap_err();
    let LedgerError::Create { path, source } = error else {
        panic!("{error:?}");
    };
    assert_eq!(path, directory.path().join("file"));
    assert_ne!(source.kind(), io::ErrorKind::NotFound);
}

async fn make_database(path: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    pool.close().await;
}
