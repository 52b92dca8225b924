//! Why a leg is broken, why it could not be proven, why it is not needed, and what else is worth knowing.
//!
//! The codes are stable: scripts may match them. `clearway reasons` and docs/reasons.md are made from these tables.
//! Remedies hold placeholders in braces; see [`Placeholders`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::lane::Step;

/// The values that a remedy's placeholders are filled with. A placeholder without a value stays as a readable word.
///
/// `{client}` and `{server}` are the node that dials and the one that answers, `{source}` and `{destination}` the
/// pair, `{name}` and `{port}` what is dialled, `{client_user}` and `{server_user}` the accounts, `{file}` the file
/// in question, `{context}` the words that enter Nova's context, `{instances_path}` Nova's directory, `{node}` a node.
#[derive(Debug, Clone, Default)]
pub struct Placeholders(Vec<(&'static str, String)>);

impl Placeholders {
    /// Adds a value; the first one given for a key counts.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.push((key, value.into()));
        self
    }

    /// Adds the values of another list for keys that have none here.
    #[must_use]
    pub fn or(mut self, others: &Self) -> Self {
        self.0.extend(others.0.iter().cloned());
        self
    }

    /// Fills a template.
    #[must_use]
    pub fn fill(&self, template: &str) -> String {
        let mut text = String::with_capacity(template.len() + 32);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((key, tail)) = after.split_once('}') else {
                text.push('{');
                rest = after;
                break;
            };
            match self.0.iter().find(|(known, _)| *known == key) {
                Some((_, value)) => text.push_str(value),
                None => text.push_str(&key.replace('_', " ").to_uppercase()),
            }
            rest = tail;
        }
        text.push_str(rest);
        text
    }
}

/// Why a leg is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// The name Nova dials has no address on the node that dials it.
    NameUnresolvable,
    /// The name Nova dials leads to an address that another node owns, or that no surveyed node owns as its own.
    NameResolvesElsewhere,
    /// The name Nova dials leads to a loopback address, so the node would log in to itself.
    AddressLoopback,
    /// Two nodes announce the same migration address, or one announces an address that it does not own. Nova then takes their storage for shared, copies no disk and loses it.
    SharedAddress,
    /// Nothing says which address or name Nova would dial: neither the inventory nor a readable nova.conf.
    AddressUnknown,
    /// ssh refuses to start because of its own configuration on the dialling node.
    ClientConfigInvalid,
    /// ssh refuses its per-user configuration because of the file's owner or mode.
    ClientConfigUnsafe,
    /// There is no ssh client where Nova would run it.
    SshMissing,
    /// The command that enters Nova's context on the dialling node fails, so Nova's ssh cannot be run as Nova runs it.
    ContextFailed,
    /// The address answers, but nothing listens on the port dialled.
    ConnectionRefused,
    /// No answer to the TCP connection: a firewall drops it, or the address is wrong.
    ConnectionTimedOut,
    /// The dialling node has no route to the address, or a router or firewall rejects it.
    NoRoute,
    /// The dialling node's own rules forbid the connection.
    LocalFirewall,
    /// The server closed the connection before it said who it is, twice, and no throttling explains it.
    ConnectionDropped,
    /// The connection is accepted, but no SSH banner comes in time.
    BannerTimeout,
    /// What answers on that port is not an SSH server.
    NotSsh,
    /// The client configuration goes through a jump host or proxy command, and that fails.
    ProxyFailed,
    /// The client configuration shares connections over a control socket that this account cannot use.
    ControlMasterFailed,
    /// The connection opens and then hangs in the key exchange: typical of a path that drops large packets (MTU).
    KeyExchangeStalled,
    /// Client and server have no key exchange, cipher, MAC or host key algorithm in common.
    NoCommonAlgorithm,
    /// The far end ends the connection in the middle of the key exchange: its sshd fails on its own, or something in between tampers with the traffic.
    KeyExchangeFailed,
    /// The client has no host key for the exact name that Nova dials.
    HostKeyUnknown,
    /// The client has another host key recorded for that name than the one the server presents.
    HostKeyChanged,
    /// The key presented on the wire is neither the one recorded nor one that lies on the destination's disk: another machine, NAT, a duplicate address, an sshd not restarted, or an attack.
    HostKeyNotOnDisk,
    /// The key presented is marked as revoked on the client.
    HostKeyRevoked,
    /// The dialling node's `RevokedHostKeys` file is missing or unreadable, so ssh refuses every host key.
    RevokedHostKeysUnreadable,
    /// The client knows the name only with key types that the server does not present any more.
    HostKeyTypeGap,
    /// The known_hosts file exists but the account cannot read it.
    KnownHostsUnreadable,
    /// The server's host certificate is past its end.
    HostCertificateExpired,
    /// The server's host certificate is not valid yet: signed for later, or a clock is wrong.
    HostCertificateNotYetValid,
    /// The server's host certificate does not list the name that Nova dials.
    HostCertificateWrongPrincipal,
    /// The server's host certificate is signed by an authority that the client does not trust for this name.
    HostCertificateUnknownAuthority,
    /// The server presents a user certificate as its host certificate.
    HostCertificateWrongType,
    /// The account that dials has no private key to offer.
    IdentityMissing,
    /// The private key exists, but the account that dials cannot read it.
    IdentityUnreadable,
    /// ssh ignores the private key because others may read it.
    IdentityModes,
    /// The private key file is damaged, truncated, or not a private key.
    IdentityInvalid,
    /// The private key is protected by a passphrase that nobody can type.
    IdentityPassphrase,
    /// The client configuration forbids public keys.
    PublickeyDisabledClient,
    /// None of the keys offered is authorised for the account on the far end.
    KeyNotAuthorized,
    /// The account on the far end has no authorized_keys file where its sshd looks for one.
    AuthorizedKeysMissing,
    /// sshd refuses the authorized_keys file because of the owner or mode of it or of a directory above it (StrictModes).
    AuthorizedKeysModes,
    /// The account cannot read its own authorized_keys file.
    AuthorizedKeysUnreadable,
    /// The key is authorised, but its `from=` does not allow the address that this node comes from.
    KeyFromMismatch,
    /// The key is authorised, but its `expiry-time=` is past.
    KeyExpired,
    /// The line that authorises the key has an option that sshd does not accept, so the whole line is void.
    KeyOptionInvalid,
    /// The key is on the far end's list of revoked keys.
    KeyRevoked,
    /// The far end's `RevokedKeys` file is missing or unreadable, so sshd refuses every key.
    RevokedKeysUnreadable,
    /// Client and server agree on no signature algorithm for this key, or the key is shorter than one of them accepts.
    KeyAlgorithmRefused,
    /// The user certificate is past its end.
    UserCertificateExpired,
    /// The user certificate is not valid yet: signed for later, or a clock is wrong.
    UserCertificateNotYetValid,
    /// The user certificate does not list a principal that the far end accepts for the account.
    UserCertificateWrongPrincipal,
    /// The user certificate has no principals, and sshd accepts none such.
    UserCertificateNoPrincipal,
    /// The user certificate is signed by an authority that the far end does not trust.
    UserCertificateUnknownAuthority,
    /// The user certificate is limited to source addresses that this node does not come from.
    UserCertificateSourceAddress,
    /// The account that is logged in to does not exist on the far end.
    AccountMissing,
    /// The account on the far end is locked, and its sshd (UsePAM no) refuses locked accounts.
    AccountLocked,
    /// The account or its password has expired on the far end.
    AccountExpired,
    /// The far end's sshd does not let this account in (AllowUsers, DenyUsers, AllowGroups, DenyGroups, PermitRootLogin).
    AccountNotAllowed,
    /// The login shell of the account does not exist on the far end.
    AccountShellMissing,
    /// /etc/nologin or /run/nologin exists on the far end: only root may log in.
    LoginsDisabled,
    /// PAM on the far end refuses the account after the key was accepted.
    PamRefused,
    /// The far end's sshd does not accept public keys for this account and source.
    PublickeyDisabledServer,
    /// The key is accepted, but the far end asks for a second factor (AuthenticationMethods).
    MoreAuthenticationNeeded,
    /// The client offers so many keys that the far end ends the login (MaxAuthTries) before it comes to the right one.
    TooManyKeys,
    /// The far end refuses the login, and neither its files nor its log say why.
    LoginRefused,
    /// The login works, but the account's shell runs no commands (nologin, false).
    AccountNologin,
    /// The key is accepted, but the far end cannot open a session (PAM session, limits, chroot, MaxSessions).
    SessionRefused,
    /// The login works, but the account must change its password first.
    PasswordChangeRequired,
    /// A forced command answers instead of the command that Nova sends, and refuses it.
    ForcedCommandDenied,
    /// The login succeeds, but another machine than the intended one answers.
    WrongMachine,
    /// The login succeeds, but Nova's commands fail on the far end.
    CommandFailed,
    /// The instances directory does not exist on the far end.
    InstancesPathMissing,
    /// The account cannot write to the instances directory on the far end.
    InstancesPathNotWritable,
    /// The instances directory lies on a file system that is mounted read-only.
    ReadOnlyFilesystem,
    /// The file system of the instances directory is full (space or inodes).
    DiskFull,
    /// The login works, but the far end has neither `virt-ssh-helper` nor `nc`, with which libvirt reaches its daemon there.
    LibvirtHelperMissing,
    /// The login works, but no libvirt daemon listens on the far end's local socket.
    LibvirtSocketMissing,
    /// The login works, but the account may not use the libvirt daemon's socket.
    LibvirtSocketDenied,
    /// The far end's shell prints text before the copy starts, which breaks scp, sftp and rsync.
    ShellNoisy,
    /// The far end has no working sftp subsystem, which scp needs since OpenSSH 9.0.
    SftpMissing,
    /// A program that the copy needs (scp, rsync) is missing on one of the ends.
    CopyToolMissing,
    /// Commands work, but copying a file fails.
    CopyFailed,
    /// The file was copied without an error, but does not read back the same.
    CopyCorrupted,
}

