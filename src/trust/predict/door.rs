//! The server side of logins: servers that are alike are judged once.

use std::net::IpAddr;

use crate::survey::{
    Account, CheckedFile, FileKind, FileState, LockState, LoginAccount, Meta, NodeFacts,
};

use crate::openssh::config::ServerConfig;

use super::clients::{FilesKey, files_key};
use super::policy::Policy;
use super::settings::Settings;

/// What a login depends on at the far end: servers with the same key let the same clients in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct DoorKey {
    policy: Option<Policy>,
    /// The configuration, where it has `Match` blocks: what it says, without comments.
    matched: Option<String>,
    version: Option<String>,
    accounts: Vec<AccountKey>,
    trust: FilesKey,
    nologin: Vec<String>,
    /// Between which two moments its clock stands, of those at which a certificate or a line begins or ends to be good.
    moment: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AccountKey {
    name: String,
    account: Option<Account>,
    shell_usable: bool,
    lock: LockState,
    has_expired: bool,
    expires_today: bool,
    password_expired: bool,
    keys: Vec<(String, Gate)>,
    principals: Vec<(String, Gate)>,
}

/// What sshd makes of a file that it is to read for an account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Gate {
    /// Nothing is there, or nothing that can be a list of keys.
    Missing,
    /// The account cannot read it: the directory that keeps it out, or the file itself.
    Unreadable(String),
    /// `StrictModes` refuses it because of this path.
    Unsafe(String),
    /// It is read.
    Open([u8; 32]),
    /// The survey does not have it.
    Unseen,
}

impl DoorKey {
    /// `matched` is the configuration where it depends on the connection; `moments` are sorted.
    pub(super) fn new(
        facts: &NodeFacts,
        settings: Option<&Settings>,
        matched: Option<&ServerConfig>,
        moments: &[i64],
    ) -> Self {
        const SECONDS_A_DAY: i64 = 86_400;
        let server = &facts.server;
        let policy = settings.map(Policy::read);
        let strict = policy.as_ref().is_none_or(|policy| policy.strict_modes);
        let today = facts.clock.div_euclid(SECONDS_A_DAY);
        let gates = |login: &LoginAccount, files: &[CheckedFile]| {
            let gate = |file: &CheckedFile| {
                let gate = gate(file, login.account.as_ref(), strict);
                (file.file.path.clone(), gate)
            };
            files.iter().map(gate).collect()
        };
        let account = |login: &LoginAccount| AccountKey {
            name: login.name.clone(),
            account: login.account.clone(),
            shell_usable: login.shell_usable,
            lock: login.lock,
            has_expired: login.expires_day.is_some_and(|day| day >= 0 && day < today),
            expires_today: login.expires_day == Some(today),
            password_expired: login.password_expired,
            keys: gates(login, &login.authorized_keys),
            principals: gates(login, &login.principals),
        };
        Self {
            matched: matched.map(|config| format!("{config:?}")),
            policy,
            version: server.sshd_version.clone(),
            accounts: server.accounts.iter().map(account).collect(),
            trust: files_key(&server.trust_files),
            nologin: server.nologin.clone(),
            moment: moments.partition_point(|moment| *moment <= facts.clock),
        }
    }
}

/// The configuration files of a server; `None` without any. sshd reads the first, which includes the others.
pub(super) fn server_config(facts: &NodeFacts) -> Option<ServerConfig> {
    let files = &facts.server.config_files;
    let top = &files.first()?.path;
    let contents = files.iter().filter_map(|file| {
        file.content()
            .map(|content| (file.path.as_str(), &*content.bytes))
    });
    Some(ServerConfig::read(contents, top))
}

/// `auth_openfile` of auth2-pubkeyfile.c and `safe_path` of misc.c.
pub(super) fn gate(checked: &CheckedFile, account: Option<&Account>, strict: bool) -> Gate {
    let (meta, readable, content) = match &checked.file.state {
        FileState::Absent => return Gate::Missing,
        FileState::Unreadable(_) => return Gate::Unseen,
        FileState::Present {
            meta,
            readable,
            content,
        } => (meta, *readable, content),
    };
    if meta.kind != FileKind::File {
        return Gate::Missing;
    }
    if !readable {
        let closed = checked.closed.as_ref();
        return Gate::Unreadable(closed.unwrap_or(&checked.file.path).clone());
    }
    if strict
        && let Some(account) = account
        && let Some(path) = unsafe_path(checked, meta, account.uid)
    {
        return Gate::Unsafe(path.to_owned());
    }
    match content {
        Some(content) => Gate::Open(content.sha256),
        None => Gate::Unseen,
    }
}

