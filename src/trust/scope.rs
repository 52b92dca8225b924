//! Which ordered pairs are meant to exist, answered fast enough to ask for every pair of a large fleet.

use std::collections::HashMap;

use crate::domain::{Fleet, NodeId, Pair, Scope};

/// The pairs among some nodes of a fleet that its scope allows.
///
/// The same answers as [`Fleet::in_scope`], without comparing names: nodes that the scope treats alike are of one kind.
#[derive(Debug, Clone)]
pub struct PairScope {
    nodes: Vec<NodeId>,
    /// For every node of the fleet its kind; `None` for nodes that were not selected.
    kinds: Vec<Option<u32>>,
    /// For each kind of source and each kind of destination, in rows of `width`.
    allowed: Vec<bool>,
    width: usize,
}

impl PairScope {
    /// The pairs among all nodes of the fleet.
    #[must_use]
    pub fn all(fleet: &Fleet) -> Self {
        Self::among(fleet, fleet.ids())
    }

    /// The pairs among these nodes.
    pub fn among(fleet: &Fleet, selected: impl IntoIterator<Item = NodeId>) -> Self {
        let mut kinds = vec![None; fleet.nodes.len()];
        let mut nodes: Vec<NodeId> = selected.into_iter().collect();
        nodes.sort_unstable();
        nodes.dedup();
        // Up to two members of each kind stand for all of them: a kind is only ever compared with itself or another.
        let mut members: Vec<Vec<NodeId>> = Vec::new();
        let mut numbers: HashMap<(Option<&str>, &[String]), u32> = HashMap::new();
        for &id in &nodes {
            let node = fleet.node(id);
            let key = match &fleet.scope {
                Scope::All => (None, &[][..]),
                Scope::PerCell => (node.cell.as_deref(), &[][..]),
                Scope::Groups(_) => (None, node.groups.as_slice()),
            };
            let next = members.len();
            let number = *numbers
                .entry(key)
                .or_insert_with(|| u32::try_from(next).unwrap_or(u32::MAX));
            kinds[id.index()] = Some(number);
            match members.get_mut(number as usize) {
                Some(known) if known.len() < 2 => known.push(id),
                Some(_) => {}
                None => members.push(vec![id]),
            }
        }
        let width = members.len();
        let mut allowed = Vec::with_capacity(width * width);
        for from in &members {
            for to in &members {
                let source = from[0];
                let destination = to.iter().copied().find(|&id| id != source);
                allowed.push(destination.is_some_and(|id| fleet.in_scope(source, id)));
            }
        }
        Self {
            nodes,
            kinds,
            allowed,
            width,
        }
    }

    /// The selected nodes, in inventory order.
    #[must_use]
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// Whether the pair is meant to exist and both its nodes are selected.
    #[must_use]
    pub fn contains(&self, pair: Pair) -> bool {
        let kind = |id: NodeId| self.kinds.get(id.index()).copied().flatten();
        match (kind(pair.source), kind(pair.destination)) {
            (Some(from), Some(to)) => {
                pair.source != pair.destination
                    && self.allowed[from as usize * self.width + to as usize]
            }
            _ => false,
        }
    }

    /// Whether the pair is meant to exist in either direction.
    #[must_use]
    pub fn joins(&self, a: NodeId, b: NodeId) -> bool {
        let pair = |source, destination| Pair {
            source,
            destination,
        };
        self.contains(pair(a, b)) || self.contains(pair(b, a))
    }

    /// Where servers of a node are meant to be able to go, in inventory order.
    pub fn destinations(&self, source: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.iter().copied().filter(move |&destination| {
            self.contains(Pair {
                source,
                destination,
            })
        })
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        let mut sizes = vec![0_u64; self.width];
        for kind in self.kinds.iter().flatten() {
            sizes[*kind as usize] += 1;
        }
        let mut pairs = 0;
        for (from, &sources) in sizes.iter().enumerate() {
            for (to, &destinations) in sizes.iter().enumerate() {
                if self.allowed[from * self.width + to] {
                    let others = destinations - u64::from(from == to);
                    pairs += sources * others;
                }
            }
        }
        pairs
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some third node is meant to move servers to both.
    #[must_use]
    pub fn share_a_source(&self, a: NodeId, b: NodeId) -> bool {
        let kind = |id: NodeId| self.kinds.get(id.index()).copied().flatten();
        let (Some(kind_a), Some(kind_b)) = (kind(a), kind(b)) else {
            return false;
        };
        let to = |from: usize, to: u32| self.allowed[from * self.width + to as usize];
        let mut both = (0..self.width).filter(|&from| to(from, kind_a) && to(from, kind_b));
        // Nodes of the two kinds themselves are counted as well: another one of them may exist. At worst two nodes
        // are then said to share an address that no third node would dial on both.
        both.next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::GroupRule;
    use crate::trust::legs::tests::fleet_of;

    fn scope() -> impl Strategy<Value = Scope> {
        let names = || proptest::collection::vec("[abc]", 0..3);
        let rule = (names(), names()).prop_map(|(from, to)| GroupRule { from, to });
        prop_oneof![
            Just(Scope::All),
            Just(Scope::PerCell),
            proptest::collection::vec(rule, 0..3).prop_map(Scope::Groups),
        ]
    }

    proptest! {
        #[test]
        fn it_answers_as_the_fleet_does(
            scope in scope(),
            nodes in proptest::collection::vec(
                (proptest::option::of("[xy]"), proptest::collection::vec("[abc]", 0..3), any::<bool>()), 0..9),
        ) {
            let mut fleet = fleet_of(nodes.len());
            fleet.scope = scope;
            for (node, (cell, groups, _)) in fleet.nodes.iter_mut().zip(&nodes) {
                node.cell.clone_from(cell);
                node.groups.clone_from(groups);
            }
            let selected = fleet.ids().filter(|id| nodes[id.index()].2);
            let pairs = PairScope::among(&fleet, selected);
            let mut count = 0;
            for source in fleet.ids() {
                for destination in fleet.ids() {
                    let expected = nodes[source.index()].2 && nodes[destination.index()].2
                        && fleet.in_scope(source, destination);
                    prop_assert_eq!(pairs.contains(Pair { source, destination }), expected);
                    count += u64::from(expected);
                }
            }
            prop_assert_eq!(pairs.len(), count);
        }
    }
}
