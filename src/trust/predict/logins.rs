//! Logins of all clients at all doors, each worked out when it is first asked for.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::domain::{LegId, NodeId, Predicted, Why};
use crate::survey::NodeFacts;

use super::clients::Interned;
use super::code::Code;
use super::dialing::LoginConfig;
use super::door::DoorKey;
use super::login::Attempt;
use super::notes::{Notes, Silent};
use super::offers::{Offers, Ring};
use super::policy::Policy;
use super::server::ServerSide;

/// See the module.
#[derive(Debug)]
pub(super) struct Logins<'a> {
    offers: Offers<'a>,
    /// Class of each node's door.
    classes: Vec<Option<u32>>,
    doors: Vec<OneDoor<'a>>,
    /// For each door and each offer what becomes of it, or zero. Any thread may work one out; all find the same.
    cells: Vec<AtomicU8>,
}

/// One of the servers that are alike.
#[derive(Debug)]
struct OneDoor<'a> {
    facts: &'a NodeFacts,
    /// `None` when sshd would not say.
    policy: Option<Policy>,
}

impl<'a> Logins<'a> {
    pub(super) fn new(
        facts: &'a [Option<NodeFacts>],
        servers: &[Option<ServerSide<'a>>],
        offers: Offers<'a>,
    ) -> Self {
        let moments = moments(&offers);
        let mut keys: Interned<DoorKey> = Interned::default();
        let mut doors = Vec::new();
        let classes = facts
            .iter()
            .zip(servers)
            .map(|(facts, side)| {
                let (facts, side) = (facts.as_ref()?, side.as_ref()?);
                let settings = side.settings.as_ref();
                let class = keys.number(DoorKey::new(facts, settings, &moments));
                if class as usize == doors.len() {
                    doors.push(OneDoor {
                        facts,
                        policy: settings.map(Policy::read),
                    });
                }
                Some(class)
            })
            .collect();
        let cells = (0..doors.len() * offers.len())
            .map(|_| AtomicU8::new(0))
            .collect();
        Self {
            offers,
            classes,
            doors,
            cells,
        }
    }

    pub(super) fn policy(&self, server: NodeId) -> Option<&Policy> {
        let class = self.classes[server.index()]?;
        self.doors[class as usize].policy.as_ref()
    }

    pub(super) fn verdict(
        &self,
        ring: u32,
        configs: &Interned<LoginConfig>,
        id: LegId,
    ) -> Predicted {
        let Some(class) = self.classes[id.server.index()] else {
            return Predicted::Unknown(Why::NotSurveyed);
        };
        let ring = &self.offers.rings[ring as usize];
        let (offer, source) = self.offers.offer(ring, id.lane, id.server);
        let cell = &self.cells[class as usize * self.offers.len() + offer as usize];
        if let Some(known) = Code(cell.load(Ordering::Relaxed)).read() {
            return known;
        }
        let door = &self.doors[class as usize];
        let predicted = self.judge(door, ring, configs, source, ("", ""), &mut Silent);
        cell.store(Code::of(predicted).0, Ordering::Relaxed);
        predicted
    }

    pub(super) fn explain(
        &self,
        ring: u32,
        configs: &Interned<LoginConfig>,
        id: LegId,
        names: (&str, &str),
        notes: &mut impl Notes,
    ) -> Predicted {
        let Some(class) = self.classes[id.server.index()] else {
            return Predicted::Unknown(Why::NotSurveyed);
        };
        let ring = &self.offers.rings[ring as usize];
        let (_, source) = self.offers.offer(ring, id.lane, id.server);
        self.judge(
            &self.doors[class as usize],
            ring,
            configs,
            source,
            names,
            notes,
        )
    }

    /// Judges an attempt from the likely address. If that fails because of the address and another one would do, nobody
    /// knows.
    fn judge(
        &self,
        door: &OneDoor<'_>,
        ring: &Ring<'_>,
        configs: &Interned<LoginConfig>,
        source: Option<IpAddr>,
        (client, server): (&str, &str),
        notes: &mut impl Notes,
    ) -> Predicted {
        let Some(policy) = &door.policy else {
            notes.add(|| super::path::fact(server, "`sshd -T` did not answer".to_owned()));
            return Predicted::Unknown(Why::NotPredictable);
        };
        let attempt = |source| Attempt {
            client,
            server,
            ring,
            config: configs.get(ring.config),
            source,
            facts: door.facts,
            policy,
            asked_source: Cell::new(false),
        };
        let likely = attempt(source);
        let predicted = likely.judge(notes);
        if let (Predicted::Breaks(_), true, Some(source)) =
            (predicted, likely.asked_source.get(), source)
        {
            let mut others = self.offers.other_sources(ring.node, source);
            let lets_in = |other| {
                !matches!(
                    attempt(Some(other)).judge(&mut Silent),
                    Predicted::Breaks(_)
                )
            };
            if others.any(lets_in) {
                return Predicted::Unknown(Why::NotPredictable);
            }
        }
        predicted
    }
}

/// The moments at which a certificate that is offered begins or ends to be good.
fn moments(offers: &Offers<'_>) -> Vec<i64> {
    let mut moments: Vec<i64> = offers
        .rings
        .iter()
        .flat_map(|ring| &ring.keys)
        .flat_map(|key| &key.certificates)
        .filter_map(|(_, key)| key.certificate())
        .flat_map(|it| [it.valid_after, it.valid_before])
        .filter_map(|moment| i64::try_from(moment).ok())
        .collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}
