use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::vocabulary::quoted;
use super::*;
use crate::domain::{
    Depth, Evidence, Lane, Leg, LegId, NodeId, Proof, Proven, Reason, Step, Transport, Why,
};
use crate::frame::Nonce;

fn nonce() -> Nonce {
    Nonce::new([9; 16])
}

fn leg(lane: Lane, server: u32) -> Leg {
    Leg {
        id: LegId {
            lane,
            client: NodeId(0),
            server: NodeId(server),
        },
        name: Arc::from(format!("10.0.0.{server}")),
        user: None,
        port: None,
        identity: None,
        options: Arc::from([]),
        may_record: false,
        context: Arc::from([
            "runuser".to_owned(),
            "-u".to_owned(),
            "nova".to_owned(),
            "--".to_owned(),
        ]),
        transport: Transport::Scp,
        directory: Arc::from("/var/lib/nova/instances"),
        machine_id: Some(Arc::from(MACHINE)),
    }
}

const MACHINE: &str = "0123456789abcdef0123456789abcdef";

fn settings() -> Settings {
    Settings::new(Depth::Copy, Duration::from_secs(60))
}

fn program(legs: Vec<Leg>) -> Program {
    programs(legs, &settings(), &nonce()).remove(0)
}

fn name(node: NodeId) -> String {
    format!("n{}", node.0)
}

/// What an honest program would answer, with these records.
fn answer(records: &[&[&str]]) -> Vec<u8> {
    let nonce = nonce().child("proof 0");
    let nonce = nonce.as_str();
    let mut text = format!("motd\n\nclearway/1 {nonce}\n");
    for record in records {
        text += &format!("{nonce} {}", record[0]);
        for field in &record[1..] {
            text += &format!(" {}:{field}", field.len());
        }
        text.push('\n');
    }
    text += &format!("{nonce} end {}\n", records.len());
    text.into_bytes()
}

fn exited(status: u32) -> Ended<'static> {
    Ended::Exited {
        status: Some(status),
        stderr: b"runuser: user nova does not exist",
    }
}

/// Reads an answer to the end: the legs in order, and the error.
fn read(legs: Vec<Leg>, bytes: &[u8], ended: Ended<'_>) -> (Vec<LegProof>, Option<AnswerError>) {
    let mut reader = program(legs).reader();
    let mut proofs = Vec::new();
    let _ = reader.push(bytes, &name, &mut proofs);
    let error = reader.error().cloned();
    proofs.extend(reader.finish(ended, &name));
    proofs.sort_by_key(|(id, _)| *id);
    (proofs, error)
}

fn one(lane: Lane, record: &[&str]) -> Proof {
    let (mut proofs, error) = read(vec![leg(lane, 1)], &answer(&[record]), exited(0));
    assert_eq!(error, None);
    proofs.remove(0).1
}

/// A text as the program sends it; `T` stands for the mark of the far end's answers.
fn sent(text: &str) -> String {
    text.replace("T ", &format!("{} ", token()))
        .replace('\n', "\u{1f}")
}

fn token() -> String {
    let script = program(vec![leg(Lane::ColdPush, 1)]).script();
    let at = script.find("token=").expect("set") + "token=".len();
    script[at..].lines().next().expect("a line").to_owned()
}

const HEALTHY: &str = "#1\ndebug1: Connecting to 10.0.0.1 [10.0.0.1] port 22.\ndebug1: Server host key: ssh-ed25519 SHA256:abc\ndebug1: Found key in /k:3\nT id 0123456789abcdef0123456789abcdef n1\n#2\n#3";

#[test]
fn a_whole_transcript_proves_the_leg() {
    let proof = one(
        Lane::ColdPush,
        &[
            "leg",
            "0",
            "750",
            "0",
            "1=0 2=0 3=0 c=0",
            "",
            &sent(HEALTHY),
        ],
    );
    assert_eq!(
        (proof.reached, proof.outcome),
        (Some(Step::Copy), Proven::Works)
    );
    assert_eq!(proof.millis, 750);
    let [
        Evidence::Key {
            fingerprint, node, ..
        },
        Evidence::FileLine { line, .. },
    ] = &proof.evidence[..]
    else {
        panic!("{proof:?}");
    };
    assert_eq!(
        (fingerprint.as_str(), node.as_str(), *line),
        ("SHA256:abc", "n1", Some(3))
    );
}

