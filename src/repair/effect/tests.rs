use std::collections::BTreeMap;

use super::*;
use crate::frame::{FrameError, Nonce};
use crate::repair::{
    Attributes, Edit, FileState, KeyId, NewKey, NodePlan, PLAN_SCHEMA, Plan, Target, Text,
};

const OWNER: Attributes = Attributes {
    uid: 993,
    gid: 993,
    mode: 0o600,
};

fn target(context: &[&str], path: &str) -> Target {
    Target {
        context: context.iter().map(|&it| it.to_owned()).collect(),
        path: path.to_owned(),
    }
}

fn edit(context: &[&str], path: &str) -> Edit {
    Edit {
        target: target(context, path),
        before: FileState::Absent,
        after: FileState::File {
            attributes: OWNER,
            text: Text::known(*b"new\n"),
        },
        label: None,
        answers: Vec::new(),
    }
}

fn job() -> Job {
    let container = ["docker", "exec", "-i", "nova_ssh"];
    let plan = Plan {
        schema: PLAN_SCHEMA,
        inventory: "/i".to_owned(),
        keys: vec![NewKey {
            id: KeyId("n:nova".into()),
            node: "n".to_owned(),
            target: target(&[], "/h/.ssh/id_ed25519"),
            owner: OWNER,
            key_type: "ed25519".to_owned(),
            comment: "nova@n".to_owned(),
            answers: Vec::new(),
        }],
        copies: Vec::new(),
        commands: Vec::new(),
        nodes: vec![NodePlan {
            node: "n".to_owned(),
            edits: vec![
                edit(&["runuser", "-u", "nova", "--"], "/h/.ssh/known_hosts"),
                edit(&container, "/h/.ssh/authorized_keys"),
                edit(&[], "/etc/ssh/ssh_known_hosts"),
            ],
        }],
        sshd: Vec::new(),
        turnover: crate::repair::plan::Turnover::default(),
        left: Vec::new(),
    };
    Job::new(&plan, "n", &BTreeMap::new()).unwrap()
}

fn program(operation: Operation) -> Program {
    job().program(operation, "run-1", "run-1 of me", Nonce::new([7; 16]))
}

/// A frame with these records; a record that begins with `<` is a span with the last field as its bytes.
fn frame(nonce: &Nonce, records: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let nonce = nonce.as_str();
    let mut text = format!("\nclearway/1 {nonce}\n").into_bytes();
    for record in records {
        let (span, fields) = match record[0].as_slice() {
            b"<" => (record.last(), &record[1..record.len() - 1]),
            _ => (None, &record[..]),
        };
        text.extend_from_slice(nonce.as_bytes());
        text.push(b' ');
        text.extend_from_slice(&fields[0]);
        for field in &fields[1..] {
            text.extend_from_slice(format!(" {}:", field.len()).as_bytes());
            text.extend_from_slice(field);
        }
        if let Some(bytes) = span {
            text.extend_from_slice(b" <\n");
            text.extend_from_slice(bytes);
            text.extend_from_slice(format!("\n{nonce} >\n").as_bytes());
        } else {
            text.push(b'\n');
        }
    }
    text.extend_from_slice(format!("{nonce} end {}\n", records.len()).as_bytes());
    text
}

fn record(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|it| it.as_bytes().to_vec()).collect()
}

/// The records of a part.
type Records = Vec<Vec<Vec<u8>>>;

/// Parts as `(number, does, exit status, records)`.
fn answer(program: &Program, parts: &[(&str, &str, &str, Records)]) -> Vec<u8> {
    let mut records = Vec::new();
    for (number, does, status, said) in parts {
        let nonce = program.part_nonce(number.parse().unwrap(), does);
        let mut part = record(&["<", "part", number, does]);
        part.push(frame(&nonce, said));
        records.push(part);
        records.push(record(&["left", number, status, ""]));
    }
    frame(&program.nonce, &records)
}

