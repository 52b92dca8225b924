//! The commands: each one from its arguments to its exit code.

mod check;
mod generate;
mod host_keys;
mod inventory;
mod keys;
mod keys_shown;
mod reasons;
mod repair;
mod runs;
mod session;

pub(super) use check::{check, trace};
pub(super) use generate::{completions, man};
pub(super) use inventory::inventory;
pub(super) use keys::keys;
pub(super) use reasons::reasons;
pub(super) use repair::repair;
pub(super) use runs::{runs, show};
pub(super) use session::Session;
