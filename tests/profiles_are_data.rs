//! Profiles are data: no code depends on which one it is.

use std::fs;
use std::path::{Path, PathBuf};

/// The only file that may name a profile: the table of those that are embedded.
const TABLE: &str = "src/inventory/embedded.rs";

fn names(root: &Path) -> Vec<String> {
    fs::read_dir(root.join("profiles"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn sources(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn no_code_names_a_profile() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = names(root);
    assert!(!names.is_empty());
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    assert!(files.iter().any(|file| file.ends_with(TABLE)));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let is_test =
            file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
        if is_test || file.ends_with(TABLE) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for name in &names {
            let literal = format!("\"{name}\"");
            assert!(!code.contains(&literal), "{} has {literal}", file.display());
        }
    }
}
