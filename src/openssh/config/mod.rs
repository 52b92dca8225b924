//! `Host` and `Match` blocks of ssh_config and sshd_config: what the files say for one name or one connection, as a
//! difference from what they say for another for which the program itself was asked (`ssh -G`, `sshd -T -C`).
//!
//! So a fleet of N names needs one `ssh -G` per node and not N.

mod client;
mod difference;
mod server;
#[cfg(test)]
mod tests;
mod tree;
mod words;

pub use client::{ClientConfig, ClientQuery};
pub use difference::{Difference, Undecidable};
pub use server::{ServerConfig, ServerQuery};
