//! What becomes of a server's key, against a real `ssh` that meets a real `sshd`.

use std::path::Path;
use std::sync::Arc;

use clearway::openssh::Release;
use clearway::openssh::client_config::ClientSettings;
use clearway::openssh::key::{KeyKind, PublicKey};
use clearway::openssh::known_hosts::{
    Acceptance, HashedName, HostKeyContext, HostKeyStatus, HostName, KeyTypeOrder, KnownHosts,
    KnownHostsSet, Position, StrictHostKeyChecking, negotiate_host_key_algorithm,
    server_host_key_algorithms,
};

use super::generator::Random;
use super::{server, tools};

/// An sshd with its keys; each certificate follows the key that it is for.
struct Server {
    config: String,
    keys: Vec<PublicKey>,
}

struct Lab {
    directory: tempfile::TempDir,
    servers: Vec<Server>,
    /// Lines' keys: the servers', others of the same types, and CAs.
    pool: Vec<String>,
    settings: ClientSettings,
    now: u64,
    release: Release,
}

fn certify(directory: &Path, authority: &str, key: &str, name: &str, options: &[&str]) -> String {
    let path = directory.join(name).to_str().unwrap().to_owned();
    for suffix in ["", ".pub"] {
        std::fs::copy(format!("{key}{suffix}"), format!("{path}{suffix}")).unwrap();
    }
    let public = format!("{path}.pub");
    let arguments = [
        &["-q", "-s", authority, "-I", name, "-h"],
        options,
        &[&public],
    ]
    .concat();
    tools::succeed("ssh-keygen", &arguments);
    path
}

impl Lab {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let key = |name: &str, kind: &str| tools::make_key(at, name, &["-t", kind]);
        let (ed, ec) = (key("ed", "ed25519"), key("ec", "ecdsa"));
        let (other_ed, other_ec) = (key("other_ed", "ed25519"), key("other_ec", "ecdsa"));
        let (ca, other_ca) = (key("ca", "ed25519"), key("other_ca", "ed25519"));
        let good = certify(at, &ca, &ed, "good", &["-n", "node2"]);
        let expired = certify(
            at,
            &ca,
            &ed,
            "expired",
            &["-n", "node2", "-V", "20200101:20210101"],
        );
        let elsewhere = certify(at, &ca, &ed, "elsewhere", &["-n", "node3"]);
        let server = |name: &str, keys: &[&str], certificate: Option<&str>| {
            let config = at.join(format!("sshd_{name}")).to_str().unwrap().to_owned();
            let mut text = "UsePAM no\nStrictModes no\nPidFile none\n".to_owned();
            let read = |path: String| {
                PublicKey::read_file(&std::fs::read(path).unwrap())
                    .unwrap()
                    .0
            };
            let mut public = Vec::new();
            for path in keys {
                text += &format!("HostKey {path}\n");
                public.push(read(format!("{path}.pub")));
            }
            if let Some(path) = certificate {
                text += &format!("HostCertificate {path}-cert.pub\n");
                public.insert(1, read(format!("{path}-cert.pub")));
            }
            std::fs::write(&config, text).unwrap();
            Server {
                config,
                keys: public,
            }
        };
        let servers = vec![
            server("both", &[&ed, &ec], None),
            server("ecdsa", &[&ec], None),
            server("good", &[&good, &ec], Some(&good)),
            server("expired", &[&expired], Some(&expired)),
            server("elsewhere", &[&elsewhere, &ec], Some(&elsewhere)),
        ];
        let pool = [ed, ec, other_ed, other_ec, ca, other_ca]
            .iter()
            .map(|path| tools::public(path))
            .collect();
        let settings = tools::run("ssh", &["-G", "-F", "none", "node2"]);
        Self {
            servers,
            pool,
            settings: ClientSettings::parse(&settings.stdout).unwrap(),
            now: tools::succeed("date", &["+%s"]).trim().parse().unwrap(),
            release: tools::release(),
            directory,
        }
    }

    fn file(&self, random: &mut Random) -> String {
        let mut text = String::new();
        for _ in 0..random.below(4) {
            let name = random.word(&[
                "node2",
                "[node2]:8022",
                "*",
                "node?",
                "*,!node2",
                "other",
                "[*]:8022",
            ]);
            let hosts = if random.one_in(3) && !name.contains(['*', '?']) {
                HashedName::new(name, [7; 20]).to_string()
            } else {
                name.to_owned()
            };
            let key = random.below(self.pool.len());
            // The last two are CAs.
            let marker = match random.below(8) {
                0 => "@revoked ",
                _ if key >= self.pool.len() - 2 => "@cert-authority ",
                1 => "@cert-authority ",
                _ => "",
            };
            text += &format!("{marker}{hosts} {}\n", self.pool[key]);
        }
        text
    }
}

/// What `ssh -v` said.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    algorithm: Option<String>,
    accepted: bool,
    verified: bool,
    known_at: Option<Position>,
    offending: Option<Position>,
    revoked: bool,
}

fn position(text: &str, directory: &Path) -> Position {
    let (path, line) = text.trim().rsplit_once(':').unwrap();
    let file = path
        .strip_prefix(directory.to_str().unwrap())
        .unwrap()
        .strip_prefix("/known_hosts")
        .unwrap();
    Position {
        file: file.parse().unwrap(),
        line: line.parse().unwrap(),
    }
}

