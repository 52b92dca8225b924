//! Whose name a node may be certified for.

use super::*;

#[test]
fn a_node_cannot_have_itself_certified_for_another_nor_for_a_stranger() {
    let mut world = world(3);
    let victim = world.fleet.nodes[1].name.to_string();
    let facts = world.facts[0].as_mut().unwrap();
    facts.nova.my_ip = Some(world.fleet.nodes[1].control.address.clone());
    facts.nova.host = Some("git.example.com".into());
    facts.nova.live_migration_inbound_addr = Some(victim.to_uppercase());
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let owned = owned_names(&world.fleet, &world.facts, &legs, false);
    assert_eq!(owned[0].names, [""; 0]);
    let disowned: Vec<_> = owned[0]
        .disowned
        .iter()
        .map(|it| (it.name.as_str(), it.owner.as_deref()))
        .collect();
    let victim_address = world.fleet.nodes[1].control.address.as_str();
    assert_eq!(
        disowned,
        [
            (victim_address, Some(victim.as_str())),
            ("git.example.com", None),
            (victim.as_str(), Some(victim.as_str())),
        ]
    );
    let wanted = wanted(
        &world.fleet,
        &world.facts,
        &legs,
        &scope,
        &policy(),
        counter(),
    );
    let hostile = world.fleet.nodes[0].name.as_str();
    assert!(
        !wanted
            .requests
            .iter()
            .any(|it| it.node == hostile && it.role == CertRole::Host)
    );
    assert_eq!(wanted.left.len(), 3);
    let signed = signed(wanted.requests);
    let plan = plan(
        &world.fleet,
        &world.facts,
        &legs,
        &scope,
        &policy(),
        (&signed, None),
        "/x",
    )
    .plan;
    for edit in plan.nodes.iter().flat_map(|it| &it.edits) {
        assert!(
            !text(&edit.after).contains("git.example.com"),
            "{}",
            edit.target.path
        );
    }
}

#[test]
fn another_domain_is_the_nodes_own_name_and_another_address_is_not() {
    let mut world = world(2);
    let facts = world.facts[0].as_mut().unwrap();
    let name = world.fleet.nodes[0].name.to_string();
    facts.nova.host = Some(format!("{name}.cloud.example"));
    facts.nova.my_ip = Some("192.0.2.7".into());
    let legs = Legs::new(&world.fleet, &world.facts);
    let owned = owned_names(&world.fleet, &world.facts, &legs, false);
    assert_eq!(owned[0].names, [format!("{name}.cloud.example")]);
    assert_eq!(owned[0].disowned[0].name, "192.0.2.7");
    assert_eq!(owned[0].disowned[0].property, "migration_address");
    // On its own word only where it is asked for, on an interface, and nobody else's.
    let own = |world: &World| {
        let legs = Legs::new(&world.fleet, &world.facts);
        owned_names(&world.fleet, &world.facts, &legs, true)[0]
            .disowned
            .is_empty()
    };
    assert!(!own(&world), "on no interface");
    world.facts[0]
        .as_mut()
        .unwrap()
        .addresses
        .push("192.0.2.7".parse().unwrap());
    assert!(own(&world));
    world.facts[1]
        .as_mut()
        .unwrap()
        .addresses
        .push("192.0.2.7".parse().unwrap());
    assert!(!own(&world), "another node has it, too");
    world.fleet.nodes[0].migration_address = Some("192.0.2.7".into());
    let legs = Legs::new(&world.fleet, &world.facts);
    assert_eq!(
        owned_names(&world.fleet, &world.facts, &legs, false)[0].disowned,
        []
    );
}
