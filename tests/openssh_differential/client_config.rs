//! What `Host` and `Match` blocks make of a name, against `ssh -G`.

use std::collections::BTreeMap;

use clearway::openssh::client_config::{ClientSettings, UpdateHostKeys};
use clearway::openssh::config::{ClientConfig, ClientQuery, Difference};

use super::generator::Random;
use super::tools;

/// The name for which `ssh` is asked first; no block is made for it.
const BASE: &str = "clearway-base.invalid";
const NAMES: [&str; 7] = [
    "node1",
    "node2",
    "NODE2",
    "node10.lab",
    "10.77.0.3",
    "alias",
    "jump",
];

fn patterns(random: &mut Random) -> String {
    let count = 1 + random.below(3);
    let words: Vec<&str> = (0..count)
        .map(|_| {
            random.word(&[
                "node*", "node?", "node1", "!node2", "*.lab", "10.77.*", "alias", "*", "!alias",
                "NODE2", "real.lab",
            ])
        })
        .collect();
    words.join(" ")
}

fn criterion(random: &mut Random) -> String {
    let not = random.word(&["", "", "!"]);
    let list = random.word(&[
        "node*",
        "node1,node2",
        "*.lab,!node10.lab",
        "real.lab",
        "alias",
        "NODE2",
        "root,nova",
        "*",
    ]);
    match random.below(9) {
        0 | 1 => format!("{not}host {list}"),
        2 | 3 => format!("{not}originalhost {list}"),
        4 => format!("{not}user {list}"),
        5 => format!("{not}localuser {list}"),
        6 => format!("{not}final"),
        7 => format!("host=\"{list}\""),
        _ => format!("{not}canonical"),
    }
}

fn block(random: &mut Random) -> String {
    match random.below(6) {
        0 => "Match all".to_owned(),
        1 | 2 => {
            let count = 1 + random.below(2);
            let criteria: Vec<String> = (0..count).map(|_| criterion(random)).collect();
            format!("Match {}", criteria.join(" "))
        }
        _ => format!("Host {}", patterns(random)),
    }
}

fn setting(random: &mut Random) -> String {
    let port = 1000 + random.below(5);
    match random.below(20) {
        0 | 1 => format!("Port {port}"),
        2 | 3 => format!("User {}", random.word(&["nova", "root", "other"])),
        4 => format!(
            "HostName {}",
            random.word(&["real.lab", "%h.lab", "Real.LAB", "10.77.0.9"])
        ),
        5 => format!(
            "StrictHostKeyChecking {}",
            random.word(&["yes", "no", "ask", "accept-new", "off"])
        ),
        6 | 7 => format!(
            "IdentityFile {}",
            random.word(&["~/.ssh/a", "/k/%h", "\"/k/with\"", "/k/b"])
        ),
        8 => format!("CertificateFile /k/cert{}", random.below(3)),
        9 => format!("HostKeyAlias = {}", random.word(&["one", "two"])),
        10 => format!("BatchMode {}", random.word(&["yes", "no"])),
        11 => format!(
            "UserKnownHostsFile {}",
            random.word(&["/kh/a /kh/b", "/kh/c", "none", "/kh/of-%h"])
        ),
        12 => format!(
            "ProxyJump {}",
            random.word(&["jump", "none", "user@jump:2222"])
        ),
        13 => format!("ProxyCommand {}", random.word(&["nc %h %p", "none"])),
        14 => format!("CheckHostIP {}", random.word(&["yes", "no"])),
        15 => format!("ConnectTimeout {}", random.word(&["5", "9"])),
        16 => format!(
            "KexAlgorithms {}",
            random.word(&["curve25519-sha256", "ecdh-sha2-nistp256"])
        ),
        17 => format!("UpdateHostKeys {}", random.word(&["yes", "no", "ask"])),
        18 => format!("IdentitiesOnly {}", random.word(&["yes", "no"])),
        _ => format!("PubkeyAuthentication {}", random.word(&["yes", "no"])),
    }
}

