//! One `authorized_keys` file, line by line, with every byte kept.

use super::option_text::end_of_options;
use super::options::{BadOption, KeyOptions};
use crate::openssh::key::{KeyError, KeyInterner, PublicKey};
use crate::openssh::lines::{Lines, skip_blanks};

/// A line that holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizedKey {
    /// What the options say; with bad ones the line admits nobody.
    pub options: Result<KeyOptions, BadOption>,
    /// The options as written; empty if there are none.
    pub options_text: Box<[u8]>,
    /// The key.
    pub key: PublicKey,
    /// What follows the key, often a name; any bytes.
    pub comment: Box<[u8]>,
}

/// Why a line that is neither blank nor a comment holds no key. `sshd` skips it, usually silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyLine {
    /// Quotes that never close.
    #[error("invalid key option string")]
    Options,
    /// There is no key, neither at the start nor behind what could be options.
    #[error("no valid key")]
    Key(#[source] KeyError),
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyLine {
    /// Empty or only blanks.
    Blank,
    /// Starts with `#`, perhaps behind blanks.
    Comment,
    /// Holds a key.
    Key(Box<AuthorizedKey>),
    /// Holds none.
    Bad(BadKeyLine),
}

/// One `authorized_keys` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizedKeys {
    lines: Lines,
    parsed: Vec<KeyLine>,
}

impl AuthorizedKeys {
    /// Reads a file. Nothing makes this fail: what `sshd` cannot read is kept as [`KeyLine::Bad`].
    ///
    /// Carriage returns do no harm behind the key or its comment, where files from Windows have them; a line of nothing else
    /// is [`KeyLine::Bad`].
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Self {
        Self::parse_with(bytes, &mut KeyInterner::new())
    }

    /// Reads a file with a memory of keys already seen.
    pub fn parse_with(bytes: impl Into<Vec<u8>>, keys: &mut KeyInterner) -> Self {
        let lines = Lines::new(bytes);
        let parsed = lines.visible().map(|text| parse_line(text, keys)).collect();
        Self { lines, parsed }
    }

    /// The file, byte for byte as it was given.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.lines.as_bytes()
    }

    /// The lines in order with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &KeyLine)> {
        (1..).zip(&self.parsed)
    }

    /// The bytes of a line, without its `\n`.
    #[must_use]
    pub fn raw_line(&self, number: usize) -> Option<&[u8]> {
        self.lines.raw(number)
    }

    /// What a line holds, if it holds a key.
    #[must_use]
    pub fn key(&self, number: usize) -> Option<&AuthorizedKey> {
        match self.parsed.get(number.checked_sub(1)?)? {
            KeyLine::Key(key) => Some(key),
            _ => None,
        }
    }

    /// The lines that hold keys, with their numbers.
    pub fn keys(&self) -> impl Iterator<Item = (usize, &AuthorizedKey)> {
        self.lines().filter_map(|(number, line)| match line {
            KeyLine::Key(key) => Some((number, &**key)),
            _ => None,
        })
    }
}

fn parse_line(text: &[u8], keys: &mut KeyInterner) -> KeyLine {
    let text = skip_blanks(text);
    match text.first() {
        None => return KeyLine::Blank,
        Some(b'#') => return KeyLine::Comment,
        Some(_) => {}
    }
    match parse_key(text, keys) {
        Ok(key) => KeyLine::Key(Box::new(key)),
        Err(why) => KeyLine::Bad(why),
    }
}

fn parse_key(text: &[u8], keys: &mut KeyInterner) -> Result<AuthorizedKey, BadKeyLine> {
    let at_start = match keys.read(text) {
        Ok((key, comment)) => {
            let options = Ok(KeyOptions::default());
            return Ok(AuthorizedKey {
                options,
                options_text: Box::default(),
                key,
                comment: comment.into(),
            });
        }
        Err(error) => error,
    };
    let end = end_of_options(text).ok_or(BadKeyLine::Options)?;
    let (options, rest) = text.split_at(end);
    let (key, comment) = keys.read(skip_blanks(rest)).map_err(|behind_options| {
        // A line that starts with a key type has no options; what is wrong with that key is what its owner wants to know.
        let starts_otherwise = matches!(at_start, KeyError::UnknownType | KeyError::Missing);
        BadKeyLine::Key(if starts_otherwise {
            behind_options
        } else {
            at_start
        })
    })?;
    Ok(AuthorizedKey {
        options: KeyOptions::parse(options),
        options_text: options.into(),
        key,
        comment: comment.into(),
    })
}
