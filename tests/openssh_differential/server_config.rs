//! What `Match` blocks make of a connection, against `sshd -T -C`.

use std::collections::BTreeMap;

use clearway::openssh::config::{Difference, ServerConfig, ServerQuery};
use clearway::openssh::server_config::ServerSettings;

use super::generator::Random;
use super::tools;

const SSHD: &str = "/usr/sbin/sshd";

struct Connection {
    user: &'static str,
    host: &'static str,
    address: &'static str,
    local_address: &'static str,
    local_port: u16,
}

const fn connection(
    user: &'static str,
    host: &'static str,
    address: &'static str,
    local_port: u16,
) -> Connection {
    Connection {
        user,
        host,
        address,
        local_address: "10.77.0.3",
        local_port,
    }
}

/// Values that no block is made for come first.
const CONNECTIONS: [Connection; 6] = [
    connection("daemon", "clearway-base.invalid", "192.0.2.1", 9),
    connection("root", "node1.lab", "10.77.0.2", 22),
    connection("root", "10.77.9.2", "10.77.9.2", 8022),
    connection("daemon", "node2.lab", "10.77.0.3", 22),
    connection("root", "fd00::2", "fd00::2", 22),
    connection("daemon", "NODE1.lab", "10.78.0.2", 22),
];

fn criterion(random: &mut Random) -> String {
    match random.below(7) {
        0 => format!(
            "User {}",
            random.word(&["root", "r*", "nova,root", "*,!root", "nobody"])
        ),
        1 => format!(
            "Group {}",
            random.word(&["root", "daemon", "*", "*,!root", "none"])
        ),
        2 => format!(
            "Host {}",
            random.word(&["*.lab", "node1.lab", "10.77.*", "*,!node*"])
        ),
        3 => format!(
            "LocalAddress {}",
            random.word(&["10.77.0.3", "10.77.0.0/16", "10.9.*"])
        ),
        4 => format!("LocalPort {}", random.word(&["22", "8022"])),
        _ => format!(
            "Address {}",
            random.word(&[
                "10.77.0.0/16",
                "10.77.*,!10.77.9.2",
                "fd00::/64",
                "10.78.0.2",
                "*"
            ])
        ),
    }
}

fn setting(random: &mut Random) -> String {
    match random.below(14) {
        0 => format!("PubkeyAuthentication {}", random.word(&["yes", "no"])),
        1 | 2 => format!(
            "AuthorizedKeysFile {}",
            random.word(&[".ssh/a .ssh/b", "/keys/%u", "none"])
        ),
        3 => format!(
            "PermitRootLogin {}",
            random.word(&["yes", "no", "prohibit-password", "forced-commands-only"])
        ),
        4 => format!(
            "ForceCommand {}",
            random.word(&["/bin/true", "internal-sftp -d \"/a b\"", "none"])
        ),
        5 => format!(
            "AllowUsers {}",
            random.word(&["root daemon", "nova@10.77.*", "deploy"])
        ),
        6 => format!("DenyGroups {}", random.word(&["users", "a b"])),
        7 => format!(
            "TrustedUserCAKeys {}",
            random.word(&["/etc/ssh/ca", "none"])
        ),
        8 => format!(
            "AuthorizedPrincipalsFile {}",
            random.word(&["/p/%u", "none"])
        ),
        9 => format!("MaxSessions {}", random.below(4)),
        10 => format!("PermitUserRC {}", random.word(&["yes", "no"])),
        11 => format!("ChrootDirectory {}", random.word(&["/srv", "none"])),
        12 => format!(
            "PubkeyAcceptedAlgorithms {}",
            random.word(&["ssh-ed25519", "rsa-sha2-512,ssh-ed25519"])
        ),
        _ => format!("MaxAuthTries {}", 1 + random.below(4)),
    }
}

