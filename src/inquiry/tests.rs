use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::{Evidence, Proof, Proven, Reason, Step, Why};
use crate::frame::Nonce;

fn nonce() -> Nonce {
    Nonce::new([3; 16])
}

/// What the program would answer, at 01:25:00 on the server.
fn answer(source: &str, log: &str, nologin: &[&str]) -> Vec<u8> {
    let n = nonce();
    let n = n.as_str();
    let mut text = format!("\nclearway/1 {n}\n");
    for path in nologin {
        text += &format!("{n} nologin {}:{path}\n", path.len());
    }
    text += &format!("{n} now 10:1795483500 15:Nov 23 01:25:00\n");
    text += &format!("{n} log {}:{source} <\n{log}\n{n} >\n", source.len());
    text += &format!("{n} end {}\n", nologin.len() + 2);
    text.into_bytes()
}

fn ask(log: &str, user: Option<&str>) -> Answer {
    let log = ServerLog::read(&answer("/var/log/auth.log", log, &[]), &nonce()).expect("whole");
    log.explain("n2", &question(user))
}

const CLIENT: &[IpAddr] = &[IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 2))];

static NODES: LazyLock<HashSet<IpAddr>> = LazyLock::new(|| {
    (2..10)
        .map(|last| IpAddr::from([10, 77, 0, last]))
        .collect()
});

fn question(user: Option<&str>) -> Question<'_> {
    Question {
        client: CLIENT,
        nodes: &NODES,
        user,
        predicted: None,
        key_taken: false,
        logs_drops: true,
        window: Duration::from_secs(60),
    }
}

/// The lines of one connection, as rsyslog writes them.
fn connection(pid: u32, lines: &str) -> String {
    lines
        .lines()
        .map(|line| format!("Nov 23 01:24:50 node2 sshd[{pid}]: {line}\n"))
        .collect()
}

const CLOSED: &str = "Connection closed by authenticating user nova 10.77.0.2 port 41234 [preauth]";
const INVALID: &str = "Connection closed by invalid user nova 10.77.0.2 port 41234 [preauth]";

