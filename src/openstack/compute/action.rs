//! Instance actions: what was asked of a server, by whom, and how its steps ended.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::error::{ReadError, read};
use super::migration::parse_utc;
use super::version::NEEDED;
use crate::domain::ServerId;
use crate::openstack::call::is_request_id;
use crate::openstack::{Answer, Call};

/// An action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InstanceAction {
    /// `migrate`, `live-migration`, `resize`, `confirmResize`, …
    pub action: String,
    /// The request's id, `req-` and a UUID.
    pub request_id: String,
    /// When it was asked for, by Nova's clock.
    #[serde(deserialize_with = "utc")]
    pub start_time: Timestamp,
    /// `Error` when a step failed.
    #[serde(default)]
    pub message: Option<String>,
    /// Its steps; only when one action is asked for.
    #[serde(default)]
    pub events: Vec<ActionEvent>,
}

/// A step of an action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ActionEvent {
    /// `compute_resize_instance`, …
    pub event: String,
    /// `Success` or `Error`; `None` while it goes on.
    #[serde(default)]
    pub result: Option<String>,
    /// Where it ran; for administrators.
    #[serde(default)]
    pub host: Option<String>,
    /// What failed, cut at 255 bytes; from 2.84, for administrators.
    #[serde(default)]
    pub details: Option<String>,
    /// Where in the code it failed; for administrators.
    #[serde(default)]
    pub traceback: Option<String>,
}

fn utc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_utc(&text).map_err(serde::de::Error::custom)
}

/// The actions of a server, newest first, without their steps.
#[must_use]
pub fn actions(server: &ServerId) -> Call {
    Call::get(
        format!("/servers/{server}/os-instance-actions?limit=50"),
        NEEDED,
    )
}

/// One action with its steps. `None` for an id that is none: it would become part of the path.
#[must_use]
pub fn action(server: &ServerId, request_id: &str) -> Option<Call> {
    is_request_id(request_id).then(|| {
        Call::get(
            format!("/servers/{server}/os-instance-actions/{request_id}"),
            NEEDED,
        )
    })
}

/// Reads a list of actions.
///
/// # Errors
/// It is none.
pub fn read_actions(answer: &Answer) -> Result<Vec<InstanceAction>, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "instanceActions")]
        actions: Vec<InstanceAction>,
    }
    read::<Body>("list of actions", answer).map(|body| body.actions)
}

/// Reads one action.
///
/// # Errors
/// It is none.
pub fn read_action(answer: &Answer) -> Result<InstanceAction, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "instanceAction")]
        action: InstanceAction,
    }
    read::<Body>("action", answer).map(|body| body.action)
}
