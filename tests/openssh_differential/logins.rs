//! Which lines of `authorized_keys` admit a key, against a real `sshd` that is logged in to.

use clearway::openssh::Release;
use clearway::openssh::authorized_keys::{AuthorizedKeys, KeyVerdict, LoginContext};
use clearway::openssh::key::PublicKey;

use super::generator::Random;
use super::{server, tools};

/// A key that logs in: its file, and what is offered.
struct Credential {
    path: String,
    key: PublicKey,
}

fn options(random: &mut Random) -> String {
    let mut options = Vec::new();
    for _ in 0..random.below(4) {
        options.push(random.word(&[
            "restrict",
            "no-pty",
            "PTY",
            "port-forwarding",
            "command=\"/bin/true\"",
            "command=\"echo \\\"a b\\\"\"",
            "environment=\"A=1\"",
            "from=\"127.0.0.0/30\"",
            "from=\"127.0.0.2,!127.0.0.3\"",
            "from=\"!127.0.0.2,127.0.0.*\"",
            "from=\"*\"",
            "from=\"node1\"",
            "from=\"127.0.0.1/8\"",
            "expiry-time=\"20200101\"",
            "expiry-time=\"20990101Z\"",
            "permitopen=\"node2:22\"",
            "cert-authority",
            "CERT-AUTHORITY",
            "principals=\"nobody-here\"",
            "principals=\"other,lane\"",
            "no-such-option",
            "pty,",
            "command=true",
            "tunnel=\"x\"",
            "no-touch-required",
        ]));
    }
    options.join(",")
}

fn line(random: &mut Random, keys: &[String]) -> String {
    let options = options(random);
    let key = random.pick(keys);
    let blank = if options.is_empty() {
        ""
    } else {
        random.word(&[" ", "\t", "  "])
    };
    let end = random.word(&["\n", " comment\n", "\r\n", " c # d\r\n"]);
    match random.below(14) {
        0 => "# comment\n".to_owned(),
        1 => format!("{options} \n"),
        2 => format!(" {options}{blank}{}{end}", key.replace(' ', "\n")),
        _ => format!("{options}{blank}{key}{end}"),
    }
}

/// The certificates of a client's key, by one CA and with all that can be wrong about them.
fn credentials(directory: &std::path::Path, account: &str) -> (Vec<Credential>, Vec<String>) {
    let key = tools::make_key(directory, "client", &["-t", "ed25519"]);
    let other = tools::make_key(directory, "other", &["-t", "ed25519"]);
    let authority = tools::make_key(directory, "ca", &["-t", "ed25519"]);
    let read = |path: &str| {
        PublicKey::read_file(&std::fs::read(path).unwrap())
            .unwrap()
            .0
    };
    let mut credentials = vec![Credential {
        path: key.clone(),
        key: read(&format!("{key}.pub")),
    }];
    for (at, options) in [
        &["-n", account] as &[&str],
        &["-n", "lane"],
        &["-n", account, "-V", "20200101:20210101"],
        &["-n", account, "-O", "source-address=127.0.0.2/32"],
        &["-n", account, "-O", "force-command=/bin/true"],
        &["-n", account, "-h"],
        &[],
    ]
    .iter()
    .enumerate()
    {
        let path = format!("{key}{at}");
        std::fs::copy(&key, &path).unwrap();
        std::fs::copy(format!("{key}.pub"), format!("{path}.pub")).unwrap();
        let public = format!("{path}.pub");
        let arguments = [
            &["-q", "-s", authority.as_str(), "-I", "id"],
            *options,
            &[public.as_str()],
        ]
        .concat();
        tools::succeed("ssh-keygen", &arguments);
        // With the plain half there, ssh would offer that too.
        std::fs::remove_file(&public).unwrap();
        credentials.push(Credential {
            key: read(&format!("{path}-cert.pub")),
            path,
        });
    }
    let pool = vec![
        tools::public(&key),
        tools::public(&key),
        tools::public(&other),
        tools::public(&authority),
        tools::public(&authority),
    ];
    (credentials, pool)
}

struct Login<'a> {
    account: &'a str,
    port: u16,
}

impl Login<'_> {
    /// Whether the credential gets in, coming from this address.
    fn succeeds(&self, credential: &Credential, source: &str) -> bool {
        let port = self.port.to_string();
        let identity = format!("IdentityFile={}", credential.path);
        let certificate = format!("CertificateFile={}-cert.pub", credential.path);
        let mut arguments = vec![
            "-v",
            "-F",
            "none",
            "-p",
            &port,
            "-b",
            source,
            "-l",
            self.account,
        ];
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "KexAlgorithms=curve25519-sha256",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "PreferredAuthentications=publickey",
            &identity,
        ] {
            arguments.extend(["-o", option]);
        }
        if credential.key.certificate().is_some() {
            arguments.extend(["-o", &certificate]);
        }
        arguments.extend(["127.0.0.1", "true"]);
        let output = tools::run("ssh", &arguments);
        String::from_utf8_lossy(&output.stderr).contains("Authenticated to 127.0.0.1")
    }
}

#[test]
fn authorized_keys_admit_whom_sshd_admits() {
    const TEST: &str = "authorized_keys";
    if !server::have(TEST) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let release = tools::release();
    let account = tools::succeed("id", &["-un"]).trim().to_owned();
    let host_key = tools::make_key(at, "host", &["-t", "ed25519"]);
    let file = at.join("authorized_keys");
    let config = at.join("sshd_config").to_str().unwrap().to_owned();
    let penalties = if release >= Release::new(9, 8) {
        "PerSourcePenalties no\n"
    } else {
        ""
    };
    let text = format!(
        "HostKey {host_key}\nAuthorizedKeysFile {}\nForceCommand /bin/true\nPermitRootLogin yes\nPermitUserRC no\nUsePAM no\n\
         StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n{penalties}",
        file.display()
    );
    std::fs::write(&config, text).unwrap();
    let (credentials, pool) = credentials(at, &account);
    let login = Login {
        account: &account,
        port: server::listen(&config),
    };
    std::fs::write(&file, &pool[0]).unwrap();
    if !login.succeeds(&credentials[0], "127.0.0.1") {
        return tools::not_run(TEST, "this account cannot log in to itself with any key");
    }
    let now: u64 = tools::succeed("date", &["+%s"]).trim().parse().unwrap();
    let mut random = Random::new(7);
    let (mut admitted, mut refused) = (0, 0);
    for _ in 0..120 {
        // After a certificate, ssh offers the plain key in it too, so that one must not be listed then.
        let (credential, listed) = if random.one_in(3) {
            (&credentials[0], &pool[..])
        } else {
            (random.pick(&credentials[1..]), &pool[2..])
        };
        let text: String = (0..1 + random.below(4))
            .map(|_| line(&mut random, listed))
            .collect();
        std::fs::write(&file, &text).unwrap();
        let source = random.word(&["127.0.0.2", "127.0.0.3"]);
        let context = LoginContext {
            account: &account,
            address: source,
            host: source,
            now,
            utc_offset: 0,
            release,
        };
        let verdict = AuthorizedKeys::parse(text.as_bytes()).judge(&credential.key, &context);
        let ours = matches!(verdict, KeyVerdict::Authorized { .. });
        let theirs = login.succeeds(credential, source);
        assert_eq!(
            ours, theirs,
            "{} from {source}: {verdict:?}\n{text}",
            credential.path
        );
        *(if theirs { &mut admitted } else { &mut refused }) += 1;
    }
    assert!(
        admitted > 15 && refused > 15,
        "both outcomes occur: {admitted} {refused}"
    );
}