#[test]
fn every_known_refusal_has_its_reason() {
    use Reason::*;
    let table: &[(&str, &str, Option<Reason>)] = &[
        ("", CLOSED, None),
        (
            "AuthorizedKeysCommand /bin/false nova failed, status 1",
            CLOSED,
            Some(KeyNotAuthorized),
        ),
        (
            "error: AuthorizedKeysCommandUser \"sssd\" not found",
            CLOSED,
            Some(KeyNotAuthorized),
        ),
        (
            "error: Unsafe AuthorizedKeysCommand \"/etc/ssh/keys\": bad ownership or modes for file /etc/ssh/keys",
            CLOSED,
            Some(KeyNotAuthorized),
        ),
        (
            "Authentication refused: bad ownership or modes for directory /var/lib/nova",
            CLOSED,
            Some(AuthorizedKeysModes),
        ),
        (
            "Authentication refused: bad ownership or modes for file /var/lib/nova/.ssh/authorized_keys",
            CLOSED,
            Some(AuthorizedKeysModes),
        ),
        (
            "Could not open user 'nova' authorized keys '/var/lib/nova/.ssh/authorized_keys': Permission denied",
            CLOSED,
            Some(AuthorizedKeysUnreadable),
        ),
        (
            "/var/lib/nova/.ssh/authorized_keys:1: Authentication tried for nova with correct key but not from a permitted host (host=10.77.0.2, ip=10.77.0.2, required=10.9.9.9).\nerror: Refused by key options",
            CLOSED,
            Some(KeyFromMismatch),
        ),
        (
            "error: Certificate invalid: expired",
            CLOSED,
            Some(UserCertificateExpired),
        ),
        (
            "error: Certificate invalid: not yet valid",
            CLOSED,
            Some(UserCertificateNotYetValid),
        ),
        (
            "error: Certificate invalid: name is not a listed principal",
            CLOSED,
            Some(UserCertificateWrongPrincipal),
        ),
        (
            "error: Certificate lacks principal list",
            CLOSED,
            Some(UserCertificateNoPrincipal),
        ),
        (
            "cert: Authentication tried for nova with valid certificate but not from a permitted source address (10.77.0.2).\nerror: Refused by certificate options",
            CLOSED,
            Some(UserCertificateSourceAddress),
        ),
        (
            "error: Authentication key ED25519 SHA256:x revoked by file /etc/ssh/revoked",
            CLOSED,
            Some(KeyRevoked),
        ),
        (
            "error: Error checking authentication key ED25519 SHA256:x in revoked keys file /etc/ssh/nonexist: No such file or directory",
            CLOSED,
            Some(RevokedKeysUnreadable),
        ),
        (
            "User nova not allowed because account is locked",
            INVALID,
            Some(AccountLocked),
        ),
        (
            "pam_unix(sshd:account): account nova has expired (account expired)\nfatal: Access denied for user nova by PAM account configuration [preauth]",
            CLOSED,
            Some(AccountExpired),
        ),
        (
            "pam_unix(sshd:account): expired password for user nova (root enforced)",
            CLOSED,
            Some(PasswordChangeRequired),
        ),
        (
            "fatal: Access denied for user nova by PAM account configuration [preauth]",
            CLOSED,
            Some(PamRefused),
        ),
        (
            "pam_access(sshd:account): access denied for user `nova' from `10.77.0.2'\nfatal: Access denied for user nova by PAM account configuration [preauth]",
            CLOSED,
            Some(PamRefused),
        ),
        (
            "Invalid user nova from 10.77.0.2 port 41234",
            INVALID,
            Some(AccountMissing),
        ),
        (
            "User nova not allowed because shell /bin/zsh does not exist",
            INVALID,
            Some(AccountShellMissing),
        ),
        (
            "User nova from 10.77.0.2 not allowed because not listed in AllowUsers",
            INVALID,
            Some(AccountNotAllowed),
        ),
        (
            "User nova from 10.77.0.2 not allowed because listed in DenyUsers",
            INVALID,
            Some(AccountNotAllowed),
        ),
        (
            "User nova from 10.77.0.2 not allowed because none of user's groups are listed in AllowGroups",
            INVALID,
            Some(AccountNotAllowed),
        ),
        (
            "userauth_pubkey: signature algorithm ssh-ed25519 not in PubkeyAcceptedAlgorithms [preauth]",
            CLOSED,
            Some(KeyAlgorithmRefused),
        ),
        (
            "userauth_pubkey: key type ssh-rsa not in PubkeyAcceptedKeyTypes [preauth]",
            CLOSED,
            Some(KeyAlgorithmRefused),
        ),
        (
            "refusing RSA key: Invalid key length [preauth]",
            CLOSED,
            Some(KeyAlgorithmRefused),
        ),
        (
            "Connection from 10.77.0.2 port 41234 on 10.77.0.3 port 22 rdomain \"\"\nFailed publickey for nova from 10.77.0.2 port 41234 ssh2: ED25519 SHA256:x",
            CLOSED,
            Some(KeyNotAuthorized),
        ),
        (
            "Accepted publickey for nova from 10.77.0.2 port 41234 ssh2: ED25519 SHA256:x\nerror: PAM: pam_open_session(): Permission denied",
            "",
            Some(SessionRefused),
        ),
        (
            "Accepted publickey for nova from 10.77.0.2 port 41234 ssh2: ED25519 SHA256:x\npam_unix(sshd:session): session opened for user nova(uid=64060) by (uid=0)",
            "",
            None,
        ),
        (
            "subsystem request for sftp by user nova failed, subsystem not found",
            CLOSED,
            Some(SftpMissing),
        ),
        (
            "Unable to negotiate with 10.77.0.2 port 41234: no matching cipher found. Their offer: x [preauth]",
            "",
            Some(NoCommonAlgorithm),
        ),
    ];
    for (lines, last, expected) in table {
        let answer = ask(&connection(7, &format!("{lines}\n{last}")), None);
        assert_eq!(answer.reason, *expected, "{lines}");
        assert_eq!(answer.throttled, Some(false));
        assert_eq!(answer.evidence.is_empty(), expected.is_none(), "{lines}");
    }
}

