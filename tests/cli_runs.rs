//! The real binary, checking nodes that nobody can reach: what it reports, records, and shows again.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use clearway::ledger::{Ledger, RunStart};
use clearway::report::Settings;
use insta::assert_snapshot;
use serde_json::Value;

/// A directory with an inventory; commands keep their state in it.
struct Place(tempfile::TempDir);

impl Place {
    /// Three nodes, for which the operator has no key.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a scratch directory"));
        place.write(
            "clearway.yaml",
            "clearway: 1\n\
             defaults: {control: {port: 9}}\n\
             nodes:\n\
             \x20 cmp001: {control: {address: 127.0.0.1}}\n\
             \x20 cmp002: {control: {address: 127.0.0.2}}\n\
             \x20 cmp003: {control: {address: 127.0.0.3}}\n",
        );
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).expect("written");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clearway"));
        command
            .args(words)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("LOGNAME", "ops")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it starts")
    }

    fn text(&self, words: &[&str]) -> String {
        String::from_utf8(self.run(words).stdout).expect("UTF-8")
    }
}

/// Takes out of snapshots what differs from run to run.
fn steady() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{8}-\d{6}-[0-9a-f]{6}", "RUN");
    settings.add_filter(r", [\d.]+ m?s\b", ", TOOK");
    settings.bind_to_scope()
}

