//! Hypervisors: what room a host has, and which address it announces.

use serde::Deserialize;

use super::error::{ReadError, read};
use super::page::{Link, Page, has_next};
use crate::domain::HostName;
use crate::openstack::call::with_query;
use crate::openstack::{Answer, Call, Microversion};

/// From 2.88 on the numbers are gone.
const VERSION: Microversion = Microversion(84);

/// A hypervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hypervisor {
    /// Its UUID.
    pub id: String,
    /// Its service's host name.
    pub host: HostName,
    /// Its own name.
    pub name: String,
    /// `CONF.my_ip` of that compute: what others dial for cold moves, unless `migration_inbound_addr` is set.
    pub host_ip: Option<String>,
    /// Free memory in MiB, as Nova counts it (without overcommit).
    pub free_ram_mib: i64,
    /// Servers on it.
    pub servers: u64,
}

/// All hypervisors, in pages.
#[must_use]
pub fn hypervisors(marker: Option<&str>, limit: u32) -> Call {
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(marker.map(|marker| ("marker", marker)));
    Call::get(with_query("/os-hypervisors/detail", &query), VERSION)
}

/// Reads a page of hypervisors.
///
/// # Errors
/// It is none.
pub fn read_hypervisors(answer: &Answer) -> Result<Page<Hypervisor>, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        hypervisors: Vec<Raw>,
        #[serde(default)]
        hypervisors_links: Vec<Link>,
    }
    #[derive(Deserialize)]
    struct Raw {
        id: String,
        hypervisor_hostname: String,
        service: Service,
        #[serde(default)]
        host_ip: Option<String>,
        #[serde(default)]
        free_ram_mb: Option<i64>,
        #[serde(default)]
        running_vms: Option<u64>,
    }
    #[derive(Deserialize)]
    struct Service {
        host: HostName,
    }
    let body: Body = read("list of hypervisors", answer)?;
    let last = body.hypervisors.last().map(|raw| raw.id.clone());
    Ok(Page {
        next: last.filter(|_| has_next(&body.hypervisors_links)),
        rows: body
            .hypervisors
            .into_iter()
            .map(|raw| Hypervisor {
                id: raw.id,
                host: raw.service.host,
                name: raw.hypervisor_hostname,
                host_ip: raw.host_ip,
                free_ram_mib: raw.free_ram_mb.unwrap_or(0),
                servers: raw.running_vms.unwrap_or(0),
            })
            .collect(),
    })
}
