//! How a result is looked at.

use std::path::Path;

use super::super::paint::Paint;

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
