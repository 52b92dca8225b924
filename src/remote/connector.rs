//! Connections to nodes, through the jump hosts that the inventory names.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::environment::{Deadlines, Environment};
use super::error::{ControlError, Failure};
use super::execute::execute;
use super::hop::{Hop, open};
use super::host_key::KnownKeys;
use super::identity::Identities;
use super::login::Login;
use super::program::{Limits, ProgramEnd, ProgramOutput};
use crate::domain::{Node, NodeName};
use crate::openssh::key::PublicKey;

/// Opens control connections and holds what they share: the `known_hosts` files and key files, each read once, and
/// the connections to jump hosts, each made once.
///
/// A jump host that failed is not dialled again by the same connector, so that a fleet behind it does not become a
/// hundred failed logins on it; nor are files read again. Make a new connector to see what has changed.
#[derive(Debug)]
pub struct Connector {
    deadlines: Deadlines,
    known_keys: KnownKeys,
    identities: Identities,
    jumps: Mutex<Vec<Arc<Jump>>>,
}

/// The connection to the last of a chain of jump hosts.
struct Jump {
    chain: Vec<Login>,
    hop: Mutex<Option<Result<Arc<Hop>, Failure>>>,
}

impl std::fmt::Debug for Jump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jump")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

/// A failure and, when it was not the node, the jump host where it happened.
type At<T> = Result<T, (Option<String>, Failure)>;

impl Connector {
    /// A connector for one run.
    #[must_use]
    pub fn new(environment: Environment, deadlines: Deadlines) -> Self {
        Self {
            deadlines,
            known_keys: KnownKeys::new(environment.clone()),
            identities: Identities::new(environment),
            jumps: Mutex::default(),
        }
    }

    /// Opens a connection to a node. Nothing but the key exchange is sent to a machine whose host key is not accepted.
    ///
    /// A connection that is dropped before the server says who it is (`MaxStartups`, `PerSourcePenalties`) is tried
    /// once more after a pause. Nothing else is tried again, least of all a refused login.
    ///
    /// # Errors
    /// See [`ControlError::why`]: the classes that begin with `control-`.
    pub async fn connect(&self, node: &Node) -> Result<Connection, ControlError> {
        let control = &node.control;
        let login = Login::node(control);
        let chain: Vec<Login> = control
            .jump
            .iter()
            .map(|hop| Login::jump(hop, control))
            .collect();
        let route = route(&login, &chain);
        let spread = spread(&node.name);
        let opened = async {
            let via = self.jump(&chain, spread).await?;
            self.open(&login, via, spread)
                .await
                .map_err(|failure| (None, failure))
        };
        match opened.await {
            Ok(hop) => Ok(Connection {
                node: node.name.clone(),
                route,
                sudo: control.sudo,
                hop,
            }),
            Err((at, failure)) => Err(ControlError::new(&node.name, route, at, failure)),
        }
    }

    async fn open(
        &self,
        login: &Login,
        via: Option<Arc<Hop>>,
        spread: f64,
    ) -> Result<Hop, Failure> {
        // Both before anything is dialled: a key that cannot be used is not worth a connection.
        let policy = self
            .known_keys
            .policy(&login.address, login.port, &login.host_key)
            .await?;
        let offers = self.identities.offers(login).await?;
        open(
            login,
            Arc::new(policy),
            &offers,
            via,
            &self.deadlines,
            spread,
        )
        .await
    }

    /// The shared connection to the end of a chain of jump hosts; `None` for an empty chain.
    async fn jump(&self, chain: &[Login], spread: f64) -> At<Option<Arc<Hop>>> {
        let mut via = None;
        for length in 1..=chain.len() {
            let jump = self.shared(&chain[..length]).await;
            let mut slot = jump.hop.lock().await;
            let usable = match &*slot {
                Some(Ok(hop)) if hop.handle.is_closed() => None,
                known => known.clone(),
            };
            let opened = match usable {
                Some(known) => known,
                None => {
                    let opened = self
                        .open(&chain[length - 1], via.take(), spread)
                        .await
                        .map(Arc::new);
                    slot.insert(opened).clone()
                }
            };
            via = Some(opened.map_err(|failure| (Some(chain[length - 1].to_string()), failure))?);
        }
        Ok(via)
    }

