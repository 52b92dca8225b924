//! The keys that clearway logs in with: files, certificates beside them, and ssh-agent.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, decode_secret_key};
use tokio::net::UnixStream;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;

use super::environment::Environment;
use super::error::Failure;
use super::files::read_bounded;
use super::login::Login;
use crate::domain::Why;

/// The files that ssh tries when none are configured (ssh_config(5), `IdentityFile`), less those of security tokens.
const DEFAULT_FILES: [&str; 3] = [".ssh/id_rsa", ".ssh/id_ecdsa", ".ssh/id_ed25519"];

/// sshd's `MaxAuthTries` is 6 by default, and an attempt that uses it up ends the connection.
const MOST_OFFERS: usize = 5;

/// Larger than any key file.
const LARGEST_FILE: u64 = 1024 * 1024;

/// One key that can be offered to a server.
#[derive(Debug, Clone)]
pub(super) enum Offer {
    /// A private key read from a file.
    Key {
        key: Arc<PrivateKey>,
        from: Arc<str>,
    },
    /// A private key from a file with the certificate beside it.
    Certificate {
        key: Arc<PrivateKey>,
        certificate: Certificate,
        from: Arc<str>,
    },
    /// A key or certificate that ssh-agent signs with.
    Agent { identity: AgentIdentity },
}

impl Offer {
    /// Of the key, also where a certificate is offered for it: `SHA256:…`.
    pub(super) fn fingerprint(&self) -> String {
        let fingerprint = match self {
            Self::Key { key, .. } | Self::Certificate { key, .. } => {
                key.fingerprint(HashAlg::Sha256)
            }
            Self::Agent { identity } => identity.public_key().fingerprint(HashAlg::Sha256),
        };
        fingerprint.to_string()
    }

    /// `SHA256:… (where it is from)`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Key { key, from } => format!("{} ({from})", key.fingerprint(HashAlg::Sha256)),
            Self::Certificate { key, from, .. } => {
                format!(
                    "certificate of {} ({from})",
                    key.fingerprint(HashAlg::Sha256)
                )
            }
            Self::Agent { identity } => {
                let certificate = match identity {
                    AgentIdentity::PublicKey { .. } => "",
                    AgentIdentity::Certificate { .. } => "certificate of ",
                };
                let fingerprint = identity.public_key().fingerprint(HashAlg::Sha256);
                format!("{certificate}{fingerprint} (ssh-agent)")
            }
        }
    }

    pub(super) fn is_rsa(&self) -> bool {
        match self {
            Self::Key { key, .. } | Self::Certificate { key, .. } => key.algorithm().is_rsa(),
            Self::Agent { identity } => identity.public_key().algorithm().is_rsa(),
        }
    }
}

/// What is offered to one server, in order, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) keys: Vec<Offer>,
    /// Keys that cannot be used, each with the reason.
    pub(super) unusable: Vec<String>,
    /// How many more keys there were than a server accepts to be tried.
    pub(super) left_out: usize,
    pub(super) agent_socket: Option<PathBuf>,
}

/// What a key file holds.
#[derive(Debug)]
struct KeyFile {
    key: FileKey,
    /// The certificate beside it, or what is wrong with that.
    certificate: Result<Option<Certificate>, String>,
}

#[derive(Debug)]
enum FileKey {
    /// A private key that can sign.
    Private(Arc<PrivateKey>),
    /// A key that only ssh-agent can sign with; without an agent that holds it, `otherwise` is why it is of no use.
    AgentOnly {
        public: PublicKey,
        otherwise: &'static str,
    },
    /// No key that can be used, and why.
    Unusable(String),
}

/// How long ssh-agent may take to list its keys.
const AGENT_DEADLINE: Duration = Duration::from_secs(5);

impl Offers {
    /// Whether the agent is asked to sign with this key anyway.
    fn has(&self, public: &PublicKey) -> bool {
        self.keys.iter().any(|offer| match offer {
            Offer::Agent {
                identity: AgentIdentity::PublicKey { key, .. },
            } => key.key_data() == public.key_data(),
            _ => false,
        })
    }
}

