//! Lossless changes of the files that repair writes: every byte that is not clearway's own survives.

mod authorized_keys;
mod block;
mod known_hosts;
mod lines;
#[cfg(test)]
mod tests;

pub(crate) use authorized_keys::{Authorised, authorise};
pub(crate) use block::without_empty_block;
pub(crate) use known_hosts::{Contribution, Host, KnownHostsEditor};
pub(crate) use lines::LineEdits;
