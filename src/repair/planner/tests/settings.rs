//! What profiles and operators decide.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::world::*;
use crate::domain::{
    GroupRule, KeySharing, KnownHostsPlace, Lane, NewKeyType, Profile, Scope, TrustBy,
};
use crate::repair::plan::{FileState as Planned, KeySource, Plan};
use crate::repair::planner::Policy;
use crate::repair::simulate::Hidden;
use crate::survey::{Answer, FileState, IdentityState, LockState};
use crate::trust::simulate::World;

fn profile(world: &mut World, change: impl Fn(&mut Profile)) {
    for node in &mut world.fleet.nodes {
        let mut profile = (*node.profile).clone();
        change(&mut profile);
        node.profile = Arc::new(profile);
    }
}

/// Changes what `ssh -G` says on every node.
fn client_setting(world: &mut World, keyword: &str, value: &str) {
    for facts in world.facts.iter_mut().flatten() {
        let Answer::Output(base) = &facts.clients[0].base_config else {
            panic!("an answer");
        };
        let said = String::from_utf8_lossy(&base.bytes);
        let others = said
            .lines()
            .filter(|line| !line.starts_with(&format!("{keyword} ")));
        let mut said: Vec<String> = others.map(str::to_owned).collect();
        said.push(format!("{keyword} {value}\n"));
        facts.clients[0].base_config = Answer::Output(content(said.join("\n")));
    }
}

fn forget_hosts(world: &mut World) {
    for facts in world.facts.iter_mut().flatten() {
        for file in &mut facts.clients[0].known_hosts {
            file.state = FileState::Absent;
        }
    }
}

fn no_identities(world: &mut World) {
    for facts in world.facts.iter_mut().flatten() {
        facts.clients[0].public_halves.clear();
        for it in &mut facts.clients[0].identities {
            (it.state, it.meta, it.public) = (IdentityState::Missing, None, None);
        }
    }
}

fn text_on(plan: &Plan, node: usize, path: &str) -> String {
    let name = format!("cmp{node:05}");
    let mut edits = plan
        .nodes
        .iter()
        .filter(|it| it.node == name)
        .flat_map(|it| &it.edits);
    let edit = edits.find(|it| it.target.path == path).expect("an edit");
    let Planned::File { text, .. } = &edit.after else {
        panic!("a file");
    };
    String::from_utf8(text.bytes(|_| Some(b"NEW")).expect("all")).expect("text")
}

#[test]
fn host_keys_go_into_the_file_of_the_machine_where_the_profile_says_so() {
    let mut world = world(2);
    forget_hosts(&mut world);
    profile(&mut world, |it| {
        it.repair.known_hosts = KnownHostsPlace::Global
    });
    let (plan, _) = repair(&world, &Hidden::new());
    for edit in plan.nodes.iter().flat_map(|it| &it.edits) {
        assert_eq!(edit.target.path, "/etc/ssh/ssh_known_hosts");
        let Planned::File { attributes, .. } = &edit.after else {
            panic!("a file");
        };
        assert_eq!((attributes.uid, attributes.mode), (0, 0o644));
    }
}

#[test]
fn another_port_and_an_alias_are_recorded_as_ssh_looks_them_up() {
    for (keyword, value, expected) in [
        ("port", "8022", "[10.0.0.2]:8022,[cmp00001]:8022 ssh-"),
        ("hostkeyalias", "compute", "compute ssh-"),
    ] {
        let mut world = world(3);
        forget_hosts(&mut world);
        client_setting(&mut world, keyword, value);
        for facts in world.facts.iter_mut().flatten() {
            let ports = [22, 8022].map(|port| ([0, 0, 0, 0], port).into());
            facts.listeners = Some(ports.into());
            if let Answer::Output(base) = &facts.server.base_config {
                let said = format!("{}port 8022\n", String::from_utf8_lossy(&base.bytes));
                facts.server.base_config = Answer::Output(content(said));
            }
        }
        let (plan, _) = repair(&world, &Hidden::new());
        let hosts = text_on(&plan, 0, "/var/lib/nova/.ssh/known_hosts");
        assert!(hosts.contains(expected), "{hosts}");
        assert_eq!(hosts.lines().count(), 2 + 2 * 2, "{hosts}");
    }
}

#[test]
fn a_shared_key_is_made_once_and_brought_to_the_others() {
    let mut world = world(3);
    no_identities(&mut world);
    profile(&mut world, |it| it.repair.keys = KeySharing::Shared);
    let (plan, _) = repair(&world, &Hidden::new());
    assert_eq!((plan.keys.len(), plan.copies.len()), (1, 2));
    let id = &plan.keys[0].id;
    assert!(
        plan.copies
            .iter()
            .all(|it| it.of == KeySource::New(id.clone()))
    );

    // Where most have one, that is the one.
    let mut world = crate::trust::simulate::Simulation {
        shared_key: true,
        ..crate::trust::simulate::Simulation::of(3)
    }
    .world();
    profile(&mut world, |it| it.repair.keys = KeySharing::Shared);
    let identities = &mut node(&mut world, 1).clients[0].identities;
    for it in identities {
        (it.state, it.meta, it.public) = (IdentityState::Missing, None, None);
    }
    node(&mut world, 1).clients[0].public_halves.clear();
    let (plan, _) = repair(&world, &Hidden::new());
    assert!(plan.keys.is_empty() && plan.nodes.is_empty(), "{plan:#?}");
    let KeySource::Existing { node, .. } = &plan.copies[0].of else {
        panic!("an existing key");
    };
    assert_eq!((&**node, &*plan.copies[0].node), ("cmp00000", "cmp00001"));
}

