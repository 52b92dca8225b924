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
    /// How a repair sets trust up.
    #[serde(flatten)]
    pub repair: RepairProfile,
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

    /// Words that enter, as root, the place where the files of a context lie; empty for the host itself.
    ///
    /// Programs that only change the account (`runuser`, `sudo`, `su`, `setpriv`) stay where they are. A container is
    /// entered with the same words, but as root. What that does not fit says [`RepairProfile::nova_root`].
    #[must_use]
    pub fn files_context(&self, context: &[String]) -> Vec<String> {
        if let Some(words) = &self.repair.nova_root
            && context == self.nova_context
        {
            return words.clone();
        }
        as_root(context)
    }
}

fn as_root(context: &[String]) -> Vec<String> {
    let program = |word: &String| word.rsplit('/').next().unwrap_or_default().to_owned();
    let is_container = |word: &String| matches!(&*program(word), "docker" | "podman" | "nerdctl");
    if let Some(at) = context.iter().position(is_container) {
        let mut words = context[at..].to_vec();
        for at in 0..words.len() {
            if matches!(&*words[at], "-u" | "--user") && at + 1 < words.len() {
                words[at + 1] = "root".to_owned();
            } else if words[at].starts_with("--user=") {
                words[at] = "--user=root".to_owned();
            }
        }
        return words;
    }
    match context.first().map(program).as_deref() {
        Some("runuser" | "sudo" | "su" | "setpriv") | None => Vec::new(),
        Some(_) => context.to_vec(),
    }
}

/// How a repair sets trust up in a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct RepairProfile {
    /// What nodes trust each other by.
    pub trust: TrustBy,
    /// Whether each node has a private key of its own.
    pub keys: KeySharing,
    /// What kind of key a node makes.
    pub key_type: NewKeyType,
    /// Where host keys are recorded.
    pub known_hosts: KnownHostsPlace,
    /// Words that enter the place of nova-compute's files as root, where they do not follow from
    /// [`Profile::nova_context`] ([`Profile::files_context`]).
    pub nova_root: Option<Vec<String>>,
}

/// What nodes trust each other by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustBy {
    /// Public keys in authorized_keys and known_hosts.
    #[default]
    Keys,
    /// Certificates of an authority.
    Certificates,
}

impl TrustBy {
    /// The word in the inventory.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Certificates => "certificates",
        }
    }
}

/// Whether each node has a private key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySharing {
    /// Each node makes its own, and it stays there.
    #[default]
    PerNode,
    /// One key for all: whoever takes one node has them all.
    Shared,
}

impl KeySharing {
    /// The word in the inventory.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerNode => "per-node",
            Self::Shared => "shared",
        }
    }
}

/// `ssh-keygen -t` of a key that a node makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewKeyType {
    /// `ed25519`
    #[default]
    Ed25519,
    /// `ecdsa`
    Ecdsa,
    /// `rsa`, for servers that take nothing else.
    Rsa,
}

impl NewKeyType {
    /// The word behind `ssh-keygen -t`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Ecdsa => "ecdsa",
            Self::Rsa => "rsa",
        }
    }
}

/// Where host keys are recorded on a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownHostsPlace {
    /// In the account's own file, the first that `UserKnownHostsFile` names.
    #[default]
    User,
    /// In the file of the whole machine, the first that `GlobalKnownHostsFile` names.
    Global,
}

impl KnownHostsPlace {
    /// The word in the inventory.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Global => "global",
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dial {
    /// `[libvirt]migration_inbound_addr`, `$my_ip` by default (nova/virt/libvirt/driver.py `get_host_ip_addr`).
    MigrationAddress,
    /// `[DEFAULT]host` (`CONF.host`), the compute service's host name.
    ServiceHost,
    /// `[libvirt]live_migration_inbound_addr`, the service host name when unset.
    LiveAddress,
}

#[cfg(test)]
mod tests {
    use super::as_root;

    #[test]
    fn a_context_is_entered_as_root_where_its_files_are() {
        for (context, expected) in [
            ("", ""),
            ("runuser -u nova --", ""),
            ("sudo -u nova -H", ""),
            (
                "docker exec -i -u nova nova_compute",
                "docker exec -i -u root nova_compute",
            ),
            (
                "sudo podman exec -i --user=nova nova_compute",
                "podman exec -i --user=root nova_compute",
            ),
            (
                "kubectl exec -i nova-compute --",
                "kubectl exec -i nova-compute --",
            ),
        ] {
            let words: Vec<String> = context.split_whitespace().map(str::to_owned).collect();
            assert_eq!(as_root(&words).join(" "), expected, "{context}");
        }
    }
}