#[test]
fn nodes_that_cannot_be_reached_are_unproven_and_never_broken() {
    let place = Place::new();
    let _steady = steady();
    let output = place.run(&["check"]);
    assert_eq!(output.status.code(), Some(3));
    assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r#"
    check: 3 nodes, 6 ordered pairs: all unproven
      3 nodes could not be surveyed
      18 legs: all unproven
      run RUN, proof up to copy, TOOK

    not surveyed
      cmp[001-003]: control-identity (18 legs unproven for it)
        A key of the control connection cannot be used: unreadable, encrypted without an agent, or not a key.
        cmp001: ops@127.0.0.1:9: no private key to offer: none of the usual files exists, and ssh-agent has none
        cmp002: ops@127.0.0.2:9: no private key to offer: none of the usual files exists, and ssh-agent has none
        cmp003: ops@127.0.0.3:9: no private key to offer: none of the usual files exists, and ssh-agent has none
        do: Check `control.identity` in the inventory, or load the key into ssh-agent.

    next
      clearway reasons control-identity                    what it means
      clearway show RUN --format json   everything, for programs
    "#);
    let log = String::from_utf8(output.stderr).unwrap();
    let mut log: Vec<_> = log.lines().collect();
    // The nodes come in any order.
    log[1..4].sort_unstable();
    assert_snapshot!(log.join("\n"), @r#"
    check RUN: 3 nodes, 6 ordered pairs
    cmp001: not surveyed: control-identity: ops@127.0.0.1:9: no private key to offer: none of the usual files exists, and ssh-agent has none
    cmp002: not surveyed: control-identity: ops@127.0.0.2:9: no private key to offer: none of the usual files exists, and ssh-agent has none
    cmp003: not surveyed: control-identity: ops@127.0.0.3:9: no private key to offer: none of the usual files exists, and ssh-agent has none
    surveyed 0 nodes, 3 could not be
    predicted: 0 legs should work, 0 are broken, 18 cannot be told; 18 to prove
    "#);
}

#[test]
fn a_trace_is_of_one_pair() {
    let place = Place::new();
    let output = place.run(&["trace", "cmp002", "cmp001", "--quiet", "--format", "json"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stderr, b"");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["summary"]["pairs"]["total"], 1);
    for leg in report["legs"].as_array().unwrap() {
        assert_eq!(
            (&leg["source"], &leg["destination"]),
            (&"cmp002".into(), &"cmp001".into())
        );
    }
}

#[test]
fn what_was_reported_is_shown_again_in_every_format() {
    let place = Place::new();
    for format in ["table", "json", "junit"] {
        let reported = place.text(&["check", "--format", format]);
        assert_eq!(place.text(&["show", "last", "--format", format]), reported);
    }
    let lines = place.text(&["check", "--format", "jsonl", "--limit", "cmp[001-002]"]);
    let events: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (report, events) = events.split_last().unwrap();
    assert_eq!(report["event"], "report");
    assert_eq!(report["report"]["settings"]["limit"], "cmp[001-002]");
    assert_eq!(events[0]["event"], "run-started");
    assert_eq!(events.last().unwrap()["event"], "run-finished");
    assert!(
        events
            .iter()
            .zip(1..)
            .all(|(event, seq)| event["seq"] == seq)
    );
    let again = place.text(&["show", "last", "--format", "jsonl"]);
    assert_eq!(again.lines().count(), lines.lines().count());
    assert_eq!(again.lines().last(), lines.lines().last());
}

#[test]
fn json_is_what_the_published_schema_says() {
    let place = Place::new();
    let schema = include_str!("../docs/report.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let report = serde_json::from_str(&place.text(&["check", "--format", "json"])).unwrap();
    let errors: Vec<_> = schema
        .iter_errors(&report)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn runs_are_listed_newest_first_and_forgotten_on_request() {
    let place = Place::new();
    place.run(&["check"]);
    place.run(&["trace", "cmp001", "cmp002"]);
    let runs = |words: &[&str]| -> Vec<Value> {
        let words = [&["runs", "--format", "json"], words].concat();
        serde_json::from_str(&place.text(&words)).unwrap()
    };
    let both = runs(&[]);
    let commands: Vec<_> = both
        .iter()
        .map(|run| run["command"].as_str().unwrap())
        .collect();
    assert_eq!(commands, ["trace", "check"]);
    assert_eq!(both[0]["state"], "finished");
    assert_eq!(both[0]["exit_code"], 3);
    assert_eq!(runs(&["--number", "1"]).len(), 1);
    assert_eq!(runs(&["--prune", "1"]).len(), 1);
    let table = place.text(&["runs"]);
    assert!(table.starts_with("run "), "{table}");
    assert_eq!(table.lines().count(), 2);
}

#[test]
fn without_a_ledger_nothing_is_left_behind() {
    let place = Place::new();
    assert_eq!(place.run(&["check", "--no-ledger"]).status.code(), Some(3));
    let left: Vec<_> = std::fs::read_dir(place.0.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// A node that accepts connections and never says a word.
fn silent_node(place: &Place) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(place.0.path().join("id"))
        .status()
        .expect("ssh-keygen of OpenSSH");
    assert!(made.success());
    place.write(
        "clearway.yaml",
        &format!(
            "clearway: 1\n\
             defaults: {{control: {{identity: id, port: {}}}}}\n\
             nodes:\n\
             \x20 cmp001: {{control: {{address: 127.0.0.1}}}}\n\
             \x20 cmp002: {{control: {{address: localhost}}}}\n",
            listener.local_addr().unwrap().port()
        ),
    );
    listener
}

/// A check of a silent node that is under way: its process, and what it has not yet logged.
fn under_way(place: &Place, listener: &TcpListener) -> (Child, BufReader<ChildStderr>, TcpStream) {
    let mut child = place
        .command(&["check"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut started = String::new();
    log.read_line(&mut started).unwrap();
    assert!(started.starts_with("check "), "{started}");
    let (connection, _) = listener.accept().unwrap();
    (child, log, connection)
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn an_interrupt_ends_the_run_with_what_is_known() {
    for signal in ["-INT", "-TERM"] {
        let place = Place::new();
        let listener = silent_node(&place);
        let (child, mut log, _connection) = under_way(&place, &listener);
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        let mut rest = String::new();
        log.read_to_string(&mut rest).unwrap();
        assert!(
            rest.contains("interrupted: nothing new is started"),
            "{rest}"
        );
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with("check, interrupted: 2 nodes"), "{text}");
        assert!(place.text(&["runs"]).contains("interrupted"));
    }
}

#[test]
fn a_report_that_cannot_be_recorded_is_printed_all_the_same() {
    let place = Place::new();
    let listener = silent_node(&place);
    let (child, mut log, _connection) = under_way(&place, &listener);
    let ledger = place.0.path().join(".local/state/clearway/ledger.sqlite");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(ledger);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query("DROP TABLE reports")
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
    });
    send("-INT", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("check, interrupted: 2 nodes"), "{text}");
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("error: cannot write the ledger"), "{rest}");
    assert!(rest.contains("no such table: reports"), "{rest}");
}

#[test]
fn a_run_that_was_killed_is_unfinished_and_its_events_are_there() {
    let place = Place::new();
    let listener = silent_node(&place);
    let (mut child, _log, _connection) = under_way(&place, &listener);
    let events = || place.text(&["show", "last", "--format", "jsonl"]);
    while !events().contains("run-started") {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    }
    assert!(place.text(&["runs"]).contains("running"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(place.text(&["runs"]).contains("unfinished"));
    let shown = place.run(&["show", "last"]);
    assert_eq!(shown.status.code(), Some(2));
    let _steady = steady();
    assert_snapshot!(String::from_utf8(shown.stderr).unwrap(), @r#"
    error: run RUN has no report, it is unfinished
    hint: `clearway show RUN --format jsonl` has what happened until then
    "#);
}

#[test]
fn an_undo_without_an_end_is_listed_with_what_it_is_about_and_how_to_go_on() {
    let place = Place::new();
    let path = place.0.path().join(".local/state/clearway/ledger.sqlite");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let ledger = Ledger::open(&path).await.unwrap();
        let repair = RunStart {
            id: "20261126-070905-7f3a9c".to_owned(),
            command: "repair".to_owned(),
            operator: Some("alice".to_owned()),
            about: None,
            clearway: "0".to_owned(),
            inventory: "clearway.yaml".to_owned(),
            inventory_path: "/clearway.yaml".to_owned(),
            settings: Settings::without_proof(),
            started: "2026-11-26T07:09:05Z".parse().unwrap(),
            process: None,
        };
        let undo = RunStart {
            id: "20261126-080910-c0ffee".to_owned(),
            command: "repair undo".to_owned(),
            operator: Some("bob".to_owned()),
            about: Some(repair.id.clone()),
            started: "2026-11-26T08:09:10Z".parse().unwrap(),
            ..repair.clone()
        };
        let ended = "2026-11-26T07:09:07Z".parse().unwrap();
        ledger.begin(&repair).await.unwrap();
        ledger.fail(&repair.id, ended, 2, "no space").await.unwrap();
        ledger.begin(&undo).await.unwrap();
        ledger.close().await;
    });
    assert_snapshot!(place.text(&["runs"]), @r#"
    run                     command      by     started               took   state       outcome
    20261126-080910-c0ffee  repair undo  bob    2026-11-26 08:09:10Z         unfinished  of 7f3a9c
    20261126-070905-7f3a9c  repair       alice  2026-11-26 07:09:05Z  2.0 s  failed      no space
    "#);
    let shown = place.run(&["show", "last"]);
    assert_eq!(shown.status.code(), Some(2));
    assert_snapshot!(String::from_utf8(shown.stderr).unwrap(), @r#"
    error: run 20261126-080910-c0ffee has no report, it is unfinished
    hint: `clearway repair undo 20261126-070905-7f3a9c` goes on with it
    hint: `clearway show 20261126-080910-c0ffee --format jsonl` has what happened until then
    "#);
    let resumed = place.run(&["repair", "resume", "last"]);
    assert_eq!(resumed.status.code(), Some(2));
    assert_snapshot!(String::from_utf8(resumed.stderr).unwrap(), @r#"
    error: run 20261126-080910-c0ffee is no repair, but a `clearway repair undo` of run 20261126-070905-7f3a9c
    hint: `clearway repair undo 20261126-070905-7f3a9c` goes on with it
    "#);
}
