//! The real binary: what it prints, where, and its exit codes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use insta::assert_snapshot;

/// A directory that a command runs in and keeps its state in.
struct Place(tempfile::TempDir);

/// What a command did.
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a scratch directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// The command, with nothing of this machine's environment.
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

    fn run(&self, words: &[&str]) -> Done {
        let output = self.command(words).output().expect("it starts");
        Done {
            code: output.status.code().expect("it exits"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Done {
    /// Everything for a snapshot: the exit code, then both streams, with the scratch directory taken out.
    fn all(&self, place: &Place) -> String {
        let scratch = place.0.path().display().to_string();
        let text = format!("exit {}\n{}--- stderr\n{}", self.code, self.out, self.err);
        text.replace(&scratch, "SCRATCH")
    }
}

const INVENTORY: &str = "\
clearway: 1
defaults:
  control: {user: ops}
nodes:
  cmp[001-003]: {cell: one}
  cmp004: {cell: two}
scope: per-cell
";

fn with_inventory() -> Place {
    let place = Place::new();
    place.write("clearway.yaml", INVENTORY);
    place
}

fn help(words: &[&str]) -> String {
    let done = Place::new().run(&[words, &["--help"]].concat());
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    // clap ends empty lines of its layout with spaces.
    done.out
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

#[test]
fn help_texts() {
    let commands: &[&[&str]] = &[
        &[],
        &["check"],
        &["trace"],
        &["repair"],
        &["repair", "undo"],
        &["repair", "resume"],
        &["repair", "forget"],
        &["keys"],
        &["keys", "certify"],
        &["keys", "renew"],
        &["keys", "retire"],
        &["keys", "revoke"],
        &["keys", "rotate"],
        &["servers"],
        &["migrate"],
        &["drain"],
        &["moves"],
        &["moves", "confirm"],
        &["moves", "revert"],
        &["moves", "abort"],
        &["moves", "force-complete"],
        &["resume"],
        &["watch"],
        &["diagnose"],
        &["reasons"],
        &["runs"],
        &["show"],
        &["inventory"],
        &["inventory", "show"],
        &["inventory", "validate"],
        &["completions"],
        &["man"],
    ];
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("cli/help");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for words in commands {
            let name = [&["clearway"], *words].concat().join("-");
            assert_snapshot!(name, help(words));
        }
    });
}

#[test]
fn no_command_is_a_usage_error_that_shows_what_there_is() {
    let done = Place::new().run(&[]);
    assert_eq!((done.code, done.out.as_str()), (2, ""));
    assert!(done.err.contains("Commands:\n  check "), "{}", done.err);
}

#[test]
fn the_version_is_a_result() {
    let done = Place::new().run(&["--version"]);
    assert_eq!(done.code, 0);
    assert_eq!(
        done.out,
        concat!("clearway ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn what_cannot_be_typed_is_refused_with_what_can() {
    let place = Place::new();
    let text = |words: &[&str]| {
        let done = place.run(words);
        assert_eq!((done.code, done.out.as_str()), (2, ""));
        done.err
    };
    assert_snapshot!(text(&["chek"]), @r#"
    error: unrecognized subcommand 'chek'

      tip: a similar subcommand exists: 'check'

    Usage: clearway [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
    assert_snapshot!(text(&["check", "--pairs", "sample=0"]), @r#"
    error: invalid value 'sample=0' for '--pairs <WHICH>': expected all, ring, sample=N (N from 1) or changed

    For more information, try '--help'.
    "#);
    assert_snapshot!(text(&["check", "--lanes", "warm"]), @r#"
    error: invalid value 'warm' for '--lanes <LANES>': expected cold-push, cold-pull or live

    For more information, try '--help'.
    "#);
    assert_snapshot!(text(&["check", "--format", "xml"]), @r#"
    error: invalid value 'xml' for '--format <FORMAT>'
      [possible values: table, json, jsonl, junit]

    For more information, try '--help'.
    "#);
    assert_snapshot!(text(&["check", "--predict-only", "--pairs", "ring"]), @r#"
    error: the argument '--predict-only' cannot be used with '--pairs <WHICH>'

    Usage: clearway check --predict-only

    For more information, try '--help'.
    "#);
}

#[test]
fn a_missing_inventory_is_named_with_a_way_on() {
    let place = Place::new();
    assert_snapshot!(place.run(&["check"]).all(&place), @r#"
    exit 2
    --- stderr
    error: cannot read clearway.yaml
    caused by: No such file or directory (os error 2)
    hint: name the inventory with `-i PATH` or in CLEARWAY_INVENTORY; docs/inventory.md shows how to write one
    "#);
}

#[test]
fn an_inventory_is_told_right_or_wrong() {
    let place = with_inventory();
    assert_snapshot!(place.run(&["inventory", "validate"]).all(&place), @r#"
    exit 0
    clearway.yaml: 4 nodes, 0 groups, 2 cells, 1 profile, 6 ordered pairs in scope
    --- stderr
    "#);
    let json = place.run(&["inventory", "validate", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["valid"]["nodes"], 4);

    place.write("clearway.yaml", &INVENTORY.replace("cell: two", "cel: two"));
    assert_snapshot!(place.run(&["inventory", "validate"]).all(&place), @r#"
    exit 2
    --- stderr
    error: clearway.yaml:6:12: unknown key `cel`
      6 |   cmp004: {cel: two}
        |            ^^^
      expected `profile`, `cell`, `service_host`, `migration_address`, `live_address`, `control`, `nova_conf`, `nova_context`, `sshd`, `lanes`, `trust`, `keys`, `key_type`, `known_hosts`, `nova_root`, `groups`
      hint: did you mean `cell`?
    "#);
    let done = place.run(&["inventory", "validate", "--format", "json"]);
    assert_eq!(done.code, 2);
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(json["invalid"]["problems"][0]["place"]["line"], 6);
}

#[test]
fn a_node_is_shown_as_it_is_understood() {
    let place = with_inventory();
    let done = place.run(&["inventory", "show", "cmp[001-002]"]);
    assert_eq!(done.code, 0);
    assert!(done.out.contains("cmp[001-002]"), "{}", done.out);
    let done = place.run(&["inventory", "show", "cmp004", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(json["nodes"][0]["name"], "cmp004");
    assert_eq!(json["nodes"][0]["control"]["user"], "ops");
}

#[test]
fn a_selection_that_names_nothing_says_what_there_is() {
    let place = with_inventory();
    let text = |words: &[&str]| place.run(words).all(&place);
    assert_snapshot!(text(&["check", "--limit", "cmp01"]), @r#"
    exit 2
    --- stderr
    error: selection `cmp01`: no node is called `cmp01`
    hint: did you mean `cmp001`?
    "#);
    assert_snapshot!(text(&["check", "--pairs", "changed", "--no-ledger"]), @r#"
    exit 2
    --- stderr
    error: `--pairs changed` compares with the ledger, and `--no-ledger` takes it away
    "#);
    assert_snapshot!(text(&["check", "--limit", "@az1"]), @r#"
    exit 2
    --- stderr
    error: selection `@az1`: no group is called `@az1`
    hint: the inventory has no groups
    "#);
    assert_snapshot!(text(&["trace", "cmp001", "cmp[002-003]"]), @r#"
    exit 2
    --- stderr
    error: `cmp[002-003]` names 2 nodes, a trace is from one to one
    "#);
    assert_snapshot!(text(&["trace", "cmp001", "cmp001"]), @r#"
    exit 2
    --- stderr
    error: source and destination are the same node
    hint: name two nodes: `clearway trace cmp001 cmp017`
    "#);
    assert_snapshot!(text(&["trace", "cmp001", "cmp004"]), @r#"
    exit 2
    --- stderr
    error: cmp001 → cmp004 is not in the scope of this inventory
    hint: see `scope` in docs/inventory.md
    "#);
}

#[test]
fn nodes_without_a_pair_in_scope_are_nothing_to_check() {
    let place = with_inventory();
    let check = |limit| {
        let done = place.run(&["check", "--no-ledger", "--limit", limit]);
        done.all(&place)
    };
    assert_snapshot!(check("cmp001"), @r#"
    exit 2
    --- stderr
    error: there is nothing to check: no pair of the nodes chosen is in scope
    hint: choose two nodes or more with `--limit`; `clearway inventory validate` counts the pairs in scope
    "#);
    assert_eq!(check("cmp001,cmp004"), check("cmp001"));
}

#[test]
fn reasons_are_explained_and_near_misses_are_guessed() {
    let place = Place::new();
    let text = |words: &[&str]| place.run(words).all(&place);
    assert_snapshot!(text(&["reasons", "host-key-changed"]), @r#"
    exit 0
    host-key-changed: broken, on the rung host-key
      The client has another host key recorded for that name than the one the server presents.
      do: If the key on SERVER's disk is the one presented: replace the stale line in FILE on CLIENT (`ssh-keygen -R 'NAME' -f FILE`) by the keys read on SERVER. If it is not, another machine answers: find it first.
    --- stderr
    "#);
    assert_snapshot!(text(&["reasons", "throttled", "--format", "json"]), @r#"
    exit 0
    {
      "code": "throttled",
      "kind": "unproven",
      "step": null,
      "severity": null,
      "meaning": "The far end dropped the connection before the banner, also when tried again: MaxStartups or PerSourcePenalties. That says nothing about trust.",
      "remedy": "Try again in a few minutes, raise `MaxStartups` on SERVER, or list the migration network in `PerSourcePenaltyExemptList`."
    }
    --- stderr
    "#);
    assert_snapshot!(text(&["reasons", "host-keys-changed"]), @r#"
    exit 2
    --- stderr
    error: no reason is called `host-keys-changed`
    hint: did you mean `host-key-changed`?
    "#);
    assert_snapshot!(text(&["reasons", "gremlins"]), @r#"
    exit 2
    --- stderr
    error: no reason is called `gremlins`
    hint: `clearway reasons` lists them
    "#);
    let all = place.run(&["reasons", "--format", "json"]);
    let all: Vec<serde_json::Value> = serde_json::from_str(&all.out).unwrap();
    assert!(all.len() > 100, "{}", all.len());
}

#[test]
fn an_empty_ledger_is_no_error_and_is_not_made_by_looking() {
    let place = Place::new();
    assert_snapshot!(place.run(&["runs"]).all(&place), @r#"
    exit 0
    no runs in `SCRATCH/.local/state/clearway/ledger.sqlite` yet
    --- stderr
    "#);
    assert_eq!(place.run(&["runs", "--format", "json"]).out, "[]\n");
    assert!(!place.path(".local").exists());
}

#[test]
fn where_there_are_no_runs_the_last_is_said_not_to_be() {
    let place = Place::new();
    assert_snapshot!(place.run(&["show", "last"]).all(&place), @r#"
    exit 2
    --- stderr
    error: the ledger `SCRATCH/.local/state/clearway/ledger.sqlite` has no runs yet
    hint: name the ledger of the runs that are meant with `--ledger PATH`
    "#);
}

#[test]
fn an_error_text_in_place_of_its_file_is_said_so() {
    let place = Place::new();
    let pasted = ["diagnose", "--error", "Host key verification failed."];
    assert_snapshot!(place.run(&pasted).all(&place), @r#"
    exit 2
    --- stderr
    error: cannot read Host key verification failed.
    caused by: No such file or directory (os error 2)
    hint: `--error -` reads the text itself from standard input
    "#);
}

#[test]
fn a_ledger_that_is_none_is_left_alone() {
    let place = Place::new();
    place.write("notes.txt", &"not a database\n".repeat(100));
    assert_snapshot!(place.run(&["runs", "--ledger", "notes.txt"]).all(&place), @r#"
    exit 2
    --- stderr
    error: the ledger `notes.txt` is damaged or no database
    caused by: error returned from database: (code: 26) file is not a database
    hint: move it away to start a new one
    hint: keep the ledger elsewhere with `--ledger PATH`, or check without one: `--no-ledger`
    "#);
}

#[test]
fn new_host_keys_are_never_accepted_without_a_terminal() {
    let place = with_inventory();
    let done = place.run(&["check", "--no-ledger", "--accept-new-host-keys"]);
    assert_snapshot!(done.all(&place), @r#"
    exit 2
    --- stderr
    error: `--accept-new-host-keys` asks before it accepts, and there is no terminal to ask on
    hint: add the keys to known_hosts or pin their fingerprints in the inventory
    "#);
}

#[test]
fn completions_are_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = place.run(&["completions", shell]);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{shell}");
        assert!(done.out.contains("inventory"), "{shell}");
    }
}

#[test]
fn every_command_has_a_man_page() {
    let place = Place::new();
    std::fs::create_dir(place.path("man1")).unwrap();
    let done = place.run(&["man", "man1"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{}", done.err);
    let mut pages: Vec<String> = std::fs::read_dir(place.path("man1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert_snapshot!(pages.join("\n"), @r#"
    clearway-check.1
    clearway-completions.1
    clearway-diagnose.1
    clearway-drain.1
    clearway-inventory-show.1
    clearway-inventory-validate.1
    clearway-inventory.1
    clearway-keys-certify.1
    clearway-keys-renew.1
    clearway-keys-retire.1
    clearway-keys-revoke.1
    clearway-keys-rotate.1
    clearway-keys.1
    clearway-man.1
    clearway-migrate.1
    clearway-moves-abort.1
    clearway-moves-confirm.1
    clearway-moves-force-complete.1
    clearway-moves-revert.1
    clearway-moves.1
    clearway-reasons.1
    clearway-repair-forget.1
    clearway-repair-resume.1
    clearway-repair-undo.1
    clearway-repair.1
    clearway-resume.1
    clearway-runs.1
    clearway-servers.1
    clearway-show.1
    clearway-trace.1
    clearway-watch.1
    clearway.1
    "#);
    let page = std::fs::read_to_string(place.path("man1/clearway-check.1")).unwrap();
    assert!(
        page.contains(".TH") && page.contains("Exit codes"),
        "{page}"
    );
    assert_snapshot!(place.run(&["man", "nowhere"]).all(&place), @r#"
    exit 2
    --- stderr
    error: cannot write man pages to `nowhere`: No such file or directory (os error 2)
    hint: name an existing directory that you may write to
    "#);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = place.command(&["reasons"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let place = Place::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = place.command(&["reasons"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r#"
    error: cannot write the result
    caused by: No space left on device (os error 28)
    "#);
}
