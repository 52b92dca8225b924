//! The table of legs: one row per node, every leg composed from two of them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{Dial, Evidence, Fleet, Lane, Leg, LegId, NodeId, Predicted, Reason, Why};
use crate::survey::NodeFacts;

use super::address::{Address, address, is_dialable, stated};
use super::sharing::{self, Names, Sharing};
use super::usage::{LaneUsage, Used, lane_usage};

/// All legs of a fleet. Holds a row per node, never one per pair.
#[derive(Debug, Clone)]
pub struct Legs {
    names: Names,
    rows: Vec<Row>,
    sharing: HashMap<NodeId, Sharing>,
    /// What is wrong with the addresses of each node, ready to be asked for every pair.
    faults: Vec<Faults>,
}

#[derive(Debug, Clone, Copy)]
struct Faults {
    migration_shared: bool,
    /// The migration address is the node's own, and others announce it too.
    migration_claimed: bool,
    service_loopback: bool,
    live_loopback: bool,
}

#[derive(Debug, Clone)]
struct Row {
    migration: Address,
    service: Address,
    live: Address,
    /// What the inventory states and nova.conf does not, in the order of the three above.
    overruled: [Option<Arc<str>>; 3],
    machine_id: Option<Arc<str>>,
    lanes: [LaneUsage; Lane::ALL.len()],
}

impl Row {
    fn address(&self, dial: &Dial) -> &Address {
        match dial {
            Dial::MigrationAddress => &self.migration,
            Dial::ServiceHost => &self.service,
            Dial::LiveAddress => &self.live,
        }
    }
}

impl Legs {
    /// The legs of a fleet; `facts` has one entry per node of the fleet, `None` for a node that was not surveyed.
    #[must_use]
    pub fn new(fleet: &Fleet, facts: &[Option<NodeFacts>]) -> Self {
        let rows: Vec<Row> = fleet
            .nodes
            .iter()
            .zip(facts)
            .map(|(node, facts)| {
                let facts = facts.as_ref();
                let dials = [Dial::MigrationAddress, Dial::ServiceHost, Dial::LiveAddress];
                let [migration, service, live] =
                    dials.each_ref().map(|dial| address(node, facts, dial));
                let overruled = |dial, address: &Address| {
                    let stated = stated(node, dial)?;
                    (!address.is_stated()).then(|| Arc::from(stated))
                };
                Row {
                    overruled: [
                        overruled(&dials[0], &migration),
                        overruled(&dials[1], &service),
                        overruled(&dials[2], &live),
                    ],
                    migration,
                    service,
                    live,
                    machine_id: facts
                        .and_then(|it| it.server.machine_id.as_deref())
                        .map(Arc::from),
                    lanes: Lane::ALL.map(|lane| lane_usage(node, facts, lane)),
                }
            })
            .collect();
        let migration: Vec<Address> = rows.iter().map(|row| row.migration.clone()).collect();
        let sharing = sharing::find(fleet, facts, &migration);
        let is_loopback = |address: &Address| {
            address
                .name()
                .is_some_and(|name| sharing::is_loopback(name))
        };
        let faults = fleet
            .ids()
            .zip(&rows)
            .map(|(id, row)| Faults {
                migration_shared: sharing.get(&id).is_some_and(|it| it.bars_all(id)),
                migration_claimed: sharing.contains_key(&id),
                service_loopback: is_loopback(&row.service),
                live_loopback: is_loopback(&row.live),
            })
            .collect();
        Self {
            names: Names::of(fleet),
            sharing,
            faults,
            rows,
        }
    }

    /// What a node is dialled by in one way.
    #[must_use]
    pub fn address(&self, node: NodeId, dial: &Dial) -> &Address {
        self.rows[node.index()].address(dial)
    }

    /// What is wrong with a node's migration address, if anything is.
    #[must_use]
    pub fn sharing(&self, node: NodeId) -> Option<&Sharing> {
        self.sharing.get(&node)
    }

    /// The leg, ready to be climbed; `None` where [`Self::obstacle`] says why there is nothing to climb.
    #[must_use]
    pub fn leg(&self, id: LegId) -> Option<Leg> {
        if self.obstacle(id).is_some() {
            return None;
        }
        let used = self.used(id.client, id.lane)?;
        Some(Leg {
            id,
            name: self.dialled(id)?,
            user: used.user.clone(),
            port: used.port,
            identity: used.identity.clone(),
            options: Arc::clone(&used.options),
            may_record: used.may_record,
            context: Arc::clone(&used.context),
            transport: used.transport,
            directory: Arc::clone(&used.directory),
            machine_id: self.rows[id.server.index()].machine_id.clone(),
        })
    }

    /// The literal name that the leg dials, also where it must not be dialled because of [`Reason::SharedAddress`].
    #[must_use]
    pub fn dialled(&self, id: LegId) -> Option<Arc<str>> {
        let used = self.used(id.client, id.lane)?;
        let name = self.server_address(id, used).name()?;
        match &used.around {
            None => Some(Arc::clone(name)),
            Some((before, after)) => {
                let name = format!("{before}{name}{after}");
                is_dialable(&name).then(|| name.into())
            }
        }
    }