#[test]
fn a_key_has_the_type_that_the_profile_says_or_that_both_ends_take() {
    let mut fleet = world(2);
    no_identities(&mut fleet);
    profile(&mut fleet, |it| it.repair.key_type = NewKeyType::Rsa);
    let plan = plan_of(&fleet);
    assert!(plan.keys.iter().all(|it| it.key_type == "rsa"));
    assert!(plan.keys[0].target.path.ends_with("/id_rsa"));

    let mut fleet = world(2);
    for facts in fleet.facts.iter_mut().flatten() {
        if let Answer::Output(base) = &facts.server.base_config {
            let said = String::from_utf8_lossy(&base.bytes).replace(
                "pubkeyacceptedalgorithms ",
                "pubkeyacceptedalgorithms rsa-sha2-512\nold ",
            );
            facts.server.base_config = Answer::Output(content(said));
        }
    }
    assert!(
        broken(&fleet)
            .iter()
            .all(|it| it.1 == "key-algorithm-refused")
    );
    let plan = plan_of(&fleet);
    assert!(plan.keys.iter().all(|it| it.key_type == "rsa"), "{plan:#?}");
    assert_eq!(plan.keys.len(), 2);
}

#[test]
fn a_stray_public_half_is_not_written_over() {
    let mut world = world(2);
    no_identities(&mut world);
    node(&mut world, 0).clients[0].public_halves = vec!["/var/lib/nova/.ssh/id_ed25519.pub".into()];
    let (plan, _) = repair(&world, &Hidden::new());
    assert_eq!(plan.keys[0].target.path, "/var/lib/nova/.ssh/id_ecdsa");
    assert_eq!(plan.keys[0].key_type, "ecdsa");
}

#[test]
fn keys_are_limited_to_addresses_only_where_that_cannot_shut_a_node_out() {
    let mut fleet = world(3);
    for facts in fleet.facts.iter_mut().flatten() {
        facts.server.accounts[0].authorized_keys[0].file.state = FileState::Absent;
        // The bridge of a container engine, the same on every node; and an address of its own.
        facts.addresses.push([172, 17, 0, 1].into());
    }
    node(&mut fleet, 1)
        .addresses
        .push("fd00::5".parse().expect("one"));
    let file = "/var/lib/nova/.ssh/authorized_keys";
    let keys = text_on(&plan_of(&fleet), 0, file);
    assert!(
        keys.contains("restrict,from=\"10.0.0.2,fd00::5\" ssh-"),
        "{keys}"
    );
    assert!(keys.contains("restrict,from=\"10.0.0.3\" ssh-"), "{keys}");

    let policy = Policy {
        from: false,
        ..policy()
    };
    let keys = text_on(&plan_for(&fleet, &policy, &HashMap::new()), 0, file);
    assert!(
        keys.contains("restrict ssh-") && !keys.contains("from="),
        "{keys}"
    );

    client_setting(&mut fleet, "proxyjump", "bastion");
    let keys = text_on(&plan_of(&fleet), 0, file);
    assert!(
        keys.contains("restrict ssh-") && !keys.contains("from="),
        "{keys}"
    );
}

#[test]
fn only_pairs_in_scope_trust_each_other() {
    let mut world = world(4);
    no_identities(&mut world);
    forget_hosts(&mut world);
    for facts in world.facts.iter_mut().flatten() {
        facts.server.accounts[0].authorized_keys[0].file.state = FileState::Absent;
    }
    for (number, node) in world.fleet.nodes.iter_mut().enumerate() {
        node.groups = vec![if number < 2 { "old" } else { "new" }.into()];
    }
    let rule = |from: &str, to: &str| GroupRule {
        from: vec![from.into()],
        to: vec![to.into()],
    };
    world.fleet.scope = Scope::Groups(vec![rule("old", "new")]);
    let plan = plan_of(&world);
    let keys = text_on(&plan, 0, "/var/lib/nova/.ssh/authorized_keys");
    assert!(!keys.contains("clearway:cmp00001"), "{keys}");
    assert!(keys.contains("clearway:cmp00002") && keys.contains("clearway:cmp00003"));
    let hosts = text_on(&plan, 2, "/var/lib/nova/.ssh/known_hosts");
    assert!(hosts.contains("clearway:cmp00000") && !hosts.contains("clearway:cmp00003"));

    let policy = Policy {
        lanes: BTreeSet::from([Lane::ColdPush]),
        ..policy()
    };
    let plan = plan_for(&world, &policy, &HashMap::new());
    let on_old = plan.nodes.iter().filter(|it| &*it.node < "cmp00002");
    let paths = on_old
        .flat_map(|it| &it.edits)
        .map(|it| it.target.path.as_str());
    let paths: Vec<&str> = paths.collect();
    assert!(
        paths.iter().all(|it| it.ends_with("known_hosts")),
        "{paths:?}"
    );
}

