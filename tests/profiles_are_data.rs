//! Profiles are data: no code depends on which one it is.
//!
//! A profile may be called like an account or a program, so its name alone may well occur in code. What must not occur
//! is a line that speaks of profiles and names one, or code beyond the inventory that looks at a profile's name.

use std::fs;
use std::path::{Path, PathBuf};

/// The only file that may name a profile: the table of those that are embedded.
const TABLE: &str = "src/inventory/embedded.rs";

/// Where profiles are put together and shown, and so their names are read.
const READERS: &str = "src/inventory";

/// Reading the name of a profile.
const NAME_OF: &[&str] = &["profile.name", "profile().name"];

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
    let names: Vec<String> = entries(&root.join("profiles"))
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert!(!names.is_empty(), "there are profiles");
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let table = files.iter().position(|file| file.ends_with(TABLE));
    files.swap_remove(table.expect("the table is one of the sources"));
    for file in files {
        let text = fs::read_to_string(&file).expect("sources are text");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines() {
            let place = file.display();
            let speaks = line.to_lowercase().contains("profile");
            for name in &names {
                let names_one = line.contains(&format!("\"{name}\""));
                assert!(!(speaks && names_one), "{place} names a profile: {line}");
            }
            let asks = NAME_OF.iter().any(|name| line.contains(name));
            let may = file.starts_with(root.join(READERS));
            assert!(may || !asks, "{place} looks at a profile's name: {line}");
        }
    }
}
