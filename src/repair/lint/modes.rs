//! Owners and modes of what a plan leads to.

use super::check::Review;
use super::complaint::Rule;
use super::roles::Role;
use crate::repair::plan::{Attributes, Edit, FileState};
use crate::survey::Account;

impl Review<'_> {
    pub(super) fn modes(&mut self, node: &str, edit: &Edit, role: &Role<'_>) {
        let Some(after) = edit.after.attributes() else {
            return;
        };
        let before = edit.before.attributes();
        let account = match role {
            Role::KnownHosts(_, it)
            | Role::Config(_, it)
            | Role::Identity(_, it)
            | Role::Certificate(_, it)
            | Role::Directory(_, it) => Some(*it),
            Role::AuthorizedKeys(_, login) => login.account.as_ref(),
        };
        let mut complain = |detail: &str| {
            self.complain(Rule::Modes, node, Some(&edit.target), detail);
        };
        if before.map(|it| it.uid) != Some(after.uid)
            && after.uid != 0
            && account.is_none_or(|it| it.uid != after.uid)
        {
            complain("goes to somebody else");
        }
        if after.mode & 0o7000 & !before.map_or(0, |it| it.mode) != 0 || after.mode > 0o7777 {
            complain("special bits");
        }
        let added = after.mode & !before.map_or(0, |it| it.mode);
        if before.is_some() && added & 0o022 != 0 {
            complain("others may write");
        }
        match (&edit.after, role) {
            (_, Role::Identity(..)) if after.mode & 0o077 != 0 => {
                complain("a private key for others");
            }
            // Public, as the key's other half is.
            (_, Role::Certificate(..)) => {
                if after.mode & !before.map_or(0o644, |it| it.mode) != 0 {
                    complain("a certificate that others may change");
                }
            }
            (FileState::Directory { .. }, _) => {
                let most = if is_home(edit, account) { 0o700 } else { 0o755 };
                let others = added & 0o077 & !0o011;
                if before.is_none() && after.mode & !most != 0 || before.is_some() && others != 0 {
                    complain("a directory that is too open");
                }
            }
            (_, _) => {
                let most = if is_home(edit, account) { 0o600 } else { 0o644 };
                if before.is_none() && after.mode & !most != 0 {
                    complain("a new file that is too open");
                }
                if before.is_some() && is_home(edit, account) && added & 0o077 != 0 {
                    complain("opened for others in a home");
                }
            }
        }
    }

    /// Whether sshd would still read an account's keys there (`StrictModes`).
    pub(super) fn keeps_control(
        &mut self,
        node: &str,
        edit: &Edit,
        (account, after): (&Account, Attributes),
    ) {
        let shut = match after.uid {
            uid if uid == account.uid => after.mode & 0o400 == 0,
            0 => after.mode & 0o004 == 0 && account.uid != 0,
            _ => true,
        };
        let search = matches!(edit.after, FileState::Directory { .. })
            && after.uid == account.uid
            && after.mode & 0o100 == 0;
        if shut || search || after.mode & 0o002 != 0 {
            let detail = "sshd would not read the control account's keys any more";
            self.complain(Rule::Control, node, Some(&edit.target), detail);
        }
    }
}

fn is_home(edit: &Edit, account: Option<&Account>) -> bool {
    account.is_some_and(|account| {
        let home = format!("{}/", account.home.trim_end_matches('/'));
        edit.target.path.starts_with(&home)
    })
}
