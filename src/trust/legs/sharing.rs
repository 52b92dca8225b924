//! Migration addresses that more than one node announces, or that the node does not own.
//!
//! Nova compares addresses to tell whether two nodes share their storage (`_is_path_shared_with` of
//! nova/virt/libvirt/driver.py): with one address for two nodes it copies no disk, and the server comes up empty.
//!
//! An address that several nodes announce is refused for all of them, unless it is certain whose it is: then a node that
//! claims another's address harms only itself. It is certain if
//! - the inventory states it for exactly one of them (which announces it, or whose nova.conf nobody could read), or else
//! - exactly one node has it on an interface, that node announces it, and the interfaces of all who announce it are
//!   known.
//!
//! Even then nothing moves between the owner and a claimant in either direction, for there Nova compares equal
//! addresses, and the claimants are never dialled by it.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::domain::{Evidence, Fleet, NodeId};
use crate::openssh::parse_address;
use crate::survey::NodeFacts;
use crate::trust::scope::PairScope;

use super::address::Address;

/// What is wrong with the migration address of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sharing {
    /// It leads back to whoever dials it: a loopback or unspecified address, or `localhost`.
    pub loopback: bool,
    /// The other nodes that announce the same.
    pub announced_by: Vec<NodeId>,
    /// Whose address it certainly is, of those that announce it; see the module.
    pub owner: Option<NodeId>,
    /// It is on no interface of the node.
    pub not_owned: bool,
    /// Other nodes that have it on an interface.
    pub on_interface_of: Vec<NodeId>,
}

impl Sharing {
    /// Whether the address is not one to dial the node by, whoever dials.
    pub(super) fn bars_all(&self, node: NodeId) -> bool {
        self.loopback
            || self.not_owned
            || (!self.announced_by.is_empty() && self.owner != Some(node))
    }

    /// The evidence in words.
    pub(super) fn evidence(&self, fleet: &Names, node: NodeId, address: &Address) -> Vec<Evidence> {
        let Address::Known { name, origin } = address else {
            return Vec::new();
        };
        let fact = |text: String| Evidence::Fact {
            node: Some(fleet.name(node).to_owned()),
            text,
        };
        let mut evidence = vec![fact(format!("migration address `{name}` from {origin}"))];
        if self.loopback {
            evidence.push(fact(format!("`{name}` leads back to whoever dials it")));
        }
        if !self.announced_by.is_empty() {
            let others = fleet.list(&self.announced_by);
            evidence.push(fact(format!("`{name}` is also announced by {others}")));
        }
        match self.owner {
            Some(owner) if owner == node => {
                evidence.push(fact(format!("`{name}` is certainly its own")));
            }
            Some(owner) => {
                let owner = fleet.name(owner);
                evidence.push(fact(format!("`{name}` is certainly that of {owner}")));
            }
            None => {}
        }
        if self.not_owned {
            evidence.push(fact(format!("no interface of the node has `{name}`")));
        }
        if !self.on_interface_of.is_empty() {
            let others = fleet.list(&self.on_interface_of);
            evidence.push(fact(format!("`{name}` is on an interface of {others}")));
        }
        evidence
    }
}

/// The inventory names of a fleet's nodes.
#[derive(Debug, Clone)]
pub(super) struct Names(Vec<crate::domain::NodeName>);

impl Names {
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self(fleet.nodes.iter().map(|node| node.name.clone()).collect())
    }

    pub(super) fn name(&self, id: NodeId) -> &str {
        self.0[id.index()].as_str()
    }

    fn list(&self, ids: &[NodeId]) -> String {
        crate::domain::fold(ids.iter().map(|&id| self.name(id)))
    }
}

/// An address in the form in which equal ones are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Same {
    Literal(IpAddr),
    Name(String),
}

fn canonical(name: &str) -> Same {
    match parse_address(name) {
        Some(literal) => Same::Literal(literal.to_canonical()),
        None => Same::Name(name.to_ascii_lowercase()),
    }
}

