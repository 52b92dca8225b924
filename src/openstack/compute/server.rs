//! Servers.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{ReadError, read};
use super::page::{Link, Page, has_next};
use crate::domain::{HostName, ServerId};
use crate::openstack::call::with_query;
use crate::openstack::{Answer, Call, Microversion};

/// A server as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub id: ServerId,
    /// Its name, as its owner wrote it.
    pub name: String,
    /// Its project's id.
    pub project: String,
    /// Status, vm state and task state together.
    pub status: Status,
    /// Where it runs, by service host name; `None` when it runs nowhere or the right to see it is missing.
    pub host: Option<HostName>,
    /// Its availability zone.
    pub zone: Option<String>,
    /// The availability zone that it is pinned to, from 2.96 on: `None` when it is not; not known before.
    pub pinned_zone: Option<String>,
    /// Whether it is locked.
    pub locked: bool,
    /// Its flavor.
    pub flavor: Flavor,
    /// Its image's id; `None` when it boots from a volume.
    pub image: Option<String>,
    /// Whether it has a config drive.
    pub config_drive: bool,
    /// Its addresses, by network.
    pub addresses: BTreeMap<String, BTreeSet<Address>>,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its volumes.
    pub volumes: BTreeSet<Volume>,
    /// Its security groups.
    pub security_groups: BTreeSet<String>,
    /// Its key pair.
    pub key_name: Option<String>,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Why it is in ERROR; Nova shows it in no other state.
    pub fault: Option<ServerFault>,
}

/// What Nova says that a server is and does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `ACTIVE`, `VERIFY_RESIZE`, `ERROR`, …
    pub status: String,
    /// `active`, `resized`, …
    pub vm_state: String,
    /// `resize_migrating`, `migrating`, …; `None` when nothing is being done.
    pub task: Option<String>,
    /// 1 is running, 3 paused, 4 shut down (nova/objects/fields.py `InstancePowerState`).
    pub power: u8,
}

/// An address of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Address {
    /// The address.
    pub addr: String,
    /// `fixed` or `floating`.
    #[serde(rename = "OS-EXT-IPS:type", default)]
    pub kind: String,
    /// The port's MAC address.
    #[serde(rename = "OS-EXT-IPS-MAC:mac_addr", default)]
    pub mac: String,
}

/// What a server has of its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flavor {
    /// Its name when the server was made.
    pub name: String,
    /// Processors.
    pub vcpus: u64,
    /// Memory in MiB.
    pub ram_mib: u64,
    /// Root disk in GiB.
    pub disk_gib: u64,
    /// Further disk in GiB.
    pub ephemeral_gib: u64,
    /// Extra specs.
    pub extra: BTreeMap<String, String>,
}

/// A volume of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Volume {
    /// Its id.
    pub id: String,
    /// Whether it goes with the server.
    #[serde(default)]
    pub delete_on_termination: bool,
}

/// Why a server is in ERROR.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerFault {
    /// The message, or the exception's class.
    #[serde(default)]
    pub message: String,
    /// The traceback, for administrators.
    #[serde(default)]
    pub details: Option<String>,
    /// When. A fault may be that of an older failure.
    pub created: Timestamp,
}

/// Which servers are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerFilter {
    /// On this host.
    pub host: Option<HostName>,
    /// Of this project, by id.
    pub project: Option<String>,
    /// In this status.
    pub status: Option<String>,
    /// With this in their name; Nova reads it as a regular expression.
    pub name: Option<String>,
    /// In this availability zone.
    pub zone: Option<String>,
    /// Changed since then, deleted ones included.
    pub changes_since: Option<Timestamp>,
}

