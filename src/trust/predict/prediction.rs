//! The prediction: worked out by class, asked for by pair.

use std::collections::HashSet;
use std::sync::Arc;

use rayon::prelude::*;

use crate::domain::{Evidence, Fleet, KeySeen, Lane, LegId, NodeId, Placeholders, Predicted, Why};
use crate::openssh::Release;
use crate::openssh::key::KeyInterner;
use crate::survey::{ClientFacts, NodeFacts};
use crate::trust::legs::Legs;
use crate::trust::scope::PairScope;

use super::clients::{self, Configurations, Plan};
use super::code::Code;
use super::host_key::{Lookup, key_evidence};
use super::logins::{Logins, Visit, sends};
use super::names::{DialledNames, HostsFiles};
use super::notes::{Silent, Written};
use super::offers::{Offers, Rings};
use super::path::{self, ClientPath, Owners, ServerPath, World};
use super::paths::{Client, Ground, PathTable};
use super::recorded::{Files, Library};
use super::server::ServerSide;
use super::settings::Settings;
use super::tail::{self, Baggage};

/// What the surveyed facts imply for every leg of a fleet.
///
/// Clients with the same files and servers with the same files are judged once. What is held grows with the number of
/// different clients times the number of servers, a byte each; nothing is held per pair of nodes that are like others.
#[derive(Debug)]
pub struct Prediction<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) facts: &'a [Option<NodeFacts>],
    pub(super) legs: &'a Legs,
    everyone: PairScope,
    pub(super) owners: Owners,
    pub(super) servers: Vec<Option<ServerSide<'a>>>,
    pub(super) configurations: Configurations,
    pub(super) hosts: HostsFiles,
    pub(super) paths: PathTable,
    pub(super) logins: Logins<'a>,
    /// For each lane, the client side of each node.
    pub(super) sides: [Vec<Side<'a>>; Lane::ALL.len()],
    library: Library,
}

/// The client side of one node in one lane.
#[derive(Debug)]
pub(super) enum Side<'a> {
    /// Nothing of it was surveyed.
    NotSurveyed,
    /// No leg of the lane gets further than this.
    Blocked(Code, Option<&'a ClientFacts>),
    /// It can dial.
    Dials(Box<Dialling<'a>>),
}

#[derive(Debug)]
pub(super) struct Dialling<'a> {
    pub(super) facts: &'a ClientFacts,
    pub(super) plan: Plan,
    pub(super) class: u32,
    pub(super) rings: Rings,
    pub(super) baggage: Baggage,
}

/// Why a prediction is what it is.
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// What was observed.
    pub evidence: Vec<Evidence>,
    /// Values for the remedy.
    pub values: Placeholders,
}

