//! Configuration files with what they include, in the order in which OpenSSH reads them.

use std::collections::HashSet;

use super::words::Directive;
use crate::openssh::pattern::match_pattern;

/// OpenSSH's own limit (READCONF_MAX_DEPTH, SERVCONF_MAX_DEPTH).
const DEEPEST: u32 = 16;

/// Files that include themselves several times over multiply with every level, long before the depth ends it.
const MOST_INCLUDED: u32 = 1000;

/// A setting, a condition, or an included file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// `Host` or `Match`, or any other keyword with its arguments.
    Directive(Directive),
    /// The lines of an included file: blocks opened in there end with it.
    Included(Vec<Item>),
    /// An `Include` that cannot be followed here, and why.
    Unknown(String),
}

/// Files by path.
pub(super) struct Files<'a> {
    files: Vec<(&'a str, String)>,
    /// Where relative patterns of `Include` start.
    base: String,
    /// What `~` means; `None` where OpenSSH does not expand it.
    home: Option<String>,
}

impl<'a> Files<'a> {
    pub(super) fn new(
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        base: &str,
        home: Option<&str>,
    ) -> Self {
        Self {
            files: files
                .into_iter()
                .map(|(path, bytes)| (path, String::from_utf8_lossy(bytes).into_owned()))
                .collect(),
            base: base.to_owned(),
            home: home.map(str::to_owned),
        }
    }

    /// The items of a file and of all that it includes. A file that is not there has none.
    pub(super) fn read(&self, path: &str) -> Vec<Item> {
        self.read_at(path, 0, &mut 0)
    }

    fn read_at(&self, path: &str, depth: u32, included: &mut u32) -> Vec<Item> {
        let Some((_, text)) = self.files.iter().find(|(known, _)| *known == path) else {
            return Vec::new();
        };
        let mut items = Vec::new();
        for directive in text.split('\n').filter_map(Directive::read) {
            if directive.keyword != "include" {
                items.push(Item::Directive(directive));
                continue;
            }
            for pattern in &directive.arguments {
                // Tokens and variables are not known here, and brackets are not understood.
                if pattern.contains(['%', '$', '[', '\\', '{']) {
                    items.push(Item::Unknown(format!("Include {pattern}")));
                    continue;
                }
                for path in self.matching(pattern) {
                    *included += 1;
                    if depth >= DEEPEST || *included > MOST_INCLUDED {
                        items.push(Item::Unknown(format!("Include {pattern}: too many")));
                        break;
                    }
                    items.push(Item::Included(self.read_at(path, depth + 1, included)));
                }
            }
        }
        items
    }

    /// The known files that a pattern of `Include` names, sorted as glob(3) sorts them. `*` does not match `/`.
    fn matching(&self, pattern: &str) -> Vec<&'a str> {
        let pattern = match (pattern.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => format!("{home}/{rest}"),
            _ if pattern.starts_with('/') => pattern.to_owned(),
            _ => format!("{}/{pattern}", self.base),
        };
        let segments: Vec<&str> = pattern.split('/').filter(|it| !it.is_empty()).collect();
        let mut seen = HashSet::new();
        let mut paths: Vec<&'a str> = self
            .files
            .iter()
            .map(|(path, _)| *path)
            .filter(|path| {
                let parts: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
                parts.len() == segments.len()
                    && parts.iter().zip(&segments).all(|(part, segment)| {
                        // A leading dot is matched only by a dot (glob(3)).
                        (!part.starts_with('.') || segment.starts_with('.'))
                            && match_pattern(part.as_bytes(), segment.as_bytes())
                    })
            })
            .filter(|path| seen.insert(*path))
            .collect();
        paths.sort_unstable();
        paths
    }
}
