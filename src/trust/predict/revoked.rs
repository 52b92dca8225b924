//! `RevokedKeys` and `RevokedHostKeys`: a list of keys, one a line, or a binary key revocation list (ssh-keygen(1)).

use crate::openssh::Lines;
use crate::openssh::key::PublicKey;
use crate::openssh::revoked::RevokedKeys;
use crate::survey::{FileFact, FileState};

/// What such a file says about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Revocation {
    /// The key is not on it.
    Clear,
    /// The key, or the authority of its certificate, is.
    Revoked,
    /// The file is missing, unreadable or no list: OpenSSH then refuses every key.
    Unreadable,
    /// It was not read.
    Unknown,
}

/// `sshkey_check_revoked` of authfile.c.
pub(super) fn check(file: &FileFact, key: &PublicKey) -> Revocation {
    /// `KRL_MAGIC` of krl.h, most significant byte first.
    const MAGIC: &[u8] = b"SSHKRL\n\0";
    let content = match &file.state {
        FileState::Absent => return Revocation::Unreadable,
        FileState::Unreadable(_) => return Revocation::Unknown,
        FileState::Present {
            content: Some(content),
            ..
        } => content,
        FileState::Present { .. } => return Revocation::Unknown,
    };
    if content.bytes.starts_with(MAGIC) {
        return match RevokedKeys::parse(&content.bytes).contains(key) {
            Ok(true) => Revocation::Revoked,
            Ok(false) => Revocation::Clear,
            Err(_) => Revocation::Unreadable,
        };
    }
    let authority = key.certificate().map(|it| it.authority.plain_blob());
    for line in Lines::new(&*content.bytes).visible() {
        let text = line.trim_ascii_start();
        if text.is_empty() || text[0] == b'#' {
            continue;
        }
        // `sshkey_in_file` skips what it cannot read, and options before the key as well.
        let Ok((listed, _)) = PublicKey::read(text) else {
            continue;
        };
        let listed = listed.plain_blob();
        if listed == key.plain_blob() || Some(listed) == authority {
            return Revocation::Revoked;
        }
    }
    Revocation::Clear
}
