//! Whose a name is: a node cannot have its keys recorded for whatever it says that it is called.
//!
//! What is dialled may come from a node's own nova.conf. It is taken where something else than that says the same: the
//! inventory, the addresses on its interfaces, what the client's /etc/hosts makes of it, or that the machine which answers
//! there has shown a key of the node's disk. And never where another node, or the inventory for another node, says that
//! the name is its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::gathered::ByNode;
use super::input::Situation;
use crate::domain::{Dial, LegId, NodeId};
use crate::openssh::parse_address;
use crate::survey::ClientFacts;
use crate::trust::PairScope;

/// A name in the form in which equal ones are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Same {
    Literal(IpAddr),
    Name(String),
}

fn same(name: &str) -> Same {
    match parse_address(name) {
        Some(literal) => Same::Literal(literal.to_canonical()),
        None => Same::Name(name.trim_end_matches('.').to_ascii_lowercase()),
    }
}

/// That a name is a node's, or why not, in words; `None` where each client's own view decides.
type Settled = Option<Result<(), String>>;

/// Who has a claim on which names.
#[derive(Debug)]
pub(super) struct Claims {
    /// What the inventory says; `None` for a jump host, which is no node.
    inventory: HashMap<Same, Vec<Option<NodeId>>>,
    /// What nodes say that they are dialled by.
    own: HashMap<Same, Vec<NodeId>>,
    interfaces: HashMap<IpAddr, Vec<NodeId>>,
    everyone: PairScope,
    /// What [`Self::settle`] has found.
    known: ByNode<Arc<str>, Settled>,
}

impl Claims {
    pub(super) fn new(situation: &Situation<'_>) -> Self {
        let fleet = situation.fleet;
        let mut claims = Self {
            inventory: HashMap::new(),
            own: HashMap::new(),
            interfaces: HashMap::new(),
            everyone: PairScope::all(fleet),
            known: ByNode::default(),
        };
        for id in fleet.ids() {
            let node = fleet.node(id);
            let stated = [
                &node.service_host,
                &node.migration_address,
                &node.live_address,
            ];
            let stated = stated.into_iter().flatten().map(String::as_str);
            for name in stated.chain([node.name.as_str(), &node.control.address]) {
                let known = claims.inventory.entry(same(name)).or_default();
                if !known.contains(&Some(id)) {
                    known.push(Some(id));
                }
            }
            for jump in &node.control.jump {
                let known = claims.inventory.entry(same(&jump.address)).or_default();
                if !known.contains(&None) {
                    known.push(None);
                }
            }
            for dial in [Dial::MigrationAddress, Dial::ServiceHost, Dial::LiveAddress] {
                if let Some(name) = situation.legs.address(id, &dial).name() {
                    let known = claims.own.entry(same(name)).or_default();
                    if known.last() != Some(&id) {
                        known.push(id);
                    }
                }
            }
            let facts = situation.facts[id.index()].iter();
            for address in facts.flat_map(|facts| &facts.addresses) {
                let known = claims.interfaces.entry(address.to_canonical());
                let known = known.or_default();
                if known.last() != Some(&id) {
                    known.push(id);
                }
            }
        }
        claims
    }

    /// Another node that may be met where this one is.
    fn other<'a>(&self, nodes: &'a [NodeId], than: NodeId) -> Option<&'a NodeId> {
        nodes.iter().find(|&&id| {
            id != than && (self.everyone.joins(id, than) || self.everyone.share_a_source(id, than))
        })
    }

    fn has_address(&self, address: IpAddr, server: NodeId) -> Result<bool, NodeId> {
        let Some(nodes) = self.interfaces.get(&address.to_canonical()) else {
            return Ok(false);
        };
        match self.other(nodes, server) {
            Some(other) => Err(*other),
            None => Ok(nodes.contains(&server)),
        }
    }

    /// Whether a server's keys may be recorded on a client for a name.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) fn check(
        &mut self,
        situation: &Situation<'_>,
        id: LegId,
        client: &ClientFacts,
        name: &Arc<str>,
    ) -> Result<(), String> {
        let known = self.known.get(id.server, name).cloned();
        let known = known.unwrap_or_else(|| {
            let settled = self.settle(situation, id.server, name);
            let known = self.known.or_insert_with(id.server, name, || settled);
            known.clone()
        });
        if let Some(settled) = known {
            return settled;
        }
        let resolved = situation.prediction.resolved(client, name);
        let mut all = !resolved.is_empty();
        for address in resolved {
            all &= self
                .has_address(address, id.server)
                .map_err(|other| has_too(situation, other))?;
        }
        if all || self.has_shown(situation, id) {
            return Ok(());
        }
        Err(format!(
            "nothing but {} itself says that it is `{name}`",
            situation.fleet.node(id.server).name
        ))
    }

    /// What is the same for every client; `None` where the client's own view decides.
    fn settle(&self, situation: &Situation<'_>, server: NodeId, name: &str) -> Settled {
        let node = |id: NodeId| situation.fleet.node(id).name.as_str();
        let same = same(name);
        if let Some(stated) = self.inventory.get(&same) {
            if stated.contains(&Some(server)) {
                return Some(Ok(()));
            }
            let others: Vec<NodeId> = stated.iter().flatten().copied().collect();
            if stated.contains(&None) {
                return Some(Err(format!("`{name}` is a jump host of the inventory")));
            }
            if let Some(&other) = self.other(&others, server) {
                let is_others = format!("`{name}` is {} in the inventory", node(other));
                return Some(Err(is_others));
            }
        }
        let claimed = self.own.get(&same).map_or(&[][..], Vec::as_slice);
        if let Some(&other) = self.other(claimed, server) {
            let too = format!("{} says that it is `{name}`, too", node(other));
            return Some(Err(too));
        }
        if let Same::Literal(address) = same {
            match self.has_address(address, server) {
                Ok(true) => return Some(Ok(())),
                Ok(false) => {}
                Err(other) => return Some(Err(has_too(situation, other))),
            }
        }
        None
    }

    /// Whether whoever answers there has shown this client a key of the server's disk.
    fn has_shown(&self, situation: &Situation<'_>, id: LegId) -> bool {
        situation.seen.get(&id).is_some_and(|seen| {
            let mut keys = situation.prediction.disk_keys(id.server);
            keys.any(|key| seen.served.contains(&key.fingerprint().to_string()))
        })
    }
}

fn has_too(situation: &Situation<'_>, other: NodeId) -> String {
    let name = &situation.fleet.node(other).name;
    format!("an interface of {name} has it, too")
}
