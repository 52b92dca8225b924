//! The programs on a node, killed at every command that they run: files are old or new, there is a way back, and telling
//! the same again, or the opposite, ends well.

use std::collections::{BTreeMap, BTreeSet};

use clearway::repair::{FileState, Job, Operation, Plan};
use clearway_lab::Node;

use crate::support::{
    AUTHORIZED_KEYS, HOME, KNOWN_HOSTS, RUN, apply, edit, file, left_beside, new_key, nonce, nova,
    now, one_node, picture, plan, refusals, run, run_in, sh,
};
use crate::wrapped::{At, arm, disarm, wrap};

/// How many kills there are, at the least.
const KILLS: usize = 200;

/// Everything that the programs run.
const COMMANDS: &[&str] = &[
    "stat",
    "mkdir",
    "ln",
    "cp",
    "mv",
    "rm",
    "rmdir",
    "sync",
    "sha256sum",
    "chown",
    "chmod",
    "ssh-keygen",
    "flock",
    "id",
    "awk",
    "cat",
];

/// A plan with an edit of every kind.
fn every_kind(node: &Node) -> Plan {
    let ssh = format!("{HOME}/.ssh");
    let opaque = format!("{ssh}/id_old");
    let made = format!("{HOME}/made");
    sh(
        node,
        "cp /var/lib/nova/.ssh/id_ed25519 /var/lib/nova/.ssh/id_old; chmod 644 /var/lib/nova/.ssh/id_old; chmod 755 /var/lib/nova/.ssh",
    );
    let FileState::File { attributes, .. } = now(node, &opaque) else {
        panic!("no key");
    };
    let new = nova(node, 0o600);
    let edits = vec![
        edit(
            &ssh,
            now(node, &ssh),
            FileState::Directory {
                attributes: nova(node, 0o700),
            },
        ),
        edit(
            &made,
            FileState::Absent,
            FileState::Directory {
                attributes: nova(node, 0o750),
            },
        ),
        edit(
            KNOWN_HOSTS,
            now(node, KNOWN_HOSTS),
            file(nova(node, 0o644), b"new\n"),
        ),
        edit(
            AUTHORIZED_KEYS,
            now(node, AUTHORIZED_KEYS),
            file(new, b"new keys\n"),
        ),
        edit(
            &opaque,
            FileState::Opaque { attributes },
            FileState::Opaque { attributes: new },
        ),
        edit(
            &format!("{made}/fresh"),
            FileState::Absent,
            file(new, b"fresh\n"),
        ),
    ];
    plan(
        node,
        edits,
        vec![new_key(node, &format!("{HOME}/keys/id_new"))],
    )
}

fn undo() -> Operation {
    Operation::Undo {
        wrote: BTreeSet::new(),
        commands: false,
    }
}

/// Runs a program that is killed at its command number `at`. Whether it came to its end before that.
fn killed(node: &Node, plan: &Plan, operation: Operation, at: u32, how: At) -> bool {
    let job = Job::new(plan, node.name(), &BTreeMap::new()).unwrap();
    let program = job.program(operation, RUN, "killed", nonce());
    arm(node, at, how);
    let output = run_in(node, &["/usr/bin/setsid", "-w", "/bin/sh"], &program);
    disarm(node);
    // What was killed holds the lock until it is gone.
    sh(
        node,
        "[ ! -e /run/clearway.lock ] || flock -w 10 /run/clearway.lock true",
    );
    program.read(&output.stdout).is_ok()
}

/// Every file is old or new, and what is new can be taken back.
fn nothing_is_half_done(node: &Node, plan: &Plan, when: &str) {
    for planned in &plan.nodes[0].edits {
        let path = &planned.target.path;
        let found = match (&planned.before, now(node, path)) {
            // Its bytes are nobody's business, but that they are the same.
            (FileState::Opaque { .. }, FileState::File { attributes, .. }) => {
                FileState::Opaque { attributes }
            }
            (_, found) => found,
        };
        if found == planned.before {
            continue;
        }
        // Owner and mode of what keeps its bytes are changed one after the other; the note beside it tells how it was.
        if !matches!(
            planned.before,
            FileState::Opaque { .. } | FileState::Directory { .. }
        ) {
            assert_eq!(
                found, planned.after,
                "{when}: {path} is neither old nor new"
            );
        }
        let beside = match planned.before {
            FileState::Absent => format!("{path}.clearway-{RUN}.absent"),
            _ => format!("{path}.clearway-{RUN}"),
        };
        let beside = now(node, &beside);
        assert_ne!(beside, FileState::Absent, "{when}: {path} has no way back");
        if let FileState::File { .. } = planned.before {
            assert_eq!(beside, planned.before, "{when}: the backup of {path}");
        }
    }
    let key = &plan.keys[0].target.path;
    let whole = format!(
        "[ ! -e {key} ] || {{ ssh-keygen -y -P '' -f {key} && ssh-keygen -l -f {key}.pub; }} >/dev/null"
    );
    sh(node, &whole);
    let secrets =
        "find / -xdev -name 'k[0-9]*' -path '*clearway*' ! -perm 600 ! -name '*.pub' 2>/dev/null";
    assert_eq!(
        sh(node, secrets),
        "",
        "{when}: a private key that others can read"
    );
}

