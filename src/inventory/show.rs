//! `clearway inventory show` and `validate`: what was understood.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::layer::{Key, Origin};
use super::resolve::Inventory;
use crate::domain::{Node, NodeId, Scope};

/// A selection of nodes as the inventory is understood. Displays as text, with nodes that differ only in their
/// addresses folded into one paragraph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Which pairs are meant to exist.
    pub scope: Scope,
    /// The nodes, in the order asked for.
    pub nodes: Vec<ResolvedNode>,
}

/// One node with everything applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResolvedNode {
    /// The node.
    #[serde(flatten)]
    pub node: Node,
    /// Where each stated property comes from, by its path in the inventory (`control.port`, `lanes.live.used`).
    /// What is not in here is built in.
    pub from: BTreeMap<String, Origin>,
}

/// How much there is, for `clearway inventory validate`. Displays as one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Nodes.
    pub nodes: usize,
    /// Groups.
    pub groups: usize,
    /// Different cells; nodes without a cell do not count.
    pub cells: usize,
    /// Different profiles, with overrides applied.
    pub profiles: usize,
    /// Ordered pairs in scope.
    pub pairs: u64,
}

impl Inventory {
    /// The resolved view of some nodes, in the order given.
    #[must_use]
    pub fn show(&self, nodes: &[NodeId]) -> Shown {
        Shown {
            scope: self.fleet.scope.clone(),
            nodes: nodes.iter().map(|&id| self.resolved(id)).collect(),
        }
    }

    /// One node with everything applied.
    #[must_use]
    pub fn resolved(&self, id: NodeId) -> ResolvedNode {
        let origins = &self.origins[self.entry_of[id.index()]];
        ResolvedNode {
            node: self.fleet.node(id).clone(),
            from: origins
                .iter()
                .map(|(key, origin)| (path(*key), origin.clone()))
                .collect(),
        }
    }

    /// How much there is.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let nodes = &self.fleet.nodes;
        let cells: BTreeSet<&String> = nodes.iter().filter_map(|node| node.cell.as_ref()).collect();
        let profiles: BTreeSet<_> = nodes
            .iter()
            .map(|node| Arc::as_ptr(&node.profile))
            .collect();
        Summary {
            nodes: nodes.len(),
            groups: self.fleet.groups.len(),
            cells: cells.len(),
            profiles: profiles.len(),
            pairs: self.pairs(),
        }
    }

    /// Ordered pairs in scope. Nodes of the same cell and groups are in scope alike, so it is enough to ask once for
    /// each two sorts of node.
    fn pairs(&self) -> u64 {
        let fleet = &self.fleet;
        let mut sorts: BTreeMap<(&Option<String>, &Vec<String>), Vec<NodeId>> = BTreeMap::new();
        for id in fleet.ids() {
            let node = fleet.node(id);
            sorts
                .entry((&node.cell, &node.groups))
                .or_default()
                .push(id);
        }
        let mut pairs = 0;
        for from in sorts.values() {
            for to in sorts.values() {
                let same = from[0] == to[0];
                let other = if same { to.get(1) } else { to.first() };
                if other.is_some_and(|&other| fleet.in_scope(from[0], other)) {
                    pairs += from.len() as u64 * (to.len() - usize::from(same)) as u64;
                }
            }
        }
        pairs
    }
}

/// The path of a property as it is written in the inventory.
pub(super) fn path((section, key): Key) -> String {
    match section {
        "" => key.to_owned(),
        "control" | "sshd" => format!("{section}.{key}"),
        lane => format!("lanes.{lane}.{key}"),
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: u64, one: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {one}s"),
        };
        let Self {
            nodes,
            groups,
            cells,
            profiles,
            pairs,
        } = *self;
        let parts = [
            counted(nodes as u64, "node"),
            counted(groups as u64, "group"),
            counted(cells as u64, "cell"),
            counted(profiles as u64, "profile"),
            counted(pairs, "ordered pair"),
        ];
        write!(f, "{} in scope", parts.join(", "))
    }
}
