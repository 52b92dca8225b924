//! Whether the account that is logged in to is one that sshd lets in, whatever the key (`allowed_user` of auth.c,
//! pam_unix(8), pam_nologin(8)).

use crate::domain::{Evidence, Predicted, Reason, Why};
use crate::openssh::{match_pattern, match_user};
use crate::survey::{Account, LockState, LoginAccount};

use super::notes::Notes;
use super::path::fact;
use super::policy::{Policy, RootLogin};

/// The server, as far as accounts are concerned.
pub(super) struct Door<'a> {
    /// The server's inventory name.
    pub(super) node: &'a str,
    pub(super) policy: &'a Policy,
    /// Which of `/etc/nologin` and `/run/nologin` exist.
    pub(super) nologin: &'a [String],
    /// The server's clock, seconds since the epoch.
    pub(super) clock: i64,
    /// The address that the client comes from, if known.
    pub(super) source: Option<&'a str>,
}

impl Door<'_> {
    /// What stands before the key is even looked at; `None` lets it pass.
    pub(super) fn before_the_key(
        &self,
        login: &LoginAccount,
        notes: &mut impl Notes,
    ) -> Option<Predicted> {
        let breaks = |reason| Some(Predicted::Breaks(reason));
        let name = &login.name;
        let Some(account) = &login.account else {
            notes.add(|| fact(self.node, format!("there is no account `{name}`")));
            return breaks(Reason::AccountMissing);
        };
        let policy = self.policy;
        // Inside a chroot another shell may be there, so sshd does not look.
        if !login.shell_usable && policy.chroot.is_none() {
            let shell = shell(account);
            notes.add(|| {
                fact(
                    self.node,
                    format!("the shell {shell} of `{name}` cannot be run"),
                )
            });
            return breaks(Reason::AccountShellMissing);
        }
        if !policy.pam && login.lock == LockState::Locked {
            notes.add(|| fact(self.node, format!("`{name}` is locked, and UsePAM is no")));
            return breaks(Reason::AccountLocked);
        }
        if !policy.pam && self.has_expired(login, notes) {
            return breaks(Reason::AccountExpired);
        }
        if let Some(predicted) = self.lists(account, notes) {
            return Some(predicted);
        }
        if account.uid == 0 && policy.root == RootLogin::No {
            notes.add(|| fact(self.node, "PermitRootLogin no".to_owned()));
            return breaks(Reason::AccountNotAllowed);
        }
        None
    }

    /// What stands behind a key that was accepted.
    pub(super) fn behind_the_key(
        &self,
        login: &LoginAccount,
        notes: &mut impl Notes,
    ) -> Option<Predicted> {
        if self.has_expired(login, notes) {
            return Some(Predicted::Breaks(Reason::AccountExpired));
        }
        let is_root = login.account.as_ref().is_some_and(|it| it.uid == 0);
        // sshd looks at /etc/nologin by itself, PAM at both.
        let closed = |path: &&String| self.policy.pam || *path == "/etc/nologin";
        if let Some(path) = self.nologin.iter().find(closed)
            && !is_root
        {
            notes.add(|| Evidence::FileLine {
                node: self.node.to_owned(),
                path: path.clone(),
                line: None,
                note: "exists, so only root may log in".to_owned(),
            });
            return Some(Predicted::Breaks(Reason::LoginsDisabled));
        }
        None
    }

    /// What the session would end with, once the login succeeded. `by_shell` tells whether the account's shell runs what
    /// is asked for; sshd's own sftp server does without one (`do_child` of session.c).
    pub(super) fn session(
        &self,
        login: &LoginAccount,
        by_shell: bool,
        notes: &mut impl Notes,
    ) -> Option<Predicted> {
        let account = login.account.as_ref()?;
        if self.policy.pam && login.password_expired {
            notes.add(|| {
                fact(
                    self.node,
                    format!("the password of `{}` has expired", login.name),
                )
            });
            return Some(Predicted::Breaks(Reason::PasswordChangeRequired));
        }
        let shell = shell(account);
        let program = shell.rsplit('/').next().unwrap_or(shell);
        if by_shell && matches!(program, "nologin" | "false" | "true") {
            notes.add(|| {
                fact(
                    self.node,
                    format!("the shell of `{}` is {shell}", login.name),
                )
            });
            return Some(Predicted::Breaks(Reason::AccountNologin));
        }
        if let Some(directory) = &self.policy.chroot {
            notes.add(|| fact(self.node, format!("ChrootDirectory {directory}")));
            return Some(Predicted::Unknown(Why::NotPredictable));
        }
        None
    }

    fn has_expired(&self, login: &LoginAccount, notes: &mut impl Notes) -> bool {
        const SECONDS_A_DAY: i64 = 86_400;
        let today = self.clock.div_euclid(SECONDS_A_DAY);
        let is_over = |day: i64| {
            // pam_unix counts the day itself, sshd without PAM only what follows it (auth-shadow.c).
            day >= 0 && (today > day || (self.policy.pam && today == day))
        };
        let over = login.expires_day.filter(|&day| is_over(day));
        if let Some(day) = over {
            notes.add(|| {
                let text = format!(
                    "the account `{}` expired on day {day} since 1970",
                    login.name
                );
                fact(self.node, text)
            });
        }
        over.is_some()
    }

    fn lists(&self, account: &Account, notes: &mut impl Notes) -> Option<Predicted> {
        let policy = self.policy;
        let refuse = |notes: &mut dyn FnMut(String), keyword: &str, list: &[String]| {
            notes(format!("`{}`: {keyword} {}", account.name, list.join(" ")));
            Some(Predicted::Breaks(Reason::AccountNotAllowed))
        };
        let mut note = |text: String| notes.add(|| fact(self.node, text));
        for (keyword, list, allows) in [
            ("DenyUsers", &policy.deny_users, false),
            ("AllowUsers", &policy.allow_users, true),
        ] {
            match self.any_user(account, list) {
                None => return Some(Predicted::Unknown(Why::NotPredictable)),
                Some(is_listed) if list.is_empty() || is_listed == allows => {}
                Some(_) => return refuse(&mut note, keyword, list),
            }
        }
        // `ga_match` of groupaccess.c: any group, any pattern, no negation.
        let in_groups = |list: &[String]| {
            list.iter().any(|pattern| {
                let mut groups = account.groups.iter();
                groups.any(|group| match_pattern(group.as_bytes(), pattern.as_bytes()))
            })
        };
        if !policy.deny_groups.is_empty() && in_groups(&policy.deny_groups) {
            return refuse(&mut note, "DenyGroups", &policy.deny_groups);
        }
        if !policy.allow_groups.is_empty() && !in_groups(&policy.allow_groups) {
            return refuse(&mut note, "AllowGroups", &policy.allow_groups);
        }
        None
    }

    /// Whether the account is on a list; `None` if that hangs on a host name or on an address that is not known.
    fn any_user(&self, account: &Account, list: &[String]) -> Option<bool> {
        let mut is_open = false;
        for pattern in list {
            let (user, hosts) = match pattern.rsplit_once('@') {
                Some((user, hosts)) => (user, Some(hosts)),
                None => (pattern.as_str(), None),
            };
            if !match_pattern(account.name.as_bytes(), user.as_bytes()) {
                continue;
            }
            let (Some(hosts), Some(source)) = (hosts, self.source) else {
                if hosts.is_none() {
                    return Some(true);
                }
                is_open = true;
                continue;
            };
            // With UseDNS sshd also compares the name that belongs to the address.
            let is_name = self.policy.dns && hosts.bytes().any(|byte| byte.is_ascii_alphabetic());
            match match_user(&account.name, source, source, pattern) {
                Ok(true) => return Some(true),
                Ok(false) => is_open |= is_name,
                Err(_) => is_open = true,
            }
        }
        (!is_open).then_some(false)
    }
}

fn shell(account: &Account) -> &str {
    if account.shell.is_empty() {
        "/bin/sh"
    } else {
        &account.shell
    }
}
