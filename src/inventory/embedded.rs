//! The profiles that come with clearway, as data.

use std::path::PathBuf;

use super::problem::Source;

/// Each profile file with its text. Where an inventory names no profile, the first one of the first file is used.
const EMBEDDED: &[(&str, &str)] = &[(
    "built-in nova.yaml",
    include_str!("../../profiles/nova.yaml"),
)];

/// The embedded files as sources.
pub(super) fn sources() -> Vec<Source> {
    EMBEDDED
        .iter()
        .map(|(name, text)| Source {
            name: (*name).to_owned(),
            base: PathBuf::new(),
            text: (*text).to_owned(),
        })
        .collect()
}
