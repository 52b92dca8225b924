//! What `ssh` makes of a host's key (`check_host_key` of `sshconnect.c`, `check_key_in_hostkeys` of `hostfile.c`).

use crate::openssh::key::{CertificateRefusal, PublicKey};
use crate::openssh::pattern::{ListMatch, PatternCase, match_pattern_list};

use super::document::{KnownHost, Marker};
use super::query::{HostKeyContext, HostName, put_host_port};

/// A line in one of the files of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Index of the file in the set, from 0.
    pub file: usize,
    /// Number of the line, from 1.
    pub line: usize,
}

/// A line that concerns the name asked for.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) at: Position,
    pub(super) entry: &'a KnownHost,
}

/// Whatever can say which lines concern a name.
pub(super) trait Lookup {
    /// All lines for this name in the order of files and lines, as far as they matter for the offered key.
    fn find<'a>(&'a self, name: &str, offered: &PublicKey) -> Vec<Found<'a>>;
}

/// What the files say about a key under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeyStatus {
    /// The key is recorded, or its certificate's CA is.
    Known {
        /// The first line that says so.
        at: Position,
    },
    /// Only other keys are recorded. That also is so when they are of other types.
    Changed {
        /// The line that OpenSSH names as offending: the last one.
        offending: Position,
        /// All lines with other keys, the offending one included.
        lines: Vec<Position>,
    },
    /// The key, or the CA of its certificate, is marked `@revoked` for this name. Beats everything else.
    Revoked {
        /// The first line that says so.
        at: Position,
    },
    /// No line for this name has an ordinary key (for certificates: a CA key).
    Unknown,
}

/// `StrictHostKeyChecking` as `ssh -G` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StrictHostKeyChecking {
    /// `true`
    Yes,
    /// `ask`; a refusal with `BatchMode`, as Nova uses it.
    Ask,
    /// `accept-new`
    AcceptNew,
    /// `false`
    No,
}

/// Whether `ssh` goes on, in `BatchMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acceptance {
    /// Yes, and the host has proven to be the one that was meant.
    Verified,
    /// Yes, but only because nobody insists: the host could be any.
    Unverified,
    /// No: `Host key verification failed.`
    Refused,
}

/// The outcome for one offered key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyCheck {
    /// The name that was looked up.
    pub name: String,
    /// What is said about the key under that name; about the plain key if `certificate` is set.
    pub status: HostKeyStatus,
    /// Why the offered certificate counted for nothing, so that `ssh` went on with the plain key in it, and the line of the CA
    /// if one was trusted.
    pub certificate: Option<(CertificateRefusal, Option<Position>)>,
    /// The second look-up, without the port; made only if nothing at all was found with it.
    pub without_port: Option<Box<HostKeyCheck>>,
    /// What is said about the key under the address, with `CheckHostIP`.
    pub address: Option<HostKeyStatus>,
    /// The plain key of a refused certificate is not in `HostKeyAlgorithms`: refused whatever is recorded.
    pub algorithm_refused: bool,
}

impl HostKeyCheck {
    /// Whether `ssh` goes on in `BatchMode`. `can_record` is whether there is any user `known_hosts` file configured: without
    /// one, a new key is refused even where it need not be known.
    #[must_use]
    pub fn acceptance(&self, strict: StrictHostKeyChecking, can_record: bool) -> Acceptance {
        let decided = self.acceptance_by_name(strict, can_record);
        let address_changed = matches!(self.address, Some(HostKeyStatus::Changed { .. }))
            && !matches!(self.status, HostKeyStatus::Changed { .. });
        if address_changed && strict != StrictHostKeyChecking::No {
            return Acceptance::Refused;
        }
        decided
    }

    fn acceptance_by_name(&self, strict: StrictHostKeyChecking, can_record: bool) -> Acceptance {
        if let Some(second) = &self.without_port
            && let accepted @ (Acceptance::Verified | Acceptance::Unverified) =
                second.acceptance_quietly(strict)
        {
            return accepted;
        }
        if self.algorithm_refused {
            return Acceptance::Refused;
        }
        let lax = strict == StrictHostKeyChecking::No;
        match self.status {
            HostKeyStatus::Known { .. } => Acceptance::Verified,
            HostKeyStatus::Unknown
                if can_record && (lax || strict == StrictHostKeyChecking::AcceptNew) =>
            {
                Acceptance::Unverified
            }
            HostKeyStatus::Changed { .. } | HostKeyStatus::Revoked { .. } if lax => {
                Acceptance::Unverified
            }
            HostKeyStatus::Unknown
            | HostKeyStatus::Changed { .. }
            | HostKeyStatus::Revoked { .. } => Acceptance::Refused,
        }
    }

    /// The second look-up is never allowed to record or to overlook a changed key.
    fn acceptance_quietly(&self, strict: StrictHostKeyChecking) -> Acceptance {
        match self.status {
            HostKeyStatus::Known { .. } if !self.algorithm_refused => Acceptance::Verified,
            HostKeyStatus::Revoked { .. } if strict == StrictHostKeyChecking::No => {
                Acceptance::Unverified
            }
            _ => Acceptance::Refused,
        }
    }

