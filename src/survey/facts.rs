//! What the survey found on a node, before anything is concluded from it.
//!
//! Files come as they are on the node, addressed by their hash: identical files of many nodes are one [`Content`],
//! parsed and judged once. Every text in here was written by a node and must be escaped where it is shown.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::nova_conf::NovaSettings;

/// The bytes of a file or of a command's output, and their SHA-256.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Content {
    /// SHA-256 of `bytes`: equal hashes are taken for equal contents.
    pub sha256: [u8; 32],
    /// The bytes, shared between all nodes that have the same.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.bytes.len())
    }
}

/// Owner, mode and size of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Meta {
    /// What it is, symbolic links followed.
    pub kind: FileKind,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Whether the path itself is a symbolic link.
    pub symlink: bool,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A character device such as `/dev/null`, a socket, a pipe.
    Other,
}

/// A path on a node and what is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileFact {
    /// Absolute path, in the context in which it was read.
    pub path: String,
    /// What is there.
    pub state: FileState,
}

/// What was found at a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FileState {
    /// Nothing.
    Absent,
    /// Something that root (or the context's user) could not look at; with the error text.
    Unreadable(String),
    /// There, and read. `readable` says whether the account it matters to may read it too.
    Present {
        /// Owner, mode, size.
        meta: Meta,
        /// Whether the account in question can read it (the survey itself reads as root).
        readable: bool,
        /// The bytes; `None` when it is no regular file, too large for the survey, or a private key.
        content: Option<Content>,
    },
}

impl FileFact {
    /// The bytes, when there are any.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        match &self.state {
            FileState::Present { content, .. } => content.as_ref(),
            _ => None,
        }
    }
}

/// What a command that the survey ran answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Exit status 0 and this output.
    Output(Content),
    /// It failed: exit status and what it wrote to stderr.
    Failed {
        /// Exit status; 127 when there is no such command.
        status: i32,
        /// Its complaint, bounded.
        stderr: String,
    },
}

impl Answer {
    /// What it wrote, where it ended well.
    #[must_use]
    pub fn output(&self) -> Option<&Content> {
        match self {
            Self::Output(content) => Some(content),
            Self::Failed { .. } => None,
        }
    }
}

/// Everything the survey found on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// `uname -n`.
    pub hostname: String,
    /// `/etc/machine-id` of the host; [`ServerFacts::machine_id`] is what a login sees.
    pub machine_id: Option<String>,
    /// `PRETTY_NAME` of os-release.
    pub os: Option<String>,
    /// The node's clock when the survey ran, seconds since the epoch.
    pub clock: i64,
    /// The controller's clock at the same moment minus [`Self::clock`], in seconds, as exact as the round trip.
    pub clock_skew: Option<i64>,
    /// Addresses on the interfaces of the host, loopback included.
    pub addresses: Vec<IpAddr>,
    /// Sockets that listen for TCP on the host; `None` when that could not be read.
    pub listeners: Option<Vec<SocketAddr>>,
    /// Nova's settings that matter for moves.
    pub nova: NovaSettings,
    /// The client side of each distinct context of the profile's lanes, in the order of the request.
    pub clients: Vec<ClientFacts>,
    /// The server side.
    pub server: ServerFacts,
    /// Nova's `instances_path`.
    pub instances: InstancesFact,
    /// Parts of the survey that could not be done, in words.
    pub gaps: Vec<String>,
}

/// An entry of the passwd database and what matters of the account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric primary group id.
    pub gid: u32,
    /// Names of all groups, the primary one first.
    pub groups: Vec<String>,
    /// Home directory.
    pub home: String,
    /// Login shell; empty means `/bin/sh`.
    pub shell: String,
}