#[test]
fn files_that_root_sees_are_edited_by_root_and_containers_are_entered() {
    let program = program(Operation::Apply);
    let parts: Vec<_> = program
        .parts
        .iter()
        .map(|part| {
            let paths = part.edits.iter().map(|it| it.target.path.as_str());
            (part.words.join(" "), paths.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let expected = [
        ("", "/h/.ssh/known_hosts /etc/ssh/ssh_known_hosts"),
        ("docker exec -i nova_ssh", "/h/.ssh/authorized_keys"),
    ];
    let expected = expected.map(|(words, paths)| (words.to_owned(), paths.to_owned()));
    assert_eq!(parts, expected);
}

#[test]
fn a_node_says_what_it_did_with_each_edit() {
    let program = program(Operation::Apply);
    let said = answer(
        &program,
        &[
            (
                "0",
                "apply",
                "0",
                vec![record(&["same", "0", "theirs"]), record(&["wrote", "2"])],
            ),
            ("1", "apply", "0", vec![record(&["wrote", "1"])]),
        ],
    );
    let answer = program.read(&said).unwrap();
    assert_eq!(
        answer.said,
        [Said::Same(0, false), Said::Wrote(2), Said::Wrote(1)]
    );
    assert_eq!(answer.refusals().count(), 0);
}

#[test]
fn a_refusal_of_one_context_takes_the_others_back() {
    let program = program(Operation::Apply);
    let said = answer(
        &program,
        &[
            ("0", "apply", "0", vec![record(&["wrote", "0"])]),
            (
                "1",
                "apply",
                "1",
                vec![record(&["refused", "1", "read-only", "cannot mkdir"])],
            ),
            ("0", "back", "0", vec![record(&["back", "0", "restored"])]),
        ],
    );
    let answer = program.read(&said).unwrap();
    let refusals: Vec<_> = answer.refusals().map(ToString::to_string).collect();
    assert_eq!(
        refusals,
        ["`/h/.ssh/authorized_keys` is on a file system that is mounted read-only (cannot mkdir)"]
    );
    assert_eq!(answer.stuck().count(), 0);
    assert_eq!(answer.said.last(), Some(&Said::Back(0, true)));
}

#[test]
fn a_context_speaks_only_for_its_own_edits() {
    let program = program(Operation::Apply);
    let said = answer(
        &program,
        &[
            ("0", "apply", "0", vec![record(&["wrote", "0"])]),
            // The container claims an edit of the host.
            ("1", "apply", "0", vec![record(&["wrote", "2"])]),
        ],
    );
    assert_eq!(
        program.read(&said),
        Err(AnswerError::Number("2".to_owned()))
    );
}

#[test]
fn an_answer_that_is_not_whole_says_nothing() {
    let program = program(Operation::Apply);
    let first = ("0", "apply", "0", vec![record(&["wrote", "0"])]);
    let second = ("1", "apply", "0", vec![record(&["wrote", "1"])]);
    let whole = answer(&program, &[first.clone(), second.clone()]);
    for length in 0..whole.len() {
        assert!(program.read(&whole[..length]).is_err(), "{length}");
    }
    for parts in [
        &[first.clone()][..],
        &[second.clone(), first.clone()],
        &[first.clone(), first],
    ] {
        assert!(program.read(&answer(&program, parts)).is_err());
    }
    let other = job().program(Operation::Apply, "run-1", "", Nonce::new([8; 16]));
    assert!(matches!(
        other.read(&whole),
        Err(AnswerError::Frame(FrameError::NoBegin { .. }))
    ));
}

#[test]
fn a_locked_node_names_who_holds_it() {
    let program = program(Operation::Apply);
    let said = frame(
        &program.nonce,
        &[record(&["locked", "held", "run-0 of \u{1b}[2Jops"])],
    );
    let answer = program.read(&said).unwrap();
    assert_eq!(
        answer.locked,
        Some(Lock::Held("run-0 of  [2Jops".to_owned()))
    );
}

#[test]
fn keys_and_edits_are_told_apart() {
    let program = program(Operation::Undo {
        wrote: [0].into_iter().collect(),
        commands: true,
    });
    let said = answer(
        &program,
        &[
            (
                "0",
                "undo",
                "1",
                vec![
                    record(&["refused", "k0", "changed", "id_ed25519"]),
                    record(&["back", "0", "restored"]),
                    record(&["back", "2", "not-ours"]),
                ],
            ),
            ("1", "undo", "0", vec![record(&["back", "1", "as-it-was"])]),
        ],
    );
    let answer = program.read(&said).unwrap();
    let refused: Vec<_> = answer.refusals().map(|it| it.path.as_str()).collect();
    assert_eq!(refused, ["/h/.ssh/id_ed25519"]);
    assert_eq!(
        answer.said[1..],
        [
            Said::Back(0, true),
            Said::Back(2, false),
            Said::Back(1, true)
        ]
    );
}

#[test]
fn a_node_can_only_contribute_a_key_of_the_type_asked_for() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH3rVAdlGX+fuG3zk4SfD0+wPFOEoOahUDh8Uh5mFdMX";
    for said in [
        key.to_owned(),
        format!("{key} * ssh-rsa x\n"),
        format!("{key}\nssh-rsa y\n"),
    ] {
        assert_eq!(public_key(said.as_bytes(), "ed25519").as_deref(), Some(key));
    }
    for said in [
        "",
        "restrict ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH3rVAdlGX+fuG3zk4SfD0+wPFOEoOahUDh8Uh5mFdMX",
        "ssh-ed25519 AAAA",
        "* ssh-ed25519",
    ] {
        assert_eq!(public_key(said.as_bytes(), "ed25519"), None, "{said}");
    }
    assert_eq!(public_key(key.as_bytes(), "rsa"), None);
}
