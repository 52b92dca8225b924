//! How a result is looked at.

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