    /// What settles the leg before anything is dialled: that it is not needed, that it must not or cannot be dialled,
    /// or that nobody knows what to dial.
    #[must_use]
    pub fn obstacle(&self, id: LegId) -> Option<Predicted> {
        let used = match &self.rows[id.client.index()].lanes[lane_index(id.lane)] {
            LaneUsage::Used(used) => used,
            LaneUsage::NotNeeded(why) => return Some(Predicted::NotNeeded(*why)),
            LaneUsage::Unknown(why, _) => return Some(Predicted::Unknown(*why)),
            LaneUsage::Broken(reason, _) => return Some(Predicted::Breaks(*reason)),
        };
        let address = self.server_address(id, used);
        match address {
            Address::Known { .. } => {
                let faults = self.faults[id.server.index()];
                let loops = match used.dial {
                    Dial::MigrationAddress if faults.migration_shared => {
                        return Some(Predicted::Breaks(Reason::SharedAddress));
                    }
                    Dial::MigrationAddress
                        if faults.migration_claimed && self.claims(id.client, id.server) =>
                    {
                        return Some(Predicted::Breaks(Reason::SharedAddress));
                    }
                    Dial::MigrationAddress => false,
                    Dial::ServiceHost => faults.service_loopback,
                    Dial::LiveAddress => faults.live_loopback,
                };
                if used.around.is_some() {
                    self.dialled(id)
                        .is_none()
                        .then_some(Predicted::Breaks(Reason::AddressUnknown))
                } else {
                    loops.then_some(Predicted::Breaks(Reason::AddressLoopback))
                }
            }
            Address::Unusable { .. } | Address::Unstated { .. } => {
                Some(Predicted::Breaks(Reason::AddressUnknown))
            }
            Address::Undecided { .. } => Some(Predicted::Unknown(Why::AddressUndecided)),
            Address::NotEntered {
                unfinished: true, ..
            } => Some(Predicted::Unknown(Why::NotSurveyed)),
            Address::NotEntered { .. } => Some(Predicted::Breaks(Reason::ContextFailed)),
            Address::NotSurveyed => Some(Predicted::Unknown(Why::NotSurveyed)),
        }
    }

    /// What [`Self::obstacle`] rests on.
    #[must_use]
    pub fn evidence(&self, id: LegId) -> Vec<Evidence> {
        let fact = |node, text: String| Evidence::Fact {
            node: Some(self.names.name(node).to_owned()),
            text,
        };
        let used = match &self.rows[id.client.index()].lanes[lane_index(id.lane)] {
            LaneUsage::Used(used) => used,
            LaneUsage::NotNeeded(_) => return Vec::new(),
            LaneUsage::Unknown(_, text) | LaneUsage::Broken(_, text) => {
                return vec![fact(id.client, text.clone())];
            }
        };
        let address = self.server_address(id, used);
        let mut evidence = match (address, self.sharing.get(&id.server)) {
            (Address::Known { .. }, Some(sharing)) if used.dial == Dial::MigrationAddress => {
                sharing.evidence(&self.names, id.server, address)
            }
            (Address::Known { name, origin }, _) => {
                vec![fact(
                    id.server,
                    format!("dialled as `{name}`, from {origin}"),
                )]
            }
            (Address::Unusable { value, origin }, _) => {
                let text = format!("`{value}`, from {origin}, cannot be dialled");
                vec![fact(id.server, text)]
            }
            (Address::Undecided { values, origin }, _) => {
                let text = format!("{origin} is {values}, as nova-compute was started");
                vec![fact(id.server, text)]
            }
            (Address::Unstated { instead }, _) => {
                let text = format!("{instead}, and nothing in the inventory");
                vec![fact(id.server, text)]
            }
            (Address::NotEntered { failure, .. }, _) => vec![fact(id.server, failure.clone())],
            (Address::NotSurveyed, _) => Vec::new(),
        };
        if let Some(stated) = self.overruled(id.server, &used.dial) {
            let text = format!("the inventory states `{stated}`, which Nova never reads");
            evidence.push(fact(id.server, text));
        }
        evidence
    }

    /// What the inventory states for a node where nova.conf announces something else, which is what Nova dials.
    pub(in crate::trust) fn overruled(&self, node: NodeId, dial: &Dial) -> Option<&str> {
        let row = &self.rows[node.index()];
        match dial {
            Dial::MigrationAddress => row.overruled[0].as_deref(),
            Dial::ServiceHost => row.overruled[1].as_deref(),
            Dial::LiveAddress => row.overruled[2].as_deref(),
        }
    }

    /// What all legs of a client in a lane have in common; `None` where it has none to dial.
    pub(in crate::trust) fn used(&self, client: NodeId, lane: Lane) -> Option<&Used> {
        match &self.rows[client.index()].lanes[lane_index(lane)] {
            LaneUsage::Used(used) => Some(used),
            LaneUsage::NotNeeded(_) | LaneUsage::Unknown(..) | LaneUsage::Broken(..) => None,
        }
    }

    /// How a client's lane writes a destination's name, where a `qemu+ssh` URI has text around it.
    pub(in crate::trust) fn form(&self, client: NodeId, lane: Lane) -> Option<String> {
        let (before, after) = self.used(client, lane)?.around.as_ref()?;
        Some(format!("{before}%s{after}"))
    }

    /// Whether a node announces the migration address of another.
    fn claims(&self, node: NodeId, of: NodeId) -> bool {
        let sharing = self.sharing.get(&of);
        sharing.is_some_and(|sharing| sharing.announced_by.contains(&node))
    }

    fn server_address(&self, id: LegId, used: &Used) -> &Address {
        self.address(id.server, &used.dial)
    }
}

/// A lane's place in [`Lane::ALL`].
fn lane_index(lane: Lane) -> usize {
    match lane {
        Lane::ColdPush => 0,
        Lane::ColdPull => 1,
        Lane::Live => 2,
    }
}
