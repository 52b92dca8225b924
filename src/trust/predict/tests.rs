use crate::domain::{Lane, LegId, NodeId, NotNeeded, Predicted, Reason};
use crate::trust::simulate::{Form, Simulation, World};
use crate::trust::{Legs, PairScope, Prediction};

fn id(lane: Lane, client: u32, server: u32) -> LegId {
    LegId {
        lane,
        client: NodeId(client),
        server: NodeId(server),
    }
}

fn verdicts(world: &World, ids: &[LegId]) -> Vec<Predicted> {
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let prediction = Prediction::new(&world.fleet, &world.facts, &legs, &scope);
    ids.iter().map(|&id| prediction.verdict(id)).collect()
}

#[test]
fn a_healthy_fleet_works_in_every_form() {
    for form in [Form::Plain, Form::Hashed, Form::Authority] {
        for own_files in [false, true] {
            let world = Simulation {
                form,
                own_files,
                ..Simulation::of(5)
            }
            .world();
            for lane in [Lane::ColdPush, Lane::ColdPull] {
                for client in 0..5 {
                    for server in (0..5).filter(|&server| server != client) {
                        let found = verdicts(&world, &[id(lane, client, server)]);
                        assert_eq!(
                            found,
                            [Predicted::Works],
                            "{form:?} {lane} {client}→{server}"
                        );
                    }
                }
            }
            let live = verdicts(&world, &[id(Lane::Live, 0, 1)]);
            assert_eq!(live, [Predicted::NotNeeded(NotNeeded::LiveOverTcp)]);
        }
    }
}

#[test]
fn planted_faults_break_their_own_legs_and_no_others() {
    for form in [Form::Plain, Form::Hashed] {
        let world = Simulation {
            form,
            fault_every: 3,
            ..Simulation::of(9)
        }
        .world();
        // Node 2 has new host keys, node 8 has no known_hosts.
        let ids = [
            id(Lane::ColdPush, 0, 1),
            id(Lane::ColdPush, 0, 2),
            id(Lane::ColdPull, 0, 2),
            id(Lane::ColdPush, 2, 0),
            id(Lane::ColdPush, 8, 0),
            id(Lane::ColdPush, 0, 8),
        ];
        let expected = [
            Predicted::Works,
            Predicted::Breaks(Reason::HostKeyChanged),
            Predicted::Breaks(Reason::HostKeyChanged),
            Predicted::Works,
            Predicted::Breaks(Reason::HostKeyUnknown),
            Predicted::Works,
        ];
        assert_eq!(verdicts(&world, &ids), expected, "{form:?}");
    }
}