/// Whether both are one name or one address, however written.
pub(in crate::trust) fn is_same(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

/// Whether dialling it leads back to oneself.
pub(super) fn is_loopback(name: &str) -> bool {
    match canonical(name) {
        Same::Literal(literal) => literal.is_loopback() || literal.is_unspecified(),
        Same::Name(name) => {
            let name = name.trim_end_matches('.');
            // RFC 6761, and what distributions write into /etc/hosts besides.
            name == "localhost"
                || name.ends_with(".localhost")
                || matches!(name, "localhost.localdomain" | "localhost4" | "localhost6")
                || matches!(name, "ip6-localhost" | "ip6-loopback")
        }
    }
}

/// Finds every migration address that is not its node's alone.
pub(super) fn find(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    addresses: &[Address],
) -> HashMap<NodeId, Sharing> {
    let scope = PairScope::all(fleet);
    // Equal addresses in networks that never meet are no fault: what counts is whether one node may dial both.
    let meet = |a, b| scope.joins(a, b) || scope.share_a_source(a, b);

    let mut announced: HashMap<Same, Vec<NodeId>> = HashMap::new();
    for id in fleet.ids() {
        if let Some(name) = addresses[id.index()].name() {
            announced.entry(canonical(name)).or_default().push(id);
        }
    }
    let mut owners: HashMap<IpAddr, Vec<NodeId>> = HashMap::new();
    for id in fleet.ids() {
        for address in facts[id.index()].iter().flat_map(|facts| &facts.addresses) {
            let owners = owners.entry(address.to_canonical()).or_default();
            if owners.last() != Some(&id) {
                owners.push(id);
            }
        }
    }

    let mut found = HashMap::new();
    for id in fleet.ids() {
        let Some(name) = addresses[id.index()].name() else {
            continue;
        };
        let same = canonical(name);
        let mut sharing = Sharing {
            loopback: is_loopback(name),
            ..Sharing::default()
        };
        if !sharing.loopback {
            sharing.announced_by = announced[&same]
                .iter()
                .copied()
                .filter(|&other| other != id && meet(id, other))
                .collect();
        }
        if !sharing.announced_by.is_empty() {
            let claimants: Vec<NodeId> = sharing.announced_by.iter().copied().chain([id]).collect();
            let on_interfaces: Vec<NodeId> = match &same {
                Same::Literal(literal) => owners.get(literal).cloned().unwrap_or_default(),
                Same::Name(_) => Vec::new(),
            };
            let near = on_interfaces
                .into_iter()
                .filter(|&other| other == id || meet(id, other));
            sharing.owner = owner(&claimants, &near.collect::<Vec<_>>(), facts, addresses);
        }
        if let (Same::Literal(literal), Some(facts), false) =
            (&same, &facts[id.index()], sharing.loopback)
        {
            let owned = |address: &IpAddr| address.to_canonical() == *literal;
            // An empty list means that the survey could not read it.
            sharing.not_owned = !facts.addresses.is_empty() && !facts.addresses.iter().any(owned);
            if sharing.not_owned {
                sharing.on_interface_of = owners
                    .get(literal)
                    .into_iter()
                    .flatten()
                    .copied()
                    .filter(|&other| other != id && meet(id, other))
                    .collect();
            }
        }
        if sharing != Sharing::default() {
            found.insert(id, sharing);
        }
    }
    found
}

/// Whose address it certainly is, of those that announce it; see the module. `near` have it on an interface.
fn owner(
    claimants: &[NodeId],
    near: &[NodeId],
    facts: &[Option<NodeFacts>],
    addresses: &[Address],
) -> Option<NodeId> {
    let mut stated = claimants
        .iter()
        .filter(|id| addresses[id.index()].is_stated());
    match (stated.next(), stated.next()) {
        (Some(&only), None) => return Some(only),
        (Some(_), Some(_)) => return None,
        (None, _) => {}
    }
    // Who could not be looked into may have it as well.
    let is_known = |id: &NodeId| {
        let facts = facts[id.index()].as_ref();
        facts.is_some_and(|facts| !facts.addresses.is_empty())
    };
    match near {
        [only] if claimants.contains(only) && claimants.iter().all(is_known) => Some(*only),
        _ => None,
    }
}