/// The first path, from the file up, that somebody else than root and the account could write to.
fn unsafe_path<'a>(checked: &'a CheckedFile, meta: &Meta, uid: u32) -> Option<&'a str> {
    const GROUP_WRITE: u32 = 0o020;
    const OTHER_WRITE: u32 = 0o002;
    let paths = std::iter::once((checked.file.path.as_str(), *meta)).chain(
        checked
            .above
            .iter()
            .map(|(path, meta)| (path.as_str(), *meta)),
    );
    let private = checked
        .private_group
        .iter()
        .copied()
        .chain(std::iter::repeat(false));
    paths
        .zip(private)
        .find(|((_, meta), private)| {
            (meta.uid != 0 && meta.uid != uid)
                || meta.mode & OTHER_WRITE != 0
                || (meta.mode & GROUP_WRITE != 0 && !private)
        })
        .map(|((path, _), _)| path)
}

/// An address as sshd writes it.
pub(super) fn written(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::{Content, FileFact};

    fn meta(kind: FileKind, mode: u32, uid: u32) -> Meta {
        Meta {
            kind,
            mode,
            uid,
            gid: 1000,
            size: 1,
            symlink: false,
        }
    }

    fn file(mode: u32, uid: u32, above: &[(u32, u32)], private: bool) -> CheckedFile {
        let content = Content {
            sha256: [7; 32],
            bytes: [][..].into(),
        };
        CheckedFile {
            file: FileFact {
                path: "/home/n/.ssh/authorized_keys".into(),
                state: FileState::Present {
                    meta: meta(FileKind::File, mode, uid),
                    readable: true,
                    content: Some(content),
                },
            },
            above: above
                .iter()
                .zip(["/home/n/.ssh", "/home/n"])
                .map(|((mode, uid), path)| (path.into(), meta(FileKind::Directory, *mode, *uid)))
                .collect(),
            private_group: vec![private; 3],
            closed: None,
        }
    }

    #[test]
    fn strict_modes_walks_up_to_the_home() {
        let account = Account {
            name: "n".into(),
            uid: 1000,
            gid: 1000,
            groups: vec!["n".into()],
            home: "/home/n".into(),
            shell: "/bin/sh".into(),
        };
        let fine = [(0o700, 1000), (0o755, 1000)];
        let is = |checked: CheckedFile| gate(&checked, Some(&account), true);
        let open = Gate::Open([7; 32]);
        let refused = |path: &str| Gate::Unsafe(path.to_owned());
        assert_eq!(is(file(0o600, 1000, &fine, false)), open);
        assert_eq!(is(file(0o644, 0, &fine, false)), open, "root may own it");
        assert_eq!(
            is(file(0o664, 1000, &fine, false)),
            refused("/home/n/.ssh/authorized_keys")
        );
        assert_eq!(
            is(file(0o664, 1000, &fine, true)),
            open,
            "Debian's private group"
        );
        assert_eq!(
            is(file(0o666, 1000, &fine, true)),
            refused("/home/n/.ssh/authorized_keys")
        );
        assert_eq!(
            is(file(0o644, 1500, &fine, false)),
            refused("/home/n/.ssh/authorized_keys")
        );
        assert_eq!(
            is(file(0o600, 1000, &[(0o770, 1000), (0o755, 1000)], false)),
            refused("/home/n/.ssh")
        );
        assert_eq!(
            is(file(0o600, 1000, &[(0o700, 1000), (0o755, 1500)], false)),
            refused("/home/n")
        );
        assert_eq!(
            gate(&file(0o666, 1500, &fine, false), Some(&account), false),
            open
        );
    }

    #[test]
    fn what_keeps_an_account_out_is_the_directory_before_the_file() {
        let unreadable = |closed: Option<&str>| {
            let mut checked = file(0o644, 0, &[(0o700, 0)], false);
            if let FileState::Present { readable, .. } = &mut checked.file.state {
                *readable = false;
            }
            checked.closed = closed.map(str::to_owned);
            gate(&checked, None, true)
        };
        let by = |path: &str| Gate::Unreadable(path.to_owned());
        assert_eq!(unreadable(Some("/home/n/.ssh")), by("/home/n/.ssh"));
        assert_eq!(unreadable(None), by("/home/n/.ssh/authorized_keys"));
    }
}
