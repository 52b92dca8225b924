//! A hostile node writes nothing on another node but its own keys under its own names.

use std::collections::HashMap;

use super::world::*;
use crate::domain::{Lane, LegId, Reason, Verdict};
use crate::repair::plan::{FileState as Planned, Piece, Plan};
use crate::survey::FileState;
use crate::trust::simulate::World;

/// All that is written on nodes other than the second.
fn written(plan: &Plan) -> String {
    let mut all = String::new();
    for node in plan.nodes.iter().filter(|it| it.node != "cmp00001") {
        for edit in &node.edits {
            if let Planned::File { text, .. } = &edit.after {
                for piece in &text.0 {
                    if let Piece::Bytes(bytes) = piece {
                        all.push_str(&String::from_utf8_lossy(&bytes.0));
                    }
                }
            }
        }
    }
    all
}

/// A fleet of three that has no keys recorded and none authorised; the second is hostile.
fn fleet() -> World {
    let mut world = world(3);
    for facts in world.facts.iter_mut().flatten() {
        facts.clients[0].known_hosts[0].state = FileState::Absent;
        facts.server.accounts[0].authorized_keys[0].file.state = FileState::Absent;
    }
    world
}

#[test]
fn comments_options_and_certificates_of_a_node_go_nowhere() {
    let mut world = fleet();
    let facts = node(&mut world, 1);
    let public = facts.clients[0]
        .identities
        .last()
        .expect("one")
        .public
        .clone();
    let public = public.expect("known");
    facts.clients[0].identities.last_mut().expect("one").public =
        Some(format!("{public} root@evil\nssh-rsa AAAA injected"));
    for key in &mut facts.server.host_keys {
        key.public = format!("{} * evil\n@cert-authority * {}", key.public, key.public);
    }
    facts.hostname = "evil host\n* ssh-rsa".into();
    let plan = plan_of(&world);
    let all = written(&plan);
    assert!(
        all.contains(&format!(" {public} clearway:cmp00001\n")),
        "{all}"
    );
    for word in ["evil", "injected", "cert-authority", "*"] {
        assert!(!all.contains(word), "{word}: {all}");
    }
}

/// `IdentityFile ~/.ssh` costs an account its own key, and the fleet nothing.
#[test]
fn a_directory_that_ssh_is_to_take_for_a_key_stops_no_repair() {
    let mut world = world(3);
    let facts = node(&mut world, 1);
    let checked = &mut facts.server.accounts[0].authorized_keys[0];
    let (path, meta) = checked.above.first_mut().expect("a directory");
    meta.mode = 0o777;
    let mut identity = facts.clients[0].identities[0].clone();
    identity.path.clone_from(path);
    identity.meta = Some(*meta);
    let fact = facts.clients[0].directories.iter_mut();
    let mut fact = fact.filter(|it| it.path == *path);
    if let FileState::Present { meta: its, .. } = &mut fact.next().expect("there").state {
        its.mode = 0o777;
    }
    facts.clients[0].identities.insert(0, identity);
    let plan = plan_of(&world);
    let edits = plan.nodes.iter().flat_map(|node| &node.edits);
    let paths: Vec<_> = edits.map(|edit| edit.target.path.as_str()).collect();
    assert_eq!(paths, ["/var/lib/nova/.ssh"], "{plan:#?}");
    assert!(matches!(
        plan.nodes[0].edits[0].after,
        Planned::Directory { .. }
    ));
}

#[test]
fn a_name_that_only_the_node_itself_claims_is_not_recorded() {
    for claimed in [
        "controller.example.org",
        "10.9.9.9",
        "cmp00002",
        "CMP00002.",
        "10.0.0.3",
        "*",
        "10.0.0.*",
        "-oProxyCommand=x",
        "localhost",
        "127.0.0.1",
        "a,b",
        "|1|x|y",
        "@revoked",
    ] {
        let mut world = fleet();
        let facts = node(&mut world, 1);
        facts.nova.host = Some(claimed.into());
        facts.nova.my_ip = Some(claimed.into());
        let plan = plan_of(&world);
        let keys: Vec<String> = node(&mut world, 1)
            .server
            .host_keys
            .iter()
            .map(|key| key.public.clone())
            .collect();
        let all = written(&plan);
        for key in keys {
            assert!(!all.contains(&key), "{claimed}: {all}");
        }
        // The others are not kept from trusting each other.
        assert!(all.contains("clearway:cmp00002"), "{claimed}");
        // An address that two announce is dialled by nobody before that is settled.
        let expected = match claimed {
            "10.0.0.3" => "cmp00002 ssh-",
            _ => "10.0.0.3,cmp00002 ssh-",
        };
        assert!(all.contains(expected), "{claimed}: {all}");
    }
}

