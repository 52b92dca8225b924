//! Logins of all clients at all doors, each worked out when it is first asked for.

use std::borrow::Cow;
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use crate::domain::{Lane, LegId, NodeId, Predicted, Step, Why};
use crate::openssh::authorized_keys::{AuthorizedKeys, AuthorizedKeysIndex};
use crate::openssh::config::{Difference, ServerConfig, ServerQuery};
use crate::openssh::key::KeyInterner;
use crate::openssh::parse_address;
use crate::survey::{Content, NodeFacts};

use super::authorized::{FARTHEST_ZONE, Library};
use super::clients::Interned;
use super::code::Code;
use super::dialing::LoginConfig;
use super::door::{DoorKey, server_config, written};
use super::forced::Sends;
use super::login::Attempt;
use super::notes::{Notes, Silent};
use super::offers::{Offers, Ring};
use super::path::fact;
use super::policy::Policy;
use super::server::ServerSide;
use super::settings::Settings;

/// See the module.
#[derive(Debug)]
pub(super) struct Logins<'a> {
    offers: Offers<'a>,
    library: Library,
    /// Class of each node's door.
    classes: Vec<Option<u32>>,
    doors: Vec<OneDoor<'a>>,
    /// For each door and each offer what becomes of it, or zero. Any thread may work one out; all find the same.
    cells: Vec<AtomicU8>,
    /// The same for those who send no commands, where that makes a difference.
    sftp_cells: OnceLock<Vec<AtomicU8>>,
}

/// One of the servers that are alike.
#[derive(Debug)]
struct OneDoor<'a> {
    facts: &'a NodeFacts,
    /// What `sshd -T` said; `None` when it would not say.
    settings: Option<(Settings, Policy)>,
    /// The configuration, where it depends on who comes from where.
    matched: Option<ServerConfig>,
}

/// A door as one visitor meets it.
pub(super) struct DoorView<'a> {
    pub(super) policy: Cow<'a, Policy>,
    pub(super) source: Option<IpAddr>,
    pub(super) library: &'a Library,
}

/// Who asks at a door.
#[derive(Clone, Copy)]
pub(super) struct Visit<'a> {
    pub(super) ring: u32,
    pub(super) configs: &'a Interned<LoginConfig>,
    pub(super) id: LegId,
    pub(super) sends: Sends,
}

impl<'a> Logins<'a> {
    pub(super) fn new(
        facts: &'a [Option<NodeFacts>],
        servers: &[Option<ServerSide<'a>>],
        offers: Offers<'a>,
    ) -> Self {
        let library = library(facts);
        let moments = moments(&offers, &library);
        let keys: Vec<Option<(DoorKey, Option<ServerConfig>)>> = facts
            .par_iter()
            .zip(servers)
            .map(|(facts, side)| {
                let (facts, side) = (facts.as_ref()?, side.as_ref()?);
                let matched = server_config(facts).filter(ServerConfig::has_conditions);
                let settings = side.settings.as_ref();
                let key = DoorKey::new(facts, settings, matched.as_ref(), &moments);
                Some((key, matched))
            })
            .collect();
        let mut numbers: Interned<DoorKey> = Interned::default();
        let mut doors = Vec::new();
        let mut classes = Vec::with_capacity(facts.len());
        for ((facts, side), key) in facts.iter().zip(servers).zip(keys) {
            let (Some(facts), Some(side), Some((key, matched))) = (facts, side, key) else {
                classes.push(None);
                continue;
            };
            let class = numbers.number(key);
            if class as usize == doors.len() {
                let settings = side.settings.clone();
                doors.push(OneDoor {
                    facts,
                    settings: settings.map(|settings| {
                        let policy = Policy::read(&settings);
                        (settings, policy)
                    }),
                    matched,
                });
            }
            classes.push(Some(class));
        }
        let cells = empty_cells(doors.len() * offers.len());
        Self {
            offers,
            library,
            classes,
            doors,
            cells,
            sftp_cells: OnceLock::new(),
        }
    }

    pub(super) fn kinds(&self) -> usize {
        self.doors.len()
    }

    /// The settings of a server that do not depend on who comes.
    pub(super) fn policy(&self, server: NodeId) -> Option<&Policy> {
        let class = self.classes[server.index()]?;
        let (_, policy) = self.doors[class as usize].settings.as_ref()?;
        Some(policy)
    }

    /// The settings of a server for logins to an account, from nowhere in particular.
    pub(super) fn policy_of(&self, server: NodeId, user: &str) -> Option<Cow<'_, Policy>> {
        let class = self.classes[server.index()]?;
        self.doors[class as usize].policy(user, None).ok()
    }

