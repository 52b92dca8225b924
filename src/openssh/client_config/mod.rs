//! The client's effective configuration, as `ssh -G` prints it, and the paths in it.
//!
//! What `Host` and `Match` blocks make of another name is in [`crate::openssh::config`].

mod settings;
mod tokens;

#[cfg(test)]
mod tests;

pub use crate::openssh::dump::DumpError;
pub use settings::{ClientSettings, ControlMaster, UpdateHostKeys};
pub use tokens::{TokenError, Tokens};
