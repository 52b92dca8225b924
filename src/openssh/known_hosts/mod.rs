//! `known_hosts` files: what they say about a host, exactly as `ssh` reads them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT; `hostfile.c`,
//! `sshconnect.c` and `sshconnect2.c` of OpenSSH).
//!
//! - [`KnownHosts`] is one file, with every byte kept.
//! - [`KnownHostsSet`] is the files that one `ssh` reads, in its order; it answers what `ssh` would do with a host's key.
//! - [`KnownHostsIndex`] answers the same for very many names at once.

mod algorithms;
mod check;
mod document;
mod hashed;
mod index;
mod query;
mod resolve;
mod set;

pub use algorithms::{KeyTypeOrder, negotiate_host_key_algorithm, server_host_key_algorithms};
pub use check::{Acceptance, HostKeyCheck, HostKeyStatus, Position, StrictHostKeyChecking};
pub use document::{BadLine, Hosts, KnownHost, KnownHosts, Line, Marker};
pub use hashed::HashedName;
pub use index::{Candidate, KnownHostsIndex};
pub use query::{HostKeyContext, HostName};
pub use set::{KnownHostsSet, OtherName};

#[cfg(test)]
mod tests;
