//! Key blobs and their fingerprints.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::openssh::base64;

/// The wire encoding of a key, shared cheaply and usable as a map key.
///
/// Blobs made by this module are canonical: two of them are equal exactly when OpenSSH calls the keys equal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyBlob(Arc<[u8]>);

impl KeyBlob {
    pub(super) fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes as on the wire (RFC 4253, section 6.6).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Base64, as in `known_hosts` and `authorized_keys`.
    #[must_use]
    pub fn to_base64(&self) -> String {
        base64::encode(&self.0)
    }

    /// SHA-256 of the blob.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.0).into())
    }
}

impl fmt::Debug for KeyBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBlob({})", self.fingerprint())
    }
}

/// A SHA-256 fingerprint; shown as OpenSSH shows it, `SHA256:` and unpadded base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The 32 bytes of the hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash that a revocation list has.
    pub(in crate::openssh) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads `SHA256:…`, with or without padding.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("SHA256:")?.trim_end_matches('=');
        let bytes = base64::decode(format!("{digits}=").as_bytes())?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SHA256:{}",
            base64::encode(&self.0).trim_end_matches('=')
        )
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
