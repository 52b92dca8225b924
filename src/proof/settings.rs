//! How far, how fast and how long.

use std::time::Duration;

use crate::domain::Depth;

/// What holds for all legs of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How far each leg is climbed.
    ///
    /// [`Depth::Connect`] ends before any key is offered. It costs the client a second of penalty on OpenSSH 9.8 and
    /// later (PerSourcePenalties `noauth`), which a login that succeeds does not: it is the gentler one only for legs
    /// that are known to be refused.
    pub depth: Depth,
    /// Whether files may be written on the far ends. Without, `cold-push` copies a file from there instead of to
    /// there, and is not proven beyond the login.
    pub write: bool,
    /// Legs that one node climbs at the same time.
    pub workers: u32,
    /// The deadline of one connection; a leg makes one to five. An account that hangs for longer is not told apart
    /// from one that hangs for ever. Whole seconds count, at least 2.
    pub connection: Duration,
    /// After how long the program ends, whatever is left to do; nothing of it stays on the node then.
    pub total: Duration,
    /// The pause before a connection that was dropped before the banner is tried once more. It should differ from
    /// node to node.
    pub pause: Duration,
    /// Whether a leg counts as proven only where the far end took the key that its [`crate::domain::Leg::identity`] names,
    /// in every connection.
    pub only_identity: bool,
}

impl Settings {
    /// Two legs at a time, 40 s for a connection (sshd's name lookups alone may take 10), a pause of 4 s.
    #[must_use]
    pub fn new(depth: Depth, total: Duration) -> Self {
        Self {
            depth,
            write: true,
            workers: 2,
            connection: Duration::from_secs(40),
            total,
            pause: Duration::from_secs(4),
            only_identity: false,
        }
    }

    pub(super) fn connection_seconds(&self) -> u64 {
        self.connection.as_secs().max(2)
    }

    /// `ConnectTimeout`: for TCP and the banner. Below 12 s a dead resolver on the far end (`UseDNS`) looks like a
    /// stopped sshd.
    pub(super) fn connect_seconds(&self) -> u64 {
        (self.connection_seconds() * 3 / 8).clamp(1, 15)
    }

    /// `ServerAliveInterval`, three of which end a key exchange or login that stalls.
    pub(super) fn alive_seconds(&self) -> u64 {
        (self.connection_seconds() / 8).clamp(1, 5)
    }

    /// The longest time between two signs of life: a pause, and a connection up to its deadline and the two seconds until
    /// it is killed.
    pub(super) fn silent_seconds(&self) -> u64 {
        self.connection_seconds() + 2 + self.pause.as_secs()
    }
}
