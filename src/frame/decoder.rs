//! The reading half: bytes in, records or a typed error out.

use std::collections::VecDeque;
use std::ops::Range;

use thiserror::Error;

use super::nonce::Nonce;

/// How much a node may answer. Each limit is the largest value that is still accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole stream.
    pub bytes: usize,
    /// Bytes before the begin line.
    pub noise: usize,
    /// Records, spans included.
    pub records: usize,
    /// Fields of one record.
    pub fields: usize,
    /// Bytes of one field.
    pub field: usize,
}

impl Default for Limits {
    /// 8 MiB in 20,000 records of up to 64 fields with up to 1 MiB each, after up to 64 KiB of noise.
    fn default() -> Self {
        Self {
            bytes: 8 << 20,
            noise: 64 << 10,
            records: 20_000,
            fields: 64,
            field: 1 << 20,
        }
    }
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Lower-case letters, digits and `-`.
    pub kind: String,
    /// Its fields, any bytes.
    pub fields: Vec<Vec<u8>>,
    /// The raw bytes behind it, when it is a span.
    pub span: Option<Vec<u8>>,
    /// Where it starts in the stream.
    pub at: usize,
}

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The stream ended before the begin line: the program never ran, or something refused to run it.
    #[error("the answer holds {noise} bytes and no begin line")]
    NoBegin {
        /// Bytes that came instead.
        noise: usize,
    },
    /// The stream ended before the end record.
    #[error("the answer breaks off after {at} bytes, before its end record")]
    Truncated {
        /// Bytes that came.
        at: usize,
    },
    /// The stream breaks the form.
    #[error("byte {at} of the answer: {what}")]
    Garbage {
        /// Where in the stream.
        at: usize,
        /// What is wrong there.
        what: Garbage,
    },
    /// The stream passes one of the [`Limits`].
    #[error("the answer passes the limit of {limit} {what}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much is accepted.
        limit: usize,
    },
    /// Records are missing or were added.
    #[error("the end record counts {claimed} records, but {seen} came")]
    Count {
        /// What the end record says.
        claimed: usize,
        /// What came.
        seen: usize,
    },
}

/// How a stream breaks the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Garbage {
    /// A line that does not start with the nonce.
    #[error("this is no record of this program")]
    NotARecord,
    /// The begin line once more.
    #[error("a second begin line")]
    SecondBegin,
    /// A kind that is empty, longer than 32 bytes, or holds other characters.
    #[error("this is no kind of record")]
    BadKind,
    /// A length that is no decimal number, or nothing behind it.
    #[error("this is no field length")]
    BadLength,
    /// Something else than a space or a newline behind a field.
    #[error("the field does not end where its length says")]
    BadField,
    /// An end record without a number.
    #[error("this is no count of records")]
    BadCount,
    /// A close line without a span.
    #[error("nothing was opened that could be closed here")]
    NotOpen,
}

/// Reads a whole answer.
///
/// # Errors
/// See [`FrameError`].
pub fn decode(bytes: &[u8], nonce: &Nonce, limits: Limits) -> Result<Vec<Record>, FrameError> {
    let mut decoder = Decoder::new(nonce, limits);
    decoder.push(bytes)?;
    decoder.finish()?;
    Ok(decoder.ready.into())
}

/// Reads an answer piece by piece.
///
/// After an error it stays at it: nothing that comes later is believed. Records that were complete before it can
/// still be taken.
#[derive(Debug)]
pub struct Decoder {
    nonce: Vec<u8>,
    limits: Limits,
    buffer: Vec<u8>,
    /// Bytes of the stream that were dropped from the front of `buffer`.
    base: usize,
    /// What of `buffer` was read.
    position: usize,
    /// Length that `buffer` must have before it is worth looking again: a node that sends byte by byte must not
    /// make every byte cost a look at all before it.
    wanted: usize,
    state: State,
    seen: usize,
    ready: VecDeque<Record>,
    noise: Vec<u8>,
    failed: Option<FrameError>,
}

#[derive(Debug)]
enum State {
    Noise,
    Records,
    /// Inside a span; the number of bytes of it that hold no close line.
    Span(Record, usize),
    Ended,
}

/// What to do next after a step.
enum Step {
    Again,
    NeedMore,
}

