//! Lanes, legs and the steps of a leg.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::node::NodeId;

/// One kind of SSH login that Nova or libvirt makes between computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// nova-compute's user on the source of a cold move or resize, to the destination's
    /// `migration_inbound_addr` (nova/virt/libvirt/driver.py `migrate_disk_and_power_off`).
    ColdPush,
    /// nova-compute's user on the destination of a move, back to the source's service host name, for an image
    /// that Glance no longer has (nova/virt/libvirt/driver.py `_try_fetch_image_cache`).
    ColdPull,
    /// libvirt's daemon on the source of a live move, when the URI is `qemu+ssh`
    /// (nova/virt/libvirt/driver.py `_live_migration_uri`).
    Live,
}

impl Lane {
    /// Every lane, in the order in which reports list them.
    pub const ALL: [Self; 3] = [Self::ColdPush, Self::ColdPull, Self::Live];

    /// Its name in reports and arguments.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ColdPush => "cold-push",
            Self::ColdPull => "cold-pull",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The rungs of one leg, in the order in which they are climbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The name dialled becomes an address, and the client configuration is usable.
    Resolve,
    /// A TCP connection to an SSH server that answers.
    Connect,
    /// Key exchange, and the host key is one that the client accepts.
    HostKey,
    /// The account lets the key in.
    Login,
    /// Nova's own commands run there and do what they say.
    Command,
    /// A copied file arrives and reads back the same.
    Copy,
}

impl Step {
    /// Every step, bottom rung first.
    pub const ALL: [Self; 6] = [
        Self::Resolve,
        Self::Connect,
        Self::HostKey,
        Self::Login,
        Self::Command,
        Self::Copy,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::HostKey => "host-key",
            Self::Login => "login",
            Self::Command => "command",
            Self::Copy => "copy",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far proof climbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// Name, TCP and the SSH banner.
    Connect,
    /// Up to a login that runs one command.
    Login,
    /// Everything, the copy included.
    #[default]
    Copy,
}

/// One ssh login that a move would make: who dials whom in which lane.
///
/// `client` is the node on which `ssh` runs, `server` the one that answers. For `cold-pull` the client is the
/// *destination* of the move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId {
    /// Which lane.
    pub lane: Lane,
    /// Where `ssh` runs.
    pub client: NodeId,
    /// Where `sshd` answers.
    pub server: NodeId,
}

/// A leg with everything that is needed to climb it. Made on demand: a large fleet has hundreds of millions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Who dials whom in which lane.
    pub id: LegId,
    /// The literal name or address that is dialled; also what known_hosts is searched for. Never starts with `-`.
    pub name: Arc<str>,
    /// `-l`, when the lane's own command line has it.
    pub user: Option<Arc<str>>,
    /// `-p`, when the lane's own command line has it.
    pub port: Option<u16>,
    /// `-i`, when the lane's own command line has it.
    pub identity: Option<Arc<str>>,
    /// Further `-o` options that the lane's own command line has, for example libvirt's
    /// `StrictHostKeyChecking=no` for `no_verify=1`.
    pub options: Arc<[String]>,
    /// Whether the client's ssh may write the server's host key into known_hosts as it connects: a probe keeps it from
    /// that.
    pub may_record: bool,
    /// Words that enter the context in which `ssh` runs on the client node.
    pub context: Arc<[String]>,
    /// How files are copied in this lane.
    pub transport: Transport,
    /// Nova's instances directory on the server: where `cold-push` writes.
    pub directory: Arc<str>,
    /// `/etc/machine-id` where the server's sshd runs, when the survey found one there: who must answer.
    pub machine_id: Option<Arc<str>>,
}

/// How a lane moves bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// `scp -r` (nova/virt/libvirt/volume/remotefs.py `SshDriver`).
    Scp,
    /// `rsync` over ssh (`RsyncDriver`).
    Rsync,
    /// libvirt's tunnel to its own socket: no files.
    Libvirt,
}

/// An ordered pair of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// Where the server runs now.
    pub source: NodeId,
    /// Where it would go.
    pub destination: NodeId,
}

impl Pair {
    /// The leg of this pair in a lane: `cold-pull` runs from the destination back to the source.
    #[must_use]
    pub fn leg(self, lane: Lane) -> LegId {
        let (client, server) = match lane {
            Lane::ColdPush | Lane::Live => (self.source, self.destination),
            Lane::ColdPull => (self.destination, self.source),
        };
        LegId {
            lane,
            client,
            server,
        }
    }
}

impl LegId {
    /// The pair whose move needs this leg.
    #[must_use]
    pub fn pair(self) -> Pair {
        match self.lane {
            Lane::ColdPush | Lane::Live => Pair {
                source: self.client,
                destination: self.server,
            },
            Lane::ColdPull => Pair {
                source: self.server,
                destination: self.client,
            },
        }
    }
}