impl Reason {
    /// All of them, in the order in which they are documented.
    pub const ALL: &'static [Self] = &[
        Self::NameUnresolvable,
        Self::NameResolvesElsewhere,
        Self::AddressLoopback,
        Self::SharedAddress,
        Self::AddressUnknown,
        Self::ClientConfigInvalid,
        Self::ClientConfigUnsafe,
        Self::SshMissing,
        Self::ContextFailed,
        Self::ConnectionRefused,
        Self::ConnectionTimedOut,
        Self::NoRoute,
        Self::LocalFirewall,
        Self::ConnectionDropped,
        Self::BannerTimeout,
        Self::NotSsh,
        Self::ProxyFailed,
        Self::ControlMasterFailed,
        Self::KeyExchangeStalled,
        Self::NoCommonAlgorithm,
        Self::KeyExchangeFailed,
        Self::HostKeyUnknown,
        Self::HostKeyChanged,
        Self::HostKeyNotOnDisk,
        Self::HostKeyRevoked,
        Self::RevokedHostKeysUnreadable,
        Self::HostKeyTypeGap,
        Self::KnownHostsUnreadable,
        Self::HostCertificateExpired,
        Self::HostCertificateNotYetValid,
        Self::HostCertificateWrongPrincipal,
        Self::HostCertificateUnknownAuthority,
        Self::HostCertificateWrongType,
        Self::IdentityMissing,
        Self::IdentityUnreadable,
        Self::IdentityModes,
        Self::IdentityInvalid,
        Self::IdentityPassphrase,
        Self::PublickeyDisabledClient,
        Self::KeyNotAuthorized,
        Self::AuthorizedKeysMissing,
        Self::AuthorizedKeysModes,
        Self::AuthorizedKeysUnreadable,
        Self::KeyFromMismatch,
        Self::KeyExpired,
        Self::KeyOptionInvalid,
        Self::KeyRevoked,
        Self::RevokedKeysUnreadable,
        Self::KeyAlgorithmRefused,
        Self::UserCertificateExpired,
        Self::UserCertificateNotYetValid,
        Self::UserCertificateWrongPrincipal,
        Self::UserCertificateNoPrincipal,
        Self::UserCertificateUnknownAuthority,
        Self::UserCertificateSourceAddress,
        Self::AccountMissing,
        Self::AccountLocked,
        Self::AccountExpired,
        Self::AccountNotAllowed,
        Self::AccountShellMissing,
        Self::LoginsDisabled,
        Self::PamRefused,
        Self::PublickeyDisabledServer,
        Self::MoreAuthenticationNeeded,
        Self::TooManyKeys,
        Self::LoginRefused,
        Self::AccountNologin,
        Self::SessionRefused,
        Self::PasswordChangeRequired,
        Self::ForcedCommandDenied,
        Self::WrongMachine,
        Self::CommandFailed,
        Self::InstancesPathMissing,
        Self::InstancesPathNotWritable,
        Self::ReadOnlyFilesystem,
        Self::DiskFull,
        Self::LibvirtHelperMissing,
        Self::LibvirtSocketMissing,
        Self::LibvirtSocketDenied,
        Self::ShellNoisy,
        Self::SftpMissing,
        Self::CopyToolMissing,
        Self::CopyFailed,
        Self::CopyCorrupted,
    ];

    /// The stable kebab-case code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NameUnresolvable => "name-unresolvable",
            Self::NameResolvesElsewhere => "name-resolves-elsewhere",
            Self::AddressLoopback => "address-loopback",
            Self::SharedAddress => "shared-address",
            Self::AddressUnknown => "address-unknown",
            Self::ClientConfigInvalid => "client-config-invalid",
            Self::ClientConfigUnsafe => "client-config-unsafe",
            Self::SshMissing => "ssh-missing",
            Self::ContextFailed => "context-failed",
            Self::ConnectionRefused => "connection-refused",
            Self::ConnectionTimedOut => "connection-timed-out",
            Self::NoRoute => "no-route",
            Self::LocalFirewall => "local-firewall",
            Self::ConnectionDropped => "connection-dropped",
            Self::BannerTimeout => "banner-timeout",
            Self::NotSsh => "not-ssh",
            Self::ProxyFailed => "proxy-failed",
            Self::ControlMasterFailed => "control-master-failed",
            Self::KeyExchangeStalled => "key-exchange-stalled",
            Self::NoCommonAlgorithm => "no-common-algorithm",
            Self::KeyExchangeFailed => "key-exchange-failed",
            Self::HostKeyUnknown => "host-key-unknown",
            Self::HostKeyChanged => "host-key-changed",
            Self::HostKeyNotOnDisk => "host-key-not-on-disk",
            Self::HostKeyRevoked => "host-key-revoked",
            Self::RevokedHostKeysUnreadable => "revoked-host-keys-unreadable",
            Self::HostKeyTypeGap => "host-key-type-gap",
            Self::KnownHostsUnreadable => "known-hosts-unreadable",
            Self::HostCertificateExpired => "host-certificate-expired",
            Self::HostCertificateNotYetValid => "host-certificate-not-yet-valid",
            Self::HostCertificateWrongPrincipal => "host-certificate-wrong-principal",
            Self::HostCertificateUnknownAuthority => "host-certificate-unknown-authority",
            Self::HostCertificateWrongType => "host-certificate-wrong-type",
            Self::IdentityMissing => "identity-missing",
            Self::IdentityUnreadable => "identity-unreadable",
            Self::IdentityModes => "identity-modes",
            Self::IdentityInvalid => "identity-invalid",
            Self::IdentityPassphrase => "identity-passphrase",
            Self::PublickeyDisabledClient => "publickey-disabled-client",
            Self::KeyNotAuthorized => "key-not-authorized",
            Self::AuthorizedKeysMissing => "authorized-keys-missing",
            Self::AuthorizedKeysModes => "authorized-keys-modes",
            Self::AuthorizedKeysUnreadable => "authorized-keys-unreadable",
            Self::KeyFromMismatch => "key-from-mismatch",
            Self::KeyExpired => "key-expired",
            Self::KeyOptionInvalid => "key-option-invalid",
            Self::KeyRevoked => "key-revoked",
            Self::RevokedKeysUnreadable => "revoked-keys-unreadable",
            Self::KeyAlgorithmRefused => "key-algorithm-refused",
            Self::UserCertificateExpired => "user-certificate-expired",
            Self::UserCertificateNotYetValid => "user-certificate-not-yet-valid",
            Self::UserCertificateWrongPrincipal => "user-certificate-wrong-principal",
            Self::UserCertificateNoPrincipal => "user-certificate-no-principal",
            Self::UserCertificateUnknownAuthority => "user-certificate-unknown-authority",
            Self::UserCertificateSourceAddress => "user-certificate-source-address",
            Self::AccountMissing => "account-missing",
            Self::AccountLocked => "account-locked",
            Self::AccountExpired => "account-expired",
            Self::AccountNotAllowed => "account-not-allowed",
            Self::AccountShellMissing => "account-shell-missing",
            Self::LoginsDisabled => "logins-disabled",
            Self::PamRefused => "pam-refused",
            Self::PublickeyDisabledServer => "publickey-disabled-server",
            Self::MoreAuthenticationNeeded => "more-authentication-needed",
            Self::TooManyKeys => "too-many-keys",
            Self::LoginRefused => "login-refused",
            Self::AccountNologin => "account-nologin",
            Self::SessionRefused => "session-refused",
            Self::PasswordChangeRequired => "password-change-required",
            Self::ForcedCommandDenied => "forced-command-denied",
            Self::WrongMachine => "wrong-machine",
            Self::CommandFailed => "command-failed",
            Self::InstancesPathMissing => "instances-path-missing",
            Self::InstancesPathNotWritable => "instances-path-not-writable",
            Self::ReadOnlyFilesystem => "read-only-filesystem",
            Self::DiskFull => "disk-full",
            Self::LibvirtHelperMissing => "libvirt-helper-missing",
            Self::LibvirtSocketMissing => "libvirt-socket-missing",
            Self::LibvirtSocketDenied => "libvirt-socket-denied",
            Self::ShellNoisy => "shell-noisy",
            Self::SftpMissing => "sftp-missing",
            Self::CopyToolMissing => "copy-tool-missing",
            Self::CopyFailed => "copy-failed",
            Self::CopyCorrupted => "copy-corrupted",
        }
    }

    /// The rung on which it stops the leg.
    #[must_use]
    pub fn step(self) -> Step {
        match self {
            Self::NameUnresolvable
            | Self::NameResolvesElsewhere
            | Self::AddressLoopback
            | Self::SharedAddress
            | Self::AddressUnknown
            | Self::ClientConfigInvalid
            | Self::ClientConfigUnsafe
            | Self::SshMissing
            | Self::ContextFailed => Step::Resolve,
            Self::ConnectionRefused
            | Self::ConnectionTimedOut
            | Self::NoRoute
            | Self::LocalFirewall
            | Self::ConnectionDropped
            | Self::BannerTimeout
            | Self::NotSsh
            | Self::ProxyFailed
            | Self::ControlMasterFailed => Step::Connect,
            Self::KeyExchangeStalled
            | Self::KeyExchangeFailed
            | Self::NoCommonAlgorithm
            | Self::HostKeyUnknown
            | Self::HostKeyChanged
            | Self::HostKeyNotOnDisk
            | Self::RevokedHostKeysUnreadable
            | Self::HostKeyRevoked
            | Self::HostKeyTypeGap
            | Self::KnownHostsUnreadable
            | Self::HostCertificateExpired
            | Self::HostCertificateNotYetValid
            | Self::HostCertificateWrongPrincipal
            | Self::HostCertificateUnknownAuthority
            | Self::HostCertificateWrongType => Step::HostKey,
            Self::IdentityMissing
            | Self::IdentityUnreadable
            | Self::IdentityModes
            | Self::IdentityInvalid
            | Self::IdentityPassphrase
            | Self::PublickeyDisabledClient
            | Self::KeyNotAuthorized
            | Self::AuthorizedKeysMissing
            | Self::AuthorizedKeysModes
            | Self::AuthorizedKeysUnreadable
            | Self::KeyFromMismatch
            | Self::KeyExpired
            | Self::KeyOptionInvalid
            | Self::KeyRevoked
            | Self::RevokedKeysUnreadable
            | Self::KeyAlgorithmRefused
            | Self::UserCertificateExpired
            | Self::UserCertificateNotYetValid
            | Self::UserCertificateWrongPrincipal
            | Self::UserCertificateNoPrincipal
            | Self::UserCertificateUnknownAuthority
            | Self::UserCertificateSourceAddress
            | Self::AccountMissing
            | Self::AccountLocked
            | Self::AccountExpired
            | Self::AccountNotAllowed
            | Self::AccountShellMissing
            | Self::LoginsDisabled
            | Self::PamRefused
            | Self::PublickeyDisabledServer
            | Self::MoreAuthenticationNeeded
            | Self::TooManyKeys
            | Self::LoginRefused => Step::Login,
            Self::AccountNologin
            | Self::SessionRefused
            | Self::PasswordChangeRequired
            | Self::ForcedCommandDenied
            | Self::WrongMachine
            | Self::CommandFailed
            | Self::InstancesPathMissing
            | Self::InstancesPathNotWritable
            | Self::ReadOnlyFilesystem
            | Self::LibvirtSocketDenied
            | Self::LibvirtSocketMissing
            | Self::LibvirtHelperMissing
            | Self::DiskFull => Step::Command,
            Self::ShellNoisy
            | Self::SftpMissing
            | Self::CopyToolMissing
            | Self::CopyFailed
            | Self::CopyCorrupted => Step::Copy,
        }
    }

    /// What it means, in a sentence or two.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::NameUnresolvable => {
                "The name Nova dials has no address on the node that dials it."
            }
            Self::NameResolvesElsewhere => {
                "The name Nova dials leads to an address that another node owns, or that no surveyed node owns as its own."
            }
            Self::AddressLoopback => {
                "The name Nova dials leads to a loopback address, so the node would log in to itself."
            }
            Self::SharedAddress => {
                "Two nodes announce the same migration address, or one announces an address that it does not own. Nova then takes their storage for shared, copies no disk and loses it."
            }
            Self::AddressUnknown => {
                "Nothing says which address or name Nova would dial: neither the inventory nor a readable nova.conf."
            }
            Self::ClientConfigInvalid => {
                "ssh refuses to start because of its own configuration on the dialling node."
            }
            Self::ClientConfigUnsafe => {
                "ssh refuses its per-user configuration because of the file's owner or mode."
            }
            Self::SshMissing => "There is no ssh client where Nova would run it.",
            Self::ContextFailed => {
                "The command that enters Nova's context on the dialling node fails, so Nova's ssh cannot be run as Nova runs it."
            }
            Self::ConnectionRefused => {
                "The address answers, but nothing listens on the port dialled."
            }
            Self::ConnectionTimedOut => {
                "No answer to the TCP connection: a firewall drops it, or the address is wrong."
            }
            Self::NoRoute => {
                "The dialling node has no route to the address, or a router or firewall rejects it."
            }
            Self::LocalFirewall => "The dialling node's own rules forbid the connection.",
            Self::ConnectionDropped => {
                "The server closed the connection before it said who it is, twice, and no throttling explains it."
            }
            Self::BannerTimeout => "The connection is accepted, but no SSH banner comes in time.",
            Self::NotSsh => "What answers on that port is not an SSH server.",
            Self::ProxyFailed => {
                "The client configuration goes through a jump host or proxy command, and that fails."
            }
            Self::ControlMasterFailed => {
                "The client configuration shares connections over a control socket that this account cannot use."
            }
            Self::KeyExchangeStalled => {
                "The connection opens and then hangs in the key exchange: typical of a path that drops large packets (MTU)."
            }
            Self::NoCommonAlgorithm => {
                "Client and server have no key exchange, cipher, MAC or host key algorithm in common."
            }
            Self::KeyExchangeFailed => {
                "The far end ends the connection in the middle of the key exchange: its sshd fails on its own, or something in between tampers with the traffic."
            }
            Self::HostKeyUnknown => {
                "The client has no host key for the exact name that Nova dials."
            }
            Self::HostKeyChanged => {
                "The client has another host key recorded for that name than the one the server presents."
            }
            Self::HostKeyNotOnDisk => {
                "The key presented on the wire is neither the one recorded nor one that lies on the destination's disk: another machine, NAT, a duplicate address, an sshd not restarted, or an attack."
            }
            Self::HostKeyRevoked => "The key presented is marked as revoked on the client.",
            Self::RevokedHostKeysUnreadable => {
                "The dialling node's `RevokedHostKeys` file is missing or unreadable, so ssh refuses every host key."
            }
            Self::HostKeyTypeGap => {
                "The client knows the name only with key types that the server does not present any more."
            }
            Self::KnownHostsUnreadable => {
                "The known_hosts file exists but the account cannot read it."
            }
            Self::HostCertificateExpired => "The server's host certificate is past its end.",
            Self::HostCertificateNotYetValid => {
                "The server's host certificate is not valid yet: signed for later, or a clock is wrong."
            }
            Self::HostCertificateWrongPrincipal => {
                "The server's host certificate does not list the name that Nova dials."
            }
            Self::HostCertificateUnknownAuthority => {
                "The server's host certificate is signed by an authority that the client does not trust for this name."
            }
            Self::HostCertificateWrongType => {
                "The server presents a user certificate as its host certificate."
            }
            Self::IdentityMissing => "The account that dials has no private key to offer.",
            Self::IdentityUnreadable => {
                "The private key exists, but the account that dials cannot read it."
            }
            Self::IdentityModes => "ssh ignores the private key because others may read it.",
            Self::IdentityInvalid => {
                "The private key file is damaged, truncated, or not a private key."
            }
            Self::IdentityPassphrase => {
                "The private key is protected by a passphrase that nobody can type."
            }
            Self::PublickeyDisabledClient => "The client configuration forbids public keys.",
            Self::KeyNotAuthorized => {
                "None of the keys offered is authorised for the account on the far end."
            }
            Self::AuthorizedKeysMissing => {
                "The account on the far end has no authorized_keys file where its sshd looks for one."
            }
            Self::AuthorizedKeysModes => {
                "sshd refuses the authorized_keys file because of the owner or mode of it or of a directory above it (StrictModes)."
            }
            Self::AuthorizedKeysUnreadable => {
                "The account cannot read its own authorized_keys file."
            }
            Self::KeyFromMismatch => {
                "The key is authorised, but its `from=` does not allow the address that this node comes from."
            }
            Self::KeyExpired => "The key is authorised, but its `expiry-time=` is past.",
            Self::KeyOptionInvalid => {
                "The line that authorises the key has an option that sshd does not accept, so the whole line is void."
            }
            Self::KeyRevoked => "The key is on the far end's list of revoked keys.",
            Self::RevokedKeysUnreadable => {
                "The far end's `RevokedKeys` file is missing or unreadable, so sshd refuses every key."
            }
            Self::KeyAlgorithmRefused => {
                "Client and server agree on no signature algorithm for this key, or the key is shorter than one of them accepts."
            }
            Self::UserCertificateExpired => "The user certificate is past its end.",
            Self::UserCertificateNotYetValid => {
                "The user certificate is not valid yet: signed for later, or a clock is wrong."
            }
            Self::UserCertificateWrongPrincipal => {
                "The user certificate does not list a principal that the far end accepts for the account."
            }
            Self::UserCertificateNoPrincipal => {
                "The user certificate has no principals, and sshd accepts none such."
            }
            Self::UserCertificateUnknownAuthority => {
                "The user certificate is signed by an authority that the far end does not trust."
            }
            Self::UserCertificateSourceAddress => {
                "The user certificate is limited to source addresses that this node does not come from."
            }
            Self::AccountMissing => {
                "The account that is logged in to does not exist on the far end."
            }
            Self::AccountLocked => {
                "The account on the far end is locked, and its sshd (UsePAM no) refuses locked accounts."
            }
            Self::AccountExpired => "The account or its password has expired on the far end.",
            Self::AccountNotAllowed => {
                "The far end's sshd does not let this account in (AllowUsers, DenyUsers, AllowGroups, DenyGroups, PermitRootLogin)."
            }
            Self::AccountShellMissing => {
                "The login shell of the account does not exist on the far end."
            }
            Self::LoginsDisabled => {
                "/etc/nologin or /run/nologin exists on the far end: only root may log in."
            }
            Self::PamRefused => {
                "PAM on the far end refuses the account after the key was accepted."
            }
            Self::PublickeyDisabledServer => {
                "The far end's sshd does not accept public keys for this account and source."
            }
            Self::MoreAuthenticationNeeded => {
                "The key is accepted, but the far end asks for a second factor (AuthenticationMethods)."
            }
            Self::TooManyKeys => {
                "The client offers so many keys that the far end ends the login (MaxAuthTries) before it comes to the right one."
            }
            Self::LoginRefused => {
                "The far end refuses the login, and neither its files nor its log say why."
            }
            Self::AccountNologin => {
                "The login works, but the account's shell runs no commands (nologin, false)."
            }
            Self::SessionRefused => {
                "The key is accepted, but the far end cannot open a session (PAM session, limits, chroot, MaxSessions)."
            }
            Self::PasswordChangeRequired => {
                "The login works, but the account must change its password first."
            }
            Self::ForcedCommandDenied => {
                "A forced command answers instead of the command that Nova sends, and refuses it."
            }
            Self::WrongMachine => {
                "The login succeeds, but another machine than the intended one answers."
            }
            Self::CommandFailed => "The login succeeds, but Nova's commands fail on the far end.",
            Self::InstancesPathMissing => "The instances directory does not exist on the far end.",
            Self::InstancesPathNotWritable => {
                "The account cannot write to the instances directory on the far end."
            }
            Self::ReadOnlyFilesystem => {
                "The instances directory lies on a file system that is mounted read-only."
            }
            Self::DiskFull => {
                "The file system of the instances directory is full (space or inodes)."
            }
            Self::LibvirtHelperMissing => {
                "The login works, but the far end has neither `virt-ssh-helper` nor `nc`, with which libvirt reaches its daemon there."
            }
            Self::LibvirtSocketMissing => {
                "The login works, but no libvirt daemon listens on the far end's local socket."
            }
            Self::LibvirtSocketDenied => {
                "The login works, but the account may not use the libvirt daemon's socket."
            }
            Self::ShellNoisy => {
                "The far end's shell prints text before the copy starts, which breaks scp, sftp and rsync."
            }
            Self::SftpMissing => {
                "The far end has no working sftp subsystem, which scp needs since OpenSSH 9.0."
            }
            Self::CopyToolMissing => {
                "A program that the copy needs (scp, rsync) is missing on one of the ends."
            }
            Self::CopyFailed => "Commands work, but copying a file fails.",
            Self::CopyCorrupted => {
                "The file was copied without an error, but does not read back the same."
            }
        }
    }

    /// What to do, with placeholders.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NameUnresolvable => {
                "Make it resolvable there the same way on every node (DNS or /etc/hosts), or set `[libvirt]migration_inbound_addr` on {server} to an address."
            }
            Self::NameResolvesElsewhere => {
                "Correct the record or the /etc/hosts line for `{name}` on {client}: it must lead to an address of {server}."
            }
            Self::AddressLoopback => {
                "Remove the 127.x.x.x line for `{name}` from /etc/hosts on {client}, or set `my_ip` / `[libvirt]migration_inbound_addr` on {server}."
            }
            Self::SharedAddress => {
                "Give each node its own `my_ip` or `[libvirt]migration_inbound_addr` in nova.conf, restart nova-compute, then check again. Move nothing before that."
            }
            Self::AddressUnknown => {
                "State `migration-address` or `service-host` for {server} in the inventory, or make nova.conf readable to the survey."
            }
            Self::ClientConfigInvalid => {
                "Correct the file that ssh names (`{context} ssh -G {name}` on {client} shows the complaint)."
            }
            Self::ClientConfigUnsafe => {
                "On {client}: `chown {client_user}: {file} && chmod 600 {file}`."
            }
            Self::SshMissing => {
                "Install openssh-client (openssh-clients on RHEL) where nova-compute runs on {client}."
            }
            Self::ContextFailed => {
                "Check the context of the profile (`clearway inventory show`) and that the account or container exists on {client}."
            }
            Self::ConnectionRefused => {
                "On {server}: start sshd, or make it listen on {name} port {port} (`ss -ltn`, `sshd -T | grep -i listen`); or correct `Port` in {client_user}'s ssh config on {client}."
            }
            Self::ConnectionTimedOut => {
                "Open TCP port {port} from {client} to {name} (firewall, security group), or correct the migration address of {server}."
            }
            Self::NoRoute => {
                "Correct the route from {client} to {name} (`ip route get {name}`), or the firewall that answers with an ICMP reject."
            }
            Self::LocalFirewall => {
                "Allow outgoing TCP to {name} port {port} on {client} (`ip route get {name}`, `nft list ruleset`)."
            }
            Self::ConnectionDropped => {
                "Look at the sshd log of {server} (`journalctl -u ssh`, /var/log/auth.log): sshd may crash, be out of memory, or be wrapped by hosts.deny."
            }
            Self::BannerTimeout => {
                "Look at {server}: sshd is stopped or overloaded, or its name lookups hang (`UseDNS`, dead resolver)."
            }
            Self::NotSsh => {
                "Find out what listens on {name} port {port} (`ss -ltnp` on {server}), or correct the port."
            }
            Self::ProxyFailed => {
                "Correct `ProxyJump` or `ProxyCommand` for `{name}` in {client_user}'s ssh config on {client}."
            }
            Self::ControlMasterFailed => {
                "Set `ControlMaster no` for {client_user} on {client}, or a `ControlPath` that the account can write."
            }
            Self::KeyExchangeStalled => {
                "Compare the MTU of every interface between {client} and {server} (`ping -M do -s 1472 {name}`), and let ICMP type 3 code 4 through."
            }
            Self::NoCommonAlgorithm => {
                "Bring the crypto policies of {client} and {server} together (`KexAlgorithms`, `Ciphers`, `MACs`, `HostKeyAlgorithms`)."
            }
            Self::KeyExchangeFailed => {
                "Look at the sshd log of {server}: a missing /run/sshd, a crash or no memory; then at whatever rewrites or resets traffic between {client} and {server}."
            }
            Self::HostKeyUnknown => {
                "Add the host keys read on {server} under the name `{name}` to {file} on {client}, or run `clearway repair`."
            }
            Self::HostKeyChanged => {
                "If the key on {server}'s disk is the one presented: replace the stale line in {file} on {client} (`ssh-keygen -R '{name}' -f {file}`) by the keys read on {server}. If it is not, another machine answers: find it first."
            }
            Self::HostKeyNotOnDisk => {
                "Do not change known_hosts. Find out which machine answers on {name} port {port} (`ip neigh`, duplicate addresses), and whether sshd on {server} was restarted after its keys were remade."
            }
            Self::HostKeyRevoked => {
                "Make new host keys on {server}, or remove the `@revoked` line or the key from `RevokedHostKeys` on {client} if it is wrong."
            }
            Self::RevokedHostKeysUnreadable => {
                "Put the file back or remove `RevokedHostKeys` from {client_user}'s ssh config on {client}."
            }
            Self::HostKeyTypeGap => {
                "Record all host key types of {server} for `{name}` in {file} on {client}."
            }
            Self::KnownHostsUnreadable => {
                "On {client}: `chown {client_user}: {file} && chmod 600 {file}` (a global file: `chmod 644`)."
            }
            Self::HostCertificateExpired => {
                "Sign the host key of {server} again and reload its sshd; compare the clocks."
            }
            Self::HostCertificateNotYetValid => {
                "Compare the clocks of {client} and {server}; sign the certificate again if its start is wrong."
            }
            Self::HostCertificateWrongPrincipal => {
                "Sign the host key of {server} again with `{name}` among the principals (`ssh-keygen -s CA -h -n ...`)."
            }
            Self::HostCertificateUnknownAuthority => {
                "Add `@cert-authority {name} <CA key>` to the client's known_hosts on {client}, or correct the pattern of the line that is there."
            }
            Self::HostCertificateWrongType => "Sign the host key of {server} with `ssh-keygen -h`.",
            Self::IdentityMissing => {
                "Make a key for {client_user} on {client} and authorise it on {server}, or run `clearway repair`."
            }
            Self::IdentityUnreadable => {
                "On {client}: `chown {client_user}: {file} && chmod 600 {file}`."
            }
            Self::IdentityModes => "On {client}: `chmod 600 {file}`.",
            Self::IdentityInvalid => {
                "On {client}: compare `ssh-keygen -y -f {file}` with {file}.pub; put the right key back or make a new one."
            }
            Self::IdentityPassphrase => {
                "On {client}: `ssh-keygen -p -f {file}` to remove it, or use a key made for this account."
            }
            Self::PublickeyDisabledClient => {
                "Remove `PubkeyAuthentication no` for `{name}` from {client_user}'s ssh config on {client}."
            }
            Self::KeyNotAuthorized => {
                "Add the public key of {client_user}@{client} to {file} on {server}, or run `clearway repair`."
            }
            Self::AuthorizedKeysMissing => {
                "Create {file} on {server} with the public keys of the nodes in scope, or run `clearway repair`."
            }
            Self::AuthorizedKeysModes => {
                "On {server}: `chown {server_user}: {file} && chmod go-w {file}`."
            }
            Self::AuthorizedKeysUnreadable => {
                "On {server}: `chown {server_user}: {file} && chmod 600 {file}`."
            }
            Self::KeyFromMismatch => {
                "Add the migration address of {client} to `from=` in {file} on {server}."
            }
            Self::KeyExpired => "Renew or remove `expiry-time=` in {file} on {server}.",
            Self::KeyOptionInvalid => "Correct the options of that line in {file} on {server}.",
            Self::KeyRevoked => {
                "Make a new key for {client_user} on {client}, or take the key out of `RevokedKeys` on {server} if it is there by mistake."
            }
            Self::RevokedKeysUnreadable => {
                "Put the file back or remove `RevokedKeys` from the sshd configuration of {server}, then reload."
            }
            Self::KeyAlgorithmRefused => {
                "Make an ed25519 key for {client_user} on {client}, or widen `PubkeyAcceptedAlgorithms` / `RequiredRSASize`."
            }
            Self::UserCertificateExpired => {
                "Sign the key of {client_user}@{client} again; compare the clocks."
            }
            Self::UserCertificateNotYetValid => {
                "Compare the clocks of {client} and {server}; sign again if the start is wrong."
            }
            Self::UserCertificateWrongPrincipal => {
                "Sign it again with the principal that `AuthorizedPrincipalsFile` or the account name {server_user} asks for."
            }
            Self::UserCertificateNoPrincipal => "Sign it again with `-n {server_user}`.",
            Self::UserCertificateUnknownAuthority => {
                "Add the CA key to `TrustedUserCAKeys` (or a `cert-authority` line) on {server}, then reload sshd."
            }
            Self::UserCertificateSourceAddress => {
                "Sign it again with `-O source-address=` covering the migration address of {client}."
            }
            Self::AccountMissing => {
                "Create the account {server_user} on {server}, or correct `User` in {client_user}'s ssh config on {client}."
            }
            Self::AccountLocked => "On {server}: `usermod -p '*' {server_user}`.",
            Self::AccountExpired => "On {server}: `chage -E -1 -M -1 {server_user}`.",
            Self::AccountNotAllowed => {
                "Allow {server_user} from {client} in the sshd configuration of {server}, then reload."
            }
            Self::AccountShellMissing => "On {server}: `usermod -s /bin/bash {server_user}`.",
            Self::LoginsDisabled => {
                "Remove the file on {server} (`ls /etc/nologin /run/nologin`), after asking why it is there."
            }
            Self::PamRefused => {
                "Look at the sshd log of {server} and at /etc/pam.d/sshd, access.conf."
            }
            Self::PublickeyDisabledServer => {
                "Set `PubkeyAuthentication yes` for {server_user} from {client} in the sshd configuration of {server}, then reload."
            }
            Self::MoreAuthenticationNeeded => {
                "Exempt {server_user} from it in a `Match` block on {server}."
            }
            Self::TooManyKeys => {
                "Name the right key in the ssh config of {client_user} on {client} (`IdentityFile`, `IdentitiesOnly yes`), take keys that nobody uses out of its .ssh, or raise `MaxAuthTries` on {server}."
            }
            Self::LoginRefused => {
                "Set `LogLevel VERBOSE` in the sshd configuration of {server}, reload, run `clearway trace {source} {destination}` again, and read its log."
            }
            Self::AccountNologin => "On {server}: `usermod -s /bin/bash {server_user}`.",
            Self::SessionRefused => {
                "Look at the sshd log of {server}: PAM session modules, limits.d, `ChrootDirectory`."
            }
            Self::PasswordChangeRequired => "On {server}: `chage -d -1 -M -1 {server_user}`.",
            Self::ForcedCommandDenied => {
                "Widen the forced command (`command=` in {file}, `ForceCommand`, or the migration wrapper) on {server} to Nova's commands, or remove it."
            }
            Self::WrongMachine => {
                "Correct `HostName`, `Port` or `ProxyJump` for `{name}` in {client_user}'s ssh config on {client}, or the address of {server}."
            }
            Self::CommandFailed => {
                "Run the command shown in the evidence on {client} and read its error."
            }
            Self::InstancesPathMissing => {
                "Create it on {server} (`install -d -o {server_user} -g {server_user} {instances_path}`), mount it, or make `instances_path` the same on both nodes."
            }
            Self::InstancesPathNotWritable => {
                "On {server}: `chown {server_user}: {instances_path}`; on shared storage compare the uid of {server_user} on both nodes."
            }
            Self::ReadOnlyFilesystem => {
                "Look at `dmesg` and `mount` on {server}; repair and remount it."
            }
            Self::DiskFull => {
                "Free space on {server} (`df -h {instances_path}; df -i {instances_path}`)."
            }
            Self::LibvirtHelperMissing => {
                "Install libvirt-daemon (virt-ssh-helper) or a netcat that knows `-U` on {server}."
            }
            Self::LibvirtSocketMissing => {
                "On {server}: start libvirtd or virtqemud (`systemctl status virtqemud.socket libvirtd.socket`)."
            }
            Self::LibvirtSocketDenied => {
                "On {server}: `usermod -aG libvirt {server_user}`, or `unix_sock_group` and `auth_unix_rw` in libvirtd.conf or virtqemud.conf."
            }
            Self::ShellNoisy => {
                "Remove the output from the start-up files of {server_user} on {server} (~/.bashrc, /etc/profile.d), at least for non-interactive shells."
            }
            Self::SftpMissing => {
                "Set `Subsystem sftp internal-sftp` in the sshd configuration of {server}, then reload."
            }
            Self::CopyToolMissing => {
                "Install openssh-client or rsync on the node that the evidence names."
            }
            Self::CopyFailed => {
                "Run the copy shown in the evidence on {client} and read its error."
            }
            Self::CopyCorrupted => {
                "Check disk and memory of {server}, and anything that rewrites traffic between {client} and {server}; move nothing across this pair."
            }
        }
    }

    /// The one with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Why a leg could not be proven. Never a statement about trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Why {
    /// The control connection to the node could not be opened: no answer, refused, or no route.
    ControlUnreachable,
    /// The node closed the control connection before it said who it is, also when tried again.
    ControlDropped,
    /// The host key of the control connection is unknown, changed or revoked. Nothing was sent to that machine.
    ControlHostKey,
    /// The node does not let clearway log in.
    ControlDenied,
    /// A key of the control connection cannot be used: unreadable, encrypted without an agent, or not a key.
    ControlIdentity,
    /// `sudo -n` is not allowed for the control user, or asks for a password or a terminal.
    SudoRefused,
    /// The control connection broke off before the node's answer was complete.
    ControlLost,
    /// The node did not finish in time.
    ControlTimedOut,
    /// What the node answered is not the answer of clearway's program: damaged, too long, or not from it.
    ControlGarbage,
    /// The answer is that of another node: its host keys are another's, and the one that the control connection verified is not among them.
    ControlMisled,
    /// The node was not surveyed, so its side of the leg is not known.
    NotSurveyed,
    /// The leg was not proven in this run (`--pairs`, `--depth`, `--no-write`): only the prediction is known.
    PredictedOnly,
    /// The leg was not proven in this run, and files alone cannot tell.
    NotPredictable,
    /// The far end dropped the connection before the banner, also when tried again: MaxStartups or PerSourcePenalties. That says nothing about trust.
    Throttled,
    /// The proof did not finish before its deadline.
    ProbeTimedOut,
    /// The run was interrupted before this leg was proven.
    Interrupted,
    /// The proof could not be carried out on the dialling node for a reason of its own, for example a full /tmp.
    ProbeFailed,
}