    async fn shared(&self, chain: &[Login]) -> Arc<Jump> {
        let mut jumps = self.jumps.lock().await;
        if let Some(jump) = jumps.iter().find(|jump| jump.chain == chain) {
            return jump.clone();
        }
        let jump = Arc::new(Jump {
            chain: chain.to_vec(),
            hop: Mutex::default(),
        });
        jumps.push(jump.clone());
        jump
    }
}

fn route(login: &Login, chain: &[Login]) -> String {
    let mut route = login.to_string();
    for (at, hop) in chain.iter().enumerate() {
        route.push_str(if at == 0 { " via " } else { ", " });
        route.push_str(&hop.to_string());
    }
    route
}

/// A number from 0 to 1 that differs between nodes, so that dropped connections do not come back all at once.
fn spread(node: &NodeName) -> f64 {
    let mut hasher = DefaultHasher::new();
    node.hash(&mut hasher);
    let slot = u16::try_from(hasher.finish() % 1000).unwrap_or(0);
    f64::from(slot) / 1000.0
}

/// An open control connection to a node.
///
/// Dropping it ends it. Programs run one after the other or at the same time, each in a channel of its own.
pub struct Connection {
    node: NodeName,
    route: String,
    sudo: bool,
    hop: Hop,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("node", &self.node)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// The node.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The host key that the node has proven to have, and that was accepted.
    #[must_use]
    pub fn host_key(&self) -> Option<&PublicKey> {
        self.hop.verified.get()
    }

    /// The key that the node has let in: its fingerprint, `SHA256:…`.
    #[must_use]
    pub fn login_key(&self) -> &str {
        &self.hop.login_key
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.hop.handle.is_closed()
    }

    /// Runs a POSIX sh program and collects its output: through `sudo -n` where the inventory says so.
    ///
    /// The script goes over standard input; it is in no process list and touches no disk there, and one that arrives
    /// only in part does not run at all. It must not read standard input itself, which is at its end.
    ///
    /// # What a program that is not wanted any more does on the node
    /// When a limit is passed, or the future is dropped, the channel is closed: the program's output then has nowhere to
    /// go, and it dies of SIGPIPE at its next write. sshd signals nobody. A program that writes nothing lives until it
    /// ends by itself, so every program must carry a deadline of its own.
    ///
    /// # Errors
    /// [`ControlError::why`] is `sudo-refused`, `control-denied` (the login shell does not start the program),
    /// `control-timed-out`, `control-garbage` (more output than allowed) or `control-lost`. A program that ends with a
    /// status other than 0 is no error here.
    pub async fn run_program(
        &self,
        script: &[u8],
        limits: &Limits,
    ) -> Result<ProgramOutput, ControlError> {
        let mut stdout = Vec::new();
        let collect = |bytes: &[u8]| {
            stdout.extend_from_slice(bytes);
            ControlFlow::Continue(())
        };
        let end = self.stream_program(script, limits, collect).await?;
        Ok(ProgramOutput {
            stdout,
            stderr_tail: end.stderr_tail,
            exit: end.exit,
        })
    }

    /// The same, with standard output handed to `on_stdout` in pieces of at most 256 KiB as they come. Breaking off
    /// ends the program with `control-garbage` and the reason given.
    ///
    /// # Errors
    /// See [`Self::run_program`].
    pub async fn stream_program(
        &self,
        script: &[u8],
        limits: &Limits,
        on_stdout: impl FnMut(&[u8]) -> ControlFlow<String>,
    ) -> Result<ProgramEnd, ControlError> {
        execute(&self.hop, self.sudo, script, limits, on_stdout)
            .await
            .map_err(|failure| ControlError::new(&self.node, self.route.clone(), None, failure))
    }

    /// Ends the connection with a goodbye; waits at most a second.
    pub async fn close(self) {
        self.hop.close().await;
    }
}
