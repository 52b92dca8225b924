//! Refusals of real sshds: the client cannot know why, the far end's log can.

use std::net::IpAddr;
use std::time::Duration;

use clearway::domain::{Lane, Proof, Proven, Reason};
use clearway::inquiry::{Answer, Question, ServerLog, is_worth_asking, key_was_taken, script};
use clearway_lab::Lab;

use super::support::*;

fn ask(lab: &Lab, proof: &Proof) -> Answer {
    let nonce = nonce();
    let window = Duration::from_secs(60);
    let output = run_in(lab, 2, &["/bin/sh"], &script(&nonce, window));
    let log = ServerLog::read(&output.stdout, &nonce).unwrap();
    let nodes = lab
        .nodes()
        .iter()
        .map(|node| node.address().into())
        .collect();
    let question = Question {
        predicted: None,
        nodes: &nodes,
        client: &[IpAddr::V4(lab.node("node1").address())],
        user: Some("nova"),
        key_taken: key_was_taken(proof),
        logs_drops: true,
        window,
    };
    log.explain("node2", &question)
}

/// Plants a refusal on node 2, tries to log in from node 1, and asks node 2.
fn refused(plant: &str) -> (Proof, Answer) {
    let lab = Lab::builder().nodes(2).start().unwrap();
    let leg = leg(&lab, Lane::ColdPush, 1, 2);
    // A login that works leaves lines of its own.
    assert_eq!(climb(&lab, leg.clone()).outcome, Proven::Works);
    sh(&lab, 2, &format!("cd /var/lib/nova; {plant}"));
    let proof = climb(&lab, leg);
    let answer = ask(&lab, &proof);
    (proof, answer)
}

fn config(line: &str) -> String {
    format!(
        "(echo '{line}'; cat /etc/ssh/sshd_config) >/tmp/c && cat /tmp/c >/etc/ssh/sshd_config && {RESTART}"
    )
}

#[test]
fn the_far_ends_log_says_why() {
    use Reason::*;
    for (plant, expected) in [
        ("chown deploy .".to_owned(), Some(AuthorizedKeysModes)),
        (
            "chown root: .ssh/authorized_keys; chmod 600 .ssh/authorized_keys".to_owned(),
            Some(AuthorizedKeysUnreadable),
        ),
        (
            "sed -i 's/^/from=\"10.9.9.9\" /' .ssh/authorized_keys".to_owned(),
            Some(KeyFromMismatch),
        ),
        (
            format!(
                "cp .ssh/authorized_keys /etc/ssh/revoked; {}",
                config("RevokedKeys /etc/ssh/revoked")
            ),
            Some(KeyRevoked),
        ),
        (
            config("RevokedKeys /etc/ssh/nonexist"),
            Some(RevokedKeysUnreadable),
        ),
        (config("AllowUsers deploy"), Some(AccountNotAllowed)),
        (
            format!("usermod -L nova; {}", config("UsePAM no")),
            Some(AccountLocked),
        ),
        (
            "usermod -s /bin/zsh nova".to_owned(),
            Some(AccountShellMissing),
        ),
        ("chage -E 0 nova".to_owned(), Some(AccountExpired)),
        ("echo closed >/etc/nologin".to_owned(), Some(LoginsDisabled)),
        (
            "sed -i '1i account required pam_deny.so' /etc/pam.d/sshd".to_owned(),
            Some(PamRefused),
        ),
        (
            "echo 'session required pam_deny.so' >>/etc/pam.d/sshd".to_owned(),
            Some(SessionRefused),
        ),
        (
            config("PubkeyAcceptedAlgorithms rsa-sha2-512"),
            Some(KeyAlgorithmRefused),
        ),
        (
            config("LogLevel VERBOSE").replace("(echo", ": >.ssh/authorized_keys; (echo"),
            Some(KeyNotAuthorized),
        ),
        (": >.ssh/authorized_keys".to_owned(), None),
    ] {
        let (proof, answer) = refused(&plant);
        let seen = match proof.outcome {
            Proven::Refused => None,
            Proven::Breaks(reason) => Some(reason),
            other => panic!("{plant}: {other:?}"),
        };
        if !is_worth_asking(proof.outcome) {
            assert_eq!(
                seen, expected,
                "the client knows by itself: {plant}: {proof:#?}"
            );
            continue;
        }
        assert_eq!(answer.reason, expected, "{plant}: {proof:#?} {answer:#?}");
        assert_eq!(answer.evidence.is_empty(), expected.is_none());
        assert_eq!(answer.throttled, Some(false));
    }
}

#[test]
fn throttling_is_told_from_a_server_that_closes() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    sh(&lab, 2, &config("MaxStartups 1"));
    // Its banner read, the one connection that may wait is taken.
    let hold = "until [ -e /run/held ]; do perl -MIO::Socket -e '$s=IO::Socket::INET->new(PeerAddr=>\"127.0.0.1\",PeerPort=>22) or die; <$s> =~ /^SSH/ or die; open F, \">/run/held\"; close F; sleep 60' >/dev/null 2>&1 & sleep 0.5; done";
    sh(&lab, 2, hold);
    let proof = climb(&lab, leg(&lab, Lane::ColdPush, 1, 2));
    assert_eq!(ask(&lab, &proof).settle(&proof), proof.outcome);
    drop(lab);

    let lab = Lab::builder().nodes(2).start().unwrap();
    let closes = "perl -MIO::Socket -e '$s=IO::Socket::INET->new(LocalPort=>22,Listen=>5,ReuseAddr=>1) or die; open F, \">/run/open\"; close F; while($c=$s->accept){close $c}' >/dev/null 2>&1 & until [ -e /run/open ]; do sleep 0.1; done";
    let stop = "p=$(cat /run/sshd.pid); kill $p; while kill -0 $p 2>/dev/null; do sleep 0.1; done";
    sh(&lab, 2, &format!("{stop}; {closes}"));
    let proof = climb(&lab, leg(&lab, Lane::ColdPush, 1, 2));
    assert_eq!(
        ask(&lab, &proof).settle(&proof),
        Proven::Breaks(Reason::ConnectionDropped),
        "{proof:#?}"
    );
}
