//! What is wrong with a host key, in words and as data.

use std::fmt;
use std::path::PathBuf;

use crate::openssh::key::PublicKey;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The number of the line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Why a host key was not accepted. Nothing but the key exchange was sent to that machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyProblem {
    /// The name that was looked up: as it is written in `known_hosts`, with `[…]:port` for ports other than 22.
    pub host: String,
    /// The key presented, without its certificate.
    pub key: PublicKey,
    /// What is wrong with it.
    pub fault: HostKeyFault,
    /// Why its certificate did not help, when it came with one.
    pub certificate: Option<String>,
    /// Where the operator's own known keys are: the file to which [`super::record_host_key`] would add this one.
    pub record_in: PathBuf,
}

/// What is wrong with a host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyFault {
    /// None of these files has a key for that name.
    Unknown {
        /// The files, in the order searched.
        searched: Vec<PathBuf>,
    },
    /// Only other keys are recorded for that name.
    Changed {
        /// Where.
        recorded: Vec<Place>,
    },
    /// It, or the authority of its certificate, is marked `@revoked`.
    Revoked {
        /// Where.
        by: Place,
    },
    /// Its fingerprint is not among those pinned in the inventory.
    NotPinned {
        /// Those pinned.
        pinned: Vec<String>,
        /// The keys that were presented before this one, when the host was asked for its keys of other types.
        also: Vec<String>,
    },
}

impl fmt::Display for HostKeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.described_key();
        let host = &self.host;
        match &self.fault {
            HostKeyFault::Unknown { searched } => write!(
                f,
                "host key of {host} is unknown: {key} is not in {}",
                list(searched.iter().map(|path| path.display()))
            )?,
            HostKeyFault::Changed { recorded } => write!(
                f,
                "host key of {host} has changed: {key} is presented, another is recorded in {}",
                list(recorded)
            )?,
            HostKeyFault::Revoked { by } => {
                write!(f, "host key of {host} is revoked: {key}, by {by}")?;
            }
            HostKeyFault::NotPinned { pinned, also } => write!(
                f,
                "host key of {host} is not the one pinned: {} presented, {} pinned",
                list(also.iter().chain([&key])),
                list(pinned)
            )?,
        }
        if let Some(certificate) = &self.certificate {
            write!(f, "; its certificate does not help: {certificate}")?;
        }
        Ok(())
    }
}

impl std::error::Error for HostKeyProblem {}

impl HostKeyProblem {
    /// The key as it is shown: `ED25519 SHA256:…`.
    #[must_use]
    pub fn described_key(&self) -> String {
        describe(&self.key)
    }
}

fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.kind().short_name(), key.fingerprint())
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
