//! `ssh-keygen`, run so that it can neither ask nor hang.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::task::JoinSet;

use super::authority::{AuthorityKey, KeySource};
use super::error::{SignerError, SignerFault};
use super::scratch::{Scratch, read};
use crate::openssh::key::{CertRole, KeyKind, PublicKey};
use crate::repair::certificates::{CertificateRequest, Signed, check_signed};
use crate::system;

/// Longest public key file, certificate and message that is read.
const LONGEST: u64 = 64 * 1024;
/// Longest revocation list: what a survey reads of a file.
const LONGEST_LIST: u64 = 1 << 20;
/// How many run at once. A token does one thing at a time.
const AT_ONCE: usize = 4;

/// Signs with `ssh-keygen`. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The program; found on the search path when it has no slash.
    pub program: PathBuf,
    /// The agent's socket (`SSH_AUTH_SOCK`).
    pub agent_socket: Option<PathBuf>,
    /// Where private directories are made.
    pub scratch: PathBuf,
    /// How long one signature may take. Somebody may have to touch a token.
    pub deadline: Duration,
}

impl Signer {
    /// The `ssh-keygen` of this machine, with thirty seconds for each signature.
    #[must_use]
    pub fn new(agent_socket: Option<PathBuf>, scratch: PathBuf) -> Self {
        Self {
            program: "ssh-keygen".into(),
            agent_socket,
            scratch,
            deadline: Duration::from_secs(30),
        }
    }

    /// Reads the public half of an authority's key. The private half is not touched.
    ///
    /// # Errors
    /// [`SignerError::Public`] where there is none, or it is a certificate.
    pub fn authority(&self, source: KeySource) -> Result<AuthorityKey, SignerError> {
        let path = source.public_file();
        let fail = |why: String| SignerError::Public {
            path: path.clone(),
            why,
        };
        let bytes = read(&path, LONGEST).map_err(|error| fail(error.to_string()))?;
        let (public, _) = PublicKey::read_file(&bytes).map_err(|error| fail(error.to_string()))?;
        if public.certificate().is_some() {
            return Err(fail("it is a certificate, which cannot sign".to_owned()));
        }
        Ok(AuthorityKey { source, public })
    }

