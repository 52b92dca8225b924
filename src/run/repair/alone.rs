//! Proving new keys by themselves, before they take the place of old ones.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::domain::{LegId, NodeId, Proven};
use crate::repair::Trial;
use crate::run::journal::Journal;
use crate::run::prove::{Work, climb_all};
use crate::run::request::{Request, Surroundings};
use crate::run::survey::Surveyed;
use crate::trust::legs::Legs;
use crate::trust::{PairScope, Rounds, Selection};

/// What keeps ssh from everything but the key that `-i` names: an agent, and a connection that is open already. Other keys of
/// its configuration come behind that one, and a login with one of them does not count.
const ALONE: [&str; 4] = [
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "ControlMaster=no",
    "ControlPath=none",
];

/// Has every client climb the legs of its trials with its own ssh and the new key. The legs that it climbed with that key,
/// and no other.
pub(super) async fn prove_alone(
    request: &Request,
    around: &Surroundings,
    surveyed: &Surveyed,
    trials: &[Trial],
    journal: &Journal,
) -> HashSet<LegId> {
    // A leg may be of two keys, each of which must be proven on it.
    let mut rounds: BTreeMap<usize, HashMap<LegId, &Trial>> = BTreeMap::new();
    let mut times: HashMap<LegId, usize> = HashMap::new();
    for trial in trials {
        let time = times.entry(trial.id).or_default();
        rounds.entry(*time).or_default().insert(trial.id, trial);
        *time += 1;
    }
    let legs = Legs::new(&request.fleet, &surveyed.facts);
    let scope = PairScope::among(&request.fleet, request.selected.iter().copied());
    let lanes: Vec<_> = request.lanes.iter().copied().collect();
    let order = Rounds::new(scope, Selection::All, &lanes);
    let mut proven: HashMap<LegId, usize> = HashMap::new();
    for trials in rounds.into_values() {
        let work = |client: &NodeId| -> Option<Work> {
            let connection = surveyed.connections.get(client)?.clone();
            let legs = order.legs_of(*client).filter_map(|id| {
                let trial = trials.get(&id)?;
                let mut leg = legs.leg(id)?;
                leg.identity = Some(Arc::from(trial.next.as_str()));
                let alone = ALONE.map(str::to_owned);
                leg.options = leg.options.iter().cloned().chain(alone).collect();
                Some(leg)
            });
            let legs: Vec<_> = legs.collect();
            (!legs.is_empty()).then_some((*client, connection, legs))
        };
        let work = request.selected.iter().filter_map(work).collect();
        let found = climb_all(request, around, work, true, journal).await;
        for (id, proof) in found.proofs {
            if proof.outcome == Proven::Works {
                *proven.entry(id).or_default() += 1;
            }
        }
    }
    let all = |(id, count): (LegId, usize)| (times.get(&id) == Some(&count)).then_some(id);
    proven.into_iter().filter_map(all).collect()
}
