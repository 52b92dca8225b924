//! Many legs as few: those with the same outcome, folded into rectangles of nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::model::LegReport;
use super::remedy::{Remedy, remedy_for};
use crate::domain::{Lane, fold};

/// Legs with one outcome: in each of the lanes, every one of the clients dials every one of the servers, but no node
/// itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegGroup<'r> {
    /// `broken`, `unproven` or `not-needed`.
    pub verdict: &'r str,
    /// Code of the reason.
    pub code: &'r str,
    /// The lanes.
    pub lanes: Vec<Lane>,
    /// The nodes on which ssh runs, in the order of the names.
    pub clients: Vec<&'r str>,
    /// The nodes that answer, in the order of the names.
    pub servers: Vec<&'r str>,
    /// How many legs.
    pub count: u64,
    /// The first of them.
    pub example: &'r LegReport,
    /// What to do, and in which lanes; lanes with the same remedy together.
    pub remedies: Vec<(Vec<Lane>, Remedy)>,
}

impl LegGroup<'_> {
    /// `cmp[001-016,018-040] → cmp017`.
    #[must_use]
    pub fn route(&self) -> String {
        format!("{} → {}", fold(&self.clients), fold(&self.servers))
    }
}

/// Groups legs by verdict and reason, then into as few rectangles as a simple rule finds. Groups with most legs come
/// first; equal ones are ordered by code and names.
///
/// Verified legs are left out: there is nothing to say about them.
#[must_use]
pub fn group_legs<'r>(legs: impl IntoIterator<Item = &'r LegReport>) -> Vec<LegGroup<'r>> {
    let mut kinds: BTreeMap<(&str, &str, Lane), Servers<'r>> = BTreeMap::new();
    for leg in legs {
        if leg.verdict == "verified" {
            continue;
        }
        let code = leg.code.as_deref().unwrap_or_default();
        kinds
            .entry((&leg.verdict, code, leg.lane))
            .or_default()
            .entry(&leg.server)
            .or_default()
            .insert(&leg.client, leg);
    }

    // The same rectangle in several lanes is one group.
    let mut groups: BTreeMap<Key<'r>, Vec<(Lane, Vec<&'r LegReport>)>> = BTreeMap::new();
    for ((verdict, code, lane), servers) in kinds {
        for (clients, members) in rectangles(&servers) {
            let mut legs: Vec<_> = members
                .iter()
                .flat_map(|server| servers[server].values().copied())
                .collect();
            legs.sort_by_key(|leg| (&leg.client, &leg.server));
            groups
                .entry((verdict, code, clients, members))
                .or_default()
                .push((lane, legs));
        }
    }

    let mut groups: Vec<_> = groups
        .into_iter()
        .map(|((verdict, code, clients, servers), lanes)| LegGroup {
            verdict,
            code,
            remedies: remedies(&lanes),
            lanes: lanes.iter().map(|(lane, _)| *lane).collect(),
            clients: clients.into_iter().collect(),
            servers: servers.into_iter().collect(),
            count: lanes.iter().map(|(_, legs)| legs.len() as u64).sum(),
            example: lanes[0].1[0],
        })
        .collect();
    // Stable: groups of one size and code stay in the order of their names.
    groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(b.code)));
    groups
}

type Names<'r> = BTreeSet<&'r str>;
/// Verdict, code, clients, servers.
type Key<'r> = (&'r str, &'r str, Names<'r>, Names<'r>);
/// The legs to each server, by client.
type Servers<'r> = BTreeMap<&'r str, BTreeMap<&'r str, &'r LegReport>>;

/// One remedy for each lane, or for all of those that have the same.
fn remedies(lanes: &[(Lane, Vec<&LegReport>)]) -> Vec<(Vec<Lane>, Remedy)> {
    let mut remedies: Vec<(Vec<Lane>, Remedy)> = Vec::new();
    for (lane, legs) in lanes {
        let Some(remedy) = remedy_for(legs) else {
            continue;
        };
        match remedies.iter_mut().find(|(_, known)| *known == remedy) {
            Some((lanes, _)) => lanes.push(*lane),
            None => remedies.push((vec![*lane], remedy)),
        }
    }
    remedies
}

/// Joins servers that the same clients dial: clients and the servers that have just these.
///
/// No node dials itself, so in a full mesh no two servers have the same clients. Hence a server may be counted among
/// its own clients where that lets it join more servers; the rectangle then means all but itself.
fn rectangles<'r>(servers: &Servers<'r>) -> BTreeMap<Names<'r>, Names<'r>> {
    let ways: Vec<(&'r str, [Names<'r>; 2])> = servers
        .iter()
        .map(|(&server, legs)| {
            let clients: Names<'r> = legs.keys().copied().collect();
            let mut with_itself = clients.clone();
            with_itself.insert(server);
            (server, [clients, with_itself])
        })
        .collect();
    let mut votes: BTreeMap<&Names<'r>, usize> = BTreeMap::new();
    for (_, [clients, with_itself]) in &ways {
        *votes.entry(clients).or_default() += 1;
        *votes.entry(with_itself).or_default() += 1;
    }
    let mut found: BTreeMap<Names<'r>, Names<'r>> = BTreeMap::new();
    for (server, [clients, with_itself]) in &ways {
        let chosen = if votes[with_itself] > votes[clients] {
            with_itself
        } else {
            clients
        };
        found.entry(chosen.clone()).or_default().insert(server);
    }
    // Whoever stayed alone has itself among its clients for nothing.
    found
        .into_iter()
        .map(|(mut clients, members)| {
            if members.len() == 1 {
                clients.retain(|client| !members.contains(client));
            }
            (clients, members)
        })
        .collect()
}

#[cfg(test)]
mod tests;
