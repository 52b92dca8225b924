//! A request whose outcome is not known: the process was killed, the connection broke, or a proxy gave up.

use jiff::{SignedDuration, Timestamp};

use super::rows::own_row;
use super::state::Tracked;
use crate::openstack::compute::{InstanceAction, Migration, Server};

/// How long a request may still be on its way after it was sent.
pub const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// What Nova says of the server now.
#[derive(Debug, Clone)]
pub struct Lookup<'a> {
    /// The server; `None` when it is gone.
    pub server: Option<&'a Server>,
    /// Its rows of os-migrations.
    pub rows: &'a [Migration],
    /// Its actions.
    pub actions: &'a [InstanceAction],
}

/// Whether a request was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It was: it has a row.
    Yes,
    /// It was not, and can be sent again after a fresh proof.
    No(String),
    /// It cannot be told yet: look again.
    NotYetKnown,
    /// Something else has happened to the server: it is not this request's to decide.
    Other(String),
}

/// Decides from what Nova has whether a request of `tracked` that was sent at `sent` was carried out. A request is never
/// sent again as long as it may have been.
#[must_use]
pub fn was_sent(tracked: &Tracked, lookup: &Lookup<'_>, sent: Timestamp, now: Timestamp) -> Sent {
    let Some(server) = lookup.server else {
        return Sent::Yes;
    };
    if own_row(tracked, lookup.rows).is_some() {
        return Sent::Yes;
    }
    if let Some(foreign) = lookup
        .rows
        .iter()
        .find(|row| row.id > tracked.baseline && row.server == tracked.server)
    {
        return Sent::Other(format!(
            "somebody else moved it meanwhile: {} to {}",
            foreign.kind,
            foreign
                .dest_compute
                .as_ref()
                .map_or("?", |host| host.as_str())
        ));
    }
    // Nova records the action before it does anything, and the row some time later.
    let acted = lookup.actions.iter().any(|action| {
        action.action == tracked.kind.action()
            && !tracked.known_actions.contains(&action.request_id)
    });
    if acted || server.status.task.is_some() || now.duration_since(sent) < GRACE {
        return Sent::NotYetKnown;
    }
    if server.host.as_ref() != Some(&tracked.source) {
        return Sent::Other(format!(
            "the server is on {} now, and no row says why",
            server.host.as_ref().map_or("no host", |host| host.as_str())
        ));
    }
    Sent::No(format!(
        "{} seconds later Nova has neither an action nor a migration of it, and the server is at rest on {}",
        now.duration_since(sent).as_secs(),
        tracked.source
    ))
}