#[test]
fn accounts_are_changed_only_where_that_is_allowed() {
    let mut world = world(2);
    let login = &mut node(&mut world, 1).server.accounts[0];
    login.account.as_mut().expect("there").shell = "/usr/sbin/nologin".into();
    login.lock = LockState::Locked;
    let plan = plan_of(&world);
    assert!(is_empty(&plan));
    assert_eq!(plan.left[0].reason, "account-nologin");
    assert!(plan.left[0].why.contains("--accounts"));

    let policy = Policy {
        accounts: true,
        ..policy()
    };
    let plan = plan_for(&world, &policy, &HashMap::new());
    let [command] = plan.commands.as_slice() else {
        panic!("one command: {plan:#?}");
    };
    assert_eq!(command.words.join(" "), "usermod -s /bin/sh nova");
    assert_eq!(command.undo.join(" "), "usermod -s /usr/sbin/nologin nova");
    assert!(plan.left.is_empty());
}

#[test]
fn containers_are_entered_as_root_for_their_files() {
    let mut world = world(2);
    forget_hosts(&mut world);
    let words: Vec<String> = "docker exec -i -u nova nova_compute"
        .split(' ')
        .map(str::to_owned)
        .collect();
    profile(&mut world, |it| {
        it.nova_context.clone_from(&words);
        it.cold_push.context.clone_from(&words);
        it.cold_pull.context.clone_from(&words);
    });
    for facts in world.facts.iter_mut().flatten() {
        facts.clients[0].context.clone_from(&words);
    }
    let (plan, _) = repair(&world, &Hidden::new());
    let edit = &plan.nodes[0].edits[0];
    assert_eq!(
        edit.target.context.join(" "),
        "docker exec -i -u root nova_compute"
    );
}

#[test]
fn host_keys_are_checked_only_when_asked_for_and_only_once_all_are_in_place() {
    let mut world = world(3);
    forget_hosts(&mut world);
    client_setting(&mut world, "stricthostkeychecking", "false");
    client_setting(&mut world, "userknownhostsfile", "/dev/null");
    let config = "Host old\n    User x\r\nHost *\n    StrictHostKeyChecking no\r\n    UserKnownHostsFile /dev/null\n    Port 22";
    for facts in world.facts.iter_mut().flatten() {
        let mut own = facts.clients[0].config_files[0].clone();
        own.path = "/var/lib/nova/.ssh/config".into();
        write(&mut own.state, config);
        facts.clients[0].config_files.insert(0, own);
    }
    assert_eq!(broken(&world), []);
    assert!(is_empty(&plan_of(&world)), "it works, and nobody asked");

    let policy = Policy {
        strict_host_keys: true,
        ..policy()
    };
    let first = plan_for(&world, &policy, &HashMap::new());
    let paths: BTreeSet<&str> = first
        .nodes
        .iter()
        .flat_map(|it| &it.edits)
        .map(|it| it.target.path.as_str())
        .collect();
    assert_eq!(paths, BTreeSet::from(["/var/lib/nova/.ssh/known_hosts"]));

    let world = applied(&world, &first, &Hidden::new());
    let second = plan_for(&world, &policy, &HashMap::new());
    assert_eq!(second.nodes.len(), 3);
    assert_eq!(
        second.nodes[0].edits[0].answers[0].reason,
        "host-keys-not-checked"
    );
    let changed = text_on(&second, 0, "/var/lib/nova/.ssh/config");
    let expected = "Host old\n    User x\r\nHost *\n#clearway:     StrictHostKeyChecking no\r\n#clearway:     UserKnownHostsFile /dev/null\n    Port 22";
    assert_eq!(changed, expected);
}

#[test]
fn nodes_that_trust_by_certificates_get_keys_of_their_own_and_are_left_to_the_authority() {
    let mut world = world(3);
    profile(&mut world, |it| it.repair.trust = TrustBy::Certificates);
    forget_hosts(&mut world);
    no_identities(&mut world);
    let plan = plan_of(&world);
    assert_eq!(plan.keys.len(), 3);
    let files = plan.nodes.iter().flat_map(|node| &node.edits);
    // A new key is admitted as it is, until `keys retire`.
    let trust = |path: &str| path.contains("known_hosts");
    let trusted: Vec<_> = files.filter(|it| trust(&it.target.path)).collect();
    assert!(trusted.is_empty(), "{trusted:#?}");
    let mut left = plan.left.iter();
    assert!(
        left.any(|it| it.reason == "host-key-unknown" && it.remedy == "clearway repair --ca FILE"),
        "{:#?}",
        plan.left
    );
}
