use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::domain::Depth;
use crate::report::Settings;
use crate::system::ProcessId;

fn moment() -> Timestamp {
    "2026-11-25T18:00:00Z".parse().unwrap()
}

async fn ledger(directory: &tempfile::TempDir) -> Ledger {
    let ledger = Ledger::open(&directory.path().join("ledger.sqlite"))
        .await
        .unwrap();
    for run in ["one", "two"] {
        ledger.begin(&start(run)).await.unwrap();
    }
    ledger
}

fn start(run: &str) -> RunStart {
    RunStart {
        id: run.to_owned(),
        command: "drain".to_owned(),
        operator: Some("ops".to_owned()),
        about: None,
        clearway: "0".to_owned(),
        inventory: "i".to_owned(),
        inventory_path: "/i".to_owned(),
        settings: Settings {
            limit: None,
            depth: Depth::Copy,
            pairs: "moves".to_owned(),
            no_write: false,
            lanes: Vec::new(),
        },
        started: moment(),
        process: None,
    }
}

fn stored(server: &str) -> StoredMove {
    StoredMove {
        server: server.to_owned(),
        name: "web".to_owned(),
        kind: "cold".to_owned(),
        source: "a".to_owned(),
        portrait: "{}".to_owned(),
        planned: moment(),
    }
}

