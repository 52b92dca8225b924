//! A request whose outcome is not known: the process was killed, the connection broke, or a proxy gave up.

use jiff::{SignedDuration, Timestamp};

use super::rows::own_row;
use super::state::Tracked;
use crate::openstack::compute::{InstanceAction, Migration, Server};

/// How long Nova is given to show the first trace of a request that is over.
const SHOWN: SignedDuration = SignedDuration::from_secs(30);
/// How long one without an answer may wait in a proxy's queue, in nova-api's, or there for the database, before it is
/// carried out.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(5);

/// Since when nobody waits for the answer to a request any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// Since when.
    pub since: Timestamp,
    /// Whether the request itself is over.
    pub over: bool,
}

impl Doubt {
    /// Whether nothing will come any more of a request of which nothing has come until now.
    #[must_use]
    pub fn is_settled(&self, now: Timestamp) -> bool {
        let enough = if self.over { SHOWN } else { ON_ITS_WAY };
        now.duration_since(self.since) >= enough
    }
}

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

/// Decides from what Nova has whether a request of `tracked` was carried out. A request is never sent again as long as it
/// may have been, or may still be.
#[must_use]
pub fn was_sent(tracked: &Tracked, lookup: &Lookup<'_>, doubt: Doubt, now: Timestamp) -> Sent {
    let quiet = now.duration_since(doubt.since);
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
    if acted || server.status.task.is_some() || !doubt.is_settled(now) {
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
        quiet.as_secs(),
        tracked.source
    ))
}