fn config(random: &mut Random, key: &str, include: &str) -> String {
    let mut text = format!("HostKey {key}\nPort 22\nUsePAM no\n");
    for _ in 0..random.below(5) {
        text += &format!("{}\n", setting(random));
    }
    if random.one_in(3) {
        text += &format!("Include {include}\n");
    }
    for _ in 0..1 + random.below(4) {
        if random.one_in(6) {
            text += "Match all\n";
        } else {
            let count = 1 + random.below(2);
            let criteria: Vec<String> = (0..count).map(|_| criterion(random)).collect();
            text += &format!("Match {}\n", criteria.join(" "));
        }
        for _ in 0..1 + random.below(3) {
            text += &format!("  {}\n", setting(random));
        }
        if random.one_in(5) {
            text += &format!("  Include {include}\n");
        }
    }
    text
}

fn asked(path: &str, it: &Connection) -> Option<Vec<u8>> {
    let connection = format!(
        "user={},host={},addr={},laddr={},lport={}",
        it.user, it.host, it.address, it.local_address, it.local_port
    );
    let output = tools::run(SSHD, &["-T", "-f", path, "-C", &connection]);
    output.status.success().then_some(output.stdout)
}

fn by_keyword(output: &[u8]) -> BTreeMap<String, Vec<String>> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in std::str::from_utf8(output).unwrap().lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        values
            .entry(keyword.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    values
}

fn ours(
    base: &[u8],
    difference: Difference,
    defaults: &BTreeMap<String, Vec<String>>,
) -> ServerSettings {
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
    comparable(ServerSettings::parse_changed(base, &difference).unwrap())
}

fn comparable(mut settings: ServerSettings) -> ServerSettings {
    settings.other.clear();
    settings
}

#[test]
fn blocks_apply_to_the_connections_that_sshd_applies_them_to() {
    if !tools::have("sshd_config", &[SSHD, "ssh-keygen"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let key = tools::make_key(directory.path(), "host", &["-t", "ed25519"]);
    let path = directory.path().join("config").to_str().unwrap().to_owned();
    let include = directory
        .path()
        .join("included")
        .to_str()
        .unwrap()
        .to_owned();
    std::fs::write(&path, format!("HostKey {key}\nUsePAM no\n")).unwrap();
    let Some(defaults) = asked(&path, &CONNECTIONS[0]) else {
        return tools::not_run("sshd_config", "sshd -T refuses the plainest configuration");
    };
    let defaults = by_keyword(&defaults);
    let groups: BTreeMap<&str, Vec<String>> = ["root", "daemon"]
        .into_iter()
        .map(|user| {
            (
                user,
                tools::succeed("id", &["-Gn", user])
                    .split_ascii_whitespace()
                    .map(str::to_owned)
                    .collect(),
            )
        })
        .collect();
    let mut random = Random::new(5);
    let mut decided = 0;
    for _ in 0..50 {
        let included = format!(
            "{}\nMatch {}\n  {}\n",
            setting(&mut random),
            criterion(&mut random),
            setting(&mut random)
        );
        let text = config(&mut random, &key, &include);
        std::fs::write(&include, &included).unwrap();
        std::fs::write(&path, &text).unwrap();
        let base = asked(&path, &CONNECTIONS[0])
            .unwrap_or_else(|| panic!("sshd refuses\n{text}included:\n{included}"));
        let files = [
            (path.as_str(), text.as_bytes()),
            (include.as_str(), included.as_bytes()),
        ];
        let config = ServerConfig::read(files, &path);
        let query = |it: &Connection| ServerQuery {
            user: it.user,
            groups: Some(&groups[it.user]),
            host: Some(it.host),
            address: Some(it.address),
            local_address: Some(it.local_address),
            local_port: Some(it.local_port),
        };
        for it in &CONNECTIONS[1..] {
            let theirs = asked(&path, it).unwrap();
            let difference = config
                .difference(&query(it), &query(&CONNECTIONS[0]))
                .unwrap();
            let theirs = comparable(ServerSettings::parse(&theirs).unwrap());
            let ours = ours(&base, difference, &defaults);
            let differing = tools::differing(&ours, &theirs);
            assert!(
                ours == theirs,
                "{differing:#?}
{} from {} in\n{text}included:\n{included}",
                it.user,
                it.address
            );
            decided += 1;
        }
    }
    assert_eq!(decided, 250);
}