/// Where `ssh` runs: one context on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFacts {
    /// The words that enter the context, as in the profile.
    pub context: Vec<String>,
    /// Why the context could not be entered, or was not because nothing needs it; everything below is then empty.
    pub failed: Option<String>,
    /// Whether it failed only in that no whole answer came: what Nova would meet there is not known.
    pub unfinished: bool,
    /// The account that commands run as there.
    pub account: Option<Account>,
    /// `ssh -V`.
    pub ssh_version: Option<String>,
    /// `ssh -G` for a name that no `Host` pattern is made for ([`super::BASE_NAME`]), without `loglevel`. Where
    /// another node has given the answer with the very same program and files, it is that ([`super::KnownAnswer`]).
    pub base_config: Answer,
    /// The client configuration files, in the order in which ssh reads them: the account's, then the system's.
    /// Included files follow the file that includes them.
    pub config_files: Vec<FileFact>,
    /// The private keys that the configuration would offer, and the default ones that exist.
    pub identities: Vec<Identity>,
    /// Other files in the account's `.ssh` that are named like private keys: copies that nobody uses. Never read.
    pub key_copies: Vec<FileFact>,
    /// Files in the account's `.ssh` that are named like public halves of keys (`id_*.pub`), with or without a private
    /// half beside them.
    pub public_halves: Vec<String>,
    /// The known_hosts files that the base configuration names, user's then global, and any other that a
    /// configuration file names.
    pub known_hosts: Vec<FileFact>,
    /// The account's `.ssh` directory and its home, as this context sees them; `readable` tells whether the account
    /// may search them.
    pub directories: Vec<FileFact>,
    /// `/etc/hosts` as this context sees it.
    pub hosts: FileFact,
    /// Programs found on the context's PATH, of `ssh`, `scp`, `rsync`, `nc`, `timeout`.
    pub programs: Vec<String>,
    /// What SELinux has to say of the files; `None` where there is no SELinux.
    pub labels: Option<Labels>,
}

/// A private key file. Its private half never leaves the node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Absolute path.
    pub path: String,
    /// Owner and mode; `None` when there is no such file.
    pub meta: Option<Meta>,
    /// What `ssh-keygen` makes of it.
    pub state: IdentityState,
    /// Its public half as one `type base64` line, from the private key itself when it can be read, else from `.pub`.
    pub public: Option<String>,
    /// What `.pub` says where it is the public half of another key ([`IdentityState::OtherPublic`]): ssh offers that one.
    pub stale: Option<String>,
    /// The certificate beside it (`<path>-cert.pub`), or the one that `CertificateFile` names.
    pub certificate: Option<FileFact>,
}

/// Whether a private key file can be used as ssh would use it, without anybody to type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentityState {
    /// It loads.
    Usable,
    /// No such file.
    Missing,
    /// The account may not read it.
    Unreadable,
    /// It belongs to the account and others may read it: ssh ignores it (sshkey_perm_ok in authfile.c).
    TooOpen,
    /// It needs a passphrase.
    Passphrase,
    /// It is damaged or no private key.
    Invalid,
    /// It loads, and the `.pub` beside it is another key's: ssh offers what that says and then refuses to sign
    /// (sshkey_load_public in authfile.c, identity_sign in sshconnect2.c).
    OtherPublic,
}

/// The server side of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// `/etc/machine-id` where the sshd runs: what a proof compares to know which machine answered. `None` where there
    /// is none, as in most containers.
    pub machine_id: Option<String>,
    /// `sshd -V` or the version that the package names.
    pub sshd_version: Option<String>,
    /// `sshd -T` with connection values that no `Match` block is made for, without `loglevel`. Where another node has
    /// given the answer with the very same program and files, it is that ([`super::KnownAnswer`]).
    pub base_config: Answer,
    /// sshd_config and the files that it includes, in reading order.
    pub config_files: Vec<FileFact>,
    /// Host keys that the configuration names and that exist.
    pub host_keys: Vec<HostKeyFact>,
    /// Accounts that lanes may log in to.
    pub accounts: Vec<LoginAccount>,
    /// `TrustedUserCAKeys` and `RevokedKeys` files that the configuration names.
    pub trust_files: Vec<FileFact>,
    /// Which of `/etc/nologin` and `/run/nologin` exist.
    pub nologin: Vec<String>,
    /// Whether the file that `Subsystem sftp` names exists; `None` for `internal-sftp` or no subsystem.
    pub sftp_server: Option<FileFact>,
    /// Programs found on the host's default PATH, of `scp`, `rsync`, `nc`, `virt-ssh-helper`.
    pub programs: Vec<String>,
    /// What SELinux has to say of the files; `None` where there is no SELinux.
    pub labels: Option<Labels>,
}

