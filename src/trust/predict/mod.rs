//! What the surveyed files imply for every leg, in memory.

mod account;
mod authorized;
mod clients;
mod code;
mod config;
mod dialing;
mod door;
mod expand;
mod forced;
mod host_key;
mod hosts;
mod keys_files;
mod login;
mod logins;
mod names;
mod notes;
mod offers;
mod path;
mod paths;
mod policy;
mod prediction;
mod recorded;
mod revoked;
mod server;
mod settings;
mod tail;
#[cfg(test)]
mod tests;
mod way;

pub use prediction::{Explanation, Prediction};
pub use way::{KeysPlace, Rungs, Way};
