//! Whether the host key of a control connection is the right one.
//!
//! Fingerprints pinned in the inventory decide alone. Otherwise `known_hosts` files do, with OpenSSH's meaning
//! ([`crate::openssh::known_hosts`]) and with its defaults for `CASignatureAlgorithms` and `HostKeyAlgorithms`, less
//! what only security tokens use.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::{Algorithm, EcdsaCurve, HashAlg};
use tokio::sync::Mutex;

use super::environment::Environment;
use super::error::Failure;
use super::host_key_problem::{HostKeyFault, HostKeyProblem, Place};
use crate::domain::{HostKeyTrust, Why};
use crate::openssh::key::PublicKey;
use crate::openssh::known_hosts::{
    Acceptance, HostKeyCheck, HostKeyContext, HostKeyStatus, HostName, KeyTypeOrder, KnownHosts,
    KnownHostsSet, Marker, Position, StrictHostKeyChecking,
};

/// The system's file, read after the operator's (ssh_config(5), `GlobalKnownHostsFile`).
const GLOBAL_KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";

/// Larger than any real file (a million lines), small enough to be read whole.
const LARGEST_KNOWN_HOSTS: u64 = 256 * 1024 * 1024;

/// ssh_config(5), `HostKeyAlgorithms`, in its default order.
const HOST_KEY_ALGORITHMS: &str = "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,\
    rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,\
    ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256";

/// ssh_config(5), `CASignatureAlgorithms`.
const CA_SIGNATURE_ALGORITHMS: &str = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
    rsa-sha2-512,rsa-sha2-256";

/// The `known_hosts` files of a run, each read once.
#[derive(Debug)]
pub(super) struct KnownKeys {
    environment: Environment,
    files: Mutex<HashMap<PathBuf, Result<Arc<KnownHosts>, Failure>>>,
}

impl KnownKeys {
    pub(super) fn new(environment: Environment) -> Self {
        Self {
            environment,
            files: Mutex::default(),
        }
    }

    /// What will be asked of the key of this host.
    pub(super) async fn policy(
        &self,
        address: &str,
        port: u16,
        trust: &HostKeyTrust,
    ) -> Result<HostKeyPolicy, Failure> {
        let paths = self.paths(trust);
        let mut files = Vec::with_capacity(paths.len());
        if trust.pinned.is_empty() {
            for path in &paths {
                files.push(self.file(path).await?);
            }
        }
        Ok(HostKeyPolicy {
            host: HostName::new(address, port).with_alias(trust.alias.as_deref()),
            pinned: trust.pinned.clone(),
            known: KnownHostsSet::new(files),
            paths,
            now: (self.environment.now)(),
        })
    }

    fn paths(&self, trust: &HostKeyTrust) -> Vec<PathBuf> {
        if trust.known_hosts.is_empty() {
            vec![
                self.environment.home.join(".ssh/known_hosts"),
                GLOBAL_KNOWN_HOSTS.into(),
            ]
        } else {
            let expand = |path: &PathBuf| self.environment.expand(path);
            trust.known_hosts.iter().map(expand).collect()
        }
    }

    async fn file(&self, path: &Path) -> Result<Arc<KnownHosts>, Failure> {
        let mut files = self.files.lock().await;
        if let Some(known) = files.get(path) {
            return known.clone();
        }
        let read = read_known_hosts(path).await;
        files.insert(path.to_path_buf(), read.clone());
        read
    }
}

/// A missing file is an empty one, as for OpenSSH; anything else that cannot be read is an error: what it would have
/// said is not known.
async fn read_known_hosts(path: &Path) -> Result<Arc<KnownHosts>, Failure> {
    let cannot_read = |error| {
        Failure::new(
            Why::ControlHostKey,
            format!("cannot read known_hosts file {}", path.display()),
        )
        .because(error)
    };
    match super::files::read_bounded(path, LARGEST_KNOWN_HOSTS).await {
        Ok(bytes) => Ok(Arc::new(KnownHosts::parse(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Arc::new(KnownHosts::parse(Vec::new())))
        }
        Err(error) => Err(cannot_read(error)),
    }
}

/// What makes the key of one host acceptable.
#[derive(Debug)]
pub(super) struct HostKeyPolicy {
    host: HostName,
    pinned: Vec<String>,
    known: KnownHostsSet,
    paths: Vec<PathBuf>,
    now: u64,
}

/// The host key algorithms to propose: those for certificates, which go first, and the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) certificates: Vec<Algorithm>,
    pub(super) plain: Vec<Algorithm>,
}

