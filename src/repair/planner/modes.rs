//! Owners and modes that ssh or sshd refuses, set right with as little as will do.

use super::draft::{Because, Draft, attributes, state_of};
use super::places::{is_below, is_link, is_plain, target};
use crate::domain::NodeId;
use crate::repair::plan::{Attributes, FileState};
use crate::survey::{Account, CheckedFile, ClientFacts, FileFact, FileState as Found, Meta};

const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;
const READ: u32 = 4;
const SEARCH: u32 = 1;

fn own(meta: Meta, account: &Account, mode: u32) -> Attributes {
    let owner = |id| {
        if meta.uid == account.uid {
            meta.gid
        } else {
            id
        }
    };
    Attributes {
        uid: account.uid,
        gid: owner(account.gid),
        mode,
    }
}

/// Whether the account may do something, as far as ids of the primary group tell.
fn may(meta: Meta, account: &Account, bit: u32) -> bool {
    let shift = match () {
        () if account.uid == 0 => return true,
        () if meta.uid == account.uid => 6,
        () if meta.gid == account.gid => 3,
        () => 0,
    };
    meta.mode >> shift & bit != 0
}

/// A private key that its account can use and nobody else can read (`sshkey_perm_ok` of authfile.c).
pub(super) fn private_key(meta: Meta, account: &Account) -> Attributes {
    let mode = match meta.mode & 0o700 {
        mode if mode & 0o400 != 0 => mode & 0o600,
        _ => 0o600,
    };
    own(meta, account, mode)
}

/// A file that the account can read: one of its own becomes its own, one of the machine is for everybody.
pub(super) fn readable(path: &str, meta: Meta, account: &Account) -> Attributes {
    if is_below(path, &account.home) {
        own(meta, account, meta.mode | READ << 6)
    } else {
        Attributes {
            mode: meta.mode | 0o444,
            ..attributes(meta)
        }
    }
}

/// A file or directory that nobody but root and the account can write to (`safe_path` of misc.c, `check_perm` of
/// readconf.c). `private` spares the account's private group, as Debian's sshd does.
pub(super) fn safe(meta: Meta, account: &Account, private: bool) -> Attributes {
    let group = if private { 0 } else { GROUP_WRITE };
    let mode = meta.mode & !(OTHER_WRITE | group);
    if meta.uid == 0 || meta.uid == account.uid {
        Attributes {
            mode,
            ..attributes(meta)
        }
    } else {
        own(meta, account, mode)
    }
}

/// Directories of a client's account that it cannot search are given back to it. Whether it can search all of them then.
pub(super) fn open_directories(
    draft: &mut Draft,
    (node, context): (NodeId, &[String]),
    facts: &ClientFacts,
    because: &[Because],
) -> bool {
    let Some(account) = &facts.account else {
        return false;
    };
    let mut all = true;
    for directory in &facts.directories {
        let Found::Present {
            meta,
            readable: false,
            ..
        } = &directory.state
        else {
            continue;
        };
        if may(*meta, account, SEARCH) {
            // It is one above it that hides it.
            continue;
        }
        match state_of(directory).filter(|_| is_plain(&directory.path)) {
            Some(before) => {
                let to = own(*meta, account, meta.mode | 0o700);
                let place = target(context, &directory.path);
                draft.set_attributes((node, &place), &before, to, because.iter().copied());
            }
            None => all = false,
        }
    }
    all
}

/// Why owners and modes of a keys file cannot be set right.
pub(super) const LINK: &str = "a symbolic link is on the way, and repair follows none";
pub(super) const FOREIGN: &str =
    "directories above the account's home are not the account's, and other programs rely on them";