/// What SELinux has to say of the files of ssh or sshd.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Whether what the policy does not allow is denied (`enforcing`), and not only logged (`permissive`).
    pub enforcing: bool,
    /// Files of trust, and directories above them, whose label is not the policy's; `None` when that is not known.
    pub wrong: Option<Vec<WrongLabel>>,
}

/// A path whose SELinux label is another than the policy gives it, as `restorecon -n` says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WrongLabel {
    /// Absolute path.
    pub path: String,
    /// The label that it has, `user:role:type`, with `:level` where the policy has levels.
    pub has: String,
    /// The label that `restorecon` would give it: another type, and the rest of the one that it has.
    pub policy: String,
}

impl Labels {
    /// What is wrong at a path.
    #[must_use]
    pub fn wrong_at(&self, path: &str) -> Option<&WrongLabel> {
        self.wrong.iter().flatten().find(|it| it.path == path)
    }
}

/// A host key of a server: its public half, as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostKeyFact {
    /// Path of the private key, as the configuration names it.
    pub path: String,
    /// The `.pub` line, `type base64 comment`.
    pub public: String,
    /// The host certificate that goes with it, when one is configured.
    pub certificate: Option<FileFact>,
    /// The private key's owner and mode.
    pub meta: Option<Meta>,
    /// Whether sshd loads others and not this one, for example because of its mode.
    pub left_out: bool,
}

/// An account that a lane logs in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginAccount {
    /// The name that was asked for.
    pub name: String,
    /// Its passwd entry; `None` when there is no such account.
    pub account: Option<Account>,
    /// Whether the login shell exists and can be run.
    pub shell_usable: bool,
    /// The password field of shadow, reduced to what sshd and PAM look at.
    pub lock: LockState,
    /// Day (since the epoch) on which the account expires, from shadow.
    pub expires_day: Option<i64>,
    /// Whether shadow's ageing fields make the password expired or to be changed on the node's own clock.
    pub password_expired: bool,
    /// The files that `AuthorizedKeysFile` names for it, expanded, in order.
    pub authorized_keys: Vec<CheckedFile>,
    /// The files that `AuthorizedPrincipalsFile` names for it, expanded.
    pub principals: Vec<CheckedFile>,
}

/// The password field of shadow, reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockState {
    /// A password, `*`, or empty: not locked.
    Open,
    /// Starts with `!`: locked for an sshd without PAM (auth.c `allowed_user`, LOCKED_PASSWD_PREFIX).
    Locked,
    /// No shadow entry, or it could not be read.
    Unknown,
}

/// A file with everything above it that StrictModes looks at (misc.c `safe_path`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedFile {
    /// The file; `readable` tells for the account.
    pub file: FileFact,
    /// The directories above it, nearest first, up to the account's home (or `/`), with what is known of each.
    pub above: Vec<(String, Meta)>,
    /// The `sshd`-relevant exception of Debian: the file's or directory's group is the account's private group
    /// without other members. False on other distributions, whose sshd makes no exception. One flag per path, the file first, then `above`.
    pub private_group: Vec<bool>,
    /// The directory nearest to `/` that the account cannot search, also above its home; `None` where nothing hides the file.
    pub closed: Option<String>,
}

/// Nova's instances directory on a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstancesFact {
    /// Absolute path.
    pub path: String,
    /// Owner and mode; `None` when it does not exist.
    pub meta: Option<Meta>,
    /// Whether nova-compute's user can create files there, as `test -w` in its context says.
    pub writable: bool,
    /// Free bytes on its file system.
    pub free_bytes: Option<u64>,
    /// Free inodes on its file system.
    pub free_inodes: Option<u64>,
    /// Whether its file system is mounted read-only.
    pub read_only: bool,
}
