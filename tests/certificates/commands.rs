//! `clearway keys` as it is typed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clearway_lab::{Lab, LabSupport, Node};

use crate::fleet::{Cloud, sh};

const DROP_IN: &str = "/etc/ssh/sshd_config.d/10-clearway.conf";

/// A cloud and the authority's key file.
pub(crate) struct Keys {
    pub(crate) cloud: Cloud,
    pub(crate) authority: PathBuf,
    dir: tempfile::TempDir,
}

impl Keys {
    pub(crate) fn start(nodes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = new_authority(dir.path(), "ca");
        Self {
            cloud: Cloud::start(nodes),
            authority,
            dir,
        }
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.cloud.lab
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.lab().command(env!("CARGO_BIN_EXE_clearway"));
        command
            .arg("keys")
            .args(words)
            .arg("--ledger")
            .arg(self.ledger())
            .arg("--ca")
            .arg(&self.authority)
            .arg("--revocations")
            .arg(self.list())
            .arg("--inventory")
            .arg(self.lab().inventory())
            .stdin(Stdio::null());
        command
    }

    /// What `clearway` prints for these words.
    pub(crate) fn command_output(&self, words: &[&str], stdin: Stdio) -> String {
        let mut command = self.lab().command(env!("CARGO_BIN_EXE_clearway"));
        command.args(words).arg("--ledger").arg(self.ledger());
        let output = command.stdin(stdin).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// The ids of all runs, the first one first: in the order that the ledger tells, because the ids of one second have none.
    pub(crate) fn runs(&self) -> Vec<String> {
        let said = self.command_output(&["runs", "--format", "json"], Stdio::null());
        let runs: serde_json::Value = serde_json::from_str(&said).unwrap();
        let runs = runs.as_array().unwrap().iter();
        let mut ids: Vec<String> = runs
            .map(|it| it["run"].as_str().unwrap().to_owned())
            .collect();
        ids.reverse();
        ids
    }

    fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger.sqlite")
    }

