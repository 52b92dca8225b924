//! Every byte that is not clearway's survives, whatever is in a file.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Authorised, Contribution, Host, KnownHostsEditor, authorise};
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::PublicKey;
use crate::openssh::known_hosts::{HashedName, KnownHosts, Marker};
use crate::repair::plan::{Piece, Text};

fn key(number: u8) -> PublicKey {
    use base64::Engine as _;
    let blob = [b"\0\0\0\x0bssh-ed25519\0\0\0\x20".as_slice(), &[number; 32]].concat();
    let data = base64::engine::general_purpose::STANDARD.encode(blob);
    PublicKey::read(format!("ssh-ed25519 {data}").as_bytes())
        .expect("a key")
        .0
}

fn bytes(text: &Text) -> Vec<u8> {
    text.bytes(|_| None).expect("known")
}

/// A line of a known_hosts file, without its end. Names `n0` to `n3` and keys 0 to 3 come up everywhere.
fn hosts_line() -> impl Strategy<Value = Vec<u8>> {
    let name = || {
        prop_oneof![
            (0..4_u8).prop_map(|n| format!("n{n}")),
            (0..4_u8).prop_map(|n| format!("N{n}")),
            (0..4_u8).prop_map(|n| format!("[n{n}]:8022")),
            Just("foreign".to_owned()),
            Just("n*".to_owned()),
            Just("!n1".to_owned()),
        ]
    };
    let names = proptest::collection::vec(name(), 1..4).prop_map(|names| names.join(","));
    let blank = || prop_oneof![Just(" "), Just("\t"), Just(" \t ")];
    let end = || prop_oneof![Just(""), Just("\r"), Just(" comment\r"), Just("\tx \0 y")];
    let marker = prop_oneof![4 => Just(""), 1 => Just("@revoked "), 1 => Just("@cert-authority ")];
    let entry = (marker, names, blank(), 0..5_u8, end());
    let hashed = (0..5_u8, any::<[u8; 20]>(), 0..5_u8, end());
    prop_oneof![
        6 => entry.prop_map(|(marker, names, blank, number, end)| {
            format!("{marker}{names}{blank}{}{end}", key(number)).into_bytes()
        }),
        2 => hashed.prop_map(|(name, salt, number, end)| {
            format!("{} {}{end}", HashedName::new(&format!("n{name}"), salt), key(number)).into_bytes()
        }),
        1 => Just(b"# a comment\r".to_vec()),
        1 => Just(Vec::new()),
        1 => Just(b"# clearway: begin".to_vec()),
        1 => Just(b"# clearway: end\r".to_vec()),
        1 => Just(b"  \tn1 ssh-ed25519 not-base64".to_vec()),
        1 => proptest::collection::vec(any::<u8>().prop_filter("no line end", |b| *b != b'\n'), 0..20),
    ]
}

fn file(line: impl Strategy<Value = Vec<u8>>, most: usize) -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec(line, 0..most), any::<bool>()).prop_map(|(lines, ends)| {
        let mut all = lines.join(&b'\n');
        if ends && !all.is_empty() {
            all.push(b'\n');
        }
        all
    })
}

/// Records that `n1` (also on a port) has the keys 1 and 4.
fn record(before: &[u8]) -> (Contribution, Option<Text>) {
    let editor = KnownHostsEditor::new(before.into());
    let names = ["n1".to_owned(), "[n1]:8022".to_owned()];
    let keys = [key(1), key(4)];
    let host = Host {
        node: "node1",
        names: &names,
        others: &["n1.example".to_owned()],
        keys: &keys,
    };
    let rightful = |_: &str, it: &PublicKey| keys.contains(it);
    let contribution = editor.contribution(&host, rightful, &[9; 32]);
    let text = editor.apply([&contribution]);
    (contribution, text)
}

