//! What is known of the cloud's hosts, from Nova and from the inventory together.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use crate::domain::{Fleet, HostName, NodeId};
use crate::moves::gate::{Claim, Cloud, Matched, Reported};
use crate::nova::Session;
use crate::openstack::compute::Migration;

use super::access::right;
use super::error::MovesError;

/// So many letters of a host's name may be wrong for it to be guessed.
const SLIPS: usize = 1;
/// So many guesses are made.
const MOST_NEAR: usize = 3;

/// The service host that each node is said to be: as the inventory states it, else as `surveyed` says, else the node's own
/// name. `addresses` are those that a node was surveyed to have.
pub(super) fn claims(
    fleet: &Fleet,
    surveyed: impl Fn(NodeId) -> Option<String>,
    addresses: impl Fn(NodeId) -> Vec<IpAddr>,
) -> Vec<Claim> {
    fleet
        .ids()
        .filter_map(|id| {
            let node = fleet.node(id);
            let stated = node.service_host.clone();
            let own = || surveyed(id).unwrap_or_else(|| node.name.to_string());
            let mut addresses = addresses(id);
            if !addresses.is_empty() {
                let stated = [&node.migration_address, &node.live_address];
                let stated = stated.into_iter().flatten().chain([&node.control.address]);
                addresses.extend(stated.filter_map(|it| it.parse::<IpAddr>().ok()));
            }
            Some(Claim {
                stated: stated.is_some(),
                host: stated.unwrap_or_else(own).parse().ok()?,
                node: id,
                name: node.name.to_string(),
                addresses,
            })
        })
        .collect()
}

/// Refuses names that are none of Nova's hosts.
pub(super) async fn all_known(
    session: &Session,
    wanted: impl IntoIterator<Item = &HostName>,
) -> Result<(), MovesError> {
    let mut wanted = wanted.into_iter().peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let services = session
        .services()
        .await
        .map_err(|error| right("compute services cannot be listed", error))?;
    match wanted.find(|it| services.iter().all(|service| service.host != **it)) {
        None => Ok(()),
        Some(name) => Err(MovesError::NoHost {
            name: name.to_string(),
            near: near(name, services.iter().map(|it| it.host.as_str())),
        }),
    }
}

/// Hosts that a wrong name may mean: the short form of theirs, or a slip of the finger.
fn near<'a>(name: &HostName, hosts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let short = |it: &'a str| it.split('.').next().unwrap_or(it);
    let mut found: Vec<String> = hosts
        .filter(|host| {
            short(host) == name.as_str()
                || strsim::damerau_levenshtein(host, name.as_str()) <= SLIPS
        })
        .map(str::to_owned)
        .collect();
    found.sort();
    found.truncate(MOST_NEAR);
    found
}

/// Asks Nova for its hosts.
pub(super) async fn ask(
    session: &Session,
    fleet: &Fleet,
    claims: Vec<Claim>,
    draining: BTreeSet<HostName>,
) -> Result<Cloud, MovesError> {
    let services = session
        .services()
        .await
        .map_err(|error| right("compute services cannot be listed", error))?;
    let hypervisors = session
        .hypervisors()
        .await
        .map_err(|error| right("hypervisors cannot be listed", error))?;
    let matched = Matched::new(&claims, &hypervisors);
    let nodes = &matched.nodes;
    let out_of_scope = nodes
        .iter()
        .flat_map(|(from, &source)| {
            nodes
                .iter()
                .filter(move |&(_, &to)| source != to && !fleet.in_scope(source, to))
                .map(move |(to, _)| (from.clone(), to.clone()))
        })
        .collect();
    Ok(Cloud {
        services,
        hypervisors,
        claims,
        matched,
        draining,
        out_of_scope,
    })
}

/// The newest `dest_host` of each destination: the address that sources really dialled.
pub(super) fn dialled_addresses(rows: &[Migration]) -> HashMap<HostName, (u64, String)> {
    let mut newest: HashMap<HostName, (u64, String)> = HashMap::new();
    for row in rows {
        let (Some(host), Some(address)) = (&row.dest_compute, &row.dest_host) else {
            continue;
        };
        let entry = newest
            .entry(host.clone())
            .or_insert_with(|| (row.id, address.clone()));
        if row.id > entry.0 {
            *entry = (row.id, address.clone());
        }
    }
    newest
}

/// What Nova reports of a destination's addresses.
pub(super) fn reported(
    cloud: &Cloud,
    dialled: &HashMap<HostName, (u64, String)>,
    host: &HostName,
    my_ip: Option<String>,
) -> Reported {
    Reported {
        dest_host: dialled.get(host).map(|(_, address)| address.clone()),
        host_ip: cloud
            .hypervisors
            .iter()
            .find(|it| it.host == *host)
            .and_then(|it| it.host_ip.clone()),
        my_ip,
    }
}
