//! What a program answers.

use std::fmt;

use thiserror::Error;

use super::obstacle::{Obstacle, Refusal};
use super::program::{Operation, Program};
use crate::frame::{FrameError, Limits, Record, decode};

/// Most bytes of a changed file that are shown.
const CONTENT: usize = 64 << 10;

/// Why an answer says nothing. What the program did can only be told by looking again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// It is not in the form of an answer.
    #[error("the answer of the repair program breaks its form")]
    Frame(#[from] FrameError),
    /// A record that the program does not write, or not there.
    #[error("the answer of the repair program has an unexpected record `{0}`")]
    Unexpected(String),
    /// Something that it has not been asked about.
    #[error("the answer of the repair program speaks of edit {0}, which it was not given")]
    Number(String),
    /// A context that could not be entered, or whose program did not come to its end.
    #[error("in context {context}, the repair program ended with status {status}: {said}")]
    Context {
        /// The words that enter it, or `the host`.
        context: String,
        /// Exit status of the shell there.
        status: String,
        /// What it complained of.
        said: String,
    },
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Why nothing was done at all.
    pub locked: Option<Lock>,
    /// What was said of each edit and key, in order.
    pub said: Vec<Said>,
}

/// Why the node could not be locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// Another clearway is at work there; who, as that one says.
    Held(String),
    /// There is no flock(1), or the lock file cannot be written; in words.
    Impossible(String),
}

/// What is said of one edit or key. Numbers are places in the node's part of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The edit was made.
    Wrote(usize),
    /// It is already as it should be, by this run (`true`) or without; nothing was written.
    Same(usize, bool),
    /// It was not made, and nor was any other of this node.
    Refused(usize, Refusal),
    /// What had been done by then is being taken back; what follows is about that.
    TakingBack,
    /// The edit was undone, or was not made by this run (`false`).
    Back(usize, bool),
    /// The file that was refused for having changed, cut off after 64 KiB.
    Content(usize, Vec<u8>),
    /// A key exists now; what it answers as its public half.
    Key(usize, Vec<u8>),
    /// The key was removed, or was not made by this run (`false`).
    Unmade(usize, bool),
    /// What an edit was found as.
    Seen(usize, Sighting),
    /// What a key was found as: whether this run has made it, and its public half.
    KeySeen {
        /// Its number.
        key: usize,
        /// Whether there is the mark of this run.
        ours: bool,
        /// The public half of what is there; empty if nothing or nothing readable is.
        public: Vec<u8>,
    },
    /// The private half of a key that others are to have.
    Secret(usize, Private),
    /// A command was run.
    Ran(usize),
    /// The command that takes it back was run.
    Unran(usize),
    /// A backup was removed.
    Forgot(usize),
}

/// A private key on its way. Not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Private(pub Vec<u8>);

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(..)")
    }
}

/// What an edit was found as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Which state it is in.
    pub standing: Standing,
    /// Whether there is a backup or mark of this run.
    pub marked: bool,
}

/// Which state a place is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// As before the run.
    Before,
    /// As the run wants it.
    After,
    /// Neither.
    Other,
}

impl Answer {
    /// The refusals that came before anything was taken back.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.said
            .iter()
            .take_while(|it| **it != Said::TakingBack)
            .filter_map(Said::refusal)
    }

    /// Refusals while an apply was being taken back: files that stay as they are although the rest of the node's were
    /// put back.
    pub fn stuck(&self) -> impl Iterator<Item = &Refusal> {
        self.said
            .iter()
            .skip_while(|it| **it != Said::TakingBack)
            .filter_map(Said::refusal)
    }

    /// Numbers of the edits that this run has written, now or before.
    pub fn written(&self) -> impl Iterator<Item = usize> {
        self.said.iter().filter_map(|it| match it {
            Said::Wrote(edit) | Said::Same(edit, true) => Some(*edit),
            _ => None,
        })
    }
}

