//! The documentation and the profiles keep up with the code.

use crate::inventory::document::SECTIONS;

const PAGE: &str = include_str!("../../../docs/inventory.md");

#[test]
fn every_key_is_documented() {
    for (section, keys) in SECTIONS {
        for key in *keys {
            assert!(
                PAGE.contains(&format!("`{key}`")),
                "docs/inventory.md does not explain `{key}` of `{section}`"
            );
        }
    }
}