impl Why {
    /// All of them, in the order in which they are documented.
    pub const ALL: &'static [Self] = &[
        Self::ControlUnreachable,
        Self::ControlDropped,
        Self::ControlHostKey,
        Self::ControlDenied,
        Self::ControlIdentity,
        Self::SudoRefused,
        Self::ControlLost,
        Self::ControlTimedOut,
        Self::ControlGarbage,
        Self::ControlMisled,
        Self::NotSurveyed,
        Self::PredictedOnly,
        Self::NotPredictable,
        Self::Throttled,
        Self::ProbeTimedOut,
        Self::Interrupted,
        Self::ProbeFailed,
    ];

    /// The stable kebab-case code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::ControlUnreachable => "control-unreachable",
            Self::ControlDropped => "control-dropped",
            Self::ControlHostKey => "control-host-key",
            Self::ControlDenied => "control-denied",
            Self::ControlIdentity => "control-identity",
            Self::SudoRefused => "sudo-refused",
            Self::ControlLost => "control-lost",
            Self::ControlTimedOut => "control-timed-out",
            Self::ControlGarbage => "control-garbage",
            Self::ControlMisled => "control-misled",
            Self::NotSurveyed => "not-surveyed",
            Self::PredictedOnly => "predicted-only",
            Self::NotPredictable => "not-predictable",
            Self::Throttled => "throttled",
            Self::ProbeTimedOut => "probe-timed-out",
            Self::Interrupted => "interrupted",
            Self::ProbeFailed => "probe-failed",
        }
    }

    /// What it means, in a sentence or two.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::ControlUnreachable => {
                "The control connection to the node could not be opened: no answer, refused, or no route."
            }
            Self::ControlDropped => {
                "The node closed the control connection before it said who it is, also when tried again."
            }
            Self::ControlHostKey => {
                "The host key of the control connection is unknown, changed or revoked. Nothing was sent to that machine."
            }
            Self::ControlDenied => "The node does not let clearway log in.",
            Self::ControlIdentity => {
                "A key of the control connection cannot be used: unreadable, encrypted without an agent, or not a key."
            }
            Self::SudoRefused => {
                "`sudo -n` is not allowed for the control user, or asks for a password or a terminal."
            }
            Self::ControlLost => {
                "The control connection broke off before the node's answer was complete."
            }
            Self::ControlTimedOut => "The node did not finish in time.",
            Self::ControlGarbage => {
                "What the node answered is not the answer of clearway's program: damaged, too long, or not from it."
            }
            Self::ControlMisled => {
                "The answer is that of another node: its host keys are another's, and the one that the control connection verified is not among them."
            }
            Self::NotSurveyed => "The node was not surveyed, so its side of the leg is not known.",
            Self::PredictedOnly => {
                "The leg was not proven in this run (`--pairs`, `--depth`, `--no-write`): only the prediction is known."
            }
            Self::NotPredictable => {
                "The leg was not proven in this run, and files alone cannot tell."
            }
            Self::Throttled => {
                "The far end dropped the connection before the banner, also when tried again: MaxStartups or PerSourcePenalties. That says nothing about trust."
            }
            Self::ProbeTimedOut => "The proof did not finish before its deadline.",
            Self::Interrupted => "The run was interrupted before this leg was proven.",
            Self::ProbeFailed => {
                "The proof could not be carried out on the dialling node for a reason of its own, for example a full /tmp."
            }
        }
    }

    /// What to do, with placeholders.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::ControlUnreachable => {
                "Check the address, port and jump host in the inventory (`clearway inventory show {node}`), and that sshd runs there."
            }
            Self::ControlDropped => {
                "Wait a minute and try again; look for MaxStartups or penalties in the sshd log of the node."
            }
            Self::ControlHostKey => {
                "Compare the fingerprint shown with the node's console, then add it to the operator's known_hosts, or pin it in the inventory."
            }
            Self::ControlDenied => {
                "Check `control.user` and `control.identity` in the inventory; try `ssh` by hand."
            }
            Self::ControlIdentity => {
                "Check `control.identity` in the inventory, or load the key into ssh-agent."
            }
            Self::SudoRefused => {
                "Give the control user passwordless sudo on the node, or set `control.sudo: false` for a root login."
            }
            Self::ControlLost => {
                "Look whether the node went down or its network did, then try again."
            }
            Self::ControlTimedOut => {
                "Try again with a longer `--timeout`; look at the load of the node."
            }
            Self::ControlGarbage => {
                "Run `clearway trace` with this node alone; look for output in its shell start-up files, and distrust the machine."
            }
            Self::ControlMisled => {
                "Look what `sudo`, the login shell and a forced command do for the control user on the node, and distrust the machine."
            }
            Self::NotSurveyed => "See why in the node's own line above.",
            Self::PredictedOnly => {
                "Run `clearway check` with the default `--pairs all --depth copy`."
            }
            Self::NotPredictable => {
                "Run `clearway check` with the default `--pairs all --depth copy`."
            }
            Self::Throttled => {
                "Try again in a few minutes, raise `MaxStartups` on {server}, or list the migration network in `PerSourcePenaltyExemptList`."
            }
            Self::ProbeTimedOut => "Try again with a longer `--timeout`.",
            Self::Interrupted => "Run it again.",
            Self::ProbeFailed => "See the evidence; run `clearway trace {source} {destination}`.",
        }
    }

    /// The one with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.code() == code)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for Why {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Why a leg is not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum NotNeeded {
    /// Live migration uses `qemu+tcp`: libvirt makes no SSH login.
    LiveOverTcp,
    /// Live migration uses `qemu+tls`: libvirt makes no SSH login.
    LiveOverTls,
    /// Live migration uses a transport that is not SSH.
    LiveOtherTransport,
    /// `remote_filesystem_transport` copies without SSH.
    TransportWithoutSsh,
    /// The profile says that this deployment does not use the lane.
    LaneOff,
}

