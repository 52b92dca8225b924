//! The rung `host-key`: which key a server would show, and what the client makes of it.

use std::net::IpAddr;

use crate::domain::{Evidence, KeySeen, Predicted, Reason, Why};
use crate::openssh::Release;
use crate::openssh::key::{CertificateRefusal, KeyKind, PublicKey};
use crate::openssh::known_hosts::{
    Acceptance, HostKeyCheck, HostKeyContext, HostKeyStatus, HostName, KnownHostsIndex,
    KnownHostsSet, Marker, Position, negotiate_host_key_algorithm,
};

use super::dialing::PathConfig;
use super::notes::Notes;
use super::path::{ClientPath, ServerPath, fact};
use super::revoked::{self, Revocation};

/// The known_hosts files of a client, and what is known about their being read.
pub(super) struct Recorded<'a> {
    pub(super) lookup: Lookup<'a>,
    /// Their paths; positions refer to them.
    pub(super) paths: &'a [String],
    /// Files that exist and that the account cannot read.
    pub(super) unreadable: &'a [String],
    /// Files whose contents the survey does not have.
    pub(super) unseen: &'a [String],
    /// Whether any line is a `@cert-authority`.
    pub(super) has_authority: bool,
}

/// The files, prepared for many questions or not.
pub(super) enum Lookup<'a> {
    Index(&'a KnownHostsIndex),
    Set(&'a KnownHostsSet),
}

impl Lookup<'_> {
    pub(super) fn set(&self) -> &KnownHostsSet {
        match self {
            Self::Index(index) => index.set(),
            Self::Set(set) => set,
        }
    }

    fn check(&self, host: &HostName, key: &PublicKey, at: &HostKeyContext<'_>) -> HostKeyCheck {
        match self {
            Self::Index(index) => index.check(host, key, at),
            Self::Set(set) => set.check(host, key, at),
        }
    }

    fn proposed<'a>(
        &self,
        host: &HostName,
        config: &'a PathConfig,
        at: &HostKeyContext<'_>,
    ) -> Vec<&'a str> {
        let algorithms = &config.host_key_algorithms;
        match self {
            Self::Index(index) => index.proposed_algorithms(host, algorithms, config.order, at),
            Self::Set(set) => set.proposed_algorithms(host, algorithms, config.order, at),
        }
    }
}

pub(super) fn has_authority(set: &KnownHostsSet) -> bool {
    set.files()
        .iter()
        .flat_map(|file| file.entries())
        .any(|(_, entry)| entry.marker == Marker::CertAuthority)
}

pub(super) fn judge(
    client: &ClientPath<'_>,
    server: &ServerPath<'_>,
    config: &PathConfig,
    host: &str,
    address: Option<IpAddr>,
    recorded: &Recorded<'_>,
    notes: &mut impl Notes,
) -> Predicted {
    let unknown = Predicted::Unknown(Why::NotPredictable);
    if server.side.keys.is_empty() {
        notes.add(|| {
            fact(
                server.node,
                "no host key could be read from its disk".to_owned(),
            )
        });
        return unknown;
    }
    let release = client
        .facts
        .ssh_version
        .as_deref()
        .and_then(Release::find)
        .unwrap_or(Release::NEWEST);
    // CheckHostIP is for names; what is dialled by its address has only that.
    let by_name = crate::openssh::parse_address(host).is_none();
    let check_address = address
        .filter(|_| config.check_address && by_name && config.alias.is_none())
        .map(|address| address.to_string());
    let context = HostKeyContext {
        now: u64::try_from(client.clock).unwrap_or(0),
        release,
        ca_signature_algorithms: config.ca_algorithms.as_deref(),
        host_key_algorithms: Some(&config.host_key_algorithms)
            .filter(|it| !it.is_empty())
            .map(String::as_str),
        check_address: check_address.as_deref(),
    };
    let name = config.host_name(host);
    let shown = if config.host_key_algorithms.is_empty() {
        server.side.keys.first()
    } else {
        let proposed = recorded.lookup.proposed(&name, config, &context);
        negotiate_host_key_algorithm(&proposed, &server.side.offered)
            .and_then(|algorithm| key_for(&server.side.keys, algorithm))
    };
    let Some(shown) = shown else {
        notes.add(|| {
            let text = "HostKeyAlgorithms of the client allow no key of the server".to_owned();
            fact(client.node, text)
        });
        return Predicted::Breaks(Reason::NoCommonAlgorithm);
    };
    notes.add(|| on_disk(server, shown));
    let check = recorded.lookup.check(&name, shown, &context);
    if let Some(predicted) = revoked_by_file(client, config, shown, notes) {
        return predicted;
    }
    if check.acceptance(config.strict, config.can_record) != Acceptance::Refused {
        return Predicted::Works;
    }
    let blame = Blame {
        client,
        server,
        recorded,
        check: &check,
        check_address: check_address.as_deref(),
    };
    let reason = blame.reason(shown);
    blame.write_down(&name, reason, notes);
    if matches!(reason, Reason::HostKeyRevoked) {
        return Predicted::Breaks(reason);
    }
    if !recorded.unseen.is_empty() || config.asks_command {
        notes.add(|| {
            fact(
                client.node,
                "known_hosts is not known as a whole".to_owned(),
            )
        });
        return unknown;
    }
    Predicted::Breaks(reason)
}

