//! Which lines of a file concern a name, against `ssh-keygen -F`.

use std::fmt::Write as _;

use clearway::openssh::known_hosts::{HashedName, KnownHosts, Marker};

use super::generator::Random;
use super::{keys, tools};

const NAMES: [&str; 12] = [
    "node1",
    "node2",
    "node10",
    "node2.lab",
    "10.77.0.3",
    "10.77.0.30",
    "fd00::2",
    "[node2]:8022",
    "[10.77.0.3]:8022",
    "[fd00::2]:8022",
    "cmp",
    "n",
];
const PATTERNS: [&str; 16] = [
    "*",
    "node?",
    "node*",
    "!node2",
    "!node1*",
    "*.lab",
    "10.77.*",
    "10.77.0.?",
    "[node2]:*",
    "[*]:8022",
    "[node2]*",
    "NODE1",
    "Node2.LAB",
    "",
    "!",
    "n?de*0",
];

fn hosts(random: &mut Random) -> String {
    if random.one_in(3) {
        let salt = [u8::try_from(random.below(256)).unwrap(); 20];
        let mut field = HashedName::new(random.word(&NAMES), salt).to_string();
        match random.below(12) {
            0 => field.truncate(random.below(field.len())),
            1 => field.push_str(",node1"),
            2 => field = field.replacen("|1|", "|2|", 1),
            _ => {}
        }
        return field;
    }
    let count = 1 + random.below(4);
    let items: Vec<&str> = (0..count)
        .map(|_| {
            if random.one_in(2) {
                random.word(&NAMES)
            } else {
                random.word(&PATTERNS)
            }
        })
        .collect();
    items.join(",")
}

fn line(random: &mut Random, keys: &[String]) -> String {
    let mut line = String::new();
    line.push_str(random.word(&["", "", "", "", " ", "\t "]));
    line.push_str(random.word(&[
        "",
        "",
        "",
        "",
        "",
        "",
        "@revoked ",
        "@cert-authority ",
        "@revoked\t",
        "@other ",
        "@revoked @revoked ",
    ]));
    line.push_str(&hosts(random));
    line.push_str(random.word(&[" ", " ", " ", "\t", "  \t", " # "]));
    let key = random.pick(keys);
    match random.below(12) {
        0 => line.push_str(&key[..random.below(key.len())]),
        1 => line.push_str(&key.replacen(' ', "", 1)),
        2 => line.push_str(&key.replacen(' ', "\t ", 1)),
        _ => line.push_str(key),
    }
    line.push_str(random.word(&[
        "",
        "",
        " comment",
        " a # b",
        "\t",
        "\r",
        " nova@node1\r",
        "\0 hidden",
    ]));
    match random.below(20) {
        0 => String::new(),
        1 => format!("# {line}"),
        2 => "   ".to_owned(),
        _ => line,
    }
}

/// `# Host NAME found: line N [CA|REVOKED]`, as `ssh-keygen -F` says it.
fn ours(document: &KnownHosts, name: &str) -> String {
    let mut found = String::new();
    for (line, entry) in document
        .entries()
        .filter(|(_, entry)| entry.hosts.matches(name))
    {
        let marker = match entry.marker {
            Marker::None => "",
            Marker::CertAuthority => "CA",
            Marker::Revoked => "REVOKED",
        };
        writeln!(found, "line {line} {marker} {}", entry.key.fingerprint()).unwrap();
    }
    found
}

fn theirs(path: &str, name: &str) -> String {
    let output = tools::run("ssh-keygen", &["-l", "-F", name, "-f", path]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut found = String::new();
    let mut lines = text.lines();
    while let Some(head) = lines.next() {
        let (_, place) = head
            .split_once(" found: line ")
            .unwrap_or_else(|| panic!("{head:?}"));
        // NAME TYPE FINGERPRINT COMMENT
        let fingerprint = lines.next().unwrap().split(' ').nth(2).unwrap();
        let (number, marker) = place.split_once(' ').unwrap();
        writeln!(found, "line {number} {marker} {fingerprint}").unwrap();
    }
    found
}

#[test]
fn the_lines_for_a_name_are_those_that_ssh_keygen_finds() {
    if !tools::have("known_hosts", &["ssh-keygen"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let keys = keys::make_lines(directory.path());
    let path = directory.path().join("known_hosts");
    let mut random = Random::new(2);
    let (mut cases, mut hits) = (0, 0);
    for _ in 0..30 {
        let lines: Vec<String> = (0..40).map(|_| line(&mut random, &keys)).collect();
        let text = lines.join("\n") + random.word(&["", "\n"]);
        std::fs::write(&path, &text).unwrap();
        let document = KnownHosts::parse(text.as_bytes());
        assert_eq!(document.as_bytes(), text.as_bytes());
        for name in NAMES {
            let theirs = theirs(path.to_str().unwrap(), name);
            assert_eq!(ours(&document, name), theirs, "{name} in\n{text}");
            cases += lines.len();
            hits += theirs.lines().count();
        }
    }
    assert!(
        cases > 14_000 && hits > 1000 && hits < cases / 2,
        "{hits} of {cases}: both outcomes occur"
    );
}

#[test]
fn hashing_a_file_with_ssh_keygen_changes_nothing() {
    if !tools::have("hashed known_hosts", &["ssh-keygen"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let keys = keys::make_lines(directory.path());
    let path = directory.path().join("known_hosts");
    let plain: String = NAMES
        .iter()
        .zip(keys.iter().cycle())
        .map(|(name, key)| format!("{name} {key}\n"))
        .collect();
    std::fs::write(&path, &plain).unwrap();
    tools::succeed("ssh-keygen", &["-H", "-f", path.to_str().unwrap()]);
    let hashed = KnownHosts::parse(std::fs::read(&path).unwrap());
    for (name, key) in NAMES.iter().zip(keys.iter().cycle()) {
        let found: Vec<String> = hashed
            .entries()
            .filter(|(_, it)| it.hosts.matches(name))
            .map(|(_, it)| it.key.to_string())
            .collect();
        assert_eq!(found, std::slice::from_ref(key), "{name}");
    }
}
