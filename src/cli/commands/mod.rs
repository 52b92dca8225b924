//! The commands: each one from its arguments to its exit code.

mod check;
mod cloud;
mod diagnose;
mod generate;
mod host_keys;
mod inventory;
mod keys;
mod keys_shown;
mod moves;
mod reasons;
mod repair;
mod revoke;
mod rotate;
mod runs;
mod servers;
mod session;
mod under_way;
mod watch;
mod way_back;

pub(super) use check::{check, trace};
pub(super) use diagnose::diagnose;
pub(super) use generate::{completions, man};
pub(super) use inventory::inventory;
pub(super) use keys::keys;
pub(super) use moves::{drain, migrate, resume};
pub(super) use reasons::reasons;
pub(super) use repair::repair;
pub(super) use runs::{runs, show};
pub(super) use servers::servers;
pub(super) use session::Session;
pub(super) use under_way::under_way;
pub(super) use watch::watch;