/// The first key that goes with the algorithm agreed on.
fn key_for<'a>(keys: &'a [PublicKey], algorithm: &str) -> Option<&'a PublicKey> {
    let (kind, is_certificate) = KeyKind::from_algorithm(algorithm)?;
    keys.iter()
        .find(|key| key.kind() == kind && key.certificate().is_some() == is_certificate)
}

fn revoked_by_file(
    client: &ClientPath<'_>,
    config: &PathConfig,
    shown: &PublicKey,
    notes: &mut impl Notes,
) -> Option<Predicted> {
    let path = config.revoked.as_deref()?;
    let file = client
        .facts
        .known_hosts
        .iter()
        .find(|file| file.path == path);
    let revocation = file.map_or(Revocation::Unknown, |file| revoked::check(file, shown));
    let (text, predicted) = match revocation {
        Revocation::Clear => return None,
        Revocation::Revoked => (
            "has the host key, as RevokedHostKeys",
            Predicted::Breaks(Reason::HostKeyRevoked),
        ),
        // ssh then refuses every host (`check_host_key` in sshconnect.c).
        Revocation::Unreadable => (
            "cannot be read, and RevokedHostKeys names it",
            Predicted::Breaks(Reason::RevokedHostKeysUnreadable),
        ),
        Revocation::Unknown => (
            "is what RevokedHostKeys names, and was not read",
            Predicted::Unknown(Why::NotPredictable),
        ),
    };
    notes.add(|| Evidence::FileLine {
        node: client.node.to_owned(),
        path: path.to_owned(),
        line: None,
        note: text.to_owned(),
    });
    notes.value("file", || path.to_owned());
    Some(predicted)
}

const NOWHERE: &str = "/dev/null";

/// Why a key was refused.
struct Blame<'a> {
    client: &'a ClientPath<'a>,
    server: &'a ServerPath<'a>,
    recorded: &'a Recorded<'a>,
    check: &'a HostKeyCheck,
    /// The address that `CheckHostIP` looks for too.
    check_address: Option<&'a str>,
}

