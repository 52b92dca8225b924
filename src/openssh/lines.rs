//! Text files as OpenSSH reads them, with every byte kept.
//!
//! OpenSSH reads its line files with `getline(3)` and then treats each line as a C string. So a line ends at `\n`, a last line
//! without one still counts, and whatever follows a NUL byte inside a line is invisible to it.

use std::ops::Range;

/// The lines of one file, and the file itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Where each line starts and ends; the end excludes the `\n`.
    spans: Vec<Range<usize>>,
}

impl Lines {
    /// Splits a file; nothing is dropped or changed.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let mut spans = Vec::new();
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' {
                spans.push(start..at);
                start = at + 1;
            }
        }
        if start < bytes.len() {
            spans.push(start..bytes.len());
        }
        Self { bytes, spans }
    }

    /// The whole file, byte for byte as it was given.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether the file has no lines at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// All bytes of a line without its `\n`. Lines are counted from 1, as OpenSSH's messages do.
    #[must_use]
    pub fn raw(&self, number: usize) -> Option<&[u8]> {
        let span = self.spans.get(number.checked_sub(1)?)?;
        self.bytes.get(span.clone())
    }

    /// The part of each line that OpenSSH sees: without the `\n` and up to the first NUL.
    pub fn visible(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|span| {
            let line = &self.bytes[span.clone()];
            let end = line
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(line.len());
            &line[..end]
        })
    }
}

/// Whether OpenSSH's line parsers take this byte as a separator: only blank and tab, never `\r`.
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Drops the leading blanks and tabs.
pub(crate) fn skip_blanks(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !is_blank(*byte))
        .unwrap_or(text.len());
    &text[start..]
}

/// Splits at the first blank or tab; the rest still starts with it.
pub(crate) fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| is_blank(*byte))
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_last_line_without_newline_counts_and_a_nul_hides_the_rest() {
        let lines = Lines::new(b"one\n\ntw\0o\nthree".to_vec());
        assert_eq!(lines.len(), 4);
        assert_eq!(
            lines.visible().collect::<Vec<_>>(),
            [b"one" as &[u8], b"", b"tw", b"three"]
        );
        assert_eq!(lines.raw(3), Some(b"tw\0o" as &[u8]));
        assert_eq!(lines.raw(0), None);
        assert_eq!(lines.raw(5), None);
    }

    proptest! {
        #[test]
        fn the_lines_joined_are_the_file(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200)) {
            let lines = Lines::new(bytes.clone());
            prop_assert_eq!(lines.as_bytes(), &bytes[..]);
            let mut joined: Vec<u8> = Vec::new();
            for number in 1..=lines.len() {
                joined.extend(lines.raw(number).expect("numbered up to len"));
                joined.push(b'\n');
            }
            if bytes.last() != Some(&b'\n') {
                joined.pop();
            }
            prop_assert_eq!(joined, bytes);
        }
    }
}
