//! What clearway says a file means, held against what the OpenSSH of this machine says, over thousands of generated cases.
//!
//! The cases are random but the same in every run. A tool that is not installed is told on stderr and not passed over in silence.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; unwrap says where"
)]

mod certificates;
mod client_config;
mod generator;
mod host_key_check;
mod keys;
mod known_hosts;
mod logins;
mod server;
mod server_config;
mod tools;
