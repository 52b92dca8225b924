//! Every fault that files can cure is cured, in memory.

use super::world::*;
use crate::repair::plan::{FileState as Planned, Plan};
use crate::repair::simulate::Hidden;
use crate::survey::{FileKind, FileState, IdentityState, NodeFacts};
use crate::trust::simulate::{Form, Simulation, World};

fn edit_paths(plan: &Plan) -> Vec<(String, String)> {
    let paths = plan.nodes.iter().flat_map(|node| {
        let edits = node.edits.iter();
        edits.map(|edit| (node.node.clone(), edit.target.path.clone()))
    });
    paths.collect()
}

/// Takes everything away that a deployment sets up.
fn bare(facts: &mut NodeFacts) {
    for client in &mut facts.clients {
        client.public_halves.clear();
        for identity in &mut client.identities {
            identity.state = IdentityState::Missing;
            identity.meta = None;
            identity.public = None;
        }
        for file in &mut client.known_hosts {
            file.state = FileState::Absent;
        }
        client.directories[0].state = FileState::Absent;
    }
    for login in &mut facts.server.accounts {
        for checked in &mut login.authorized_keys {
            checked.file.state = FileState::Absent;
            checked.above.remove(0);
            checked.private_group = vec![false; 2];
        }
    }
}

#[test]
fn a_healthy_fleet_has_an_empty_plan() {
    for form in [Form::Plain, Form::Hashed, Form::Authority] {
        let world = Simulation {
            form,
            ..Simulation::of(4)
        }
        .world();
        assert_eq!(broken(&world), []);
        let plan = plan_of(&world);
        assert!(is_empty(&plan) && plan.left.is_empty(), "{plan:#?}");
    }
}

#[test]
fn nodes_without_any_keys_trust_each_other_afterwards() {
    let mut world = world(4);
    world.facts.iter_mut().flatten().for_each(bare);
    let (plan, after) = repair(&world, &Hidden::new());
    assert_eq!(plan.keys.len(), 4);
    let key = &plan.keys[1];
    assert_eq!(key.target.path, "/var/lib/nova/.ssh/id_ed25519");
    assert_eq!(
        (key.owner.mode, &*key.comment),
        (0o600, "clearway:cmp00001")
    );
    let facts = after.facts[0].as_ref().expect("surveyed");
    let keys = text(&facts.server.accounts[0].authorized_keys[0].file.state);
    let lines: Vec<&str> = keys.lines().collect();
    assert_eq!(lines.len(), 5, "not its own: {keys}");
    assert_eq!(
        (lines[0], lines[4]),
        ("# clearway: begin", "# clearway: end")
    );
    let (options, rest) = lines[1].split_once(' ').expect("options");
    assert_eq!(options, "restrict,from=\"10.0.0.2\"");
    assert!(rest.ends_with(" clearway:cmp00001"));
    let hosts = text(&facts.clients[0].known_hosts[0].state);
    assert_eq!(hosts.lines().count(), 2 + 3 * 2, "{hosts}");
    assert!(hosts.contains("10.0.0.2,cmp00001 ssh-rsa "), "{hosts}");
}

#[test]
fn the_live_lane_of_root_is_set_up_beside_the_cold_lanes_of_nova() {
    let mut world = world(3);
    with_live_lane(&mut world);
    let (plan, after) = repair(&world, &Hidden::new());
    assert_eq!(plan.keys.len(), 3);
    assert!(
        plan.keys
            .iter()
            .all(|key| key.target.path.starts_with("/root/.ssh/"))
    );
    let facts = after.facts[0].as_ref().expect("surveyed");
    assert!(
        text(&facts.server.accounts[1].authorized_keys[0].file.state).contains("clearway:cmp00002")
    );
    assert!(
        edit_paths(&plan)
            .iter()
            .all(|(_, path)| path.starts_with("/root/")),
        "what works is not touched"
    );
}