/// The keys of a run, each file read once, the agent asked once for what it holds.
#[derive(Debug)]
pub(super) struct Identities {
    environment: Environment,
    files: Mutex<HashMap<PathBuf, Arc<io::Result<KeyFile>>>>,
    agent: OnceCell<Result<Vec<AgentIdentity>, String>>,
}

impl Identities {
    pub(super) fn new(environment: Environment) -> Self {
        Self {
            environment,
            files: Mutex::default(),
            agent: OnceCell::new(),
        }
    }

    /// The keys for a login: those listed; if none are, all of the agent's and then the usual files.
    ///
    /// # Errors
    /// [`Why::ControlIdentity`] when there is nothing to offer, with the reason for each key that cannot be used.
    pub(super) async fn offers(&self, login: &Login) -> Result<Offers, Failure> {
        let mut offers = Offers {
            agent_socket: self.environment.agent_socket.clone(),
            ..Offers::default()
        };
        let held = self.held_by_agent(login, &mut offers.unusable).await;
        if login.identities.is_empty() {
            offers.keys.extend(
                held.iter()
                    .cloned()
                    .map(|identity| Offer::Agent { identity }),
            );
            for name in DEFAULT_FILES {
                let path = self.environment.home.join(name);
                self.add_file(&path, true, held, &mut offers).await;
            }
        } else {
            for path in &login.identities {
                let path = self.environment.expand(path);
                self.add_file(&path, false, held, &mut offers).await;
            }
        }
        offers.left_out = offers.keys.len().saturating_sub(MOST_OFFERS);
        offers.keys.truncate(MOST_OFFERS);
        if !offers.keys.is_empty() {
            return Ok(offers);
        }
        let why = if offers.unusable.is_empty() {
            "no private key to offer: none of the usual files exists, and ssh-agent has none"
                .to_owned()
        } else {
            format!("no private key to offer: {}", offers.unusable.join("; "))
        };
        Err(Failure::new(Why::ControlIdentity, why))
    }

    async fn held_by_agent(&self, login: &Login, unusable: &mut Vec<String>) -> &[AgentIdentity] {
        let Some(socket) = self
            .environment
            .agent_socket
            .as_deref()
            .filter(|_| login.agent)
        else {
            return &[];
        };
        let ask = || async {
            let listing = async {
                let mut agent = AgentClient::connect_uds(socket).await?;
                agent.request_identities().await
            };
            let trouble = match timeout(AGENT_DEADLINE, listing).await {
                Ok(Ok(held)) => return Ok(held),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            Err(format!("ssh-agent at {}: {trouble}", socket.display()))
        };
        match self.agent.get_or_init(ask).await {
            Ok(held) => held,
            Err(trouble) => {
                unusable.push(trouble.clone());
                &[]
            }
        }
    }

    async fn add_file(
        &self,
        path: &Path,
        may_miss: bool,
        held: &[AgentIdentity],
        offers: &mut Offers,
    ) {
        let file = self.file(path).await;
        let from: Arc<str> = path.display().to_string().into();
        let file = match &*file {
            Ok(file) => file,
            Err(error) if may_miss && error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                offers.unusable.push(format!("{from}: {error}"));
                return;
            }
        };
        match &file.key {
            FileKey::Private(key) if offers.has(key.public_key()) => {}
            FileKey::Private(key) => {
                if let Some(certificate) = self.valid_certificate(file, &from, &mut offers.unusable)
                {
                    offers.keys.push(Offer::Certificate {
                        key: key.clone(),
                        certificate,
                        from: from.clone(),
                    });
                }
                let key = key.clone();
                offers.keys.push(Offer::Key { key, from });
            }
            FileKey::AgentOnly { public, .. } if offers.has(public) => {}
            FileKey::AgentOnly { public, otherwise } => {
                let before = offers.keys.len();
                let same = |identity: &&AgentIdentity| {
                    identity.public_key().key_data() == public.key_data()
                };
                let found = held.iter().filter(same).cloned();
                offers
                    .keys
                    .extend(found.map(|identity| Offer::Agent { identity }));
                if offers.keys.len() == before {
                    offers.unusable.push(format!("{from}: {otherwise}"));
                }
            }
            FileKey::Unusable(trouble) => offers.unusable.push(format!("{from}: {trouble}")),
        }
    }

