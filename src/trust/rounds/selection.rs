//! Which pairs of a scope are proven.

use std::collections::HashSet;

use crate::domain::{NodeId, Pair};
use crate::trust::scope::PairScope;

/// Which pairs are proven; what is not is predicted only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    #[default]
    All,
    /// From each node to the next one in inventory order, the last to the first.
    Ring,
    /// From each node to this many others, drawn evenly: every node is also drawn about as often as destination.
    Sample {
        /// Destinations per source.
        destinations: usize,
        /// The same seed draws the same pairs.
        seed: u64,
    },
    /// Pairs of which at least one end is among these nodes: those whose facts changed.
    Touching(HashSet<NodeId>),
    /// Exactly these pairs.
    Only(HashSet<Pair>),
}

/// A selection made ready to be asked for many pairs.
#[derive(Debug, Clone)]
pub(super) enum Chosen {
    All,
    Touching(HashSet<NodeId>),
    /// For every node of the fleet its chosen destinations, sorted.
    Destinations(Vec<Vec<NodeId>>),
    Only(HashSet<Pair>),
}

impl Chosen {
    pub(super) fn new(scope: &PairScope, selection: Selection) -> Self {
        match selection {
            Selection::All => Self::All,
            Selection::Touching(nodes) => Self::Touching(nodes),
            Selection::Only(pairs) => Self::Only(pairs),
            Selection::Ring => Self::Destinations(draw(scope, |_| vec![0])),
            Selection::Sample { destinations, seed } => {
                Self::Destinations(draw(scope, |count| distinct(count, destinations, seed)))
            }
        }
    }

    pub(super) fn contains(&self, pair: Pair) -> bool {
        match self {
            Self::All => true,
            Self::Touching(nodes) => {
                nodes.contains(&pair.source) || nodes.contains(&pair.destination)
            }
            Self::Only(pairs) => pairs.contains(&pair),
            Self::Destinations(lists) => lists
                .get(pair.source.index())
                .is_some_and(|list| list.binary_search(&pair.destination).is_ok()),
        }
    }
}

/// For each source the destinations at the places that `places` picks from its circle: the nodes that it may move
/// servers to, beginning behind itself. The same place in everybody's circle meets everybody once.
fn draw(scope: &PairScope, places: impl Fn(usize) -> Vec<usize>) -> Vec<Vec<NodeId>> {
    let slots = scope.nodes().last().map_or(0, |last| last.index() + 1);
    let mut lists = vec![Vec::new(); slots];
    for &source in scope.nodes() {
        let mut circle: Vec<NodeId> = scope.destinations(source).collect();
        let behind = circle.partition_point(|&id| id < source);
        circle.rotate_left(behind);
        let chosen = places(circle.len());
        let list = &mut lists[source.index()];
        list.extend(chosen.into_iter().filter_map(|place| circle.get(place)));
        list.sort_unstable();
    }
    lists
}

/// `wanted` different numbers below `count` (all, if there are not so many), the same for the same seed and count.
fn distinct(count: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    let mut state = seed;
    for at in 0..wanted.min(count) {
        let left = u64::try_from(count - at).unwrap_or(u64::MAX);
        let offset = usize::try_from(next_random(&mut state) % left).unwrap_or(0);
        numbers.swap(at, at + offset);
    }
    numbers.truncate(wanted);
    numbers
}

/// SplitMix64 (Steele, Lea, Flood 2014): good enough to draw samples, small enough to read.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
