//! Keys that work: renewed step by step, and taken away.

use std::collections::{HashMap, HashSet};

use super::world::*;
use crate::domain::{Lane, LegId, NodeId};
use crate::openssh::key::PublicKey;
use crate::repair::certificates::RevocationList;
use crate::repair::lint::{Complaint, ControlAccount, Rule, lint};
use crate::repair::plan::Plan;
use crate::repair::planner::{
    Revocation, Rotation, Situation, plan_next, plan_revocation, plan_rotation, trials,
};
use crate::repair::simulate::Hidden;
use crate::trust::simulate::World;
use crate::trust::{Legs, PairScope, Prediction};

const KEY: &str = "/var/lib/nova/.ssh/id_ed25519";

/// Plans, and has the plan reviewed.
fn planned(world: &World, make: impl FnOnce(&Situation<'_>) -> Plan) -> (Plan, Vec<Complaint>) {
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let prediction = Prediction::new(&world.fleet, &world.facts, &legs, &scope);
    let plan = make(&Situation {
        fleet: &world.fleet,
        facts: &world.facts,
        legs: &legs,
        prediction: &prediction,
        scope: &scope,
        seen: &HashMap::new(),
        inventory: "/clouds/test.yaml",
    });
    let control = ControlAccount::of(&world.fleet);
    let complaints = lint(&plan, &world.facts, &world.fleet, &scope, &control);
    (plan, complaints)
}

fn begun(world: &World, without: &HashSet<NodeId>) -> Plan {
    let nodes = world.fleet.ids().collect();
    let (plan, complaints) = planned(world, |situation| {
        plan_rotation(situation, &policy(), &nodes, without, "run")
    });
    assert_eq!(complaints, []);
    plan
}

fn next(world: &World, rotation: &Rotation, proven: &HashSet<LegId>) -> Plan {
    let (plan, complaints) = planned(world, |situation| {
        plan_next(situation, &policy(), rotation, proven)
    });
    assert_eq!(complaints, [], "{plan:#?}");
    plan
}

/// The rotation once the first plan is done, and the fleet as it is then.
fn admitted(world: &World) -> (Rotation, World) {
    let plan = begun(world, &HashSet::new());
    let mut after = applied(world, &plan, &Hidden::new());
    let mut keys = plan.turnover.renewed.clone();
    for (key, facts) in keys.iter_mut().zip(after.facts.iter_mut().flatten()) {
        // The new key waits where ssh does not look.
        let identities = &mut facts.clients[0].identities;
        let waiting = identities.iter().position(|it| it.path == key.next);
        let new = waiting.map(|at| identities.remove(at));
        key.public = new.and_then(|it| it.public);
        assert!(key.public.is_some(), "{key:?}");
    }
    let rotation = Rotation {
        of: "run".to_owned(),
        keys,
        ..Rotation::default()
    };
    (rotation, after)
}

#[test]
fn the_first_step_adds_keys_and_lines_and_takes_nothing_away() {
    let world = world(3);
    let plan = begun(&world, &HashSet::new());
    assert_eq!((plan.keys.len(), plan.turnover.renewed.len()), (3, 3));
    assert_eq!(plan.left, []);
    for key in &plan.keys {
        assert_eq!(key.target.path, format!("{KEY}.clearway-new"));
    }
    assert_eq!(plan.nodes.len(), 3);
    for edit in plan.nodes.iter().flat_map(|it| &it.edits) {
        let bytes = |state: &crate::repair::plan::FileState| {
            let text = state.text().and_then(|it| it.bytes(|_| Some(b"NEW")));
            String::from_utf8(text.unwrap_or_default()).expect("text")
        };
        let (before, after) = (bytes(&edit.before), bytes(&edit.after));
        assert!(before.lines().all(|line| after.contains(line)), "{after}");
        assert_eq!(after.matches("NEW clearway:").count(), 2, "{after}");
    }
}

#[test]
fn a_key_takes_its_place_only_when_it_is_proven_wherever_the_old_one_is_let_in() {
    let (rotation, world) = admitted(&world(3));
    let mut tried = Vec::new();
    let nobody = HashSet::new();
    planned(&world, |situation| {
        tried = trials(situation, &rotation);
        plan_next(situation, &policy(), &rotation, &nobody)
    });
    let mut proven: HashSet<LegId> = tried.iter().map(|it| it.id).collect();
    assert!(proven.len() >= 6, "{tried:?}");
    let plan = next(&world, &rotation, &proven);
    assert_eq!((plan.nodes.len(), plan.turnover.renewed.len()), (0, 3));
    assert!(plan.turnover.renewed.iter().all(|it| it.takes_place));

    proven.retain(|id| *id != tried[0].id);
    let plan = next(&world, &rotation, &proven);
    let waits = world.fleet.node(tried[0].id.client).name.to_string();
    let names: Vec<&str> = plan.turnover.renewed.iter().map(|it| &*it.node).collect();
    assert_eq!(names.len(), 2);
    assert!(!names.contains(&&*waits));
    assert_eq!(plan.left.len(), 1, "{:?}", plan.left);
    assert_eq!(plan.left[0].remedy, "clearway repair resume run");
}

#[test]
fn old_keys_go_once_no_node_has_them() {
    let (rotation, mut world) = admitted(&world(3));
    for (key, facts) in rotation.keys.iter().zip(world.facts.iter_mut().flatten()) {
        let mut identities = facts.clients[0].identities.iter_mut();
        let own = identities.find(|it| it.path == KEY).expect("there");
        own.public.clone_from(&key.public);
    }
    let plan = next(&world, &rotation, &HashSet::new());
    assert_eq!((plan.turnover.retired.len(), plan.nodes.len()), (3, 3));
    let after = applied(&world, &plan, &Hidden::new());
    assert_eq!(broken(&after), []);
    for facts in after.facts.iter().flatten() {
        let file = text(&facts.server.accounts[0].authorized_keys[0].file.state);
        for key in &rotation.keys {
            assert!(!file.contains(&key.was), "{file}");
        }
    }
    let end = next(&after, &rotation, &HashSet::new());
    assert!(is_empty(&end) && end.left.is_empty(), "{end:#?}");
}

#[test]
fn a_key_that_a_node_would_not_learn_of_is_left_alone() {
    let mut world = world(3);
    world.facts[2] = None;
    let plan = begun(&world, &HashSet::new());
    assert!(is_empty(&plan), "{plan:#?}");
    assert!(plan.left.iter().all(|it| it.why.contains("--without")));
    assert_eq!(plan.left.len(), 2, "{:?}", plan.left);
    let plan = begun(&world, &HashSet::from([NodeId(2)]));
    assert_eq!(plan.keys.len(), 2);
    assert_eq!(plan.turnover.without, ["cmp00002"]);
}

#[test]
fn a_key_with_a_command_of_its_own_is_left_alone() {
    let mut world = world(2);
    let public = {
        let facts = node(&mut world, 0);
        let mut identities = facts.clients[0].identities.iter();
        let own = identities.find(|it| it.path == KEY).expect("there");
        own.public.clone().expect("known")
    };
    let file = &mut node(&mut world, 1).server.accounts[0].authorized_keys[0]
        .file
        .state;
    write(file, format!("command=\"/bin/wrapper\" {public} nova\n"));
    let plan = begun(&world, &HashSet::new());
    let makers: Vec<&str> = plan.keys.iter().map(|it| &*it.node).collect();
    assert_eq!(makers, ["cmp00001"]);
    assert!(
        plan.left[0].why.contains("options of its own"),
        "{:?}",
        plan.left
    );
}

#[test]
fn a_revoked_node_is_in_no_file_of_the_others_and_they_go_on_working() {
    let world = world(3);
    let (plan, complaints) = planned(&world, |situation| {
        plan_revocation(
            situation,
            &Revocation::new("cmp00002"),
            &RevocationList::default(),
        )
    });
    assert_eq!(complaints, [], "{plan:#?}");
    let names: Vec<&str> = plan.nodes.iter().map(|it| &*it.node).collect();
    assert_eq!(names, ["cmp00000", "cmp00001"]);
    let after = applied(&world, &plan, &Hidden::new());
    let out = NodeId(2);
    for (id, _) in broken(&after) {
        assert!(id.client == out || id.server == out, "{id:?}");
    }
    for lane in [Lane::ColdPush, Lane::ColdPull] {
        let gone = broken(&after);
        let mut of_lane = gone.iter().filter(|(id, _)| id.lane == lane);
        assert!(of_lane.any(|(id, _)| id.client == out), "{lane}");
    }
}

#[test]
fn what_others_have_too_is_not_taken_away() {
    let mut world = world(3);
    let public = {
        let facts = node(&mut world, 0);
        facts.clients[0]
            .identities
            .iter()
            .find_map(|it| it.public.clone())
    };
    let own = &mut node(&mut world, 2).clients[0].identities;
    let own = own
        .iter_mut()
        .find(|it| it.public.is_some())
        .expect("there");
    own.public.clone_from(&public);
    let (plan, complaints) = planned(&world, |situation| {
        plan_revocation(
            situation,
            &Revocation::new("cmp00002"),
            &RevocationList::default(),
        )
    });
    assert_eq!(complaints, []);
    let shared = public.expect("known");
    assert!(plan.turnover.retired.iter().all(|it| it.public != shared));
    assert!(
        plan.left
            .iter()
            .any(|it| it.why.contains(" has the key ") && it.remedy.contains("rotate --limit"))
    );

    // A plan that says otherwise is not carried out.
    let mut bad = plan;
    let (key, _) = PublicKey::read(shared.as_bytes()).expect("a key");
    bad.turnover.retired[0].public = key.to_string();
    bad.turnover.retired[0].host = false;
    let (_, complaints) = planned(&world, |situation| {
        let retired = bad.turnover.retired.clone();
        bad.nodes = super::super::withdraw::withdraw(situation, &retired, Some(NodeId(2)));
        bad
    });
    assert!(
        complaints.iter().any(|it| it.rule == Rule::Unmanaged),
        "{complaints:?}"
    );
}
