//! The text of options before it means anything: flags, quoted values, and where the options of a line end
//! (`opt_flag`, `opt_match`, `opt_dequote` of `misc.c`; `sshkey_advance_past_options` of `authfile.c`).

use super::options::BadOption;
use crate::openssh::lines::is_blank;

/// Where the options at the start of a line end: at the first blank outside quotes. `None` if a quote never closes.
pub(super) fn end_of_options(text: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if !quoted && is_blank(*byte) {
            break;
        }
        if *byte == b'\\' && text.get(at + 1) == Some(&b'"') {
            at += 1;
        } else if *byte == b'"' {
            quoted = !quoted;
        }
        at += 1;
    }
    (!quoted).then_some(at)
}

/// Takes the options of a line apart from left to right.
pub(super) struct OptionText<'a> {
    rest: &'a [u8],
}

impl<'a> OptionText<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// Whether another option begins here.
    pub(super) fn has_option(&self) -> bool {
        self.rest.first().is_some_and(|byte| !is_blank(*byte))
    }

    fn take(&mut self, word: &str) -> bool {
        match self.rest.get(..word.len()) {
            Some(head) if head.eq_ignore_ascii_case(word.as_bytes()) => {
                self.rest = &self.rest[word.len()..];
                true
            }
            _ => false,
        }
    }

    /// A flag that cannot be negated.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.take(name)
    }

    /// A flag that `no-` negates.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        let before = self.rest;
        let negated = self.take("no-");
        if self.take(name) {
            Some(!negated)
        } else {
            self.rest = before;
            None
        }
    }

    /// A name that a value follows.
    pub(super) fn name(&mut self, name: &str) -> bool {
        let before = self.rest;
        if self.take(name) && self.take("=") {
            true
        } else {
            self.rest = before;
            false
        }
    }

    /// A value in double quotes; `\"` stands for a quote, any other backslash for itself.
    pub(super) fn value(&mut self) -> Result<Vec<u8>, BadOption> {
        let text = self
            .rest
            .strip_prefix(b"\"")
            .ok_or(BadOption::MissingStartQuote)?;
        let mut value = Vec::new();
        let mut at = 0;
        loop {
            match text.get(at) {
                None => return Err(BadOption::MissingEndQuote),
                Some(b'"') => break,
                Some(b'\\') if text.get(at + 1) == Some(&b'"') => {
                    value.push(b'"');
                    at += 2;
                }
                Some(byte) => {
                    value.push(*byte);
                    at += 1;
                }
            }
        }
        self.rest = &text[at + 1..];
        Ok(value)
    }

    /// Goes over the comma behind an option; the answer is whether the options go on.
    pub(super) fn next_option(&mut self) -> Result<bool, BadOption> {
        match self.rest.split_first() {
            None => Ok(false),
            Some((byte, _)) if is_blank(*byte) => Ok(false),
            Some((b',', [])) => Err(BadOption::UnexpectedEnd),
            Some((b',', rest)) => {
                self.rest = rest;
                Ok(true)
            }
            Some(_) => Err(BadOption::Unknown(
                String::from_utf8_lossy(self.word()).into_owned(),
            )),
        }
    }

    fn word(&self) -> &'a [u8] {
        let end = self
            .rest
            .iter()
            .position(|byte| is_blank(*byte) || *byte == b',')
            .unwrap_or(self.rest.len());
        &self.rest[..end]
    }
}