fn theirs(lab: &Lab, server: &Server, port: u16, strict: &str) -> (Outcome, String) {
    let at = lab.directory.path();
    let proxy = format!("ProxyCommand={} -i -f {}", server::SSHD, server.config);
    let files = format!(
        "UserKnownHostsFile={0}/known_hosts0 {0}/known_hosts1",
        at.display()
    );
    let strict = format!("StrictHostKeyChecking={strict}");
    let port = port.to_string();
    let mut arguments = vec!["-v", "-F", "none", "-p", &port];
    for option in [
        "BatchMode=yes",
        "GlobalKnownHostsFile=none",
        "KexAlgorithms=curve25519-sha256",
        "UpdateHostKeys=no",
        "PreferredAuthentications=none",
        "IdentityFile=none",
        &proxy,
        &files,
        &strict,
    ] {
        arguments.extend(["-o", option]);
    }
    arguments.extend(["node2", "true"]);
    let output = tools::run("ssh", &arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = |start: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix(start))
            .next_back()
    };
    // Of a certificate that is then refused, the first half says that it is known.
    let decisive = text.rsplit("Retry with plain key").next().unwrap();
    let found = ["debug1: Found key in ", "debug1: Found CA key in "]
        .iter()
        .find_map(|start| last(start));
    let accepted = text.contains("SSH2_MSG_NEWKEYS received");
    let verified = accepted && decisive.contains("is known and matches the");
    let offending = text.lines().find_map(|line| {
        let (kind, place) = line.strip_prefix("Offending ")?.split_once(" key in ")?;
        (!kind.contains(' ')).then(|| position(place, at))
    });
    let outcome = Outcome {
        algorithm: last("debug1: kex: host key algorithm: ").map(str::to_owned),
        accepted,
        verified,
        known_at: found.filter(|_| verified).map(|place| position(place, at)),
        offending,
        revoked: text.contains("REVOKED HOST KEY"),
    };
    (outcome, text)
}

fn ours(
    lab: &Lab,
    server: &Server,
    files: &KnownHostsSet,
    port: u16,
    strict: StrictHostKeyChecking,
) -> Outcome {
    let host = HostName::new("node2", port);
    let context = HostKeyContext {
        now: lab.now,
        release: lab.release,
        ca_signature_algorithms: lab.settings.ca_signature_algorithms.as_deref(),
        host_key_algorithms: Some(&lab.settings.host_key_algorithms),
        check_address: None,
    };
    let proposed = files.proposed_algorithms(
        &host,
        &lab.settings.host_key_algorithms,
        KeyTypeOrder::KnownFirst,
        &context,
    );
    let offered = server_host_key_algorithms(&server.keys, None);
    let algorithm = negotiate_host_key_algorithm(&proposed, &offered).unwrap();
    let (kind, is_certificate) = KeyKind::from_algorithm(algorithm).unwrap();
    let fits =
        |key: &&PublicKey| key.kind() == kind && key.certificate().is_some() == is_certificate;
    let check = files.check(&host, server.keys.iter().find(fits).unwrap(), &context);
    let acceptance = check.acceptance(strict, true);
    let second = check.without_port.as_deref();
    let is_revoked = |status: &HostKeyStatus| matches!(status, HostKeyStatus::Revoked { .. });
    Outcome {
        algorithm: Some(algorithm.to_owned()),
        accepted: acceptance != Acceptance::Refused,
        verified: acceptance == Acceptance::Verified,
        known_at: check
            .known_at()
            .filter(|_| acceptance == Acceptance::Verified),
        offending: match &check.status {
            HostKeyStatus::Changed { offending, .. } => Some(*offending),
            _ => None,
        }
        .filter(|_| acceptance != Acceptance::Verified),
        revoked: is_revoked(&check.status)
            || second.is_some_and(|second| is_revoked(&second.status)),
    }
}

#[test]
fn a_servers_key_fares_with_us_as_with_ssh() {
    if !server::have("host key check") {
        return;
    }
    let lab = Lab::new();
    let mut random = Random::new(6);
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..140 {
        let texts = [lab.file(&mut random), lab.file(&mut random)];
        let files = texts
            .iter()
            .map(|text| Arc::new(KnownHosts::parse(text.as_bytes())))
            .collect();
        let files = KnownHostsSet::new(files);
        for (at, text) in texts.iter().enumerate() {
            std::fs::write(lab.directory.path().join(format!("known_hosts{at}")), text).unwrap();
        }
        let server = random.pick(&lab.servers);
        let port = *random.pick(&[22, 8022]);
        let (word, strict) = *random.pick(&[
            ("yes", StrictHostKeyChecking::Yes),
            ("ask", StrictHostKeyChecking::Ask),
            ("accept-new", StrictHostKeyChecking::AcceptNew),
            ("no", StrictHostKeyChecking::No),
        ]);
        let ours = ours(&lab, server, &files, port, strict);
        let (theirs, said) = theirs(&lab, server, port, word);
        assert_eq!(
            ours, theirs,
            "{} {port} {word}\n{}---\n{}{said}",
            server.config, texts[0], texts[1]
        );
        *seen
            .entry((theirs.accepted, theirs.verified, theirs.revoked))
            .or_insert(0) += 1;
    }
    assert!(seen.len() >= 5, "every outcome occurs: {seen:?}");
}
