//! A fleet whose nodes trust each other, and what a survey would say of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::domain::{
    Control, Dial, Fleet, HostKeyTrust, LaneProfile, LaneUse, Node, NodeName, Profile, Scope,
    SshdProfile,
};
use crate::openssh::known_hosts::HashedName;
use crate::survey::{
    Account, Answer, CheckedFile, ClientFacts, Content, FileFact, FileKind, FileState, HostKeyFact,
    Identity, IdentityState, InstancesFact, LockState, LoginAccount, Meta, NodeFacts, NovaSettings,
    ServerFacts,
};

use super::keys;

/// How host keys are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line per node and key type, with all its names.
    Plain,
    /// A hashed line per node, key type and name.
    Hashed,
    /// One `@cert-authority` line, and a certificate on every node.
    Authority,
}

/// What to make up.
#[derive(Debug, Clone, Copy)]
pub struct Simulation {
    /// How many nodes.
    pub nodes: usize,
    /// How host keys are recorded.
    pub form: Form,
    /// Whether all nodes have one private key, or each its own.
    pub shared_key: bool,
    /// Whether every node has a known_hosts file of its own (other salts, another order), or all the same.
    pub own_files: bool,
    /// One node in this many has a fault: a host key that was remade, a key that is not authorised, or no known_hosts
    /// at all. Zero means none.
    pub fault_every: usize,
}

/// A fleet and its facts.
#[derive(Debug, Clone)]
pub struct World {
    /// The inventory.
    pub fleet: Fleet,
    /// What the survey found, a node each.
    pub facts: Vec<Option<NodeFacts>>,
}

/// The node's clocks.
const NOW: i64 = 1_790_000_000;
/// The account of Nova.
const NOVA: &str = "nova";

impl Simulation {
    /// A healthy fleet in the usual form: the same plain known_hosts everywhere, a key for each node.
    #[must_use]
    pub fn of(nodes: usize) -> Self {
        Self {
            nodes,
            form: Form::Plain,
            shared_key: false,
            own_files: false,
            fault_every: 0,
        }
    }

    /// Makes it up. The same simulation gives the same world.
    #[must_use]
    pub fn world(&self) -> World {
        let authority = keys::pair(&["authority"], 0);
        let known_hosts: Vec<String> = match self.form {
            Form::Authority => vec![format!(
                "@cert-authority * {}\n",
                keys::public_half(&authority)
            )],
            Form::Plain | Form::Hashed => (0..self.nodes).map(|node| self.recorded(node)).collect(),
        };
        let authorized: String = if self.shared_key {
            format!("{} nova@all\n", self.login_key(0))
        } else {
            (0..self.nodes)
                .map(|node| format!("{} nova@{}\n", self.login_key(node), name(node)))
                .collect()
        };
        let common = Common {
            known_hosts: content(&known_hosts.concat()),
            authorized: content(&authorized),
            ssh: content(SSH_G),
            sshd: content(SSHD_T),
            ssh_config: content(
                "Include /etc/ssh/ssh_config.d/*.conf\nHost *\n    SendEnv LANG LC_*\n    HashKnownHosts yes\n",
            ),
            sshd_config: content(
                "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nSubsystem sftp /usr/lib/openssh/sftp-server\n",
            ),
        };
        let facts = (0..self.nodes)
            .map(|node| {
                let own = self
                    .own_files
                    .then(|| self.own_known_hosts(node, &known_hosts));
                Some(self.facts(node, &common, own, &authority))
            })
            .collect();
        World {
            fleet: fleet(self.nodes),
            facts,
        }
    }

    fn fault(&self, node: usize) -> Option<usize> {
        (self.fault_every > 0 && node % self.fault_every == self.fault_every - 1)
            .then(|| (node / self.fault_every) % 3)
    }

    fn login_key(&self, node: usize) -> String {
        let node = if self.shared_key { 0 } else { node };
        keys::ed25519(&["login"], node)
    }

    /// The lines for one node.
    fn recorded(&self, node: usize) -> String {
        self.recorded_with(node, "")
    }

