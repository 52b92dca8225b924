//! What a node says of a change of its sshd.

use crate::frame::{FrameError, Limits, Nonce, Record, decode};

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// It is in force and waits to be kept.
    Reloaded {
        /// How sshd was told.
        how: String,
    },
    /// Another change waits for its own end; nothing was done.
    Busy(String),
    /// A file is not as the plan says; nothing was done.
    Differs {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// It cannot be made; what was done was taken back at once.
    Refused {
        /// At which step. Before anything is written: `lock`, `save`, `config` (`sshd -t` and `sshd -T` of what is there),
        /// `find`, `pending` (a reload would have it listen elsewhere), `guard`. Then `write`, `test` (`sshd -t`), `reload`,
        /// `listen`.
        step: String,
        /// In words: sshd's own, where it was tested.
        said: String,
    },
    /// It cannot be made. Its configuration is as it was, but sshd is not: it is gone, or goes on with what it read meanwhile,
    /// and keeps the files that this names.
    Stuck {
        /// As for [`Self::Refused`].
        step: String,
        /// As for [`Self::Refused`].
        said: String,
        /// What became of sshd, in words.
        stuck: String,
    },
}

/// What became of a change that was to be kept or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is kept.
    Kept,
    /// There is no such change any more: the node has taken it back.
    Gone,
    /// The node is just taking it back.
    Late,
    /// The node has taken sshd's configuration back, but sshd is not as it was: what became of it, in words.
    Stuck(String),
}

/// Answers are a handful of short records.
const LIMITS: Limits = Limits {
    bytes: 64 << 10,
    noise: 32 << 10,
    records: 4,
    fields: 3,
    field: 16 << 10,
};

/// Reads the answer of [`super::change`].
///
/// # Errors
/// It is no whole answer to the program with this nonce, or none that it gives.
pub fn read_changed(stdout: &[u8], nonce: &Nonce) -> Result<Changed, FrameError> {
    let record = only(stdout, nonce)?;
    let field = |number| field(&record, number);
    Ok(match record.kind.as_str() {
        "reloaded" => Changed::Reloaded { how: field(0) },
        "busy" => Changed::Busy(field(0)),
        "changed" => Changed::Differs {
            path: field(0),
            what: field(1),
        },
        "refused" => Changed::Refused {
            step: field(0),
            said: field(1),
        },
        "stuck" => Changed::Stuck {
            step: field(0),
            said: field(1),
            stuck: field(2),
        },
        _ => return Err(FrameError::Truncated { at: stdout.len() }),
    })
}

/// Reads the answer of [`super::keep`] and [`super::take_back`].
///
/// # Errors
/// It is no whole answer to the program with this nonce, or none that it gives.
pub fn read_settled(stdout: &[u8], nonce: &Nonce) -> Result<Settled, FrameError> {
    let record = only(stdout, nonce)?;
    match record.kind.as_str() {
        "kept" => Ok(Settled::Kept),
        "gone" => Ok(Settled::Gone),
        "late" => Ok(Settled::Late),
        "stuck" => Ok(Settled::Stuck(field(&record, 0))),
        _ => Err(FrameError::Truncated { at: stdout.len() }),
    }
}

fn field(record: &Record, number: usize) -> String {
    let bytes = record.fields.get(number).map_or(&[][..], Vec::as_slice);
    String::from_utf8_lossy(bytes).into_owned()
}

fn only(stdout: &[u8], nonce: &Nonce) -> Result<Record, FrameError> {
    let mut records = decode(stdout, nonce, LIMITS)?;
    match (records.pop(), records.is_empty()) {
        (Some(record), true) => Ok(record),
        _ => Err(FrameError::Truncated { at: stdout.len() }),
    }
}
