//! The server's effective configuration, as `sshd -T` prints it, and whom it lets in.
//!
//! What `Match` blocks make of another connection is in [`crate::openssh::config`].

mod access;
mod settings;

#[cfg(test)]
mod tests;

pub use crate::openssh::dump::DumpError;
pub use access::{AccessRefusal, Caller};
pub use settings::{MaxStartups, PenaltySettings, PermitRootLogin, ServerSettings};