    fn recorded_with(&self, node: usize, salt: &str) -> String {
        let names = [address(node), name(node)];
        let host_keys = [keys::ed25519(&["host"], node), keys::rsa(&["host"], node)];
        host_keys
            .iter()
            .map(|key| match self.form {
                Form::Hashed => names
                    .iter()
                    .map(|name| {
                        let bytes = keys::bytes(&["salt", salt, name, &key[..9]], node);
                        let salt: [u8; 20] = bytes[..20].try_into().unwrap_or([0; 20]);
                        format!("{} {key}\n", HashedName::new(name, salt))
                    })
                    .collect(),
                Form::Plain | Form::Authority => format!("{} {key}\n", names.join(",")),
            })
            .collect()
    }

    /// The same lines as the others have, salted and ordered in another way.
    fn own_known_hosts(&self, node: usize, shared: &[String]) -> Content {
        let mut text = String::new();
        for offset in 0..shared.len() {
            let other = (node + offset) % shared.len();
            if self.form == Form::Hashed {
                text.push_str(&self.recorded_with(other, &name(node)));
            } else {
                text.push_str(&shared[other]);
            }
        }
        content(&text)
    }

    fn facts(
        &self,
        node: usize,
        common: &Common,
        own_known_hosts: Option<Content>,
        authority: &ssh_key::PrivateKey,
    ) -> NodeFacts {
        let fault = self.fault(node);
        let host_word = if fault == Some(0) { "remade" } else { "host" };
        let login_word = if fault == Some(1) { "foreign" } else { "login" };
        let login_key = if fault == Some(1) {
            keys::ed25519(&[login_word], node)
        } else {
            self.login_key(node)
        };
        let known_hosts = match fault {
            Some(2) => FileState::Absent,
            _ => present(own_known_hosts.unwrap_or_else(|| common.known_hosts.clone())),
        };
        let address: IpAddr = address(node).parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        NodeFacts {
            hostname: name(node),
            machine_id: Some(format!("{node:032x}")),
            os: Some("Debian GNU/Linux 12 (bookworm)".into()),
            clock: NOW,
            clock_skew: Some(0),
            addresses: vec![IpAddr::from([127, 0, 0, 1]), address],
            listeners: Some(vec![([0, 0, 0, 0], 22).into()]),
            nova: NovaSettings {
                read: true,
                my_ip: Some(address.to_string()),
                instances_path: "/var/lib/nova/instances".into(),
                remote_filesystem_transport: "ssh".into(),
                ..NovaSettings::default()
            },
            clients: vec![client(common, known_hosts, login_key, node)],
            server: self.server(node, common, host_word, authority),
            instances: InstancesFact {
                path: "/var/lib/nova/instances".into(),
                meta: Some(meta(FileKind::Directory, 0o755, NOVA_ID)),
                writable: true,
                free_bytes: Some(1 << 40),
                free_inodes: Some(1 << 20),
                read_only: false,
            },
            gaps: Vec::new(),
        }
    }

    fn server(
        &self,
        node: usize,
        common: &Common,
        host_word: &str,
        authority: &ssh_key::PrivateKey,
    ) -> ServerFacts {
        let key = |kind: &str, public: String, certificate| HostKeyFact {
            path: format!("/etc/ssh/ssh_host_{kind}_key"),
            public,
            certificate,
            meta: Some(meta(FileKind::File, 0o600, 0)),
            left_out: false,
        };
        let host_keys = if self.form == Form::Authority {
            let pair = keys::pair(&[host_word], node);
            let names = [address(node), name(node)];
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let certificate = keys::host_certificate(&pair, authority, &names, (0, u64::MAX));
            let file = FileFact {
                path: "/etc/ssh/ssh_host_ed25519_key-cert.pub".into(),
                state: present(content(&certificate)),
            };
            vec![key("ed25519", keys::public_half(&pair), Some(file))]
        } else {
            vec![
                key("rsa", keys::rsa(&[host_word], node), None),
                key("ed25519", keys::ed25519(&[host_word], node), None),
            ]
        };
        let authorized_keys = |name: &str, state| CheckedFile {
            file: FileFact {
                path: format!("/var/lib/nova/.ssh/{name}"),
                state,
            },
            above: ["/var/lib/nova/.ssh", "/var/lib/nova"]
                .map(|path| (path.to_owned(), meta(FileKind::Directory, 0o700, NOVA_ID)))
                .into(),
            private_group: vec![false; 3],
            closed: None,
        };
        ServerFacts {
            machine_id: Some(format!("{node:032x}")),
            sshd_version: Some(VERSION.into()),
            base_config: Answer::Output(common.sshd.clone()),
            config_files: vec![FileFact {
                path: "/etc/ssh/sshd_config".into(),
                state: present(common.sshd_config.clone()),
            }],
            host_keys,
            accounts: vec![LoginAccount {
                name: NOVA.into(),
                account: Some(nova()),
                shell_usable: true,
                lock: LockState::Open,
                expires_day: None,
                password_expired: false,
                authorized_keys: vec![
                    authorized_keys("authorized_keys", present(common.authorized.clone())),
                    authorized_keys("authorized_keys2", FileState::Absent),
                ],
                principals: Vec::new(),
            }],
            trust_files: Vec::new(),
            nologin: Vec::new(),
            sftp_server: Some(FileFact {
                path: "/usr/lib/openssh/sftp-server".into(),
                state: present(content("")),
            }),
            programs: ["scp", "rsync", "nc"].map(str::to_owned).into(),
            labels: None,
        }
    }
}

