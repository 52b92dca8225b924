//! Maps in which what is planned for millions of legs is gathered: a look-up costs a comparison or two, where legs come up in
//! the order of lanes, clients and servers.

use crate::domain::NodeId;

/// By node, and by something of which each node has few.
#[derive(Debug)]
pub(super) struct ByNode<K, V> {
    nodes: Vec<Vec<(K, V)>>,
}

impl<K, V> Default for ByNode<K, V> {
    fn default() -> Self {
        Self { nodes: Vec::new() }
    }
}

impl<K: Clone + Eq, V> ByNode<K, V> {
    pub(super) fn get(&self, node: NodeId, key: &K) -> Option<&V> {
        let known = self.nodes.get(node.index())?;
        known.iter().find(|(it, _)| it == key).map(|(_, it)| it)
    }

    pub(super) fn entry(&mut self, node: NodeId, key: &K) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(node, key, V::default)
    }

    pub(super) fn or_insert_with(
        &mut self,
        node: NodeId,
        key: &K,
        make: impl FnOnce() -> V,
    ) -> &mut V {
        let place = node.index();
        if self.nodes.len() <= place {
            self.nodes.resize_with(place + 1, Vec::new);
        }
        let known = &mut self.nodes[place];
        let found = known.iter().position(|(it, _)| it == key);
        let found = found.unwrap_or_else(|| {
            known.push((key.clone(), make()));
            known.len() - 1
        });
        &mut known[found].1
    }

    /// All of it, in the order of nodes and keys.
    pub(super) fn into_sorted(self) -> impl Iterator<Item = (NodeId, K, V)>
    where
        K: Ord,
    {
        (0..).zip(self.nodes).flat_map(|(node, mut known)| {
            known.sort_by(|one, other| one.0.cmp(&other.0));
            let node = NodeId(node);
            known
                .into_iter()
                .map(move |(key, value)| (node, key, value))
        })
    }
}

/// By node, where nodes come up one after another, more than once.
#[derive(Debug)]
pub(super) struct InTurn<V> {
    /// In the order of nodes.
    entries: Vec<(NodeId, V)>,
    /// Where the node was that came up last.
    last: usize,
}

impl<V> Default for InTurn<V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            last: 0,
        }
    }
}

impl<V> InTurn<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, node: NodeId) -> Option<&V> {
        let place = self.entries.binary_search_by_key(&node, |it| it.0).ok()?;
        Some(&self.entries[place].1)
    }

    pub(super) fn entry(&mut self, node: NodeId) -> &mut V
    where
        V: Default,
    {
        let is_at = |place: usize| self.entries.get(place).is_some_and(|it| it.0 == node);
        let place = if is_at(self.last) {
            Ok(self.last)
        } else if is_at(self.last + 1) {
            Ok(self.last + 1)
        } else if self.entries.last().is_none_or(|it| it.0 < node) {
            Err(self.entries.len())
        } else {
            self.entries.binary_search_by_key(&node, |it| it.0)
        };
        self.last = place.unwrap_or_else(|place| {
            self.entries.insert(place, (node, V::default()));
            place
        });
        &mut self.entries[self.last].1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &V)> {
        self.entries.iter().map(|(node, value)| (*node, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_hold_what_a_map_holds(asked in prop::collection::vec((0_u32..9, 0_u8..3), 0..60)) {
            let mut by_node = ByNode::<u8, usize>::default();
            let mut in_turn = InTurn::<usize>::default();
            let mut both = BTreeMap::<(u32, u8), usize>::new();
            let mut nodes = BTreeMap::<u32, usize>::new();
            for (node, key) in asked {
                *by_node.entry(NodeId(node), &key) += 1;
                *in_turn.entry(NodeId(node)) += 1;
                *both.entry((node, key)).or_default() += 1;
                *nodes.entry(node).or_default() += 1;
            }
            for (node, key) in (0..10).flat_map(|node| (0..4).map(move |key| (node, key))) {
                prop_assert_eq!(by_node.get(NodeId(node), &key), both.get(&(node, key)));
                prop_assert_eq!(in_turn.get(NodeId(node)), nodes.get(&node));
            }
            prop_assert_eq!(in_turn.len(), nodes.len());
            let turns: Vec<_> = in_turn.iter().map(|(node, it)| (node.0, *it)).collect();
            prop_assert_eq!(turns, nodes.into_iter().collect::<Vec<_>>());
            let sorted: Vec<_> = by_node.into_sorted().map(|(node, key, it)| ((node.0, key), it)).collect();
            prop_assert_eq!(sorted, both.into_iter().collect::<Vec<_>>());
        }
    }
}
