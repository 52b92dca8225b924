//! What a plan changes, as unified diffs: identical ones told once for all their nodes. Data; the terminal escapes it.

mod fold;
mod model;
#[cfg(test)]
mod tests;
mod unified;

pub use fold::{diff, key_fingerprint};
pub use model::{Change, Folded, Hunk, HunkLine, Tag};
