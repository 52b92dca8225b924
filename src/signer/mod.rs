//! Signing with the operator's certificate authority.
//!
//! OpenSSH's own `ssh-keygen` signs: it knows key files, agents and tokens, and clearway never reads a private key. Each
//! run is bounded in time and output, works in a private directory that goes away, and cannot ask anybody anything.

mod authority;
mod error;
mod keygen;
mod scratch;
#[cfg(test)]
mod tests;

pub use authority::{AuthorityKey, KeySource};
pub use error::{SignerError, SignerFault};
pub use keygen::Signer;