impl NotNeeded {
    /// All of them, in the order in which they are documented.
    pub const ALL: &'static [Self] = &[
        Self::LiveOverTcp,
        Self::LiveOverTls,
        Self::LiveOtherTransport,
        Self::TransportWithoutSsh,
        Self::LaneOff,
    ];

    /// The stable kebab-case code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::LiveOverTcp => "live-over-tcp",
            Self::LiveOverTls => "live-over-tls",
            Self::LiveOtherTransport => "live-other-transport",
            Self::TransportWithoutSsh => "transport-without-ssh",
            Self::LaneOff => "lane-off",
        }
    }

    /// What it means, in a sentence or two.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::LiveOverTcp => "Live migration uses `qemu+tcp`: libvirt makes no SSH login.",
            Self::LiveOverTls => "Live migration uses `qemu+tls`: libvirt makes no SSH login.",
            Self::LiveOtherTransport => "Live migration uses a transport that is not SSH.",
            Self::TransportWithoutSsh => "`remote_filesystem_transport` copies without SSH.",
            Self::LaneOff => "The profile says that this deployment does not use the lane.",
        }
    }

    /// The one with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.code() == code)
    }
}

impl fmt::Display for NotNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for NotNeeded {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Should be changed.
    Warning,
}

/// Something true and worth knowing that does not break a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FindingCode {
    /// What the files say and what really happened are not the same.
    PredictionDiffers,
    /// The client accepts any host key for this name (`StrictHostKeyChecking no` or `accept-new` with nowhere to record), so nobody would notice another machine.
    HostKeysNotChecked,
    /// The recorded host key is not the one presented, and only `StrictHostKeyChecking no` hides it.
    HostKeyStaleButAccepted,
    /// Several nodes have one host key: each of them can pass for the others. Images cloned with their keys do this.
    HostKeyShared,
    /// Several nodes have one machine-id, so nobody can tell which of them answered. Images cloned with it do this.
    MachineIdShared,
    /// The host key of the control connection is none of those that the surveyed sshd has, so whose answer it is rests on that connection alone.
    ControlHostKeyElsewhere,
    /// The same private key lies on several nodes: whoever takes one node has them all, and no single node can be revoked.
    PrivateKeyShared,
    /// A copy of a private key can be read by other accounts.
    PrivateKeyCopyReadable,
    /// A known_hosts pattern vouches for more nodes than the one whose key it carries.
    KnownHostsPatternBroad,
    /// A known_hosts line matches no name that Nova dials.
    KnownHostsNeverMatches,
    /// A line of known_hosts cannot be read and is skipped by ssh.
    KnownHostsBadLine,
    /// A key is of a type or length that is no longer considered safe.
    KeyWeak,
    /// A lane logs in as root on the far end.
    RootLane,
    /// A certificate ends soon.
    CertificateExpiring,
    /// Nodes of one group have different ssh settings for a lane.
    SshConfigDiffers,
    /// Nodes of one group have different sshd settings that matter for a lane.
    SshdConfigDiffers,
    /// A node's clock is away from the controller's by more than certificates and logs bear.
    ClockSkew,
    /// sshd drops unauthenticated connections early; many moves at once to this node may be refused.
    MaxStartupsLow,
    /// A key or known_hosts file is a symbolic link.
    UserConfigSymlinked,
    /// ssh will rewrite known_hosts by itself after a login (`UpdateHostKeys`).
    UpdateHostKeys,
    /// The address dialled is not on an interface that the node owns, but the right node answered (NAT or a proxy).
    DestAnsweredElsewhere,
}

