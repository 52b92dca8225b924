//! Plans held against the prediction, on fleets that are made up.

mod names;
mod review;
mod revocation;

use std::collections::BTreeSet;

use proptest::prelude::*;
use ssh_key::PrivateKey;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::Ed25519Keypair;

use super::entries::{host_authority_lines, with_lines};
use super::*;
use crate::domain::{NodeId, Predicted};
use crate::openssh::key::{CertRole, PublicKey};
use crate::openssh::known_hosts::KnownHosts;
use crate::repair::plan::{FileState, Plan};
use crate::survey::{self, NodeFacts};
use crate::trust::legs::Legs;
use crate::trust::simulate::{Simulation, World};
use crate::trust::{PairScope, Prediction};

const NOW: u64 = 1_790_000_000;
const DAY: u64 = 86_400;

fn authority(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

fn public(key: &PrivateKey) -> PublicKey {
    let text = key.public_key().to_openssh().unwrap();
    PublicKey::read(text.as_bytes()).unwrap().0
}

fn policy() -> Policy {
    let authorities = Authorities {
        hosts: public(&authority(1)),
        users: public(&authority(2)),
    };
    Policy::new(authorities, NOW)
}

/// Signs as ssh-keygen does, in this process.
fn sign(request: CertificateRequest, by: &PrivateKey) -> Signed {
    let key = ssh_key::PublicKey::from_openssh(&request.key.to_string()).unwrap();
    let mut builder =
        Builder::new([5; 16], &key, request.valid_after, request.valid_before).unwrap();
    builder.serial(request.serial).unwrap();
    builder.key_id(request.key_id.as_str()).unwrap();
    for principal in &request.principals {
        builder.valid_principal(principal.as_str()).unwrap();
    }
    builder
        .cert_type(match request.role {
            CertRole::Host => CertType::Host,
            CertRole::User => CertType::User,
        })
        .unwrap();
    if let Some(addresses) = request.source_address() {
        builder
            .critical_option("source-address", addresses)
            .unwrap();
    }
    let made = builder.sign(by).unwrap().to_openssh().unwrap();
    check_signed(request, &public(by), made.as_bytes()).unwrap()
}

fn signed(requests: Vec<CertificateRequest>) -> Vec<Signed> {
    let sign = |request: CertificateRequest| {
        let seed = if request.role == CertRole::Host { 1 } else { 2 };
        sign(request, &authority(seed))
    };
    requests.into_iter().map(sign).collect()
}

fn counter() -> impl FnMut() -> u64 {
    let mut next = 0;
    move || {
        next += 1;
        next
    }
}

/// The certificates that a whole fleet is to have.
fn asked_for(world: &World, policy: &Policy) -> Wanted {
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    wanted(&world.fleet, &world.facts, &legs, &scope, policy, counter())
}

/// The first step on a whole fleet.
fn introduced(world: &World, policy: &Policy) -> CertificatePlan {
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let wanted = asked_for(world, policy);
    assert_eq!(wanted.left, [], "nothing is left to a person");
    let signed = signed(wanted.requests);
    let planned = plan(
        &world.fleet,
        &world.facts,
        &legs,
        &scope,
        policy,
        (&signed, None),
        "/x",
    );
    review::only_adds(&planned.plan, &world.fleet, policy);
    planned
}

fn outlook(world: &World, after: &[Option<NodeFacts>]) -> Outlook {
    let scope = PairScope::all(&world.fleet);
    Outlook::of(&world.fleet, &world.facts, after, &scope)
}

/// Nodes whose migration address the inventory does not know are certified for nothing; the simulation's are its control
/// addresses.
fn world(nodes: usize) -> World {
    Simulation::of(nodes).world()
}

/// Takes everything away that trusts a plain key.
fn without_keys(world: &mut World) {
    for facts in world.facts.iter_mut().flatten() {
        for client in &mut facts.clients {
            for file in &mut client.known_hosts {
                file.state = survey::FileState::Absent;
            }
        }
        for account in &mut facts.server.accounts {
            for file in &mut account.authorized_keys {
                file.file.state = survey::FileState::Absent;
            }
        }
    }
}

#[test]
fn nodes_without_any_trust_come_to_work() {
    let mut world = world(4);
    without_keys(&mut world);
    let introduced = introduced(&world, &policy());
    let after = afterwards(&world.fleet, &world.facts, &introduced.plan);
    let outlook = outlook(&world, &after);
    assert_eq!(outlook.broken, []);
    assert_eq!(outlook.works, 4 * 3 * 2, "both cold lanes of every pair");
}

#[test]
fn every_node_has_its_changes_and_nobody_one_per_other() {
    let edits = |nodes: usize| {
        let mut world = world(nodes);
        without_keys(&mut world);
        let plan = introduced(&world, &policy()).plan;
        let of_nodes: usize = plan.nodes.iter().map(|it| it.edits.len()).sum();
        let of_sshd: usize = plan.sshd.iter().map(|it| it.edits.len()).sum();
        // The line that admits logins is one, whatever the size.
        for edit in plan.nodes.iter().flat_map(|it| &it.edits) {
            if edit.target.path.ends_with("authorized_keys") {
                assert_eq!(text(&edit.after).lines().count(), 1);
            }
        }
        (of_nodes, of_sshd)
    };
    let (small, large) = (edits(3), edits(30));
    assert_eq!((small.0 * 10, small.1 * 10), large);
}

fn text(state: &FileState) -> String {
    match state {
        FileState::File { text, .. } => String::from_utf8(text.bytes(|_| None).unwrap()).unwrap(),
        _ => String::new(),
    }
}

/// The plan of one node alone, and the node's sshd apart from the rest of it.
fn part(plan: &Plan, node: &str, sshd: bool) -> Plan {
    let mut part = plan.clone();
    part.nodes.retain(|it| it.node == node && !sshd);
    part.sshd.retain(|it| it.node == node && sshd);
    part
}

#[test]
fn on_the_way_from_keys_to_certificates_every_leg_works_after_every_step_in_any_order() {
    let world = world(3);
    let policy = policy();
    let plan = introduced(&world, &policy).plan;
    let names: Vec<String> = world
        .fleet
        .nodes
        .iter()
        .map(|it| it.name.to_string())
        .collect();
    let steps: Vec<(String, bool)> = names
        .iter()
        .flat_map(|name| [(name.clone(), false), (name.clone(), true)])
        .collect();
    // Every order of first steps that differs in who comes first and last; each prefix of it is a state.
    for turn in 0..steps.len() {
        for backwards in [false, true] {
            let mut order = steps.clone();
            order.rotate_left(turn);
            if backwards {
                order.reverse();
            }
            let mut facts = world.facts.clone();
            for (name, sshd) in order {
                facts = afterwards(&world.fleet, &facts, &part(&plan, &name, sshd));
                let outlook = outlook(&world, &facts);
                assert_eq!(
                    (outlook.lost, outlook.broken),
                    (vec![], vec![]),
                    "{name} {sshd}"
                );
            }
            // Then the plain keys go, node by node.
            let scope = PairScope::all(&world.fleet);
            let retired = retire(&world.fleet, &facts, &scope, &policy, "/x");
            assert_eq!(retired.nodes.len(), 3);
            for name in &names {
                facts = afterwards(&world.fleet, &facts, &part(&retired, name, false));
                let outlook = outlook(&world, &facts);
                assert_eq!(
                    (outlook.lost, outlook.broken),
                    (vec![], vec![]),
                    "without keys {name}"
                );
            }
            // What is left of known_hosts is the authority alone.
            for facts in facts.iter().flatten() {
                let file = facts.clients[0].known_hosts[0].content().unwrap();
                let file = KnownHosts::parse(file.bytes.to_vec());
                assert!(
                    file.entries()
                        .all(|(_, it)| it.marker
                            == crate::openssh::known_hosts::Marker::CertAuthority)
                );
            }
        }
    }
}

#[test]
fn a_second_time_there_is_nothing_to_do() {
    let mut world = world(3);
    let policy = policy();
    let plan = introduced(&world, &policy).plan;
    world.facts = afterwards(&world.fleet, &world.facts, &plan);
    let again = introduced(&world, &policy);
    assert_eq!(again.certificates, 0);
    assert_eq!((again.plan.nodes, again.plan.sshd), (vec![], vec![]));
}

#[test]
fn certificates_that_end_soon_are_made_again_and_nothing_else_changes() {
    let mut world = world(3);
    let mut policy = policy();
    let plan = introduced(&world, &policy).plan;
    world.facts = afterwards(&world.fleet, &world.facts, &plan);
    policy.now = NOW + 151 * DAY;
    let again = introduced(&world, &policy);
    // Two host keys and one of nova's, on each.
    assert_eq!(again.certificates, 9);
    let paths: BTreeSet<&str> = again
        .plan
        .nodes
        .iter()
        .flat_map(|it| &it.edits)
        .chain(again.plan.sshd.iter().flat_map(|it| &it.edits))
        .map(|edit| edit.target.path.as_str())
        .collect();
    assert!(
        paths.iter().all(|path| path.ends_with("-cert.pub")),
        "{paths:?}"
    );
}

#[test]
fn a_certificate_of_another_authority_is_left_alone_unless_it_is_to_be_replaced() {
    let mut world = world(2);
    let other = Policy::new(
        Authorities {
            hosts: public(&authority(8)),
            users: public(&authority(9)),
        },
        NOW,
    );
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let theirs = wanted(&world.fleet, &world.facts, &legs, &scope, &other, counter()).requests;
    let theirs: Vec<Signed> = theirs
        .into_iter()
        .map(|request| {
            let seed = if request.role == CertRole::Host { 8 } else { 9 };
            sign(request, &authority(seed))
        })
        .collect();
    let plan_of_others = plan(
        &world.fleet,
        &world.facts,
        &legs,
        &scope,
        &other,
        (&theirs, None),
        "/x",
    );
    world.facts = afterwards(&world.fleet, &world.facts, &plan_of_others.plan);
    let mut policy = policy();
    let found = asked_for(&world, &policy);
    // Told once for each kind of file.
    assert_eq!((found.requests.len(), found.left.len()), (0, 3));
    policy.replace_others = true;
    let found = asked_for(&world, &policy);
    assert_eq!((found.requests.len(), found.left.len()), (6, 0));
    // From one authority to the next without a gap: the old lines stay until the second step.
    let plan = introduced(&world, &policy).plan;
    let mut facts = world.facts.clone();
    for node in &world.fleet.nodes {
        for sshd in [false, true] {
            facts = afterwards(&world.fleet, &facts, &part(&plan, node.name.as_str(), sshd));
            let outlook = outlook(&world, &facts);
            assert_eq!((outlook.lost, outlook.broken), (vec![], vec![]));
        }
    }
    let retired = retire(&world.fleet, &facts, &scope, &policy, "/x");
    let facts = afterwards(&world.fleet, &facts, &retired);
    assert_eq!(outlook(&world, &facts).lost, []);
    let old = public(&authority(8)).to_string();
    for facts in facts.iter().flatten() {
        let file = facts.clients[0].known_hosts[0].content().unwrap();
        assert!(!String::from_utf8_lossy(&file.bytes).contains(&old));
    }
}

#[test]
fn the_prediction_says_why_a_certificate_beyond_its_end_breaks_a_leg() {
    let mut world = world(2);
    let policy = policy();
    let plan = introduced(&world, &policy).plan;
    world.facts = afterwards(&world.fleet, &world.facts, &plan);
    let scope = PairScope::all(&world.fleet);
    let retired = retire(&world.fleet, &world.facts, &scope, &policy, "/x");
    let mut facts = afterwards(&world.fleet, &world.facts, &retired);
    for facts in facts.iter_mut().flatten() {
        facts.clock += i64::try_from(200 * DAY).unwrap();
    }
    let legs = Legs::new(&world.fleet, &facts);
    let prediction = Prediction::new(&world.fleet, &facts, &legs, &scope);
    let id = crate::domain::LegId {
        lane: crate::domain::Lane::ColdPush,
        client: NodeId(0),
        server: NodeId(1),
    };
    assert_eq!(
        prediction.verdict(id),
        Predicted::Breaks(crate::domain::Reason::HostCertificateExpired)
    );
}

proptest! {
    #[test]
    fn lines_of_others_keep_every_byte(
        lines in proptest::collection::vec("[ -~\\t\\r]{0,40}", 0..12),
        ends in any::<bool>(),
        own in 0_usize..12,
    ) {
        let mut bytes = lines.join("\n").into_bytes();
        if ends && !bytes.is_empty() {
            bytes.push(b'\n');
        }
        let count = crate::openssh::Lines::new(bytes.clone()).len();
        let own: Vec<usize> = (1..=count).filter(|number| number % 5 == own % 5).collect();
        let new = with_lines(&bytes, &own, &["MINE"]);
        let before = crate::openssh::Lines::new(bytes);
        let after = crate::openssh::Lines::new(new);
        let kept: Vec<&[u8]> = (1..=count).filter(|it| !own.contains(it)).filter_map(|it| before.raw(it)).collect();
        let found: Vec<&[u8]> = (1..=after.len()).filter_map(|it| after.raw(it)).filter(|line| *line != b"MINE").collect();
        prop_assert_eq!(kept, found);
        prop_assert_eq!((1..=after.len()).filter(|&it| after.raw(it) == Some(b"MINE")).count(), 1);
    }

    #[test]
    fn every_name_is_in_one_line_of_the_authority_and_nothing_else_is(count in 1_usize..200) {
        let names: Vec<String> = (0..count).map(|it| format!("cmp{it}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let lines = host_authority_lines(&names, &public(&authority(1)));
        let text = lines.join("\n");
        let file = KnownHosts::parse(text.into_bytes());
        for name in &names {
            prop_assert_eq!(file.entries().filter(|(_, it)| it.hosts.matches(name)).count(), 1);
        }
        for other in ["cmp", "cmp200", "xcmp1", "*"] {
            prop_assert!(!file.entries().any(|(_, it)| it.hosts.matches(other)));
        }
    }
}