    /// A server that refuses a certificate counts it as a failed attempt, so a useless one is not sent.
    fn valid_certificate(
        &self,
        file: &KeyFile,
        from: &str,
        unusable: &mut Vec<String>,
    ) -> Option<Certificate> {
        let certificate = match &file.certificate {
            Ok(certificate) => certificate.as_ref()?,
            Err(trouble) => {
                unusable.push(format!("{from}: {trouble}"));
                return None;
            }
        };
        let now = (self.environment.now)();
        let trouble = if certificate.cert_type() != CertType::User {
            "is not for users"
        } else if now < certificate.valid_after() {
            "is not valid yet"
        } else if now >= certificate.valid_before() {
            "has expired"
        } else {
            return Some(certificate.clone());
        };
        unusable.push(format!("{from}: the certificate beside it {trouble}"));
        None
    }

    async fn file(&self, path: &Path) -> Arc<io::Result<KeyFile>> {
        let mut files = self.files.lock().await;
        if let Some(file) = files.get(path) {
            return file.clone();
        }
        let file = Arc::new(read_key_file(path).await);
        files.insert(path.to_path_buf(), file.clone());
        file
    }
}

/// A path with something appended to its last part.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

async fn read_key_file(path: &Path) -> io::Result<KeyFile> {
    let text = String::from_utf8_lossy(&read_bounded(path, LARGEST_FILE).await?).into_owned();
    let key = if text.contains("-----BEGIN ") {
        read_private(path, &text).await
    } else {
        match PublicKey::from_openssh(text.trim()) {
            Ok(public) => FileKey::AgentOnly {
                public,
                otherwise: "a public key whose private half ssh-agent does not hold",
            },
            Err(error) => FileKey::Unusable(format!("not a key: {error}")),
        }
    };
    let certificate = match &key {
        FileKey::Private(key) => read_certificate(path, key.public_key()).await,
        FileKey::AgentOnly { .. } | FileKey::Unusable(_) => Ok(None),
    };
    Ok(KeyFile { key, certificate })
}

async fn read_private(path: &Path, text: &str) -> FileKey {
    // OpenSSH's own format tells the public half without the passphrase.
    let public = match PrivateKey::from_openssh(text) {
        Ok(key) if key.is_encrypted() => Some(key.public_key().clone()),
        _ => match decode_secret_key(text, None) {
            Ok(key) => return FileKey::Private(Arc::new(key)),
            Err(_) if text.contains("ENCRYPTED") => read_public(&beside(path, ".pub")).await,
            Err(error) => return FileKey::Unusable(format!("not a private key: {error}")),
        },
    };
    let otherwise = "encrypted with a passphrase, and ssh-agent does not hold it";
    match public {
        Some(public) => FileKey::AgentOnly { public, otherwise },
        None => FileKey::Unusable(otherwise.to_owned()),
    }
}

async fn read_public(path: &Path) -> Option<PublicKey> {
    let bytes = read_bounded(path, LARGEST_FILE).await.ok()?;
    PublicKey::from_openssh(String::from_utf8_lossy(&bytes).trim()).ok()
}

/// `KEY-cert.pub` (ssh_config(5), `CertificateFile`).
async fn read_certificate(path: &Path, public: &PublicKey) -> Result<Option<Certificate>, String> {
    let path = beside(path, "-cert.pub");
    let bytes = match read_bounded(&path, LARGEST_FILE).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("the certificate beside it cannot be read: {error}")),
    };
    let certificate = Certificate::from_openssh(String::from_utf8_lossy(&bytes).trim())
        .map_err(|error| format!("the certificate beside it is damaged: {error}"))?;
    if public.key_data() != certificate.public_key() {
        return Err("the certificate beside it is for another key".to_owned());
    }
    Ok(Some(certificate))
}

/// Connects to the agent for the signatures of one login.
pub(super) async fn connect_agent(
    socket: &Path,
) -> Result<AgentClient<UnixStream>, russh::keys::Error> {
    AgentClient::connect_uds(socket).await
}
