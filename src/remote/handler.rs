//! What the SSH library asks while a connection lives.

use std::sync::{Arc, Mutex, OnceLock};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, Disconnect};

use super::error::{Failure, printable};
use super::host_key::HostKeyPolicy;
use crate::openssh::key::PublicKey;

/// Checks the host key and refuses everything that a server could ask of its client.
pub(super) struct Gatekeeper {
    policy: Arc<HostKeyPolicy>,
    farewell: Farewell,
    verified: Verified,
}

/// The host key that was accepted; shared with those who use the connection.
pub(super) type Verified = Arc<OnceLock<PublicKey>>;

impl Gatekeeper {
    pub(super) fn new(policy: Arc<HostKeyPolicy>, farewell: Farewell, verified: Verified) -> Self {
        Self {
            policy,
            farewell,
            verified,
        }
    }
}

/// What the server said when it ended the connection, escaped; shared with those who use the connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Farewell(Arc<Mutex<Option<String>>>);

impl Farewell {
    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().ok().and_then(|said| said.clone())
    }

    fn set(&self, said: String) {
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some(said);
        }
    }
}

/// Why a session ended before it was open.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The SSH library's own reasons.
    Ssh(russh::Error),
    /// The host key.
    HostKey(Failure),
}

impl From<russh::Error> for Refusal {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Handler for Gatekeeper {
    type Error = Refusal;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        match self.policy.verify(presented) {
            Ok(key) => {
                // A later key exchange is with the same host: what counts is who answered the login.
                self.verified.get_or_init(|| key);
                Ok(true)
            }
            Err(failure) => Err(Refusal::HostKey(failure)),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Refusal>) -> Result<(), Refusal> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                let quiet = matches!(info.reason_code, Disconnect::ByApplication);
                if !quiet || !info.message.is_empty() {
                    self.farewell.set(printable(info.message.as_bytes(), 200));
                }
                Ok(())
            }
            DisconnectReason::Error(error) => {
                match &error {
                    Refusal::Ssh(
                        russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout,
                    ) => {
                        self.farewell.set("no sign of life any more".to_owned());
                    }
                    Refusal::Ssh(_) | Refusal::HostKey(_) => {}
                }
                Err(error)
            }
        }
    }

    // The library accepts channels that a server opens unless it is told otherwise: dropping the reply refuses.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}
