//! Opening one SSH connection: dialling, the key exchange with the check of the host key, and the login.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::{ChannelOpenFailure, Disconnect, Preferred, SshId};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::algorithms::{CIPHERS, KEY_EXCHANGES};
use super::environment::Deadlines;
use super::error::{Failure, printable};
use super::handler::{Farewell, Gatekeeper, Refusal, Verified};
use super::host_key::{HostKeyPolicy, Proposal};
use super::identity::Offers;
use super::login::Login;
use super::pinned::ask_for_each_type;
use super::wire::{Progress, Watched};
use crate::domain::Why;

/// A connection on which somebody is logged in.
pub(super) struct Hop {
    pub(super) handle: Handle<Gatekeeper>,
    pub(super) farewell: Farewell,
    pub(super) verified: Verified,
    /// The fingerprint of the key that was let in.
    pub(super) login_key: String,
    /// The hop before this one; its connection carries this one.
    via: Option<Arc<Hop>>,
}

/// A connection whose host key is accepted, nobody logged in yet.
struct Greeted {
    handle: Handle<Gatekeeper>,
    farewell: Farewell,
    verified: Verified,
    progress: Arc<Progress>,
}

/// Dials, checks the host key and logs in.
///
/// `spread` (0 to 1) makes the pause before a second attempt different for each node.
pub(super) async fn open(
    login: &Login,
    policy: Arc<HostKeyPolicy>,
    offers: &Offers,
    via: Option<Arc<Hop>>,
    deadlines: &Deadlines,
    spread: f64,
) -> Result<Hop, Failure> {
    let attempt = |proposal| greet(login, policy.clone(), proposal, via.as_deref(), deadlines);
    let mut greeted = ask_for_each_type(&policy, &attempt).await;
    if greeted
        .as_ref()
        .is_err_and(|failure| failure.why == Why::ControlDropped)
    {
        tokio::time::sleep(deadlines.retry_pause.mul_f64(1.0 + spread)).await;
        greeted = ask_for_each_type(&policy, &attempt).await;
    }
    let mut greeted = greeted?;
    let login = timeout(
        deadlines.login,
        offers.log_in(&mut greeted.handle, &login.user, &greeted.farewell),
    );
    let login_key = match login.await {
        Ok(outcome) => outcome?,
        Err(_) if greeted.progress.is_exhausted() => return Err(flooded()),
        Err(_) => return Err(timed_out("login", deadlines.login)),
    };
    greeted.progress.lift_limit();
    Ok(Hop {
        handle: greeted.handle,
        farewell: greeted.farewell,
        verified: greeted.verified,
        login_key,
        via,
    })
}

impl Hop {
    /// Says goodbye, so that sshd logs a normal end; waits at most a second for the connection to be gone.
    pub(super) async fn close(self) {
        // Errors mean that the connection is gone already, which is what is wanted.
        let _ = self
            .handle
            .disconnect(Disconnect::ByApplication, "", "")
            .await;
        let _ = timeout(Duration::from_secs(1), self.handle).await;
        drop(self.via);
    }
}

async fn greet(
    login: &Login,
    policy: Arc<HostKeyPolicy>,
    proposal: Proposal,
    via: Option<&Hop>,
    deadlines: &Deadlines,
) -> Result<Greeted, Failure> {
    match via {
        None => {
            // The SSH library asks for each packet's length and then for the rest.
            let stream = BufReader::new(dial(login, deadlines.connect).await?);
            exchange_keys(stream, policy, proposal, deadlines).await
        }
        Some(hop) => {
            let stream = dial_through(hop, login, deadlines.connect).await?;
            exchange_keys(stream, policy, proposal, deadlines).await
        }
    }
}

async fn dial(login: &Login, deadline: Duration) -> Result<TcpStream, Failure> {
    match timeout(deadline, connect_any(login, deadline)).await {
        Ok(Ok(stream)) => {
            // Without it the round trips of the login wait for acknowledgements; the connection works all the same.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
            Err(no_answer(login, deadline))
        }
        Ok(Err(error)) => {
            let what = match error.kind() {
                io::ErrorKind::ConnectionRefused => "connection refused",
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    "no route to the host"
                }
                // getaddrinfo's errors have no kind and no number of the operating system.
                _ if error.raw_os_error().is_none() => "the name has no address",
                _ => "cannot connect",
            };
            Err(Failure::new(Why::ControlUnreachable, what).because(error))
        }
        Err(_) => Err(no_answer(login, deadline)),
    }
}