/// Sets an authorized_keys file and the directories above it right: for the account to read, and with `StrictModes` for
/// nobody else to write.
///
/// # Errors
/// Why that is left alone.
pub(super) fn keys_file(
    draft: &mut Draft,
    (node, context): (NodeId, &[String]),
    checked: &CheckedFile,
    (account, strict): (&Account, bool),
    because: &[Because],
) -> Result<(), &'static str> {
    if is_link(&checked.file) {
        return Err(LINK);
    }
    let mut changes: Vec<(&str, FileState, Attributes)> = Vec::new();
    let private = |at: usize| checked.private_group.get(at).copied().unwrap_or(false);
    // Where there is no file, the flags begin with the directory.
    let is_there = matches!(checked.file.state, Found::Present { .. });
    if let Found::Present { meta, readable, .. } = &checked.file.state {
        let mut to = if strict {
            safe(*meta, account, private(0))
        } else {
            attributes(*meta)
        };
        if !readable && !may(*meta, account, READ) {
            let meta = Meta {
                mode: to.mode,
                ..*meta
            };
            to = self::readable(&checked.file.path, meta, account);
        }
        if let Some(before) = state_of(&checked.file) {
            changes.push((&checked.file.path, before, to));
        }
    }
    let home = account.home.trim_end_matches('/');
    let parent = super::places::parent(&checked.file.path);
    for (at, (path, meta)) in checked.above.iter().enumerate() {
        if !is_below(&checked.file.path, path) && path != "/" {
            return Err(LINK);
        }
        let mut to = attributes(*meta);
        if strict {
            to = safe(*meta, account, private(at + usize::from(is_there)));
        }
        let after = Meta {
            uid: to.uid,
            gid: to.gid,
            mode: to.mode,
            ..*meta
        };
        let of_account = path == home || is_below(path, home);
        if !may(after, account, SEARCH) {
            to = if of_account {
                own(after, account, to.mode | 0o700)
            } else {
                Attributes {
                    mode: to.mode | 0o111,
                    ..to
                }
            };
        }
        if to == attributes(*meta) {
            continue;
        }
        if meta.symlink {
            return Err(LINK);
        }
        let is_next = parent == Some(path) && path.contains("authorized_keys");
        if !is_plain(path) || !(of_account || is_next) {
            return Err(FOREIGN);
        }
        let before = FileState::Directory {
            attributes: attributes(*meta),
        };
        changes.push((path, before, to));
    }
    for (path, before, to) in changes {
        if before.attributes() != Some(to) {
            let place = target(context, path);
            draft.set_attributes((node, &place), &before, to, because.iter().copied());
        }
    }
    Ok(())
}

/// A file of which the account cannot read what it should.
pub(super) fn is_unreadable(file: &FileFact) -> bool {
    matches!(
        file.state,
        Found::Present {
            readable: false,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::FileKind;

    fn meta(mode: u32, uid: u32) -> Meta {
        Meta {
            kind: FileKind::File,
            mode,
            uid,
            gid: uid,
            size: 0,
            symlink: false,
        }
    }

    fn nova() -> Account {
        Account {
            name: "nova".into(),
            uid: 5,
            gid: 6,
            groups: Vec::new(),
            home: "/var/lib/nova".into(),
            shell: String::new(),
        }
    }

    #[test]
    fn modes_become_no_looser_than_they_must() {
        let is = |to: Attributes| (to.uid, to.gid, to.mode);
        assert_eq!(is(private_key(meta(0o644, 5), &nova())), (5, 5, 0o600));
        assert_eq!(is(private_key(meta(0o444, 5), &nova())), (5, 5, 0o400));
        assert_eq!(is(private_key(meta(0o600, 0), &nova())), (5, 6, 0o600));
        let home = "/var/lib/nova/.ssh/known_hosts";
        assert_eq!(is(readable(home, meta(0o600, 0), &nova())), (5, 6, 0o600));
        let global = "/etc/ssh/ssh_known_hosts";
        assert_eq!(is(readable(global, meta(0o600, 0), &nova())), (0, 0, 0o644));
        assert_eq!(is(safe(meta(0o664, 5), &nova(), true)), (5, 5, 0o664));
        assert_eq!(is(safe(meta(0o666, 0), &nova(), false)), (0, 0, 0o644));
        assert_eq!(is(safe(meta(0o644, 9), &nova(), false)), (5, 6, 0o644));
    }
}