    /// Whether a server's settings depend on who comes from where.
    pub(super) fn asks_who_comes(&self, server: NodeId) -> bool {
        let class = self.classes[server.index()];
        class.is_some_and(|class| self.doors[class as usize].matched.is_some())
    }

    pub(super) fn verdict(&self, visit: Visit<'_>) -> Predicted {
        let Some(class) = self.classes[visit.id.server.index()] else {
            return Predicted::Unknown(Why::NotSurveyed);
        };
        let ring = &self.offers.rings[visit.ring as usize];
        let (offer, source) = self.offers.offer(ring, visit.id.lane, visit.id.server);
        let place = class as usize * self.offers.len() + offer as usize;
        let door = &self.doors[class as usize];
        let worked_out = |cell: &AtomicU8, sends| {
            Code(cell.load(Ordering::Relaxed))
                .read()
                .unwrap_or_else(|| {
                    let visit = Visit { sends, ..visit };
                    let predicted = self.judge(door, ring, visit, source, ("", ""), &mut Silent);
                    cell.store(Code::of(predicted).0, Ordering::Relaxed);
                    predicted
                })
        };
        let predicted = worked_out(&self.cells[place], Sends::Commands);
        if visit.sends == Sends::Commands || !self.cares_what_is_sent(visit.id.server, predicted) {
            return predicted;
        }
        let cells = self
            .sftp_cells
            .get_or_init(|| empty_cells(self.cells.len()));
        worked_out(&cells[place], visit.sends)
    }

    /// Whether somebody who sends no commands may fare otherwise than one who does.
    fn cares_what_is_sent(&self, server: NodeId, predicted: Predicted) -> bool {
        match predicted {
            Predicted::Works | Predicted::NotNeeded(_) => false,
            Predicted::Breaks(reason) => reason.step() > Step::Login,
            Predicted::Unknown(_) => self.policy(server).is_some_and(|it| it.sftp.is_none()),
        }
    }

    /// What a server would ask about keys of this visitor: its settings, its facts, and where the visitor comes from.
    /// `None` where that is not known.
    pub(super) fn door(&self, visit: Visit<'_>) -> Option<DoorView<'_>> {
        let class = self.classes[visit.id.server.index()]?;
        let door = &self.doors[class as usize];
        let ring = &self.offers.rings[visit.ring as usize];
        let config = visit.configs.get(ring.config);
        let source = match &config.bind {
            None => self.offers.offer(ring, visit.id.lane, visit.id.server).1,
            Some(bound) => parse_address(bound),
        };
        Some(DoorView {
            policy: door.policy(&config.user, source).ok()?,
            source,
            library: &self.library,
        })
    }

    /// Keys that a ring offers.
    pub(super) fn ring(&self, number: u32) -> &Ring<'a> {
        &self.offers.rings[number as usize]
    }

