//! `ssh -G` and `sshd -T` as they are printed: one keyword and its value a line.

use std::collections::{BTreeMap, HashMap};

use crate::survey::Answer;

/// The settings that a program printed, by keyword in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings(HashMap<Box<str>, Vec<Box<str>>>);

impl Settings {
    /// Reads what the program answered; `None` if it failed.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        match answer {
            Answer::Output(content) => Some(Self::parse(&String::from_utf8_lossy(&content.bytes))),
            Answer::Failed { .. } => None,
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut settings: HashMap<Box<str>, Vec<Box<str>>> = HashMap::new();
        for line in text.lines() {
            let line = line.trim();
            let (keyword, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            if !keyword.is_empty() {
                settings
                    .entry(keyword.to_ascii_lowercase().into())
                    .or_default()
                    .push(value.trim_start().into());
            }
        }
        Self(settings)
    }

    /// The same with other values for some keywords, `None` for what OpenSSH has by default.
    pub(super) fn with(&self, changes: &BTreeMap<String, Option<Vec<String>>>) -> Self {
        let mut settings = self.0.clone();
        for (keyword, values) in changes {
            match values {
                None => settings.remove(keyword.as_str()),
                Some(values) => {
                    let values = values.iter().map(|value| value.as_str().into()).collect();
                    settings.insert(keyword.as_str().into(), values)
                }
            };
        }
        Self(settings)
    }

    /// The value of a keyword, the first if there are several.
    pub(super) fn first(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword)?.first().map(|value| &**value)
    }

    /// All values of a keyword, in order.
    pub(super) fn all(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.0
            .get(keyword)
            .into_iter()
            .flatten()
            .map(|value| &**value)
    }

    /// A keyword that is `yes` or `true`.
    pub(super) fn is_on(&self, keyword: &str) -> bool {
        matches!(self.first(keyword), Some("yes" | "true"))
    }

    /// A value that is set at all: there, not empty, and not `none`.
    pub(super) fn set(&self, keyword: &str) -> Option<&str> {
        self.first(keyword)
            .filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("none"))
    }
}
