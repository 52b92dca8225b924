//! A small fleet to break and repair in memory.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::domain::{Lane, LegId, NodeId, Pair, Predicted, Verdict};
use crate::repair::lint::{ControlAccount, lint};
use crate::repair::plan::Plan;
use crate::repair::planner::{Policy, Seen, Situation, plan};
use crate::repair::simulate::{Hidden, apply};
use crate::survey::{Account, Content, FileState, NodeFacts};
use crate::trust::simulate::{Simulation, World};
use crate::trust::{Legs, PairScope, Prediction};

pub(in crate::repair) fn world(nodes: usize) -> World {
    Simulation::of(nodes).world()
}

pub(in crate::repair) fn content(text: impl AsRef<[u8]>) -> Content {
    let bytes = text.as_ref();
    Content {
        sha256: Sha256::digest(bytes).into(),
        bytes: bytes.into(),
    }
}

pub(in crate::repair) fn policy() -> Policy {
    Policy::new([7; 32])
}

/// The facts of a node.
pub(in crate::repair) fn node(world: &mut World, number: usize) -> &mut NodeFacts {
    world.facts[number].as_mut().expect("surveyed")
}

/// Replaces the bytes of a file.
pub(in crate::repair) fn write(state: &mut FileState, text: impl AsRef<[u8]>) {
    match state {
        FileState::Present { content: old, .. } => *old = Some(content(text)),
        _ => panic!("no such file"),
    }
}

pub(in crate::repair) fn text(state: &FileState) -> String {
    match state {
        FileState::Present {
            content: Some(content),
            ..
        } => String::from_utf8_lossy(&content.bytes).into_owned(),
        other => panic!("no such file: {other:?}"),
    }
}

/// Lets live migrations go over ssh, from root to root.
pub(in crate::repair) fn with_live_lane(world: &mut World) {
    for facts in world.facts.iter_mut().flatten() {
        facts.nova.live_migration_uri = Some("qemu+ssh://%s/system".into());
        let mut client = facts.clients[0].clone();
        client.context = Vec::new();
        let root = Account {
            name: "root".into(),
            uid: 0,
            gid: 0,
            groups: vec!["root".into()],
            home: "/root".into(),
            shell: "/bin/bash".into(),
        };
        let there = |path: &mut String| *path = path.replace("/var/lib/nova", "/root");
        client.account = Some(root.clone());
        client.identities.clear();
        for file in client.known_hosts.iter_mut().chain(&mut client.directories) {
            there(&mut file.path);
            if file.path.contains("known_hosts") {
                file.state = FileState::Absent;
            } else if let FileState::Present { meta, .. } = &mut file.state {
                (meta.uid, meta.gid) = (0, 0);
            }
        }
        if let crate::survey::Answer::Output(base) = &client.base_config {
            let said = String::from_utf8_lossy(&base.bytes).replace("/var/lib/nova", "/root");
            client.base_config =
                crate::survey::Answer::Output(content(said.replace("user nova", "user root")));
        }
        facts.clients.push(client);
        let mut login = facts.server.accounts[0].clone();
        login.name = "root".into();
        login.account = Some(root);
        for checked in &mut login.authorized_keys {
            there(&mut checked.file.path);
            checked.file.state = FileState::Absent;
            for (path, meta) in &mut checked.above {
                there(path);
                (meta.uid, meta.gid) = (0, 0);
            }
        }
        facts.server.accounts.push(login);
    }
}

/// What the files imply for every pair.
pub(in crate::repair) fn predict(world: &World) -> Vec<(LegId, Predicted)> {
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let prediction = Prediction::new(&world.fleet, &world.facts, &legs, &scope);
    let mut all = Vec::new();
    for &source in scope.nodes() {
        for destination in scope.destinations(source) {
            for lane in Lane::ALL {
                let id = Pair {
                    source,
                    destination,
                }
                .leg(lane);
                let settled = legs.obstacle(id);
                all.push((id, settled.unwrap_or_else(|| prediction.verdict(id))));
            }
        }
    }
    all
}

/// Legs that do not work, by reason.
pub(in crate::repair) fn broken(world: &World) -> Vec<(LegId, &'static str)> {
    let broken = predict(world).into_iter().filter_map(|(id, it)| match it {
        Predicted::Breaks(reason) => Some((id, reason.code())),
        Predicted::Unknown(why) => Some((id, why.code())),
        _ => None,
    });
    broken.collect()
}

pub(in crate::repair) fn plan_for(
    world: &World,
    policy: &Policy,
    seen: &HashMap<LegId, Seen>,
) -> Plan {
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let prediction = Prediction::new(&world.fleet, &world.facts, &legs, &scope);
    let situation = Situation {
        fleet: &world.fleet,
        facts: &world.facts,
        legs: &legs,
        prediction: &prediction,
        scope: &scope,
        seen,
        inventory: "/clouds/test.yaml",
    };
    let plan = plan(&situation, policy);
    let control = ControlAccount::of(&world.fleet);
    let complaints = lint(&plan, &world.facts, &world.fleet, &scope, &control);
    assert_eq!(complaints, [], "of {plan:#?}");
    plan
}

/// Plans without any proof.
pub(in crate::repair) fn plan_of(world: &World) -> Plan {
    plan_for(world, &policy(), &HashMap::new())
}

pub(in crate::repair) fn is_empty(plan: &Plan) -> bool {
    plan.nodes.is_empty()
        && plan.keys.is_empty()
        && plan.copies.is_empty()
        && plan.commands.is_empty()
}

pub(in crate::repair) fn applied(world: &World, plan: &Plan, hidden: &Hidden) -> World {
    World {
        fleet: world.fleet.clone(),
        facts: apply(plan, &world.fleet, &world.facts, hidden),
    }
}

/// Repairs, and holds what every repair must hold: all works afterwards, and nothing is left to do.
pub(in crate::repair) fn repair(world: &World, hidden: &Hidden) -> (Plan, World) {
    let plan = plan_of(world);
    assert!(!is_empty(&plan), "nothing planned for {:?}", broken(world));
    let after = applied(world, &plan, hidden);
    assert_eq!(broken(&after), [], "after {plan:#?}");
    let again = plan_of(&after);
    assert!(is_empty(&again), "planned again: {again:#?}");
    assert_eq!(again.left, [], "left");
    (plan, after)
}

/// A verdict seen on a leg.
pub(in crate::repair) fn seen(
    lane: Lane,
    client: u32,
    server: u32,
    verdict: Verdict,
) -> (LegId, Seen) {
    let id = LegId {
        lane,
        client: NodeId(client),
        server: NodeId(server),
    };
    let seen = Seen {
        verdict,
        served: Vec::new(),
    };
    (id, seen)
}
