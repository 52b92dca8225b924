//! What a program on a node may use, and what came of it.

use std::time::Duration;

/// Bounds for one program. Whatever a node does, the run ends within `deadline` and keeps no more than these sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of standard output; one more ends the program.
    pub stdout: u64,
    /// Most bytes of standard error; one more ends the program. Only the last 16 KiB are kept.
    pub stderr: u64,
    /// From the request to the end of the program.
    pub deadline: Duration,
    /// The longest silence on both streams.
    pub idle: Duration,
    /// How long the first byte of standard output may take.
    pub first: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stdout: 64 * 1024 * 1024,
            stderr: 1024 * 1024,
            deadline: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            first: Duration::from_secs(60),
        }
    }
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this status (0 to 255 from an honest node).
    Status(u32),
    /// By a signal, named without `SIG`.
    Signal(String),
    /// The node closed the channel without saying.
    Unknown,
}

impl Exit {
    /// Whether it ended with status 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Status(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("no exit status"),
        }
    }
}

/// How a program ended whose output went to a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramEnd {
    /// How it ended.
    pub exit: Exit,
    /// The end of its standard error, at most 16 KiB. Any bytes: escape before showing.
    pub stderr_tail: Vec<u8>,
}

/// A program's collected output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramOutput {
    /// Its standard output, with whatever the login shell's start-up files printed before it. Any bytes.
    pub stdout: Vec<u8>,
    /// The end of its standard error, at most 16 KiB. Any bytes: escape before showing.
    pub stderr_tail: Vec<u8>,
    /// How it ended.
    pub exit: Exit,
}

/// How much of standard error is kept.
const STDERR_TAIL: usize = 16 * 1024;

/// What the wrapper around a program writes to standard error before it starts the program: what comes before this
/// line is from the login shell or from sudo.
const STARTED: &[u8] = b"clearway-program-starts\n";

/// The command that sshd hands to the login shell, which may be any (bash, dash, csh, fish).
///
/// The program itself comes on standard input, so that it is in no process list and in no file. LC_ALL keeps sudo's
/// messages recognisable; programs set their own.
pub(super) fn command(sudo: bool) -> &'static str {
    if sudo {
        "exec env LC_ALL=C sudo -n /bin/sh -s"
    } else {
        "exec /bin/sh -s"
    }
}

/// The script as it is sent, behind [`STARTED`]: one compound command, so that a script cut short is a syntax error and
/// runs not at all.
///
/// Shells read what they run in blocks from a pipe, but for bash, which does so byte by byte: there, `cat` reads the rest. That it
/// is bash tells its option for braces, which no other has (`$-`): BASH_VERSION alone may be inherited, and `cat` would then hand another
/// shell the middle of the script.
pub(super) fn envelope(script: &[u8]) -> Vec<u8> {
    const FIRST: &[u8] =
        b"echo clearway-program-starts >&2; case ${BASH_VERSION+$-} in *B*) eval \"$(cat)\" ;; esac\n";
    let mut text = Vec::with_capacity(FIRST.len() + script.len() + 5);
    text.extend_from_slice(FIRST);
    text.extend_from_slice(b"{ ");
    text.extend_from_slice(script);
    text.extend_from_slice(b"\n}\n");
    text
}

/// Standard error as it comes: first what is not the program's, then the end of what is.
#[derive(Debug, Default)]
pub(super) struct Stderr {
    kept: Vec<u8>,
    started: bool,
    total: u64,
}

impl Stderr {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.kept.extend_from_slice(bytes);
        if !self.started
            && let Some(at) = find(&self.kept, STARTED)
        {
            self.started = true;
            self.kept.drain(..at + STARTED.len());
        }
        let excess = self.kept.len().saturating_sub(STDERR_TAIL);
        self.kept.drain(..excess);
    }

    /// Bytes so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Whether the program was started at all.
    pub(super) fn started(&self) -> bool {
        self.started
    }

    /// What is kept of it.
    pub(super) fn tail(&self) -> &[u8] {
        &self.kept
    }

    pub(super) fn into_tail(self) -> Vec<u8> {
        self.kept
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// The line in which sudo says why it does not run the program, from what came before the program's start.
///
/// sudo(8) and sudo-rs begin their lines with `sudo:`; the sudoers plugin says `NAME is not in the sudoers file` and
/// `Sorry, user NAME is not allowed to execute …`; `env` and shells name the command that is missing.
pub(super) fn sudo_refusal(stderr: &[u8]) -> Option<&[u8]> {
    stderr
        .split(|byte| *byte == b'\n')
        .rev()
        .map(<[u8]>::trim_ascii)
        .find(|line| {
            line.starts_with(b"sudo")
                || find(line, b"in the sudoers file").is_some()
                || find(line, b"is not allowed to").is_some()
                || (find(line, b"sudo").is_some() && find(line, b"not found").is_some())
                || (find(line, b"sudo").is_some() && find(line, b"No such file").is_some())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_before_the_start_is_not_the_programs() {
        let mut stderr = Stderr::default();
        stderr.push(b"motd without newline");
        stderr.push(b"clearway-program-");
        assert!(!stderr.started());
        stderr.push(b"starts\nhello\n");
        assert!(stderr.started());
        assert_eq!(stderr.tail(), b"hello\n");
    }

    #[test]
    fn only_the_end_of_a_flood_is_kept() {
        let mut stderr = Stderr::default();
        stderr.push(STARTED);
        for _ in 0..100 {
            stderr.push(&[b'x'; 1000]);
        }
        stderr.push(b"the end");
        assert_eq!(stderr.tail().len(), STDERR_TAIL);
        assert!(stderr.tail().ends_with(b"the end"));
        assert_eq!(stderr.total(), (STARTED.len() + 100_007) as u64);
    }

    #[test]
    fn the_start_is_found_after_a_flood_of_noise() {
        let mut stderr = Stderr::default();
        for _ in 0..100 {
            stderr.push(&[b'x'; 1000]);
        }
        stderr.push(STARTED);
        assert!(stderr.started());
        assert_eq!(stderr.tail(), b"");
    }

    #[test]
    fn refusals_of_sudo_are_recognised() {
        for line in [
            "sudo: a password is required",
            "sudo: sorry, you must have a tty to run sudo",
            "ops is not in the sudoers file.",
            "Sorry, user ops is not allowed to execute '/bin/sh -c …' as root on cmp001.",
            "sudo: unknown user root",
            "sudo: /etc/sudo.conf is owned by uid 1000, should be 0",
            "sudo: interactive authentication is required",
            "bash: line 1: sudo: command not found",
            "env: \u{2018}sudo\u{2019}: No such file or directory",
            "exec: sudo: not found",
        ] {
            let stderr = format!("Welcome to cmp001\n{line}\n");
            assert_eq!(sudo_refusal(stderr.as_bytes()), Some(line.as_bytes()));
        }
        assert_eq!(
            sudo_refusal(b"This account is currently not available.\n"),
            None
        );
    }

    #[test]
    fn the_script_is_one_compound_command() {
        let text = envelope(b"#!/bin/sh\ntrue");
        assert!(text.ends_with(b"\n{ #!/bin/sh\ntrue\n}\n"));
        assert!(find(&text, STARTED.trim_ascii_end()).is_some());
    }
}
