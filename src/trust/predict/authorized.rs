//! Whether an sshd finds a key authorised for an account, and where.

use crate::domain::{Evidence, Reason};
use crate::survey::{Account, LoginAccount};

use super::door::{Gate, gate};
use super::expand::{self, Tokens};
use super::notes::Notes;
use super::policy::Policy;

/// A file that is asked whether it has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeysFile {
    pub(super) path: String,
    pub(super) gate: Gate,
}

/// The files that `AuthorizedKeysFile` names for an account, in order.
pub(super) fn files(policy: &Policy, login: &LoginAccount, account: &Account) -> Vec<KeysFile> {
    let tokens = Tokens {
        home: &account.home,
        user: &account.name,
        uid: account.uid,
        ..Tokens::default()
    };
    policy
        .authorized_keys
        .iter()
        .map(|text| {
            let Some(path) = expand::server(text, tokens) else {
                return KeysFile {
                    path: text.clone(),
                    gate: Gate::Unseen,
                };
            };
            let checked = login.authorized_keys.iter().find(|it| it.file.path == path);
            let gate = checked.map_or(Gate::Unseen, |checked| {
                gate(checked, Some(account), policy.strict_modes)
            });
            KeysFile { path, gate }
        })
        .collect()
}

/// What keeps every one of the files from being read, if it is so; the first that is there counts.
pub(super) fn closed(node: &str, files: &[KeysFile], notes: &mut impl Notes) -> Option<Reason> {
    let is_open = |file: &KeysFile| matches!(file.gate, Gate::Open(_) | Gate::Unseen);
    if files.iter().any(is_open) {
        return None;
    }
    let line = |path: &str, note: &str| Evidence::FileLine {
        node: node.to_owned(),
        path: path.to_owned(),
        line: None,
        note: note.to_owned(),
    };
    for file in files {
        match &file.gate {
            Gate::Unsafe(path) => {
                let note = "StrictModes: others than root and the account could write to it";
                notes.add(|| line(path, note));
                notes.value("file", || path.clone());
                return Some(Reason::AuthorizedKeysModes);
            }
            Gate::Unreadable => {
                notes.add(|| line(&file.path, "the account cannot read it"));
                notes.value("file", || file.path.clone());
                return Some(Reason::AuthorizedKeysUnreadable);
            }
            Gate::Missing | Gate::Open(_) | Gate::Unseen => {}
        }
    }
    for file in files {
        notes.add(|| line(&file.path, "does not exist"));
    }
    if let Some(file) = files.first() {
        notes.value("file", || file.path.clone());
    }
    Some(Reason::AuthorizedKeysMissing)
}