#[test]
fn other_clients_and_other_times_do_not_answer() {
    let modes = "Authentication refused: bad ownership or modes for directory /var/lib/nova";
    let other = CLOSED.replace("10.77.0.2", "10.77.0.22");
    assert_eq!(
        ask(&connection(7, &format!("{modes}\n{other}")), None).reason,
        None
    );
    let both = connection(7, &format!("{modes}\n{other}\n{CLOSED}"));
    assert_eq!(ask(&both, None).reason, None, "a pid that two clients had");
    let mine = connection(7, &format!("{modes}\n{CLOSED}"));
    for (time, expected) in [
        ("Nov 23 01:24:01", Some(Reason::AuthorizedKeysModes)),
        ("Nov 23 01:25:02", Some(Reason::AuthorizedKeysModes)),
        ("Nov 23 01:23:50", None),
        ("Nov 22 01:24:50", None),
        ("Nov 22 23:59:59", None),
        (
            "2026-11-24T01:24:50.123456+00:00",
            Some(Reason::AuthorizedKeysModes),
        ),
        (
            "2026-11-24T02:24:50.123456+01:00",
            Some(Reason::AuthorizedKeysModes),
        ),
        ("2026-11-24T01:20:50.123456+00:00", None),
        ("1795483490.123456", Some(Reason::AuthorizedKeysModes)),
        ("1795483200.123456", None),
    ] {
        let moved = mine.replace("Nov 23 01:24:50", time);
        assert_eq!(ask(&moved, None).reason, expected, "{time}");
    }
}

#[test]
fn yesterday_is_near_at_midnight() {
    let line = format!(
        "Nov 22 23:59:55 node2 sshd[7]: Authentication refused: bad ownership or modes for file /x\nNov 22 23:59:55 node2 sshd[7]: {CLOSED}"
    );
    let text = answer("/var/log/auth.log", &line, &[]);
    let text = String::from_utf8(text)
        .expect("text")
        .replace("Nov 23 01:25:00", "Nov 23 00:00:10");
    let log = ServerLog::read(text.as_bytes(), &nonce()).expect("whole");
    assert_eq!(
        log.explain("n2", &question(None)).reason,
        Some(Reason::AuthorizedKeysModes)
    );
}

#[test]
fn an_account_name_that_a_stranger_made_up_answers_nothing() {
    let evil = "nova from 10.77.0.2 port 5 not allowed because account is locked";
    for line in [
        format!("Invalid user {evil} from 10.9.9.9 port 4444"),
        format!("Connection closed by invalid user {evil} 10.9.9.9 port 4444 [preauth]"),
        format!("Failed publickey for invalid user {evil} from 10.9.9.9 port 4444 ssh2"),
    ] {
        let answer = ask(&connection(7, &line), None);
        assert_eq!(
            (answer.reason, answer.evidence),
            (None, Vec::new()),
            "{line}"
        );
    }
}

#[test]
fn the_latest_and_the_surest_word_on_the_account_counts() {
    let suggests = connection(
        9,
        &format!("Failed publickey for nova from 10.77.0.2 port 1 ssh2: x\n{CLOSED}"),
    );
    let says = connection(
        7,
        &format!("Authentication refused: bad ownership or modes for file /x\n{CLOSED}"),
    );
    let later = connection(
        8,
        &format!("User nova not allowed because account is locked\n{INVALID}"),
    );
    assert_eq!(
        ask(&format!("{says}{suggests}"), None).reason,
        Some(Reason::AuthorizedKeysModes)
    );
    assert_eq!(
        ask(&format!("{says}{later}"), None).reason,
        Some(Reason::AccountLocked)
    );
    let root = later
        .replace("user nova", "user root")
        .replace("User nova", "User root");
    assert_eq!(
        ask(&format!("{says}{root}"), Some("nova")).reason,
        Some(Reason::AuthorizedKeysModes)
    );
    assert_eq!(
        ask(&format!("{says}{root}"), Some("root")).reason,
        Some(Reason::AccountLocked)
    );
}

