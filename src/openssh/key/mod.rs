//! Public keys and certificates: what a blob is, whether OpenSSH takes it, and what it is worth.

mod blob;
mod certificate;
mod kind;
mod public;
mod wire;

pub use blob::{Fingerprint, KeyBlob};
pub use certificate::{CertOption, CertRole, Certificate, CertificateRefusal, Validity};
pub use kind::KeyKind;
pub use public::{KeyError, KeyInterner, PublicKey};
pub(crate) use wire::WireReader;

#[cfg(test)]
mod tests;
