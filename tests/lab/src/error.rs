//! What can go wrong while a lab is made or used.

use std::io;
use std::path::PathBuf;

/// A failure of the lab itself, never of the nodes' SSH.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A system call or a file operation failed.
    #[error("{what}")]
    Io {
        /// The operation and the object that it was done to.
        what: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The image that every node starts from is not there.
    #[error("no base image in {path}: {advice}")]
    NoBase {
        /// Where it was looked for.
        path: PathBuf,
        /// What to type.
        advice: String,
    },
    /// The image could not be made.
    #[error("building the base image: {why}")]
    Base {
        /// The end of what the builder said.
        why: String,
    },
    /// This machine cannot hold a lab.
    #[error("no lab on this machine: {why}")]
    Unsupported {
        /// What is missing.
        why: String,
    },
    /// A part of the lab did not come up.
    #[error("lab did not start: {why}")]
    Start {
        /// Which part said what.
        why: String,
    },
    /// A fault file cannot be understood.
    #[error("{path}: {why}")]
    Fault {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A command of a fault failed, so the fault was not planted.
    #[error("planting {id} on {on}: {why}")]
    Plant {
        /// The fault's id.
        id: String,
        /// The node, or `hub`.
        on: String,
        /// Exit status and stderr.
        why: String,
    },
    /// No lab is running where one was expected.
    #[error("{dir}: {why}")]
    NotRunning {
        /// The directory of the lab.
        dir: PathBuf,
        /// What was found there.
        why: String,
    },
}

/// The result of anything that the lab does.
pub type Result<T> = std::result::Result<T, LabError>;

/// Names the operation that an I/O error belongs to.
pub(crate) trait During<T> {
    /// `what` is a fragment such as `mounting /run`.
    fn during(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> During<T> for std::result::Result<T, E> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| LabError::Io {
            what: what(),
            source: source.into(),
        })
    }
}

/// The error and its causes in one line, for the places that can only pass text on.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
