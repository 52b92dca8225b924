//! What keeps moves from being begun at all. A move that fails is no such thing: it is a row of the report.

use crate::ledger::{HeldLock, LedgerError};
use crate::nova::NovaError;
use crate::openstack::Policy;

/// Moves could not be begun, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum MovesError {
    /// The cloud could not be asked.
    #[error("the cloud cannot be asked")]
    Nova(#[from] NovaError),
    /// The journal cannot be kept; without it nothing is moved.
    #[error("the journal of the moves cannot be kept")]
    Ledger(#[from] LedgerError),
    /// A right is missing.
    #[error("the right `{}` is missing: {what}", policy.today())]
    Right {
        /// What cannot be done without it.
        what: String,
        /// The rule of Nova's policy.
        policy: Policy,
    },
    /// The hosts of servers cannot be seen.
    #[error(
        "the right `os_compute_api:os-extended-server-attributes` is missing: servers do not show their hosts"
    )]
    HostsHidden,
    /// Nothing fits what was asked for.
    #[error("no server is called `{0}`, by name or by id")]
    NoServer(String),
    /// There is no such flavor.
    #[error("no flavor is called `{0}`, by name or by id")]
    NoFlavor(String),
    /// Several servers have the name.
    #[error("{} servers are called `{name}`", ids.len())]
    Ambiguous {
        /// The name.
        name: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// There is no such compute host.
    #[error("Nova has no compute host `{name}`")]
    NoHost {
        /// What was asked for.
        name: String,
        /// Hosts that may be meant.
        near: Vec<String>,
    },
    /// Somebody else works on it.
    #[error("another run works on the same: {}", held.iter().map(|lock| format!("{} (run {}, until {})", lock.name, lock.run, lock.expires)).collect::<Vec<_>>().join(", "))]
    Locked {
        /// The locks.
        held: Vec<HeldLock>,
    },
    /// The run goes on elsewhere.
    #[error(
        "run {0} is still going on in another process; one that was killed in another container, or before this machine restarted, keeps its locks for ten minutes"
    )]
    Running(String),
    /// The run cannot be resumed.
    #[error("run {run} cannot be resumed: {why}")]
    NotResumable {
        /// The run.
        run: String,
        /// Why.
        why: String,
    },
    /// The run moved nothing.
    #[error("run {0} is none of moves")]
    NoMoves(String),
    /// The run is of another cloud.
    #[error("run {run} is of another cloud than {cloud}")]
    OtherCloud {
        /// The run.
        run: String,
        /// The cloud of this session.
        cloud: String,
    },
    /// A run that has begun could not go on.
    #[error("run {run} could not go on")]
    Left {
        /// The run.
        run: String,
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// What was recorded cannot be read back.
    #[error("the journal of run {run} is damaged at {server}: {why}")]
    Journal {
        /// The run.
        run: String,
        /// The server.
        server: String,
        /// What is wrong.
        why: String,
    },
}

impl MovesError {
    /// It in one line, with what Nova has said.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Nova(error) => error.to_string(),
            other => other.to_string(),
        }
    }
}