impl HostKeyPolicy {
    /// Whether only pinned fingerprints count, so that it is not known beforehand of which type the right key is.
    pub(super) fn is_pinned(&self) -> bool {
        !self.pinned.is_empty()
    }

    /// What OpenSSH would propose to this host: types already known first.
    ///
    /// The SSH library puts all certificate algorithms before all others, so those that OpenSSH would put behind a plain
    /// one are left out. They all are when no line has a marker: then a certificate says no more than its plain key.
    pub(super) fn proposal(&self) -> Proposal {
        if self.is_pinned() {
            return Proposal {
                certificates: Vec::new(),
                plain: algorithms(HOST_KEY_ALGORITHMS.split(','), false),
            };
        }
        let names = self.known.proposed_algorithms(
            &self.host,
            HOST_KEY_ALGORITHMS,
            KeyTypeOrder::KnownFirst,
            &self.context(),
        );
        let has_markers = self
            .known
            .files()
            .iter()
            .flat_map(|file| file.entries())
            .any(|(_, entry)| entry.marker != Marker::None);
        let certificates = names
            .iter()
            .copied()
            .take_while(|name| has_markers && is_certificate(name));
        Proposal {
            certificates: algorithms(certificates, true),
            plain: algorithms(names.iter().copied(), false),
        }
    }

    /// The key, or the certificate, that the host presents, if it is acceptable. That the host has the private half is
    /// proven by the key exchange.
    pub(super) fn verify(&self, presented: &PublicKeyOrCertificate) -> Result<PublicKey, Failure> {
        let offered = read_presented(presented)?;
        if self.is_pinned() {
            if self.pinned.contains(&offered.fingerprint().to_string()) {
                return Ok(offered);
            }
            let fault = HostKeyFault::NotPinned {
                pinned: self.pinned.clone(),
                also: Vec::new(),
            };
            return Err(self.problem(&offered, fault, None).into());
        }
        let check = self.known.check(&self.host, &offered, &self.context());
        if check.acceptance(StrictHostKeyChecking::Yes, false) == Acceptance::Verified {
            return Ok(offered);
        }
        let certificate = self.certificate_refusal(&check);
        Err(self
            .problem(&offered, self.fault(&check), certificate)
            .into())
    }

    fn fault(&self, check: &HostKeyCheck) -> HostKeyFault {
        match &check.status {
            HostKeyStatus::Revoked { at } => HostKeyFault::Revoked {
                by: self.place(*at),
            },
            HostKeyStatus::Changed { lines, .. } => HostKeyFault::Changed {
                recorded: lines.iter().map(|at| self.place(*at)).collect(),
            },
            HostKeyStatus::Known { .. } | HostKeyStatus::Unknown => {
                match check.without_port.as_ref().map(|second| &second.status) {
                    Some(HostKeyStatus::Revoked { at }) => HostKeyFault::Revoked {
                        by: self.place(*at),
                    },
                    _ => HostKeyFault::Unknown {
                        searched: self.paths.clone(),
                    },
                }
            }
        }
    }

    fn certificate_refusal(&self, check: &HostKeyCheck) -> Option<String> {
        let (refusal, trusted_by) = check.certificate.as_ref()?;
        Some(match trusted_by {
            Some(at) => format!(
                "{refusal} (its authority is trusted by {})",
                self.place(*at)
            ),
            None => refusal.to_string(),
        })
    }

    fn problem(
        &self,
        offered: &PublicKey,
        fault: HostKeyFault,
        certificate: Option<String>,
    ) -> HostKeyProblem {
        HostKeyProblem {
            host: self.host.first(),
            key: offered.to_plain(),
            fault,
            certificate,
            record_in: self.paths.first().cloned().unwrap_or_default(),
        }
    }

    fn place(&self, at: Position) -> Place {
        Place {
            file: self.paths.get(at.file).cloned().unwrap_or_default(),
            line: at.line,
        }
    }

    fn context(&self) -> HostKeyContext<'_> {
        HostKeyContext {
            ca_signature_algorithms: Some(CA_SIGNATURE_ALGORITHMS),
            host_key_algorithms: Some(HOST_KEY_ALGORITHMS),
            ..HostKeyContext::at(self.now)
        }
    }
}