    /// Signs all requests, or none; the results are in their order, each held against its request.
    ///
    /// # Errors
    /// The first thing that went wrong; the rest is given up.
    pub async fn sign(
        &self,
        authority: &AuthorityKey,
        requests: Vec<CertificateRequest>,
    ) -> Result<Vec<Signed>, SignerError> {
        let scratch = Arc::new(Scratch::new(&self.scratch, &system::random_name())?);
        let at_once = match authority.source {
            KeySource::Token { .. } => 1,
            KeySource::File(_) | KeySource::Agent(_) => AT_ONCE,
        };
        let mut waiting = requests.into_iter().enumerate();
        let mut running = JoinSet::new();
        let mut signed = Vec::new();
        loop {
            while running.len() < at_once
                && let Some((number, request)) = waiting.next()
            {
                let (this, authority) = (self.clone(), authority.clone());
                let scratch = Arc::clone(&scratch);
                running.spawn(async move {
                    let done = this.sign_one(&authority, request, number, &scratch).await;
                    done.map(|signed| (number, signed))
                });
            }
            match running.join_next().await {
                None => break,
                Some(Ok(done)) => signed.push(done?),
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        signed.sort_by_key(|(number, _)| *number);
        Ok(signed.into_iter().map(|(_, signed)| signed).collect())
    }

    async fn sign_one(
        &self,
        authority: &AuthorityKey,
        request: CertificateRequest,
        number: usize,
        scratch: &Scratch,
    ) -> Result<Signed, SignerError> {
        let key = format!("{}\n", request.key);
        let file = scratch.write(&format!("{number}.pub"), key.as_bytes())?;
        let mut arguments: Vec<OsString> = vec!["-q".into()];
        arguments.extend(sign_with(authority));
        if authority.public.kind() == KeyKind::Rsa {
            // Releases before 8.2 sign with SHA-1 otherwise.
            arguments.extend(["-t", "rsa-sha2-512"].map(Into::into));
        }
        if request.role == CertRole::Host {
            arguments.push("-h".into());
        } else {
            arguments.extend(["-O", "clear"].map(Into::into));
            if let Some(addresses) = request.source_address() {
                arguments.extend(["-O".into(), format!("source-address={addresses}").into()]);
            }
        }
        let life = format!(
            "{}:{}",
            wall_time(request.valid_after)?,
            wall_time(request.valid_before)?
        );
        let serial = request.serial.to_string();
        let principals = request.principals.join(",");
        for (option, value) in [
            ("-I", request.key_id.as_str()),
            ("-n", &principals),
            ("-V", &life),
            ("-z", &serial),
        ] {
            arguments.extend([option.into(), value.into()]);
        }
        arguments.push(file.into());
        self.run(&arguments, &request.key_id).await?;
        let made = scratch.read(&format!("{number}-cert.pub"), LONGEST)?;
        Ok(check_signed(request, &authority.public, &made)?)
    }

    /// Makes a revocation list (`ssh-keygen -k`) of such a text, with this number; key ids are revoked whoever signed them.
    /// It needs no private key.
    ///
    /// # Errors
    /// See [`SignerError`].
    pub async fn revocation_list(&self, text: &str, number: u64) -> Result<Vec<u8>, SignerError> {
        let scratch = Scratch::new(&self.scratch, &system::random_name())?;
        let list = scratch.path().join("list");
        let entries = scratch.write("entries", text.as_bytes())?;
        let mut arguments: Vec<OsString> = vec!["-q".into(), "-k".into()];
        arguments.extend(["-z".into(), number.to_string().into()]);
        arguments.extend(["-s".into(), "none".into()]);
        arguments.extend(["-f".into(), list.into(), entries.into()]);
        self.run(&arguments, "a revocation list").await?;
        scratch.read("list", LONGEST_LIST)
    }

    async fn run(&self, arguments: &[OsString], what: &str) -> Result<(), SignerError> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            // Points in time are written without a zone, which every release reads as local time.
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            // It asks nobody: a passphrase that is needed is an error, at once (readpass.c).
            .env("SSH_ASKPASS", "/nonexistent")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        match &self.agent_socket {
            Some(socket) => command.env("SSH_AUTH_SOCK", socket),
            None => command.env_remove("SSH_AUTH_SOCK"),
        };
        let mut child = command.spawn().map_err(|source| SignerError::Start {
            program: self.program.clone(),
            source,
        })?;
        let mut stderr = child.stderr.take();
        let whole = async {
            let mut said = Vec::new();
            if let Some(stderr) = &mut stderr {
                // What cannot be read was not said.
                let _ = stderr.take(LONGEST).read_to_end(&mut said).await;
            }
            (child.wait().await, said)
        };
        let Ok((status, said)) = tokio::time::timeout(self.deadline, whole).await else {
            return Err(SignerError::TooSlow {
                what: what.to_owned(),
                limit: self.deadline,
            });
        };
        let status = status.map_err(|source| SignerError::Start {
            program: self.program.clone(),
            source,
        })?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        let fault = SignerFault::of(&said);
        Err(SignerError::Refused {
            what: what.to_owned(),
            fault,
            said: telling(&said),
        })
    }
}

/// The options that say which key signs.
fn sign_with(authority: &AuthorityKey) -> Vec<OsString> {
    let named = authority.source.named();
    match &authority.source {
        KeySource::File(_) => vec!["-s".into(), named.into()],
        KeySource::Agent(_) => vec!["-U".into(), "-s".into(), named.into()],
        KeySource::Token { library, .. } => vec![
            "-D".into(),
            Path::new(library).into(),
            "-s".into(),
            named.into(),
        ],
    }
}

/// A point in time for `-V`, in UTC.
fn wall_time(epoch: u64) -> Result<String, SignerError> {
    let second = i64::try_from(epoch).ok();
    let moment = second.and_then(|it| jiff::Timestamp::from_second(it).ok());
    let moment = moment.ok_or_else(|| SignerError::Refused {
        what: "a certificate".to_owned(),
        fault: SignerFault::Other,
        said: format!(
            "{epoch} s since the epoch is no point in time that it could be valid from or to"
        ),
    })?;
    Ok(moment.strftime("%Y%m%d%H%M%S").to_string())
}

/// The last line that says something: before it stand warnings in boxes.
fn telling(said: &str) -> String {
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or("it said nothing").to_owned()
}
