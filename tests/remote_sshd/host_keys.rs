//! Nothing is sent to a machine whose host key is not the right one.

use std::fs;
use std::path::Path;

use clearway::domain::{HostKeyTrust, Why};
use clearway::remote::{ControlError, HostKeyFault, record_host_key};

use tempfile::TempDir;

use crate::sshd::*;

/// Tries the server with this `known_hosts` text, in which `HOST` stands for its name.
async fn with_known_hosts(server: &Sshd, text: &str) -> Result<(), ControlError> {
    let file = server.file("known_hosts");
    let host = format!("[{}]:{}", server.address, server.port);
    fs::write(&file, text.replace("HOST", &host)).unwrap();
    with_trust(server, known_in(&file)).await
}

async fn with_trust(server: &Sshd, trust: HostKeyTrust) -> Result<(), ControlError> {
    let mut node = server.node();
    node.control.host_key = trust;
    connector().connect(&node).await.map(|_| ())
}

fn fault(result: Result<(), ControlError>) -> HostKeyFault {
    let error = result.unwrap_err();
    assert_eq!(error.why, Why::ControlHostKey, "{error}");
    error.host_key.unwrap().fault
}

#[tokio::test]
async fn known_hosts_lines_count_as_they_do_for_openssh() {
    if !can_run("known_hosts_lines_count_as_they_do_for_openssh") {
        return;
    }
    let server = Sshd::start();
    let (key, other) = (
        keys().public("host_ed25519"),
        keys().public("other_ed25519"),
    );
    for text in [
        format!("HOST {key}"),
        format!("# comment\n\n[127.0.0.*]:* {key}"),
        format!("HOST {other}\nHOST {key}"),
        format!("127.0.0.1 {key}"),
    ] {
        with_known_hosts(&server, &text).await.unwrap();
    }
    assert!(matches!(
        fault(with_known_hosts(&server, "").await),
        HostKeyFault::Unknown { .. }
    ));
    let text = format!("!HOST,[127.0.0.*]:* {key}");
    assert!(matches!(
        fault(with_known_hosts(&server, &text).await),
        HostKeyFault::Unknown { .. }
    ));
    let text = format!("HOST {other}");
    let HostKeyFault::Changed { recorded } = fault(with_known_hosts(&server, &text).await) else {
        panic!("not changed");
    };
    assert_eq!((recorded.len(), recorded[0].line), (1, 1));
    let text = format!("HOST {key}\n@revoked * {key}");
    let HostKeyFault::Revoked { by } = fault(with_known_hosts(&server, &text).await) else {
        panic!("not revoked");
    };
    assert_eq!(by.line, 2);
    assert_eq!(server.logged("Failed publickey"), 0, "{}", server.log());
    assert_eq!(server.logged("Accepted publickey"), 4, "{}", server.log());
}

#[tokio::test]
async fn hashed_names_are_found() {
    if !can_run("hashed_names_are_found") {
        return;
    }
    let server = Sshd::start();
    let file = server.file("known_hosts");
    fs::write(
        &file,
        format!(
            "[127.0.0.1]:{} {}\n",
            server.port,
            keys().public("host_ed25519")
        ),
    )
    .unwrap();
    run("ssh-keygen", &["-q", "-H", "-f", text(&file)]);
    assert!(fs::read_to_string(&file).unwrap().starts_with("|1|"));
    with_trust(&server, known_in(&file)).await.unwrap();
}

#[tokio::test]
async fn the_host_is_asked_for_the_type_of_key_that_is_known() {
    if !can_run("the_host_is_asked_for_the_type_of_key_that_is_known") {
        return;
    }
    let server = Sshd::start();
    for name in ["host_rsa", "host_ecdsa", "host_ed25519"] {
        with_known_hosts(&server, &format!("HOST {}", keys().public(name)))
            .await
            .unwrap();
        with_trust(&server, pinned(name)).await.unwrap();
    }
}

