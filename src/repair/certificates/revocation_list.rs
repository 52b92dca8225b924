//! The operator's list of what was revoked.

use std::collections::{BTreeMap, BTreeSet};

use crate::openssh::key::PublicKey;
use crate::openssh::revoked::RevokedKeys;
use crate::repair::plan::RetiredKey;

use super::revoke::Revocation;

/// Everything that was revoked, as ssh-keygen(1) reads it ("KEY REVOCATION LISTS"): `id: …` and `key: …` lines and
/// comments. It is the operator's file: what nodes hold is made from it, and nothing is read back from them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationList {
    ids: BTreeSet<String>,
    /// By their text.
    keys: BTreeMap<String, PublicKey>,
}

/// A line that is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: neither `id: …` nor `key: TYPE BASE64`")]
pub struct BadRevocation {
    /// Number of the line, from 1.
    pub line: usize,
}

impl RevocationList {
    /// Reads the operator's file.
    ///
    /// # Errors
    /// The first line that is no entry.
    pub fn parse(text: &str) -> Result<Self, BadRevocation> {
        let mut list = Self::default();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if let Some(id) = text.strip_prefix("id:") {
                list.ids.insert(id.trim().to_owned());
            } else if let Some(key) = text.strip_prefix("key:")
                && let Ok((key, _)) = PublicKey::read(key.trim().as_bytes())
            {
                list.insert(&key);
            } else {
                return Err(BadRevocation { line });
            }
        }
        Ok(list)
    }

    fn insert(&mut self, key: &PublicKey) {
        let key = key.to_plain();
        self.keys.insert(key.to_string(), key);
    }

    /// The file's text: the same list always gives the same. `ssh-keygen -k` makes the binary list of it, in which key ids
    /// are revoked whoever signed: an authority that takes another's place never gives them again either.
    #[must_use]
    pub fn text(&self) -> String {
        let ids = self.ids.iter().map(|id| format!("id: {id}\n"));
        let keys = self.keys.keys().map(|key| format!("key: {key}\n"));
        let head =
            "# Revoked by clearway. Nodes hold lists that are made from this file: keep it.\n";
        std::iter::once(head.to_owned())
            .chain(ids)
            .chain(keys)
            .collect()
    }

    /// Whether nothing was revoked yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.keys.is_empty()
    }

    /// Whether certificates of this key id are revoked.
    #[must_use]
    pub fn has_id(&self, id: &[u8]) -> bool {
        std::str::from_utf8(id).is_ok_and(|id| self.ids.contains(id))
    }

    /// The first key id of this name that is not revoked: a node that comes back after it was revoked gets new ones.
    /// No `#`, with which ssh-keygen lets a comment begin.
    #[must_use]
    pub fn next_id(&self, name: &str) -> String {
        let mut number = 1_u64;
        loop {
            let id = format!("{name}:{number}");
            if !self.ids.contains(&id) {
                return id;
            }
            number += 1;
        }
    }

    /// Adds what a node could identify itself with.
    pub fn add(&mut self, revocation: &Revocation) {
        self.ids.extend(revocation.ids.iter().cloned());
        let keys = revocation.user_keys.iter().chain(&revocation.host_keys);
        keys.for_each(|key| self.insert(key));
    }

    /// Adds a key that nobody is to trust.
    pub fn add_retired(&mut self, retired: &RetiredKey) {
        if let Ok((key, _)) = PublicKey::read(retired.public.as_bytes()) {
            self.insert(&key);
        }
    }

    /// Whether a key is revoked.
    #[must_use]
    pub fn has_key(&self, key: &PublicKey) -> bool {
        !self.keys.is_empty() && self.keys.contains_key(&key.to_plain().to_string())
    }

    /// Whether certificates of a node's host keys were revoked, these or earlier ones.
    #[must_use]
    pub fn has_host(&self, node: &str) -> bool {
        let begin = format!("clearway:host:{node}:");
        self.ids.iter().any(|id| id.starts_with(&begin))
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.values()
    }

    /// What nodes' lists must revoke.
    #[must_use]
    pub fn as_revoked(&self) -> RevokedKeys {
        RevokedKeys::of(self.keys(), self.ids.iter().map(String::as_bytes))
    }
}
