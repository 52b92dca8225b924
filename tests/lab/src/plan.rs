//! What a lab consists of, decided before anything is started: names, addresses, keys and files.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::error::Result;
use crate::image::Image;
use crate::inventory::ControlFiles;
use crate::keys::{KeyPair, KeyType};
use crate::layer::{DEPLOY, Entry, NOVA, ROOT};
use crate::privilege::Privilege;

/// Where the lab's certificate authorities are on a node.
pub(crate) const LAB_DIR: &str = "usr/local/share/lab";
/// Where the commands are that faults are planted with.
const HELPERS_DIR: &str = "usr/local/lib/lab";

/// Which key exchange the nodes' clients offer first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kex {
    /// curve25519-sha256: a login costs a third of the default's CPU on OpenSSH 9.2, and trust is the same.
    #[default]
    Fast,
    /// What the distribution ships.
    Distribution,
}

/// One node, before it exists.
#[derive(Clone, Debug)]
pub(crate) struct NodePlan {
    /// Counts from 1.
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) address: Ipv4Addr,
    /// `known_hosts` bodies, `TYPE BASE64`.
    pub(crate) host_keys: Vec<String>,
    /// What only this node has.
    pub(crate) files: Vec<Entry>,
}

/// A whole lab, before it exists.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) privilege: Privilege,
    /// The directory of the lab, on the machine that holds it. The guard makes it.
    pub(crate) dir: PathBuf,
    /// What is in that directory.
    pub(crate) files: Vec<Entry>,
    /// The root of the base image.
    pub(crate) base: PathBuf,
    pub(crate) nodes: Vec<NodePlan>,
    /// What all nodes have in common.
    pub(crate) common: Vec<Entry>,
    /// Whether a node runs a libvirt daemon; without one it has a socket that hangs up.
    pub(crate) libvirt: bool,
    /// Directories of the machine that all nodes see, read-only.
    pub(crate) shared: Vec<PathBuf>,
    /// What the hub has: the means to reach every node as the control connection does.
    pub(crate) hub: Vec<Entry>,
}

/// `node2` gets 10.77.0.3, as every table of faults is written.
fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).expect("node counts are small");
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 77, 0, 1).to_bits() + number)
}

impl Plan {
    /// Decides everything about a lab of `count` nodes.
    pub(crate) fn new(
        privilege: Privilege,
        dir: PathBuf,
        base: PathBuf,
        count: usize,
        kex: Kex,
        control_user: &str,
        pam: bool,
    ) -> Result<Self> {
        let control_key = KeyPair::generate(KeyType::Ed25519, "clearway")?;
        let mut authorized_keys = String::new();
        let nodes = (1..=count)
            .map(|number| NodePlan::new(number, &mut authorized_keys))
            .collect::<Result<Vec<_>>>()?;
        let mut common = common(&nodes, &authorized_keys, kex, &control_key.public)?;
        if !pam {
            let file = "etc/ssh/sshd_config.d/50-pam.conf";
            common.push(Entry::file(file, ROOT, 0o644, "UsePAM no\n"));
        }
        let hub = vec![
            Entry::dir("root/.ssh", ROOT, 0o700),
            Entry::file(
                "root/.ssh/id_ed25519",
                ROOT,
                0o600,
                control_key.private.clone(),
            ),
            Entry::file("etc/ssh/ssh_config.d/50-kex.conf", ROOT, 0o644, FAST_KEX),
        ];
        let files = ControlFiles::in_dir(&dir).entries(&control_key, control_user, &nodes);
        Ok(Self {
            files,
            privilege,
            hub,
            dir,
            base,
            nodes,
            common,
            libvirt: false,
            shared: Vec::new(),
        })
    }

    /// What follows from the image, and from what else the nodes shall see.
    pub(crate) fn on(mut self, image: Image, shared: &[PathBuf]) -> Self {
        self.shared = shared.to_vec();
        self.libvirt = image == Image::Compute;
        if self.libvirt {
            self.common.extend([
                Entry::file("etc/libvirt/libvirtd.conf", ROOT, 0o644, LIBVIRTD_CONF),
                Entry::file("etc/libvirt/qemu.conf", ROOT, 0o600, QEMU_CONF),
            ]);
        }
        self
    }
}

