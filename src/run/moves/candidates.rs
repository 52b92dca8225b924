//! What is known of the cloud's hosts, from Nova and from the inventory together.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{Fleet, HostName, NodeId};
use crate::moves::gate::{Cloud, Reported};
use crate::nova::Session;
use crate::openstack::compute::Migration;

use super::access::right;
use super::error::MovesError;

/// The nodes by service host name: as the inventory states it, else as `surveyed` says, else the node's own name.
pub(super) fn match_nodes(
    fleet: &Fleet,
    surveyed: impl Fn(NodeId) -> Option<String>,
) -> HashMap<HostName, NodeId> {
    fleet
        .ids()
        .filter_map(|id| {
            let node = fleet.node(id);
            let name = node
                .service_host
                .clone()
                .or_else(|| surveyed(id))
                .unwrap_or_else(|| node.name.to_string());
            Some((name.parse().ok()?, id))
        })
        .collect()
}

/// Asks Nova for its hosts.
pub(super) async fn ask(
    session: &Session,
    fleet: &Fleet,
    nodes: HashMap<HostName, NodeId>,
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
        nodes,
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
