//! Where the authority's private key is.

use std::path::PathBuf;

use crate::openssh::key::PublicKey;

/// Where the authority's private key is, and so how `ssh-keygen` is told to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In this file, without a passphrase; its public half is beside it (`ssh-keygen -s FILE`).
    File(PathBuf),
    /// In the ssh-agent; the file is its public half (`ssh-keygen -U -s FILE.pub`).
    Agent(PathBuf),
    /// On a token behind this PKCS#11 library; the file is its public half (`ssh-keygen -D LIBRARY -s FILE.pub`).
    Token {
        /// The public half.
        public: PathBuf,
        /// The library.
        library: PathBuf,
    },
}

/// An authority's key: where it is, and its public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityKey {
    /// Where its private half is.
    pub source: KeySource,
    /// Its public half.
    pub public: PublicKey,
}

impl KeySource {
    /// The file that holds the public half.
    #[must_use]
    pub fn public_file(&self) -> PathBuf {
        match self {
            Self::File(path) => {
                let mut name = path.clone().into_os_string();
                name.push(".pub");
                name.into()
            }
            Self::Agent(path) | Self::Token { public: path, .. } => path.clone(),
        }
    }

    /// The file that `ssh-keygen -s` is given.
    pub(super) fn named(&self) -> PathBuf {
        match self {
            Self::File(path) | Self::Agent(path) | Self::Token { public: path, .. } => path.clone(),
        }
    }
}