impl<'a> Prediction<'a> {
    /// Works out the prediction for the pairs of a scope. `facts` has one entry per node of the fleet, `None` for a node that
    /// was not surveyed. Takes all processors of the rayon pool that it runs in.
    #[must_use]
    pub fn new(
        fleet: &'a Fleet,
        facts: &'a [Option<NodeFacts>],
        legs: &'a Legs,
        scope: &PairScope,
    ) -> Self {
        let servers: Vec<Option<ServerSide<'a>>> = facts
            .par_iter()
            .map_init(KeyInterner::new, |keys, facts| {
                facts.as_ref().map(|facts| ServerSide::new(facts, keys))
            })
            .collect();
        let everyone = PairScope::all(fleet);
        let owners = Owners::new(fleet.ids().zip(facts).filter_map(|(id, facts)| {
            facts.as_ref().map(|facts| (id, facts.addresses.as_slice()))
        }));
        let mut configurations = Configurations::default();
        let mut offers = Offers::new(fleet, facts, legs);
        let mut keys = KeyInterner::new();
        let mut drafts: Vec<(Lane, NodeId, Draft<'a>)> = Vec::new();
        for lane in Lane::ALL {
            for id in fleet.ids() {
                let draft = draft(fleet, facts, legs, (id, lane), &mut configurations);
                drafts.push((lane, id, draft));
            }
        }
        let more: HashSet<String> = drafts
            .iter()
            .filter_map(|(_, _, draft)| match draft {
                Draft::Dials(_, Plan::ByServer(rows)) => Some(rows),
                _ => None,
            })
            .flat_map(|rows| rows.iter().flatten())
            .map(|(host, _)| host.to_ascii_lowercase())
            .collect();
        let names = DialledNames::new(fleet, legs);
        let all_sides = facts.iter().flatten().flat_map(|facts| &facts.clients);
        let hosts = HostsFiles::new(all_sides, &names, &more);
        let clients: Vec<Client<'_>> = drafts
            .iter()
            .filter_map(|(lane, id, draft)| match draft {
                Draft::Dials(side, plan) if scope_has(scope, *id) => Some(Client {
                    id: *id,
                    lane: *lane,
                    facts: side,
                    clock: facts[id.index()].as_ref().map_or(0, |facts| facts.clock),
                    plan: plan.clone(),
                }),
                _ => None,
            })
            .collect();
        let name_of = |id: NodeId| fleet.node(id).name.as_str();
        let ground = Ground {
            fleet,
            legs,
            world: World {
                owners: &owners,
                scope: &everyone,
                name_of: &name_of,
            },
            servers: &servers,
            configurations: &configurations,
            names: &names,
            hosts: &hosts,
            moments: moments(&servers),
        };
        let paths = PathTable::new(&ground, &clients);
        let mut classes = clients
            .iter()
            .zip(&paths.classes)
            .map(|(it, class)| (it, *class));

        let mut sides: [Vec<Side<'a>>; Lane::ALL.len()] = Default::default();
        for (lane, id, draft) in drafts {
            let side = match draft {
                Draft::NotSurveyed => Side::NotSurveyed,
                Draft::Blocked(code, facts) => Side::Blocked(code, facts),
                Draft::Dials(_, _) if !scope_has(scope, id) => Side::NotSurveyed,
                Draft::Dials(side, plan) => {
                    let class = classes.next().map_or(0, |(_, class)| class);
                    let place = place_of(facts[id.index()].as_ref(), side);
                    let from = (id, place, side);
                    let rings =
                        Rings::of(&plan, &mut offers, &configurations.logins, from, &mut keys);
                    match legs.used(id, lane) {
                        None => Side::NotSurveyed,
                        Some(used) => Side::Dials(Box::new(Dialling {
                            facts: side,
                            plan,
                            class,
                            rings,
                            baggage: Baggage::new(lane, used, side),
                        })),
                    }
                }
            };
            sides[lane as usize].push(side);
        }
        let logins = Logins::new(facts, &servers, offers);
        Self {
            fleet,
            facts,
            legs,
            owners,
            servers,
            hosts,
            paths,
            logins,
            sides,
            configurations,
            everyone,
            library: Library::default(),
        }
    }

    /// What the files imply for a leg. A few lookups; made to be asked for every pair of a large fleet.
    #[must_use]
    pub fn verdict(&self, id: LegId) -> Predicted {
        if let Some(settled) = self.legs.obstacle(id) {
            return settled;
        }
        let dialling = match &self.sides[id.lane as usize][id.client.index()] {
            Side::NotSurveyed => return Predicted::Unknown(Why::NotSurveyed),
            Side::Blocked(code, _) => return code.read().unwrap_or(NOT_SURVEYED),
            Side::Dials(dialling) => dialling,
        };
        let Some(server) = &self.servers[id.server.index()] else {
            return NOT_SURVEYED;
        };
        match self.paths.get(dialling.class, id.server) {
            Code::WORKS => {}
            code => return code.read().unwrap_or(NOT_SURVEYED),
        }
        let ring = dialling.rings.get(login_of(&dialling.plan, id.server));
        match self.logins.verdict(self.visit(dialling, ring, id)) {
            Predicted::Works => {}
            other => return other,
        }
        let policy = self.logins.policy(id.server);
        let names = ("", "");
        tail::judge(
            names,
            &dialling.baggage,
            self.user(dialling, id),
            server.facts,
            policy,
            &mut Silent,
        )
    }

    /// What the verdict on a leg rests on.
    #[must_use]
    pub fn explain(&self, id: LegId) -> Explanation {
        let mut notes = Written::default();
        self.write_down(id, &mut notes);
        Explanation {
            evidence: notes.evidence,
            values: notes.values,
        }
    }

    /// The same as [`Self::verdict`], from the files themselves instead of the tables.
    pub(super) fn write_down(&self, id: LegId, notes: &mut Written) -> Predicted {
        let client = self.fleet.node(id.client).name.as_str();
        let server = self.fleet.node(id.server).name.as_str();
        if let Some(settled) = self.legs.obstacle(id) {
            notes.evidence.extend(self.legs.evidence(id));
            return settled;
        }
        let tool = clients::copier(self.legs, id.client, id.lane);
        let dialling = match &self.sides[id.lane as usize][id.client.index()] {
            Side::NotSurveyed => return NOT_SURVEYED,
            Side::Blocked(_, facts) => {
                let block = clients::block(client, *facts, tool, notes);
                return block.read().unwrap_or(NOT_SURVEYED);
            }
            Side::Dials(dialling) => dialling,
        };
        // The account of the client is a value for every remedy.
        clients::block(client, Some(dialling.facts), tool, notes);
        let (Some(side), Some(facts)) = (
            &self.servers[id.server.index()],
            &self.facts[id.client.index()],
        ) else {
            return NOT_SURVEYED;
        };
        let Some((host, config)) = self.dialled(dialling, id) else {
            return NOT_SURVEYED;
        };
        let config = self.configurations.paths.get(config);
        let files = Files::of(dialling.facts, &config.known_hosts);
        let shelf = self.library.shelf(&files, &dialling.facts.known_hosts);
        let recorded = shelf.recorded(Lookup::Set(&shelf.set), &files, &config.known_hosts);
        let name_of = |id: NodeId| self.fleet.node(id).name.as_str();
        let world = World {
            owners: &self.owners,
            scope: &self.everyone,
            name_of: &name_of,
        };
        let from = ClientPath {
            node: client,
            facts: dialling.facts,
            hosts: self.hosts.get(&dialling.facts.hosts),
            clock: facts.clock,
        };
        let to = ServerPath {
            id: id.server,
            node: server,
            side,
        };
        match path::judge(world, &from, &to, config, &host, &recorded, notes) {
            Predicted::Works => {}
            other => return other,
        }
        let climbed = notes.evidence.len();
        let ring = dialling.rings.get(login_of(&dialling.plan, id.server));
        let names = (client, server);
        let login = self
            .logins
            .explain(self.visit(dialling, ring, id), names, notes);
        if login != Predicted::Works {
            notes.evidence.drain(..climbed);
            return login;
        }
        let climbed = notes.evidence.len();
        let policy = self.logins.policy(id.server);
        let tail = tail::judge(
            names,
            &dialling.baggage,
            self.user(dialling, id),
            side.facts,
            policy,
            notes,
        );
        if tail != Predicted::Works {
            // What was found on the rungs below stands in nothing's way.
            notes.evidence.drain(..climbed);
        }
        tail
    }

    /// The account that the leg logs in to, when its client dials.
    pub(super) fn user(&self, dialling: &Dialling<'_>, id: LegId) -> &str {
        let login = login_of(&dialling.plan, id.server);
        &self.configurations.logins.get(login).user
    }

    pub(super) fn visit(&self, dialling: &Dialling<'_>, ring: u32, id: LegId) -> Visit<'_> {
        Visit {
            ring,
            configs: &self.configurations.logins,
            id,
            sends: sends(id.lane, dialling.baggage.sftp),
        }
    }

    pub(super) fn dialled(&self, dialling: &Dialling<'_>, id: LegId) -> Option<(Arc<str>, u32)> {
        match &dialling.plan {
            Plan::Same(dialled) => Some((self.legs.dialled(id)?, dialled.path)),
            Plan::ByServer(rows) => rows
                .get(id.server.index())?
                .as_ref()
                .map(|(host, dialled)| (Arc::clone(host), dialled.path)),
        }
    }

    /// The account that a leg logs in to; `None` when its client's configuration is not known.
    #[must_use]
    pub fn login_user(&self, id: LegId) -> Option<&str> {
        let Side::Dials(dialling) = &self.sides[id.lane as usize][id.client.index()] else {
            return None;
        };
        let login = match &dialling.plan {
            Plan::Same(dialled) => dialled.login,
            Plan::ByServer(rows) => rows.get(id.server.index())?.as_ref()?.1.login,
        };
        Some(&self.configurations.logins.get(login).user)
    }

    /// How many kinds of paths and of doors there are: all clients, and all servers, of one kind were judged once.
    #[must_use]
    pub fn classes(&self) -> (usize, usize) {
        (self.paths.kinds(), self.logins.kinds())
    }

    /// Whether a node's own log says, at least once, when the sshd that a leg dials drops connections. An sshd in a container
    /// logs elsewhere, one at another port than the surveyed one's nobody knows where, old releases and those with a
    /// `LogLevel` below `INFO` do not, and what `PerSourceMaxStartups` drops is not logged by every release.
    #[must_use]
    pub fn logs_drops(&self, id: LegId) -> bool {
        let profile = &self.fleet.node(id.server).profile;
        let Some(side) = &self.servers[id.server.index()] else {
            return false;
        };
        let version = side.facts.server.sshd_version.as_deref();
        let release = version.and_then(Release::find);
        let by_source = |it: &Settings| {
            it.first("persourcemaxstartups")
                .is_some_and(|it| it != "none")
        };
        profile.sshd.context.is_empty()
            && !self.dials_another(id)
            && side.logs_info()
            && release.is_some_and(Release::logs_throttling)
            && side.settings.as_ref().is_some_and(|it| !by_source(it))
    }

    /// The host keys on the disk of the sshd that a leg dials, as evidence; none where its port is none of the surveyed
    /// sshd's, for whoever listens there has keys of his own.
    #[must_use]
    pub fn keys_behind(&self, id: LegId) -> Vec<Evidence> {
        if self.dials_another(id) {
            return Vec::new();
        }
        self.host_keys(id.server)
    }

    /// Whether the port that a leg dials is none of the surveyed sshd's.
    fn dials_another(&self, id: LegId) -> bool {
        let Side::Dials(dialling) = &self.sides[id.lane as usize][id.client.index()] else {
            return false;
        };
        let side = self.servers[id.server.index()].as_ref();
        side.zip(self.dialled(dialling, id))
            .is_some_and(|(side, (_, config))| {
                !side.answers_at(self.configurations.paths.get(config).port)
            })
    }

    /// The host keys on the disk of a node, as evidence; none if it was not surveyed.
    #[must_use]
    pub fn host_keys(&self, node: NodeId) -> Vec<Evidence> {
        let Some(side) = &self.servers[node.index()] else {
            return Vec::new();
        };
        let name = self.fleet.node(node).name.as_str();
        side.keys
            .iter()
            .zip(&side.key_files)
            .map(|(key, path)| key_evidence(KeySeen::OnDisk, name, key, Some((*path).to_owned())))
            .collect()
    }
}

const NOT_SURVEYED: Predicted = Predicted::Unknown(Why::NotSurveyed);

enum Draft<'a> {
    NotSurveyed,
    Blocked(Code, Option<&'a ClientFacts>),
    Dials(&'a ClientFacts, Plan),
}

fn draft<'a>(
    fleet: &Fleet,
    facts: &'a [Option<NodeFacts>],
    legs: &Legs,
    (id, lane): (NodeId, Lane),
    configurations: &mut Configurations,
) -> Draft<'a> {
    let Some(facts) = &facts[id.index()] else {
        return Draft::NotSurveyed;
    };
    let side = clients::side(fleet, facts, id, lane);
    let tool = clients::copier(legs, id, lane);
    let block = clients::block("", side, tool, &mut Silent);
    match side {
        Some(side) if block == Code::WORKS => {
            match configurations.plan(fleet, legs, id, lane, side) {
                Some(plan) => Draft::Dials(side, plan),
                // It has no leg at all in this lane.
                None => Draft::NotSurveyed,
            }
        }
        side => Draft::Blocked(block, side),
    }
}

fn scope_has(scope: &PairScope, id: NodeId) -> bool {
    scope.nodes().binary_search(&id).is_ok()
}

fn place_of(facts: Option<&NodeFacts>, side: &ClientFacts) -> usize {
    facts
        .and_then(|facts| facts.clients.iter().position(|it| std::ptr::eq(it, side)))
        .unwrap_or(0)
}

pub(super) fn login_of(plan: &Plan, server: NodeId) -> u32 {
    match plan {
        Plan::Same(dialled) => dialled.login,
        Plan::ByServer(rows) => rows
            .get(server.index())
            .and_then(Option::as_ref)
            .map_or(0, |(_, dialled)| dialled.login),
    }
}

/// The moments at which some host certificate begins or ends to be valid.
fn moments(servers: &[Option<ServerSide<'_>>]) -> Vec<u64> {
    let mut moments: Vec<u64> = servers
        .iter()
        .flatten()
        .flat_map(|side| side.keys.iter())
        .filter_map(|key| key.certificate())
        .flat_map(|certificate| [certificate.valid_after, certificate.valid_before])
        .collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}
