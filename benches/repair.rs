//! What it costs a node to have both its files edited: everything that its program starts, fsync and rename included.
//!
//! The peer, measured on another occasion, are two template tasks of Ansible: 1,710 ms of CPU a node, with mitogen 1,065 ms.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures time and prints"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use clearway::frame::Nonce;
use clearway::repair::{
    Attributes, Edit, FileState, Job, NodePlan, Operation, PLAN_SCHEMA, Plan, Program, Said,
    Target, Text,
};
use clearway_lab::{Lab, LabSupport, Node};
use nix::sys::resource::{UsageWho, getrusage};

/// The bar: milliseconds of CPU a node.
const BAR: f64 = 55.0;
const ROUNDS: usize = 40;

fn main() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("a lab");
    let node = lab.node("node1");
    let owner = |flag: &str| -> u32 {
        let id = node.sh(&format!("id {flag} nova")).expect("id runs");
        let id = String::from_utf8_lossy(&id.stdout).trim().parse();
        id.expect("a number")
    };
    let attributes = Attributes {
        uid: owner("-u"),
        gid: owner("-g"),
        mode: 0o600,
    };
    let edit = |name: &str, lines: usize| {
        let path = format!("/var/lib/nova/.ssh/{name}");
        let line = "10.77.0.2 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJpSdtQ0A8LgEs+NJTrtoVYF6x0hhAzcn4+DNKFGk\n";
        let before = std::fs::read(node.path(&path)).expect("the lab's own file");
        let mode = format!("chmod 600 {path}");
        assert!(node.sh(&mode).expect("chmod runs").status.success());
        let state = |bytes: Vec<u8>| FileState::File {
            attributes,
            text: Text::known(bytes),
        };
        Edit {
            target: Target {
                context: Vec::new(),
                path,
            },
            before: state(before),
            after: state(line.repeat(lines).into_bytes()),
            answers: Vec::new(),
        }
    };
    let plan = Plan {
        schema: PLAN_SCHEMA,
        inventory: "/etc/clearway.yaml".to_owned(),
        keys: Vec::new(),
        copies: Vec::new(),
        commands: Vec::new(),
        nodes: vec![NodePlan {
            node: "node1".to_owned(),
            edits: vec![edit("known_hosts", 1000), edit("authorized_keys", 500)],
        }],
        sshd: Vec::new(),
        turnover: clearway::repair::Turnover::default(),
        left: Vec::new(),
    };
    let job = Job::new(&plan, "node1", &BTreeMap::new()).expect("a plan");
    let mut both = Vec::new();
    let mut none = Vec::new();
    for round in 0..ROUNDS {
        let program = |operation: Operation, salt: u8| {
            let nonce = Nonce::new([u8::try_from(round).unwrap_or(0) ^ salt; 16]);
            job.program(operation, "20261125-120000-abcdef", "the bench", nonce)
        };
        both.push(cost(node, &program(Operation::Apply, 0), |said| {
            matches!(said, Said::Wrote(_))
        }));
        none.push(cost(node, &program(Operation::Apply, 64), |said| {
            matches!(said, Said::Same(_, true))
        }));
        let undo = Operation::Undo {
            wrote: BTreeSet::new(),
            commands: false,
        };
        cost(node, &program(undo, 128), |said| {
            matches!(said, Said::Back(_, true))
        });
    }
    report("both files, fsync and rename", &mut both);
    report("nothing to do", &mut none);
    println!("bar: {BAR} ms of CPU a node for both files");
}

/// CPU and wall time of one program and all that it starts.
fn cost(node: &Node, program: &Program, expected: impl Fn(&Said) -> bool) -> (Duration, Duration) {
    let before = cpu();
    let started = Instant::now();
    let mut child = node
        .command("/bin/sh")
        .args(["-c", "eval \"$(cat)\""])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let script = format!("{{ {}\n}}\n", program.script());
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(script.as_bytes()).expect("taken");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let wall = started.elapsed();
    let answer = program.read(&output.stdout).expect("an answer");
    assert_eq!(answer.said.len(), 2, "{answer:?}");
    assert!(answer.said.iter().all(expected), "{answer:?}");
    (cpu() - before, wall)
}

/// CPU time of all children that have ended.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("always there");
    let time = |it: nix::sys::time::TimeVal| {
        Duration::from_secs(it.tv_sec().unsigned_abs())
            + Duration::from_micros(it.tv_usec().unsigned_abs())
    };
    time(usage.user_time()) + time(usage.system_time())
}

fn report(what: &str, costs: &mut [(Duration, Duration)]) {
    costs.sort();
    let millis = |it: Duration| it.as_secs_f64() * 1000.0;
    let (median, _) = costs[costs.len() / 2];
    let (most, _) = costs[costs.len() - 1];
    let mut walls: Vec<Duration> = costs.iter().map(|(_, wall)| *wall).collect();
    walls.sort();
    println!(
        "{what}: {:.1} ms of CPU a node (median; {:.1} at the most), {:.0} ms until it has answered",
        millis(median),
        millis(most),
        millis(walls[walls.len() / 2])
    );
}
