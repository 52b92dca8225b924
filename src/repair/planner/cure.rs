//! What a repair does about each reason.

use crate::domain::Reason;

/// What is done about a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cure {
    /// Host keys are recorded on the client.
    Record,
    /// The owner or mode of a known_hosts file is set right.
    KnownHostsModes,
    /// The client gets a key, or may use the one that it has.
    Identity,
    /// The client's key is authorised on the server.
    Authorise,
    /// Owner or mode of authorized_keys, or of a directory above it, is set right.
    AuthorizedModes,
    /// The SELinux labels of authorized_keys, and of the directories above it, become the policy's.
    Labels,
    /// Owner or mode of the client's configuration is set right.
    ConfigModes,
    /// A command sets the account right, where the operator allows it.
    Account,
    /// Clearway leaves it alone, for this reason.
    Person(&'static str),
}

/// What is done about a reason where nodes trust each other by keys.
pub(super) fn cure(reason: Reason) -> Cure {
    const NAMES: &str =
        "names are looked up in the DNS or /etc/hosts, which other programs use too";
    const NOVA: &str = "nova.conf decides it, and nova-compute must be restarted with care";
    const NETWORK: &str = "the network or a service is in the way, not trust";
    const MACHINE: &str =
        "another machine may be answering; recording its key would hide that for ever";
    const PACKAGES: &str = "a program is missing, which a package manager installs";
    const SSHD: &str =
        "the server's sshd configuration forbids it, and somebody may have meant that";
    const SSH: &str = "the client's ssh configuration forbids it, and somebody may have meant that";
    const REVOKED: &str = "somebody has revoked this key, and only a person knows why";
    const STORAGE: &str = "instances live there, and only a person knows what belongs there";
    const SHELL: &str = "the account's start-up files or programs do it";
    const ACCOUNT: &str = "accounts belong to whoever administers the node";
    const UNCLEAR: &str = "files do not tell what is wrong";
    match reason {
        Reason::HostKeyUnknown
        | Reason::HostKeyChanged
        | Reason::HostKeyTypeGap
        // ssh goes on with the plain key where a certificate counts for nothing.
        | Reason::HostCertificateExpired
        | Reason::HostCertificateNotYetValid
        | Reason::HostCertificateWrongPrincipal
        | Reason::HostCertificateUnknownAuthority
        | Reason::HostCertificateWrongType => Cure::Record,
        Reason::KnownHostsUnreadable => Cure::KnownHostsModes,
        Reason::IdentityMissing
        | Reason::IdentityUnreadable
        | Reason::IdentityModes
        | Reason::IdentityInvalid
        | Reason::IdentityPassphrase
        | Reason::KeyAlgorithmRefused => Cure::Identity,
        Reason::KeyNotAuthorized
        | Reason::AuthorizedKeysMissing
        | Reason::KeyFromMismatch
        | Reason::KeyExpired
        | Reason::KeyOptionInvalid
        // sshd goes on with the plain key where a certificate counts for nothing.
        | Reason::UserCertificateExpired
        | Reason::UserCertificateNotYetValid
        | Reason::UserCertificateWrongPrincipal
        | Reason::UserCertificateNoPrincipal
        | Reason::UserCertificateSignature
        | Reason::UserCertificateUnknownAuthority
        | Reason::UserCertificateSourceAddress => Cure::Authorise,
        Reason::AuthorizedKeysModes | Reason::AuthorizedKeysUnreadable => Cure::AuthorizedModes,
        Reason::AuthorizedKeysLabel => Cure::Labels,
        Reason::ClientConfigUnsafe => Cure::ConfigModes,
        Reason::AccountNologin | Reason::AccountShellMissing | Reason::AccountLocked => {
            Cure::Account
        }
        Reason::NameUnresolvable | Reason::NameResolvesElsewhere | Reason::AddressLoopback => {
            Cure::Person(NAMES)
        }
        Reason::SharedAddress | Reason::AddressUnknown | Reason::LiveUriInvalid => {
            Cure::Person(NOVA)
        }
        Reason::ConnectionRefused
        | Reason::ConnectionTimedOut
        | Reason::NoRoute
        | Reason::LocalFirewall
        | Reason::ConnectionDropped
        | Reason::BannerTimeout
        | Reason::NotSsh
        | Reason::ProxyFailed
        | Reason::KeyExchangeStalled
        | Reason::KeyExchangeFailed => Cure::Person(NETWORK),
        Reason::HostKeyNotOnDisk | Reason::WrongMachine => Cure::Person(MACHINE),
        Reason::SshMissing
        | Reason::SftpMissing
        | Reason::CopyToolMissing
        | Reason::LibvirtHelperMissing => Cure::Person(PACKAGES),
        Reason::ClientConfigInvalid
        | Reason::ControlMasterFailed
        | Reason::PublickeyDisabledClient
        | Reason::TooManyKeys
        | Reason::NoCommonAlgorithm
        | Reason::RevokedHostKeysUnreadable => Cure::Person(SSH),
        Reason::AccountNotAllowed
        | Reason::PublickeyDisabledServer
        | Reason::MoreAuthenticationNeeded
        | Reason::RevokedKeysUnreadable
        | Reason::SessionRefused
        | Reason::ForcedCommandDenied => Cure::Person(SSHD),
        Reason::HostKeyRevoked | Reason::KeyRevoked => Cure::Person(REVOKED),
        Reason::ContextFailed
        | Reason::AccountMissing
        | Reason::AccountExpired
        | Reason::LoginsDisabled
        | Reason::PamRefused
        | Reason::PasswordChangeRequired
        | Reason::LibvirtSocketMissing
        | Reason::LibvirtSocketDenied => Cure::Person(ACCOUNT),
        Reason::InstancesPathMissing
        | Reason::InstancesPathNotWritable
        | Reason::ReadOnlyFilesystem
        | Reason::DiskFull
        | Reason::CopyCorrupted => Cure::Person(STORAGE),
        Reason::ShellNoisy => Cure::Person(SHELL),
        Reason::LoginRefused | Reason::CommandFailed | Reason::CopyFailed => Cure::Person(UNCLEAR),
    }
}
