//! What a cloud shall be, as its processes read it (`cloud/plan.py`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One nova-compute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compute {
    /// Service host name (`CONF.host`).
    pub host: String,
    /// `my_ip`; the API shows it as the hypervisor's `host_ip`.
    pub address: String,
    /// `cell1` or `cell2`.
    pub cell: String,
    /// `hypervisor_hostname`; the service host name if empty.
    #[serde(default)]
    pub hypervisor: String,
    /// libvirt's `migration_inbound_addr`, which the API shows as `dest_host`; the address if empty.
    #[serde(default)]
    pub migration_address: String,
    /// Processors; a flavor's vCPU may use a quarter of one.
    pub vcpus: u32,
    /// Memory in MiB, of which 512 are the host's own.
    pub memory_mb: u32,
    /// Disk in GiB.
    pub disk_gb: u32,
    /// Command before Nova's `ssh` and `scp` that runs them on a real node as nova-compute's user; moves are made up
    /// if empty.
    #[serde(default)]
    pub nova_prefix: Vec<String>,
    /// The same as libvirtd's user.
    #[serde(default)]
    pub root_prefix: Vec<String>,
}

impl Compute {
    /// A compute like node `number` (from 1) of the lab of real sshd nodes: `node1.lab` at 10.77.0.2, and so on.
    #[must_use]
    pub fn of_lab(number: usize) -> Self {
        let last = number + 1;
        Self {
            host: format!("node{number}.lab"),
            address: format!("10.77.{}.{}", last / 256, last % 256),
            cell: "cell1".into(),
            hypervisor: String::new(),
            migration_address: String::new(),
            vcpus: 64,
            memory_mb: 65536,
            disk_gb: 1024,
            nova_prefix: Vec::new(),
            root_prefix: Vec::new(),
        }
    }

    /// Lets the ssh of a real node decide about moves from and to this compute: a node in namespaces, by a process in
    /// them. Steered faults come on top.
    #[must_use]
    pub fn on_node(mut self, pid: i32) -> Self {
        let words = |line: String| line.split(' ').map(str::to_owned).collect();
        let enter = format!("nsenter -t {pid} -a --");
        self.nova_prefix = words(format!(
            "{enter} setpriv --reuid=nova --regid=nova --init-groups --reset-env"
        ));
        self.root_prefix = words(format!("{enter} setpriv --reset-env"));
        self
    }
}

/// The whole plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) directory: PathBuf,
    pub(crate) template: PathBuf,
    pub(crate) owned: bool,
    pub(crate) identity_port: u16,
    pub(crate) compute_port: u16,
    pub(crate) inside_port: u16,
    pub(crate) computes: Vec<Compute>,
    pub(crate) address: String,
    pub(crate) broker: String,
    pub(crate) token_seconds: u32,
    pub(crate) down_seconds: u32,
    pub(crate) live_migrations: u32,
    pub(crate) policy: BTreeMap<String, String>,
    pub(crate) nova_conf: BTreeMap<String, BTreeMap<String, String>>,
}
