//! Where a client comes from: `from=` of its keys.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::domain::NodeId;
use crate::survey::NodeFacts;

/// The addresses of each node that only it has.
#[derive(Debug)]
pub(super) struct Sources {
    own: Vec<Vec<IpAddr>>,
}

/// More addresses than this on one node are no migration network any more.
const MOST: usize = 32;

impl Sources {
    pub(super) fn new(facts: &[Option<NodeFacts>]) -> Self {
        let mut owners: HashMap<IpAddr, (usize, NodeId)> = HashMap::new();
        let global = |facts: &NodeFacts| -> Vec<IpAddr> {
            let mut all: Vec<IpAddr> = facts
                .addresses
                .iter()
                .map(IpAddr::to_canonical)
                .filter(is_global)
                .collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let all: Vec<Vec<IpAddr>> = facts
            .iter()
            .map(|facts| facts.as_ref().map(global).unwrap_or_default())
            .collect();
        for (node, addresses) in (0..).map(NodeId).zip(&all) {
            for address in addresses {
                owners.entry(*address).or_insert((0, node)).0 += 1;
            }
        }
        // What several nodes have, such as the bridge of a container engine, leads to none of them.
        let own = all.into_iter().map(|mut addresses| {
            addresses.retain(|address| owners.get(address).is_some_and(|(count, _)| *count == 1));
            addresses
        });
        Self { own: own.collect() }
    }

    /// The value of `from=` for a node; `None` where limiting it could shut it out.
    pub(super) fn from(&self, node: NodeId) -> Option<String> {
        let addresses = &self.own[node.index()];
        if addresses.is_empty() || addresses.len() > MOST {
            return None;
        }
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        Some(texts.join(","))
    }

    /// Whether an address is among those of a node.
    pub(super) fn has(&self, node: NodeId, address: IpAddr) -> bool {
        self.own[node.index()].contains(&address.to_canonical())
    }
}

fn is_global(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}
