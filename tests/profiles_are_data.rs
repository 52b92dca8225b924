//! Profiles are data: no code depends on which one it is.

use std::fs;
use std::path::{Path, PathBuf};

/// The only file that may name a profile: the table of those that are embedded.
const TABLE: &str = "src/inventory/embedded.rs";

/// Where code that is only compiled for tests lies, beside `#[cfg(test)]` in the files themselves.
const FOR_TESTS: &[&str] = &["tests", "tests.rs", "fixtures.rs"];

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is part of the repository");
    entries
        .map(|entry| entry.expect("it can be listed").path())
        .collect()
}

fn sources(directory: &Path, into: &mut Vec<PathBuf>) {
    for path in entries(directory) {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| FOR_TESTS.contains(&name)) {
            continue;
        }
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
    let profiles = entries(&root.join("profiles"));
    assert!(!profiles.is_empty(), "there are profiles");
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let table = files.iter().position(|file| file.ends_with(TABLE));
    files.swap_remove(table.expect("the table is one of the sources"));
    for file in files {
        let text = fs::read_to_string(&file).expect("sources are text");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for profile in &profiles {
            let name = profile.file_stem().expect("a file has a name").display();
            let literal = format!("\"{name}\"");
            assert!(
                !code.contains(&literal),
                "{} names the profile {literal}",
                file.display()
            );
        }
    }
}