    /// `clearway repair` with these words, and what came of it.
    pub(crate) fn repair(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = self.lab().command(env!("CARGO_BIN_EXE_clearway"));
        command.arg("repair").args(words).arg("--ledger");
        command.arg(self.ledger()).arg("--inventory");
        command.arg(self.lab().inventory()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    pub(crate) fn repaired(&self, words: &[&str], when: &str) -> String {
        let (code, said) = self.repair(words);
        assert_eq!(code, Some(0), "{when}: {said}");
        said
    }

    pub(crate) fn list(&self) -> PathBuf {
        self.dir.path().join("revoked")
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// All that it says, whatever comes of it.
    pub(crate) fn said(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// How it ends.
    pub(crate) fn code(&self, words: &[&str]) -> Option<i32> {
        self.run(words).status.code()
    }

    /// From now on, with the key of another authority.
    pub(crate) fn take_another_authority(&mut self) {
        self.authority = new_authority(self.dir.path(), "another");
    }

    pub(crate) fn well(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {out}{err}");
        out
    }
}

fn new_authority(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path);
    assert!(keygen.status().unwrap().success());
    path
}

fn files(node: &Node) -> String {
    sh(
        node,
        "find /etc/ssh /root/.ssh /var/lib/nova/.ssh ! -type d -printf '%p %m %U:%G %T@\\n' | sort
         find /etc/ssh /root/.ssh /var/lib/nova/.ssh -type f -exec sha256sum {} + | sort",
    )
}

fn leftovers(node: &Node) -> String {
    sh(
        node,
        "find /run /tmp /etc /root /var/lib /home -name '*clearway*' ! -name 10-clearway.conf ! -name '*.clearway-2*' ! -path '/run/lock/*' 2>/dev/null || true",
    )
}

#[test]
fn certified_retired_renewed_and_revoked_by_command() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(3);
    for node in keys.lab().nodes() {
        sh(
            node,
            "rm /root/.ssh/known_hosts /var/lib/nova/.ssh/known_hosts /var/lib/nova/.ssh/authorized_keys",
        );
    }
    let looked = keys.well(&["certify", "--dry-run"]);
    assert!(
        looked.contains("12 certificates to put on nodes"),
        "{looked}"
    );
    assert!(looked.contains("node[1-3]"), "{looked}");
    keys.well(&["certify", "--yes"]);
    keys.cloud.all_verified("certified by command");
    let before: Vec<String> = keys.lab().nodes().iter().map(files).collect();
    let again = keys.well(&["certify", "--yes"]);
    assert!(
        again.contains("0 certificates to put on nodes, 12 as they should be"),
        "{again}"
    );
    let again = keys.well(&["renew", "--yes"]);
    assert!(again.contains("0 certificates"), "{again}");
    let after: Vec<String> = keys.lab().nodes().iter().map(files).collect();
    assert_eq!(before, after, "a second time nothing is written");

    let renewed = keys.well(&["renew", "--yes", "--before", "200", "--lifetime", "400"]);
    assert!(
        renewed.contains("12 certificates to put on nodes"),
        "{renewed}"
    );
    keys.cloud.all_verified("renewed by command");

    let out = keys.well(&["revoke", "node3", "--yes"]);
    assert!(out.contains("repaired: node[1-2]"), "{out}");
    let report = keys.cloud.check();
    for leg in &report.legs {
        let concerned = leg.client == "node3" || leg.server == "node3";
        assert_eq!(leg.verdict == "verified", !concerned, "{out}{leg:#?}");
    }
    let list = std::fs::read_to_string(keys.list()).unwrap();
    assert!(list.contains("id: clearway:host:node3:1\n"), "{list}");
    assert!(list.contains("id: clearway:user:nova@node3:1\n"), "{list}");
}

#[test]
fn from_keys_to_certificates_and_without_keys_by_command() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(3);
    keys.well(&["certify", "--yes"]);
    keys.cloud.all_verified("with both");
    keys.well(&["retire", "--yes"]);
    keys.cloud.all_verified("with certificates alone");
    let admitted = sh(
        keys.cloud.node("node1"),
        "cat /var/lib/nova/.ssh/authorized_keys",
    );
    assert_eq!(admitted.lines().count(), 1, "{admitted}");
    for node in keys.lab().nodes() {
        assert_eq!(leftovers(node), "", "{}", node.name());
    }
}

#[test]
fn what_cannot_be_signed_or_asked_for_changes_nothing() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(2);
    let before: Vec<String> = keys.lab().nodes().iter().map(files).collect();
    let refused = |words: &[&str], said: &str| {
        let output = keys.run(words);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {err}");
        assert!(err.contains(said), "{words:?}: {err}");
        assert!(err.contains("hint: "), "{words:?}: {err}");
    };
    refused(&["certify"], "no terminal to ask on");
    refused(&["certify", "--yes", "--ca-agent"], "agent not present");
    refused(&["revoke", "node9", "--yes"], "no node `node9`");
    let after: Vec<String> = keys.lab().nodes().iter().map(files).collect();
    assert_eq!(before, after);
}

fn waits_for(node: &Node, line: &str, what: &str, within: Duration) {
    let began = Instant::now();
    while !node.sh(line).unwrap().status.success() {
        assert!(began.elapsed() < within, "{}: {what}", node.name());
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn where_no_new_login_comes_sshd_goes_back_and_the_others_go_on() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(3);
    let broken = keys.cloud.node("node2");
    let before = sh(broken, "find /etc/ssh -type f -exec sha256sum {} + | sort");
    // From the moment at which the change is made, nobody new gets in.
    let mut watch = broken
        .command("/bin/sh")
        .args([
            "-c",
            &format!(
                "while ! [ -e {DROP_IN} ]; do sleep 0.02; done
                 nft add table inet f; nft add chain inet f i '{{type filter hook input priority 0;}}'
                 nft add rule inet f i ip saddr 10.77.255.254 tcp dport 22 tcp flags syn drop"
            ),
        ])
        .spawn()
        .unwrap();
    let output = keys.run(&["certify", "--yes", "--revert-after", "6", "--timeout", "3"]);
    watch.wait().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.contains("refused, nothing changed: node2"), "{out}");
    assert!(out.contains("repaired: node[1,3]"), "{out}");
    assert_ne!(output.status.code(), Some(0), "{out}");
    let after = sh(broken, "find /etc/ssh -type f -exec sha256sum {} + | sort");
    assert_eq!(before, after);
    waits_for(
        broken,
        "! [ -e /run/clearway-sshd ]",
        "the guard's directory",
        Duration::from_secs(10),
    );
    sh(broken, "nft delete table inet f");
    keys.cloud
        .all_verified("keys do for node2 what certificates do for the others");
    keys.well(&["certify", "--yes"]);
    keys.cloud
        .all_verified("the second time all have certificates");
}

