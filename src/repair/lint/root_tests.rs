//! What a plan has root run, or read, is what repair itself plans, word by word; anything else is refused.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Complaint, ControlAccount, Rule, lint};
use crate::domain::{KeySharing, Profile};
use crate::repair::plan::{AccountCommand, KeyId, KeySource, Plan};
use crate::repair::planner::Policy;
use crate::repair::planner::tests::world::{node, plan_for, policy, world};
use crate::survey::{IdentityState, LockState};
use crate::trust::PairScope;
use crate::trust::simulate::{Simulation, World};

fn complaints(plan: &Plan, world: &World) -> Vec<Complaint> {
    let scope = PairScope::all(&world.fleet);
    let control = ControlAccount::of(&world.fleet);
    lint(plan, &world.facts, &world.fleet, &scope, &control)
}

fn refused(plan: &Plan, world: &World, node: &str, what: &str) {
    let found = complaints(plan, world);
    let known = [Rule::Command, Rule::Control, Rule::PrivateKey];
    let mut found = found.iter();
    let told = found.any(|it| it.node == node && !it.detail.is_empty() && known.contains(&it.rule));
    assert!(told, "{what} is not refused");
}

fn strings(words: &str) -> Vec<String> {
    words.split(' ').map(str::to_owned).collect()
}

fn profile(world: &mut World, node: usize) -> &mut Profile {
    Arc::make_mut(&mut world.fleet.nodes[node].profile)
}

/// The second node's account has a shell that runs nothing, and its sshd is in a container.
fn shut() -> (World, Plan) {
    let mut world = world(2);
    profile(&mut world, 1).sshd.context = strings("docker exec -i nova_ssh");
    let login = &mut node(&mut world, 1).server.accounts[0];
    login.account.as_mut().expect("there").shell = "/usr/sbin/nologin".into();
    let policy = Policy {
        accounts: true,
        ..policy()
    };
    let plan = plan_for(&world, &policy, &HashMap::new());
    assert_eq!(plan.commands.len(), 1, "{plan:#?}");
    (world, plan)
}

/// The same account is locked, instead.
fn locked() -> (World, Plan) {
    let (mut world, mut plan) = shut();
    node(&mut world, 1).server.accounts[0].lock = LockState::Locked;
    plan.commands[0].words = strings("usermod -p * nova");
    plan.commands[0].undo = strings("usermod -L nova");
    assert_eq!(complaints(&plan, &world), []);
    (world, plan)
}

/// Every way to change, drop or add one word.
fn mutations(words: &[String]) -> Vec<Vec<String>> {
    let foreign = [
        "",
        "-G",
        "root",
        "sudo",
        "/bin/x",
        "-o",
        "nova",
        "sh",
        "\u{1b}[2J",
    ];
    let mut all = vec![Vec::new()];
    for at in 0..=words.len() {
        for word in foreign {
            let mut longer = words.to_vec();
            longer.insert(at, word.to_owned());
            all.push(longer);
            if at < words.len() {
                let mut other = words.to_vec();
                other[at] = word.to_owned();
                all.push(other);
            }
        }
        if at < words.len() {
            let mut shorter = words.to_vec();
            shorter.remove(at);
            all.push(shorter);
        }
    }
    all.retain(|it| it != words);
    all
}

#[test]
fn a_command_is_one_of_repairs_own_word_by_word() {
    type Part = fn(&mut AccountCommand) -> &mut Vec<String>;
    let parts: [Part; 3] = [|it| &mut it.words, |it| &mut it.undo, |it| &mut it.context];
    for (world, plan) in [shut(), locked()] {
        for part in parts {
            let mut good = plan.commands[0].clone();
            for words in mutations(part(&mut good)) {
                let mut plan = plan.clone();
                *part(&mut plan.commands[0]) = words;
                let what = format!("{:?}", plan.commands[0]);
                refused(&plan, &world, "cmp00001", &what);
            }
        }
    }
}

#[test]
fn a_command_of_root_is_told_with_its_words() {
    for (words, undo) in [
        ("usermod -aG sudo nova", "usermod -L nova"),
        ("usermod -o -u 0 nova", "usermod -L nova"),
        ("usermod root -L -s /bin/x", "usermod -L nova"),
        ("usermod -s /bin/sh nova", "sh -c reboot"),
        ("usermod -s /bin/sh nova", "usermod -s /bin/x nova"),
        ("usermod -p * nova", "usermod -L nova"),
    ] {
        let (world, mut plan) = shut();
        plan.commands[0].words = strings(words);
        plan.commands[0].undo = strings(undo);
        let found = complaints(&plan, &world);
        assert_eq!(found.len(), 1, "{found:?}");
        let told = found[0].to_string();
        assert!(told.starts_with("cmp00001: "), "{told}");
        assert!(told.contains(words) || told.contains(undo), "{told}");
    }
}

