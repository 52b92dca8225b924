//! The files in which an sshd looks for an account's keys, and whether it reads them.

use crate::domain::{Evidence, Reason};
use crate::openssh::authorized_keys::KeyLine;
use crate::openssh::key::{KeyKind, PublicKey};
use crate::openssh::{ListMatch, PatternCase, match_pattern_list};
use crate::survey::{Account, FileKind, FileState, LoginAccount};

use super::authorized::{Library, UNREADABLE, UNSAFE, UNSEARCHABLE};
use super::door::{Gate, gate};
use super::expand::{self, Tokens};
use super::notes::Notes;
use super::path::fact;
use super::policy::Policy;

/// A file that is asked whether it has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeysFile {
    pub(super) path: String,
    pub(super) gate: Gate,
    /// Whether something else than a file is there.
    pub(super) is_odd: bool,
}

/// Whether client and server agree on a signature algorithm for a key, and both find it long enough.
pub(super) fn algorithm_refused(
    key: &PublicKey,
    client: (Option<&str>, u32),
    server: (Option<&str>, u32),
) -> Option<String> {
    let bits = key.bits();
    let needed = client.1.max(server.1);
    if key.kind() == KeyKind::Rsa && bits < needed {
        return Some(format!(
            "RequiredRSASize {needed}, and the key has {bits} bits"
        ));
    }
    let listed = |list: Option<&str>, algorithm: &str| {
        list.is_none_or(|list| {
            let found = match_pattern_list(
                algorithm.as_bytes(),
                list.as_bytes(),
                PatternCase::Sensitive,
            );
            found == ListMatch::Matched
        })
    };
    let algorithms = key.kind().host_key_algorithms(key.certificate().is_some());
    let agreed = algorithms
        .iter()
        .any(|it| listed(client.0, it) && listed(server.0, it));
    (!agreed).then(|| {
        let who = match algorithms.iter().any(|it| listed(client.0, it)) {
            true => "the server",
            false => "the client",
        };
        format!(
            "PubkeyAcceptedAlgorithms of {who} has nothing for {}",
            key.type_name()
        )
    })
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
                    is_odd: false,
                };
            };
            let checked = login.authorized_keys.iter().find(|it| it.file.path == path);
            let gate = checked.map_or(Gate::Unseen, |checked| {
                gate(checked, Some(account), policy.strict_modes)
            });
            let is_odd = checked.is_some_and(|checked| {
                matches!(&checked.file.state, FileState::Present { meta, .. } if meta.kind != FileKind::File)
            });
            KeysFile { path, gate, is_odd }
        })
        .collect()
}

/// Why a key that no file lists is not authorised: the first file that could not be read counts, then that there is none.
pub(super) fn unlisted(
    node: &str,
    files: &[KeysFile],
    library: &Library,
    notes: &mut impl Notes,
) -> Reason {
    let line = |path: &str, number: Option<usize>, note: String| Evidence::FileLine {
        node: node.to_owned(),
        path: path.to_owned(),
        line: number.and_then(|number| u32::try_from(number).ok()),
        note,
    };
    for file in files {
        match &file.gate {
            Gate::Unsafe(path) => {
                notes.add(|| line(path, None, UNSAFE.to_owned()));
                notes.value("file", || path.clone());
                return Reason::AuthorizedKeysModes;
            }
            Gate::Unreadable(path) => {
                if *path != file.path {
                    notes.add(|| line(path, None, UNSEARCHABLE.to_owned()));
                }
                notes.add(|| line(&file.path, None, UNREADABLE.to_owned()));
                notes.value("file", || path.clone());
                return Reason::AuthorizedKeysUnreadable;
            }
            Gate::Missing | Gate::Open(_) | Gate::Unseen => {}
        }
    }
    let open = |file: &&KeysFile| matches!(file.gate, Gate::Open(_));
    let Some(first) = files.iter().find(open) else {
        for file in files {
            let is = if file.is_odd {
                "is no file"
            } else {
                "does not exist"
            };
            notes.add(|| line(&file.path, None, is.to_owned()));
        }
        let wanted = || "a file that `AuthorizedKeysFile` names (`none` now)".to_owned();
        let first = files.first();
        notes.value("file", || first.map_or_else(wanted, |it| it.path.clone()));
        if files.is_empty() {
            notes.add(|| {
                let text = "its sshd looks for keys in no file: `AuthorizedKeysFile none`";
                fact(node, text.to_owned())
            });
        }
        return Reason::AuthorizedKeysMissing;
    };
    notes.value("file", || first.path.clone());
    for file in files {
        let Gate::Open(content) = &file.gate else {
            continue;
        };
        notes.add(|| line(&file.path, None, "has none of the keys offered".to_owned()));
        // A line that sshd cannot read may have been meant for one of them.
        let bad = library
            .get(content)
            .into_iter()
            .flat_map(|index| index.file().lines());
        let bad = bad.filter_map(|(number, text)| match text {
            KeyLine::Bad(why) => Some((number, why)),
            _ => None,
        });
        for (number, why) in bad.take(3) {
            notes.add(|| line(&file.path, Some(number), why.to_string()));
        }
    }
    Reason::KeyNotAuthorized
}
