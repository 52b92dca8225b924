//! Compute nodes, how clearway reaches them, and which of them are meant to trust each other.
//!
//! Serialized they have the keys of the inventory.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::profile::Profile;

/// A node's place in [`Fleet::nodes`]. Only meaningful together with the fleet that it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The index into [`Fleet::nodes`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A node's name in the inventory: 1 to 253 bytes of letters, digits, `.`, `_` and `-`, not starting with `-`.
///
/// The inventory is the only place that makes these, so a name can be printed and put on a command line as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// Takes a name that follows the rules of the type.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a node name cannot be empty");
        }
        if text.len() > 253 {
            return Err("a node name has at most 253 characters");
        }
        if text.starts_with('-') {
            return Err("a node name cannot start with `-`: ssh would read it as an option");
        }
        if !text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        {
            return Err("a node name holds only letters, digits, `.`, `_` and `-`");
        }
        Ok(Self(Arc::from(text)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A compute host with everything that the inventory says of it, defaults and groups already applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its inventory name.
    pub name: NodeName,
    /// Nova's `CONF.host`, when the inventory states it; otherwise the survey reads it from nova.conf.
    pub service_host: Option<String>,
    /// The address others dial for cold moves, when the inventory states it; otherwise nova.conf's
    /// `[libvirt]migration_inbound_addr`, then `my_ip`.
    pub migration_address: Option<String>,
    /// The address others dial for live moves, when the inventory states it; otherwise nova.conf's
    /// `[libvirt]live_migration_inbound_addr`, then the service host name.
    pub live_address: Option<String>,
    /// The Nova cell, when the inventory has cells.
    pub cell: Option<String>,
    /// The groups it belongs to, outermost first.
    pub groups: Vec<String>,
    /// How clearway logs in to it.
    pub control: Control,
    /// The profile of its deployment with this node's overrides applied; shared by all nodes that have the same.
    pub profile: Arc<Profile>,
}

impl Node {
    /// The names and addresses that the inventory gives to the node itself: not the one at which clearway reaches it, which
    /// may be a relay's.
    pub fn stated_names(&self) -> impl Iterator<Item = &str> {
        let name = std::iter::once(self.name.as_str());
        let others = [
            &self.service_host,
            &self.migration_address,
            &self.live_address,
        ];
        name.chain(others.into_iter().flatten().map(String::as_str))
    }
}

/// How clearway itself logs in to a node. Never what Nova uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Control {
    /// Name or address to dial.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Whether programs are run through `sudo -n`.
    pub sudo: bool,
    /// Private key files to offer, in order; empty means the agent and the usual files in `~/.ssh`.
    #[serde(rename = "identity")]
    pub identities: Vec<PathBuf>,
    /// Whether ssh-agent (`SSH_AUTH_SOCK`) is asked for keys.
    pub agent: bool,
    /// What makes a host key acceptable.
    #[serde(flatten)]
    pub host_key: HostKeyTrust,
    /// Hosts to go through, the first one dialled first.
    pub jump: Vec<JumpHost>,
}

/// One hop on the way to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JumpHost {
    /// Name or address to dial.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Private key files to offer there, in order; empty means those of the node behind it.
    #[serde(rename = "identity")]
    pub identities: Vec<PathBuf>,
    /// What makes its host key acceptable.
    #[serde(flatten)]
    pub host_key: HostKeyTrust,
}

/// What makes the host key of a control connection acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostKeyTrust {
    /// `known_hosts` files, searched in order with OpenSSH's rules; empty means `~/.ssh/known_hosts` and
    /// `/etc/ssh/ssh_known_hosts`.
    pub known_hosts: Vec<PathBuf>,
    /// The name looked up there instead of the address dialled (OpenSSH's `HostKeyAlias`).
    #[serde(rename = "host_key_alias")]
    pub alias: Option<String>,
    /// Fingerprints (`SHA256:…`) pinned in the inventory. When there are any, they alone decide.
    #[serde(rename = "host_key")]
    pub pinned: Vec<String>,
}

/// Which ordered pairs are meant to exist.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every node to every other node.
    #[default]
    All,
    /// Every node to every other node of the same cell; nodes without a cell form one of their own.
    PerCell,
    /// The listed groups to the listed groups.
    Groups(Vec<GroupRule>),
}

/// Members of `from` are meant to move servers to members of `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupRule {
    /// Group names on the source side.
    pub from: Vec<String>,
    /// Group names on the destination side.
    pub to: Vec<String>,
}

/// All nodes of an inventory, each name once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// The nodes in inventory order; [`NodeId`] is the index.
    pub nodes: Vec<Node>,
    /// Members of each group, in inventory order.
    pub groups: BTreeMap<String, Vec<NodeId>>,
    /// Which pairs are meant to exist.
    pub scope: Scope,
}

impl Fleet {
    /// The node behind an id of this fleet.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Every id, in inventory order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(|i| NodeId(u32::try_from(i).unwrap_or(u32::MAX)))
    }

    /// The id of a node by its inventory name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.ids().find(|&id| self.node(id).name.as_str() == name)
    }

    /// Whether the ordered pair is meant to exist. A node is never paired with itself.
    #[must_use]
    pub fn in_scope(&self, source: NodeId, destination: NodeId) -> bool {
        if source == destination {
            return false;
        }
        let (from, to) = (self.node(source), self.node(destination));
        match &self.scope {
            Scope::All => true,
            Scope::PerCell => from.cell == to.cell,
            Scope::Groups(rules) => rules.iter().any(|rule| {
                from.groups.iter().any(|g| rule.from.contains(g))
                    && to.groups.iter().any(|g| rule.to.contains(g))
            }),
        }
    }
}