/// All nodes see this machine's hardware, and libvirt knows itself again by an id: it would refuse to move a guest to
/// "itself". Without systemd there is nobody to ask about who may use the socket; its group decides.
const LIBVIRTD_CONF: &str = "\
    host_uuid_source = \"machine-id\"\n\
    unix_sock_group = \"libvirt\"\n\
    unix_sock_rw_perms = \"0770\"\n\
    auth_unix_ro = \"none\"\n\
    auth_unix_rw = \"none\"\n";

/// Without what a node has no part in: control groups, AppArmor, virtlogd, and namespaces within its own.
const QEMU_CONF: &str = "\
    namespaces = []\n\
    cgroup_controllers = []\n\
    security_driver = \"none\"\n\
    stdio_handler = \"file\"\n\
    seccomp_sandbox = 0\n";

impl NodePlan {
    fn new(number: usize, authorized_keys: &mut String) -> Result<Self> {
        let name = format!("node{number}");
        let host = format!("{name}.lab");
        let address = address(number);
        let ed25519 = KeyPair::generate(KeyType::Ed25519, &format!("root@{name}"))?;
        let ecdsa = KeyPair::generate(KeyType::EcdsaP256, &format!("root@{name}"))?;
        let nova = KeyPair::generate(KeyType::Ed25519, &format!("nova@{name}"))?;
        let root = KeyPair::generate(KeyType::Ed25519, &format!("root@{name}"))?;
        for key in [&nova, &root] {
            writeln!(authorized_keys, "{}", key.public).expect("a String takes everything");
        }

        let mut files = vec![
            Entry::file("etc/hostname", ROOT, 0o644, format!("{name}\n")),
            Entry::file("etc/machine-id", ROOT, 0o444, machine_id()),
            Entry::dir("etc/nova", ROOT, 0o755),
            Entry::file(
                "etc/nova/nova.conf",
                crate::layer::Owner {
                    gid: NOVA.gid,
                    ..ROOT
                },
                0o640,
                nova_conf(&host, address),
            ),
            Entry::dir("root", ROOT, 0o700),
            Entry::dir("root/.ssh", ROOT, 0o700),
            Entry::dir("var/lib/nova", NOVA, 0o755),
            Entry::dir("var/lib/nova/.ssh", NOVA, 0o700),
        ];
        files.extend(identity("root/.ssh/id_ed25519", ROOT, &root));
        files.extend(identity("var/lib/nova/.ssh/id_ed25519", NOVA, &nova));
        files.extend(identity("etc/ssh/ssh_host_ed25519_key", ROOT, &ed25519));
        files.extend(identity("etc/ssh/ssh_host_ecdsa_key", ROOT, &ecdsa));
        Ok(Self {
            number,
            name,
            host,
            address,
            host_keys: [&ed25519, &ecdsa]
                .map(|key| key.public_without_comment().to_owned())
                .into(),
            files,
        })
    }
}

/// The two files of a key pair, as ssh-keygen leaves them.
fn identity(path: &str, owner: crate::layer::Owner, key: &KeyPair) -> [Entry; 2] {
    [
        Entry::file(path, owner, 0o600, key.private.clone()),
        Entry::file(
            &format!("{path}.pub"),
            owner,
            0o644,
            format!("{}\n", key.public),
        ),
    ]
}

/// 32 hex digits, machine-id(5).
fn machine_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers");
    format!("{:032x}\n", u128::from_be_bytes(bytes))
}

fn nova_conf(host: &str, address: Ipv4Addr) -> String {
    format!(
        "[DEFAULT]\n\
         my_ip = {address}\n\
         host = {host}\n\
         state_path = /var/lib/nova\n\
         instances_path = $state_path/instances\n\
         compute_driver = libvirt.LibvirtDriver\n\
         \n\
         [libvirt]\n\
         virt_type = kvm\n\
         live_migration_uri = qemu+ssh://nova@%s/system\n"
    )
}

