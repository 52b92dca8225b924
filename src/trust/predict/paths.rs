//! Paths of all clients to all servers: clients that are alike are judged once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::domain::{Fleet, Lane, LegId, NodeId};
use crate::openssh::key::KeyInterner;
use crate::openssh::known_hosts::{Candidate, HostName, Hosts, KnownHostsIndex};
use crate::openssh::parse_address;
use crate::survey::ClientFacts;
use crate::trust::legs::Legs;

use super::clients::{Configurations, FilesKey, Interned, Plan, Row, files_key};
use super::code::Code;
use super::dialing::{Family, PathConfig};
use super::host_key::Lookup;
use super::hosts::HostsFile;
use super::names::{DialledNames, HostsFiles};
use super::notes::Silent;
use super::path::{self, ClientPath, ServerPath, World};
use super::recorded::{Files, Shelf};
use super::server::ServerSide;

/// Everything about the fleet that a path is judged by.
pub(super) struct Ground<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) legs: &'a Legs,
    pub(super) world: World<'a>,
    pub(super) servers: &'a [Option<ServerSide<'a>>],
    pub(super) configurations: &'a Configurations,
    pub(super) names: &'a DialledNames,
    pub(super) hosts: &'a HostsFiles,
    /// The moments at which some host certificate begins or ends to be valid, sorted.
    pub(super) moments: Vec<u64>,
}

/// One client in one lane.
pub(super) struct Client<'a> {
    pub(super) id: NodeId,
    pub(super) lane: Lane,
    pub(super) facts: &'a ClientFacts,
    pub(super) clock: i64,
    pub(super) plan: Plan,
}

/// All that the paths of a client depend on: clients with the same key have the same paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClassKey {
    lane: Lane,
    form: Option<String>,
    plan: PathPlan,
    ssh_version: Option<String>,
    known_hosts: u32,
    hosts: Vec<(String, Vec<std::net::IpAddr>)>,
    /// Between which two moments its clock stands.
    moment: usize,
}

/// The part of a plan that counts for paths: which configuration, and for which name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum PathPlan {
    Same(u32),
    ByServer(Vec<Option<(Arc<str>, u32)>>),
}

/// Clients that are alike, and what becomes of their paths to each node of the fleet.
#[derive(Debug)]
pub(super) struct PathTable {
    /// Class of each client, in the order in which the clients were given.
    pub(super) classes: Vec<u32>,
    rows: Vec<Vec<u8>>,
}

impl PathTable {
    pub(super) fn get(&self, class: u32, server: NodeId) -> Code {
        Code(self.rows[class as usize][server.index()])
    }

    pub(super) fn kinds(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn new(ground: &Ground<'_>, clients: &[Client<'_>]) -> Self {
        let mut files: Interned<FilesKey> = Interned::default();
        let mut classes: Interned<ClassKey> = Interned::default();
        let mut members: Vec<Vec<usize>> = Vec::new();
        let mut of_client = Vec::with_capacity(clients.len());
        for (place, client) in clients.iter().enumerate() {
            let known_hosts = files.number(files_key(&client.facts.known_hosts));
            let class = classes.number(ground.class_key(client, known_hosts));
            of_client.push(class);
            match members.get_mut(class as usize) {
                // Two stand for all: one of them is another node than the server.
                Some(known) if known.len() < 2 => known.push(place),
                Some(_) => {}
                None => members.push(vec![place]),
            }
        }
        let members: Vec<Vec<&Client<'_>>> = members
            .into_iter()
            .map(|places| places.into_iter().map(|place| &clients[place]).collect())
            .collect();
        Self {
            classes: of_client,
            rows: ground.rows(&members),
        }
    }
}

/// Servers, and what is dialled to reach them.
type Servers = Vec<(NodeId, Arc<str>)>;
/// What becomes of the paths to some servers.
type Cells = Vec<(NodeId, Code)>;

/// Some paths of a class that read the same known_hosts files.
struct Job {
    class: usize,
    config: u32,
    servers: Servers,
}

