//! One `known_hosts` file, line by line, with every byte kept.

use crate::openssh::key::{KeyError, KeyInterner, PublicKey};
use crate::openssh::lines::{Lines, is_blank, skip_blanks, split_word};
use crate::openssh::pattern::{ListMatch, match_hostname};

use super::hashed::HashedName;

/// The marker before the hosts of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Marker {
    /// None: an ordinary host key.
    None,
    /// `@cert-authority`: the key signs host certificates for these hosts, and is no host key itself.
    CertAuthority,
    /// `@revoked`: the key must never be accepted for these hosts.
    Revoked,
}

/// The hosts a line is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// A comma-separated list of names and patterns, as written.
    List(Box<[u8]>),
    /// One hashed name.
    Hashed(HashedName),
}

impl Hosts {
    /// Whether the line is for this name, in the form that is looked up: lower case, `[name]:port` for ports other than 22.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::List(list) => match_hostname(name.as_bytes(), list) == ListMatch::Matched,
            Self::Hashed(hashed) => hashed.matches(name.as_bytes()),
        }
    }
}

/// A line that holds a key for some hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHost {
    /// Its marker.
    pub marker: Marker,
    /// For whom it is.
    pub hosts: Hosts,
    /// The key.
    pub key: PublicKey,
    /// What follows the key, often a name; any bytes.
    pub comment: Box<[u8]>,
}

/// Why OpenSSH skips a line that is neither blank nor a comment. It does so silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// An unknown marker, more than one, or one without anything behind it.
    #[error("invalid marker")]
    Marker,
    /// Nothing follows the hosts.
    #[error("no key behind the hosts")]
    Truncated,
    /// The hosts field starts with `|` but is no hashed name.
    #[error("bad hashed host name")]
    HashedName,
    /// There is no key where it should be.
    #[error("no valid key behind the hosts")]
    Key(#[source] KeyError),
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Empty or only blanks.
    Blank,
    /// Starts with `#`, perhaps behind blanks.
    Comment,
    /// Holds a key.
    Entry(Box<KnownHost>),
    /// Is skipped by OpenSSH.
    Bad(BadLine),
}

/// One `known_hosts` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownHosts {
    lines: Lines,
    parsed: Vec<Line>,
}

impl KnownHosts {
    /// Reads a file. Nothing makes this fail: what OpenSSH cannot read is kept as [`Line::Bad`].
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Self {
        Self::parse_with(bytes, &mut KeyInterner::new())
    }

    /// Reads a file with a memory of keys already seen, for the many similar files of a fleet.
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
    pub fn lines(&self) -> impl Iterator<Item = (usize, &Line)> {
        (1..).zip(&self.parsed)
    }

    /// The bytes of a line, without its `\n`.
    #[must_use]
    pub fn raw_line(&self, number: usize) -> Option<&[u8]> {
        self.lines.raw(number)
    }

    /// What a line holds, if it holds a key.
    #[must_use]
    pub fn entry(&self, number: usize) -> Option<&KnownHost> {
        match self.parsed.get(number.checked_sub(1)?)? {
            Line::Entry(entry) => Some(entry),
            _ => None,
        }
    }

    /// The lines that hold keys, with their numbers.
    pub fn entries(&self) -> impl Iterator<Item = (usize, &KnownHost)> {
        self.lines().filter_map(|(number, line)| match line {
            Line::Entry(entry) => Some((number, &**entry)),
            _ => None,
        })
    }
}

fn parse_line(text: &[u8], keys: &mut KeyInterner) -> Line {
    let text = skip_blanks(text);
    match text.first() {
        None => return Line::Blank,
        Some(b'#') => return Line::Comment,
        Some(_) => {}
    }
    match parse_entry(text, keys) {
        Ok(entry) => Line::Entry(Box::new(entry)),
        Err(why) => Line::Bad(why),
    }
}

fn parse_entry(text: &[u8], keys: &mut KeyInterner) -> Result<KnownHost, BadLine> {
    let (marker, text) = parse_marker(text)?;
    let (hosts, rest) = split_word(text);
    if rest.is_empty() {
        return Err(BadLine::Truncated);
    }
    let hosts = if hosts.first() == Some(&b'|') {
        Hosts::Hashed(HashedName::parse(hosts).ok_or(BadLine::HashedName)?)
    } else {
        Hosts::List(hosts.into())
    };
    let rest = skip_blanks(rest);
    if matches!(rest.first(), None | Some(b'#')) {
        return Err(BadLine::Truncated);
    }
    let (key, comment) = keys.read(rest).map_err(BadLine::Key)?;
    Ok(KnownHost {
        marker,
        hosts,
        key,
        comment: comment.into(),
    })
}

/// `check_markers`: OpenSSH cuts at the first blank, or, only when there is none in the whole line, at the first tab.
fn parse_marker(text: &[u8]) -> Result<(Marker, &[u8]), BadLine> {
    if text.first() != Some(&b'@') {
        return Ok((Marker::None, text));
    }
    let end = text
        .iter()
        .position(|byte| *byte == b' ')
        .or_else(|| text.iter().position(|byte| is_blank(*byte)))
        .ok_or(BadLine::Marker)?;
    let marker = match &text[..end] {
        b"@cert-authority" => Marker::CertAuthority,
        b"@revoked" => Marker::Revoked,
        _ => return Err(BadLine::Marker),
    };
    let rest = skip_blanks(&text[end..]);
    if rest.first() == Some(&b'@') {
        Err(BadLine::Marker)
    } else {
        Ok((marker, rest))
    }
}