#[tokio::test]
async fn a_plan_and_its_records_come_back_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger(&directory).await;
    let moves = [stored("s2"), stored("s1")];
    ledger
        .plan_moves("one", "http://n", "{}", &moves)
        .await
        .unwrap();
    let record = |server: &str, seq, json: &str| StoredRecord {
        server: server.to_owned(),
        seq,
        at: moment(),
        json: json.to_owned(),
    };
    let all = [
        record("s1", 1, "a"),
        record("s1", 2, "b"),
        record("s2", 1, "c"),
    ];
    for it in &all {
        ledger.record_move("one", it).await.unwrap();
    }
    assert_eq!(
        ledger.planned_moves("one").await.unwrap(),
        Some(("{}".to_owned(), moves.to_vec()))
    );
    assert_eq!(ledger.move_records("one").await.unwrap(), all);
    assert_eq!(ledger.planned_moves("two").await.unwrap(), None);
    // Two processes at one move: the second one's record is refused.
    assert!(
        ledger
            .record_move("one", &record("s1", 2, "x"))
            .await
            .is_err()
    );
    assert!(
        ledger
            .record_move("one", &record("s9", 1, "x"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_run_whose_moves_are_open_is_not_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger(&directory).await;
    ledger
        .plan_moves("one", "http://n", "{}", &[stored("s1")])
        .await
        .unwrap();
    assert_eq!(ledger.prune(0).await.unwrap(), 1, "the other one is");
    assert!(ledger.planned_moves("one").await.unwrap().is_some());
    ledger
        .finish_moves("one", moment(), true, 130)
        .await
        .unwrap();
    assert_eq!(
        ledger.prune(0).await.unwrap(),
        0,
        "interrupted: it can be resumed"
    );
    ledger
        .finish_moves("one", moment(), false, 0)
        .await
        .unwrap();
    assert_eq!(ledger.prune(0).await.unwrap(), 1);
    assert!(ledger.planned_moves("one").await.unwrap().is_none());
}

#[tokio::test]
async fn a_lock_is_of_one_run_until_its_time_is_up_or_its_owner_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger(&directory).await;
    let elsewhere = ProcessId {
        space: "another".to_owned(),
        pid: 1,
        started: 1,
    };
    let this = ProcessId::current().unwrap();
    let gone = ProcessId {
        started: this.started.wrapping_sub(1),
        ..this.clone()
    };
    let now = moment();
    let later = now + SignedDuration::from_secs(60);
    let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let take = async |run: &str, of: &[&str], process: &ProcessId, at| {
        ledger
            .lock(
                run,
                &names(of),
                Some(process),
                at,
                at + SignedDuration::from_secs(60),
            )
            .await
            .unwrap()
    };
    assert_eq!(
        take("one", &["server:1", "host:a"], &elsewhere, now).await,
        Ok(())
    );
    let held = take("two", &["server:2", "host:a"], &this, now)
        .await
        .unwrap_err();
    assert_eq!(
        (held.len(), held[0].name.as_str(), held[0].run.as_str()),
        (1, "host:a", "one")
    );
    // None of them: server:2 is free for others.
    assert_eq!(take("one", &["server:2"], &elsewhere, now).await, Ok(()));
    assert_eq!(
        ledger
            .renew_locks("one", later + SignedDuration::from_secs(60))
            .await
            .unwrap()
            .len(),
        3
    );
    assert!(take("two", &["host:a"], &this, later).await.is_err());
    assert_eq!(
        take(
            "two",
            &["host:a"],
            &this,
            later + SignedDuration::from_secs(60)
        )
        .await,
        Ok(())
    );
    // The owner of this machine that is gone need not be waited for.
    assert_eq!(take("one", &["host:b"], &gone, now).await, Ok(()));
    assert_eq!(take("two", &["host:b"], &this, now).await, Ok(()));
    ledger.unlock("two").await.unwrap();
    assert_eq!(take("one", &["host:b"], &elsewhere, now).await, Ok(()));
}

#[tokio::test]
async fn a_process_in_another_container_has_its_locks_until_their_time_is_up() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger(&directory).await;
    let this = ProcessId::current().unwrap();
    let (boot, _) = this.space.split_once(' ').unwrap();
    // Its number may well be that of no process, or of another one, here.
    let container = ProcessId {
        space: format!("{boot} pid:[1]"),
        pid: 1,
        started: 1,
    };
    let now = crate::system::now();
    let until = now + SignedDuration::from_secs(60);
    let names = ["server 1".to_owned(), "host a".to_owned()];
    let take = async |run: &str, process: &ProcessId, at: Timestamp| {
        ledger
            .lock(
                run,
                &names,
                Some(process),
                at,
                at + SignedDuration::from_secs(60),
            )
            .await
            .unwrap()
    };
    let begun = RunStart {
        process: Some(container.clone()),
        ..start("here")
    };
    ledger.begin(&begun).await.unwrap();
    let state = async || ledger.find("here").await.unwrap().state;
    assert_eq!(state().await, RunState::Unfinished);
    assert_eq!(take("here", &container, now).await, Ok(()));
    assert_eq!(state().await, RunState::Running);
    for other in ["two", "here"] {
        let held = take(other, &this, now).await.unwrap_err();
        assert_eq!(held.len(), 2, "{other}");
    }
    assert_eq!(take("two", &this, until).await, Ok(()));
    assert_eq!(state().await, RunState::Unfinished);
    assert_eq!(
        ledger.renew_locks("here", until).await.unwrap(),
        BTreeSet::new(),
        "it is told that it has lost them"
    );
}

#[tokio::test]
async fn a_service_is_remembered_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger(&directory).await;
    ledger
        .plan_moves("one", "http://n", "{}", &[])
        .await
        .unwrap();
    let service = StoredService {
        host: "a".to_owned(),
        reason: "clearway drain one".to_owned(),
        was_enabled: false,
        was_reason: Some("disk swap".to_owned()),
        restored: false,
    };
    ledger.disabling_service("one", &service).await.unwrap();
    // A second time, after a crash: what it was before stays what it was before.
    let again = StoredService {
        was_enabled: true,
        was_reason: None,
        ..service.clone()
    };
    ledger.disabling_service("one", &again).await.unwrap();
    assert_eq!(
        ledger.disabled_services("one").await.unwrap(),
        std::slice::from_ref(&service)
    );
    ledger.restored_service("one", "a").await.unwrap();
    assert!(ledger.disabled_services("one").await.unwrap()[0].restored);
    // A run that goes on takes it out again, and has to put it back again.
    ledger.disabling_service("one", &again).await.unwrap();
    assert_eq!(
        ledger.disabled_services("one").await.unwrap(),
        std::slice::from_ref(&service)
    );
}
