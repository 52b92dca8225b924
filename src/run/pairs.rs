//! Which pairs are proven, from `--pairs`.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::error::RunError;
use super::examine::rfc3339;
use super::request::{PairsMode, Request, Surroundings};
use super::survey::Surveyed;
use crate::domain::{Depth, LegId, NodeId, Pair, Predicted};
use crate::report::ProvenEarlier;
use crate::trust::{PairScope, Selection, facts_digest};

impl fmt::Display for PairsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Ring => f.write_str("ring"),
            Self::Sample(count) => write!(f, "sample={count}"),
            Self::Changed => f.write_str("changed"),
            Self::Only(_) => f.write_str("one"),
        }
    }
}

impl FromStr for PairsMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "ring" => Ok(Self::Ring),
            "changed" => Ok(Self::Changed),
            _ => text
                .strip_prefix("sample=")
                .and_then(|count| count.parse().ok())
                .filter(|&count| count > 0)
                .map(Self::Sample)
                .ok_or("expected `all`, `ring`, `changed`, or `sample=N` with N of at least 1"),
        }
    }
}

/// The pairs that a run proves.
pub(super) struct Chosen {
    pub(super) selection: Selection,
    /// Of those that it does not: the ones that need it no more.
    pub(super) earlier: Option<ProvenEarlier>,
}

/// The selection that the request means.
pub(super) async fn selection(
    request: &Request,
    around: &Surroundings,
    surveyed: &Surveyed,
    predicted: &(dyn Fn(LegId) -> Predicted + Sync),
) -> Result<Chosen, RunError> {
    let selection = match request.pairs {
        PairsMode::All => Selection::All,
        PairsMode::Ring => Selection::Ring,
        PairsMode::Sample(count) => Selection::Sample {
            destinations: count as usize,
            seed: request.seed,
        },
        PairsMode::Only(pair) => Selection::Only(HashSet::from([pair])),
        PairsMode::Changed => return changed(request, around, surveyed, predicted).await,
    };
    Ok(Chosen {
        selection,
        earlier: None,
    })
}

/// The pairs that have no leg-by-leg proof left that still counts: made at least as deep, while both ends had the facts
/// that they have now. What these facts do not allow now is tried all the same: a proof and a prediction that differ are no
/// reason to believe the prediction alone.
async fn changed(
    request: &Request,
    around: &Surroundings,
    surveyed: &Surveyed,
    predicted: &(dyn Fn(LegId) -> Predicted + Sync),
) -> Result<Chosen, RunError> {
    let Some(ledger) = &around.ledger else {
        return Err(RunError::NothingToCompare(
            "`--pairs changed` compares with the ledger, and there is none (`--no-ledger`)",
        ));
    };
    let fleet = &request.fleet;
    let ids: HashMap<&str, NodeId> = fleet
        .ids()
        .map(|id| (fleet.node(id).name.as_str(), id))
        .collect();
    let digests: HashMap<NodeId, String> = fleet
        .ids()
        .filter_map(|id| {
            let facts = surveyed.facts[id.index()].as_ref()?;
            Some((id, facts_digest(fleet.node(id), facts)))
        })
        .collect();
    let wanted = if request.no_write {
        request.depth.min(Depth::Login)
    } else {
        request.depth
    };
    let mut fresh: HashMap<LegId, Timestamp> = HashMap::new();
    for leg in ledger.proven(&request.inventory_path).await? {
        let (Some(&client), Some(&server)) =
            (ids.get(leg.client.as_str()), ids.get(leg.server.as_str()))
        else {
            continue;
        };
        let same = |id, digest: &str| digests.get(&id).is_some_and(|now| now == digest);
        if leg.depth >= wanted
            && same(client, &leg.client_digest)
            && same(server, &leg.server_digest)
        {
            let id = LegId {
                lane: leg.lane,
                client,
                server,
            };
            fresh.insert(id, leg.at);
        }
    }
    let scope = PairScope::among(fleet, request.selected.iter().copied());
    let mut pairs = HashSet::new();
    let (mut settled, mut oldest) = (0, None::<Timestamp>);
    for &source in scope.nodes() {
        for destination in scope.destinations(source) {
            let pair = Pair {
                source,
                destination,
            };
            let mut proven = None::<Timestamp>;
            let is_settled = request.lanes.iter().all(|&lane| {
                let id = pair.leg(lane);
                match (predicted(id), fresh.get(&id)) {
                    (Predicted::NotNeeded(_), _) => true,
                    (Predicted::Works, Some(&at)) => {
                        proven = proven.map_or(Some(at), |other| Some(other.min(at)));
                        true
                    }
                    _ => false,
                }
            });
            if !is_settled {
                pairs.insert(pair);
            } else if let Some(at) = proven {
                settled += 1;
                oldest = oldest.map_or(Some(at), |other| Some(other.min(at)));
            }
        }
    }
    Ok(Chosen {
        selection: Selection::Only(pairs),
        earlier: oldest.map(|oldest| ProvenEarlier {
            pairs: settled,
            since: rfc3339(oldest),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_reads_back_as_it_is_shown() {
        for text in ["all", "ring", "changed", "sample=3"] {
            assert_eq!(
                text.parse::<PairsMode>().map(|it| it.to_string()),
                Ok(text.to_owned())
            );
        }
        for bad in [
            "",
            "sample",
            "sample=",
            "sample=0",
            "sample=-1",
            "some",
            "ALL",
        ] {
            assert!(bad.parse::<PairsMode>().is_err(), "{bad}");
        }
    }
}
