//! Key lines, whole and damaged, against `ssh-keygen -l`, which prints the keys of a file that it can read.

use std::collections::BTreeSet;

use clearway::openssh::key::PublicKey;

use super::generator::Random;
use super::tools;

/// Key lines of every type, by `ssh-keygen`.
pub(crate) fn make_lines(directory: &std::path::Path) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, options) in [
        &["-t", "ed25519"] as &[&str],
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "1024"],
        &["-t", "rsa", "-b", "2048"],
    ]
    .iter()
    .enumerate()
    {
        lines.push(tools::public(&tools::make_key(
            directory,
            &format!("line{at}"),
            options,
        )));
    }
    lines
}

fn damage(random: &mut Random, line: &str) -> String {
    let (name, data) = line.split_once(' ').unwrap();
    let (mut name, mut data) = (name.to_owned(), data.as_bytes().to_vec());
    let at = random.below(data.len());
    let letter = *random.pick(b"ABCxyz019+/=!-\r");
    match random.below(9) {
        0 => data[at] = letter,
        1 => data.insert(at, letter),
        2 => drop(data.remove(at)),
        3 => data.truncate(at),
        4 => data.extend_from_within(..4),
        5 => {
            name = random
                .word(&[
                    "ssh-rsa",
                    "ssh-ed25519",
                    "ecdsa-sha2-nistp256",
                    "rsa-sha2-512",
                    "ssh-ed448",
                    "ssh",
                ])
                .to_string()
        }
        6 => name = name.to_uppercase(),
        // Near the end are the last bits of a point or modulus, and the padding.
        7 => {
            let last = data.len() - 1 - random.below(6);
            data[last] = letter;
        }
        _ => data.push(b'\r'),
    }
    format!(
        "{name}{}{}",
        random.word(&[" ", "\t", "  "]),
        String::from_utf8(data).unwrap()
    )
}

#[test]
fn damaged_keys_are_keys_exactly_when_ssh_keygen_reads_them() {
    if !tools::have("damaged keys", &["ssh-keygen"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let lines = make_lines(directory.path());
    let mut random = Random::new(1);
    let cases: Vec<String> = (0..4000)
        .map(|_| {
            let line = random.pick(&lines).clone();
            if random.one_in(8) {
                line
            } else {
                damage(&mut random, &line)
            }
        })
        .collect();
    let file = directory.path().join("cases");
    let text: String = cases
        .iter()
        .enumerate()
        .map(|(at, line)| format!("{line} case{at}\n"))
        .collect();
    std::fs::write(&file, text).unwrap();

    let printed = tools::succeed("ssh-keygen", &["-l", "-f", file.to_str().unwrap()]);
    let theirs: BTreeSet<(usize, String)> = printed
        .lines()
        .map(|line| {
            // BITS FINGERPRINT COMMENT (TYPE)
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let at = words[words.len() - 2]
                .strip_prefix("case")
                .unwrap()
                .parse()
                .unwrap();
            (
                at,
                format!("{} {} {}", words[0], words[1], words[words.len() - 1]),
            )
        })
        .collect();
    let ours: BTreeSet<(usize, String)> = cases
        .iter()
        .enumerate()
        .filter_map(|(at, line)| {
            let (key, _) = PublicKey::read(format!("{line} case{at}").as_bytes()).ok()?;
            Some((
                at,
                format!(
                    "{} {} ({})",
                    key.bits(),
                    key.fingerprint(),
                    key.kind().short_name()
                ),
            ))
        })
        .collect();
    for (at, line) in cases.iter().enumerate() {
        let of = |set: &BTreeSet<(usize, String)>| {
            set.iter()
                .find(|(case, _)| *case == at)
                .map(|(_, text)| text.clone())
        };
        assert_eq!(of(&ours), of(&theirs), "{line:?}");
    }
    assert!(
        theirs.len() > 700 && theirs.len() < 3500,
        "both outcomes occur: {}",
        theirs.len()
    );
}