#[test]
fn a_host_key_that_was_remade_replaces_the_old_one_everywhere() {
    for (form, own_files) in [
        (Form::Plain, false),
        (Form::Hashed, false),
        (Form::Hashed, true),
    ] {
        let simulation = Simulation {
            form,
            own_files,
            fault_every: 4,
            ..Simulation::of(4)
        };
        let world = simulation.world();
        let (plan, after) = repair(&world, &Hidden::new());
        let hosts = |number: usize, world: &World| {
            let facts = world.facts[number].as_ref().expect("surveyed");
            text(&facts.clients[0].known_hosts[0].state)
        };
        let old = hosts(0, &world);
        let new = hosts(0, &after);
        assert_eq!(plan.nodes.len(), 3, "the node itself keeps what it has");
        let kept = old.lines().filter(|line| new.contains(line)).count();
        let per_node = if form == Form::Hashed { 4 } else { 2 };
        assert_eq!(kept, 3 * per_node, "lines of the others stay: {new}");
        if form == Form::Hashed {
            let lines = new.lines().filter(|line| !line.starts_with('#'));
            assert!(
                lines.into_iter().all(|line| line.starts_with("|1|")),
                "{new}"
            );
        }
    }
}

#[test]
fn a_shared_line_keeps_its_other_names() {
    let mut world = world(3);
    let facts = node(&mut world, 0);
    let hosts = text(&facts.clients[0].known_hosts[0].state);
    let stale = hosts.replacen("10.0.0.2,cmp00001 ", "gone ", 2);
    let stale = stale.replacen(
        "10.0.0.3,cmp00002 ",
        "bastion,10.0.0.2,10.0.0.3,CMP00001,cmp00002,*.old ",
        1,
    );
    write(&mut facts.clients[0].known_hosts[0].state, &stale);
    let (_, after) = repair(&world, &Hidden::new());
    let facts = after.facts[0].as_ref().expect("surveyed");
    let hosts = text(&facts.clients[0].known_hosts[0].state);
    assert!(
        hosts.contains("bastion,10.0.0.3,cmp00002,*.old ssh-ed25519 "),
        "{hosts}"
    );
}

/// The client's view of a directory that the server side tells of, too.
fn set_client_directory(facts: &mut NodeFacts, at: usize, new: crate::survey::Meta) {
    facts.clients[0].directories[at].state = FileState::Present {
        meta: new,
        readable: true,
        content: None,
    };
}

type Fault = (&'static str, &'static str, fn(&mut NodeFacts, &mut Hidden));