#[test]
fn status_0_alone_proves_nothing() {
    for (status, text, expected) in [
        (
            "1=0 2=0 3=0 c=1",
            HEALTHY,
            Proven::Breaks(Reason::CopyCorrupted),
        ),
        (
            "1=0 2=0 3=0 c=2",
            HEALTHY,
            Proven::Unknown(Why::ProbeFailed),
        ),
        ("1=0 2=0 3=0", HEALTHY, Proven::Unknown(Why::ProbeFailed)),
        ("1=0", HEALTHY, Proven::Unknown(Why::ProbeFailed)),
        (
            "1=0 2=0 3=0 c=0",
            "#1\n#2\n#3",
            Proven::Breaks(Reason::ForcedCommandDenied),
        ),
        ("2=0", HEALTHY, Proven::Unknown(Why::ControlGarbage)),
        (
            "1=40",
            "#1\nT id feedfeedfeedfeedfeedfeedfeedfeed n9",
            Proven::Breaks(Reason::WrongMachine),
        ),
    ] {
        let proof = one(
            Lane::ColdPush,
            &["leg", "0", "1", "0", status, "", &sent(text)],
        );
        assert_eq!(proof.outcome, expected, "{status}");
        assert_ne!(proof.reached, Some(Step::Copy));
    }
}

#[test]
fn a_copy_from_the_far_end_tells_who_answered() {
    let pulled = |id: &str| {
        sent(&format!(
            "#1\ndebug1: Server host key: a SHA256:b\n#9\n{id}"
        ))
    };
    for (id, expected) in [
        (MACHINE, Proven::Works),
        (
            "fedcba9876543210fedcba9876543210",
            Proven::Breaks(Reason::WrongMachine),
        ),
        ("uninitialized", Proven::Works),
        ("", Proven::Works),
    ] {
        let proof = one(
            Lane::ColdPull,
            &["leg", "0", "1", "0", "1=0", "", &pulled(id)],
        );
        assert_eq!(proof.outcome, expected, "{id}");
    }
    let absent = "#1\nscp: /etc/machine-id: No such file or directory";
    let proof = one(
        Lane::ColdPull,
        &["leg", "0", "1", "0", "1=1", "", &sent(absent)],
    );
    assert_eq!(proof.outcome, Proven::Unknown(Why::ProbeFailed));
}

#[test]
fn where_no_machine_id_is_known_another_file_is_copied_and_proves_the_leg() {
    let pull = Leg {
        context: Arc::from([]),
        machine_id: None,
        ..leg(Lane::ColdPull, 1)
    };
    let script = program(vec![pull.clone()]).script();
    assert!(script.contains("leg 0 s0 10.0.0.1 10.0.0.1 '' /etc/hosts\n"));
    let copied = sent("#1\ndebug1: Server host key: a SHA256:b");
    let record = ["leg", "0", "1", "0", "1=0", "", &copied];
    let (proofs, _) = read(vec![pull], &answer(&[&record]), exited(0));
    assert_eq!(proofs[0].1.outcome, Proven::Works);
    assert_eq!(proofs[0].1.reached, Some(Step::Copy));
    let says_so = |it: &Evidence| matches!(it, Evidence::Fact { text, .. } if text.contains("n1 rests on its host key"));
    assert!(proofs[0].1.evidence.iter().any(says_so));
}

#[test]
fn where_nothing_may_be_written_the_look_goes_over_the_transport_that_nova_uses() {
    let only_look = Settings {
        write: false,
        ..settings()
    };
    let over = |transport| Leg {
        context: Arc::from([]),
        transport,
        ..leg(Lane::ColdPush, 1)
    };
    for (transport, tools) in [
        (Transport::Rsync, "tools='ssh rsync'\n"),
        (Transport::Scp, "tools='ssh scp'\n"),
    ] {
        let script = programs(vec![over(transport)], &only_look, &nonce())
            .remove(0)
            .script();
        assert!(script.contains(tools), "{transport:?}");
    }
}