fn read_presented(presented: &PublicKeyOrCertificate) -> Result<PublicKey, Failure> {
    let blob = match presented {
        PublicKeyOrCertificate::PublicKey { key, .. } => key.to_bytes(),
        PublicKeyOrCertificate::Certificate(certificate) => certificate.to_bytes(),
    };
    let unusable = || {
        Failure::new(
            Why::ControlHostKey,
            "the host key presented is not one that OpenSSH would read",
        )
    };
    let blob = blob.map_err(|error| unusable().because(error))?;
    PublicKey::from_wire(&blob).map_err(|error| unusable().because(error))
}

fn is_certificate(name: &str) -> bool {
    name.ends_with("-cert-v01@openssh.com")
}

fn algorithms<'a>(names: impl Iterator<Item = &'a str>, certificates: bool) -> Vec<Algorithm> {
    names
        .filter(|name| is_certificate(name) == certificates)
        .filter_map(|name| {
            let plain = name.strip_suffix("-cert-v01@openssh.com").unwrap_or(name);
            Some(match plain {
                "ssh-ed25519" => Algorithm::Ed25519,
                "ecdsa-sha2-nistp256" => ecdsa(EcdsaCurve::NistP256),
                "ecdsa-sha2-nistp384" => ecdsa(EcdsaCurve::NistP384),
                "ecdsa-sha2-nistp521" => ecdsa(EcdsaCurve::NistP521),
                "rsa-sha2-512" => rsa(HashAlg::Sha512),
                "rsa-sha2-256" => rsa(HashAlg::Sha256),
                _ => return None,
            })
        })
        .collect()
}

fn ecdsa(curve: EcdsaCurve) -> Algorithm {
    Algorithm::Ecdsa { curve }
}

fn rsa(hash: HashAlg) -> Algorithm {
    Algorithm::Rsa { hash: Some(hash) }
}

#[cfg(test)]
impl HostKeyPolicy {
    pub(super) fn pinned(address: &str, port: u16, pinned: &[&str]) -> Self {
        Self {
            host: HostName::new(address, port),
            pinned: pinned.iter().map(ToString::to_string).collect(),
            known: KnownHostsSet::default(),
            paths: Vec::new(),
            now: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBG1+D2E1/12FoLScAb5c6PtMI923nSt/1inB5hs9rqw0IXa+VcoPG+Z6NE3ozRe0OZYApnqfQW5vmvHX9NMpoA0=";

    fn policy(known: &str, pinned: &[&str]) -> HostKeyPolicy {
        HostKeyPolicy {
            host: HostName::new("cmp001", 22),
            pinned: pinned.iter().map(ToString::to_string).collect(),
            known: KnownHostsSet::new(vec![Arc::new(KnownHosts::parse(known))]),
            paths: vec!["/known".into()],
            now: 0,
        }
    }

    fn names(algorithms: &[Algorithm]) -> Vec<&str> {
        algorithms.iter().map(Algorithm::as_str).collect()
    }

    const USUAL: [&str; 6] = [
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "rsa-sha2-512",
        "rsa-sha2-256",
    ];

    #[test]
    fn types_that_are_known_come_first() {
        let proposal = policy(&format!("cmp001 {ECDSA}\n"), &[]).proposal();
        assert_eq!(
            names(&proposal.plain)[..2],
            ["ecdsa-sha2-nistp256", "ssh-ed25519"]
        );
        assert!(proposal.certificates.is_empty());
        let proposal = policy(&format!("other {ECDSA}\n"), &[]).proposal();
        assert_eq!(names(&proposal.plain), USUAL);
    }

    #[test]
    fn certificates_are_asked_for_where_an_authority_is_trusted() {
        let proposal = policy(&format!("@cert-authority cmp* {ED25519}\n"), &[]).proposal();
        assert_eq!(names(&proposal.certificates), USUAL);
        assert_eq!(names(&proposal.plain), USUAL);
    }

    #[test]
    fn pinned_fingerprints_do_not_depend_on_files() {
        let proposal = policy(
            &format!("@cert-authority * {ED25519}\ncmp001 {ECDSA}\n"),
            &["SHA256:x"],
        )
        .proposal();
        assert!(proposal.certificates.is_empty());
        assert_eq!(names(&proposal.plain), USUAL);
    }
}
