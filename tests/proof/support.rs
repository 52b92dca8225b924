//! Legs of a lab, climbed as the controller would have them climbed.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clearway::domain::{Depth, Lane, Leg, LegId, NodeId, Proof, Proven, Step, Transport};
use clearway::frame::Nonce;
use clearway::proof::{Ended, Program, Settings, programs};
use clearway_lab::Lab;

pub(crate) const INSTANCES: &str = "/var/lib/nova/instances";

/// The number of a node, counted from 1 as its name is.
pub(crate) fn id(number: usize) -> NodeId {
    NodeId(u32::try_from(number).unwrap())
}

pub(crate) fn name(node: NodeId) -> String {
    format!("node{}", node.0)
}

pub(crate) fn machine_id(lab: &Lab, number: usize) -> Arc<str> {
    let node = lab.node(&format!("node{number}"));
    let id = std::fs::read_to_string(node.path("/etc/machine-id")).unwrap();
    Arc::from(id.trim())
}

pub(crate) fn leg(lab: &Lab, lane: Lane, client: usize, server: usize) -> Leg {
    let node = lab.node(&format!("node{server}"));
    let (dialled, context, user): (String, &[&str], _) = match lane {
        Lane::ColdPush => (
            node.address().to_string(),
            &["runuser", "-u", "nova", "--"],
            None,
        ),
        Lane::ColdPull => (
            node.host().to_owned(),
            &["runuser", "-u", "nova", "--"],
            None,
        ),
        Lane::Live => (node.host().to_owned(), &[], Some("nova")),
    };
    Leg {
        id: LegId {
            lane,
            client: id(client),
            server: id(server),
        },
        name: Arc::from(dialled),
        user: user.map(Arc::from),
        port: None,
        identity: None,
        options: Arc::from([]),
        may_record: false,
        context: context.iter().map(|&word| word.to_owned()).collect(),
        transport: if lane == Lane::Live {
            Transport::Libvirt
        } else {
            Transport::Scp
        },
        directory: Arc::from(INSTANCES),
        machine_id: Some(machine_id(lab, server)),
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        connection: Duration::from_secs(12),
        pause: Duration::from_secs(2),
        ..Settings::new(Depth::Copy, Duration::from_secs(120))
    }
}

pub(crate) fn nonce() -> Nonce {
    let mut random = [0; 16];
    let mut source = std::fs::File::open("/dev/urandom").unwrap();
    source.read_exact(&mut random).unwrap();
    Nonce::new(random)
}

pub(crate) fn run_in(lab: &Lab, client: usize, shell: &[&str], script: &str) -> Output {
    let mut child = lab
        .node(&format!("node{client}"))
        .command(shell[0])
        .args(&shell[1..])
        .args(["-c", "eval \"$(cat)\""])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn read(program: &Program, output: &Output) -> Vec<(LegId, Proof)> {
    let mut reader = program.reader();
    let mut proofs = Vec::new();
    // The reader keeps the error, and its end tells of it.
    let _ = reader.push(&output.stdout, &name, &mut proofs);
    let ended = Ended::Exited {
        status: output
            .status
            .code()
            .map(|code| u32::try_from(code).unwrap()),
        stderr: &output.stderr,
    };
    proofs.extend(reader.finish(ended, &name));
    proofs
}

/// Climbs legs of one client and gives what was proven, in the order of the legs.
pub(crate) fn climb_with(lab: &Lab, settings: &Settings, legs: Vec<Leg>) -> Vec<Proof> {
    let mut proofs = BTreeMap::new();
    let order: Vec<_> = legs.iter().map(|leg| leg.id).collect();
    let client = usize::try_from(order[0].client.0).unwrap();
    for program in programs(legs, settings, &nonce()) {
        let output = run_in(lab, client, &["/bin/sh"], &program.script());
        proofs.extend(read(&program, &output));
    }
    assert_eq!(proofs.len(), order.len());
    order.iter().map(|id| proofs[id].clone()).collect()
}

pub(crate) fn climb(lab: &Lab, leg: Leg) -> Proof {
    climb_with(lab, &settings(), vec![leg]).remove(0)
}

/// What is left of clearway on the nodes: files and processes.
pub(crate) fn left(lab: &Lab) -> String {
    let mut left = String::new();
    for node in lab.nodes() {
        let find = format!(
            "ls -dA {INSTANCES}/.clearway* /tmp/.clearway* /var/tmp/.clearway* /dev/shm/.clearway* 2>/dev/null; \
             ps -eo pid,ppid,args | grep -v 'grep\\|ps -eo\\|sshd -D\\|/sbin/init\\|COMMAND' | grep 'ssh\\|clearway\\|scp\\|sleep\\|timeout'"
        );
        let found = node.sh(&find).unwrap();
        left += &String::from_utf8_lossy(&found.stdout);
    }
    left
}

pub(crate) fn nothing_is_left(lab: &Lab, within: Duration) {
    let end = std::time::Instant::now() + within;
    loop {
        let left = left(lab);
        if left.is_empty() {
            return;
        }
        assert!(std::time::Instant::now() < end, "{left}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

pub(crate) fn works(reached: Step) -> (Option<Step>, Proven) {
    (Some(reached), Proven::Works)
}

pub(crate) fn sh(lab: &Lab, node: usize, line: &str) {
    let output = lab.node(&format!("node{node}")).sh(line).unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
}

/// Makes sshd read its configuration again.
pub(crate) const RESTART: &str = "kill -HUP $(cat /run/sshd.pid); sleep 0.3";
