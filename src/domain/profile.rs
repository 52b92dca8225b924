//! How a deployment sets its lanes up, as data.
//!
//! A profile is a YAML file (`profiles/*.yaml`); the inventory may override every property for a group or a node.
//! Nothing in the code depends on which profile it is. The inventory reads them; here they are only shown.

use serde::Serialize;

use super::lane::Lane;

/// A deployment's way to set up the SSH lanes between its computes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Profile {
    /// Its name, as the inventory says it.
    pub name: String,
    /// nova.conf files and directories of `*.conf` files, as nova-compute is given them, in order. Later ones win
    /// (oslo.config `--config-file`, `--config-dir`).
    pub nova_conf: Vec<String>,
    /// Where nova-compute runs on a node: the words put before a command so that it runs there as nova-compute's
    /// user, for example `[runuser, -u, nova, --]` or `[docker, exec, -i, -u, nova, nova_compute]`.
    /// Empty means as root on the host itself.
    pub nova_context: Vec<String>,
    /// The server side: where the sshd that the lanes reach runs.
    pub sshd: SshdProfile,
    /// `cold-push`.
    #[serde(rename = "cold-push")]
    pub cold_push: LaneProfile,
    /// `cold-pull`.
    #[serde(rename = "cold-pull")]
    pub cold_pull: LaneProfile,
    /// `live`.
    pub live: LaneProfile,
}

impl Profile {
    /// The properties of one lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> &LaneProfile {
        match lane {
            Lane::ColdPush => &self.cold_push,
            Lane::ColdPull => &self.cold_pull,
            Lane::Live => &self.live,
        }
    }
}

/// Where a lane's sshd runs and how its effective configuration is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SshdProfile {
    /// Words put before a command so that it runs where this sshd runs, as root. Empty means the host itself.
    pub context: Vec<String>,
    /// The sshd binary, an absolute path.
    pub binary: String,
    /// Its configuration file (`sshd -f`).
    pub config: String,
    /// The port it listens on when neither the lane nor the client configuration says otherwise.
    pub port: u16,
}

/// One lane's properties.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct LaneProfile {
    /// Whether this deployment uses the lane.
    pub used: LaneUse,
    /// Words put before `ssh` so that it runs as Nova (or libvirt) would run it.
    pub context: Vec<String>,
    /// What is dialled.
    pub dial: Dial,
    /// Login name given on the command line (`-l`); `None` leaves it to the client configuration, as Nova does.
    pub user: Option<String>,
    /// Port given on the command line (`-p`); `None` leaves it to the client configuration, as Nova does.
    pub port: Option<u16>,
    /// Identity file given on the command line (`-i`).
    pub identity: Option<String>,
}

/// Whether a deployment uses a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaneUse {
    /// What the node's nova.conf says: `live` only with a `qemu+ssh` URI, the cold lanes always unless the remote
    /// filesystem transport needs no SSH.
    Auto,
    /// Always.
    Yes,
    /// Never: its legs are `not-needed`.
    No,
}

/// What is dialled to reach a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dial {
    /// `[libvirt]migration_inbound_addr`, `$my_ip` by default (nova/virt/libvirt/driver.py `get_host_ip_addr`).
    MigrationAddress,
    /// `[DEFAULT]host` (`CONF.host`), the compute service's host name.
    ServiceHost,
    /// `[libvirt]live_migration_inbound_addr`, the service host name when unset.
    LiveAddress,
}