#[test]
fn a_deadline_is_told_from_a_command_that_answers_the_same() {
    let ended = "#1\nT id x y\ndebug1: client_input_channel_req: channel 0 rtype exit-status reply 0\ndebug1: Exit status 124";
    let proof = one(
        Lane::ColdPush,
        &["leg", "0", "1", "0", "1=124", "", &sent(ended)],
    );
    assert_eq!(proof.outcome, Proven::Breaks(Reason::CommandFailed));
    let stalled = "#1\ndebug1: Connection established.\ndebug1: Remote protocol version 2.0";
    let proof = one(
        Lane::ColdPush,
        &["leg", "0", "1", "0", "1=124", "", &sent(stalled)],
    );
    assert_eq!(proof.outcome, Proven::Breaks(Reason::KeyExchangeStalled));
    assert_eq!(proof.reached, Some(Step::Connect));
}

#[test]
fn what_sshd_said_of_throttling_before_the_second_try_counts() {
    let text = "#1\ndebug1: Connection established.\nkex_exchange_identification: Connection closed by remote host";
    for (retried, throttled) in [("0", false), ("1", false), ("2", true)] {
        let record = ["leg", "0", "1", retried, "1=255", "", &sent(text)];
        let proof = one(Lane::ColdPush, &record);
        assert_eq!(proof.outcome, Proven::Unknown(Why::Throttled));
        assert_eq!(proof.throttled, throttled, "{retried}");
    }
}

#[test]
fn dropped_twice_is_throttled_and_never_a_word_on_trust() {
    let text = "#1\ndebug1: Connection established.\nkex_exchange_identification: read: Connection reset by peer\nConnection reset by 10.0.0.1 port 22";
    let proof = one(
        Lane::ColdPush,
        &["leg", "0", "1", "1", "1=255", "", &sent(text)],
    );
    assert_eq!(
        (proof.reached, proof.outcome),
        (Some(Step::Resolve), Proven::Unknown(Why::Throttled))
    );
    let pull = one(
        Lane::ColdPull,
        &["leg", "0", "1", "1", "1=255", "", &sent(text)],
    );
    assert_eq!((pull.reached, pull.outcome), (proof.reached, proof.outcome));
}

#[test]
fn noise_on_stdout_explains_a_copy_that_fails() {
    let text = HEALTHY.replace("#2", "#2\nWelcome to n1");
    let noisy = [
        "leg",
        "0",
        "1",
        "0",
        "1=0 2=1 3=0",
        "Welcome to n1",
        &sent(&text),
    ];
    assert_eq!(
        one(Lane::ColdPush, &noisy).outcome,
        Proven::Breaks(Reason::ShellNoisy)
    );
    let quiet = ["leg", "0", "1", "0", "1=0 2=1 3=0", "", &sent(&text)];
    let proof = one(Lane::ColdPush, &quiet);
    assert_eq!(
        (proof.reached, proof.outcome),
        (Some(Step::Command), Proven::Breaks(Reason::CopyFailed))
    );
}

#[test]
fn a_full_disk_behind_sftps_failure_is_seen() {
    let text = HEALTHY
        .replace("#2", "#2\nscp: write remote \"/x\": Failure")
        .replace("#3", "#3\ndd: error writing '/x': No space left on device");
    let proof = one(
        Lane::ColdPush,
        &["leg", "0", "1", "0", "1=0 2=1 3=47", "", &sent(&text)],
    );
    assert_eq!(
        (proof.reached, proof.outcome),
        (Some(Step::Login), Proven::Breaks(Reason::DiskFull))
    );
}

#[test]
fn a_login_with_another_key_proves_nothing_of_the_one_that_was_to_be_used_alone() {
    let took =
        |path: &str| format!("debug1: Server accepts key: {path} ED25519 SHA256:abc explicit");
    let text = |keys: [&str; 3]| {
        let mut text = HEALTHY.to_owned();
        for (number, key) in (1..).zip(keys) {
            let line = if key.is_empty() {
                String::new()
            } else {
                took(key) + "\n"
            };
            text = text.replacen(&format!("#{number}"), &format!("#{number}\n{line}"), 1);
        }
        text.replace("\n\n", "\n")
    };
    let prove = |keys: [&str; 3]| {
        let leg = Leg {
            identity: Some(Arc::from("/k.new")),
            ..leg(Lane::ColdPush, 1)
        };
        let settings = Settings {
            only_identity: true,
            ..settings()
        };
        let mut reader = programs(vec![leg], &settings, &nonce()).remove(0).reader();
        let record = [
            "leg",
            "0",
            "1",
            "0",
            "1=0 2=0 3=0 c=0",
            "",
            &sent(&text(keys)),
        ];
        let mut proofs = Vec::new();
        let _ = reader.push(&answer(&[&record]), &name, &mut proofs);
        proofs.extend(reader.finish(exited(0), &name));
        proofs.remove(0).1.outcome
    };
    assert_eq!(prove(["/k.new"; 3]), Proven::Works);
    for keys in [
        ["/k.old"; 3],
        ["/k.new", "/k.new", "/k.old"],
        ["/k.new", "", "/k.new"],
    ] {
        let refused = Proven::Breaks(Reason::KeyNotAuthorized);
        assert_eq!(prove(keys), refused, "{keys:?}");
    }
}

