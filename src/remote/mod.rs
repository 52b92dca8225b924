//! Clearway's own way to the nodes: SSH connections in this process, and programs run over them.
//!
//! Never what Nova uses, so a failure here makes legs `unproven`, never `broken`.
//!
//! - [`Connector`] opens a [`Connection`] to a node, through its jump hosts; [`run_on_all`] does so for many.
//! - [`Connection::run_program`] runs a POSIX sh program there, within [`Limits`].
//! - [`ControlError`] says why either failed; [`record_host_key`] adds a key that the operator has accepted.

mod algorithms;
mod authenticate;
mod connector;
mod environment;
mod error;
mod execute;
mod files;
mod fleet;
mod handler;
mod hop;
mod host_key;
mod host_key_problem;
mod identity;
mod login;
mod pinned;
mod program;
mod record;
mod wire;

pub use connector::{Connection, Connector};
pub use environment::{Deadlines, Environment};
pub use error::ControlError;
pub use fleet::{Completions, run_on_all};
pub use host_key_problem::{HostKeyFault, HostKeyProblem, Place};
pub use program::{Exit, Limits, ProgramEnd, ProgramOutput};
pub use record::record_host_key;
