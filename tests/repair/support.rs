//! Programs of a repair, run on nodes of a lab as the controller would have them run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::process::{Output, Stdio};

use clearway::frame::Nonce;
use clearway::repair::{
    Answer, Answers, Attributes, Edit, FileState, Job, KeyId, NewKey, NodePlan, Operation,
    PLAN_SCHEMA, Plan, Program, Target, Text,
};
use clearway_lab::{Lab, Node};

pub(crate) const RUN: &str = "20261125-120000-abcdef";
pub(crate) const HOME: &str = "/var/lib/nova";
pub(crate) const KNOWN_HOSTS: &str = "/var/lib/nova/.ssh/known_hosts";
pub(crate) const AUTHORIZED_KEYS: &str = "/var/lib/nova/.ssh/authorized_keys";

/// A shell line that must succeed; what it printed.
pub(crate) fn sh(node: &Node, line: &str) -> String {
    let output = node.sh(line).unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

pub(crate) fn nova(node: &Node, mode: u32) -> Attributes {
    let id = |flag: &str| sh(node, &format!("id {flag} nova")).parse().unwrap();
    Attributes {
        uid: id("-u"),
        gid: id("-g"),
        mode,
    }
}

pub(crate) fn target(path: &str) -> Target {
    Target {
        context: Vec::new(),
        path: path.to_owned(),
    }
}

pub(crate) fn file(attributes: Attributes, bytes: &[u8]) -> FileState {
    FileState::File {
        attributes,
        text: Text::known(bytes),
    }
}

pub(crate) fn edit(path: &str, before: FileState, after: FileState) -> Edit {
    Edit {
        target: target(path),
        before,
        after,
        label: None,
        answers: vec![Answers {
            reason: "host-key-unknown".to_owned(),
            lane: clearway::domain::Lane::ColdPush,
            client: None,
            server: None,
        }],
    }
}

/// What a file of a node is now, as a plan says it.
pub(crate) fn now(node: &Node, path: &str) -> FileState {
    let stat = node.sh(&format!("stat -c '%u %g %a %F' '{path}'")).unwrap();
    let stat = String::from_utf8_lossy(&stat.stdout).into_owned();
    let mut words = stat.splitn(4, ' ');
    let Some(uid) = words.next().filter(|word| !word.is_empty()) else {
        return FileState::Absent;
    };
    let attributes = Attributes {
        uid: uid.parse().unwrap(),
        gid: words.next().unwrap().parse().unwrap(),
        mode: u32::from_str_radix(words.next().unwrap(), 8).unwrap(),
    };
    match words.next().unwrap().trim_end() {
        "directory" => FileState::Directory { attributes },
        kind => {
            assert!(kind.starts_with("regular"), "{path}: {kind}");
            file(attributes, &std::fs::read(node.path(path)).unwrap())
        }
    }
}

pub(crate) fn new_key(node: &Node, path: &str) -> NewKey {
    NewKey {
        id: KeyId(format!("{}:nova", node.name()).into()),
        node: node.name().to_owned(),
        target: target(path),
        owner: nova(node, 0o600),
        key_type: "ed25519".to_owned(),
        comment: format!("nova@{}", node.name()),
        answers: Vec::new(),
    }
}

pub(crate) fn plan(node: &Node, edits: Vec<Edit>, keys: Vec<NewKey>) -> Plan {
    Plan {
        schema: PLAN_SCHEMA,
        inventory: "/etc/clearway.yaml".to_owned(),
        keys,
        copies: Vec::new(),
        commands: Vec::new(),
        nodes: vec![NodePlan {
            node: node.name().to_owned(),
            edits,
        }],
        sshd: Vec::new(),
        turnover: clearway::repair::Turnover::default(),
        left: Vec::new(),
    }
}

pub(crate) fn nonce() -> Nonce {
    let mut random = [0; 16];
    let mut source = std::fs::File::open("/dev/urandom").unwrap();
    source.read_exact(&mut random).unwrap();
    Nonce::new(random)
}

pub(crate) fn program(plan: &Plan, node: &Node, operation: Operation) -> Program {
    let made = BTreeMap::new();
    let job = Job::new(plan, node.name(), &made).unwrap();
    job.program(operation, RUN, "run of a test", nonce())
}

/// Runs a program in a shell on the node.
pub(crate) fn run_in(node: &Node, shell: &[&str], program: &Program) -> Output {
    let mut child = node
        .command(shell[0])
        .args(&shell[1..])
        .args(["-c", "eval \"$(cat)\""])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let script = format!("{{ {}\n}}\n", program.script());
    // One that is killed at once does not read it.
    let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
    child.wait_with_output().unwrap()
}

pub(crate) fn run(node: &Node, plan: &Plan, operation: Operation) -> Answer {
    let program = program(plan, node, operation);
    let output = run_in(node, &["/bin/sh"], &program);
    program.read(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error:?}: {output:?}\n{}",
            String::from_utf8_lossy(&output.stdout)
        )
    })
}

pub(crate) fn apply(node: &Node, plan: &Plan) -> Answer {
    run(node, plan, Operation::Apply)
}

pub(crate) fn undo(node: &Node, plan: &Plan) -> Answer {
    run(
        node,
        plan,
        Operation::Undo {
            wrote: BTreeSet::new(),
            commands: false,
        },
    )
}

pub(crate) fn refusals(answer: &Answer) -> Vec<String> {
    answer.refusals().map(ToString::to_string).collect()
}

/// Every file and directory below the places that a repair may write to: type, mode, owner, time of change of the bytes,
/// hash. Backups are left out unless asked for.
pub(crate) fn picture(node: &Node) -> String {
    sh(
        node,
        "find /var/lib/nova /etc/ssh /run/clearway* ! -path '*/instances*' \
         -printf '%p %y %m %U:%G ' -a \\( -type f -printf '%T@ ' -exec sha256sum {} \\; -o -printf '\\n' \\) \
         2>/dev/null | sort",
    )
}

/// What a repair left beside files: backups, marks, private directories.
pub(crate) fn left_beside(node: &Node) -> Vec<String> {
    let found = sh(
        node,
        "find / -xdev -name '*clearway*' ! -path '/proc/*' ! -path '/sys/*' 2>/dev/null | sort",
    );
    found.lines().map(str::to_owned).collect()
}

pub(crate) fn one_node() -> Option<Lab> {
    if clearway_lab::LabSupport::skips_test() {
        return None;
    }
    Some(Lab::builder().nodes(1).start().unwrap())
}
