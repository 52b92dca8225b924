//! What one set of settings says beyond another.

use std::collections::BTreeMap;

/// Settings that blocks and global lines make, by keyword in lower case.
pub(super) type Settings = BTreeMap<String, Vec<String>>;

/// How the settings for a name or connection differ from those that the program itself printed for another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Not at all.
    Same,
    /// In these keywords (lower case), each with its values as the program would print them, one per line; `None`
    /// means that OpenSSH's default holds.
    Settings(BTreeMap<String, Option<Vec<String>>>),
}

/// The files do not decide it: a condition that only the program itself can evaluate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be decided from the files")]
pub struct Undecidable(pub String);

impl Difference {
    /// What `wanted` says that `base` does not, and the other way round.
    pub(super) fn between(wanted: &Settings, base: &Settings) -> Self {
        let mut changed = BTreeMap::new();
        for (keyword, values) in wanted {
            if base.get(keyword) != Some(values) {
                changed.insert(keyword.clone(), Some(values.clone()));
            }
        }
        for keyword in base.keys() {
            if !wanted.contains_key(keyword) {
                changed.insert(keyword.clone(), None);
            }
        }
        if changed.is_empty() {
            Self::Same
        } else {
            Self::Settings(changed)
        }
    }
}