/// The legs of a check that are not verified.
fn others(keys: &Keys) -> Vec<String> {
    let legs = keys.cloud.check().legs.into_iter();
    legs.filter(|it| it.verdict != "verified")
        .map(|it| format!("{} → {}: {:?}", it.client, it.server, it.code))
        .collect()
}

#[test]
fn an_sshd_whose_configuration_was_broken_before_is_refused_and_lives() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(3);
    let before: Vec<String> = keys.lab().nodes().iter().map(files).collect();
    let broken = keys.cloud.node("node2");
    sh(broken, "cp -p /etc/ssh/sshd_config /root/kept");
    let breaks = "echo 'Fooo bar' >>/etc/ssh/sshd_config";
    sh(broken, breaks);
    let pending = files(broken);
    let output = keys.run(&["certify", "--yes"]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("refused, nothing changed: node2"), "{out}");
    assert!(out.contains("Bad configuration option: Fooo"), "{out}");
    assert_eq!(files(broken), pending);
    assert_eq!(others(&keys), [""; 0]);
    // What was not made is not put back either.
    keys.repaired(&["undo", "last", "--yes"], "undo, node2 still broken");
    assert_eq!(files(broken), pending);
    assert_eq!(others(&keys), [""; 0]);

    sh(broken, "mv /root/kept /etc/ssh/sshd_config");
    keys.well(&["certify", "--yes"]);
    let certified = files(broken);
    sh(broken, "cp -p /etc/ssh/sshd_config /root/kept");
    sh(broken, breaks);
    let pending = files(broken);
    let (code, said) = keys.repair(&["undo", "last", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("could not be put back: node2"), "{said}");
    assert!(said.contains("Fooo"), "{said}");
    assert_eq!(files(broken), pending, "none of it");
    assert_eq!(others(&keys), [""; 0]);
    sh(broken, "mv /root/kept /etc/ssh/sshd_config");
    assert_eq!(files(broken), certified);
    let certify = keys.runs()[2].clone();
    keys.repaired(&["undo", &certify, "--yes"], "undo");
    let bytes = |all: &str| -> Vec<String> {
        let sums = all.lines().filter(|it| it.contains("  /"));
        sums.map(str::to_owned).collect()
    };
    for (node, before) in keys.lab().nodes().iter().zip(&before) {
        assert_eq!(bytes(&files(node)), bytes(before), "{}", node.name());
    }
    keys.cloud.all_verified("with keys again");
}

#[test]
fn where_sshd_cannot_be_told_of_the_end_that_is_told_and_undone_once_it_can() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(3);
    let node = keys.cloud.node("node2");
    let files = "find /etc/ssh /root/.ssh /var/lib/nova/.ssh -type f ! -name '*.clearway-2*' -exec sha256sum {} + | sort";
    let before = sh(node, files);
    sh(node, "cp -p /etc/ssh/sshd_config /root/kept");
    // From the moment at which the change is made nobody new gets in; and once sshd was told, somebody makes a mistake.
    let mut watch = node
        .command("/bin/sh")
        .args([
            "-c",
            &format!(
                "while ! [ -e {DROP_IN} ]; do sleep 0.02; done
                 nft add table inet f; nft add chain inet f i '{{type filter hook input priority 0;}}'
                 nft add rule inet f i ip saddr 10.77.255.254 tcp dport 22 tcp flags syn drop
                 while ! grep -q 'Received SIGHUP' /var/log/auth.log; do sleep 0.02; done
                 sleep 0.5; echo 'Fooo bar' >>/etc/ssh/sshd_config"
            ),
        ])
        .spawn()
        .unwrap();
    let output = keys.run(&["certify", "--yes", "--revert-after", "6", "--timeout", "3"]);
    watch.wait().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.contains("could not be put back: node2"), "{out}");
    assert!(out.contains("Fooo"), "{out}");
    assert_eq!(output.status.code(), Some(1), "{out}");
    sh(
        node,
        "nft delete table inet f; mv /root/kept /etc/ssh/sshd_config",
    );
    // The certificates are what the running sshd still shows.
    let now = sh(node, files);
    let certificates = |it: &&str| {
        it.ends_with("/etc/ssh/ssh_host_ecdsa_key-cert.pub")
            || it.ends_with("/etc/ssh/ssh_host_ed25519_key-cert.pub")
    };
    assert_eq!(now.lines().filter(certificates).count(), 2, "{out}");
    let others = now.lines().filter(|it| !certificates(it));
    assert_eq!(
        others.collect::<Vec<_>>(),
        before.lines().collect::<Vec<_>>(),
        "{out}"
    );
    keys.repaired(&["undo", "last", "--yes"], "undo");
    assert_eq!(sh(node, files), before);
    assert_eq!(
        sh(node, "ls -d /run/clearway-sshd 2>/dev/null || echo none"),
        "none\n"
    );
    keys.cloud.all_verified("with keys again");
}