#[tokio::test]
async fn pinned_fingerprints_alone_decide() {
    if !can_run("pinned_fingerprints_alone_decide") {
        return;
    }
    let server = Sshd::start();
    let file = server.file("known_hosts");
    fs::write(&file, format!("* {}\n", keys().public("host_ed25519"))).unwrap();
    let mut trust = pinned("other_ed25519");
    trust.known_hosts = vec![file];
    let error = with_trust(&server, trust).await.unwrap_err();
    let HostKeyFault::NotPinned { also, .. } = error.host_key.clone().unwrap().fault else {
        panic!("{error}");
    };
    assert_eq!(also.len(), 2, "{error}");
    for name in ["host_rsa", "host_ecdsa", "host_ed25519", "other_ed25519"] {
        assert!(
            error.to_string().contains(&keys().fingerprint(name)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_unreadable_file_is_not_an_empty_one() {
    if !can_run("an_unreadable_file_is_not_an_empty_one") {
        return;
    }
    let server = Sshd::start();
    let error = with_trust(&server, known_in(server.directory.path()))
        .await
        .unwrap_err();
    assert_eq!(error.why, Why::ControlHostKey);
    assert!(
        error.detail.starts_with("cannot read known_hosts file"),
        "{error}"
    );
    assert!(error.host_key.is_none());
    assert_eq!(server.logged("Connection from"), 0);
}

#[tokio::test]
async fn host_certificates_are_checked_against_their_authority() {
    if !can_run("host_certificates_are_checked_against_their_authority") {
        return;
    }
    let authority = format!("@cert-authority * {}", keys().public("ca"));
    for (kind, principals, validity, host, refusal) in [
        ("rsa", "127.0.0.1,other", "20230101:20330101", true, None),
        ("ecdsa", "127.0.0.1", "always:forever", true, None),
        ("ed25519", "127.0.0.1", "20230101:20330101", true, None),
        (
            "ed25519",
            "127.0.0.1",
            "20210101:20220101",
            true,
            Some("expired"),
        ),
        (
            "ed25519",
            "127.0.0.1",
            "20300101:20330101",
            true,
            Some("not yet valid"),
        ),
        (
            "ed25519",
            "10.9.9.9",
            "20230101:20330101",
            true,
            Some("not a listed principal"),
        ),
        (
            "ed25519",
            "127.0.0.1",
            "20230101:20330101",
            false,
            Some("not a host certificate"),
        ),
    ] {
        let (server, _files) = certified(kind, principals, validity, host);
        let result = with_known_hosts(&server, &authority).await;
        let Some(refusal) = refusal else {
            result.unwrap();
            continue;
        };
        let problem = result.unwrap_err().host_key.unwrap();
        assert!(
            matches!(problem.fault, HostKeyFault::Unknown { .. }),
            "{problem}"
        );
        assert!(
            problem.certificate.as_deref().unwrap().contains(refusal),
            "{problem}"
        );
        // OpenSSH then goes on with the plain key inside.
        let text = format!("{authority}\nHOST {}", problem.key);
        with_known_hosts(&server, &text).await.unwrap();
    }
    let (server, _files) = certified("ed25519", "127.0.0.1", "20230101:20330101", true);
    let text = format!("{authority}\n@revoked * {}", keys().public("ca"));
    assert!(matches!(
        fault(with_known_hosts(&server, &text).await),
        HostKeyFault::Revoked { .. }
    ));
    let text = format!("@cert-authority * {}", keys().public("other_ed25519"));
    assert!(matches!(
        fault(with_known_hosts(&server, &text).await),
        HostKeyFault::Unknown { .. }
    ));
}

/// A server with a host key of its own and a certificate for it, and the files of both.
fn certified(kind: &str, principals: &str, validity: &str, host: bool) -> (Sshd, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("host");
    keygen(&key, kind, if kind == "rsa" { "2048" } else { "256" }, "");
    let public = directory.path().join("host.pub");
    certify(&public, host, principals, validity);
    let certificate = directory.path().join("host-cert.pub");
    let server = Sshd::with_files(&[key], &format!("HostCertificate {}", text(&certificate)));
    // sshd reads them again for every connection.
    (server, directory)
}

#[tokio::test]
async fn an_alias_is_looked_up_instead_of_the_address() {
    if !can_run("an_alias_is_looked_up_instead_of_the_address") {
        return;
    }
    let server = Sshd::start();
    let file = server.file("known_hosts");
    fs::write(
        &file,
        format!("the-node {}\n", keys().public("host_ed25519")),
    )
    .unwrap();
    let mut trust = known_in(&file);
    assert!(with_trust(&server, trust.clone()).await.is_err());
    trust.alias = Some("The-Node".to_owned());
    with_trust(&server, trust).await.unwrap();
}

#[tokio::test]
async fn an_unknown_key_can_be_shown_recorded_and_is_then_known() {
    if !can_run("an_unknown_key_can_be_shown_recorded_and_is_then_known") {
        return;
    }
    let server = Sshd::start();
    let home = server.file("home");
    let mut node = server.node();
    node.control.host_key = HostKeyTrust {
        known_hosts: Vec::new(),
        alias: None,
        pinned: Vec::new(),
    };
    let connect = async |home: &Path| {
        let connector = clearway::remote::Connector::new(environment(home, None), deadlines());
        connector.connect(&node).await.map(|_| ())
    };
    let problem = connect(&home).await.unwrap_err().host_key.unwrap();
    assert_eq!(
        problem.key.fingerprint().to_string(),
        keys().fingerprint("host_ed25519")
    );
    assert_eq!(problem.record_in, home.join(".ssh/known_hosts"));
    record_host_key(&problem.record_in, &problem.host, &problem.key, [7; 20]).unwrap();
    connect(&home).await.unwrap();
    run(
        "ssh-keygen",
        &["-F", &problem.host, "-f", text(&problem.record_in)],
    );
}
