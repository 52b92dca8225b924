//! Where a repair may write, and what it may make there.

use crate::repair::plan::{Attributes, Target};
use crate::survey::{Account, ClientFacts, FileFact, FileState};

/// A path that means the same whatever is on the node: absolute, without `.`, `..` or empty parts.
pub(super) fn is_plain(path: &str) -> bool {
    path.len() > 1
        && path.starts_with('/')
        && path.len() < 1024
        && !path.contains(char::is_control)
        && path[1..]
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Whether a path is below a directory.
pub(super) fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory.trim_end_matches('/'))
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Whether an account has a home of its own to keep files in: not the whole machine, and nothing of the system's.
fn has_home(account: &Account) -> bool {
    let home = account.home.trim_end_matches('/');
    const SYSTEM: [&str; 12] = [
        "/etc",
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        "/dev",
        "/proc",
        "/sys",
        "/run",
        "/boot",
        "/var",
        "/nonexistent",
    ];
    is_plain(home) && !SYSTEM.contains(&home)
}

/// Whether a file of an account may be written: it lies in the account's `.ssh`.
pub(super) fn is_own(path: &str, account: &Account) -> bool {
    let home = account.home.trim_end_matches('/');
    is_plain(path) && has_home(account) && is_below(path, &format!("{home}/.ssh"))
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Whether a known_hosts file may be written. An account chooses the path in its own configuration, and repair writes as
/// root: outside of the account's `.ssh`, where it harms nobody else, only what is named like one may be one.
pub(super) fn may_hold_host_keys(path: &str, account: &Account) -> bool {
    let of_system = is_below(path, "/etc/ssh") || is_below(path, "/etc/nova");
    is_plain(path)
        && (name(path).contains("known_hosts") && of_system
            || is_own(path, account) && !is_of_ssh(name(path)))
}

/// Whether an authorized_keys file may be written. sshd's configuration chooses the path, so root has.
pub(super) fn may_hold_keys(path: &str, account: &Account) -> bool {
    let of_system = is_below(path, "/etc") || is_below(path, "/var/lib");
    let of_sshd = is_below(path, "/etc/ssh") && !is_of_sshd(name(path));
    is_plain(path)
        && (is_own(path, account) || of_sshd || (of_system && path.contains("authorized_keys")))
}

/// Names in a `.ssh` that mean another thing to ssh or sshd than a list of host keys.
fn is_of_ssh(name: &str) -> bool {
    ["config", "environment", "rc"].contains(&name)
        || name.contains("authorized_")
        || name.starts_with("id_")
        || name.ends_with(".pub")
}

/// Names in `/etc/ssh` that mean another thing to ssh or sshd than a list of keys.
fn is_of_sshd(name: &str) -> bool {
    ["moduli", "shosts.equiv", "sshrc"].contains(&name)
        || name.starts_with("ssh")
        || name.ends_with(".conf")
        || name.ends_with(".pub")
        || name.ends_with("_key")
}

/// Whether a private key may be made, or set right, there.
pub(super) fn may_hold_identity(path: &str, account: &Account) -> bool {
    is_own(path, account) || (is_plain(path) && is_below(path, "/etc/nova"))
}

/// Whether a client configuration may be set right.
pub(super) fn may_hold_config(path: &str, account: &Account) -> bool {
    is_own(path, account) || (is_plain(path) && is_below(path, "/etc/ssh"))
}

/// Owner and mode of a new file: private to the account in its own home, else for everybody to read.
pub(super) fn new_file(path: &str, account: &Account) -> Attributes {
    if is_own(path, account) {
        Attributes {
            uid: account.uid,
            gid: account.gid,
            mode: 0o600,
        }
    } else {
        Attributes {
            uid: 0,
            gid: 0,
            mode: 0o644,
        }
    }
}

/// Owner and mode of a new directory for such a file.
pub(super) fn new_directory(path: &str, account: &Account) -> Attributes {
    let own = path == format!("{}/.ssh", account.home.trim_end_matches('/'));
    if own || is_own(path, account) {
        Attributes {
            uid: account.uid,
            gid: account.gid,
            mode: 0o700,
        }
    } else {
        Attributes {
            uid: 0,
            gid: 0,
            mode: 0o755,
        }
    }
}

/// The directory that a path lies in.
pub(super) fn parent(path: &str) -> Option<&str> {
    let (parent, _) = path.rsplit_once('/')?;
    (!parent.is_empty()).then_some(parent)
}

/// What the survey found at the directory of a client's account that a file lies in.
pub(super) fn client_directory<'a>(facts: &'a ClientFacts, path: &str) -> Option<&'a FileFact> {
    let parent = parent(path)?;
    facts.directories.iter().find(|it| it.path == parent)
}

/// Whether a client's account has no home at all.
pub(super) fn has_no_home(facts: &ClientFacts) -> bool {
    let Some(account) = &facts.account else {
        return false;
    };
    let home = account.home.trim_end_matches('/');
    let mut directories = facts.directories.iter();
    directories.any(|it| it.path == home && it.state == FileState::Absent)
}

/// Whether the directory of a client's account that a file lies in is a symbolic link.
pub(super) fn is_behind_link(facts: &ClientFacts, path: &str) -> bool {
    client_directory(facts, path).is_some_and(is_link)
}

/// Whether a fact is a symbolic link, which repair does not follow.
pub(super) fn is_link(fact: &FileFact) -> bool {
    matches!(&fact.state, FileState::Present { meta, .. } if meta.symlink)
}

/// A place on a node.
pub(super) fn target(context: &[String], path: &str) -> Target {
    Target {
        context: context.to_vec(),
        path: path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_cannot_point_a_repair_at_files_of_the_system() {
        let account = |home: &str| Account {
            name: "nova".into(),
            uid: 64060,
            gid: 64060,
            groups: Vec::new(),
            home: home.into(),
            shell: "/bin/sh".into(),
        };
        let nova = account("/var/lib/nova");
        for (path, may) in [
            ("/var/lib/nova/.ssh/known_hosts", true),
            ("/etc/ssh/ssh_known_hosts", true),
            ("/etc/ssh/sshd_config", false),
            ("/etc/passwd", false),
            ("/etc/cron.d/known_hosts", false),
            ("/var/lib/nova/.ssh/../../../../etc/known_hosts", false),
            ("/var/lib/nova/known_hosts", false),
            ("/var/lib/nova/.ssh/hosts.d/migration", true),
            ("/var/lib/nova/.ssh/authorized_keys", false),
            ("/var/lib/nova/.ssh/config", false),
            ("/var/lib/nova/.ssh/id_rsa", false),
            ("/var/lib/nova/.ssh/known_hosts\n", false),
            ("/var/lib/nova/.ssh//known_hosts", false),
        ] {
            assert_eq!(may_hold_host_keys(path, &nova), may, "{path}");
        }
        let everywhere = account("/");
        assert!(!may_hold_host_keys("/.ssh/known_hosts", &everywhere));
        let etc = account("/etc");
        assert!(!may_hold_identity("/etc/.ssh/id_ed25519", &etc));
        assert!(may_hold_identity("/etc/nova/migration/identity", &nova));
        assert!(!may_hold_identity("/etc/shadow", &nova));
        assert!(may_hold_keys("/etc/ssh/authorized_keys.d/nova", &nova));
        assert!(may_hold_keys("/etc/ssh/keys/nova", &nova));
        for other in [
            "/etc/sudoers",
            "/etc/ssh/sshd_config",
            "/etc/ssh/ssh_host_rsa_key",
        ] {
            assert!(!may_hold_keys(other, &nova), "{other}");
        }
    }
}