    pub(super) fn explain(
        &self,
        visit: Visit<'_>,
        names: (&str, &str),
        notes: &mut impl Notes,
    ) -> Predicted {
        let Some(class) = self.classes[visit.id.server.index()] else {
            return Predicted::Unknown(Why::NotSurveyed);
        };
        let ring = &self.offers.rings[visit.ring as usize];
        let (_, source) = self.offers.offer(ring, visit.id.lane, visit.id.server);
        self.judge(
            &self.doors[class as usize],
            ring,
            visit,
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
        visit: Visit<'_>,
        source: Option<IpAddr>,
        names: (&str, &str),
        notes: &mut impl Notes,
    ) -> Predicted {
        let config = visit.configs.get(ring.config);
        let source = match &config.bind {
            None => source,
            Some(bound) => parse_address(bound),
        };
        let (predicted, asked_source) =
            self.attempt(door, ring, config, (source, visit.sends), names, notes);
        let (Predicted::Breaks(_), true, Some(source), None) =
            (predicted, asked_source, source, &config.bind)
        else {
            return predicted;
        };
        let lets_in = |other| {
            let from = (Some(other), visit.sends);
            let (other, _) = self.attempt(door, ring, config, from, names, &mut Silent);
            !matches!(other, Predicted::Breaks(_))
        };
        if self.offers.other_sources(ring.node, source).any(lets_in) {
            Predicted::Unknown(Why::NotPredictable)
        } else {
            predicted
        }
    }

    /// Judges an attempt from one address, and tells whether the address made a difference.
    fn attempt(
        &self,
        door: &OneDoor<'_>,
        ring: &Ring<'_>,
        config: &LoginConfig,
        (source, sends): (Option<IpAddr>, Sends),
        (client, server): (&str, &str),
        notes: &mut impl Notes,
    ) -> (Predicted, bool) {
        let unknown = Predicted::Unknown(Why::NotPredictable);
        let policy = match door.policy(&config.user, source) {
            Ok(policy) => policy,
            Err(why) => {
                notes.add(|| fact(server, why));
                return (unknown, false);
            }
        };
        let attempt = Attempt {
            client,
            server,
            ring,
            config,
            source,
            facts: door.facts,
            policy: &policy,
            library: &self.library,
            sends,
            asked_source: Cell::new(door.matched.is_some()),
        };
        let predicted = attempt.judge(notes);
        (predicted, attempt.asked_source.get())
    }
}

impl OneDoor<'_> {
    /// The settings for a login, `Match` blocks applied; or why they are not known.
    fn policy(&self, user: &str, source: Option<IpAddr>) -> Result<Cow<'_, Policy>, String> {
        let Some((settings, policy)) = &self.settings else {
            return Err("`sshd -T` did not answer".to_owned());
        };
        let Some(matched) = &self.matched else {
            return Ok(Cow::Borrowed(policy));
        };
        let accounts = &self.facts.server.accounts;
        let account = accounts.iter().find(|login| login.name == user);
        let groups = account.and_then(|login| login.account.as_ref());
        let address = source.map(written);
        let query = ServerQuery {
            user,
            groups: groups.map(|account| account.groups.as_slice()),
            host: address.as_deref().filter(|_| !policy.dns),
            address: address.as_deref(),
            local_address: None,
            local_port: None,
        };
        match matched.difference(&query, &NEUTRAL) {
            Ok(Difference::Same) => Ok(Cow::Borrowed(policy)),
            Ok(Difference::Settings(changes)) => {
                Ok(Cow::Owned(Policy::read(&settings.with(&changes))))
            }
            Err(undecidable) => Err(undecidable.to_string()),
        }
    }
}

/// The connection for which the survey asks `sshd -T`.
const NEUTRAL: ServerQuery<'_> = ServerQuery {
    user: "clearway-base",
    groups: Some(&[]),
    host: Some("clearway-base.invalid"),
    address: Some("192.0.2.255"),
    local_address: None,
    local_port: None,
};

fn empty_cells(count: usize) -> Vec<AtomicU8> {
    (0..count).map(|_| AtomicU8::new(0)).collect()
}

/// How a lane's copies and commands reach the far end's forced command.
pub(super) fn sends(lane: Lane, sftp: bool) -> Sends {
    match lane {
        // All that this lane does is one copy.
        Lane::ColdPull if sftp => Sends::Sftp,
        Lane::ColdPull | Lane::ColdPush | Lane::Live => Sends::Commands,
    }
}

/// Parses all authorized_keys files, each distinct one once.
fn library(facts: &[Option<NodeFacts>]) -> Library {
    let mut contents: Vec<&Content> = facts
        .iter()
        .flatten()
        .flat_map(|facts| &facts.server.accounts)
        .flat_map(|login| &login.authorized_keys)
        .filter_map(|file| file.file.content())
        .collect();
    contents.sort_unstable_by_key(|content| content.sha256);
    contents.dedup_by_key(|content| content.sha256);
    contents
        .par_iter()
        .map_init(KeyInterner::new, |keys, content| {
            let file = AuthorizedKeys::parse_with(&*content.bytes, keys);
            (content.sha256, Arc::new(AuthorizedKeysIndex::new(file)))
        })
        .collect()
}

/// The moments at which a certificate that is offered, or a line that lists a key, begins or ends to be good.
fn moments(offers: &Offers<'_>, library: &Library) -> Vec<i64> {
    let certificates = offers
        .rings
        .iter()
        .flat_map(|ring| &ring.keys)
        .flat_map(|key| &key.certificates)
        .filter_map(|(_, key)| key.certificate())
        .flat_map(|it| [it.valid_after, it.valid_before])
        .filter_map(|moment| i64::try_from(moment).ok());
    let lines = library
        .values()
        .flat_map(|index| index.file().keys())
        .filter_map(|(_, entry)| entry.options.as_ref().ok()?.expires(0))
        .flat_map(|at| [at + 1, at + FARTHEST_ZONE + 1]);
    let mut moments: Vec<i64> = certificates.chain(lines).collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}