/// Files that all nodes have.
struct Common {
    known_hosts: Content,
    authorized: Content,
    ssh: Content,
    sshd: Content,
    ssh_config: Content,
    sshd_config: Content,
}

fn client(common: &Common, known_hosts: FileState, login_key: String, node: usize) -> ClientFacts {
    let file = |path: &str, state| FileFact {
        path: path.into(),
        state,
    };
    let identity = |kind: &str, public: Option<String>| Identity {
        path: format!("/var/lib/nova/.ssh/id_{kind}"),
        meta: public
            .as_ref()
            .map(|_| meta(FileKind::File, 0o600, NOVA_ID)),
        state: if public.is_some() {
            IdentityState::Usable
        } else {
            IdentityState::Missing
        },
        public,
        stale: None,
        certificate: None,
    };
    let mut identities: Vec<Identity> = ["rsa", "ecdsa", "ecdsa_sk", "ed25519_sk", "xmss", "dsa"]
        .map(|kind| identity(kind, None))
        .into();
    identities.push(identity("ed25519", Some(login_key)));
    ClientFacts {
        context: CONTEXT.map(str::to_owned).into(),
        failed: None,
        unfinished: false,
        account: Some(nova()),
        ssh_version: Some(VERSION.into()),
        base_config: Answer::Output(common.ssh.clone()),
        config_files: vec![file(
            "/etc/ssh/ssh_config",
            present(common.ssh_config.clone()),
        )],
        identities,
        key_copies: Vec::new(),
        public_halves: vec!["/var/lib/nova/.ssh/id_ed25519.pub".into()],
        known_hosts: vec![
            file("/var/lib/nova/.ssh/known_hosts", known_hosts),
            file("/var/lib/nova/.ssh/known_hosts2", FileState::Absent),
            file("/etc/ssh/ssh_known_hosts", FileState::Absent),
            file("/etc/ssh/ssh_known_hosts2", FileState::Absent),
        ],
        directories: ["/var/lib/nova/.ssh", "/var/lib/nova"]
            .map(|path| {
                let state = FileState::Present {
                    meta: meta(FileKind::Directory, 0o700, NOVA_ID),
                    readable: true,
                    content: None,
                };
                file(path, state)
            })
            .into(),
        // As installers write it: every node has a file of its own.
        hosts: file(
            "/etc/hosts",
            present(content(&format!(
                "127.0.0.1 localhost\n127.0.1.1 {}\n",
                name(node)
            ))),
        ),
        programs: ["ssh", "scp", "rsync", "timeout"].map(str::to_owned).into(),
        labels: None,
    }
}

const VERSION: &str = "OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.13 30 Jan 2024";
const CONTEXT: [&str; 4] = ["runuser", "-u", "nova", "--"];
const NOVA_ID: u32 = 64060;

fn nova() -> Account {
    Account {
        name: NOVA.into(),
        uid: NOVA_ID,
        gid: NOVA_ID,
        groups: vec![NOVA.into()],
        home: "/var/lib/nova".into(),
        shell: "/bin/bash".into(),
    }
}

fn name(node: usize) -> String {
    format!("cmp{node:05}")
}