impl Decoder {
    /// A decoder for the program that was given `nonce`.
    #[must_use]
    pub fn new(nonce: &Nonce, limits: Limits) -> Self {
        Self {
            nonce: nonce.as_str().as_bytes().to_vec(),
            limits,
            buffer: Vec::new(),
            base: 0,
            position: 0,
            wanted: 0,
            state: State::Noise,
            seen: 0,
            ready: VecDeque::new(),
            noise: Vec::new(),
            failed: None,
        }
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// See [`FrameError`]; the same one again on every later call.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = self.take(bytes);
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
        }
        outcome
    }

    /// The next complete record, in order.
    pub fn next_record(&mut self) -> Option<Record> {
        self.ready.pop_front()
    }

    /// Whether the end record came.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// What came before the begin line, or all that came when there is none.
    #[must_use]
    pub fn noise(&self) -> &[u8] {
        match self.state {
            State::Noise => &self.buffer,
            _ => &self.noise,
        }
    }

    /// Says that the stream has ended.
    ///
    /// # Errors
    /// [`FrameError::NoBegin`] or [`FrameError::Truncated`] when it ended too early, or the error from before.
    pub fn finish(&self) -> Result<(), FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let came = self.base + self.buffer.len();
        match self.state {
            State::Ended => Ok(()),
            State::Noise => Err(FrameError::NoBegin { noise: came }),
            State::Records | State::Span(..) => Err(FrameError::Truncated { at: came }),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        if self.base + self.buffer.len() + bytes.len() > self.limits.bytes {
            return Err(self.too_much("bytes", self.limits.bytes));
        }
        if self.ended() {
            self.base += bytes.len();
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < self.wanted {
            return Ok(());
        }
        self.wanted = 0;
        loop {
            let step = match std::mem::replace(&mut self.state, State::Ended) {
                State::Noise => self.skip_noise(),
                State::Records => self.read_record(),
                State::Span(record, searched) => self.read_span(record, searched),
                State::Ended => Ok(Step::NeedMore),
            };
            match step? {
                Step::Again => {}
                Step::NeedMore => break,
            }
        }
        if !matches!(self.state, State::Noise) {
            self.base += self.position;
            self.buffer.drain(..self.position);
            self.wanted = self.wanted.saturating_sub(self.position);
            self.position = 0;
        }
        Ok(())
    }

    /// Looks for the begin line, alone on its line.
    fn skip_noise(&mut self) -> Result<Step, FrameError> {
        self.state = State::Noise;
        let begin = [b"clearway/1 ", self.nonce.as_slice(), b"\n"].concat();
        // `position` is the start of the first line that was not complete the last time.
        loop {
            let rest = &self.buffer[self.position..];
            let Some(end) = rest.iter().position(|&b| b == b'\n') else {
                if self.buffer.len() > self.limits.noise + begin.len() {
                    return Err(self.too_much("bytes before the begin line", self.limits.noise));
                }
                return Ok(Step::NeedMore);
            };
            let line_is_begin = rest[..=end] == begin[..];
            if line_is_begin {
                self.noise = self.buffer[..self.position].to_vec();
            }
            if self.position > self.limits.noise {
                return Err(self.too_much("bytes before the begin line", self.limits.noise));
            }
            self.position += end + 1;
            if line_is_begin {
                self.state = State::Records;
                return Ok(Step::Again);
            }
        }
    }

    fn read_record(&mut self) -> Result<Step, FrameError> {
        self.state = State::Records;
        let mut cursor = Cursor {
            bytes: &self.buffer,
            position: self.position,
            base: self.base,
            wanted: 0,
        };
        let Some(line) = Line::read(&mut cursor, &self.nonce, self.limits)? else {
            self.wanted = cursor.wanted;
            return Ok(Step::NeedMore);
        };
        let at = self.base + self.position;
        self.position = cursor.position;
        match line {
            Line::End(claimed) if claimed == self.seen => {
                self.state = State::Ended;
                self.position = self.buffer.len();
                Ok(Step::NeedMore)
            }
            Line::End(claimed) => Err(FrameError::Count {
                claimed,
                seen: self.seen,
            }),
            Line::Record {
                kind,
                fields,
                opens,
            } => {
                self.seen += 1;
                if self.seen > self.limits.records {
                    return Err(self.too_much("records", self.limits.records));
                }
                let record = Record {
                    kind,
                    fields,
                    span: None,
                    at,
                };
                if opens {
                    self.state = State::Span(record, 0);
                } else {
                    self.ready.push_back(record);
                }
                Ok(Step::Again)
            }
        }
    }

    fn read_span(&mut self, mut record: Record, searched: usize) -> Result<Step, FrameError> {
        let close = [b"\n", self.nonce.as_slice(), b" >\n"].concat();
        let raw = &self.buffer[self.position..];
        let mut from = searched;
        while let Some(newline) = raw[from..].iter().position(|&b| b == b'\n') {
            let here = &raw[from + newline..];
            if here.starts_with(&close) {
                record.span = Some(raw[..from + newline].to_vec());
                self.ready.push_back(record);
                self.position += from + newline + close.len();
                self.state = State::Records;
                return Ok(Step::Again);
            }
            if close.starts_with(here) {
                // The close line may be coming.
                from += newline;
                break;
            }
            from += newline + 1;
        }
        if !raw[from..].contains(&b'\n') {
            from = raw.len();
        }
        self.state = State::Span(record, from);
        Ok(Step::NeedMore)
    }

    fn too_much(&self, what: &'static str, limit: usize) -> FrameError {
        FrameError::TooMuch { what, limit }
    }
}