impl Blame<'_> {
    fn reason(&self, shown: &PublicKey) -> Reason {
        let check = self.check;
        if let HostKeyStatus::Revoked { .. } = check.status {
            return Reason::HostKeyRevoked;
        }
        if let Some((refusal, _)) = &check.certificate {
            let reason = match refusal {
                CertificateRefusal::NotForHosts => Some(Reason::HostCertificateWrongType),
                CertificateRefusal::NotYetValid => Some(Reason::HostCertificateNotYetValid),
                CertificateRefusal::Expired => Some(Reason::HostCertificateExpired),
                CertificateRefusal::NoPrincipals | CertificateRefusal::NotAPrincipal => {
                    Some(Reason::HostCertificateWrongPrincipal)
                }
                CertificateRefusal::CriticalOption | CertificateRefusal::SignatureAlgorithm => {
                    Some(Reason::HostCertificateUnknownAuthority)
                }
                // A client that trusts no authority at all does without certificates.
                _ if self.recorded.has_authority => Some(Reason::HostCertificateUnknownAuthority),
                _ => None,
            };
            // What matters is the plain key where that one is recorded, and differs.
            let is_changed = matches!(check.status, HostKeyStatus::Changed { .. });
            let only_untrusted = matches!(refusal, CertificateRefusal::UntrustedAuthority);
            if let Some(reason) = reason
                && !(is_changed && only_untrusted)
            {
                return reason;
            }
        }
        match &check.status {
            HostKeyStatus::Changed { lines, .. } => self.changed(lines, shown),
            HostKeyStatus::Known { .. } => Reason::HostKeyChanged, // by its address: CheckHostIP
            HostKeyStatus::Unknown | HostKeyStatus::Revoked { .. } => {
                if self.recorded.unreadable.is_empty() {
                    Reason::HostKeyUnknown
                } else {
                    Reason::KnownHostsUnreadable
                }
            }
        }
    }

    /// Whether a recorded key could still be that of the server, had it a key of that kind.
    fn changed(&self, lines: &[Position], _shown: &PublicKey) -> Reason {
        let recorded = lines.iter().filter_map(|at| self.key_at(*at));
        let has_kind = |key: &PublicKey| {
            let keys = &self.server.side.keys;
            keys.iter()
                .any(|own| own.certificate().is_none() && own.kind() == key.kind())
        };
        let mut kinds = recorded.map(has_kind).peekable();
        if kinds.peek().is_some() && !kinds.any(|is_there| is_there) {
            Reason::HostKeyTypeGap
        } else {
            Reason::HostKeyChanged
        }
    }

    fn key_at(&self, at: Position) -> Option<&PublicKey> {
        let files = self.recorded.lookup.set().files();
        files.get(at.file)?.entry(at.line).map(|entry| &entry.key)
    }

    fn write_down(&self, name: &HostName, reason: Reason, notes: &mut impl Notes) {
        let path = |at: Position| {
            self.recorded
                .paths
                .get(at.file)
                .cloned()
                .unwrap_or_default()
        };
        let line = |at: Position, note: String| Evidence::FileLine {
            node: self.client.node.to_owned(),
            path: path(at),
            line: u32::try_from(at.line).ok(),
            note,
        };
        if let Some((refusal, at)) = &self.check.certificate {
            let text = format!("host certificate refused: {refusal}");
            match at {
                Some(at) => notes.add(|| line(*at, text)),
                None => notes.add(|| fact(self.client.node, text)),
            }
        }
        let address = self.check.address.as_ref().zip(self.check_address);
        if let Some((HostKeyStatus::Changed { .. }, address)) = address
            && matches!(self.check.status, HostKeyStatus::Known { .. })
        {
            // The line of the name is right.
            notes.value("name", || address.to_owned());
        }
        let first = name.first();
        let by_name = (&self.check.status, first.as_str());
        for (status, name) in std::iter::once(by_name).chain(address) {
            match status {
                HostKeyStatus::Changed { lines, .. } => {
                    for at in lines {
                        notes.add(|| line(*at, format!("another key for `{name}`")));
                        if let Some(key) = self.key_at(*at) {
                            let node = self.client.node;
                            notes.add(|| {
                                key_evidence(KeySeen::Recorded, node, key, Some(path(*at)))
                            });
                        }
                    }
                    if let Some(at) = lines.last() {
                        notes.value("file", || path(*at));
                    }
                }
                HostKeyStatus::Revoked { at } => {
                    notes.add(|| line(*at, "marks the key as revoked".to_owned()));
                    notes.value("file", || path(*at));
                }
                HostKeyStatus::Known { .. } | HostKeyStatus::Unknown => {}
            }
        }
        for path in &self.server.side.left_out {
            notes.add(|| Evidence::FileLine {
                node: self.server.node.to_owned(),
                path: (*path).to_owned(),
                line: None,
                note: "sshd does not load this key (a private key must not be readable by others)"
                    .to_owned(),
            });
        }
        for path in self.recorded.unreadable {
            notes.add(|| Evidence::FileLine {
                node: self.client.node.to_owned(),
                path: path.clone(),
                line: None,
                note: "exists, but the account cannot read it".to_owned(),
            });
            notes.value("file", || path.clone());
        }
        if matches!(reason, Reason::HostKeyUnknown) {
            let files = self.recorded.paths.join(" ");
            let text = format!("no line for `{}` in {files}", name.first());
            notes.add(|| fact(self.client.node, text));
            // Whoever had nothing recorded has to name a file first.
            if let Some(first) = self.recorded.paths.first().filter(|it| *it != NOWHERE) {
                notes.value("file", || first.clone());
            }
        }
    }
}

fn on_disk(server: &ServerPath<'_>, shown: &PublicKey) -> Evidence {
    let keys = &server.side.keys;
    let path = keys
        .iter()
        .zip(&server.side.key_files)
        .find(|(key, _)| *key == shown)
        .map(|(_, path)| (*path).to_owned());
    key_evidence(KeySeen::OnDisk, server.node, shown, path)
}

pub(super) fn key_evidence(
    seen: KeySeen,
    node: &str,
    key: &PublicKey,
    path: Option<String>,
) -> Evidence {
    Evidence::Key {
        seen,
        node: node.to_owned(),
        key_type: key.type_name().to_owned(),
        fingerprint: key.fingerprint().to_string(),
        path,
    }
}