/// Servers of all projects, in pages of at most `limit`.
#[must_use]
pub fn servers(
    filter: &ServerFilter,
    marker: Option<&str>,
    limit: u32,
    version: Microversion,
) -> Call {
    let (limit, since) = (
        limit.to_string(),
        filter.changes_since.map(|it| format!("{it:.0}")),
    );
    let mut query = vec![("all_tenants", "1"), ("limit", limit.as_str())];
    let optional = [
        ("host", filter.host.as_ref().map(HostName::as_str)),
        ("project_id", filter.project.as_deref()),
        ("status", filter.status.as_deref()),
        ("name", filter.name.as_deref()),
        ("availability_zone", filter.zone.as_deref()),
        ("changes-since", since.as_deref()),
        ("marker", marker),
    ];
    query.extend(
        optional
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    Call::get(with_query("/servers/detail", &query), version)
}

/// One server.
#[must_use]
pub fn server(id: &ServerId, version: Microversion) -> Call {
    Call::get(format!("/servers/{id}"), version)
}

/// Reads a page of servers.
///
/// # Errors
/// It is none.
pub fn read_servers(answer: &Answer) -> Result<Page<Server>, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        servers: Vec<Raw>,
        #[serde(default)]
        servers_links: Vec<Link>,
    }
    let body: Body = read("list of servers", answer)?;
    let last = body.servers.last().map(|raw| raw.id.as_str().to_owned());
    Ok(Page {
        next: last.filter(|_| has_next(&body.servers_links)),
        // A server of a cell that is down has an id and no more (2.69): nothing can be said of it.
        rows: body.servers.into_iter().filter_map(Raw::server).collect(),
    })
}

/// Reads one server.
///
/// # Errors
/// It is none, or its cell is down.
pub fn read_server(answer: &Answer) -> Result<Server, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        server: Raw,
    }
    let body: Body = read("server", answer)?;
    body.server.server().ok_or_else(|| ReadError {
        what: "server",
        source: serde::de::Error::custom("its cell is down: Nova knows its id only"),
    })
}

#[derive(Deserialize)]
struct Raw {
    id: ServerId,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    tenant_id: String,
    #[serde(default)]
    status: String,
    #[serde(rename = "OS-EXT-STS:vm_state", default)]
    vm_state: Option<String>,
    #[serde(rename = "OS-EXT-STS:task_state", default)]
    task_state: Option<String>,
    #[serde(rename = "OS-EXT-STS:power_state", default)]
    power_state: Option<u8>,
    #[serde(rename = "OS-EXT-SRV-ATTR:host", default)]
    host: Option<String>,
    #[serde(rename = "OS-EXT-AZ:availability_zone", default)]
    zone: Option<String>,
    #[serde(default)]
    pinned_availability_zone: Option<String>,
    #[serde(default)]
    locked: bool,
    #[serde(default)]
    flavor: Value,
    #[serde(default)]
    image: Value,
    #[serde(default)]
    config_drive: Value,
    #[serde(default)]
    addresses: BTreeMap<String, BTreeSet<Address>>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(rename = "os-extended-volumes:volumes_attached", default)]
    volumes: BTreeSet<Volume>,
    #[serde(default)]
    security_groups: Vec<Group>,
    #[serde(default)]
    key_name: Option<String>,
    #[serde(default)]
    tags: BTreeSet<String>,
    #[serde(default)]
    fault: Option<ServerFault>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
}

impl Raw {
    fn server(self) -> Option<Server> {
        let name = self.name?;
        let vm_state = self.vm_state?;
        let number = |key: &str| self.flavor.get(key).and_then(Value::as_u64).unwrap_or(0);
        let extra = self.flavor.get("extra_specs").and_then(Value::as_object);
        Some(Server {
            id: self.id,
            name,
            project: self.tenant_id,
            status: Status {
                status: self.status,
                vm_state,
                task: self.task_state,
                power: self.power_state.unwrap_or(0),
            },
            host: self.host.and_then(|host| host.parse().ok()),
            zone: self.zone.filter(|zone| !zone.is_empty()),
            pinned_zone: self.pinned_availability_zone,
            locked: self.locked,
            flavor: Flavor {
                name: self
                    .flavor
                    .get("original_name")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                vcpus: number("vcpus"),
                ram_mib: number("ram"),
                disk_gib: number("disk"),
                ephemeral_gib: number("ephemeral"),
                extra: extra
                    .into_iter()
                    .flatten()
                    .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                    .collect(),
            },
            image: self
                .image
                .get("id")
                .and_then(Value::as_str)
                .map(str::to_owned),
            config_drive: matches!(&self.config_drive, Value::String(text) if !text.is_empty()),
            addresses: self.addresses,
            metadata: self.metadata,
            volumes: self.volumes,
            security_groups: self
                .security_groups
                .into_iter()
                .map(|group| group.name)
                .collect(),
            key_name: self.key_name,
            tags: self.tags,
            fault: self.fault,
        })
    }
}
