//! Writes that move no server: services, confirmations, live moves that are under way.

use serde_json::{Value, json};

use super::service::{ComputeService, VERSION as SERVICES};
use super::version::NEEDED;
use crate::domain::ServerId;
use crate::openstack::{Call, Method};

/// Takes a service out of scheduling, with a reason (1 to 255 characters).
#[must_use]
pub fn disable_service(service: &ComputeService, reason: &str) -> Call {
    let reason: String = reason.chars().take(255).collect();
    put(
        service,
        &json!({"status": "disabled", "disabled_reason": reason}),
    )
}

/// Puts it back.
#[must_use]
pub fn enable_service(service: &ComputeService) -> Call {
    put(service, &json!({"status": "enabled"}))
}

/// Puts a service back as it was.
#[must_use]
pub fn restore_service(now: &ComputeService, before: &ComputeService) -> Call {
    match (before.enabled, &before.disabled_reason) {
        (true, _) => enable_service(now),
        (false, Some(reason)) => disable_service(now, reason),
        (false, None) => put(now, &json!({"status": "disabled"})),
    }
}

fn put(service: &ComputeService, body: &Value) -> Call {
    Call::write(
        Method::Put,
        format!("/os-services/{}", service.id),
        SERVICES,
        body.clone(),
    )
}

/// Keeps a cold move or a resize.
#[must_use]
pub fn confirm(server: &ServerId) -> Call {
    act(server, json!({"confirmResize": null}))
}

/// Brings a cold move or a resize back.
#[must_use]
pub fn revert(server: &ServerId) -> Call {
    act(server, json!({"revertResize": null}))
}

/// Takes a server out of ERROR whose guest is as it was.
#[must_use]
pub fn reset_state(server: &ServerId) -> Call {
    act(server, json!({"os-resetState": {"state": "active"}}))
}

/// Powers a guest off and on, whatever state it is in.
#[must_use]
pub fn hard_reboot(server: &ServerId) -> Call {
    act(server, json!({"reboot": {"type": "HARD"}}))
}

/// Powers a guest off.
#[must_use]
pub fn stop(server: &ServerId) -> Call {
    act(server, json!({"os-stop": null}))
}

fn act(server: &ServerId, body: Value) -> Call {
    Call::write(
        Method::Post,
        format!("/servers/{server}/action"),
        NEEDED,
        body,
    )
}

/// Gives a live move up.
#[must_use]
pub fn abort(server: &ServerId, migration: u64) -> Call {
    Call {
        method: Method::Delete,
        path: format!("/servers/{server}/migrations/{migration}"),
        microversion: NEEDED,
        body: None,
    }
}

/// Lets a live move end at the price of a pause.
#[must_use]
pub fn force_complete(server: &ServerId, migration: u64) -> Call {
    let path = format!("/servers/{server}/migrations/{migration}/action");
    Call::write(Method::Post, path, NEEDED, json!({"force_complete": null}))
}
