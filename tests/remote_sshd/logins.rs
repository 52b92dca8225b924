//! Which keys log in, and what is said when none does.

use std::fs;
use std::path::{Path, PathBuf};

use clearway::domain::Why;
use clearway::remote::{Connector, ControlError};

use crate::sshd::*;

async fn with_identities(server: &Sshd, identities: &[PathBuf]) -> Result<(), ControlError> {
    let mut node = server.node();
    node.control.identities = identities.to_vec();
    connector().connect(&node).await.map(|_| ())
}

#[tokio::test]
async fn keys_of_all_types_and_formats_log_in() {
    if !can_run("keys_of_all_types_and_formats_log_in") {
        return;
    }
    let server = Sshd::start();
    for name in ["user_ed25519", "user_rsa", "user_ecdsa", "user_pem"] {
        with_identities(&server, &[keys().path(name)])
            .await
            .unwrap();
    }
    assert_eq!(server.logged("Failed publickey"), 0, "{}", server.log());
}

/// What hardened servers leave over: with FIPS mode only NIST's curves and DH groups, with some guides one algorithm of each kind.
#[tokio::test]
async fn one_algorithm_of_each_kind_is_enough() {
    if !can_run("one_algorithm_of_each_kind_is_enough") {
        return;
    }
    for only in [
        "KexAlgorithms curve25519-sha256",
        "KexAlgorithms ecdh-sha2-nistp256",
        "KexAlgorithms ecdh-sha2-nistp384",
        "KexAlgorithms ecdh-sha2-nistp521",
        "KexAlgorithms diffie-hellman-group-exchange-sha256",
        "KexAlgorithms diffie-hellman-group14-sha256",
        "KexAlgorithms diffie-hellman-group16-sha512",
        "Ciphers chacha20-poly1305@openssh.com",
        "Ciphers aes128-gcm@openssh.com",
        "Ciphers aes256-gcm@openssh.com",
        "Ciphers aes128-ctr\nMACs hmac-sha2-256",
        "Ciphers aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com",
    ] {
        let server = Sshd::with(&["host_ed25519"], only);
        let outcome = connector().connect(&server.node()).await;
        assert!(outcome.is_ok(), "{only}: {:?}", outcome.err());
    }
}

#[tokio::test]
async fn rsa_keys_do_not_sign_with_sha_1() {
    if !can_run("rsa_keys_do_not_sign_with_sha_1") {
        return;
    }
    let server = Sshd::with(&["host_ed25519"], "PubkeyAcceptedAlgorithms rsa-sha2-512");
    with_identities(&server, &[keys().path("user_rsa")])
        .await
        .unwrap();
}

#[tokio::test]
async fn the_usual_files_are_offered_when_none_is_named() {
    if !can_run("the_usual_files_are_offered_when_none_is_named") {
        return;
    }
    let server = Sshd::start();
    let ssh = server.file("home/.ssh");
    fs::create_dir_all(&ssh).unwrap();
    fs::copy(keys().path("user_ed25519"), ssh.join("id_ed25519")).unwrap();
    let mut node = server.node();
    node.control.identities = Vec::new();
    let connector = Connector::new(environment(&server.file("home"), None), deadlines());
    assert_logs_in(&connector, &node).await;
}