/// Tries the addresses of the name in their order, each with an equal share of the time that is left.
async fn connect_any(login: &Login, deadline: Duration) -> io::Result<TcpStream> {
    let end = tokio::time::Instant::now() + deadline;
    let addresses: Vec<_> = lookup_host((login.address.as_str(), login.port))
        .await?
        .collect();
    let mut last = io::Error::other("the name has no address");
    for (at, address) in addresses.iter().enumerate() {
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        let share = left / u32::try_from(addresses.len() - at).unwrap_or(1);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

async fn dial_through(
    hop: &Hop,
    login: &Login,
    deadline: Duration,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Failure> {
    // The originator's address is only for the jump host's log.
    let channel = hop.handle.channel_open_direct_tcpip(
        login.address.as_str(),
        u32::from(login.port),
        "127.0.0.1",
        0,
    );
    match timeout(deadline, channel).await {
        Ok(Ok(channel)) => Ok(channel.into_stream()),
        Ok(Err(russh::Error::ChannelOpenFailure(refusal))) => {
            let what = match refusal {
                ChannelOpenFailure::ConnectFailed => "the jump host cannot connect to",
                ChannelOpenFailure::AdministrativelyProhibited => {
                    "the jump host does not forward to"
                }
                _ => "the jump host opens no channel to",
            };
            let endpoint = login.endpoint();
            Err(Failure::new(
                Why::ControlUnreachable,
                format!("{what} {endpoint}"),
            ))
        }
        Ok(Err(error)) => Err(Failure::new(
            Why::ControlUnreachable,
            "the connection to the jump host is gone",
        )
        .because(error)),
        Err(_) => Err(no_answer(login, deadline)),
    }
}

async fn exchange_keys<S>(
    stream: S,
    policy: Arc<HostKeyPolicy>,
    proposal: Proposal,
    deadlines: &Deadlines,
) -> Result<Greeted, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, progress, leash) = Watched::new(stream);
    let farewell = Farewell::default();
    let verified = Verified::default();
    let gatekeeper = Gatekeeper::new(policy, farewell.clone(), verified.clone());
    let session = client::connect_stream(Arc::new(config(proposal)), stream, gatekeeper);
    tokio::pin!(session);
    let outcome = tokio::select! {
        biased;
        outcome = &mut session => outcome,
        () = progress.banner_seen() => match timeout(deadlines.key_exchange, &mut session).await {
            Ok(outcome) => outcome,
            Err(_) => return Err(timed_out("key exchange", deadlines.key_exchange)),
        },
        () = tokio::time::sleep(deadlines.banner) => {
            return Err(timed_out("identification line", deadlines.banner));
        }
    };
    match outcome {
        Ok(handle) => {
            leash.release();
            Ok(Greeted {
                handle,
                farewell,
                verified,
                progress,
            })
        }
        Err(Refusal::HostKey(failure)) => Err(failure),
        Err(Refusal::Ssh(error)) => Err(no_session(error, &progress, &farewell)),
    }
}

fn config(proposal: Proposal) -> client::Config {
    client::Config {
        client_id: SshId::Standard(concat!("SSH-2.0-clearway_", env!("CARGO_PKG_VERSION")).into()),
        // A node can have this many packets, of at most 256 KiB each, in this process's memory before they are read.
        channel_buffer_size: 16,
        window_size: 1024 * 1024,
        preferred: Preferred {
            kex: KEY_EXCHANGES.into(),
            cipher: CIPHERS.into(),
            key: proposal.plain.into(),
            host_key_certificates: proposal.certificates.into(),
            compression: vec![russh::compression::NONE].into(),
            ..Preferred::default()
        },
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        // Answers to keepalives count as activity, so this ends only what neither talks nor answers.
        inactivity_timeout: Some(Duration::from_secs(90)),
        nodelay: true,
        ..client::Config::default()
    }
}

/// Why there is no session, from how far it had come.
fn no_session(error: russh::Error, progress: &Progress, farewell: &Farewell) -> Failure {
    if progress.is_exhausted() {
        return flooded();
    }
    if !progress.has_banner() {
        return without_banner(error, &progress.preamble());
    }
    let failure = match &error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => Failure::new(
            Why::ControlUnreachable,
            format!(
                "no {kind:?} algorithm in common: offered {}, the server has {}",
                ours.join(","),
                printable(theirs.join(",").as_bytes(), 400)
            ),
        ),
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_)
            if progress.is_closed() =>
        {
            let said = farewell
                .get()
                .map_or_else(String::new, |said| format!(": {said}"));
            Failure::new(
                Why::ControlLost,
                format!("the server closed the connection during the key exchange{said}"),
            )
        }
        _ => Failure::new(Why::ControlGarbage, "the key exchange failed"),
    };
    failure.because(error)
}

/// The two lines that sshd sends instead of its identification when it drops a connection (sshd.c: `MaxStartups`,
/// and since 9.8 `PerSourcePenalties`).
const DROPPED: [&[u8]; 2] = [b"Exceeded MaxStartups", b"Not allowed at this time"];

fn without_banner(error: russh::Error, preamble: &[u8]) -> Failure {
    let is_drop =
        preamble.trim_ascii().is_empty() || DROPPED.iter().any(|line| preamble.starts_with(line));
    let said = match printable(preamble, 100) {
        said if said.is_empty() => String::new(),
        said => format!(": {said}"),
    };
    match error {
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_) if is_drop => {
            Failure::new(
                Why::ControlDropped,
                format!("the server closed the connection before it said who it is{said}"),
            )
        }
        _ => Failure::new(
            Why::ControlGarbage,
            format!("what answers is not an SSH server{said}"),
        ),
    }
    .because(error)
}

fn flooded() -> Failure {
    Failure::new(
        Why::ControlGarbage,
        "the server sent far more than a login needs",
    )
}

fn timed_out(phase: &str, deadline: Duration) -> Failure {
    Failure::new(
        Why::ControlTimedOut,
        format!("no {phase} within {} s", deadline.as_secs_f32()),
    )
}

fn no_answer(login: &Login, deadline: Duration) -> Failure {
    Failure::new(
        Why::ControlUnreachable,
        format!(
            "no answer from {} within {} s",
            login.endpoint(),
            deadline.as_secs_f32()
        ),
    )
}
