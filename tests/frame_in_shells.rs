//! The writing half of the frame, in the shells of this machine.

use std::io::Write;
use std::process::{Command, Stdio};

use clearway::frame::{Limits, Nonce, Record, decode, prelude, sh_quote};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// The shells to test: those that a node's `/bin/sh` may be, as far as they are here.
fn shells() -> Vec<Vec<&'static str>> {
    let candidates = [
        vec!["sh"],
        vec!["dash"],
        vec!["bash", "--posix"],
        vec!["busybox", "sh"],
        vec!["mksh"],
    ];
    let works = |shell: &[&str]| {
        Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", ":"])
            .status()
            .is_ok_and(|status| status.success())
    };
    let found: Vec<_> = candidates.into_iter().filter(|s| works(s)).collect();
    assert!(!found.is_empty(), "no shell at all");
    found
}

/// What the shell prints that is given `script` on stdin.
fn run(shell: &[&str], script: &[u8]) -> Vec<u8> {
    let mut child = Command::new(shell[0])
        .args(&shell[1..])
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("shell starts");
    let mut stdin = child.stdin.take().expect("piped");
    let script = script.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&script));
    let output = child.wait_with_output().expect("shell ends");
    writer.join().expect("no panic").expect("script is read");
    output.stdout
}

fn answer(shell: &[&str], nonce: &Nonce, body: &[u8]) -> Vec<Record> {
    let script = [prelude(nonce).as_bytes(), body, b"\ncw_end\n"].concat();
    let bytes = run(shell, &script);
    decode(&bytes, nonce, Limits::default())
        .unwrap_or_else(|e| panic!("{shell:?}: {e}: {}", String::from_utf8_lossy(&bytes)))
}

#[test]
fn every_byte_but_nul_survives_in_a_field() {
    let nonce = Nonce::new([1; 16]);
    let all: Vec<u8> = (1..=255u8).filter(|&b| b != b'\'').collect();
    for shell in shells() {
        let mut body = b"echo noise >&2\ncw all '".to_vec();
        body.extend(&all);
        body.extend(b"' \"'\" '' '\n\n'");
        let records = answer(&shell, &nonce, &body);
        let expected = vec![all.clone(), b"'".to_vec(), b"".to_vec(), b"\n\n".to_vec()];
        assert_eq!(records[0].fields, expected, "{shell:?}");
    }
}

#[test]
fn the_locale_of_the_shell_does_not_change_how_lengths_are_counted() {
    let nonce = Nonce::new([2; 16]);
    for shell in shells() {
        let script = format!(
            "LANG=C.UTF-8; LC_ALL=C.UTF-8; export LANG LC_ALL\n{}cw text 'häuser…'\ncw_end\n",
            prelude(&nonce)
        );
        let bytes = run(&shell, script.as_bytes());
        let records = decode(&bytes, &nonce, Limits::default()).expect("good");
        assert_eq!(records[0].fields[0], "häuser…".as_bytes(), "{shell:?}");
    }
}

#[test]
fn a_span_holds_whatever_commands_write() {
    let nonce = Nonce::new([3; 16]);
    for shell in shells() {
        let records = answer(
            &shell,
            &nonce,
            b"cw_open raw x ''\nprintf 'a\\000b\\n'\nhead -c 5000 /dev/zero </dev/null\ncw_close\ncw after",
        );
        assert_eq!(records[0].fields, [b"x".to_vec(), b"".to_vec()]);
        let raw = records[0].span.as_ref().expect("a span");
        assert_eq!(raw.len(), 5004, "{shell:?}");
        assert!(raw.starts_with(b"a\0b\n\0"));
        assert_eq!(records[1].kind, "after");
    }
}

#[test]
fn a_quoted_word_is_read_back_by_the_shell_as_it_was() {
    let mut runner = TestRunner::new(Config::with_cases(12));
    let words = prop::collection::vec(
        prop_oneof![
            "[ -~]{0,20}",
            "\\PC{0,12}",
            prop::sample::select(vec![
                "'",
                "''",
                "\\",
                "$(x)",
                "`x`",
                "\n",
                "!",
                "~",
                "*",
                "a'\n'b",
                "-n",
                "#",
                "\u{1}\u{81}"
            ])
            .prop_map(str::to_owned),
        ],
        0..60,
    );
    let nonce = Nonce::new([4; 16]);
    runner
        .run(&words, |words| {
            let body: String = words
                .iter()
                .map(|w| format!("cw word {}\n", sh_quote(w)))
                .collect();
            for shell in shells() {
                let read: Vec<String> = answer(&shell, &nonce, body.as_bytes())
                    .into_iter()
                    .map(|r| String::from_utf8(r.fields[0].clone()).expect("as written"))
                    .collect();
                prop_assert_eq!(&read, &words);
            }
            Ok(())
        })
        .expect("property holds");
}

#[test]
fn a_nul_cannot_cut_a_word_short() {
    assert_eq!(sh_quote("a\0b"), "'a\u{fffd}b'");
}
