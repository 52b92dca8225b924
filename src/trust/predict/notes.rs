//! One set of rules for both questions: what the verdict is, and why.
//!
//! A rule mentions what it found; whether anything is made of that is up to who asked. For a hundred million verdicts nothing is.

use crate::domain::{Evidence, Placeholders};

/// Takes down what a rule found.
pub(super) trait Notes {
    /// Something that was observed.
    fn add(&mut self, evidence: impl FnOnce() -> Evidence);

    /// A value for the remedy's placeholder.
    fn value(&mut self, key: &'static str, value: impl FnOnce() -> String);
}

/// Takes nothing down.
pub(super) struct Silent;

impl Notes for Silent {
    fn add(&mut self, _evidence: impl FnOnce() -> Evidence) {}

    fn value(&mut self, _key: &'static str, _value: impl FnOnce() -> String) {}
}

/// Takes everything down, up to a limit.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) evidence: Vec<Evidence>,
    pub(super) values: Placeholders,
}

impl Notes for Written {
    fn add(&mut self, evidence: impl FnOnce() -> Evidence) {
        /// More than any reader reads; a hostile file could give thousands.
        const MOST: usize = 32;
        if self.evidence.len() < MOST {
            let evidence = evidence();
            if !self.evidence.contains(&evidence) {
                self.evidence.push(evidence);
            }
        }
    }

    fn value(&mut self, key: &'static str, value: impl FnOnce() -> String) {
        self.values = std::mem::take(&mut self.values).with(key, value());
    }
}