    /// The line by which the key is known, under either name.
    #[must_use]
    pub fn known_at(&self) -> Option<Position> {
        match (&self.status, &self.without_port) {
            (HostKeyStatus::Known { at }, _) if !self.algorithm_refused => Some(*at),
            (_, Some(second)) => second.known_at(),
            _ => None,
        }
    }
}

/// Checks an offered key under the names of a host.
pub(super) fn check(
    files: &impl Lookup,
    host: &HostName,
    offered: &PublicKey,
    context: &HostKeyContext<'_>,
) -> HostKeyCheck {
    // Port 0 stands for none, as in OpenSSH.
    let second = host.without_port().map(|name| HostName::new(name, 0));
    let address = |port| {
        context
            .check_address
            .map(|address| put_host_port(&address.to_ascii_lowercase(), port))
    };
    check_level(files, host, second.as_ref(), address, offered, context)
}

fn check_level(
    files: &impl Lookup,
    host: &HostName,
    second: Option<&HostName>,
    address: impl Fn(u16) -> Option<String> + Copy,
    offered: &PublicKey,
    context: &HostKeyContext<'_>,
) -> HostKeyCheck {
    let name = host.first();
    let found = relevant(files.find(&name, offered), context);
    let mut outcome = HostKeyCheck {
        name,
        status: HostKeyStatus::Unknown,
        certificate: None,
        without_port: None,
        address: None,
        algorithm_refused: false,
    };
    let try_second = |key: &PublicKey| {
        second.map(|second| Box::new(check_level(files, second, None, address, key, context)))
    };

    let mut key = offered.clone();
    if let Some(certificate) = offered.certificate() {
        let status = status_of(&found, offered);
        let refusal = match status {
            HostKeyStatus::Revoked { .. } => {
                outcome.status = status;
                return outcome;
            }
            HostKeyStatus::Known { at } => {
                let verdict = certificate.check_host(
                    host.principal(),
                    context.now,
                    context.ca_signature_algorithms,
                    context.release,
                );
                match verdict {
                    Ok(()) => {
                        outcome.status = status;
                        return outcome;
                    }
                    Err(refusal) => (refusal, Some(at)),
                }
            }
            HostKeyStatus::Unknown => {
                outcome.without_port = try_second(offered);
                (CertificateRefusal::UntrustedAuthority, None)
            }
            HostKeyStatus::Changed { .. } => (CertificateRefusal::UntrustedAuthority, None),
        };
        outcome.certificate = Some(refusal);
        key = offered.to_plain();
        outcome.algorithm_refused =
            context.release.checks_downgraded_key() && !is_allowed(&key, context);
    }

    outcome.status = status_of(&found, &key);
    outcome.address = address(host.port())
        .map(|address| status_of(&relevant(files.find(&address, &key), context), &key));
    if outcome.status == HostKeyStatus::Unknown && outcome.without_port.is_none() {
        outcome.without_port = try_second(&key);
    }
    outcome
}

/// `hostkey_accepted_by_hostkeyalgs`
fn is_allowed(key: &PublicKey, context: &HostKeyContext<'_>) -> bool {
    let Some(list) = context.host_key_algorithms else {
        return true;
    };
    key.kind()
        .host_key_algorithms(key.certificate().is_some())
        .iter()
        .any(|algorithm| {
            match_pattern_list(
                algorithm.as_bytes(),
                list.as_bytes(),
                PatternCase::Sensitive,
            ) == ListMatch::Matched
        })
}

/// Drops what this release cannot read.
pub(super) fn relevant<'a>(
    mut found: Vec<Found<'a>>,
    context: &HostKeyContext<'_>,
) -> Vec<Found<'a>> {
    if !context.release.knows_dsa() {
        found.retain(|found| found.entry.key.kind() != crate::openssh::key::KeyKind::Dsa);
    }
    found
}

/// `check_key_in_hostkeys`
fn status_of(found: &[Found<'_>], key: &PublicKey) -> HostKeyStatus {
    if let Some(at) = revoked_at(found, key) {
        return HostKeyStatus::Revoked { at };
    }
    let authority = key.certificate().map(|certificate| &certificate.authority);
    let wanted_marker = if authority.is_some() {
        Marker::CertAuthority
    } else {
        Marker::None
    };
    let mut lines = Vec::new();
    for Found { at, entry } in found
        .iter()
        .filter(|found| found.entry.marker == wanted_marker)
    {
        let matches = match authority {
            Some(authority) => authority.plain_blob() == entry.key.plain_blob(),
            None => *key == entry.key,
        };
        if matches {
            return HostKeyStatus::Known { at: *at };
        }
        if authority.is_none() {
            lines.push(*at);
        }
    }
    match lines.last() {
        Some(offending) => HostKeyStatus::Changed {
            offending: *offending,
            lines,
        },
        None => HostKeyStatus::Unknown,
    }
}

/// `check_key_not_revoked`: the first `@revoked` line with this key or with its certificate's CA.
pub(super) fn revoked_at(found: &[Found<'_>], key: &PublicKey) -> Option<Position> {
    let authority = key
        .certificate()
        .map(|certificate| certificate.authority.plain_blob());
    let is_meant = |entry: &KnownHost| {
        let revoked = entry.key.plain_blob();
        revoked == key.plain_blob() || Some(revoked) == authority
    };
    found
        .iter()
        .find(|found| found.entry.marker == Marker::Revoked && is_meant(found.entry))
        .map(|found| found.at)
}