/// A mount point cannot be exchanged, so its file is written in place: the one case in which a kill can leave it cut short.
#[test]
fn killed_while_it_writes_in_place_what_was_there_is_beside_it_and_either_way_ends_well() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    sh(
        node,
        &format!("cp -p {KNOWN_HOSTS} /root/mounted && mount --bind /root/mounted {KNOWN_HOSTS}"),
    );
    let known = edit(
        KNOWN_HOSTS,
        now(node, KNOWN_HOSTS),
        file(nova(node, 0o644), b"new\n"),
    );
    let plan = plan(node, vec![known], Vec::new());
    let planned = &plan.nodes[0].edits[0];
    let backup = format!("{KNOWN_HOSTS}.clearway-{RUN}");
    let commands: Vec<&str> = COMMANDS.iter().copied().chain(["dd"]).collect();
    wrap(node, &commands);
    let mut torn = 0;
    for operation in [Operation::Apply, undo()] {
        for how in [At::Before, At::Torn, At::After] {
            for at in 1.. {
                let when = format!("{operation:?} killed {how:?} command {at}");
                if operation == undo() {
                    apply(node, &plan);
                }
                let ended = killed(node, &plan, operation.clone(), at, how);
                let found = now(node, KNOWN_HOSTS);
                if found != planned.before && found != planned.after {
                    torn += 1;
                    assert_eq!(now(node, &backup), planned.before, "{when}: no way back");
                }
                // Half of the time it is finished first. What is cut short is nobody's any more: it is only taken back.
                let is_whole = found == planned.before || found == planned.after;
                if at % 2 == 0 && is_whole && operation == Operation::Apply {
                    assert_eq!(refusals(&apply(node, &plan)), [""; 0], "{when}");
                }
                let answer = run(node, &plan, undo());
                assert_eq!(refusals(&answer), [""; 0], "{when}");
                assert_eq!(now(node, KNOWN_HOSTS), planned.before, "{when}");
                assert_eq!(left_beside(node), [""; 0], "{when}");
                if ended {
                    break;
                }
            }
        }
    }
    assert!(torn >= 2, "{torn}");
}

#[test]
fn killed_at_any_command_a_node_is_never_left_half_done() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = every_kind(node);
    let original = picture(node);
    wrap(node, COMMANDS);

    // How many commands each program runs.
    let mut lengths = Vec::new();
    for operation in [Operation::Keys, Operation::Apply, undo()] {
        let job = Job::new(&plan, node.name(), &BTreeMap::new()).unwrap();
        let program = job.program(operation.clone(), RUN, "counted", nonce());
        arm(node, 0, At::Before);
        let output = run_in(node, &["/usr/bin/setsid", "-w", "/bin/sh"], &program);
        assert!(program.read(&output.stdout).is_ok(), "{output:?}");
        lengths.push((operation, disarm(node)));
    }
    assert_eq!(picture(node), original);

    let mut kills = 0;
    let total: u32 = lengths.iter().map(|(_, length)| length).sum();
    println!("{lengths:?}, {total} commands in all");
    assert!(2 * total as usize >= KILLS, "{total}");
    for (operation, length) in &lengths {
        for at in 1..=*length {
            for how in [At::Before, At::After] {
                let when = format!("{operation:?} killed {how:?} command {at} of {length}");
                if *operation != Operation::Keys {
                    run(node, &plan, Operation::Keys);
                }
                if *operation == undo() {
                    apply(node, &plan);
                }
                let ended = killed(node, &plan, operation.clone(), at, how);
                kills += usize::from(!ended);
                nothing_is_half_done(node, &plan, &when);
                if at % 2 == 0 && *operation != undo() {
                    // Told again, it comes to its end.
                    let answer = run(node, &plan, operation.clone());
                    assert_eq!(refusals(&answer), [""; 0], "{when}");
                    if *operation == Operation::Apply {
                        for planned in &plan.nodes[0].edits[..4] {
                            assert_eq!(now(node, &planned.target.path), planned.after, "{when}");
                        }
                    }
                }
                let answer = run(node, &plan, undo());
                assert_eq!(refusals(&answer), [""; 0], "{when}");
                assert_eq!(picture(node), original, "{when}");
                let left = left_beside(node);
                assert_eq!(left, [""; 0], "{when}");
            }
        }
    }
    println!("{kills} kills");
    assert!(kills >= KILLS, "{kills}");
}
