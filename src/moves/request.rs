//! The request that moves a server. The only place that makes one.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::gate::Pass;
use crate::domain::{HostName, MoveKind, ServerId};
use crate::openstack::compute::NEEDED;
use crate::openstack::{Call, Method};

/// A request to move one server, made from a pass and used once.
#[derive(Debug)]
pub struct MoveRequest {
    server: ServerId,
    destination: Option<HostName>,
    until: Timestamp,
    call: Call,
}

/// Why there is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The pass is not good any more.
    #[error("the proof has become too old: it was good until {0}")]
    Stale(Timestamp),
    /// Nova chooses where a resize goes, and it could choose these.
    #[error("Nova chooses where a resize goes, and these are not proven: {}", list(.0))]
    Unproven(Vec<HostName>),
    /// The pass is for another kind of move.
    #[error("the pass is for a {0} move")]
    Kind(MoveKind),
}

fn list(hosts: &[HostName]) -> String {
    let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    hosts.join(", ")
}

impl MoveRequest {
    /// A cold or live move to the destination of the pass. Nova is always told where: left alone it could choose a
    /// destination that nobody has proven, or try another one after a failure.
    ///
    /// # Errors
    /// The pass is too old, or one for a resize.
    pub fn new(pass: Pass, now: Timestamp) -> Result<Self, RequestError> {
        check(&pass, now)?;
        let wanted = pass.wanted();
        let host = wanted.destination.as_str();
        let body = match wanted.kind {
            MoveKind::Cold => json!({"migrate": {"host": host}}),
            // 2.34 on: the API answers before the pre-checks; 2.68 on: the host is never forced past the scheduler.
            MoveKind::Live => json!({"os-migrateLive": {"host": host, "block_migration": "auto"}}),
            MoveKind::Resize => return Err(RequestError::Kind(MoveKind::Resize)),
        };
        Ok(Self {
            call: act(&wanted.server, body),
            server: wanted.server.clone(),
            destination: Some(wanted.destination.clone()),
            until: pass.until(),
        })
    }

    /// A resize. It has no destination in Nova's API, so every host that Nova could choose needs a pass of its own.
    ///
    /// # Errors
    /// A host has none, a pass is too old, or one is for another kind of move or another server.
    pub fn resize(
        server: &ServerId,
        flavor: &str,
        eligible: &BTreeSet<HostName>,
        passes: Vec<Pass>,
        now: Timestamp,
    ) -> Result<Self, RequestError> {
        let mut proven = BTreeSet::new();
        let mut until = Timestamp::MAX;
        for pass in &passes {
            check(pass, now)?;
            let wanted = pass.wanted();
            if wanted.kind != MoveKind::Resize || wanted.server != *server {
                return Err(RequestError::Kind(wanted.kind));
            }
            until = until.min(pass.until());
            proven.insert(wanted.destination.clone());
        }
        let unproven: Vec<HostName> = eligible.difference(&proven).cloned().collect();
        if !unproven.is_empty() || eligible.is_empty() {
            return Err(RequestError::Unproven(unproven));
        }
        Ok(Self {
            call: act(server, json!({"resize": {"flavorRef": flavor}})),
            server: server.clone(),
            destination: None,
            until,
        })
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &ServerId {
        &self.server
    }

    /// Where to; `None` for a resize.
    #[must_use]
    pub fn destination(&self) -> Option<&HostName> {
        self.destination.as_ref()
    }

    /// Until when it may be sent.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// What is sent; the request is used up.
    #[must_use]
    pub fn into_call(self) -> Call {
        self.call
    }
}

fn check(pass: &Pass, now: Timestamp) -> Result<(), RequestError> {
    if now > pass.until() {
        return Err(RequestError::Stale(pass.until()));
    }
    Ok(())
}

fn act(server: &ServerId, body: Value) -> Call {
    Call::write(
        Method::Post,
        format!("/servers/{server}/action"),
        NEEDED,
        body,
    )
}

/// A host that cannot exist (RFC 2606): Nova answers 400 to whoever may choose a destination, and 403 to whoever may
/// not, before it does anything. Policy is asked first (nova/api/openstack/compute/migrate_server.py).
const NOWHERE: &str = "clearway-asks-for-its-rights.invalid";

/// Asks whether a kind of move may be requested with a destination, without moving anything.
#[must_use]
pub fn rights_probe(server: &ServerId, kind: MoveKind) -> Option<Call> {
    let body = match kind {
        MoveKind::Cold => json!({"migrate": {"host": NOWHERE}}),
        MoveKind::Live => json!({"os-migrateLive": {"host": NOWHERE, "block_migration": "auto"}}),
        // It would have no host to be refused for.
        MoveKind::Resize => return None,
    };
    Some(act(server, body))
}
