//! Logging in with the keys at hand.
//!
//! Every key is offered at most once per connection, and a refused login is never tried again: sshd counts failures
//! per connection (`MaxAuthTries`) and, since 9.8, per source (`PerSourcePenalties`).

use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{AgentAuthError, MethodSet, Signer};
use tokio::net::UnixStream;

use super::error::Failure;
use super::handler::{Farewell, Gatekeeper};
use super::identity::{Offer, Offers, connect_agent};
use crate::domain::Why;

impl Offers {
    /// Offers the keys in order until one is accepted: its fingerprint.
    pub(super) async fn log_in(
        &self,
        session: &mut Handle<Gatekeeper>,
        user: &str,
        farewell: &Farewell,
    ) -> Result<String, Failure> {
        let mut tried = Vec::new();
        let mut accepted_methods = None;
        let mut agent = None;
        for offer in &self.keys {
            let hash = rsa_hash(session, offer).await;
            let result = match offer {
                Offer::Key { key, .. } => {
                    let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
                    session
                        .authenticate_publickey(user, key)
                        .await
                        .map_err(|error| error.to_string())
                }
                Offer::Certificate {
                    key, certificate, ..
                } => {
                    let mut signer = FileSigner(key.clone());
                    session
                        .authenticate_certificate_with(user, certificate.clone(), hash, &mut signer)
                        .await
                        .map_err(|error| error.to_string())
                }
                Offer::Agent { identity } => match self.agent(session, &mut agent).await {
                    Ok(agent) => with_agent(session, user, identity, hash, agent).await,
                    Err(trouble) => Err(trouble),
                },
            };
            match result {
                Ok(AuthResult::Success) => return Ok(offer.fingerprint()),
                Ok(AuthResult::Failure {
                    remaining_methods,
                    partial_success,
                }) => {
                    tried.push(offer.describe());
                    if partial_success {
                        return Err(self.denied(&tried, Some(&remaining_methods), farewell, true));
                    }
                    let is_over = session.is_closed() || remaining_methods.is_empty();
                    accepted_methods = Some(remaining_methods);
                    if is_over {
                        break;
                    }
                }
                Err(trouble) if session.is_closed() => {
                    return Err(Failure::new(
                        Why::ControlLost,
                        format!("the connection broke off during the login: {trouble}"),
                    ));
                }
                Err(trouble) => tried.push(format!("{} failed: {trouble}", offer.describe())),
            }
        }
        Err(self.denied(&tried, accepted_methods.as_ref(), farewell, false))
    }

    async fn agent<'a>(
        &self,
        session: &Handle<Gatekeeper>,
        agent: &'a mut Option<AgentClient<UnixStream>>,
    ) -> Result<&'a mut AgentClient<UnixStream>, String> {
        if agent.is_none() {
            let socket = self
                .agent_socket
                .as_deref()
                .ok_or("there is no ssh-agent")?;
            let mut client = connect_agent(socket)
                .await
                .map_err(|error| error.to_string())?;
            if let Some(binding) = session.agent_session_binding() {
                // Needed only for keys with destination constraints (ssh-add -h); agents without them refuse it.
                let _ = client.bind_session(binding, false).await;
            }
            *agent = Some(client);
        }
        agent
            .as_mut()
            .ok_or_else(|| "there is no ssh-agent".to_owned())
    }

    fn denied(
        &self,
        tried: &[String],
        methods: Option<&MethodSet>,
        farewell: &Farewell,
        partial: bool,
    ) -> Failure {
        let methods = methods
            .map(|methods| {
                methods
                    .iter()
                    .map(<&str>::from)
                    .collect::<Vec<_>>()
                    .join(",")
            })
            .filter(|methods| !methods.is_empty());
        let mut detail = match (partial, methods) {
            (true, Some(methods)) => format!("login needs a second factor ({methods})"),
            (true, None) => "login needs a second factor".to_owned(),
            (false, Some(methods)) => format!("login denied; the server accepts {methods}"),
            (false, None) => "login denied".to_owned(),
        };
        detail.push_str("; offered ");
        detail.push_str(&tried.join(", "));
        if self.left_out > 0 {
            detail.push_str(&format!(
                "; {} more keys were not offered, servers end the connection after a few: list the right one",
                self.left_out
            ));
        }
        if !self.unusable.is_empty() {
            detail.push_str("; not usable: ");
            detail.push_str(&self.unusable.join("; "));
        }
        if let Some(said) = farewell.get() {
            detail.push_str("; the server said: ");
            detail.push_str(&said);
        }
        Failure::new(Why::ControlDenied, detail)
    }
}

/// The signature algorithm for an RSA key, as far as the server announced what it accepts (RFC 8308,
/// `server-sig-algs`).
async fn rsa_hash(session: &Handle<Gatekeeper>, offer: &Offer) -> Option<HashAlg> {
    if !offer.is_rsa() {
        return None;
    }
    match session.best_supported_rsa_hash().await {
        Ok(Some(announced)) => announced,
        // Every server since OpenSSH 7.2 takes it.
        Ok(None) | Err(_) => Some(HashAlg::Sha512),
    }
}

async fn with_agent(
    session: &mut Handle<Gatekeeper>,
    user: &str,
    identity: &AgentIdentity,
    hash: Option<HashAlg>,
    agent: &mut AgentClient<UnixStream>,
) -> Result<AuthResult, String> {
    match identity {
        AgentIdentity::PublicKey { key, .. } => {
            session
                .authenticate_publickey_with(user, key.clone(), hash, agent)
                .await
        }
        AgentIdentity::Certificate { certificate, .. } => {
            session
                .authenticate_certificate_with(user, certificate.clone(), hash, agent)
                .await
        }
    }
    .map_err(|error| error.to_string())
}

/// Signs for a certificate with the private key from a file.
///
/// The library's own way (`authenticate_openssh_cert`) signs for RSA certificates with SHA-1, which no current sshd
/// accepts.
struct FileSigner(Arc<PrivateKey>);

impl Signer for FileSigner {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let signature: Signature = match self.0.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&to_sign),
            pair => pair.try_sign(&to_sign),
        }
        .map_err(|error| russh::keys::Error::from(russh::keys::ssh_key::Error::from(error)))?;
        let blob = Vec::<u8>::try_from(signature).map_err(russh::keys::Error::from)?;
        let length = u32::try_from(blob.len()).map_err(|_| russh::keys::Error::InvalidSignature)?;
        to_sign.extend_from_slice(&length.to_be_bytes());
        to_sign.extend_from_slice(&blob);
        Ok(to_sign)
    }
}
