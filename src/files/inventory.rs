//! Finding and reading the files of an inventory.

use std::io;
use std::path::{Path, PathBuf};

use super::read::{FileError, read_text};
use crate::inventory::{Context, Inventory, InventoryError, Source};

/// All files of an inventory together are at most this large, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Why an inventory cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// One of its files cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory holds no inventory file.
    #[error("no *.yaml or *.yml file in {}", .0.display())]
    NoFiles(PathBuf),
    /// The files are read, but something is wrong in them. Displays by itself, over several lines.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

/// Loads an inventory from a file, or from all `*.yaml` and `*.yml` files of a directory, sorted by name. Hidden
/// files and subdirectories are left out.
///
/// # Errors
/// When a file cannot be read, all together are larger than 16 MiB, a directory has no such file, or the inventory
/// itself is wrong.
pub fn load_inventory(path: &Path, context: &Context) -> Result<Inventory, LoadError> {
    let paths = if path.is_dir() {
        list(path)?
    } else {
        vec![path.to_owned()]
    };
    if paths.is_empty() {
        return Err(LoadError::NoFiles(path.to_owned()));
    }
    let mut sources = Vec::new();
    let mut left = MAX_BYTES;
    for path in paths {
        let text = read_text(&path, left)?;
        left = left.saturating_sub(text.len() as u64);
        sources.push(Source {
            name: path.display().to_string(),
            base: path.parent().map(Path::to_owned).unwrap_or_default(),
            text,
        });
    }
    Ok(Inventory::read(&sources, context)?)
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = |source: io::Error| FileError::Read {
        path: directory.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_yaml && !is_hidden && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{LoadError, load_inventory};
    use crate::inventory::Context;

    fn context() -> Context {
        Context {
            home: Some("/home/op".into()),
            user: Some("op".to_owned()),
        }
    }

    fn write(directory: &Path, name: &str, text: &str) {
        std::fs::write(directory.join(name), text).expect("written");
    }

    #[test]
    fn a_directory_is_its_yaml_files_in_order_of_their_names() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path();
        write(path, "20.yml", "clearway: 1\nnodes: {b1: }\n");
        write(
            path,
            "10.yaml",
            "clearway: 1\nnodes: {a1: {control: {identity: keys/id}}}\n",
        );
        write(path, ".hidden.yaml", "broken: [\n");
        write(path, "20.yml~", "broken: [\n");
        write(path, "notes.txt", "broken: [\n");
        std::fs::create_dir(path.join("old.yaml")).expect("a subdirectory");
        let fleet = load_inventory(path, &context())
            .expect("a good inventory")
            .fleet;
        let names: Vec<&str> = fleet.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["a1", "b1"]);
        assert_eq!(fleet.nodes[0].control.identities, [path.join("keys/id")]);
    }

    #[test]
    fn messages_call_a_file_by_the_path_that_was_given() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        write(directory.path(), "lab.yaml", "clearway: 1\nnode: {}\n");
        let path = directory.path().join("lab.yaml");
        let error = load_inventory(&path, &context())
            .expect_err("an unknown key")
            .to_string();
        assert!(
            error.starts_with(&format!("{}:2:1: unknown key", path.display())),
            "{error}"
        );
    }

    #[test]
    fn nothing_to_load_is_an_error() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let error = load_inventory(directory.path(), &context()).expect_err("an empty directory");
        assert!(matches!(error, LoadError::NoFiles(_)));
        let missing = directory.path().join("missing");
        let error = load_inventory(&missing, &context()).expect_err("no such file");
        assert!(matches!(error, LoadError::File(_)));
    }

    #[test]
    fn all_files_together_are_bounded() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let half = format!("clearway: 1\n#{}\n", "x".repeat(9 << 20));
        write(directory.path(), "a.yaml", &half);
        write(directory.path(), "b.yaml", &half);
        let error = load_inventory(directory.path(), &context()).expect_err("18 MiB");
        assert!(
            matches!(error, LoadError::File(super::FileError::TooLarge { .. })),
            "{error}"
        );
    }
}