/// A clearway at work, in a process of its own.
pub(crate) fn started(keys: &Keys, words: &[&str]) -> Child {
    keys.command(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_while_it_waits_for_the_new_login_the_nodes_go_back_by_themselves() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(2);
    let before: Vec<String> = keys
        .lab()
        .nodes()
        .iter()
        .map(|node| sh(node, "find /etc/ssh -type f -exec sha256sum {} + | sort"))
        .collect();
    let mut killed = 0;
    for moment in 0..4 {
        let mut clearway = started(&keys, &["certify", "--yes", "--revert-after", "4"]);
        // A change is begun somewhere; then a little more each time.
        let began = Instant::now();
        let is_begun = |node: &Node| {
            node.path("/run/clearway-sshd/is")
                .parent()
                .is_some_and(Path::exists)
        };
        while !keys.lab().nodes().iter().any(is_begun) {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "nothing was begun"
            );
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(60) * moment);
        clearway.kill().unwrap();
        clearway.wait().unwrap();
        killed += 1;
        for (node, before) in keys.lab().nodes().iter().zip(&before) {
            // Not the guard alone: a change that has just begun has none yet.
            waits_for(
                node,
                "! [ -e /run/clearway-sshd ]",
                "the change",
                Duration::from_secs(20),
            );
            let now = sh(node, "find /etc/ssh -type f -exec sha256sum {} + | sort");
            // Kept, because the new login came before the end, or as it was: never half.
            let kept = now.contains(DROP_IN)
                && now.contains("ssh_host_ed25519_key-cert.pub")
                && now.contains("ssh_host_ecdsa_key-cert.pub");
            assert!(now == *before || kept, "{moment}: {now}\nat first {before}");
        }
        keys.cloud
            .all_verified(&format!("killed at moment {moment}"));
    }
    assert_eq!(killed, 4);
    keys.well(&["certify", "--yes"]);
    keys.cloud.all_verified("and then to the end");
}

#[test]
fn a_revocation_without_the_authority_says_that_certificates_still_count() {
    if LabSupport::skips_test() {
        return;
    }
    let keys = Keys::start(3);
    let revoked = || {
        let mut command = keys.lab().command(env!("CARGO_BIN_EXE_clearway"));
        command.args(["keys", "revoke", "node3", "--diff", "--ledger"]);
        command.arg(keys.ledger()).arg("--inventory");
        command.arg(keys.lab().inventory()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8(said).unwrap()
    };
    let remedy = "clearway keys revoke node3 --ca FILE";
    let said = revoked();
    assert!(!said.contains(remedy), "there is no authority: {said}");
    keys.well(&["certify", "--yes"]);
    let said = revoked();
    assert!(
        said.contains("a certificate of node3 stays valid") && said.contains(remedy),
        "{said}"
    );
    assert!(said.contains("node[1-2]"), "who believes it: {said}");
    // Of a node that does not answer nobody knows whether it has one.
    let control = "nft add table ip out
        nft add chain ip out ssh '{type filter hook input priority 0;}'
        nft add rule ip out ssh tcp dport 22 reject";
    sh(keys.cloud.node("node3"), control);
    let said = revoked();
    assert!(
        said.contains("a certificate of node3, if it has one, stays valid"),
        "{said}"
    );
    sh(keys.cloud.node("node3"), "nft delete table ip out");
    // Once the authority has revoked it there is nothing more to say.
    keys.run(&["revoke", "node3", "--yes"]);
    let mut command = keys.lab().command(env!("CARGO_BIN_EXE_clearway"));
    command.args(["keys", "revoke", "node3", "--diff", "--revocations"]);
    command.arg(keys.list()).arg("--ledger").arg(keys.ledger());
    command.arg("--inventory").arg(keys.lab().inventory());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains(remedy), "{said}");
}
