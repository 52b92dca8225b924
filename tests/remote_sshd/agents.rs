//! Keys that only ssh-agent can use.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clearway::domain::Why;
use clearway::remote::Connector;

use crate::sshd::*;

struct Agent {
    socket: PathBuf,
    child: Child,
}

impl Agent {
    fn start(directory: &Path) -> Self {
        let socket = directory.join("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", text(&socket)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !socket.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { socket, child }
    }

    fn add(&self, key: &Path) {
        let added = Command::new("ssh-add")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            added.status.success(),
            "{}",
            String::from_utf8_lossy(&added.stderr)
        );
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn keys_and_certificates_held_by_an_agent_log_in() {
    if !can_run("keys_and_certificates_held_by_an_agent_log_in") {
        return;
    }
    let configuration = format!("TrustedUserCAKeys {}", text(&keys().path("ca.pub")));
    let server = Sshd::with(&["host_ed25519"], &configuration);
    let mut node = server.node();
    node.control.identities = Vec::new();
    node.control.agent = true;
    let certified = server.file("certified");
    keygen(&certified, "rsa", "2048", "");
    certify(
        &certified.with_extension("pub"),
        false,
        me(),
        "always:forever",
    );
    for key in [
        keys().path("user_ed25519"),
        keys().path("user_rsa"),
        certified,
    ] {
        let directory = tempfile::tempdir().unwrap();
        let agent = Agent::start(directory.path());
        agent.add(&key);
        let environment = environment(Path::new("/nonexistent"), Some(agent.socket.clone()));
        assert_logs_in(&Connector::new(environment.clone(), deadlines()), &node).await;
        let mut without = node.clone();
        without.control.agent = false;
        let error = Connector::new(environment, deadlines())
            .connect(&without)
            .await
            .unwrap_err();
        assert_eq!(error.why, Why::ControlIdentity);
    }
}

#[tokio::test]
async fn an_encrypted_file_logs_in_through_the_agent_that_holds_it() {
    if !can_run("an_encrypted_file_logs_in_through_the_agent_that_holds_it") {
        return;
    }
    let server = Sshd::start();
    let agent = Agent::start(server.directory.path());
    agent.add(&keys().path("user_ed25519"));
    let encrypted = server.file("encrypted");
    std::fs::copy(keys().path("user_ed25519"), &encrypted).unwrap();
    run(
        "ssh-keygen",
        &["-q", "-p", "-N", "secret", "-f", text(&encrypted)],
    );
    let public = server.file("public");
    std::fs::copy(keys().path("user_ed25519.pub"), &public).unwrap();
    for identity in [encrypted, public] {
        let mut node = server.node();
        node.control.identities = vec![identity];
        node.control.agent = true;
        let environment = environment(Path::new("/nonexistent"), Some(agent.socket.clone()));
        assert_logs_in(&Connector::new(environment, deadlines()), &node).await;
    }
}

#[tokio::test]
async fn an_agent_that_is_gone_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("gone");
    let mut node = node("203.0.113.1", 22);
    node.control.identities = Vec::new();
    node.control.agent = true;
    let environment = environment(directory.path(), Some(socket.clone()));
    let error = Connector::new(environment, deadlines())
        .connect(&node)
        .await
        .unwrap_err();
    assert_eq!(error.why, Why::ControlIdentity);
    assert!(error.detail.contains(text(&socket)), "{error}");
}
