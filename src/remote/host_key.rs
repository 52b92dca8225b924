//! Whether the host key of a control connection is the right one.
//!
//! Fingerprints pinned in the inventory decide alone. Otherwise `known_hosts` files do, with OpenSSH's meaning
//! ([`crate::openssh::known_hosts`]) and with its defaults for `CASignatureAlgorithms` and `HostKeyAlgorithms`, less
//! what only security tokens use.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::{Algorithm, EcdsaCurve, HashAlg};
use tokio::sync::Mutex;

use super::environment::Environment;
use super::error::Failure;
use crate::domain::{HostKeyTrust, Why};
use crate::openssh::key::PublicKey;
use crate::openssh::known_hosts::{
    Acceptance, HostKeyCheck, HostKeyContext, HostKeyStatus, HostName, KeyTypeOrder, KnownHosts,
    KnownHostsSet, Position, StrictHostKeyChecking,
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

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The number of the line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Why a host key was not accepted. Nothing but the key exchange was sent to that machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyProblem {
    /// The name that was looked up: as it is written in `known_hosts`, with `[…]:port` for ports other than 22.
    pub host: String,
    /// The key presented, without its certificate.
    pub key: PublicKey,
    /// What is wrong with it.
    pub fault: HostKeyFault,
    /// Why its certificate did not help, when it came with one.
    pub certificate: Option<String>,
    /// Where the operator's own known keys are: the file to which [`super::record_host_key`] would add this one.
    pub record_in: PathBuf,
}

/// What is wrong with a host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyFault {
    /// None of these files has a key for that name.
    Unknown {
        /// The files, in the order searched.
        searched: Vec<PathBuf>,
    },
    /// Only other keys are recorded for that name.
    Changed {
        /// Where.
        recorded: Vec<Place>,
    },
    /// It, or the authority of its certificate, is marked `@revoked`.
    Revoked {
        /// Where.
        by: Place,
    },
    /// Its fingerprint is not among those pinned in the inventory.
    NotPinned {
        /// Those pinned.
        pinned: Vec<String>,
        /// The keys that were presented before this one, when the host was asked for its keys of other types.
        also: Vec<String>,
    },
}

impl fmt::Display for HostKeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.described_key();
        let host = &self.host;
        match &self.fault {
            HostKeyFault::Unknown { searched } => write!(
                f,
                "host key of {host} is unknown: {key} is not in {}",
                list(searched.iter().map(|path| path.display()))
            )?,
            HostKeyFault::Changed { recorded } => write!(
                f,
                "host key of {host} has changed: {key} is presented, another is recorded in {}",
                list(recorded)
            )?,
            HostKeyFault::Revoked { by } => {
                write!(f, "host key of {host} is revoked: {key}, by {by}")?;
            }
            HostKeyFault::NotPinned { pinned, also } => write!(
                f,
                "host key of {host} is not the one pinned: {} presented, {} pinned",
                list(also.iter().chain([&key])),
                list(pinned)
            )?,
        }
        if let Some(certificate) = &self.certificate {
            write!(f, "; its certificate does not help: {certificate}")?;
        }
        Ok(())
    }
}

impl std::error::Error for HostKeyProblem {}

impl HostKeyProblem {
    /// The key as it is shown: `ED25519 SHA256:…`.
    pub(super) fn described_key(&self) -> String {
        describe(&self.key)
    }
}

fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.kind().short_name(), key.fingerprint())
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

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
    /// The SSH library puts all certificate algorithms before all others. So those that OpenSSH would put behind a
    /// plain one are left out; without a trusted authority a certificate adds nothing to its plain key.
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
        let first_plain = names
            .iter()
            .position(|name| !is_certificate(name))
            .unwrap_or(names.len());
        Proposal {
            certificates: algorithms(names[..first_plain].iter().copied(), true),
            plain: algorithms(names.iter().copied(), false),
        }
    }

    /// Whether the key, or the certificate, that the host presents is acceptable. That the host has the private half
    /// is proven by the key exchange.
    pub(super) fn verify(&self, presented: &PublicKeyOrCertificate) -> Result<(), Failure> {
        let offered = read_presented(presented)?;
        if self.is_pinned() {
            if self.pinned.contains(&offered.fingerprint().to_string()) {
                return Ok(());
            }
            let fault = HostKeyFault::NotPinned {
                pinned: self.pinned.clone(),
                also: Vec::new(),
            };
            return Err(self.problem(&offered, fault, None).into());
        }
        let check = self.known.check(&self.host, &offered, &self.context());
        if check.acceptance(StrictHostKeyChecking::Yes, false) == Acceptance::Verified {
            return Ok(());
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
