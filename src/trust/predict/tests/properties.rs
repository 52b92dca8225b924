use proptest::prelude::*;

use super::*;
use crate::openssh::fixtures::ed25519;

/// All predictions of a world, in the order of lanes, clients and servers.
fn all(world: &World) -> Vec<Predicted> {
    let count = u32::try_from(world.fleet.nodes.len()).expect("few");
    let ids: Vec<LegId> = [Lane::ColdPush, Lane::ColdPull, Lane::Live]
        .into_iter()
        .flat_map(|lane| {
            (0..count).flat_map(move |client| {
                let servers = (0..count).filter(move |&server| server != client);
                servers.map(move |server| leg(lane, client, server))
            })
        })
        .collect();
    predict(world, &ids)
}

fn simulation() -> impl Strategy<Value = Simulation> {
    let form = prop_oneof![Just(Form::Plain), Just(Form::Hashed)];
    (2..6_usize, form, any::<bool>(), any::<bool>(), 0..4_usize).prop_map(
        |(nodes, form, shared_key, own_files, fault_every)| Simulation {
            nodes,
            form,
            shared_key,
            own_files,
            fault_every,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn the_same_facts_give_the_same_predictions(simulation in simulation()) {
        prop_assert_eq!(all(&simulation.world()), all(&simulation.world()));
    }

    #[test]
    fn an_unrelated_line_of_known_hosts_changes_nothing(
        simulation in simulation(), node in 0..7_usize, at in any::<prop::sample::Index>(),
    ) {
        let mut world = simulation.world();
        let before = all(&world);
        let node = node % simulation.nodes;
        let facts = world.facts[node].as_mut().expect("surveyed");
        if let FileState::Present { content: Some(old), .. } =
            &mut facts.clients[0].known_hosts[0].state
        {
            let text = String::from_utf8_lossy(&old.bytes).into_owned();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let place = at.index(lines.len() + 1);
            lines.insert(place, format!("unrelated.example,10.200.0.1 {}", ed25519(77)));
            *old = content(&(lines.join("\n") + "\n"));
        }
        prop_assert_eq!(all(&world), before);
    }

    #[test]
    fn the_order_of_the_inventory_changes_nothing(simulation in simulation()) {
        let world = simulation.world();
        let before = all(&world);
        let mut turned = world.clone();
        turned.fleet.nodes.reverse();
        turned.facts.reverse();
        let mut after = all(&turned);
        let legs = simulation.nodes * (simulation.nodes - 1);
        // Reversing the nodes reverses clients and servers within each lane.
        for lane in after.chunks_mut(legs) {
            lane.reverse();
        }
        prop_assert_eq!(after, before);
    }

    #[test]
    fn each_node_harms_nothing_but_its_own_rows(
        simulation in simulation(), node in 0..7_usize, garbage in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut world = simulation.world();
        let before = all(&world);
        let node = node % simulation.nodes;
        let facts = world.facts[node].as_mut().expect("surveyed");
        let text = String::from_utf8_lossy(&garbage).into_owned();
        facts.clients[0].known_hosts[0].state = file(&text);
        facts.clients[0].hosts.state = file(&text);
        facts.clients[0].config_files[0].state = file(&text);
        facts.server.accounts[0].authorized_keys[0].file.state = file(&text);
        facts.server.config_files[0].state = file(&text);
        facts.server.base_config = Answer::Output(content(&text));
        let after = all(&world);
        let per_lane = simulation.nodes - 1;
        for (place, (old, new)) in before.iter().zip(&after).enumerate() {
            let client = (place / per_lane) % simulation.nodes;
            let server = place % per_lane;
            let server = server + usize::from(server >= client);
            if client != node && server != node {
                prop_assert_eq!(old, new);
            }
        }
    }
}
