//! Nodes that are taken out, and the list of them.

use super::*;

#[test]
fn a_revoked_node_is_out_and_the_others_go_on() {
    let mut world = world(4);
    let mut policy = policy();
    let plan = introduced(&world, &policy).plan;
    world.facts = afterwards(&world.fleet, &world.facts, &plan);
    let scope = PairScope::all(&world.fleet);
    let legs = Legs::new(&world.fleet, &world.facts);
    let gone = NodeId(2);
    let revocation = Revocation::of(&world.fleet, &world.facts, &legs, gone, &policy.revoked);
    assert_eq!(revocation.user_keys.len(), 1);
    assert_eq!(revocation.host_keys.len(), 2);
    policy.revoked.add(&revocation);
    // A list of keys in text form does what the binary one does, and needs no ssh-keygen.
    let list: String = revocation
        .user_keys
        .iter()
        .map(|key| format!("{key}\n"))
        .collect();
    let plan = revoke(
        &world.fleet,
        &world.facts,
        &scope,
        &revocation,
        &policy,
        list.as_bytes(),
        "/x",
    );
    assert_eq!(plan.left, []);
    assert_eq!((plan.nodes.len(), plan.sshd.len()), (3, 3));
    let after = afterwards(&world.fleet, &world.facts, &plan);
    let outlook = outlook(&world, &after);
    let concerns = |id: &crate::domain::LegId| id.client == gone || id.server == gone;
    assert!(
        outlook.lost.iter().all(|(id, _)| concerns(id)),
        "{:?}",
        outlook.lost
    );
    assert_eq!(
        outlook.lost.len(),
        2 * 2 * 3,
        "both lanes, both ways, three others"
    );
    assert_eq!(outlook.works, 4 * 3 * 2 - 12);

    // Again: nothing to do, and nothing is signed for keys that were revoked.
    world.facts = after;
    let again = revoke(
        &world.fleet,
        &world.facts,
        &scope,
        &revocation,
        &policy,
        list.as_bytes(),
        "/x",
    );
    assert_eq!((again.nodes, again.sshd), (vec![], vec![]));
    let found = asked_for(&world, &policy);
    assert_eq!(found.requests, []);
    assert!(!found.revoked.is_empty());

    // The node comes back with other keys: its certificates have other ids.
    let fresh = public(&authority(8)).to_string();
    let facts = world.facts[gone.index()].as_mut().expect("surveyed");
    for key in &mut facts.server.host_keys {
        (key.public, key.certificate) = (fresh.clone(), None);
    }
    for identity in facts.clients.iter_mut().flat_map(|it| &mut it.identities) {
        if identity.public.is_some() {
            (identity.public, identity.certificate) = (Some(fresh.clone()), None);
        }
    }
    let wanted = asked_for(&world, &policy);
    let ids: BTreeSet<&str> = wanted
        .requests
        .iter()
        .map(|it| it.key_id.as_str())
        .collect();
    let name = world.fleet.node(gone).name.as_str();
    assert_eq!(
        ids,
        BTreeSet::from([
            format!("clearway:host:{name}:2").as_str(),
            format!("clearway:user:nova@{name}:2").as_str()
        ])
    );
}

#[test]
fn a_node_that_does_not_answer_can_be_revoked_and_a_shared_key_cannot() {
    let mut world = world(3);
    let gone = NodeId(0);
    world.facts[0] = None;
    let legs = Legs::new(&world.fleet, &world.facts);
    let list = RevocationList::default();
    world.fleet.nodes[0].migration_address = Some(world.fleet.nodes[0].control.address.clone());
    let known = Legs::new(&world.fleet, &world.facts);
    let revocation = Revocation::of(&world.fleet, &world.facts, &known, gone, &list);
    assert_eq!(revocation.host_keys.len(), 2, "as the others recorded them");
    assert_eq!(revocation.ids.len(), 2);
    drop(legs);

    let mut simulation = Simulation::of(3);
    simulation.shared_key = true;
    let world = simulation.world();
    let legs = Legs::new(&world.fleet, &world.facts);
    let revocation = Revocation::of(&world.fleet, &world.facts, &legs, gone, &list);
    assert_eq!(
        (revocation.user_keys.len(), revocation.shared.len()),
        (0, 1)
    );
}

#[test]
fn the_operators_list_is_read_as_it_is_written() {
    let key = public(&authority(3));
    let text = format!("# ours\n\nid: clearway:host:a:1\nkey: {key} comment\n");
    let list = RevocationList::parse(&text).unwrap();
    assert!(list.has_id(b"clearway:host:a:1"));
    assert_eq!(list.next_id("clearway:host:a"), "clearway:host:a:2");
    assert_eq!(list.next_id("clearway:host:b"), "clearway:host:b:1");
    assert_eq!(RevocationList::parse(&list.text()), Ok(list));
    for bad in ["serial: 5", "key: ssh-ed25519", "nonsense"] {
        let text = format!("id: x\n{bad}\n");
        assert_eq!(RevocationList::parse(&text), Err(BadRevocation { line: 2 }));
    }
}
