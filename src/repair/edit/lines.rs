//! Removing, replacing and adding whole lines of a file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::repair::plan::{Piece, Text};

/// Changes of whole lines of one file. Lines are counted from 1 and end at `\n`, as OpenSSH reads them.
#[derive(Debug)]
pub(crate) struct LineEdits {
    bytes: Arc<[u8]>,
    /// Each line with its `\n`.
    spans: Arc<[Range<usize>]>,
    /// The new bytes of a line, its `\n` included; nothing where it is removed.
    changed: BTreeMap<usize, Vec<u8>>,
    /// What comes before a line.
    inserted: BTreeMap<usize, Vec<Piece>>,
    appended: Vec<Piece>,
}

impl LineEdits {
    /// No change yet.
    pub(crate) fn new(bytes: Arc<[u8]>) -> Self {
        let spans = Self::spans(&bytes);
        Self::with_spans(bytes, spans)
    }

    /// Where the lines of a file are, to be found once for many edits of the same bytes.
    pub(crate) fn spans(bytes: &[u8]) -> Arc<[Range<usize>]> {
        let mut spans = Vec::new();
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' {
                spans.push(start..at + 1);
                start = at + 1;
            }
        }
        if start < bytes.len() {
            spans.push(start..bytes.len());
        }
        spans.into()
    }

    /// The same as [`Self::new`], for bytes whose lines are known.
    pub(crate) fn with_spans(bytes: Arc<[u8]>, spans: Arc<[Range<usize>]>) -> Self {
        Self {
            bytes,
            spans,
            changed: BTreeMap::new(),
            inserted: BTreeMap::new(),
            appended: Vec::new(),
        }
    }

    /// How many lines the file has.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// A line as it is in the file, without its `\n`.
    pub(crate) fn line(&self, number: usize) -> &[u8] {
        let line = number
            .checked_sub(1)
            .and_then(|at| self.spans.get(at))
            .map_or(&[][..], |span| &self.bytes[span.clone()]);
        line.strip_suffix(b"\n").unwrap_or(line)
    }

    /// Takes a line away.
    pub(crate) fn remove(&mut self, number: usize) {
        self.changed.insert(number, Vec::new());
    }

    /// Puts other bytes in the place of a line; how it ends stays as it is.
    pub(crate) fn replace(&mut self, number: usize, mut with: Vec<u8>) {
        let span = number.checked_sub(1).and_then(|at| self.spans.get(at));
        if span.is_some_and(|span| self.bytes[span.clone()].ends_with(b"\n")) {
            with.push(b'\n');
        }
        self.changed.insert(number, with);
    }

    /// Puts whole lines before a line.
    pub(crate) fn insert_before(&mut self, number: usize, lines: impl IntoIterator<Item = Piece>) {
        self.inserted.entry(number).or_default().extend(lines);
    }

    /// Puts whole lines behind the last one. A last line that does not end is ended first.
    pub(crate) fn append(&mut self, lines: impl IntoIterator<Item = Piece>) {
        self.appended.extend(lines);
    }

    /// Whether anything changes at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.inserted.is_empty() && self.appended.is_empty()
    }

    /// The file with all changes.
    pub(crate) fn finish(self) -> Text {
        let mut pieces = Vec::with_capacity(self.appended.len() + 4);
        let last = self.spans.len();
        let mut ends = self.bytes.is_empty() || self.bytes.ends_with(b"\n");
        if self.changed.is_empty() && self.inserted.is_empty() {
            if !self.bytes.is_empty() {
                pieces.push(Piece::Bytes(Arc::clone(&self.bytes).into()));
            }
        } else {
            let mut kept: Option<Range<usize>> = None;
            let take = |kept: &mut Option<Range<usize>>, pieces: &mut Vec<Piece>| {
                if let Some(span) = kept.take() {
                    pieces.push(Piece::Bytes(self.bytes[span].into()));
                }
            };
            for (number, span) in (1..).zip(self.spans.iter()) {
                if let Some(lines) = self.inserted.get(&number) {
                    take(&mut kept, &mut pieces);
                    pieces.extend(lines.iter().cloned());
                }
                match self.changed.get(&number) {
                    None => match &mut kept {
                        Some(kept) => kept.end = span.end,
                        None => kept = Some(span.clone()),
                    },
                    Some(with) => {
                        take(&mut kept, &mut pieces);
                        if !with.is_empty() {
                            pieces.push(Piece::Bytes(with.clone().into()));
                        }
                        if number == last && with.is_empty() {
                            ends = true;
                        }
                    }
                }
            }
            take(&mut kept, &mut pieces);
        }
        if !self.appended.is_empty() {
            if !ends {
                pieces.push(Piece::Bytes(b"\n"[..].into()));
            }
            pieces.extend(self.appended);
        }
        Text(pieces)
    }
}