#[test]
fn a_command_is_for_an_account_that_a_lane_logs_in_to() {
    let (mut world, mut plan) = shut();
    plan.commands[0].words = strings("usermod -s /bin/sh sys");
    plan.commands[0].undo = strings("usermod -s /usr/sbin/nologin sys");
    refused(&plan, &world, "cmp00001", "another account");
    let (_, plan) = shut();
    let login = &mut node(&mut world, 1).server.accounts[0];
    login.account.as_mut().expect("there").uid = 0;
    refused(&plan, &world, "cmp00001", "root by another name");
    world.facts[1] = None;
    let found = complaints(&plan, &world);
    assert!(found.iter().any(|it| it.rule == Rule::Before), "{found:?}");
}

/// All share one key, and the second has none.
fn sharing() -> (World, Plan) {
    let simulation = Simulation {
        shared_key: true,
        ..Simulation::of(3)
    };
    let mut world = simulation.world();
    for number in 0..3 {
        profile(&mut world, number).repair.keys = KeySharing::Shared;
    }
    let client = &mut node(&mut world, 1).clients[0];
    for it in &mut client.identities {
        (it.state, it.meta, it.public) = (IdentityState::Missing, None, None);
    }
    client.public_halves.clear();
    let plan = plan_for(&world, &policy(), &HashMap::new());
    assert_eq!(plan.copies.len(), 1, "{plan:#?}");
    (world, plan)
}

#[test]
fn a_copied_key_is_one_that_the_survey_found_the_same_account_to_use() {
    let (world, plan) = sharing();
    let host_key = world.facts[0].as_ref().expect("surveyed").server.host_keys[0].clone();
    let host_public: Vec<&str> = host_key.public.split(' ').take(2).collect();
    type Plant<'a> = &'a dyn Fn(&mut String, &mut Vec<String>, &mut String, &mut String);
    let table: &[(&str, Plant<'_>)] = &[
        ("a host key", &|_, _, path, public| {
            path.clone_from(&host_key.path);
            *public = host_public.join(" ");
        }),
        ("another file", &|_, _, path, _| {
            *path = "/root/.ssh/id_rsa".into()
        }),
        ("the file of another key", &|_, _, path, _| path.push('x')),
        ("another key", &|_, _, _, public| {
            *public = host_public.join(" ")
        }),
        ("any key", &|_, _, _, public| public.clear()),
        ("a node that is none", &|node, _, _, _| {
            *node = "cmp9".into()
        }),
        ("a node without it", &|node, _, _, _| {
            *node = "cmp00001".into()
        }),
        ("words of root", &|_, context, _, _| {
            *context = strings("sh -c reboot")
        }),
    ];
    for (name, plant) in table {
        let mut plan = plan.clone();
        let KeySource::Existing {
            node,
            target,
            public,
            ..
        } = &mut plan.copies[0].of
        else {
            panic!("a key that is there");
        };
        plant(node, &mut target.context, &mut target.path, public);
        refused(&plan, &world, "cmp00001", name);
    }
}

#[test]
fn a_host_key_is_copied_even_less_where_the_account_names_it() {
    let (mut world, mut plan) = sharing();
    let facts = node(&mut world, 0);
    let key = facts.server.host_keys[0].clone();
    let mut named = facts.clients[0].identities[0].clone();
    (named.path, named.public) = (key.path.clone(), Some(key.public.clone()));
    named.state = IdentityState::Usable;
    facts.clients[0].identities.push(named);
    let KeySource::Existing { target, public, .. } = &mut plan.copies[0].of else {
        panic!("a key that is there");
    };
    target.path = key.path;
    *public = key.public.split(' ').take(2).collect::<Vec<_>>().join(" ");
    refused(&plan, &world, "cmp00001", "a host key");
}

#[test]
fn private_keys_stay_where_they_are_unless_the_inventory_says_otherwise() {
    let (mut world, plan) = sharing();
    profile(&mut world, 1).repair.keys = KeySharing::PerNode;
    refused(&plan, &world, "cmp00001", "a key of its own");
    let (mut world, mut plan) = sharing();
    world.facts[0] = None;
    refused(&plan, &world, "cmp00001", "a node that was not surveyed");
    world.facts[1] = None;
    plan.copies[0].of = KeySource::New(KeyId("x".into()));
    refused(&plan, &world, "cmp00001", "nor its target");
}