/// The lines that are nobody's business: for which neither the names nor the block are clearway's.
fn is_foreign(line: &[u8]) -> bool {
    let parsed = KnownHosts::parse(line);
    let Some((_, entry)) = parsed.entries().next() else {
        return true;
    };
    entry.marker != Marker::None || !(entry.hosts.matches("n1") || entry.hosts.matches("[n1]:8022"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn foreign_lines_of_known_hosts_stay_and_the_host_is_known(before in file(hosts_line(), 12)) {
        let (contribution, text) = record(&before);
        let Some(text) = text else {
            prop_assert!(contribution.lines.is_empty() && contribution.stale.is_empty());
            return Ok(());
        };
        let after = bytes(&text);
        let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
            bytes.split_inclusive(|it| *it == b'\n').map(<[u8]>::to_vec).collect()
        };
        // Foreign lines survive in order, byte for byte; a last line that did not end may be ended.
        let mut rest = lines(&after).into_iter();
        for old in lines(&before).into_iter().filter(|line| is_foreign(line)) {
            let ended = [&old[..], b"\n"].concat();
            let found = rest.any(|new| new == old || (!old.ends_with(b"\n") && new == ended));
            prop_assert!(found, "{:?} of {:?}", old.escape_ascii().to_string(), after.escape_ascii().to_string());
        }
        // Each right key is recorded under each name, unless it is revoked; no wrong one is, but by a pattern.
        let parsed = KnownHosts::parse(after);
        for name in ["n1", "[n1]:8022"] {
            for number in [1, 4] {
                let is = |marker| parsed.entries().any(|(_, it)| {
                    it.marker == marker && it.key == key(number) && it.hosts.matches(name)
                });
                prop_assert!(is(Marker::None) || is(Marker::Revoked), "{name} {number}");
            }
            for (number, entry) in parsed.entries() {
                let raw = parsed.raw_line(number).unwrap_or_default();
                let literal = !raw.contains(&b'*') && !raw.contains(&b'!');
                let wrong = ![key(1), key(4)].contains(&entry.key);
                let is_stale = literal && wrong && entry.marker == Marker::None;
                prop_assert!(!(is_stale && entry.hosts.matches(name)), "{number}");
            }
        }
        // And again: nothing.
        let (_, again) = record(&bytes(&text));
        prop_assert_eq!(again, None);
    }

    #[test]
    fn what_is_hashed_stays_hashed(lines in proptest::collection::vec((0..4_u8, any::<[u8; 20]>(), 0..5_u8), 1..9)) {
        let before: String = lines
            .iter()
            .map(|(name, salt, number)| format!("{} {}\n", HashedName::new(&format!("n{name}"), *salt), key(*number)))
            .collect();
        if let (contribution, Some(text)) = record(before.as_bytes()) {
            let after = String::from_utf8(bytes(&text)).expect("text");
            let entries = after.lines().filter(|line| !line.starts_with('#'));
            prop_assert!(entries.clone().all(|line| line.starts_with("|1|")));
            // No two lines have the same salt.
            let salts: Vec<&str> = after.lines().filter_map(|line| line.split('|').nth(2)).collect();
            let new = contribution.lines.len();
            let mut fresh: Vec<&str> = salts[salts.len() - new..].to_vec();
            fresh.sort_unstable();
            fresh.dedup();
            prop_assert_eq!(fresh.len(), new);
        }
    }
}

/// A line of an authorized_keys file, without its end.
fn keys_line() -> impl Strategy<Value = Vec<u8>> {
    let options = prop_oneof![
        Just(""),
        Just("restrict "),
        Just("from=\"10.0.0.0/8,!10.1.1.1\",command=\"echo \\\"a b\\\"\" "),
        Just("frobnicate\t"),
        Just("cert-authority,principals=\"x\" "),
    ];
    let comment = prop_oneof![
        Just(""),
        Just(" admin"),
        Just(" clearway:node1"),
        Just("\tclearway:node2\r"),
        Just(" a b \r"),
    ];
    prop_oneof![
        6 => (options, 0..5_u8, comment).prop_map(|(options, number, comment)| {
            format!("{options}{}{comment}", key(number)).into_bytes()
        }),
        1 => Just(b"# clearway: begin\r".to_vec()),
        1 => Just(b"# clearway: end".to_vec()),
        1 => Just(b"\t# ours\r".to_vec()),
        1 => Just(Vec::new()),
        1 => proptest::collection::vec(any::<u8>().prop_filter("no line end", |b| *b != b'\n'), 0..20),
    ]
}

/// Authorises key 1 for `node1`, whose other keys go.
fn authorised(before: &[u8]) -> Option<Text> {
    let line = format!("restrict,from=\"10.0.0.1\" {} clearway:node1\n", key(1));
    let keys = [Authorised {
        line: [Piece::Bytes(line.into_bytes().into())].into(),
    }];
    let bytes: Arc<[u8]> = before.into();
    authorise(&bytes, &keys, |node, _| node == "node1")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_line_outside_the_block_stays(before in file(keys_line(), 12)) {
        let text = authorised(&before).expect("a key comes");
        let after = bytes(&text);
        let outside = |bytes: &[u8]| -> Vec<Vec<u8>> {
            let file = super::lines::LineEdits::new(bytes.into());
            let block = super::block::find_block(&file);
            let kept = (1..=file.len()).filter(|&number| {
                block.is_none_or(|it| number < it.begin || number > it.end)
            });
            kept.map(|number| file.line(number).to_vec()).collect()
        };
        prop_assert_eq!(outside(&before), outside(&after));
        // What is added ends what did not end, and is one block.
        let parsed = AuthorizedKeys::parse(after.clone());
        let ours = parsed.keys().filter(|(_, it)| it.key == key(1) && &*it.comment == b"clearway:node1");
        prop_assert!(ours.count() >= 1);
        prop_assert!(after.ends_with(b"\n") || before.contains(&b'\n'));
        let again = authorised(&after).expect("the same again");
        prop_assert_eq!(bytes(&again), after);
    }
}

#[test]
fn thousands_of_foreign_lines_cost_nothing_and_stay() {
    let mut before = String::new();
    for number in 0..20_000 {
        before.push_str(&format!("h{number},10.9.0.{number} {} x\r\n", key(2)));
    }
    before.push_str(&format!("n1,other {}", key(3)));
    let (_, text) = record(before.as_bytes());
    let text = text.expect("changes");
    let after = String::from_utf8(bytes(&text)).expect("text");
    let kept = before.len() - format!("n1,other {}", key(3)).len();
    assert_eq!(after[..kept], before[..kept]);
    let expected = format!(
        "other {}\n# clearway: begin\nn1,[n1]:8022 {} clearway:node1\nn1,[n1]:8022 {} clearway:node1\n# clearway: end\n",
        key(3),
        key(1),
        key(4)
    );
    assert_eq!(&after[kept..], expected);
}

#[test]
fn a_stale_key_goes_from_under_every_name_of_its_host() {
    let (old, other) = (key(2), key(3));
    let before = format!("n1 {old}\nn1.example,n2 {old}\nn1.example {other}\n");
    let (_, text) = record(before.as_bytes());
    let after = text.expect("a change").bytes(|_| None).expect("known");
    let after = String::from_utf8(after).expect("text");
    assert!(
        after.starts_with(&format!("n2 {old}\nn1.example {other}\n# clearway")),
        "{after}"
    );
}
