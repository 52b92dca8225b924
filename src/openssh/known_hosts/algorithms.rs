//! Which of a server's keys a client gets to see (`order_hostkeyalgs` of `sshconnect2.c`, `list_hostkey_types` of `sshd`, `match_list`
//! of `match.c`).
//!
//! A client moves the key types it already knows for a host to the front of its proposal, so that a server with several keys shows
//! one that can be checked.

use crate::openssh::key::{KeyKind, PublicKey};
use crate::openssh::pattern::{ListMatch, PatternCase, match_pattern_list};

use super::check::{Found, revoked_at};
use super::document::Marker;
use super::query::HostKeyContext;

/// Whether the client reorders its `HostKeyAlgorithms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyTypeOrder {
    /// Known types first: `HostKeyAlgorithms` is not set, or set with `+` or `-`.
    KnownFirst,
    /// As written: `HostKeyAlgorithms` is a list of its own, or set with `^`.
    AsConfigured,
}

impl KeyTypeOrder {
    /// From the value of `HostKeyAlgorithms` as it stands in the client's configuration. `ssh -G` shows it expanded, so it must
    /// come from the files (see [`crate::openssh::client_config`]).
    #[must_use]
    pub fn from_setting(value: Option<&str>) -> Self {
        match value {
            Some(value) if !value.starts_with(['+', '-']) => Self::AsConfigured,
            _ => Self::KnownFirst,
        }
    }
}

/// The client's proposal: `algorithms` (comma-separated, as `ssh -G` prints `hostkeyalgorithms`) with what is known first.
pub(super) fn order<'a>(
    found: &[Found<'_>],
    algorithms: &'a str,
    context: &HostKeyContext<'_>,
) -> Vec<&'a str> {
    let all: Vec<&str> = algorithms
        .split(',')
        .take_while(|algorithm| !algorithm.is_empty())
        .collect();
    let release = context.release;
    if release.keeps_best_host_key_algorithm()
        && let Some((kind, _)) = all.first().and_then(|best| KeyKind::from_algorithm(best))
        && is_known(found, kind, release.tells_curves_apart())
    {
        return all;
    }
    let has_authority = release.keeps_best_host_key_algorithm()
        && found
            .iter()
            .any(|found| found.entry.marker == Marker::CertAuthority);
    let is_preferred = |algorithm: &&str| {
        KeyKind::from_algorithm(algorithm).is_some_and(|(kind, is_certificate)| {
            (is_certificate && has_authority) || is_known(found, kind, release.tells_curves_apart())
        })
    };
    let (mut first, last): (Vec<&str>, Vec<&str>) = all.into_iter().partition(is_preferred);
    first.extend(last);
    first
}

/// `lookup_key_in_hostkeys_by_type`: looks at the first ordinary key of the kind only, and that one must not be revoked.
fn is_known(found: &[Found<'_>], kind: KeyKind, curves_apart: bool) -> bool {
    let is_ecdsa = |kind| {
        matches!(
            kind,
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521
        )
    };
    let same = |key: &PublicKey| {
        key.certificate().is_none()
            && (key.kind() == kind || (!curves_apart && is_ecdsa(kind) && is_ecdsa(key.kind())))
    };
    found
        .iter()
        .find(|found| found.entry.marker == Marker::None && same(&found.entry.key))
        .is_some_and(|first| revoked_at(found, &first.entry.key).is_none())
}

/// The algorithms a server offers for its host keys and their certificates, in the order of its `HostKey` lines, filtered by its
/// `HostKeyAlgorithms` (a comma-separated list, as `sshd -T` prints it).
#[must_use]
pub fn server_host_key_algorithms(
    keys: &[PublicKey],
    host_key_algorithms: Option<&str>,
) -> Vec<&'static str> {
    let is_allowed = |algorithm: &&&str| {
        host_key_algorithms.is_none_or(|list| {
            match_pattern_list(
                algorithm.as_bytes(),
                list.as_bytes(),
                PatternCase::Sensitive,
            ) == ListMatch::Matched
        })
    };
    keys.iter()
        .flat_map(|key| {
            key.kind()
                .host_key_algorithms(key.certificate().is_some())
                .iter()
                .filter(is_allowed)
                .copied()
        })
        .collect()
}

/// The algorithm that both sides settle on: the first of the client's that the server offers. The server then shows its first
/// key of that kind.
#[must_use]
pub fn negotiate_host_key_algorithm<'a>(client: &[&'a str], server: &[&str]) -> Option<&'a str> {
    /// OpenSSH looks at no more of the server's names (`MAX_PROP`).
    const MOST: usize = 40;
    let server = &server[..server.len().min(MOST)];
    client
        .iter()
        .copied()
        .find(|algorithm| server.contains(algorithm))
}
