//! Which destinations may be tried, in which order, and why the others may not.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use super::claims::{Claim, Matched};
use crate::domain::{HostName, NodeId};
use crate::openstack::compute::{ComputeService, Hypervisor, Server};

/// What is known of the cloud's hosts.
#[derive(Debug, Clone, Default)]
pub struct Cloud {
    /// Its compute services.
    pub services: Vec<ComputeService>,
    /// Its hypervisors.
    pub hypervisors: Vec<Hypervisor>,
    /// Which node of the inventory is said to be which service host: by `CONF.host`, nothing else.
    pub claims: Vec<Claim>,
    /// What of that holds.
    pub matched: Matched,
    /// Hosts that are being emptied: never a destination.
    pub draining: BTreeSet<HostName>,
    /// Pairs that the inventory's scope does not allow.
    pub out_of_scope: BTreeSet<(HostName, HostName)>,
}

/// A destination that may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The host.
    pub host: HostName,
    /// Its node.
    pub node: NodeId,
    /// Memory that is free there, in MiB, after the moves that are on their way.
    pub free_ram_mib: i64,
    /// Servers there.
    pub servers: u64,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} MiB free, {} servers)",
            self.host, self.free_ram_mib, self.servers
        )
    }
}

/// Why a host is no destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Excluded {
    /// The server is there.
    Source,
    /// The inventory does not have it.
    NotInInventory,
    /// It cannot be told which node it is, and why not.
    Doubtful(String),
    /// The inventory's scope does not have the pair.
    OutOfScope,
    /// It is being emptied.
    Draining,
    /// Its service is disabled.
    Disabled,
    /// Its service is down.
    Down,
    /// It is in another availability zone than the one that the server is pinned to.
    OtherZone,
    /// It has less free memory than the server has.
    NoRoom,
    /// It was tried for this move.
    Tried,
    /// Another destination is asked for.
    NotAskedFor,
}

impl fmt::Display for Excluded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "the server is there",
            Self::Doubtful(why) => why,
            Self::NotInInventory => "not in the inventory",
            Self::OutOfScope => "the pair is not in the inventory's scope",
            Self::Draining => "it is being drained",
            Self::Disabled => "its service is disabled",
            Self::Down => "its service is down",
            Self::OtherZone => "it is in another availability zone than the server is pinned to",
            Self::NoRoom => "it has less free memory than the server has",
            Self::Tried => "it was tried already",
            Self::NotAskedFor => "another destination is asked for",
        })
    }
}

/// Sorts the cloud's hosts for one server: those that may be tried, the roomiest first, and the others with why not.
///
/// `only` are the destinations that were asked for; none means any. `tried` are those that were tried already.
/// `coming` is the memory, in MiB, of servers on their way to a host.
#[must_use]
pub fn candidates(
    cloud: &Cloud,
    server: &Server,
    only: &BTreeSet<HostName>,
    tried: &[HostName],
    coming: &HashMap<HostName, i64>,
) -> (Vec<Candidate>, Vec<(HostName, Excluded)>) {
    let mut open = Vec::new();
    let mut excluded = Vec::new();
    for service in &cloud.services {
        let host = &service.host;
        let hypervisor = cloud.hypervisors.iter().find(|it| it.host == *host);
        let free = hypervisor.map_or(0, |it| it.free_ram_mib)
            - coming.get(host).copied().unwrap_or_default();
        let node = cloud.matched.nodes.get(host);
        let why = if server.host.as_ref() == Some(host) {
            Some(Excluded::Source)
        } else if node.is_none() {
            Some(unmatched(cloud, host))
        } else if !only.is_empty() && !only.contains(host) {
            Some(Excluded::NotAskedFor)
        } else if is_out_of_scope(cloud, server, host) {
            Some(Excluded::OutOfScope)
        } else if cloud.draining.contains(host) {
            Some(Excluded::Draining)
        } else if let Some(why) = closed_service(service) {
            Some(why)
        } else if server
            .pinned_zone
            .as_ref()
            .is_some_and(|zone| *zone != service.zone)
        {
            Some(Excluded::OtherZone)
        } else if tried.contains(host) {
            Some(Excluded::Tried)
        } else if has_no_room(hypervisor, free, server) {
            Some(Excluded::NoRoom)
        } else {
            None
        };
        match (why, node) {
            (None, Some(&node)) => open.push(Candidate {
                host: host.clone(),
                node,
                free_ram_mib: free,
                servers: hypervisor.map_or(0, |it| it.servers),
            }),
            (why, _) => excluded.push((host.clone(), why.unwrap_or(Excluded::NotInInventory))),
        }
    }
    open.sort_by(|a, b| {
        b.free_ram_mib
            .cmp(&a.free_ram_mib)
            .then(a.servers.cmp(&b.servers))
            .then(a.host.cmp(&b.host))
    });
    (open, excluded)
}

/// Why a host is no node.
#[must_use]
pub fn unmatched(cloud: &Cloud, host: &HostName) -> Excluded {
    let doubt = cloud.matched.doubtful.get(host);
    doubt.map_or(Excluded::NotInInventory, |why| {
        Excluded::Doubtful(why.clone())
    })
}

/// Why nothing may come to a host, whatever it is: its service is disabled or down.
#[must_use]
pub fn closed_service(service: &ComputeService) -> Option<Excluded> {
    if !service.enabled {
        Some(Excluded::Disabled)
    } else if !service.up || service.forced_down {
        Some(Excluded::Down)
    } else {
        None
    }
}

/// The hosts that Nova's scheduler could choose for a server when it is not told where to: enabled, up, and in the zone
/// that the server is pinned to. That the inventory does not have a host, or that its memory seems to be used up, keeps
/// Nova from nothing. The server's own host is not among them: nothing is copied when it stays there.
#[must_use]
pub fn eligible(cloud: &Cloud, server: &Server) -> BTreeSet<HostName> {
    cloud
        .services
        .iter()
        .filter(|it| server.host.as_ref() != Some(&it.host))
        .filter(|it| it.enabled && it.up && !it.forced_down)
        .filter(|it| {
            server
                .pinned_zone
                .as_ref()
                .is_none_or(|zone| *zone == it.zone)
        })
        .map(|it| it.host.clone())
        .collect()
}

/// Whether a pair is one that the inventory's scope leaves out.
#[must_use]
pub fn is_outside(cloud: &Cloud, source: &HostName, destination: &HostName) -> bool {
    cloud
        .out_of_scope
        .contains(&(source.clone(), destination.clone()))
}

fn is_out_of_scope(cloud: &Cloud, server: &Server, host: &HostName) -> bool {
    server
        .host
        .as_ref()
        .is_some_and(|source| cloud.out_of_scope.contains(&(source.clone(), host.clone())))
}

/// Memory is overcommitted in many clouds (`ram_allocation_ratio`), and then the number may be negative with room left:
/// it excludes only what has none by its own count while others have. Placement has the last word.
fn has_no_room(hypervisor: Option<&Hypervisor>, free: i64, server: &Server) -> bool {
    let wanted = i64::try_from(server.flavor.ram_mib).unwrap_or(i64::MAX);
    hypervisor.is_some_and(|it| it.free_ram_mib >= 0 && free >= 0 && free < wanted)
}
