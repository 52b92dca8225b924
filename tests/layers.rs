//! The import directions of ARCHITECTURE.md, read from the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every module of the crate, and the modules that it may use. Anything else is a wrong direction.
///
/// A new module is added here with what it may know; that is a decision about the structure and belongs in review.
const MAY_USE: &[(&str, &[&str])] = &[
    // 0: the words.
    ("domain", &[]),
    // 1: rules. Pure.
    ("frame", &[]),
    ("openssh", &["domain"]),
    ("openstack", &["domain"]),
    ("inventory", &["domain"]),
    ("survey", &["domain", "frame"]),
    ("proof", &["domain", "frame", "openssh"]),
    ("inquiry", &["domain", "frame", "openssh"]),
    ("trust", &["domain", "openssh", "survey"]),
    ("repair", &["domain", "frame", "openssh", "survey", "trust"]),
    ("report", &["domain", "inventory", "trust"]),
    ("moves", &["domain", "openssh", "openstack"]),
    // 2: adapters. The only I/O.
    ("system", &["domain"]),
    ("files", &["domain", "inventory", "openstack", "repair"]),
    ("remote", &["domain", "openssh"]),
    // OpenSSH's own ssh-keygen, which alone touches the authority's private key.
    ("signer", &["domain", "openssh", "repair", "system"]),
    ("nova", &["domain", "openstack", "system"]),
    ("ledger", &["domain", "repair", "report", "system"]),
    // 3: use cases. They emit events and never print.
    (
        "run",
        &[
            "domain",
            "frame",
            "openssh",
            "inventory",
            "survey",
            "proof",
            "inquiry",
            "trust",
            "repair",
            "report",
            "openstack",
            "moves",
            "system",
            "files",
            "remote",
            "signer",
            "nova",
            "ledger",
        ],
    ),
    // 4: the terminal. It never speaks SSH.
    (
        "cli",
        &[
            "domain",
            "inventory",
            "trust",
            "repair",
            "report",
            "openstack",
            "moves",
            "system",
            "files",
            "nova",
            "ledger",
            "run",
            "remote",
            "signer",
        ],
    ),
];

/// Modules that must stay pure, and what would make them impure.
const PURE: &[&str] = &[
    "domain",
    "frame",
    "openssh",
    "openstack",
    "inventory",
    "survey",
    "proof",
    "inquiry",
    "trust",
    "repair",
    "report",
    "moves",
];
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::env::",
    "std::thread::sleep",
    "tokio::",
    "SystemTime",
    "Instant",
    "async fn",
    "russh::",
    "reqwest::",
    "sqlx::",
    "Timestamp::now",
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn module_of(path: &Path) -> String {
    let relative = path
        .strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
        .expect("inside src");
    let first = relative.components().next().expect("not empty");
    let name = first.as_os_str().to_string_lossy();
    name.trim_end_matches(".rs").to_owned()
}

/// The code without comments, and without the items that `#[cfg(test)]` marks: tests may do what rules may not.
///
/// As rustfmt lays it out: an item ends with the first line of its own indentation that ends with `;` or `}`.
fn code(text: &str) -> String {
    let mut kept = Vec::new();
    let mut marked: Option<usize> = None;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim_end();
        let indentation = line.len() - line.trim_start().len();
        match marked {
            Some(of_item) => {
                let ends = indentation == of_item && line.ends_with([';', '}']);
                marked = marked.filter(|_| !ends);
            }
            None if line.trim_start() == "#[cfg(test)]" => marked = Some(indentation),
            None => kept.push(line),
        }
    }
    kept.join("\n")
}

fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
        || path.components().any(|c| c.as_os_str() == "tests")
}

/// The crate modules that a piece of code names: `crate::x`, also inside `use crate::{x, y::z}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let heads = if let Some(list) = after.strip_prefix('{') {
            let mut depth = 1;
            let end = list.find(|c| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            let mut depth = 0;
            list[..end.unwrap_or(list.len())]
                .split(|c| {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    c == ',' && depth == 0
                })
                .map(|item| item.trim().to_owned())
                .collect()
        } else {
            vec![after.to_owned()]
        };
        for head in heads {
            let name: String = head
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            if !name.is_empty() {
                found.insert(name);
            }
        }
    }
    found
}

#[test]
fn every_import_goes_down() {
    let allowed: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for path in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let module = module_of(&path);
        if module == "lib" || module == "main" || is_test_file(&path) {
            continue;
        }
        let Some(may) = allowed.get(module.as_str()) else {
            wrong.push(format!("{module} is not in the table of tests/layers.rs"));
            continue;
        };
        let text = fs::read_to_string(&path).expect("readable");
        for used in named(&code(&text)) {
            if used != module
                && allowed.contains_key(used.as_str())
                && !may.contains(&used.as_str())
            {
                wrong.push(format!("{}: {module} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "wrong directions:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_itself_has_no_way_back() {
    for (i, (module, may)) in MAY_USE.iter().enumerate() {
        for used in *may {
            let below = MAY_USE[..i].iter().any(|(name, _)| name == used)
                || (*module == "cli" && *used == "run");
            assert!(
                below,
                "{module} may use {used}, which does not stand above it in the table"
            );
        }
    }
}

#[test]
fn rules_do_no_io_and_read_no_clock() {
    let mut wrong = Vec::new();
    for path in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        if !PURE.contains(&module_of(&path).as_str()) || is_test_file(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        for word in IMPURE {
            if code(&text).contains(word) {
                wrong.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "rules that are not pure:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn mod_files_only_declare_and_re_export() {
    let mut wrong = Vec::new();
    for path in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        if path.file_name().is_none_or(|name| name != "mod.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        if code(&text).contains("fn ") {
            wrong.push(path.display().to_string());
        }
    }
    assert!(
        wrong.is_empty(),
        "mod.rs with code in it:\n{}",
        wrong.join("\n")
    );
}

#[cfg(test)]
mod reader {
    use super::*;

    #[test]
    fn imports_are_found_in_every_form() {
        let found = named(
            "use crate::domain::Lane; use crate::{openssh::{key, pattern}, remote}; let x = crate::trust::f();",
        );
        let expected: BTreeSet<_> = ["domain", "openssh", "remote", "trust"]
            .map(str::to_owned)
            .into();
        assert_eq!(found, expected);
    }

    #[test]
    fn only_the_item_that_is_for_tests_is_left_out() {
        let text = "\
use a::b; // why
#[cfg(test)]
mod tests;
pub fn used() {}
#[cfg(test)]
use c::{
    d,
};
impl Used {
    #[cfg(test)]
    #[expect(
        dead_code,
    )]
    fn in_tests() {
        call();
    }

    fn always() {}
}
#[cfg(test)]
mod inside {
    fn claim() {}
}
const LAST: u8 = 1;
";
        let kept = "\
use a::b;
pub fn used() {}
impl Used {

    fn always() {}
}
const LAST: u8 = 1;";
        assert_eq!(code(text), kept);
    }

    #[test]
    fn nothing_but_tests_is_left_out_of_the_sources() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/openssh/messages.rs");
        let text = fs::read_to_string(path).expect("readable");
        assert!(code(&text).contains("pub fn explain("), "{path}");
    }
}