/// A place in the bytes that are there. Its methods answer `None` when more must come, and `wanted` is then how
/// many bytes there must be, when that is known.
struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
    base: usize,
    wanted: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.position..]
    }

    fn garbage(&self, what: Garbage) -> FrameError {
        FrameError::Garbage {
            at: self.base + self.position,
            what,
        }
    }

    /// Goes behind `expected`; `None` when that much has not come yet.
    fn expect(&mut self, expected: &[u8], what: Garbage) -> Result<Option<()>, FrameError> {
        let rest = self.rest();
        if rest.starts_with(expected) {
            self.position += expected.len();
            Ok(Some(()))
        } else if expected.starts_with(rest) {
            Ok(None)
        } else {
            Err(self.garbage(what))
        }
    }

    /// A decimal number of up to nine digits without leading zeros, and the byte behind it.
    fn number(&mut self, what: Garbage) -> Result<Option<(usize, u8)>, FrameError> {
        let rest = self.rest();
        let digits = rest
            .iter()
            .take(10)
            .take_while(|b| b.is_ascii_digit())
            .count();
        let leading_zero = digits > 1 && rest[0] == b'0';
        if digits > 9 || leading_zero || (digits == 0 && !rest.is_empty()) {
            return Err(self.garbage(what));
        }
        let Some(&behind) = rest.get(digits) else {
            return Ok(None);
        };
        let value = rest[..digits]
            .iter()
            .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        self.position += digits + 1;
        Ok(Some((value, behind)))
    }
}

/// A line of the stream after the begin line.
enum Line {
    Record {
        kind: String,
        fields: Vec<Vec<u8>>,
        opens: bool,
    },
    End(usize),
}

const KIND_MAX: usize = 32;

impl Line {
    fn read(
        cursor: &mut Cursor<'_>,
        nonce: &[u8],
        limits: Limits,
    ) -> Result<Option<Self>, FrameError> {
        let begin = [b"clearway/1 ", nonce, b"\n"].concat();
        if cursor.rest().starts_with(&begin) {
            return Err(cursor.garbage(Garbage::SecondBegin));
        }
        if begin.starts_with(cursor.rest()) {
            return Ok(None);
        }
        let prefix = [nonce, b" "].concat();
        if cursor.expect(&prefix, Garbage::NotARecord)?.is_none() {
            return Ok(None);
        }
        let Some(kind) = Self::read_kind(cursor)? else {
            return Ok(None);
        };
        let mut behind = cursor.bytes[cursor.position - 1];
        if kind == "end" {
            if behind != b' ' {
                return Err(cursor.garbage(Garbage::BadCount));
            }
            return match cursor.number(Garbage::BadCount)? {
                Some((count, b'\n')) => Ok(Some(Self::End(count))),
                Some(_) => Err(cursor.garbage(Garbage::BadCount)),
                None => Ok(None),
            };
        }
        let mut fields: Vec<Range<usize>> = Vec::new();
        let values = |cursor: &Cursor<'_>, fields: Vec<Range<usize>>| {
            fields
                .into_iter()
                .map(|range| cursor.bytes[range].to_vec())
                .collect()
        };
        while behind == b' ' {
            if cursor.rest().first() == Some(&b'<') {
                let closed = cursor.expect(b"<\n", Garbage::BadField)?;
                return Ok(closed.map(|()| Self::Record {
                    kind,
                    fields: values(cursor, fields),
                    opens: true,
                }));
            }
            if fields.len() == limits.fields {
                return Err(FrameError::TooMuch {
                    what: "fields in a record",
                    limit: limits.fields,
                });
            }
            let Some((length, colon)) = cursor.number(Garbage::BadLength)? else {
                return Ok(None);
            };
            if colon != b':' {
                return Err(cursor.garbage(Garbage::BadLength));
            }
            if length > limits.field {
                return Err(FrameError::TooMuch {
                    what: "bytes in a field",
                    limit: limits.field,
                });
            }
            let value = cursor.position..cursor.position + length;
            let Some(&next) = cursor.bytes.get(value.end) else {
                cursor.wanted = value.end + 1;
                return Ok(None);
            };
            cursor.position = value.end;
            if next != b' ' && next != b'\n' {
                return Err(cursor.garbage(Garbage::BadField));
            }
            fields.push(value);
            behind = next;
            cursor.position += 1;
        }
        Ok(Some(Self::Record {
            kind,
            fields: values(cursor, fields),
            opens: false,
        }))
    }

    /// The kind; the cursor is then behind the space or newline that ends it.
    fn read_kind(cursor: &mut Cursor<'_>) -> Result<Option<String>, FrameError> {
        let rest = cursor.rest();
        if rest.first() == Some(&b'>') {
            return Err(cursor.garbage(Garbage::NotOpen));
        }
        let length = rest
            .iter()
            .take(KIND_MAX + 1)
            .take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || **b == b'-')
            .count();
        if length > KIND_MAX {
            return Err(cursor.garbage(Garbage::BadKind));
        }
        match rest.get(length) {
            None => Ok(None),
            Some(b' ' | b'\n') if length > 0 => {
                let kind = String::from_utf8_lossy(&rest[..length]).into_owned();
                cursor.position += length + 1;
                Ok(Some(kind))
            }
            Some(_) => Err(cursor.garbage(Garbage::BadKind)),
        }
    }
}