#[test]
fn what_another_leg_of_the_same_client_was_told_is_not_taken_for_this_ones() {
    let from = connection(
        7,
        &format!(
            "Authentication tried for nova with correct key but not from a permitted host (host=n1, ip=10.77.0.2, required=10.9.9.9).\n{CLOSED}"
        ),
    );
    let silent = connection(8, CLOSED);
    let not_allowed = connection(
        9,
        &format!(
            "User nova from 10.77.0.2 not allowed because not listed in AllowUsers\n{INVALID}"
        ),
    );
    let ask = |log: &str, predicted| {
        let text = answer("/var/log/auth.log", log, &[]);
        let log = ServerLog::read(&text, &nonce()).expect("whole");
        let question = Question {
            predicted,
            ..question(Some("nova"))
        };
        log.explain("n2", &question).reason
    };
    use Reason::{AccountNotAllowed, AuthorizedKeysMissing, KeyFromMismatch, KeyNotAuthorized};
    let both = format!("{from}{silent}");
    assert_eq!(ask(&both, Some(KeyFromMismatch)), Some(KeyFromMismatch));
    assert_eq!(ask(&both, Some(KeyNotAuthorized)), None);
    let earlier = format!("{not_allowed}{silent}");
    assert_eq!(ask(&earlier, Some(AuthorizedKeysMissing)), None);
    let many = format!("{from}{not_allowed}");
    assert_eq!(ask(&many, Some(KeyFromMismatch)), Some(KeyFromMismatch));
    // Where the files are wrong, the log says so.
    assert_eq!(ask(&from, Some(KeyNotAuthorized)), Some(KeyFromMismatch));
    assert_eq!(ask(&both, Some(AccountNotAllowed)), Some(KeyFromMismatch));
    assert_eq!(ask(&both, None), Some(KeyFromMismatch));
    assert_eq!(ask(&silent, Some(KeyFromMismatch)), None);
}

#[test]
fn what_pam_refuses_is_found_by_the_account_once_the_key_was_taken() {
    let pam = connection(
        7,
        "pam_unix(sshd:account): account nova has expired (account expired)\nfatal: Access denied for user nova by PAM account configuration [preauth]",
    );
    let log = ServerLog::read(&answer("journal", &pam, &[]), &nonce()).expect("whole");
    let ask = |key_taken, user| {
        let question = Question {
            key_taken,
            ..question(user)
        };
        log.explain("n2", &question).reason
    };
    assert_eq!(ask(true, Some("nova")), Some(Reason::AccountExpired));
    assert_eq!(ask(true, Some("root")), None);
    assert_eq!(ask(true, None), None);
    assert_eq!(ask(false, Some("nova")), None, "that was another client");
}

#[test]
fn what_is_refused_before_any_account_is_named_answers_whoever_asks() {
    let line = "Unable to negotiate with 10.77.0.2 port 41234: no matching cipher found. Their offer: 3des-cbc [preauth]";
    let text = connection(7, line);
    assert_eq!(
        ask(&text, Some("nova")).reason,
        Some(Reason::NoCommonAlgorithm)
    );
    let other = connection(
        7,
        "Failed publickey for root from 10.77.0.2 port 41234 ssh2: x",
    );
    assert_eq!(ask(&other, Some("nova")).reason, None);
}

#[test]
fn of_keys_that_come_one_after_the_other_the_end_counts_more_than_each() {
    let text = connection(
        7,
        "Failed publickey for nova from 10.77.0.2 port 41234 ssh2: ECDSA SHA256:x\nerror: maximum authentication attempts exceeded for nova from 10.77.0.2 port 41234 ssh2 [preauth]",
    );
    assert_eq!(ask(&text, Some("nova")).reason, Some(Reason::TooManyKeys));
}

/// What a leg brings that was closed before the banner.
fn dropped(throttled: bool) -> Proof {
    Proof {
        reached: Some(Step::Resolve),
        outcome: Proven::Unknown(Why::Throttled),
        evidence: Vec::new(),
        millis: 5,
        address: None,
        throttled,
    }
}

#[test]
fn throttling_is_not_a_reason_and_its_absence_is_one() {
    let dropped = dropped(false);
    for line in [
        "drop connection #3 from [10.77.0.2]:38946 on [10.77.0.3]:22 past MaxStartups",
        "drop connection #0 from [10.77.0.2]:35922 on [10.77.0.3]:22 penalty: failed authentication",
        "error: beginning MaxStartups throttling",
        "error: in MaxStartups throttling for 00:07:00, 31 connections dropped",
        "exited MaxStartups throttling after 00:00:03, 28 connections dropped",
    ] {
        let answer = ask(&connection(1, line), None);
        assert_eq!(
            (answer.reason, answer.throttled),
            (None, Some(true)),
            "{line}"
        );
        assert_eq!(answer.evidence.len(), 1);
        assert_eq!(answer.settle(&dropped), dropped.outcome);
    }
    let other = "drop connection #3 from [10.77.0.9]:38946 on [10.77.0.3]:22 past MaxStartups";
    let answer = ask(&connection(1, other), None);
    assert_eq!(answer.throttled, Some(false));
    assert_eq!(
        answer.settle(&dropped),
        Proven::Breaks(Reason::ConnectionDropped)
    );
    let refused = Proof {
        outcome: Proven::Refused,
        ..dropped.clone()
    };
    assert_eq!(answer.settle(&refused), Proven::Refused);
    assert_eq!(
        Answer::default().settle(&dropped),
        dropped.outcome,
        "no log, no word"
    );
}

