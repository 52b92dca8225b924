//! The state of a place as the program on the node writes it: one word that can be compared.

use sha2::{Digest as _, Sha256};

use super::super::plan::Attributes;
use crate::openssh::key::PublicKey;

/// st_mode of a directory and of a regular file, without permissions.
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// What is at a place, with every byte known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Absent,
    Directory(Attributes),
    File(Attributes, Vec<u8>),
    /// A file whose bytes stay what they are.
    Opaque(Attributes),
}

impl Place {
    /// `RAW:UID:GID:SHA256`, `RAW:UID:GID:any`, `RAW:UID:GID:` or `-`; RAW is st_mode in hexadecimal, as `stat -c %f`
    /// prints it.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Absent => "-".to_owned(),
            Self::Directory(it) => {
                format!("{:x}:{}:{}:", DIRECTORY | it.mode & 0o7777, it.uid, it.gid)
            }
            Self::Opaque(it) => {
                format!("{:x}:{}:{}:any", FILE | it.mode & 0o7777, it.uid, it.gid)
            }
            Self::File(it, bytes) => {
                let mode = FILE | it.mode & 0o7777;
                format!("{mode:x}:{}:{}:{}", it.uid, it.gid, sha256(bytes))
            }
        }
    }

    /// The same for whom the bytes do not matter.
    pub(super) fn word_without_bytes(&self) -> String {
        match self {
            Self::File(it, _) => Self::Opaque(*it).word(),
            other => other.word(),
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self, Self::Directory(_))
    }

    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::File(_, bytes) => Some(bytes),
            _ => None,
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The public half of a key that a node says it made, as `type base64`.
///
/// A node can say anything. What is taken from it for other nodes' files is a key of the type that it was told to make,
/// written anew; no comment, no option, no second line.
#[must_use]
pub fn public_key(said: &[u8], key_type: &str) -> Option<String> {
    let line = said.trim_ascii().split(|&byte| byte == b'\n').next()?;
    let (key, _) = PublicKey::read(line).ok()?;
    let wanted = match key_type {
        "ed25519" => "ssh-ed25519",
        "rsa" => "ssh-rsa",
        "ecdsa" => "ecdsa-sha2-nistp256",
        _ => return None,
    };
    (key.certificate().is_none() && key.type_name() == wanted)
        .then(|| format!("{wanted} {}", key.plain_blob().to_base64()))
}
