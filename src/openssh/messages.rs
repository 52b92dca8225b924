//! What the messages of ssh, scp, sftp and rsync mean.
//!
//! A client says in one line what stopped it, and often in others why. [`explain`] finds the first line that stops it
//! ([`Stop`]), and lets the other lines, the stage that `ssh -v` reached and the exit status say the rest. The texts
//! are those of OpenSSH 8.0 to 10.x (sshconnect.c, sshconnect2.c, kex.c, authfile.c, scp.c, sftp-client.c) and of
//! rsync 3; none of them is translated.
//!
//! What the client cannot know stays unknown: most refusals look alike from there ([`Cause::Refused`]).

use super::stages::{Sharing, Stage, Trace};
use crate::domain::{Reason, Step};

#[cfg(test)]
mod tests;

/// Why a run of ssh, scp or rsync did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// This, and the client knows it.
    Breaks(Reason),
    /// The far end did not let the client in. Only its files and its log know why.
    Refused,
    /// The connection was closed before the far end said who it is. That may be throttling, and says nothing about
    /// trust.
    Dropped,
    /// The same, and the far end said that it is throttling (MaxStartups, PerSourceMaxStartups, PerSourcePenalties).
    Throttled,
    /// A deadline cut it at a place that does not say what it waited for.
    TimedOut,
    /// The client did its work; the command on the far end ended with this status.
    Remote(i32),
    /// No message that means anything.
    Unexplained,
}