#[tokio::test]
async fn user_certificates_beside_the_key_log_in() {
    if !can_run("user_certificates_beside_the_key_log_in") {
        return;
    }
    let configuration = format!("TrustedUserCAKeys {}", text(&keys().path("ca.pub")));
    let server = Sshd::with(&["host_ed25519"], &configuration);
    for (kind, bits) in [("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "256")] {
        let key = server.file(&format!("certified_{kind}"));
        keygen(&key, kind, bits, "");
        let error = with_identities(&server, std::slice::from_ref(&key))
            .await
            .unwrap_err();
        assert_eq!(error.why, Why::ControlDenied);
        certify(&key.with_extension("pub"), false, me(), "always:forever");
        with_identities(&server, std::slice::from_ref(&key))
            .await
            .unwrap();
        certify(&key.with_extension("pub"), false, me(), "20200101:20210101");
        let error = with_identities(&server, &[key]).await.unwrap_err();
        assert!(
            error
                .detail
                .contains("the certificate beside it has expired"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_refused_login_is_tried_once_and_says_what_was_offered() {
    if !can_run("a_refused_login_is_tried_once_and_says_what_was_offered") {
        return;
    }
    let server = Sshd::start();
    let error = with_identities(&server, &[keys().path("other_ed25519")])
        .await
        .unwrap_err();
    assert_eq!(error.why, Why::ControlDenied);
    let offered = format!(
        "offered {} ({})",
        keys().fingerprint("other_ed25519"),
        text(&keys().path("other_ed25519"))
    );
    assert!(error.detail.contains(&offered), "{error}");
    assert!(
        error.detail.contains("the server accepts publickey"),
        "{error}"
    );
    assert_eq!(server.logged("Connection from"), 1, "{}", server.log());
}

#[tokio::test]
async fn no_more_keys_are_offered_than_a_server_bears() {
    if !can_run("no_more_keys_are_offered_than_a_server_bears") {
        return;
    }
    let server = Sshd::start();
    let mut identities = vec![keys().path("other_ed25519"); 6];
    identities.push(keys().path("user_ed25519"));
    let error = with_identities(&server, &identities).await.unwrap_err();
    assert_eq!(error.why, Why::ControlDenied);
    assert!(
        error.detail.contains("2 more keys were not offered"),
        "{error}"
    );
    assert_eq!(
        server.logged("maximum authentication attempts exceeded"),
        0,
        "{}",
        server.log()
    );
    let server = Sshd::with(&["host_ed25519"], "MaxAuthTries 2");
    let error = with_identities(&server, &identities).await.unwrap_err();
    assert_eq!(error.why, Why::ControlDenied);
    assert!(
        error.detail.contains("Too many authentication failures"),
        "{error}"
    );
}

#[tokio::test]
async fn a_second_factor_is_named() {
    if !can_run("a_second_factor_is_named") {
        return;
    }
    let configuration = "AuthenticationMethods publickey,password\nPasswordAuthentication yes";
    let server = Sshd::with(&["host_ed25519"], configuration);
    let error = with_identities(&server, &[keys().path("user_ed25519")])
        .await
        .unwrap_err();
    assert_eq!(error.why, Why::ControlDenied);
    assert!(error.detail.contains("second factor (password)"), "{error}");
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_named_before_anything_is_dialled() {
    let directory = tempfile::tempdir().unwrap();
    let encrypted = directory.path().join("encrypted");
    keygen(&encrypted, "ed25519", "256", "secret");
    let damaged = directory.path().join("damaged");
    fs::write(
        &damaged,
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    )
    .unwrap();
    let text = directory.path().join("text");
    fs::write(&text, "hello\n").unwrap();
    for (path, trouble) in [
        (encrypted, "encrypted with a passphrase"),
        (damaged, "not a private key"),
        (text, "not a key"),
        (directory.path().join("missing"), "No such file"),
        (directory.path().to_path_buf(), "not a regular file"),
    ] {
        let mut node = node("203.0.113.1", 22);
        node.control.identities = vec![path.clone()];
        let error = connector().connect(&node).await.unwrap_err();
        assert_eq!(error.why, Why::ControlIdentity);
        assert!(error.detail.contains(trouble), "{error}");
        assert!(error.detail.contains(path.to_str().unwrap()), "{error}");
    }
    let mut node = node("203.0.113.1", 22);
    node.control.identities = Vec::new();
    let connector = Connector::new(environment(Path::new("/nonexistent"), None), deadlines());
    assert_eq!(
        connector.connect(&node).await.unwrap_err().why,
        Why::ControlIdentity
    );
}