/// Faults of one node of a healthy fleet: name, reason, how it is planted.
const FAULTS: &[Fault] = &[
    ("no private key", "identity-missing", |facts, _| {
        let identity = facts.clients[0].identities.last_mut().expect("one");
        (identity.state, identity.meta, identity.public) = (IdentityState::Missing, None, None);
    }),
    (
        "a private key that others may read",
        "identity-modes",
        |facts, _| {
            let identity = facts.clients[0].identities.last_mut().expect("one");
            identity.state = IdentityState::TooOpen;
            identity.meta.as_mut().expect("there").mode = 0o644;
        },
    ),
    (
        "a private key of root",
        "identity-unreadable",
        |facts, _| {
            let identity = facts.clients[0].identities.last_mut().expect("one");
            identity.state = IdentityState::Unreadable;
            let meta = identity.meta.as_mut().expect("there");
            (meta.uid, meta.gid) = (0, 0);
        },
    ),
    ("a damaged private key", "identity-invalid", |facts, _| {
        let identity = facts.clients[0].identities.last_mut().expect("one");
        (identity.state, identity.public) = (IdentityState::Invalid, None);
    }),
    ("a passphrase", "identity-passphrase", |facts, _| {
        let identity = facts.clients[0].identities.last_mut().expect("one");
        (identity.state, identity.public) = (IdentityState::Passphrase, None);
    }),
    ("no known_hosts", "host-key-unknown", |facts, _| {
        facts.clients[0].known_hosts[0].state = FileState::Absent;
    }),
    (
        "known_hosts without addresses",
        "host-key-unknown",
        |facts, _| {
            let file = &mut facts.clients[0].known_hosts[0].state;
            let hosts = text(file);
            let lines = hosts
                .lines()
                .map(|line| line.split_once(',').expect("two names").1);
            write(
                file,
                lines
                    .map(|line| format!("{line}\r\n"))
                    .collect::<String>()
                    .trim_end(),
            );
        },
    ),
    (
        "known_hosts of root",
        "known-hosts-unreadable",
        |facts, hidden| {
            let file = &mut facts.clients[0].known_hosts[0];
            let node = crate::domain::NodeId(1);
            hidden.insert((node, file.path.clone()), content(text(&file.state)));
            if let FileState::Present {
                meta,
                readable,
                content,
            } = &mut file.state
            {
                (meta.uid, meta.gid, meta.mode) = (0, 0, 0o600);
                (*readable, *content) = (false, None);
            }
        },
    ),
    (
        "only a type that the host has no more",
        "host-key-type-gap",
        |facts, _| {
            let file = &mut facts.clients[0].known_hosts[0].state;
            let hosts = text(file);
            let key = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=";
            let lines = hosts.lines().filter(|line| line.contains("ssh-rsa"));
            let lines =
                lines.map(|line| format!("{} {key}\n", line.split(' ').next().expect("names")));
            write(file, lines.collect::<String>());
        },
    ),
    (
        "no authorized_keys",
        "authorized-keys-missing",
        |facts, _| {
            facts.server.accounts[0].authorized_keys[0].file.state = FileState::Absent;
        },
    ),
    (
        "authorized_keys of others only",
        "key-not-authorized",
        |facts, _| {
            let file = &mut facts.server.accounts[0].authorized_keys[0].file.state;
            write(
                file,
                "# of the administrators\nrestrict ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDuF8TFA7zWGZEuqcpuN0ySO2qUZNPJbJcyXxEyMSCkP admin",
            );
        },
    ),
    (
        "from= of another network",
        "key-from-mismatch",
        |facts, _| {
            let file = &mut facts.server.accounts[0].authorized_keys[0].file.state;
            let keys = text(file);
            let lines = keys
                .lines()
                .map(|line| format!("from=\"10.9.0.0/16\" {line}\n"));
            write(file, lines.collect::<String>());
        },
    ),
    ("keys that have expired", "key-expired", |facts, _| {
        let file = &mut facts.server.accounts[0].authorized_keys[0].file.state;
        let keys = text(file);
        let lines = keys
            .lines()
            .map(|line| format!("expiry-time=\"20200101\" {line}\n"));
        write(file, lines.collect::<String>());
    }),
    (
        "an option that sshd does not know",
        "key-option-invalid",
        |facts, _| {
            let file = &mut facts.server.accounts[0].authorized_keys[0].file.state;
            let keys = text(file);
            write(
                file,
                keys.lines()
                    .map(|line| format!("frobnicate {line}\n"))
                    .collect::<String>(),
            );
        },
    ),
    (
        "authorized_keys that a group may write",
        "authorized-keys-modes",
        |facts, _| {
            if let FileState::Present { meta, .. } =
                &mut facts.server.accounts[0].authorized_keys[0].file.state
            {
                meta.mode = 0o664;
            }
        },
    ),
    (
        "a home of another account",
        "authorized-keys-modes",
        |facts, _| {
            let above = &mut facts.server.accounts[0].authorized_keys[0].above;
            (above[1].1.uid, above[1].1.mode) = (1000, 0o755);
            let home = above[1].1;
            set_client_directory(facts, 1, home);
        },
    ),
    (
        "a .ssh that everybody may write",
        "authorized-keys-modes",
        |facts, _| {
            for checked in &mut facts.server.accounts[0].authorized_keys {
                checked.above[0].1.mode = 0o777;
            }
            let directory = facts.server.accounts[0].authorized_keys[0].above[0].1;
            set_client_directory(facts, 0, directory);
        },
    ),
    (
        "authorized_keys of root",
        "authorized-keys-unreadable",
        |facts, hidden| {
            let file = &mut facts.server.accounts[0].authorized_keys[0].file;
            let node = crate::domain::NodeId(1);
            hidden.insert((node, file.path.clone()), content(text(&file.state)));
            if let FileState::Present {
                meta,
                readable,
                content,
            } = &mut file.state
            {
                (meta.uid, meta.gid, meta.mode) = (0, 0, 0o600);
                (*readable, *content) = (false, None);
            }
        },
    ),
];