impl Ground<'_> {
    fn class_key(&self, client: &Client<'_>, known_hosts: u32) -> ClassKey {
        let paths = &self.configurations.paths;
        let (plan, exact) = match &client.plan {
            Plan::Same(dialled) => (
                PathPlan::Same(dialled.path),
                needs_addresses(paths.get(dialled.path)),
            ),
            Plan::ByServer(rows) => {
                let row = |row: &Row| row.as_ref().map(|(host, it)| (Arc::clone(host), it.path));
                (PathPlan::ByServer(rows.iter().map(row).collect()), true)
            }
        };
        let now = u64::try_from(client.clock).unwrap_or(0);
        ClassKey {
            lane: client.lane,
            form: self.legs.form(client.id, client.lane),
            plan,
            ssh_version: client.facts.ssh_version.clone(),
            known_hosts,
            hosts: self.odd_hosts(client, exact),
            moment: self.moments.partition_point(|moment| *moment <= now),
        }
    }

    /// The lines of a client's `/etc/hosts` that make a difference. A line that leads where the DNS would lead makes none, nor
    /// does the node's own name: so nodes stay alike that differ in nothing but `127.0.1.1 OWN-NAME`.
    fn odd_hosts(&self, client: &Client<'_>, exact: bool) -> Vec<(String, Vec<std::net::IpAddr>)> {
        let hosts = self.hosts.get(&client.facts.hosts);
        let mut odd: Vec<_> = hosts
            .names()
            .filter_map(|(name, lines)| {
                let owners = self.names.owners(name);
                let is_own = owners.contains(&client.id);
                let addresses = lines.iter().map(|line| line.address);
                let addresses: Vec<_> = if is_own {
                    addresses.filter(|address| !address.is_loopback()).collect()
                } else {
                    addresses.collect()
                };
                let foreign = || owners.iter().filter(|&&owner| owner != client.id);
                let matters = if exact || owners.is_empty() {
                    !addresses.is_empty()
                } else {
                    foreign().any(|&owner| self.is_odd(client, hosts, name, owner))
                };
                matters.then(|| (name.to_owned(), addresses))
            })
            .collect();
        odd.sort_unstable();
        odd
    }

    fn is_odd(&self, client: &Client<'_>, hosts: &HostsFile, name: &str, owner: NodeId) -> bool {
        let Some(side) = &self.servers[owner.index()] else {
            // Paths to it are not judged at all.
            return false;
        };
        let from = ClientPath {
            node: "",
            facts: client.facts,
            hosts,
            clock: client.clock,
        };
        let to = ServerPath {
            id: owner,
            node: "",
            side,
        };
        match path::resolve(self.world, &from, &to, Family::Any, name, &mut Silent) {
            Err(_) => true,
            Ok(None) => false,
            Ok(address) => side
                .ports
                .iter()
                .any(|&port| side.listens(address, port) != side.listens(None, port)),
        }
    }

    fn rows(&self, members: &[Vec<&Client<'_>>]) -> Vec<Vec<u8>> {
        let mut groups: HashMap<Files, Vec<Job>> = HashMap::new();
        for (class, clients) in members.iter().enumerate() {
            for (config, servers) in self.dialled(clients) {
                let paths = &self.configurations.paths.get(config).known_hosts;
                let files = Files::of(clients[0].facts, paths);
                groups.entry(files).or_default().push(Job {
                    class,
                    config,
                    servers,
                });
            }
        }
        let groups: Vec<(Files, Vec<Job>)> = groups.into_iter().collect();
        let judged: Vec<Vec<(usize, Cells)>> = groups
            .par_iter()
            .map_init(KeyInterner::new, |keys, (files, jobs)| {
                self.group(members, files, jobs, keys)
            })
            .collect();
        let mut rows = vec![vec![0; self.fleet.nodes.len()]; members.len()];
        for (class, cells) in judged.into_iter().flatten() {
            for (server, code) in cells {
                rows[class][server.index()] = code.0;
            }
        }
        rows
    }

    /// Which servers a class dials, by configuration.
    fn dialled(&self, clients: &[&Client<'_>]) -> Vec<(u32, Servers)> {
        let first = clients[0];
        // A node dials all but itself, so the second one stands in for the name of the first.
        let name = |server: NodeId| {
            let client = clients.iter().find(|client| client.id != server)?;
            self.legs.dialled(LegId {
                lane: client.lane,
                client: client.id,
                server,
            })
        };
        let surveyed = |id: &NodeId| self.servers[id.index()].is_some();
        match &first.plan {
            Plan::Same(dialled) => {
                let servers = self.fleet.ids().filter(surveyed);
                let servers = servers.filter_map(|id| Some((id, name(id)?))).collect();
                vec![(dialled.path, servers)]
            }
            Plan::ByServer(rows) => {
                let mut by_config: HashMap<u32, Servers> = HashMap::new();
                for (id, row) in self.fleet.ids().zip(rows.iter()) {
                    if let Some((host, dialled)) = row
                        && surveyed(&id)
                    {
                        let servers = by_config.entry(dialled.path).or_default();
                        servers.push((id, Arc::clone(host)));
                    }
                }
                let mut by_config: Vec<_> = by_config.into_iter().collect();
                by_config.sort_unstable_by_key(|(config, _)| *config);
                by_config
            }
        }
    }

    /// Judges all paths that read the same files.
    fn group(
        &self,
        members: &[Vec<&Client<'_>>],
        files: &Files,
        jobs: &[Job],
        keys: &mut KeyInterner,
    ) -> Vec<(usize, Cells)> {
        let facts = &members[jobs[0].class][0].facts.known_hosts;
        let shelf = Shelf::read(files, facts, keys);
        let is_hashed = shelf
            .set
            .files()
            .iter()
            .flat_map(|file| file.entries())
            .any(|(_, entry)| matches!(entry.hosts, Hosts::Hashed(_)));
        let candidates = if is_hashed {
            self.candidates(jobs)
        } else {
            Vec::new()
        };
        let index = KnownHostsIndex::build(shelf.set.clone(), candidates);
        jobs.iter()
            .map(|job| {
                let config = self.configurations.paths.get(job.config);
                let recorded = shelf.recorded(Lookup::Index(&index), files, &config.known_hosts);
                let cell = |(server, host): &(NodeId, Arc<str>)| {
                    let client = members[job.class].iter().find(|it| it.id != *server)?;
                    let from = ClientPath {
                        node: "",
                        facts: client.facts,
                        hosts: self.hosts.get(&client.facts.hosts),
                        clock: client.clock,
                    };
                    let to = ServerPath {
                        id: *server,
                        node: "",
                        side: self.servers[server.index()].as_ref()?,
                    };
                    let predicted =
                        path::judge(self.world, &from, &to, config, host, &recorded, &mut Silent);
                    Some((*server, Code::of(predicted)))
                };
                (job.class, job.servers.par_iter().filter_map(cell).collect())
            })
            .collect()
    }

    /// The names that will be looked up, with the keys of the hosts behind them.
    fn candidates(&self, jobs: &[Job]) -> Vec<Candidate> {
        let mut seen: HashSet<(u32, String, bool)> = HashSet::new();
        let mut candidates = Vec::new();
        for job in jobs {
            let config = self.configurations.paths.get(job.config);
            for (server, host) in &job.servers {
                let Some(side) = &self.servers[server.index()] else {
                    continue;
                };
                let mut add = |name: &HostName, dialled: bool| {
                    for name in name.names() {
                        if seen.insert((server.0, name.clone(), dialled)) {
                            candidates.push(Candidate {
                                name,
                                keys: Arc::clone(&side.keys),
                                dialled,
                            });
                        }
                    }
                };
                add(&config.host_name(host), true);
                let by_address = config.check_address && parse_address(host).is_none();
                let addresses = side.facts.addresses.iter().filter(|it| !it.is_loopback());
                for address in addresses {
                    add(
                        &HostName::new(&address.to_string(), config.port),
                        by_address,
                    );
                }
                add(&HostName::new(&side.facts.hostname, config.port), false);
            }
        }
        candidates
    }
}

/// Whether the address behind a name makes a difference beyond leading to the right node.
fn needs_addresses(config: &PathConfig) -> bool {
    config.check_address || config.family != Family::Any
}
