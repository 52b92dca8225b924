use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::domain::{Fleet, GroupRule, Lane, LegId, NodeId, Pair, Scope};
use crate::trust::legs::tests::fleet_of;
use crate::trust::scope::PairScope;

fn fleet() -> impl Strategy<Value = Fleet> {
    let groups = || proptest::collection::vec("[ab]", 0..3);
    let scope = prop_oneof![
        Just(Scope::All),
        Just(Scope::PerCell),
        (groups(), groups()).prop_map(|(from, to)| Scope::Groups(vec![GroupRule { from, to }])),
    ];
    let nodes = proptest::collection::vec((proptest::option::of("[xy]"), groups()), 0..12);
    (scope, nodes).prop_map(|(scope, nodes)| {
        let mut fleet = fleet_of(nodes.len());
        fleet.scope = scope;
        for (node, (cell, groups)) in fleet.nodes.iter_mut().zip(nodes) {
            node.cell = cell;
            node.groups = groups;
        }
        fleet
    })
}

fn selection() -> impl Strategy<Value = Selection> {
    let node = || (0..12_u32).prop_map(NodeId);
    prop_oneof![
        Just(Selection::All),
        Just(Selection::Ring),
        (0..5_usize, any::<u64>())
            .prop_map(|(destinations, seed)| Selection::Sample { destinations, seed }),
        proptest::collection::hash_set(node(), 0..4).prop_map(Selection::Touching),
        proptest::collection::hash_set((node(), node()), 0..9).prop_map(|pairs| {
            let pair = |(source, destination)| Pair {
                source,
                destination,
            };
            Selection::Only(pairs.into_iter().map(pair).collect())
        }),
    ]
}

proptest! {
    #[test]
    fn every_leg_comes_exactly_once_and_each_round_meets_a_node_once_per_lane(
        fleet in fleet(), selection in selection(), skipped in 0..13_u32,
    ) {
        let nodes = fleet.ids().filter(|id| id.0 != skipped);
        let rounds = Rounds::new(PairScope::among(&fleet, nodes), selection, &Lane::ALL);
        let mut seen = HashSet::new();
        for round in 0..rounds.len() {
            let mut clients = HashSet::new();
            let mut servers = HashSet::new();
            for leg in rounds.round(round) {
                prop_assert!(rounds.contains(leg));
                prop_assert!(clients.insert((leg.lane, leg.client)));
                prop_assert!(servers.insert((leg.lane, leg.server)));
                prop_assert!(seen.insert(leg));
            }
        }
        let mut expected = HashSet::new();
        for lane in Lane::ALL {
            for client in fleet.ids() {
                for server in fleet.ids() {
                    let leg = LegId { lane, client, server };
                    if rounds.contains(leg) {
                        expected.insert(leg);
                    }
                }
            }
        }
        prop_assert_eq!(&seen, &expected);
        let walked: Vec<LegId> = fleet.ids().flat_map(|id| rounds.legs_of(id)).collect();
        prop_assert_eq!(walked.len(), expected.len());
        prop_assert_eq!(walked.into_iter().collect::<HashSet<_>>(), expected);
    }

    #[test]
    fn a_walk_cut_into_pieces_is_the_same_walk(fleet in fleet(), cut in 0..12_usize) {
        let rounds = Rounds::new(PairScope::all(&fleet), Selection::All, &Lane::ALL);
        let cut = cut.min(rounds.len());
        for client in fleet.ids() {
            let whole: Vec<LegId> = rounds.legs_of(client).collect();
            let pieces: Vec<LegId> = rounds
                .legs_of_within(client, 0..cut)
                .chain(rounds.legs_of_within(client, cut..rounds.len()))
                .collect();
            prop_assert_eq!(whole, pieces);
        }
    }

    #[test]
    fn a_sample_of_a_full_mesh_draws_every_node_equally_often(
        nodes in 2..20_usize, destinations in 0..6_usize, seed in any::<u64>(),
    ) {
        let fleet = fleet_of(nodes);
        let selection = Selection::Sample { destinations, seed };
        let rounds = Rounds::new(PairScope::all(&fleet), selection.clone(), &[Lane::ColdPush]);
        let mut drawn: HashMap<NodeId, usize> = HashMap::new();
        for client in fleet.ids() {
            let legs: Vec<LegId> = rounds.legs_of(client).collect();
            prop_assert_eq!(legs.len(), destinations.min(nodes - 1));
            for leg in legs {
                *drawn.entry(leg.server).or_default() += 1;
            }
        }
        prop_assert!(drawn.values().all(|&count| count == destinations.min(nodes - 1)));
        let again = Rounds::new(PairScope::all(&fleet), selection, &[Lane::ColdPush]);
        for client in fleet.ids() {
            prop_assert!(rounds.legs_of(client).eq(again.legs_of(client)));
        }
    }
}

#[test]
fn a_ring_goes_once_around_in_both_cold_lanes() {
    let fleet = fleet_of(3);
    let lanes = [Lane::ColdPush, Lane::ColdPull];
    let rounds = Rounds::new(PairScope::all(&fleet), Selection::Ring, &lanes);
    let mut pairs: Vec<(u32, u32)> = (0..rounds.len())
        .flat_map(|round| rounds.round(round))
        .map(|leg| (leg.pair().source.0, leg.pair().destination.0))
        .collect();
    pairs.sort_unstable();
    assert_eq!(pairs, [(0, 1), (0, 1), (1, 2), (1, 2), (2, 0), (2, 0)]);
}
