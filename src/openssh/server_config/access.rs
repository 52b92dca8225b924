//! Whom the server lets in before it looks at any key (`allowed_user` and `auth_root_allowed` of `auth.c`).

use super::settings::{PermitRootLogin, ServerSettings};
use crate::openssh::address::{AddressListError, match_user};
use crate::openssh::pattern::match_pattern;

/// Who comes from where.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The account at the server.
    pub account: &'a str,
    /// Its number; 0 is root, whatever its name.
    pub uid: u32,
    /// Names of all its groups, the primary one included.
    pub groups: &'a [String],
    /// The client's name as `sshd` found it; with `UseDNS no`, the default, the address again.
    pub host: &'a str,
    /// The client's address.
    pub address: &'a str,
}

/// Why an account may not log in, whatever its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessRefusal {
    /// A pattern of `DenyUsers` matches.
    #[error("listed in DenyUsers: {pattern:?}")]
    DenyUsers {
        /// The pattern.
        pattern: String,
    },
    /// There is an `AllowUsers`, and no pattern of it matches.
    #[error("not listed in AllowUsers")]
    AllowUsers,
    /// There are lists of groups, and the account is in no group.
    #[error("not in any group")]
    NoGroup,
    /// A group is listed in `DenyGroups`.
    #[error("a group is listed in DenyGroups")]
    DenyGroups,
    /// There is an `AllowGroups`, and no group is listed in it.
    #[error("none of the groups is listed in AllowGroups")]
    AllowGroups,
    /// A pattern that `sshd` cannot read; it ends the connection.
    #[error("invalid pattern {pattern:?}")]
    InvalidPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        why: AddressListError,
    },
    /// `PermitRootLogin` forbids it.
    #[error("root login is not permitted")]
    Root,
}

impl ServerSettings {
    /// Whether an account may log in by the lists of users and groups. Locked accounts and unusable shells are refused before
    /// that, and are not looked at here.
    ///
    /// # Errors
    /// Why not.
    pub fn check_access(&self, caller: &Caller<'_>) -> Result<(), AccessRefusal> {
        let matches = |pattern: &String| {
            match_user(caller.account, caller.host, caller.address, pattern).map_err(|why| {
                AccessRefusal::InvalidPattern {
                    pattern: pattern.clone(),
                    why,
                }
            })
        };
        for pattern in &self.deny_users {
            if matches(pattern)? {
                return Err(AccessRefusal::DenyUsers {
                    pattern: pattern.clone(),
                });
            }
        }
        if !self.allow_users.is_empty() {
            let mut listed = false;
            for pattern in &self.allow_users {
                listed = matches(pattern)?;
                if listed {
                    break;
                }
            }
            if !listed {
                return Err(AccessRefusal::AllowUsers);
            }
        }
        if self.deny_groups.is_empty() && self.allow_groups.is_empty() {
            return Ok(());
        }
        if caller.groups.is_empty() {
            return Err(AccessRefusal::NoGroup);
        }
        let listed = |patterns: &[String]| {
            let is_one = |group: &String| {
                patterns
                    .iter()
                    .any(|it| match_pattern(group.as_bytes(), it.as_bytes()))
            };
            caller.groups.iter().any(is_one)
        };
        if listed(&self.deny_groups) {
            return Err(AccessRefusal::DenyGroups);
        }
        if !self.allow_groups.is_empty() && !listed(&self.allow_groups) {
            return Err(AccessRefusal::AllowGroups);
        }
        Ok(())
    }

    /// Whether `PermitRootLogin` lets the account in with a key; `forced` is whether the key or the server forces a command.
    ///
    /// # Errors
    /// [`AccessRefusal::Root`]
    pub fn check_root(&self, caller: &Caller<'_>, forced: bool) -> Result<(), AccessRefusal> {
        let allowed = match self.permit_root_login {
            PermitRootLogin::Yes | PermitRootLogin::ProhibitPassword => true,
            PermitRootLogin::ForcedCommandsOnly => forced,
            PermitRootLogin::No => false,
        };
        if caller.uid != 0 || allowed {
            Ok(())
        } else {
            Err(AccessRefusal::Root)
        }
    }
}
