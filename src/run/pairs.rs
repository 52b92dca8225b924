//! Which pairs are proven, from `--pairs`.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use super::error::RunError;
use super::request::{PairsMode, Request, Surroundings};
use super::survey::Surveyed;
use crate::domain::{Depth, LegId, NodeId, Pair, Predicted};
use crate::trust::legs::Legs;
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

/// The selection that the request means.
pub(super) async fn selection(
    request: &Request,
    around: &Surroundings,
    surveyed: &Surveyed,
    legs: &Legs,
) -> Result<Selection, RunError> {
    Ok(match request.pairs {
        PairsMode::All => Selection::All,
        PairsMode::Ring => Selection::Ring,
        PairsMode::Sample(count) => Selection::Sample {
            destinations: count as usize,
            seed: request.seed,
        },
        PairsMode::Only(pair) => Selection::Only(HashSet::from([pair])),
        PairsMode::Changed => Selection::Only(changed(request, around, surveyed, legs).await?),
    })
}

/// The pairs that have no leg-by-leg proof left that still counts: made at least as deep, by the same name, while both
/// ends had the facts that they have now.
async fn changed(
    request: &Request,
    around: &Surroundings,
    surveyed: &Surveyed,
    legs: &Legs,
) -> Result<HashSet<Pair>, RunError> {
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
    let mut fresh: HashSet<LegId> = HashSet::new();
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
            fresh.insert(LegId {
                lane: leg.lane,
                client,
                server,
            });
        }
    }
    let scope = PairScope::among(fleet, request.selected.iter().copied());
    let mut pairs = HashSet::new();
    for &source in scope.nodes() {
        for destination in scope.destinations(source) {
            let pair = Pair {
                source,
                destination,
            };
            let is_settled = |id| {
                fresh.contains(&id) || matches!(legs.obstacle(id), Some(Predicted::NotNeeded(_)))
            };
            if !request.lanes.iter().all(|&lane| is_settled(pair.leg(lane))) {
                pairs.insert(pair);
            }
        }
    }
    Ok(pairs)
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