impl Said {
    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(_, refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl Program {
    /// Reads the answer.
    ///
    /// What a context says counts only for the edits and keys of that context.
    ///
    /// # Errors
    /// The answer is not whole, or not one that the program writes: see [`AnswerError`].
    pub fn read(&self, bytes: &[u8]) -> Result<Answer, AnswerError> {
        let size: usize = self
            .parts
            .iter()
            .map(|it| it.edits.len() + it.keys.len())
            .sum();
        let limits = Limits {
            bytes: (1 << 20) + size * (CONTENT + 4096),
            ..Limits::default()
        };
        let mut answer = Answer::default();
        let mut records = decode(bytes, &self.nonce, limits)?.into_iter();
        let mut failed = None;
        let mut done = 0;
        while let Some(record) = records.next() {
            let fields: Vec<&[u8]> = record.fields.iter().map(Vec::as_slice).collect();
            match (record.kind.as_str(), fields.as_slice(), &record.span) {
                ("locked", [b"held", holder], None) => {
                    answer.locked = Some(Lock::Held(text(holder)));
                }
                ("locked", [_, what], None) => {
                    answer.locked = Some(Lock::Impossible(text(what)));
                }
                ("part", [number, does], Some(span)) => {
                    let (number, does) = (text(number), text(does));
                    let part = number.parse().ok().filter(|&it| it < self.parts.len());
                    let expected = if does == "back" {
                        failed.is_some()
                    } else {
                        part == Some(done)
                    };
                    let Some(part) = part.filter(|_| expected) else {
                        return Err(AnswerError::Unexpected(format!("part {number} {does}")));
                    };
                    if does == "back" {
                        answer.said.push(Said::TakingBack);
                    }
                    done += 1;
                    let status = left(&mut records, &number)?;
                    match self.read_part(part, &does, span, limits) {
                        Ok(said) => answer.said.extend(said),
                        Err(error) => return Err(self.not_told(part, status, error)),
                    }
                    if status.0 != "0" {
                        failed = Some(part);
                    }
                }
                _ => return Err(AnswerError::Unexpected(record.kind)),
            }
        }
        let all =
            done >= self.parts.len() || failed.is_some() && self.operation == Operation::Apply;
        if answer.locked.is_none() && !all {
            return Err(AnswerError::Unexpected("end".to_owned()));
        }
        Ok(answer)
    }

    fn read_part(
        &self,
        part: usize,
        does: &str,
        span: &[u8],
        limits: Limits,
    ) -> Result<Vec<Said>, AnswerError> {
        let records = decode(span, &self.part_nonce(part, does), limits)?;
        records
            .into_iter()
            .map(|record| self.said(part, record))
            .collect()
    }

    fn said(&self, part: usize, record: Record) -> Result<Said, AnswerError> {
        let fields: Vec<&[u8]> = record.fields.iter().map(Vec::as_slice).collect();
        let edit = |number: &[u8]| {
            let number = text(number);
            let known = |&it: &usize| {
                self.parts[part]
                    .edits
                    .iter()
                    .any(|edit| !edit.implied && edit.number == it)
            };
            number
                .parse()
                .ok()
                .filter(known)
                .ok_or(AnswerError::Number(number))
        };
        let key = |number: &[u8]| {
            let number = text(number);
            let known = |&it: &usize| self.parts[part].keys.iter().any(|key| key.number == it);
            number
                .parse()
                .ok()
                .filter(known)
                .ok_or(AnswerError::Number(number))
        };
        let command = |number: &[u8]| {
            let number = text(number);
            let commands = &self.parts[part].commands;
            let known = |&it: &usize| commands.iter().any(|command| command.number == it);
            let found = number.parse().ok().filter(known);
            found.ok_or(AnswerError::Number(number))
        };
        Ok(
            match (record.kind.as_str(), fields.as_slice(), record.span) {
                ("wrote", [number], None) => Said::Wrote(edit(number)?),
                ("same", [number, whose], None) => Said::Same(edit(number)?, *whose == b"ours"),
                ("taking-back", [], None) => Said::TakingBack,
                ("back", [number, how], None) => Said::Back(edit(number)?, *how != b"not-ours"),
                ("content", [number], Some(bytes)) => {
                    let mut bytes = bytes;
                    bytes.truncate(CONTENT);
                    Said::Content(edit(number)?, bytes)
                }
                ("key", [number, _, public], None) => Said::Key(key(number)?, public.to_vec()),
                ("unmade", [number, how], None) => Said::Unmade(key(number)?, *how == b"removed"),
                ("seen", [number, standing, mark, _], None) => {
                    let standing = match *standing {
                        b"before" => Standing::Before,
                        b"after" => Standing::After,
                        _ => Standing::Other,
                    };
                    Said::Seen(
                        edit(number)?,
                        Sighting {
                            standing,
                            marked: *mark == b"yes",
                        },
                    )
                }
                ("key-seen", [number, mark, _, public], None) => Said::KeySeen {
                    key: key(number)?,
                    ours: *mark == b"yes",
                    public: public.to_vec(),
                },
                ("secret", [number], Some(bytes)) if self.operation == Operation::Fetch => {
                    Said::Secret(key(number)?, Private(bytes))
                }
                ("ran", [number], None) => Said::Ran(command(number)?),
                ("unran", [number], None) => Said::Unran(command(number)?),
                ("forgot", [number], None) => Said::Forgot(edit(number)?),
                ("refused", [number, what, detail], None) => {
                    let obstacle = Obstacle::from_code(&text(what))
                        .ok_or_else(|| AnswerError::Unexpected(text(what)))?;
                    let wanted = text(number);
                    let (number, path) = self
                        .refused(part, &wanted)
                        .ok_or(AnswerError::Number(wanted))?;
                    Said::Refused(
                        number,
                        Refusal {
                            path,
                            obstacle,
                            detail: text(detail),
                        },
                    )
                }
                _ => return Err(AnswerError::Unexpected(record.kind)),
            },
        )
    }

    /// What a refusal speaks of, and its number: keys, commands and edits are numbered apart, and it says by a letter of
    /// which it is.
    fn refused(&self, part: usize, wanted: &str) -> Option<(usize, String)> {
        let part = &self.parts[part];
        let letter = wanted.trim_end_matches(|c: char| c.is_ascii_digit());
        let number: usize = wanted[letter.len()..].parse().ok()?;
        let path = match letter {
            "k" => part
                .keys
                .iter()
                .find(|it| it.number == number)?
                .target
                .path
                .clone(),
            "c" => part
                .commands
                .iter()
                .find(|it| it.number == number)?
                .words
                .join(" "),
            "" | "i" => {
                let implied = letter == "i";
                let mut edits = part.edits.iter();
                let edit = edits.find(|it| it.implied == implied && it.number == number)?;
                edit.target.path.clone()
            }
            _ => return None,
        };
        Some((number, path))
    }

    /// A context whose program did not answer: what its shell said says more than the form.
    fn not_told(
        &self,
        part: usize,
        (status, said): (String, String),
        error: AnswerError,
    ) -> AnswerError {
        if said.is_empty() || status == "0" {
            return error;
        }
        let words = &self.parts[part].words;
        AnswerError::Context {
            context: if words.is_empty() {
                "the host".to_owned()
            } else {
                words.join(" ")
            },
            status,
            said,
        }
    }
}

/// How a part ended, and what it complained of.
fn left(
    records: &mut impl Iterator<Item = Record>,
    number: &str,
) -> Result<(String, String), AnswerError> {
    let missing = || AnswerError::Unexpected("left".to_owned());
    let record = records
        .next()
        .filter(|it| it.kind == "left")
        .ok_or_else(missing)?;
    match record.fields.as_slice() {
        [part, status, said] if part == number.as_bytes() => Ok((text(status), text(said))),
        _ => Err(missing()),
    }
}

/// A text of the node's, as it may be kept: valid, without what moves a cursor, and not long.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    plain.take(500).collect()
}