fn config(random: &mut Random, include: &str) -> String {
    let mut text = String::new();
    for _ in 0..random.below(3) {
        text += &format!("{}\n", setting(random));
    }
    for _ in 0..2 + random.below(5) {
        text += &format!("{}\n", block(random));
        for _ in 0..1 + random.below(3) {
            text += &format!("  {}\n", setting(random));
        }
        if random.one_in(4) {
            text += &format!("  Include {include}\n");
        }
    }
    text
}

/// `ssh -G`; `None` where `ssh` refuses, as it does for a host that is its own jump host.
fn asked(path: &str, name: &str) -> Option<Vec<u8>> {
    let output = tools::run("ssh", &["-G", "-F", path, name]);
    output.status.success().then_some(output.stdout)
}

fn by_keyword(output: &[u8]) -> BTreeMap<String, Vec<String>> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in std::str::from_utf8(output).unwrap().lines() {
        let (keyword, value) = line.split_once(' ').unwrap();
        values
            .entry(keyword.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    values
}

/// The settings that clearway takes for a name: what was printed for the base, changed by what the files say.
fn ours(
    base: &[u8],
    difference: Difference,
    defaults: &BTreeMap<String, Vec<String>>,
    name: &str,
) -> ClientSettings {
    let difference = match difference {
        Difference::Same => Difference::Same,
        Difference::Settings(changed) => Difference::Settings(
            changed
                .into_iter()
                .map(|(keyword, values)| {
                    let values = values.or_else(|| defaults.get(&keyword).cloned());
                    (keyword, values)
                })
                .collect(),
        ),
    };
    let mut settings = ClientSettings::parse_changed(base, &difference).unwrap();
    settings.hostname = settings.hostname.replace(BASE, name).to_ascii_lowercase();
    comparable(settings)
}

fn comparable(mut settings: ClientSettings) -> ClientSettings {
    settings.host = None;
    settings.other.clear();
    // Its default hangs on other settings, and only ssh knows it.
    settings.update_host_keys = UpdateHostKeys::Yes;
    settings
}

#[test]
fn blocks_apply_to_the_names_that_ssh_applies_them_to() {
    if !tools::have("ssh_config", &["ssh"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config").to_str().unwrap().to_owned();
    let include = directory
        .path()
        .join("included")
        .to_str()
        .unwrap()
        .to_owned();
    std::fs::write(directory.path().join("empty"), "").unwrap();
    let empty = directory.path().join("empty");
    let defaults = by_keyword(&asked(empty.to_str().unwrap(), BASE).unwrap());
    let user = tools::succeed("id", &["-un"]).trim().to_owned();
    let mut random = Random::new(4);
    let (mut decided, mut undecided) = (0, 0);
    for _ in 0..60 {
        let included = format!(
            "{}\n{}\n  {}\n",
            setting(&mut random),
            block(&mut random),
            setting(&mut random)
        );
        let text = config(&mut random, &include);
        std::fs::write(&include, &included).unwrap();
        std::fs::write(&path, &text).unwrap();
        let Some(base) = asked(&path, BASE) else {
            continue;
        };
        let files = [
            ("/home/.ssh/config", text.as_bytes()),
            (include.as_str(), included.as_bytes()),
        ];
        let config = ClientConfig::read(files, "/home");
        let query = |name| ClientQuery {
            name,
            local_user: &user,
            user: None,
        };
        for name in NAMES {
            let Some(theirs) = asked(&path, name) else {
                continue;
            };
            match config.difference(&query(name), &query(BASE)) {
                Ok(difference) => {
                    let theirs = comparable(ClientSettings::parse(&theirs).unwrap());
                    let ours = ours(&base, difference, &defaults, name);
                    let differing = tools::differing(&ours, &theirs);
                    assert!(
                        ours == theirs,
                        "{differing:#?}
{name} in\n{text}included:\n{included}"
                    );
                    decided += 1;
                }
                Err(_) => undecided += 1,
            }
        }
    }
    assert!(
        decided > 250 && undecided < decided / 4,
        "{decided} decided, {undecided} not"
    );
}