impl FindingCode {
    /// All of them, in the order in which they are documented.
    pub const ALL: &'static [Self] = &[
        Self::PredictionDiffers,
        Self::HostKeysNotChecked,
        Self::HostKeyStaleButAccepted,
        Self::HostKeyShared,
        Self::MachineIdShared,
        Self::ControlHostKeyElsewhere,
        Self::PrivateKeyShared,
        Self::PrivateKeyCopyReadable,
        Self::KnownHostsPatternBroad,
        Self::KnownHostsNeverMatches,
        Self::KnownHostsBadLine,
        Self::KeyWeak,
        Self::RootLane,
        Self::CertificateExpiring,
        Self::SshConfigDiffers,
        Self::SshdConfigDiffers,
        Self::ClockSkew,
        Self::MaxStartupsLow,
        Self::UserConfigSymlinked,
        Self::UpdateHostKeys,
        Self::DestAnsweredElsewhere,
    ];

    /// The stable kebab-case code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::PredictionDiffers => "prediction-differs",
            Self::HostKeysNotChecked => "host-keys-not-checked",
            Self::HostKeyStaleButAccepted => "host-key-stale-but-accepted",
            Self::HostKeyShared => "host-key-shared",
            Self::MachineIdShared => "machine-id-shared",
            Self::ControlHostKeyElsewhere => "control-host-key-elsewhere",
            Self::PrivateKeyShared => "private-key-shared",
            Self::PrivateKeyCopyReadable => "private-key-copy-readable",
            Self::KnownHostsPatternBroad => "known-hosts-pattern-broad",
            Self::KnownHostsNeverMatches => "known-hosts-never-matches",
            Self::KnownHostsBadLine => "known-hosts-bad-line",
            Self::KeyWeak => "key-weak",
            Self::RootLane => "root-lane",
            Self::CertificateExpiring => "certificate-expiring",
            Self::SshConfigDiffers => "ssh-config-differs",
            Self::SshdConfigDiffers => "sshd-config-differs",
            Self::ClockSkew => "clock-skew",
            Self::MaxStartupsLow => "max-startups-low",
            Self::UserConfigSymlinked => "user-config-symlinked",
            Self::UpdateHostKeys => "update-host-keys",
            Self::DestAnsweredElsewhere => "dest-answered-elsewhere",
        }
    }

    /// How much it matters.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::PredictionDiffers
            | Self::HostKeysNotChecked
            | Self::HostKeyStaleButAccepted
            | Self::HostKeyShared
            | Self::MachineIdShared
            | Self::PrivateKeyShared
            | Self::PrivateKeyCopyReadable
            | Self::KnownHostsPatternBroad
            | Self::KeyWeak
            | Self::RootLane
            | Self::CertificateExpiring
            | Self::ClockSkew => Severity::Warning,
            Self::KnownHostsNeverMatches
            | Self::KnownHostsBadLine
            | Self::ControlHostKeyElsewhere
            | Self::SshConfigDiffers
            | Self::SshdConfigDiffers
            | Self::MaxStartupsLow
            | Self::UserConfigSymlinked
            | Self::UpdateHostKeys
            | Self::DestAnsweredElsewhere => Severity::Info,
        }
    }

    /// What it means, in a sentence or two.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::PredictionDiffers => {
                "What the files say and what really happened are not the same."
            }
            Self::HostKeysNotChecked => {
                "The client accepts any host key for this name (`StrictHostKeyChecking no` or `accept-new` with nowhere to record), so nobody would notice another machine."
            }
            Self::HostKeyStaleButAccepted => {
                "The recorded host key is not the one presented, and only `StrictHostKeyChecking no` hides it."
            }
            Self::HostKeyShared => {
                "Several nodes have one host key: each of them can pass for the others. Images cloned with their keys do this."
            }
            Self::MachineIdShared => {
                "Several nodes have one machine-id, so nobody can tell which of them answered. Images cloned with it do this."
            }
            Self::ControlHostKeyElsewhere => {
                "The host key of the control connection is none of those that the surveyed sshd has, so whose answer it is rests on that connection alone."
            }
            Self::PrivateKeyShared => {
                "The same private key lies on several nodes: whoever takes one node has them all, and no single node can be revoked."
            }
            Self::PrivateKeyCopyReadable => {
                "A copy of a private key can be read by other accounts."
            }
            Self::KnownHostsPatternBroad => {
                "A known_hosts pattern vouches for more nodes than the one whose key it carries."
            }
            Self::KnownHostsNeverMatches => "A known_hosts line matches no name that Nova dials.",
            Self::KnownHostsBadLine => {
                "A line of known_hosts cannot be read and is skipped by ssh."
            }
            Self::KeyWeak => "A key is of a type or length that is no longer considered safe.",
            Self::RootLane => "A lane logs in as root on the far end.",
            Self::CertificateExpiring => "A certificate ends soon.",
            Self::SshConfigDiffers => "Nodes of one group have different ssh settings for a lane.",
            Self::SshdConfigDiffers => {
                "Nodes of one group have different sshd settings that matter for a lane."
            }
            Self::ClockSkew => {
                "A node's clock is away from the controller's by more than certificates and logs bear."
            }
            Self::MaxStartupsLow => {
                "sshd drops unauthenticated connections early; many moves at once to this node may be refused."
            }
            Self::UserConfigSymlinked => "A key or known_hosts file is a symbolic link.",
            Self::UpdateHostKeys => {
                "ssh will rewrite known_hosts by itself after a login (`UpdateHostKeys`)."
            }
            Self::DestAnsweredElsewhere => {
                "The address dialled is not on an interface that the node owns, but the right node answered (NAT or a proxy)."
            }
        }
    }

    /// What to do, with placeholders.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::PredictionDiffers => {
                "Read both in `clearway trace`; files may have changed in between, sshd may not have been reloaded, or clearway is wrong: report it."
            }
            Self::HostKeysNotChecked => {
                "Distribute known_hosts, then remove `StrictHostKeyChecking no` and `UserKnownHostsFile /dev/null`."
            }
            Self::HostKeyStaleButAccepted => "Replace the stale line in known_hosts.",
            Self::HostKeyShared => {
                "Unless it is one machine under several names: on each node remove /etc/ssh/ssh_host_*, run `ssh-keygen -A`, reload sshd, and distribute the new keys."
            }
            Self::MachineIdShared => {
                "Unless it is one machine under several names: on each node empty /etc/machine-id and run `systemd-machine-id-setup`."
            }
            Self::ControlHostKeyElsewhere => {
                "Nothing, where the control connection is meant to lead to another sshd than Nova's; otherwise look what answers at its address."
            }
            Self::PrivateKeyShared => "Give each node a key of its own (`clearway keys rotate`).",
            Self::PrivateKeyCopyReadable => {
                "Remove the copy or `chmod 600` it, and consider the key stolen."
            }
            Self::KnownHostsPatternBroad => "List the names of the node instead of a pattern.",
            Self::KnownHostsNeverMatches => "Remove it, or correct its name or port form.",
            Self::KnownHostsBadLine => "Correct or remove the line.",
            Self::KeyWeak => "Make an ed25519 key, or RSA of at least 3072 bits.",
            Self::RootLane => {
                "Use an account of its own for migrations, with the rights that it needs."
            }
            Self::CertificateExpiring => "Sign it again before that date.",
            Self::SshConfigDiffers => {
                "Bring them together with your deployment tool, or ignore it if it is meant."
            }
            Self::SshdConfigDiffers => {
                "Bring them together with your deployment tool, or ignore it if it is meant."
            }
            Self::ClockSkew => "Repair time synchronisation on the node.",
            Self::MaxStartupsLow => "Raise `MaxStartups` on the node.",
            Self::UserConfigSymlinked => "Know that repair will not follow it.",
            Self::UpdateHostKeys => "Set `UpdateHostKeys no` where a tool owns the file.",
            Self::DestAnsweredElsewhere => {
                "Know that Nova's own address comparison does not see this."
            }
        }
    }

    /// The one with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.code() == code)
    }
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for FindingCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_across_all_tables() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        codes.extend(Why::ALL.iter().map(|r| r.code()));
        codes.extend(NotNeeded::ALL.iter().map(|r| r.code()));
        codes.extend(FindingCode::ALL.iter().map(|r| r.code()));
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }

    #[test]
    fn a_placeholder_is_filled_or_stays_readable() {
        let values = Placeholders::default().with("server", "cmp017");
        assert_eq!(
            values.fill("on {server}: chmod {file}"),
            "on cmp017: chmod FILE"
        );
    }
}
