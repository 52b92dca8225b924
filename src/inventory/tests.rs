//! Whole inventories: what they come to, and what is said of bad ones.

mod bad;
mod docs;
mod good;
mod hostile;
mod limit;
mod show;

use std::path::PathBuf;

use super::{Context, Inventory, InventoryError, Source};

/// Reads one file as `lab.yaml` in `/etc/clearway`, for the user `op` at home in `/home/op`.
pub(super) fn read(text: &str) -> Result<Inventory, InventoryError> {
    read_files(&[("lab.yaml", text)])
}

/// Reads several files.
pub(super) fn read_files(files: &[(&str, &str)]) -> Result<Inventory, InventoryError> {
    let sources: Vec<Source> = files
        .iter()
        .map(|(name, text)| Source {
            name: (*name).to_owned(),
            base: PathBuf::from("/etc/clearway"),
            text: (*text).to_owned(),
        })
        .collect();
    let context = Context {
        home: Some(PathBuf::from("/home/op")),
        user: Some("op".to_owned()),
    };
    Inventory::read(&sources, &context)
}
