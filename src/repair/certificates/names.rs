//! Which names a node may be certified for.
//!
//! A certificate makes whoever holds the key the owner of a name, and the authority's line in known_hosts makes every
//! other node believe it. So a name must be the node's by the inventory. What a node says of itself is taken only where
//! it is the inventory's name with another domain; a hostile node could otherwise ask for another's name, or for one of
//! a machine that is none of the fleet's.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use crate::domain::{Dial, Fleet, Node, NodeId};
use crate::survey::NodeFacts;
use crate::trust::legs::{Address, Legs, Origin};

/// The names of a node, and those that are not its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedNames {
    /// Names in lower case as they are dialled, each once, in the order of [`DIALS`].
    pub names: Vec<String>,
    /// What is dialled for it and is not certified.
    pub disowned: Vec<Disowned>,
    /// Whether it is not known if the node is one that was revoked: its names stay where they are, and come nowhere.
    pub is_uncertain: bool,
}

/// A name that is dialled for a node and is not the node's by the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disowned {
    /// The name. Written by the node: escape before showing.
    pub name: String,
    /// The property of the inventory that would make it the node's.
    pub property: &'static str,
    /// Inventory name of the node that it belongs to, if it belongs to one.
    pub owner: Option<String>,
}

/// The ways in which a node is dialled.
pub(super) const DIALS: [(Dial, &str); 3] = [
    (Dial::MigrationAddress, "migration_address"),
    (Dial::ServiceHost, "service_host"),
    (Dial::LiveAddress, "live_address"),
];

/// The names of every node of a fleet. With `reported`, also addresses that only the node itself says are its own, where
/// they are on its interfaces and no other node has them.
#[must_use]
pub fn owned_names(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    legs: &Legs,
    reported: bool,
) -> Vec<OwnedNames> {
    let stated = stated(fleet);
    let interfaces = if reported {
        interfaces(fleet, facts, legs)
    } else {
        HashMap::new()
    };
    let names = fleet.ids().map(|id| {
        let mut owned = OwnedNames::default();
        for (dial, property) in &DIALS {
            let Address::Known { name, origin } = legs.address(id, dial) else {
                continue;
            };
            let name = name.to_ascii_lowercase();
            if owned.names.contains(&name) || owned.disowned.iter().any(|it| it.name == name) {
                continue;
            }
            let others: Vec<NodeId> = stated.get(&name).cloned().unwrap_or_default();
            let other = others.iter().find(|&&other| other != id);
            let is_alone = || {
                let address = name.parse().ok();
                let nodes = address.and_then(|it: IpAddr| interfaces.get(&it.to_canonical()));
                nodes.is_some_and(|it| *it == BTreeSet::from([id]))
            };
            let is_own = *origin == Origin::Inventory
                || is_by_inventory(fleet.node(id), &name)
                || is_alone();
            if is_own && other.is_none() {
                owned.names.push(name);
            } else {
                owned.disowned.push(Disowned {
                    name,
                    property,
                    owner: other.map(|&other| fleet.node(other).name.to_string()),
                });
            }
        }
        owned
    });
    names.collect()
}

/// Every name that the inventory gives to nodes, with the nodes that have it.
fn stated(fleet: &Fleet) -> HashMap<String, Vec<NodeId>> {
    let mut stated: HashMap<String, Vec<NodeId>> = HashMap::new();
    for id in fleet.ids() {
        let node = fleet.node(id);
        let given = [
            Some(node.name.as_str()),
            Some(node.control.address.as_str()),
            node.service_host.as_deref(),
            node.migration_address.as_deref(),
            node.live_address.as_deref(),
        ];
        for name in given.into_iter().flatten() {
            // Behind a jump host, control addresses may be the same for many nodes: 127.0.0.1 with ports of their own.
            if name == node.control.address && is_loopback(name) {
                continue;
            }
            let nodes = stated.entry(name.to_ascii_lowercase()).or_default();
            if !nodes.contains(&id) {
                nodes.push(id);
            }
        }
    }
    stated
}

/// Every address that nodes say is theirs, on an interface or in nova.conf, with the nodes that say so. Those that are on
/// no interface of theirs count against others and not for them.
fn interfaces(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    legs: &Legs,
) -> HashMap<IpAddr, BTreeSet<NodeId>> {
    let mut found: HashMap<IpAddr, BTreeSet<NodeId>> = HashMap::new();
    for (id, facts) in fleet.ids().zip(facts) {
        let on_interfaces = facts.iter().flat_map(|facts| &facts.addresses);
        for address in on_interfaces.filter(|it| !it.is_loopback()) {
            found.entry(address.to_canonical()).or_default().insert(id);
        }
    }
    for id in fleet.ids() {
        for (dial, _) in &DIALS {
            let dialled = legs.address(id, dial).name();
            let dialled: Option<IpAddr> = dialled.and_then(|it| it.parse().ok());
            if let Some(nodes) = dialled.and_then(|it| found.get_mut(&it.to_canonical())) {
                nodes.insert(id);
            }
        }
    }
    found
}

/// Whether a name that the node itself reports is the inventory's for it: the same name, the same with another domain or
/// none, or the address at which clearway reaches it.
fn is_by_inventory(node: &Node, reported: &str) -> bool {
    let inventory = node.name.as_str().to_ascii_lowercase();
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let is_address = |name: &str| name.parse::<IpAddr>().is_ok();
    let control = node.control.address.to_ascii_lowercase();
    if reported == inventory || (reported == control && !is_loopback(reported)) {
        return true;
    }
    // `10` is the first part of 10.0.0.1, and no host name.
    !is_address(reported) && !is_address(&inventory) && first(reported) == first(&inventory)
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
