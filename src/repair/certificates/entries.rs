//! Clearway's own lines in files that belong to others: recognised by their comment, everything else kept byte for byte.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::domain::{HOST_AUTHORITY, REVOKED, USER_AUTHORITY};
use crate::openssh::Lines;
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::PublicKey;
use crate::openssh::known_hosts::{KnownHosts, Marker};
use crate::repair::plan::{Attributes, FileState, Text};
use crate::survey::{self, FileFact, FileKind};

/// How many names stand in one line: lines stay readable, and below the 16 KiB that releases before 7.9 read.
const NAMES_PER_LINE: usize = 32;

/// The `@cert-authority` lines for these names, in the order given.
pub(super) fn host_authority_lines(names: &[&str], authority: &PublicKey) -> Vec<String> {
    names
        .chunks(NAMES_PER_LINE)
        .map(|names| {
            let names = names.join(",");
            format!("@cert-authority {names} {authority} {HOST_AUTHORITY}")
        })
        .collect()
}

/// The line that lets certificates of the authority log in to an account. `restrict` takes everything but commands.
pub(super) fn user_authority_line(
    account: &str,
    networks: &[IpNet],
    authority: &PublicKey,
) -> String {
    let mut options = format!("cert-authority,principals=\"{account}\",restrict");
    if !networks.is_empty() {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        options.push_str(&format!(",from=\"{}\"", networks.join(",")));
    }
    format!("{options} {authority} {USER_AUTHORITY}")
}

/// The numbers of the lines with which clearway trusts this authority for host names; of any authority without one.
pub(super) fn host_authority_entries(bytes: &[u8], authority: Option<&PublicKey>) -> Vec<usize> {
    let file = KnownHosts::parse(bytes);
    let own = file.entries().filter(|(_, entry)| {
        entry.marker == Marker::CertAuthority
            && is_comment(&entry.comment, HOST_AUTHORITY)
            && authority.is_none_or(|key| entry.key == *key)
    });
    own.map(|(number, _)| number).collect()
}

/// The numbers of the lines with which clearway refuses host keys.
pub(super) fn revoked_entries(bytes: &[u8]) -> Vec<usize> {
    let file = KnownHosts::parse(bytes);
    let own = file.entries().filter(|(_, entry)| {
        entry.marker == Marker::Revoked && is_comment(&entry.comment, REVOKED)
    });
    own.map(|(number, _)| number).collect()
}

/// The file with clearway's lines for every key that it refuses already, and for these.
pub(super) fn with_revoked<'a>(
    bytes: &[u8],
    keys: impl IntoIterator<Item = &'a PublicKey>,
) -> Vec<u8> {
    let file = KnownHosts::parse(bytes);
    let present = revoked_entries(bytes);
    let known = present.iter().filter_map(|&number| file.entry(number));
    let mut all: BTreeSet<String> = known.map(|it| it.key.to_string()).collect();
    all.extend(keys.into_iter().map(ToString::to_string));
    let lines = all.iter().map(|key| format!("@revoked * {key} {REVOKED}"));
    let lines: Vec<String> = lines.collect();
    with_lines(bytes, &present, &lines)
}

/// The numbers of the lines with which clearway trusts this authority for logins.
pub(super) fn user_authority_entries(bytes: &[u8], authority: &PublicKey) -> Vec<usize> {
    let file = AuthorizedKeys::parse(bytes);
    let own = file
        .keys()
        .filter(|(_, line)| is_comment(&line.comment, USER_AUTHORITY) && line.key == *authority);
    own.map(|(number, _)| number).collect()
}

fn is_comment(comment: &[u8], ours: &str) -> bool {
    comment.trim_ascii() == ours.as_bytes()
}

/// The file with `lines` in place of the lines `own` (numbers from 1, ascending): where the first of them stood, else at
/// the end. Every other line keeps its bytes and its place.
pub(super) fn with_lines<L: AsRef<[u8]>>(bytes: &[u8], own: &[usize], lines: &[L]) -> Vec<u8> {
    let file = Lines::new(bytes.to_vec());
    let mut all = Vec::with_capacity(bytes.len() + 256);
    let ends_open = !bytes.is_empty() && bytes.last() != Some(&b'\n');
    let put = |all: &mut Vec<u8>| {
        for line in lines {
            all.extend_from_slice(line.as_ref());
            all.push(b'\n');
        }
    };
    for number in 1..=file.len() {
        if own.contains(&number) {
            if own.first() == Some(&number) {
                put(&mut all);
            }
            continue;
        }
        all.extend_from_slice(file.raw(number).unwrap_or_default());
        if number < file.len() || !ends_open {
            all.push(b'\n');
        }
    }
    if own.is_empty() && !lines.is_empty() {
        if ends_open {
            all.push(b'\n');
        }
        put(&mut all);
    }
    all
}

/// A file as a plan starts from it.
///
/// # Errors
/// Why it cannot be planned for, in words.
pub(super) fn before(fact: &FileFact) -> Result<FileState, String> {
    match &fact.state {
        survey::FileState::Absent => Ok(FileState::Absent),
        survey::FileState::Unreadable(why) => Err(format!("{} cannot be read: {why}", fact.path)),
        survey::FileState::Present { meta, content, .. } => {
            if meta.symlink {
                return Err(format!("{} is a symbolic link", fact.path));
            }
            if meta.kind != FileKind::File {
                return Err(format!("{} is no regular file", fact.path));
            }
            let content = content
                .as_ref()
                .ok_or_else(|| format!("{} is too large to be edited", fact.path))?;
            Ok(FileState::File {
                attributes: Attributes {
                    uid: meta.uid,
                    gid: meta.gid,
                    mode: meta.mode,
                },
                text: Text::known(content.bytes.to_vec()),
            })
        }
    }
}

/// The bytes and attributes of a state that is known; nothing and `otherwise` where there is no file.
pub(super) fn parts(state: &FileState, otherwise: Attributes) -> (Vec<u8>, Attributes) {
    match state {
        FileState::File { attributes, text } => {
            (text.bytes(|_| None).unwrap_or_default(), *attributes)
        }
        _ => (Vec::new(), otherwise),
    }
}