#[test]
fn a_name_is_its_own_by_the_inventory_its_interfaces_the_hosts_file_or_what_it_has_shown() {
    let name = "cmp00001.example.org";
    let with_name = || {
        let mut world = fleet();
        node(&mut world, 1).nova.host = Some(name.into());
        world
    };
    let plan = plan_of(&with_name());
    assert!(!written(&plan).contains(name), "only its own word");
    let left = plan
        .left
        .iter()
        .find(|left| left.why.contains("nothing but cmp00001"));
    assert!(left.expect("left").remedy.contains("service_host"));

    let mut world = with_name();
    world.fleet.nodes[1].service_host = Some(name.into());
    assert!(written(&plan_of(&world)).contains(name), "by the inventory");

    let mut world = with_name();
    for facts in world.facts.iter_mut().flatten() {
        write(
            &mut facts.clients[0].hosts.state,
            format!("127.0.0.1 localhost\n10.0.0.2 {name}\n"),
        );
    }
    assert!(
        written(&plan_of(&world)).contains(name),
        "by the hosts file"
    );

    let mut world = with_name();
    for facts in world.facts.iter_mut().flatten() {
        write(
            &mut facts.clients[0].hosts.state,
            format!("10.0.0.3 {name}\n"),
        );
    }
    assert!(
        !written(&plan_of(&world)).contains(name),
        "another's address"
    );

    let world = with_name();
    let reason = Verdict::Broken(Reason::HostKeyUnknown);
    let (id, mut seen) = seen(Lane::ColdPull, 0, 1, reason);
    let facts = world.facts[1].as_ref().expect("surveyed");
    let (key, _) =
        crate::openssh::key::PublicKey::read(facts.server.host_keys[0].public.as_bytes())
            .expect("a key");
    seen.served = vec![key.fingerprint().to_string()];
    let plan = plan_for(&world, &policy(), &HashMap::from([(id, seen)]));
    let on = |node: &str| {
        let mut nodes = plan.nodes.iter();
        let plan = nodes.find(|it| it.node == node).expect("edits");
        format!("{plan:?}").contains(name)
    };
    assert!(on("cmp00000") && !on("cmp00002"), "shown to the first only");
}

#[test]
fn a_key_that_is_not_on_the_disk_is_never_recorded() {
    let mut world = world(2);
    node(&mut world, 0).clients[0].known_hosts[0].state = FileState::Absent;
    let reason = Verdict::Broken(Reason::HostKeyNotOnDisk);
    let all: HashMap<LegId, _> = [Lane::ColdPush, Lane::ColdPull]
        .map(|lane| seen(lane, 0, 1, reason))
        .into();
    let plan = plan_for(&world, &policy(), &all);
    assert!(plan.nodes.is_empty(), "{plan:#?}");
    assert_eq!(plan.left[0].reason, "host-key-not-on-disk");
    assert!(plan.left[0].why.contains("another machine"));
}

#[test]
fn what_works_in_truth_is_left_as_it_is() {
    let mut world = world(2);
    node(&mut world, 0).clients[0].known_hosts[0].state = FileState::Absent;
    let all: HashMap<LegId, _> = [Lane::ColdPush, Lane::ColdPull]
        .map(|lane| seen(lane, 0, 1, Verdict::Verified))
        .into();
    let plan = plan_for(&world, &policy(), &all);
    assert!(is_empty(&plan) && plan.left.is_empty(), "{plan:#?}");
}

#[test]
fn an_account_cannot_have_files_of_the_system_written() {
    for path in [
        "/etc/passwd",
        "/etc/cron.d/known_hosts",
        "/root/.ssh/authorized_keys",
    ] {
        let mut world = fleet();
        let facts = node(&mut world, 1);
        facts.clients[0].known_hosts[0].path = path.into();
        let crate::survey::Answer::Output(base) = &facts.clients[0].base_config else {
            panic!("an answer");
        };
        let said = String::from_utf8_lossy(&base.bytes);
        let lines = said.lines().map(|line| match line.split_once(' ') {
            Some(("userknownhostsfile", _)) => format!("userknownhostsfile {path}\n"),
            Some(("identityfile", _)) => "identityfile /etc/shadow\n".to_owned(),
            Some(("globalknownhostsfile", _)) => "globalknownhostsfile /etc/sudoers\n".to_owned(),
            _ => format!("{line}\n"),
        });
        facts.clients[0].base_config =
            crate::survey::Answer::Output(content(lines.collect::<String>()));
        let known: HashMap<LegId, _> = [(0, Reason::HostKeyUnknown), (2, Reason::IdentityMissing)]
            .map(|(server, reason)| seen(Lane::ColdPush, 1, server, Verdict::Broken(reason)))
            .into();
        let plan = plan_for(&world, &policy(), &known);
        let mut edits = plan.nodes.iter().filter(|it| it.node == "cmp00001");
        let paths: Vec<&str> = edits
            .by_ref()
            .flat_map(|it| &it.edits)
            .map(|it| it.target.path.as_str())
            .collect();
        assert_eq!(paths, ["/var/lib/nova/.ssh/authorized_keys"], "{path}");
        assert!(plan.keys.is_empty());
        assert_eq!(plan.left.len(), 2, "{:?}", plan.left);
    }
}
