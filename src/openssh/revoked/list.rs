//! The file in either form.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::krl::Krl;
use crate::openssh::key::{KeyBlob, KeyError, PublicKey};
use crate::openssh::lines::{Lines, skip_blanks};

/// Why OpenSSH cannot read such a file. It then refuses every key, revoked or not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableList {
    /// A line that is neither a key nor a comment, before any line that has the key in question.
    #[error("revoked keys: line {line}: not a key")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        #[source]
        why: KeyError,
    },
    /// It begins like a binary list, but is none that OpenSSH reads.
    #[error("revoked keys: malformed binary list")]
    Krl,
}

/// A file of revoked keys.
#[derive(Clone, Debug)]
pub struct RevokedKeys(Form);

#[derive(Clone, Debug)]
enum Form {
    /// The plain blobs of the keys up to the end, or up to the first line that is none.
    Text {
        keys: Vec<KeyBlob>,
        stops: Option<UnreadableList>,
    },
    Binary(Box<Krl>),
    Malformed,
}

impl RevokedKeys {
    /// Reads a file of either form.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        match Krl::parse(bytes) {
            Some(Ok(krl)) => Self(Form::Binary(Box::new(krl))),
            Some(Err(())) => Self(Form::Malformed),
            None => Self(parse_text(bytes)),
        }
    }

    /// A list of these keys, and of certificates with these key ids, whoever signed them.
    #[must_use]
    pub fn of<'a>(
        keys: impl IntoIterator<Item = &'a PublicKey>,
        ids: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let keys = keys.into_iter().map(PublicKey::plain_blob);
        Self(Form::Binary(Box::new(Krl::of(keys, ids))))
    }

    /// What the other list revokes and this one does not, as lines that `ssh-keygen -k` reads where there are such. A list
    /// that cannot be read revokes nobody knows what, and has nothing.
    #[must_use]
    pub fn lacks(&self, other: &Self) -> BTreeSet<String> {
        match (self.entries(), other.entries()) {
            (_, None) => BTreeSet::from(["a list that cannot be read".to_owned()]),
            (None, Some(theirs)) => Krl::default().lacks(&theirs),
            (Some(own), Some(theirs)) => own.lacks(&theirs),
        }
    }

    fn entries(&self) -> Option<Cow<'_, Krl>> {
        match &self.0 {
            Form::Binary(krl) => Some(Cow::Borrowed(krl)),
            Form::Text { keys, stops: None } => Some(Cow::Owned(Krl::of(keys, []))),
            Form::Text { .. } | Form::Malformed => None,
        }
    }

    /// Whether the key is revoked. A certificate is if its key is, or its CA, or itself.
    ///
    /// # Errors
    /// OpenSSH cannot read the file, at least not up to this key, and so refuses the key.
    pub fn contains(&self, key: &PublicKey) -> Result<bool, UnreadableList> {
        match &self.0 {
            Form::Malformed => Err(UnreadableList::Krl),
            Form::Binary(krl) => Ok(krl.revokes(key)),
            Form::Text { keys, stops } => {
                let authority = key
                    .certificate()
                    .map(|certificate| certificate.authority.plain_blob());
                let is_listed = keys
                    .iter()
                    .any(|listed| listed == key.plain_blob() || Some(listed) == authority);
                match stops {
                    Some(why) if !is_listed => Err(why.clone()),
                    _ => Ok(is_listed),
                }
            }
        }
    }
}

/// `sshkey_in_file`: unlike in other files, a line that is no key ends it. Only too short RSA keys are passed over.
fn parse_text(bytes: &[u8]) -> Form {
    let mut keys = Vec::new();
    for (line, text) in (1..).zip(Lines::new(bytes).visible()) {
        let text = skip_blanks(text);
        if text.is_empty() || text[0] == b'#' {
            continue;
        }
        match PublicKey::read(text) {
            Ok((key, _)) => keys.push(key.plain_blob().clone()),
            Err(KeyError::TooShort { .. }) => {}
            Err(why) => {
                return Form::Text {
                    keys,
                    stops: Some(UnreadableList::Line { line, why }),
                };
            }
        }
    }
    Form::Text { keys, stops: None }
}
