//! OpenSSH's file formats and what OpenSSH makes of them: pure and lossless.
//!
//! What a file means is what OpenSSH says it means. Behaviour is taken from its sources (release 10.5, with the differences back to
//! 8.0 that matter, see [`Release`]) and is held against the real programs by `tests/openssh_differential.rs`.

mod address;
pub mod authorized_keys;
mod base64;
pub mod client_config;
pub mod config;
mod dump;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod key;
pub mod known_hosts;
mod lines;
pub mod messages;
mod pattern;
mod release;
pub mod revoked;
pub mod server_config;
pub mod stages;

pub use address::{
    AddressListError, match_address_list, match_cidr_list, match_host_and_address, match_user,
    parse_address,
};
pub use lines::Lines;
pub use pattern::{ListMatch, PatternCase, match_hostname, match_pattern, match_pattern_list};
pub use release::Release;