#[test]
fn silence_tells_nothing_where_the_log_would_not_say_that_connections_are_dropped() {
    let explain = |text: &str| {
        let log = ServerLog::read(&answer("journal", text, &[]), &nonce()).expect("whole");
        let silent = Question {
            logs_drops: false,
            ..question(None)
        };
        log.explain("n2", &silent)
    };
    let quiet = explain(&connection(1, "Server listening on 0.0.0.0 port 22."));
    assert_eq!(quiet.throttled, None);
    let dropped = dropped(false);
    assert_eq!(quiet.settle(&dropped), dropped.outcome);
    let said = explain(&connection(1, "error: beginning MaxStartups throttling"));
    assert_eq!(said.throttled, Some(true), "what it does say counts");
}

#[test]
fn a_client_that_was_told_of_throttling_needs_no_log_to_say_it_again() {
    let refused = connection(
        1,
        "Failed publickey for nova from 10.77.0.2 port 41234 ssh2",
    );
    let answer = ask(&refused, Some("nova"));
    assert_eq!(answer.throttled, Some(false));
    let told = dropped(true);
    assert_eq!(answer.settle(&told), told.outcome);
}

#[test]
fn a_penalty_for_an_address_that_no_node_has_may_be_the_clients_after_translation() {
    let line = "drop connection #0 from [192.0.2.1]:35922 on [10.77.0.3]:22 penalty: failed authentication";
    let answer = ask(&connection(1, line), None);
    assert_eq!(answer.throttled, Some(true));
}

#[test]
fn throttling_that_began_long_ago_goes_on_until_sshd_says_that_it_ended() {
    let long_ago =
        |text: &str| format!("Nov 22 23:00:00 node2 sshd[1]: {text} MaxStartups throttling\n");
    let begun = long_ago("error: beginning");
    let answer = ask(&begun, None);
    assert_eq!(answer.throttled, Some(true));
    assert_eq!(answer.evidence.len(), 1);
    let ended = begun.clone() + &long_ago("exited");
    assert_eq!(ask(&ended, None).throttled, Some(false));
    let restarted = begun + "Nov 22 23:30:00 node2 sshd[7]: Server listening on 0.0.0.0 port 22.\n";
    assert_eq!(ask(&restarted, None).throttled, Some(false));
}

#[test]
fn a_nologin_file_is_behind_pams_refusal() {
    let text = connection(
        7,
        &format!(
            "fatal: Access denied for user nova by PAM account configuration [preauth]\n{CLOSED}"
        ),
    );
    let log =
        ServerLog::read(&answer("journal", &text, &["/etc/nologin"]), &nonce()).expect("whole");
    let answer = log.explain("n2", &question(Some("nova")));
    assert_eq!(answer.reason, Some(Reason::LoginsDisabled));
    assert!(
        matches!(answer.evidence.last(), Some(Evidence::FileLine { path, .. }) if path == "/etc/nologin")
    );
}

#[test]
fn what_is_no_whole_answer_is_refused() {
    let whole = answer("journal", "x", &[]);
    assert!(ServerLog::read(&whole[..whole.len() - 3], &nonce()).is_err());
    assert!(ServerLog::read(&whole, &Nonce::new([4; 16])).is_err());
}

proptest! {
    #[test]
    fn any_log_is_read_without_panic(text in "(sshd\\[7\\]: |Nov 23 01:24:50 n |<38>|[ -~]{0,20}|\n| port | from | on |\\[preauth\\]|é){0,30}") {
        let _ = ask(&text, Some("nova"));
    }
}