#[test]
fn every_fault_of_files_is_cured_in_one_go() {
    for (name, reason, plant) in FAULTS {
        let mut world = world(3);
        let mut hidden = Hidden::new();
        plant(node(&mut world, 1), &mut hidden);
        let reasons: Vec<&str> = broken(&world).into_iter().map(|(_, code)| code).collect();
        assert!(reasons.contains(reason), "{name}: {reasons:?}");
        eprintln!("{name}");
        let (plan, _) = repair(&world, &hidden);
        let codes = plan
            .nodes
            .iter()
            .flat_map(|it| &it.edits)
            .flat_map(|it| &it.answers);
        let codes = codes.chain(plan.keys.iter().flat_map(|key| &key.answers));
        assert!(codes.into_iter().any(|it| it.reason == *reason), "{name}");
        for edit in plan.nodes.iter().flat_map(|it| &it.edits) {
            assert!(!edit.answers.is_empty(), "{name}");
            if let Planned::File { attributes, .. } = &edit.after {
                assert_eq!(attributes.mode & 0o022, 0, "{name}");
            }
        }
    }
}

#[test]
fn faults_that_hide_each_other_are_cured_one_after_the_other() {
    let mut world = world(3);
    let mut hidden = Hidden::new();
    let together = [
        "a private key that others may read",
        "no known_hosts",
        "keys that have expired",
        "a home of another account",
        "a .ssh that everybody may write",
        "authorized_keys of root",
    ];
    for (name, _, plant) in FAULTS {
        if together.contains(name) {
            plant(node(&mut world, 1), &mut hidden);
        }
    }
    let mut rounds = 0;
    while !broken(&world).is_empty() && rounds < 4 {
        world = applied(&world, &plan_of(&world), &hidden);
        rounds += 1;
    }
    assert_eq!((broken(&world), rounds), (vec![], 2));
    assert!(is_empty(&plan_of(&world)));
}

#[test]
fn a_symbolic_link_is_left_to_a_person() {
    let mut world = world(2);
    let file = &mut node(&mut world, 0).server.accounts[0].authorized_keys[0]
        .file
        .state;
    write(file, "");
    if let FileState::Present { meta, .. } = file {
        meta.symlink = true;
        assert_eq!(meta.kind, FileKind::File);
    }
    let plan = plan_of(&world);
    assert!(is_empty(&plan), "{plan:#?}");
    assert_eq!(plan.left[0].reason, "key-not-authorized");
    assert!(
        plan.left[0].why.contains("symbolic link"),
        "{:?}",
        plan.left
    );
}

#[test]
fn behind_a_directory_that_cannot_be_searched_no_key_is_taken_for_missing() {
    let mut world = world(2);
    let facts = node(&mut world, 1);
    let client = &mut facts.clients[0];
    client.public_halves.clear();
    for identity in &mut client.identities {
        (identity.state, identity.meta, identity.public) = (IdentityState::Missing, None, None);
    }
    client.known_hosts[0].state = FileState::Unreadable("a directory above it".into());
    if let FileState::Present { meta, readable, .. } = &mut client.directories[0].state {
        (meta.uid, meta.gid, meta.mode, *readable) = (0, 0, 0o700, false);
    }
    for checked in &mut facts.server.accounts[0].authorized_keys {
        (checked.above[0].1.uid, checked.above[0].1.gid) = (0, 0);
    }
    let plan = plan_of(&world);
    assert!(plan.keys.is_empty(), "{plan:#?}");
    let path = "/var/lib/nova/.ssh".to_owned();
    assert!(
        edit_paths(&plan).contains(&("cmp00001".to_owned(), path)),
        "{plan:#?}"
    );
}
