//! What the control connection needs to know of the machine and the operator: passed in, never looked up here.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The operator's surroundings.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The home directory: `~` in paths, the default `known_hosts` and the default identity files.
    pub home: PathBuf,
    /// The socket of ssh-agent (`SSH_AUTH_SOCK`), if there is one.
    pub agent_socket: Option<PathBuf>,
    /// The clock in seconds since the epoch, for the validity of certificates.
    pub now: fn() -> u64,
}

impl Environment {
    /// A path with a leading `~` replaced by the home directory.
    pub(super) fn expand(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(rest) => self.home.join(rest),
            Err(_) => path.to_path_buf(),
        }
    }
}

/// How long each phase of opening a connection may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Looking the name up and connecting, all addresses together; also a jump host's attempt to do so.
    pub connect: Duration,
    /// From the connection to the server's identification line. sshd's `UseDNS` can hold it back for 10 s.
    pub banner: Duration,
    /// From there to the end of the key exchange.
    pub key_exchange: Duration,
    /// All attempts to log in together.
    pub login: Duration,
    /// The pause before a connection that was dropped before its identification line is tried once more; up to as much
    /// again is added, different for each node.
    pub retry_pause: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            banner: Duration::from_secs(15),
            key_exchange: Duration::from_secs(15),
            login: Duration::from_secs(30),
            retry_pause: Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leading_tilde_means_home() {
        let environment = Environment {
            home: "/home/ops".into(),
            agent_socket: None,
            now: || 0,
        };
        for (path, expanded) in [
            ("~/.ssh/id_rsa", "/home/ops/.ssh/id_rsa"),
            ("~other/key", "~other/key"),
            ("/a/~/b", "/a/~/b"),
        ] {
            assert_eq!(environment.expand(Path::new(path)), Path::new(expanded));
        }
    }
}