fn common(
    nodes: &[NodePlan],
    authorized_keys: &str,
    kex: Kex,
    control_key: &str,
) -> Result<Vec<Entry>> {
    let mut known_hosts = String::new();
    let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for node in nodes {
        let (name, host, address) = (&node.name, &node.host, node.address);
        writeln!(hosts, "{address} {host} {name}").expect("a String takes everything");
        for key in &node.host_keys {
            writeln!(known_hosts, "{name},{host},{address} {key}")
                .expect("a String takes everything");
        }
    }
    let mut entries = vec![
        Entry::file("etc/hosts", ROOT, 0o644, hosts),
        Entry::dir("root", ROOT, 0o700),
        Entry::dir("root/.ssh", ROOT, 0o700),
        Entry::file("root/.ssh/known_hosts", ROOT, 0o644, known_hosts.as_str()),
        Entry::file(
            "root/.ssh/authorized_keys",
            ROOT,
            0o600,
            format!("{control_key}\n"),
        ),
        Entry::dir("home/deploy", DEPLOY, 0o755),
        Entry::dir("home/deploy/.ssh", DEPLOY, 0o700),
        Entry::file(
            "home/deploy/.ssh/authorized_keys",
            DEPLOY,
            0o600,
            format!("{control_key}\n"),
        ),
        Entry::dir("var/lib/nova", NOVA, 0o755),
        Entry::dir("var/lib/nova/.ssh", NOVA, 0o700),
        Entry::dir("var/lib/nova/instances", NOVA, 0o755),
        Entry::file(
            "var/lib/nova/.ssh/known_hosts",
            NOVA,
            0o644,
            known_hosts.as_str(),
        ),
        Entry::file(
            "var/lib/nova/.ssh/authorized_keys",
            NOVA,
            0o600,
            authorized_keys,
        ),
        Entry::dir(LAB_DIR, ROOT, 0o700),
    ];
    if kex == Kex::Fast {
        entries.push(Entry::file(
            "etc/ssh/ssh_config.d/50-kex.conf",
            ROOT,
            0o644,
            FAST_KEX,
        ));
    }
    entries.extend(
        HELPERS
            .map(|(name, text)| Entry::file(&format!("{HELPERS_DIR}/{name}"), ROOT, 0o755, text)),
    );
    for ca in ["ca", "ca2"] {
        let pair = KeyPair::generate(KeyType::Ed25519, ca)?;
        entries.extend(identity(&format!("{LAB_DIR}/{ca}"), ROOT, &pair));
    }
    Ok(entries)
}

const FAST_KEX: &str = "KexAlgorithms curve25519-sha256\n";

/// Commands for the scripts of faults; each says in its first lines what it does.
const HELPERS: [(&str, &str); 10] = [
    ("rs", include_str!("../helpers/rs")),
    ("cfg", include_str!("../helpers/cfg")),
    ("client-cfg", include_str!("../helpers/client-cfg")),
    ("sign-host", include_str!("../helpers/sign-host")),
    ("sign-user", include_str!("../helpers/sign-user")),
    ("trust-host-ca", include_str!("../helpers/trust-host-ca")),
    ("trust-user-ca", include_str!("../helpers/trust-user-ca")),
    ("key-option", include_str!("../helpers/key-option")),
    ("fake-server", include_str!("../helpers/fake-server")),
    ("divert", include_str!("../helpers/divert")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_on_past_a_full_octet() {
        assert_eq!(address(2), Ipv4Addr::new(10, 77, 0, 3));
        assert_eq!(address(300), Ipv4Addr::new(10, 77, 1, 45));
    }

    #[test]
    fn every_node_has_its_own_identity() {
        let plan = Plan::new(
            Privilege::Root,
            "/x".into(),
            "/y".into(),
            3,
            Kex::Fast,
            "deploy",
            true,
        )
        .unwrap();
        let keys: std::collections::BTreeSet<_> = plan
            .nodes
            .iter()
            .flat_map(|node| node.host_keys.clone())
            .collect();
        assert_eq!(keys.len(), 6);
        assert_ne!(machine_id(), machine_id());
    }
}
