//! The environment variables and standard streams of this process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use nix::unistd::{Uid, User};

/// What the process was started with, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_STATE_HOME` when it is an absolute path, `~/.local/state` otherwise (XDG Base Directory Specification).
    pub state_home: Option<PathBuf>,
    /// The login name: `LOGNAME` (POSIX), `USER` otherwise, and where neither is set, what passwd(5) has.
    pub user: Option<String>,
    /// `SSH_AUTH_SOCK`.
    pub agent_socket: Option<PathBuf>,
    /// `TMPDIR`, `/tmp` otherwise (POSIX).
    pub scratch: PathBuf,
    /// The terminal, as far as there is one.
    pub terminal: Terminal,
}

/// What is known of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terminal {
    /// Whether questions can be answered.
    pub stdin: bool,
    /// Whether the result goes to a terminal.
    pub stdout: bool,
    /// Whether progress and errors go to a terminal.
    pub stderr: bool,
    /// Its width in columns, as the terminal itself or `COLUMNS` says.
    pub columns: Option<u16>,
    /// Whether the environment asks for plain text: `NO_COLOR` is not empty (no-color.org), or `TERM` is `dumb`.
    pub plain: bool,
}

impl Environment {
    /// Reads it.
    #[must_use]
    pub fn read() -> Self {
        let home = variable("HOME").map(PathBuf::from);
        let state_home = variable("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(home.as_ref()?.join(".local/state")));
        Self {
            agent_socket: variable("SSH_AUTH_SOCK").map(PathBuf::from),
            scratch: variable("TMPDIR").map_or_else(|| "/tmp".into(), PathBuf::from),
            terminal: Terminal::read(),
            user: user(),
            home,
            state_home,
        }
    }
}

impl Terminal {
    fn read() -> Self {
        let columns = variable("COLUMNS").and_then(|text| text.to_str()?.parse().ok());
        let measured = terminal_size::terminal_size().map(|(width, _)| width.0);
        Self {
            stdin: io::stdin().is_terminal(),
            stdout: io::stdout().is_terminal(),
            stderr: io::stderr().is_terminal(),
            columns: measured.or(columns).filter(|&columns| columns > 0),
            plain: variable("NO_COLOR").is_some()
                || variable("TERM").is_some_and(|term| term == "dumb"),
        }
    }
}

/// The variables whose names begin with a text, those that are UTF-8.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads them"
)]
pub fn variables(prefix: &str) -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect()
}

/// The login name: `LOGNAME` (POSIX), `USER` otherwise, and where neither is set, as for units of systemd and in containers, the
/// name of the account by getpwuid(3).
#[must_use]
pub fn user() -> Option<String> {
    if let Some(user) = variable("LOGNAME").or_else(|| variable("USER")) {
        return user.into_string().ok();
    }
    let account = User::from_uid(Uid::current()).ok().flatten()?;
    Some(account.name)
}

/// The words of the command line, the program's name first.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads it"
)]
pub fn command_line() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// A variable that is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads them"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
