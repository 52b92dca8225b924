//! Lists that come in pages.

use serde::Deserialize;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// The marker of the next page; `None` on the last one. Made from the last row: the link that the answer has is
    /// not followed, it could lead anywhere.
    pub next: Option<String>,
}

/// A link of a page.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    rel: String,
}

/// Whether there is a next page.
pub(super) fn has_next(links: &[Link]) -> bool {
    links.iter().any(|link| link.rel == "next")
}