impl Cause {
    /// The step on which it stopped; `None` when that is not known.
    #[must_use]
    pub fn step(self) -> Option<Step> {
        match self {
            Self::Breaks(reason) => Some(reason.step()),
            Self::Refused => Some(Step::Login),
            Self::Dropped | Self::Throttled => Some(Step::Connect),
            Self::Remote(_) => Some(Step::Command),
            Self::TimedOut | Self::Unexplained => None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// What it wrote to stderr.
    pub trace: &'a Trace<'a>,
    /// What it wrote to stdout.
    pub stdout: &'a str,
    /// Its exit status; `None` when a deadline cut it.
    pub status: Option<i32>,
}

/// Says why a run did not succeed. Meant for runs whose status is not 0.
#[must_use]
pub fn explain(ending: Ending<'_>) -> Cause {
    let trace = ending.trace;
    if let Some(cause) = account_speaks(&ending) {
        return cause;
    }
    if let Some(stop) = trace
        .said
        .iter()
        .find_map(|line| Stop::read(unwrap_libvirt(line)))
    {
        return stop.explain(trace);
    }
    let Some(status) = ending.status else {
        return cut_off(trace);
    };
    if trace.stage == Stage::Ended || trace.shared == Sharing::Used || (0..255).contains(&status) {
        // 255 is also what the far end's command may have answered.
        let answered = trace.exit_status.filter(|_| status == 255);
        return remote(&ending, answered.unwrap_or(status));
    }
    if trace.stage == Stage::Started && trace.said.iter().any(|line| is_config_complaint(line)) {
        return Cause::Breaks(Reason::ClientConfigInvalid);
    }
    if trace.proxied && trace.stage < Stage::Banner {
        return Cause::Breaks(Reason::ProxyFailed);
    }
    Cause::Unexplained
}

/// Says what a text without a stage means, for example the stderr that Nova keeps in a fault.
#[must_use]
pub fn explain_text(text: &str) -> Cause {
    explain(Ending {
        trace: &Trace::read(text),
        stdout: text,
        status: Some(255),
    })
}

/// A line that stops the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop<'a> {
    /// It means the same wherever it stands.
    Always(Reason),
    /// `ssh: connect to host … port …: WHY`.
    Connect(&'a str),
    /// The name has no address.
    Resolve,
    /// Closed, reset or broken off while banners are exchanged.
    BannerExchange,
    /// A deadline of ssh itself.
    TimedOut,
    /// Closed or reset by the far end; what that means depends on the stage.
    Closed,
    /// `Host key verification failed.`
    HostKey,
    /// `Permission denied (METHODS).`
    Denied(&'a str),
    /// `Received message too long N`: the first four bytes that came were text.
    NotSftp(u32),
    /// `scp: Connection closed`, `lost connection`: the far end's half of the copy went away.
    CopyEnded,
}

/// Texts that mean the same wherever they stand in a line, the more telling ones first.
const ALWAYS: &[(&str, Reason)] = &[
    ("Bad owner or permissions on ", Reason::ClientConfigUnsafe),
    (": Bad configuration option: ", Reason::ClientConfigInvalid),
    (" bad configuration options", Reason::ClientConfigInvalid),
    ("Can't open user config file ", Reason::ClientConfigInvalid),
    ("No user exists for uid ", Reason::ContextFailed),
    (
        "Connection timed out during banner exchange",
        Reason::BannerTimeout,
    ),
    ("Unable to negotiate with ", Reason::NoCommonAlgorithm),
    ("Bad server host key: ", Reason::NoCommonAlgorithm),
    ("unix_listener: ", Reason::ControlMasterFailed),
    ("ControlPath too long", Reason::ControlMasterFailed),
    (
        "too long for Unix domain socket",
        Reason::ControlMasterFailed,
    ),
    (
        "session request failed: Session open refused",
        Reason::SessionRefused,
    ),
    ("mux_client_", Reason::ControlMasterFailed),
    ("subsystem request failed on channel ", Reason::SftpMissing),
    ("exec request failed on channel ", Reason::SessionRefused),
    ("shell request failed on channel ", Reason::SessionRefused),
    ("channel 0: open failed: ", Reason::SessionRefused),
    ("is your shell clean?", Reason::ShellNoisy),
    ("protocol error: mtime.sec not ", Reason::AccountNologin),
    ("protocol error: ", Reason::ShellNoisy),
    (
        "remote command not found (code 127)",
        Reason::CopyToolMissing,
    ),
    ("scp: command not found", Reason::CopyToolMissing),
    ("scp: not found", Reason::CopyToolMissing),
    ("rsync: command not found", Reason::CopyToolMissing),
    ("rsync: not found", Reason::CopyToolMissing),
];

impl<'a> Stop<'a> {
    fn read(line: &'a str) -> Option<Self> {
        if let Some(rest) = line.strip_prefix("ssh: connect to host ") {
            return Some(Self::Connect(rest.rsplit_once(": ")?.1));
        }
        if line.starts_with("ssh: Could not resolve hostname ")
            || line.starts_with("hostname contains invalid characters")
        {
            return Some(Self::Resolve);
        }
        if let Some(&(_, reason)) = ALWAYS.iter().find(|(text, _)| line.contains(text)) {
            return Some(Self::Always(reason));
        }
        if line.starts_with("Host key verification failed") {
            return Some(Self::HostKey);
        }
        if let Some((_, methods)) = line.split_once("Permission denied (") {
            return Some(Self::Denied(methods.split(')').next()?));
        }
        if let Some((_, number)) = line.split_once("Received message too long ") {
            return Some(Self::NotSftp(number.trim().parse().ok()?));
        }
        if line.starts_with("scp: Connection closed")
            || line == "Connection closed"
            || line == "lost connection"
        {
            return Some(Self::CopyEnded);
        }
        Self::read_closed(line)
    }

    fn read_closed(line: &str) -> Option<Self> {
        let names_port = || line.contains(" port ");
        if line.contains("xchange_identification: ") || line.starts_with("banner exchange: ") {
            return Some(Self::BannerExchange);
        }
        let fatal = line.starts_with("ssh_dispatch_run_fatal: ");
        if (line.starts_with("Connection to ") || fatal) && names_port() {
            // `Connection to A port N timed out`, `ssh_dispatch_run_fatal: Connection to A port N: WHY`,
            // `Connection to A port N: Broken pipe`
            return Some(if line.ends_with("timed out") {
                Self::TimedOut
            } else {
                Self::Closed
            });
        }
        let closed = line.starts_with("Connection closed by ")
            || line.starts_with("Connection reset by ")
            || line.starts_with("Disconnected from ")
            || line.starts_with("Received disconnect from ");
        let ended = line.starts_with("Connection to ") && line.contains("closed by remote host")
            || line.starts_with("client_loop: ")
            || line.starts_with("packet_write_wait: ");
        ((closed && names_port()) || ended).then_some(Self::Closed)
    }

    fn explain(self, trace: &Trace<'_>) -> Cause {
        let before_banner = trace.stage < Stage::Banner;
        if trace.proxied && before_banner && !matches!(self, Self::Always(_)) {
            return Cause::Breaks(Reason::ProxyFailed);
        }
        match self {
            Self::Always(reason) => Cause::Breaks(reason),
            Self::Resolve => Cause::Breaks(Reason::NameUnresolvable),
            Self::Connect(why) => connect(why),
            Self::BannerExchange => dropped(trace),
            Self::TimedOut => cut_off(trace),
            Self::Closed => closed(trace),
            Self::HostKey => Cause::Breaks(host_key(trace)),
            Self::Denied(methods) => denied(trace, methods),
            Self::NotSftp(number) => Cause::Breaks(if number.to_be_bytes() == *b"This" {
                // `This account is currently not available.`
                Reason::AccountNologin
            } else {
                Reason::ShellNoisy
            }),
            Self::CopyEnded => copy_ended(trace),
        }
    }
}

/// `strerror` of connect(2).
fn connect(why: &str) -> Cause {
    Cause::Breaks(match why {
        "Connection refused" => Reason::ConnectionRefused,
        "Connection timed out" | "Operation timed out" => Reason::ConnectionTimedOut,
        // EACCES: a prohibit route; EPERM: a rule on output.
        "Permission denied" | "Operation not permitted" => Reason::LocalFirewall,
        // EINVAL: a blackhole route.
        "No route to host"
        | "Network is unreachable"
        | "Network is down"
        | "Host is down"
        | "Invalid argument"
        | "Cannot assign requested address"
        | "Address family not supported by protocol" => Reason::NoRoute,
        // Accepted and reset before ssh could say a word.
        "Connection reset by peer" => return Cause::Dropped,
        _ => return Cause::Unexplained,
    })
}

fn dropped(trace: &Trace<'_>) -> Cause {
    // sshd.c since 9.8 says the second for MaxStartups, PerSourceMaxStartups and PerSourcePenalties alike.
    let throttling = ["Exceeded MaxStartups", "Not allowed at this time"];
    if trace
        .before_banner
        .iter()
        .any(|line| throttling.iter().any(|text| line.starts_with(text)))
    {
        Cause::Throttled
    } else if !trace.before_banner.is_empty()
        || trace.says("banner exchange: ") && trace.says("invalid format")
        || trace.says("identification: banner line ")
    {
        Cause::Breaks(Reason::NotSsh)
    } else {
        Cause::Dropped
    }
}

fn closed(trace: &Trace<'_>) -> Cause {
    match trace.stage {
        Stage::Started | Stage::Resolved | Stage::Connected => dropped(trace),
        Stage::Banner | Stage::KeyExchange | Stage::HostKey => {
            Cause::Breaks(Reason::KeyExchangeFailed)
        }
        Stage::Encrypted | Stage::Offered | Stage::Accepted => Cause::Refused,
        Stage::Authenticated | Stage::Commanded | Stage::Ended => {
            Cause::Breaks(Reason::SessionRefused)
        }
    }
}

fn cut_off(trace: &Trace<'_>) -> Cause {
    if trace.proxied && trace.stage < Stage::Banner {
        return Cause::Breaks(Reason::ProxyFailed);
    }
    if trace.shared == Sharing::Asked && trace.stage == Stage::Started {
        return Cause::Breaks(Reason::ControlMasterFailed);
    }
    match trace.stage {
        Stage::Resolved => Cause::Breaks(Reason::ConnectionTimedOut),
        Stage::Connected => Cause::Breaks(Reason::BannerTimeout),
        Stage::Banner | Stage::KeyExchange | Stage::HostKey => {
            Cause::Breaks(Reason::KeyExchangeStalled)
        }
        _ => Cause::TimedOut,
    }
}

fn host_key(trace: &Trace<'_>) -> Reason {
    if trace.says("REVOKED HOST KEY DETECTED") || trace.says(" is marked as revoked.") {
        return Reason::HostKeyRevoked;
    }
    if trace.says("Error checking host key ") {
        return Reason::RevokedHostKeysUnreadable;
    }
    // sshkey.c sshkey_cert_check_authority
    let invalid = [
        (
            "Certificate invalid: expired",
            Reason::HostCertificateExpired,
        ),
        (
            "Certificate invalid: not yet valid",
            Reason::HostCertificateNotYetValid,
        ),
        (
            "Certificate invalid: not a host certificate",
            Reason::HostCertificateWrongType,
        ),
        (
            "Certificate invalid: name is not a listed principal",
            Reason::HostCertificateWrongPrincipal,
        ),
        (
            "Certificate lacks principal list",
            Reason::HostCertificateWrongPrincipal,
        ),
    ];
    if let Some((_, reason)) = invalid.into_iter().find(|(text, _)| trace.says(text)) {
        return reason;
    }
    if trace.says("IDENTIFICATION HAS CHANGED")
        || trace.says(" differs from the key for the IP address ")
        // Known for the name and refused all the same: CheckHostIP found another key for the address.
        || trace.host_key_known
    {
        return Reason::HostKeyChanged;
    }
    if trace.says("hostkeys_foreach failed for ") {
        return Reason::KnownHostsUnreadable;
    }
    if trace.served.is_some_and(|key| key.authority.is_some()) {
        return Reason::HostCertificateUnknownAuthority;
    }
    Reason::HostKeyUnknown
}

fn denied(trace: &Trace<'_>, methods: &str) -> Cause {
    if trace.partial {
        return Cause::Breaks(Reason::MoreAuthenticationNeeded);
    }
    if !methods.split(',').any(|method| method == "publickey") {
        return Cause::Breaks(Reason::PublickeyDisabledServer);
    }
    let key_trouble = identity(trace);
    match trace.stage {
        // The far end would take it, but the client could not sign: without any message, only a passphrase does that.
        Stage::Accepted => Cause::Breaks(key_trouble.unwrap_or(Reason::IdentityPassphrase)),
        // A key was offered and not taken: what is wrong with others does not matter.
        Stage::Offered => Cause::Refused,
        _ if !trace.verbose => key_trouble.map_or(Cause::Refused, Cause::Breaks),
        _ if !trace.tried_public_keys => Cause::Breaks(Reason::PublickeyDisabledClient),
        _ => Cause::Breaks(key_trouble.unwrap_or(if trace.candidates.is_empty() {
            Reason::IdentityMissing
        } else {
            // There is a key, and it was left out: PubkeyAcceptedAlgorithms, RequiredRSASize.
            Reason::KeyAlgorithmRefused
        })),
    }
}

/// What ssh complains of in its own keys.
fn identity(trace: &Trace<'_>) -> Option<Reason> {
    if trace.says("UNPROTECTED PRIVATE KEY FILE") || trace.says(": bad permissions") {
        return Some(Reason::IdentityModes);
    }
    if trace.says("no mutual signature ") || trace.says("corresponding algo not in PubkeyAccepted")
    {
        return Some(Reason::KeyAlgorithmRefused);
    }
    if trace.says(" contents do not match public") {
        return Some(Reason::IdentityInvalid);
    }
    let load = trace
        .said
        .iter()
        .find(|line| line.starts_with("Load key "))?;
    Some(if load.ends_with(": Permission denied") {
        Reason::IdentityUnreadable
    } else if load.contains("incorrect passphrase") {
        Reason::IdentityPassphrase
    } else if load.ends_with(": Invalid key length") {
        Reason::KeyAlgorithmRefused
    } else {
        Reason::IdentityInvalid
    })
}

/// The far end's half of a copy went away without a word of its own.
fn copy_ended(trace: &Trace<'_>) -> Cause {
    if trace.verbose && trace.stage < Stage::Authenticated {
        return closed(trace);
    }
    Cause::Breaks(match trace.exit_status {
        // The shell did not find the subsystem's program.
        Some(127 | 126) => Reason::SftpMissing,
        // A start-up file ended the shell.
        Some(status) if status > 0 => Reason::CopyFailed,
        _ => Reason::SftpMissing,
    })
}

/// Texts by which an account or its PAM stack speaks; they may come on either stream, and whatever ssh says of the
/// end of the connection is only their consequence.
fn account_speaks(ending: &Ending<'_>) -> Option<Cause> {
    // pam_unix, login shells, pam_nologin's and systemd-user-sessions' files, pam_limits, sshd's ForceCommand
    let texts = [
        ("Your account has expired", Reason::AccountExpired),
        (
            "Password change required but no TTY available",
            Reason::PasswordChangeRequired,
        ),
        (
            "This account is currently not available.",
            Reason::AccountNologin,
        ),
        ("not permitted to log in yet", Reason::LoginsDisabled),
        ("System is booting up.", Reason::LoginsDisabled),
        ("System is going down.", Reason::LoginsDisabled),
        ("There were too many logins for ", Reason::SessionRefused),
        (
            "This service allows sftp connections only.",
            Reason::ForcedCommandDenied,
        ),
    ];
    texts
        .into_iter()
        .find(|(text, _)| ending.trace.says(text) || ending.stdout.contains(text))
        .map(|(_, reason)| Cause::Breaks(reason))
}

/// The far end ran something, and it failed.
fn remote(ending: &Ending<'_>, status: i32) -> Cause {
    let trace = ending.trace;
    let silent = ending.stdout.trim().is_empty() && trace.said.is_empty();
    // session.c: PAM's session could not be opened.
    if status == 254 && trace.said.is_empty() {
        return Cause::Breaks(Reason::SessionRefused);
    }
    // TripleO's nova_migration_wrapper.
    if ending.stdout.starts_with("Forbidden") || trace.says("Forbidden") || trace.forced_command {
        return Cause::Breaks(Reason::ForcedCommandDenied);
    }
    // `/bin/false` as login shell.
    if status == 1 && silent {
        return Cause::Breaks(Reason::AccountNologin);
    }
    Cause::Remote(status)
}

/// readconf.c: `FILE line N: …`. A complaint of a shell has a colon before `line`, and one about an option on the
/// command line is not about a file.
fn is_config_complaint(line: &str) -> bool {
    !line.starts_with("command-line ")
        && line.split_once(" line ").is_some_and(|(file, rest)| {
            !file.ends_with(':')
                && rest
                    .split_once(": ")
                    .is_some_and(|(number, _)| number.parse::<u32>().is_ok())
        })
}

/// The text of ssh inside libvirt's `Cannot recv data: …: Connection reset by peer`.
fn unwrap_libvirt(line: &str) -> &str {
    line.split_once("Cannot recv data: ")
        .map_or(line, |(_, inner)| {
            inner
                .strip_suffix(": Connection reset by peer")
                .unwrap_or(inner)
        })
}