#[test]
fn what_is_missing_on_the_client_is_named() {
    let records: &[&[&str]] = &[
        &["missing", "scp"],
        &["leg", "0", "1", "0", "1=0 2=127 3=0", "", &sent(HEALTHY)],
    ];
    let (proofs, _) = read(vec![leg(Lane::ColdPush, 1)], &answer(records), exited(0));
    assert_eq!(proofs[0].1.outcome, Proven::Breaks(Reason::CopyToolMissing));
    let records: &[&[&str]] = &[
        &["missing", "ssh"],
        &["leg", "0", "1", "0", "1=127", "", ""],
    ];
    let (proofs, _) = read(vec![leg(Lane::ColdPush, 1)], &answer(records), exited(0));
    assert_eq!(
        (proofs[0].1.reached, proofs[0].1.outcome),
        (None, Proven::Breaks(Reason::SshMissing))
    );
}

#[test]
fn a_node_speaks_of_its_own_legs_once_each() {
    let legs = || vec![leg(Lane::ColdPush, 1), leg(Lane::ColdPush, 2)];
    let good = ["leg", "0", "1", "0", "1=0 2=0 3=0 c=0", "", &sent(HEALTHY)];
    for (records, expected) in [
        (vec![&good[..], &good[..]], AnswerError::Leg(0)),
        (
            vec![&good[..], &["leg", "2", "1", "0", "1=0", "", ""]],
            AnswerError::Leg(2),
        ),
        (
            vec![&good[..], &["leg", "1", "1", "0", "", "", ""]],
            AnswerError::Field("the number of connections"),
        ),
        (
            vec![&good[..], &["leg", "1", "-1", "0", "1=0", "", ""]],
            AnswerError::Field("the milliseconds"),
        ),
        (
            vec![&good[..], &["leg", "1", "1", "3", "1=0", "", ""]],
            AnswerError::Field("the retry"),
        ),
        (
            vec![&good[..], &["leg", "1", "1", "0", "1=0"]],
            AnswerError::Field("the number of fields"),
        ),
        (
            vec![&good[..], &["host", "evil"]],
            AnswerError::Kind("host".to_owned()),
        ),
    ] {
        let (proofs, error) = read(legs(), &answer(&records), exited(0));
        assert_eq!(error, Some(expected));
        assert_eq!(proofs.len(), 2);
        assert_eq!(
            proofs[0].1.outcome,
            Proven::Works,
            "what was good before stays"
        );
        assert_eq!(proofs[1].1.outcome, Proven::Unknown(Why::ControlGarbage));
    }
}

