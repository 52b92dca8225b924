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

mod rungs;
#[cfg(test)]
mod tests;

pub use rungs::throttling;
use rungs::{closed, connect, copy_ended, cut_off, denied, dropped, host_key};

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
    // `RemoteCommand` where a command is given (ssh.c `main`).
    (
        "Cannot execute command-line and remote command",
        Reason::ClientConfigInvalid,
    ),
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
        // `AddressFamily` against an address of the other one.
        if line.starts_with("ssh: Could not resolve hostname ")
            && line.ends_with(": Address family for hostname not supported")
        {
            return Some(Self::Always(Reason::ClientConfigInvalid));
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
        // Behind a proxy whatever stops the client before the banner is the proxy's doing.
        let is_of_the_path =
            !matches!(self, Self::Always(reason) if reason.step() == Step::Resolve);
        if trace.proxied && before_banner && is_of_the_path {
            return Cause::Breaks(Reason::ProxyFailed);
        }
        match self {
            Self::Always(reason) => Cause::Breaks(reason),
            Self::Resolve => Cause::Breaks(Reason::NameUnresolvable),
            Self::Connect(why) => connect(trace, why),
            Self::BannerExchange => dropped(trace),
            Self::TimedOut => cut_off(trace),
            Self::Closed => closed(trace),
            Self::HostKey => Cause::Breaks(host_key(trace)),
            Self::Denied(methods) => denied(trace, methods),
            Self::NotSftp(number) => Cause::Breaks(match &number.to_be_bytes() {
                // `This account is currently not available.`
                b"This" => Reason::AccountNologin,
                // `There were too many logins for 'nova'.`
                b"Ther" => Reason::SessionRefused,
                _ => Reason::ShellNoisy,
            }),
            Self::CopyEnded => copy_ended(trace),
        }
    }
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
        // pam_unix, where a copy is all that is said.
        (
            "You are required to change your password immediately",
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