fn address(node: usize) -> String {
    format!(
        "10.{}.{}.{}",
        node >> 14,
        (node >> 7) & 127,
        (node & 127) + 1
    )
}

fn meta(kind: FileKind, mode: u32, owner: u32) -> Meta {
    Meta {
        kind,
        mode,
        uid: owner,
        gid: owner,
        size: 0,
        symlink: false,
    }
}

fn content(text: &str) -> Content {
    Content {
        sha256: Sha256::digest(text).into(),
        bytes: text.as_bytes().into(),
    }
}

fn present(content: Content) -> FileState {
    FileState::Present {
        meta: meta(FileKind::File, 0o644, NOVA_ID),
        readable: true,
        content: Some(content),
    }
}

/// A fleet whose lanes are those of distribution packages.
fn fleet(nodes: usize) -> Fleet {
    let lane = |context: &[&str], dial| LaneProfile {
        used: LaneUse::Auto,
        context: context.iter().map(ToString::to_string).collect(),
        dial,
        user: None,
        port: None,
        identity: None,
    };
    let profile = Arc::new(Profile {
        name: NOVA.into(),
        repair: Default::default(),
        nova_conf: vec!["/etc/nova/nova.conf".into()],
        nova_context: CONTEXT.map(str::to_owned).into(),
        sshd: SshdProfile {
            context: Vec::new(),
            binary: "/usr/sbin/sshd".into(),
            config: "/etc/ssh/sshd_config".into(),
            port: 22,
        },
        cold_push: lane(&CONTEXT, Dial::MigrationAddress),
        cold_pull: lane(&CONTEXT, Dial::ServiceHost),
        live: lane(&[], Dial::LiveAddress),
    });
    let node = |number| Node {
        name: NodeName::new(&name(number)).expect("made of letters and digits"),
        service_host: None,
        migration_address: None,
        live_address: None,
        cell: None,
        groups: Vec::new(),
        control: Control {
            address: address(number),
            port: 22,
            user: "deploy".into(),
            sudo: true,
            identities: Vec::new(),
            agent: false,
            host_key: HostKeyTrust {
                known_hosts: Vec::new(),
                alias: None,
                pinned: Vec::new(),
            },
            jump: Vec::new(),
        },
        profile: Arc::clone(&profile),
    };
    Fleet {
        nodes: (0..nodes).map(node).collect(),
        groups: BTreeMap::new(),
        scope: Scope::All,
    }
}

/// What `ssh -G clearway-base.invalid` prints on Debian 12, as far as anything depends on it.
const SSH_G: &str = "host clearway-base.invalid
user nova
hostname clearway-base.invalid
port 22
addressfamily any
batchmode no
canonicalizehostname false
checkhostip no
hashknownhosts yes
identitiesonly no
pubkeyauthentication true
stricthostkeychecking ask
updatehostkeys true
casignaturealgorithms ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256
ciphers chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com
hostkeyalgorithms ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256
kexalgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,ecdh-sha2-nistp256
macs umac-64-etm@openssh.com,hmac-sha2-256
pubkeyacceptedalgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256
requiredrsasize 1024
identityfile ~/.ssh/id_rsa
identityfile ~/.ssh/id_ecdsa
identityfile ~/.ssh/id_ecdsa_sk
identityfile ~/.ssh/id_ed25519
identityfile ~/.ssh/id_ed25519_sk
identityfile ~/.ssh/id_xmss
identityfile ~/.ssh/id_dsa
globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2
userknownhostsfile /var/lib/nova/.ssh/known_hosts /var/lib/nova/.ssh/known_hosts2
";

/// What `sshd -T` prints on Debian 12, as far as anything depends on it.
const SSHD_T: &str = "port 22
usepam yes
maxauthtries 6
maxsessions 10
pubkeyauthentication yes
strictmodes yes
permitrootlogin without-password
usedns no
maxstartups 10:30:100
authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2
authenticationmethods any
subsystem sftp /usr/lib/openssh/sftp-server
requiredrsasize 1024
hostkeyalgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256
kexalgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,ecdh-sha2-nistp256
ciphers chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com
macs umac-64-etm@openssh.com,hmac-sha2-256
pubkeyacceptedalgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256
casignaturealgorithms ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256
";
