//! Compute services.

use serde::Deserialize;

use super::error::{ReadError, read};
use crate::domain::HostName;
use crate::openstack::call::with_query;
use crate::openstack::{Answer, Call, Microversion};

/// The version in which services have UUIDs (2.53).
pub(super) const VERSION: Microversion = Microversion(53);

/// A nova-compute service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputeService {
    /// Its UUID.
    pub id: String,
    /// Its host name.
    pub host: HostName,
    /// Its availability zone.
    pub zone: String,
    /// Whether new servers and moves may come to it.
    pub enabled: bool,
    /// Why not.
    pub disabled_reason: Option<String>,
    /// Whether it has said that it lives.
    pub up: bool,
    /// Whether an operator said that it is down.
    pub forced_down: bool,
}

/// All nova-compute services.
#[must_use]
pub fn services() -> Call {
    Call::get("/os-services?binary=nova-compute", VERSION)
}

/// The nova-compute service of one host.
#[must_use]
pub fn service_of(host: &HostName) -> Call {
    let query = [("binary", "nova-compute"), ("host", host.as_str())];
    Call::get(with_query("/os-services", &query), VERSION)
}

#[derive(Deserialize)]
struct Raw {
    id: String,
    host: HostName,
    #[serde(default)]
    zone: Option<String>,
    status: String,
    #[serde(default)]
    disabled_reason: Option<String>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    forced_down: bool,
}

impl From<Raw> for ComputeService {
    fn from(raw: Raw) -> Self {
        Self {
            id: raw.id,
            host: raw.host,
            zone: raw.zone.unwrap_or_default(),
            enabled: raw.status == "enabled",
            disabled_reason: raw.disabled_reason,
            up: raw.state == "up",
            forced_down: raw.forced_down,
        }
    }
}

/// Reads the services. Their ids become part of a path: one that is no UUID is refused.
///
/// # Errors
/// It is no such list.
pub fn read_services(answer: &Answer) -> Result<Vec<ComputeService>, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        services: Vec<Raw>,
    }
    let body: Body = read("list of services", answer)?;
    body.services.into_iter().map(checked).collect()
}

/// Reads one service.
///
/// # Errors
/// It is none.
pub fn read_service(answer: &Answer) -> Result<ComputeService, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        service: Raw,
    }
    checked(read::<Body>("service", answer)?.service)
}

fn checked(raw: Raw) -> Result<ComputeService, ReadError> {
    // The form of a server's id is that of any UUID.
    if raw.id.parse::<crate::domain::ServerId>().is_err() {
        return Err(ReadError {
            what: "service",
            source: serde::de::Error::custom("its id is no UUID"),
        });
    }
    Ok(raw.into())
}
