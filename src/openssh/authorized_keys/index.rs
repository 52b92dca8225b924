//! Answers for very many keys at once.

use std::collections::HashMap;

use super::document::{AuthorizedKey, AuthorizedKeys};
use super::judge::{KeyVerdict, LoginContext, judge_lines};
use crate::openssh::key::{KeyBlob, PublicKey};

/// [`AuthorizedKeys`], prepared for many questions. Every answer is the file's.
#[derive(Clone, Debug, Default)]
pub struct AuthorizedKeysIndex {
    file: AuthorizedKeys,
    lines: HashMap<KeyBlob, Vec<usize>>,
}

impl AuthorizedKeysIndex {
    /// Prepares a file.
    #[must_use]
    pub fn new(file: AuthorizedKeys) -> Self {
        let mut lines: HashMap<KeyBlob, Vec<usize>> = HashMap::new();
        for (number, entry) in file.keys() {
            lines
                .entry(entry.key.plain_blob().clone())
                .or_default()
                .push(number);
        }
        Self { file, lines }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &AuthorizedKeys {
        &self.file
    }

    /// See [`AuthorizedKeys::judge`].
    #[must_use]
    pub fn judge(&self, offered: &PublicKey, login: &LoginContext<'_>) -> KeyVerdict {
        let wanted = offered
            .certificate()
            .map_or(offered, |certificate| &certificate.authority);
        let numbers = self.lines.get(wanted.plain_blob());
        let entry = |number: &usize| -> Option<(usize, &AuthorizedKey)> {
            self.file.key(*number).map(|entry| (*number, entry))
        };
        let entries = numbers.into_iter().flatten().filter_map(entry);
        judge_lines(entries, offered, login)
    }
}
