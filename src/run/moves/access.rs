//! A session with the cloud, and what may be done with it.

use crate::domain::MoveKind;
use crate::moves::rights_probe;
use crate::nova::{Http, NovaError, Patience, Session, Written};
use crate::openstack::cloud::Cloud;
use crate::openstack::compute::Server;

use super::error::MovesError;

/// Which cloud, as whom.
#[derive(Debug, Clone)]
pub struct CloudAccess {
    /// The cloud.
    pub cloud: Cloud,
    /// The text of its CA file.
    pub authorities: Option<String>,
    /// How long things may take.
    pub patience: Patience,
}

/// Opens a session.
///
/// # Errors
/// As [`Session::open`].
pub async fn open(access: CloudAccess) -> Result<Session, NovaError> {
    let http = Http::new(access.authorities.as_deref(), &access.patience);
    let http = http.map_err(|error| match (error, &access.cloud.ca_file) {
        (NovaError::Client(why), Some(file)) => NovaError::Client(format!("{file}: {why}")),
        (error, _) => error,
    })?;
    Session::open(access.cloud, http, access.patience).await
}

/// A 403 is the missing right; everything else stays what it is.
pub(super) fn right(what: &str, error: NovaError) -> MovesError {
    match error.policy() {
        Some(policy) => MovesError::Right {
            what: what.to_owned(),
            policy,
        },
        None => error.into(),
    }
}

/// Asks whether servers may be moved to hosts that are named, without moving any: Nova looks at its policy before it
/// finds that the host cannot exist.
pub(super) async fn check_rights(
    session: &Session,
    server: &Server,
    kind: MoveKind,
) -> Result<(), MovesError> {
    let Some(call) = rights_probe(&server.id, kind) else {
        return Ok(());
    };
    if let Written::Refused(fault) = session.write(&call).await
        && let Some(policy) = fault.policy()
    {
        return Err(MovesError::Right {
            what: format!("{kind} moves to a host that is named"),
            policy,
        });
    }
    // A 400 is what was hoped for; whatever else it was, the first move will say it.
    Ok(())
}
