//! Key pairs in OpenSSH's file formats, made in this process.

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use ssh_key::{Algorithm, EcdsaCurve, LineEnding, PrivateKey};

use crate::error::{LabError, Result};

/// The key types that the lab makes itself. RSA takes seconds and is made in a node where a fault needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyType {
    Ed25519,
    EcdsaP256,
}

/// A private key file and the line of its public half.
#[derive(Clone, Debug)]
pub(crate) struct KeyPair {
    /// `OPENSSH PRIVATE KEY` PEM.
    pub(crate) private: String,
    /// `TYPE BASE64 COMMENT`, without the line's end.
    pub(crate) public: String,
}

impl KeyPair {
    pub(crate) fn generate(kind: KeyType, comment: &str) -> Result<Self> {
        let algorithm = match kind {
            KeyType::Ed25519 => Algorithm::Ed25519,
            KeyType::EcdsaP256 => Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP256,
            },
        };
        let make = || -> ssh_key::Result<Self> {
            let mut key = PrivateKey::random(&mut UnwrapErr(SysRng), algorithm)?;
            key.set_comment(comment);
            Ok(Self {
                private: key.to_openssh(LineEnding::LF)?.to_string(),
                public: key.public_key().to_openssh()?,
            })
        };
        make().map_err(|error| LabError::Start {
            why: format!("making a {kind:?} key for {comment}: {error}"),
        })
    }

    /// `TYPE BASE64`: what a known_hosts line holds after the names.
    pub(crate) fn public_without_comment(&self) -> &str {
        self.public
            .match_indices(' ')
            .nth(1)
            .map_or(self.public.as_str(), |(end, _)| &self.public[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_hosts_key_has_no_comment() {
        let pair = KeyPair::generate(KeyType::Ed25519, "nova@node1").unwrap();
        assert!(pair.public.ends_with(" nova@node1"), "{}", pair.public);
        assert_eq!(pair.public_without_comment().split(' ').count(), 2);
        assert!(
            pair.private
                .starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        );
    }
}