#[test]
fn a_leg_without_a_record_says_why() {
    let legs = || vec![leg(Lane::ColdPush, 1)];
    let whole = answer(&[]);
    let cut = &whole[..whole.len() - 8];
    let stopped = |why| answer(&[&["stopped", why]]);
    for (bytes, ended, expected) in [
        (&b""[..], exited(1), Proven::Breaks(Reason::ContextFailed)),
        (b"", exited(0), Proven::Breaks(Reason::ContextFailed)),
        (
            b"",
            Ended::Failed(Why::ControlLost),
            Proven::Unknown(Why::ControlLost),
        ),
        (b"", Ended::Interrupted, Proven::Unknown(Why::Interrupted)),
        (&whole, exited(0), Proven::Unknown(Why::ControlGarbage)),
        (cut, exited(137), Proven::Unknown(Why::ControlLost)),
        (
            &stopped("deadline"),
            exited(0),
            Proven::Unknown(Why::ProbeTimedOut),
        ),
        (
            &stopped("signal"),
            exited(0),
            Proven::Unknown(Why::Interrupted),
        ),
        (
            &answer(&[&["failed", "no /tmp"]]),
            exited(0),
            Proven::Unknown(Why::ProbeFailed),
        ),
        (
            &answer(&[&["stopped", "x"]]),
            exited(0),
            Proven::Unknown(Why::ControlGarbage),
        ),
    ] {
        let (proofs, _) = read(legs(), bytes, ended);
        assert_eq!(
            proofs[0].1.outcome,
            expected,
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
    let (proofs, _) = read(legs(), b"", exited(1));
    assert_eq!(
        proofs[0].1.evidence,
        [Evidence::Fact {
            node: Some("n0".to_owned()),
            text: "the context ends with status 1: runuser: user nova does not exist".to_owned(),
        }]
    );
}

#[test]
fn each_context_has_a_program_of_its_own() {
    let root = Leg {
        context: Arc::from([]),
        transport: Transport::Libvirt,
        user: Some(Arc::from("nova")),
        identity: Some(Arc::from("/etc/nova/a key")),
        options: Arc::from(["StrictHostKeyChecking=no".to_owned()]),
        ..leg(Lane::Live, 1)
    };
    let programs = programs(
        vec![leg(Lane::ColdPush, 1), root, leg(Lane::ColdPull, 1)],
        &settings(),
        &nonce(),
    );
    assert_eq!(
        programs
            .iter()
            .map(|it| it.legs().len())
            .collect::<Vec<_>>(),
        [2, 1]
    );
    let live = programs[1].script();
    assert!(live.contains(
        r#"go "$1" ssh -l nova -i '/etc/nova/a key' -T -e none -o 'StrictHostKeyChecking=no' -o 'BatchMode=yes' -v"#
    ), "{live}");
    assert!(live.contains(r#"-- "$name" sh -c "'$2'""#));
    assert!(programs[0].script().starts_with("p='"));
    // Who overhears one answer can forge neither that one nor the other.
    for program in &programs {
        assert!(!program.script().contains(nonce().as_str()));
    }
}

#[test]
fn ipv6_is_bare_for_ssh_and_in_brackets_before_a_colon() {
    let v6 = Leg {
        context: Arc::from([]),
        name: Arc::from("fd00::2"),
        ..leg(Lane::ColdPush, 1)
    };
    assert!(
        program(vec![v6])
            .script()
            .contains("leg 0 s0 fd00::2 '[fd00::2]' ")
    );
}

#[test]
fn a_machine_id_that_is_no_such_thing_never_reaches_a_far_end() {
    let evil = Leg {
        context: Arc::from([]),
        machine_id: Some(Arc::from("\"; rm -rf / #")),
        ..leg(Lane::ColdPush, 1)
    };
    assert!(!program(vec![evil]).script().contains("rm -rf / #"));
}

proptest! {
    #[test]
    fn any_answer_is_read_without_panic(
        fields in prop::collection::vec("[ -~\u{1f}#=0-9\n]{0,40}", 0..8),
        kind in "(leg|missing|failed|stopped|end|x)",
    ) {
        let mut record = vec![kind.as_str()];
        record.extend(fields.iter().map(String::as_str));
        let (proofs, _) = read(vec![leg(Lane::ColdPush, 1)], &answer(&[&record]), exited(0));
        prop_assert_eq!(proofs.len(), 1);
    }

    #[test]
    fn no_transcript_without_the_answer_and_the_comparison_works(
        statuses in "[1-5]=(0|1|40|41|124|255)( [1-5]=(0|1|255)){0,3}",
        stdout in "[ -~]{0,40}",
        text in "(#[1-9]\u{1f}|debug1: |[ -~]{0,30}|\u{1f}){0,12}",
    ) {
        let proof = one(Lane::ColdPush, &["leg", "0", "1", "0", &statuses, &stdout, &text]);
        prop_assert_ne!(proof.outcome, Proven::Works);
        prop_assert!(proof.reached < Some(Step::Copy));
    }

    #[test]
    fn a_quoted_text_is_one_double_quoted_word(text in "[ -~]{0,60}") {
        let word = quoted(&text.replace('{', "("));
        let inner = &word[1..word.len() - 1];
        let mut chars = inner.chars();
        while let Some(ch) = chars.next() {
            match ch {
                '\\' => prop_assert!(chars.next().is_some()),
                '"' | '$' | '`' => prop_assert!(false, "{}", word),
                _ => {}
            }
        }
    }
}
