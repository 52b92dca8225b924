//! One hop: what is dialled, as whom, and what makes its host key acceptable.

use std::fmt;
use std::path::PathBuf;

use crate::domain::{Control, HostKeyTrust, JumpHost};

/// A login on the way to a node, or on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) identities: Vec<PathBuf>,
    pub(super) agent: bool,
    pub(super) host_key: HostKeyTrust,
}

impl Login {
    /// The node itself.
    pub(super) fn node(control: &Control) -> Self {
        Self {
            address: control.address.clone(),
            port: control.port,
            user: control.user.clone(),
            identities: control.identities.clone(),
            agent: control.agent,
            host_key: control.host_key.clone(),
        }
    }

    /// A jump host on the way to a node; without identities of its own it takes those of the node.
    pub(super) fn jump(hop: &JumpHost, control: &Control) -> Self {
        let identities = if hop.identities.is_empty() {
            &control.identities
        } else {
            &hop.identities
        };
        Self {
            address: hop.address.clone(),
            port: hop.port,
            user: hop.user.clone(),
            identities: identities.clone(),
            agent: control.agent,
            host_key: hop.host_key.clone(),
        }
    }

    /// `address:port`, with brackets around an IPv6 address.
    pub(super) fn endpoint(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.endpoint())
    }
}
