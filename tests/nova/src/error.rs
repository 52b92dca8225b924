//! What can go wrong while a cloud is made or used.

use std::io;
use std::path::PathBuf;

/// A failure of the lab itself, never of a move.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudError {
    /// A system call or a file operation failed.
    #[error("{what}")]
    Io {
        /// The operation and the object that it was done to.
        what: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// This machine lacks what Nova needs.
    #[error("no Nova on this machine: {why}")]
    Unsupported {
        /// What is missing, and what to type.
        why: String,
    },
    /// The nodes on which servers shall run are not to be had.
    #[error("the lab of nodes")]
    Nodes(#[from] clearway_lab::LabError),
    /// The virtual environment or the databases could not be made.
    #[error("setting Nova up: {why}")]
    Setup {
        /// The end of what the setup said.
        why: String,
    },
    /// A service did not come up.
    #[error("{service} did not start: {why}")]
    Start {
        /// `keystone`, `nova`, `rabbitmq` or `nova-compute`.
        service: &'static str,
        /// How it ended, and the end of what it said.
        why: String,
    },
    /// No cloud is running where one was expected.
    #[error("{dir}: {why}")]
    NotRunning {
        /// The directory of the cloud.
        dir: PathBuf,
        /// What was found there.
        why: String,
    },
    /// A request could not be made, or its answer was no HTTP or no JSON.
    #[error("{what}")]
    Http {
        /// Method and address.
        what: String,
        /// What the HTTP client said.
        #[source]
        source: Box<ureq::Error>,
    },
    /// Keystone or Nova refused what every test needs.
    #[error("{what}: status {status}: {body}")]
    Refused {
        /// What was asked for.
        what: String,
        /// HTTP status.
        status: u16,
        /// The answer's body.
        body: String,
    },
    /// There is no such fault.
    #[error("unknown fault {word:?}; known are {known}")]
    Unknown {
        /// What was asked for.
        word: String,
        /// What there is.
        known: String,
    },
    /// Something did not come about in time.
    #[error("{what} after {seconds} s: {last}")]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// What was seen last.
        last: String,
    },
}

/// The result of anything that the lab does.
pub type Result<T> = std::result::Result<T, CloudError>;

/// Names the operation that an I/O error belongs to.
pub(crate) trait During<T> {
    /// `what` is a fragment such as `reading plan.json`.
    fn during(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> During<T> for std::result::Result<T, E> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| CloudError::Io {
            what: what(),
            source: source.into(),
        })
    }
}
