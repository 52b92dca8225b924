//! Damaged inventories are refused or understood, but never crash the program or confuse a message.

use proptest::prelude::*;

use super::read;

/// A file that uses every part of the format, as the thing to damage.
const WHOLE: &str = "clearway: 1
defaults: &d
  control: {user: deploy, identity: [~/.ssh/id], known_hosts: hosts, jump: [b]}
  service_host: \"{name}.example.org\"
jump_hosts:
  a: {address: 203.0.113.9, host_key: \"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}
  b: {jump: a}
profiles:
  mine: {extends: nova, sshd: {port: 8022}, lanes: {live: {used: no}}}
groups:
  az1:
    cell: one
    profile: mine
    nodes:
      cmp[01-04,07]-az[1-2]: {migration_address: \"10.0.0.[1-10]\"}
      \"gpu[1-2]\": {groups: [x], lanes: {cold-push: {port: null}}}
  x: {control: {port: 2222}}
nodes: {n2: , n1: {live_address: \"fd00::1\"}}
scope:
  - {from: [az1], to: x}
";

/// What is put in: characters that mean something to YAML, to ranges, or to a terminal.
const PIECES: &[&str] = &[
    "[", "]", "{", "}", ":", ": ", "-", ",", "\n", "\n  ", "\t", "\"", "'", "&d", "*d", "<<: *d",
    "!x", "#", "|", ">", "\u{1b}", "\u{feff}", "\u{202e}", "é", "0", "[1-9]", "{name}", "~",
    "null", "\r\n", "---\n", "? ",
];

proptest! {
    #[test]
    fn any_damage_is_survived_and_reported_at_a_place_that_exists(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, 0..PIECES.len()), 1..5)
    ) {
        let mut characters: Vec<char> = WHOLE.chars().collect();
        for (at, length, piece) in cuts {
            let start = at.index(characters.len());
            let end = (start + length).min(characters.len());
            characters.splice(start..end, PIECES[piece].chars());
        }
        let text: String = characters.into_iter().collect();
        let Err(error) = read(&text) else {
            return Ok(());
        };
        prop_assert!(!error.problems.is_empty());
        for problem in &error.problems {
            prop_assert!(problem.expected.is_some(), "{}", problem);
            let places = problem.also.iter().map(|(_, place)| place);
            for place in places.chain([&problem.place]) {
                prop_assert!(place.line >= 1 && place.line <= text.lines().count() + 1, "{}", problem);
                prop_assert!(place.caret <= place.excerpt.chars().count() + 1, "{}", problem);
            }
        }
        let shown = error.to_string();
        let raw = shown.chars().find(|character| character.is_control() && *character != '\n');
        prop_assert_eq!(raw, None, "{}", shown);
    }

    #[test]
    fn any_text_is_survived(text in "\\PC{0,80}") {
        let _ = read(&text);
        let _ = read(&format!("clearway: 1\nnodes:\n  {text}: {{}}\n"));
    }
}

#[test]
fn the_undamaged_file_is_good() {
    if let Err(error) = read(WHOLE) {
        panic!("{error}");
    }
}

#[test]
fn a_part_of_a_text_that_goes_on_in_the_next_line_is_reported_where_the_text_begins() {
    let error =
        read("clearway: 1\nnodes:\n  n1: {migration_address: \"10.0.0.\n    1]\"}\n").unwrap_err();
    insta::assert_snapshot!(error, @r#"
    lab.yaml:3:27: `]` without a `[` before it
      3 |   n1: {migration_address: "10.0.0.
        |                           ^^^^^^^^
      expected `[` first
    "#);
}
