//! How a result is looked at.

use std::path::Path;

use super::super::paint::Paint;
use super::super::text::shell_word;

/// What the place where a result is shown is like, and how much of it is wanted.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct View {
    /// Colours or not.
    pub(in crate::cli) paint: Paint,
    /// Columns that fit.
    pub(in crate::cli) width: usize,
    /// Whether everything is wanted (`-v`).
    pub(in crate::cli) verbose: bool,
}

/// Where a run can be found again.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Kept<'a> {
    /// In the ledger that commands look at without being told.
    Usual,
    /// In the ledger of this file, which has to be named.
    In(&'a Path),
    /// In none (`--no-ledger`).
    Nowhere,
}

impl Kept<'_> {
    /// A command that finds what is kept here, as it is typed. `inventory` is the one that it needs, if it needs any.
    pub(in crate::cli) fn typed(self, inventory: Option<&str>, words: &str) -> String {
        let mut typed = String::from("clearway ");
        match inventory {
            None | Some(crate::cli::DEFAULT_INVENTORY) => {}
            Some(path) => typed.push_str(&format!("-i {} ", shell_word(path))),
        }
        if let Self::In(path) = self {
            let path = shell_word(&path.to_string_lossy());
            typed.push_str(&format!("--ledger {path} "));
        }
        typed.push_str(words);
        typed
    }
}
