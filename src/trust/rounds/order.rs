//! Rotation: in round r every node dials the node r places behind it.

use std::ops::Range;

use crate::domain::{Lane, LegId, NodeId};
use crate::trust::scope::PairScope;

use super::selection::{Chosen, Selection};

/// The legs to climb, in rounds. Nothing is stored per pair.
///
/// In each round a node is client towards one node and server for one node, in each lane. A client that walks its
/// legs in the order of [`Self::legs_of`] therefore meets each server at another time than the other clients do, as
/// long as they start together and get on alike; [`Self::legs_of_within`] cuts the walk where a caller wants to wait for
/// all. (When every node walks the same list, sshd's default `MaxStartups` drops one connection in twenty.)
#[derive(Debug, Clone)]
pub struct Rounds {
    scope: PairScope,
    chosen: Chosen,
    lanes: Vec<Lane>,
}

impl Rounds {
    /// The legs of the chosen pairs of a scope in these lanes.
    #[must_use]
    pub fn new(scope: PairScope, selection: Selection, lanes: &[Lane]) -> Self {
        Self {
            chosen: Chosen::new(&scope, selection),
            scope,
            lanes: lanes.to_vec(),
        }
    }

    /// The pairs that they come from.
    #[must_use]
    pub fn scope(&self) -> &PairScope {
        &self.scope
    }

    /// How many rounds there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scope.nodes().len().saturating_sub(1)
    }

    /// Whether there is nothing to climb.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the leg is one of them.
    #[must_use]
    pub fn contains(&self, leg: LegId) -> bool {
        self.lanes.contains(&leg.lane)
            && self.scope.contains(leg.pair())
            && self.chosen.contains(leg.pair())
    }

    /// The legs of one round (from 0), in inventory order of the clients.
    pub fn round(&self, round: usize) -> impl Iterator<Item = LegId> + '_ {
        let clients = 0..self.scope.nodes().len();
        clients.flat_map(move |place| self.legs_at(place, round))
    }

    /// The legs of one client, in the order in which it should climb them.
    pub fn legs_of(&self, client: NodeId) -> impl Iterator<Item = LegId> + '_ {
        self.legs_of_within(client, 0..self.len())
    }

    /// The legs of one client in some rounds.
    pub fn legs_of_within(
        &self,
        client: NodeId,
        rounds: Range<usize>,
    ) -> impl Iterator<Item = LegId> + '_ {
        let place = self.scope.nodes().binary_search(&client).ok();
        place.into_iter().flat_map(move |place| {
            let rounds = rounds.clone();
            rounds.flat_map(move |round| self.legs_at(place, round))
        })
    }

    fn legs_at(&self, place: usize, round: usize) -> impl Iterator<Item = LegId> + '_ {
        let nodes = self.scope.nodes();
        let client = nodes[place];
        let server = nodes[(place + round + 1) % nodes.len()];
        self.lanes
            .iter()
            .map(move |&lane| LegId {
                lane,
                client,
                server,
            })
            .filter(|&leg| self.contains(leg))
    }
}
