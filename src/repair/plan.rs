//! A plan of repair: every effect that it will have, fully determined.
//!
//! A plan is data. It can be written to a file, reviewed, and applied as it is: each edit names the state that it
//! starts from, and a node that is not in that state any more refuses it. The only thing that a plan cannot hold is a
//! public key that does not exist yet; it is named by the [`NewKey`] that will make it.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::Lane;

/// Version of the JSON form of a plan. Raised when a field changes its meaning or goes away.
pub const PLAN_SCHEMA: u32 = 1;

/// Everything that one repair does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_SCHEMA`] of the clearway that made it.
    pub schema: u32,
    /// The inventory that it was made for, as an absolute path.
    pub inventory: String,
    /// Keys that nodes make for themselves, before any file is edited.
    pub keys: Vec<NewKey>,
    /// Private keys that go from one node to others, where a deployment insists on one key for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<KeyCopy>,
    /// Commands that set accounts right, run before any file is edited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<AccountCommand>,
    /// What is edited, for each node with at least one edit, in inventory order.
    pub nodes: Vec<NodePlan>,
    /// What changes of each sshd after that: it must read its configuration again for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sshd: Vec<SshdChange>,
    /// What clearway does not repair by itself, and what a person can do about it.
    pub left: Vec<Left>,
}

/// Names a [`NewKey`] within its plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub String);

/// A key pair that is made on a node and whose private half stays there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// What edits call its public half.
    pub id: KeyId,
    /// Inventory name of the node that makes it.
    pub node: String,
    /// The private key file; nothing may be there. The public half goes beside it, as `ssh-keygen` does.
    pub target: Target,
    /// The account that owns it. The mode of the private key is always 0600.
    pub owner: Attributes,
    /// `ssh-keygen -t`, for example `ed25519`.
    pub key_type: String,
    /// `ssh-keygen -C`.
    pub comment: String,
    /// Why it is made.
    pub answers: Vec<Answers>,
}

/// A private key that is brought to a node which has none, only through the memory of whoever applies the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCopy {
    /// Where the key comes from.
    pub of: KeySource,
    /// Inventory name of the node that gets it.
    pub node: String,
    /// The private key file there; nothing may be there. The public half goes beside it.
    pub target: Target,
    /// The account that owns it. The mode of the private key is always 0600.
    pub owner: Attributes,
    /// Why it is brought there.
    pub answers: Vec<Answers>,
}

/// Where a copied private key comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// A key of this plan.
    New(KeyId),
    /// A key that a node has already.
    Existing {
        /// Inventory name of that node.
        node: String,
        /// The private key file there.
        target: Target,
        /// Its public half, `type base64`: what is copied must be this key.
        public: String,
    },
}

/// A command that sets an account right; run as root in its context, by words, never by a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountCommand {
    /// Inventory name of the node.
    pub node: String,
    /// Words that enter the context in which the account is meant; empty for the host itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// The command, word by word.
    pub words: Vec<String>,
    /// The command that takes it back.
    pub undo: Vec<String>,
    /// Why it is run.
    pub answers: Vec<Answers>,
}

/// The edits of one node, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePlan {
    /// Inventory name.
    pub node: String,
    /// Its edits: at most one for a target, directories before what is in them.
    pub edits: Vec<Edit>,
}

/// A change of an sshd that takes effect when it reads its configuration again. It is made as one: tested before, kept
/// only after a new login, taken back by the node itself where that login does not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshdChange {
    /// Inventory name.
    pub node: String,
    /// The sshd binary, an absolute path.
    pub binary: String,
    /// Its configuration file (`sshd -f`).
    pub config: String,
    /// The ports that it listens on.
    pub ports: Vec<u16>,
    /// Its files: all are changed, or none. Empty where something that it reads was changed before.
    pub edits: Vec<Edit>,
}

/// A place on a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Words that enter the context in which the path is meant; empty for the host itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// Absolute path there, without symbolic links.
    pub path: String,
}

/// One change of one file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// What is changed.
    pub target: Target,
    /// What must be there for the edit to be made.
    pub before: FileState,
    /// What is there afterwards.
    pub after: FileState,
    /// Why it is changed; never empty.
    pub answers: Vec<Answers>,
}

/// What is at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum FileState {
    /// Nothing.
    Absent,
    /// A directory.
    Directory {
        /// Owner and mode.
        #[serde(flatten)]
        attributes: Attributes,
    },
    /// A regular file.
    File {
        /// Owner and mode.
        #[serde(flatten)]
        attributes: Attributes,
        /// Its bytes.
        text: Text,
    },
    /// A regular file whose bytes the plan does not know, such as a private key; they stay what they are.
    Opaque {
        /// Owner and mode.
        #[serde(flatten)]
        attributes: Attributes,
    },
}

impl FileState {
    /// Owner and mode of what is there; `None` where nothing is.
    #[must_use]
    pub fn attributes(&self) -> Option<Attributes> {
        match self {
            Self::Absent => None,
            Self::Directory { attributes }
            | Self::File { attributes, .. }
            | Self::Opaque { attributes } => Some(*attributes),
        }
    }

    /// The bytes, where the plan knows them.
    #[must_use]
    pub fn text(&self) -> Option<&Text> {
        match self {
            Self::File { text, .. } => Some(text),
            Self::Absent | Self::Directory { .. } | Self::Opaque { .. } => None,
        }
    }
}

/// Owner and mode of a file or directory. An SELinux label is not planned: the node gives a new file the label that
/// its policy has for the path, and keeps that of an existing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attributes {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, `0o7777`.
    pub mode: u32,
}

/// The bytes of a file, as pieces one after the other. Where one piece ends and the next begins means nothing: texts
/// of the same bytes are equal, and are written in the same way.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Text(pub Vec<Piece>);

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// The public half of a key that does not exist yet, as `type base64`.
    PublicKey(KeyId),
}

/// Bytes that are text in JSON where they are UTF-8, else `{"base64": …}`. Shared: the same block is in the files of a
/// thousand nodes, and a file's own bytes are those that the survey read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Bytes(pub Arc<[u8]>);

impl Default for Bytes {
    fn default() -> Self {
        Self(Arc::from(&[][..]))
    }
}

impl<T: Into<Arc<[u8]>>> From<T> for Bytes {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

/// What an edit is good for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Answers {
    /// Code of the reason (`clearway reasons`).
    pub reason: String,
    /// The lane whose legs break for it.
    pub lane: Lane,
    /// Inventory name of the node on which ssh runs; `None` for every client of the server, or for many of them.
    pub client: Option<String>,
    /// Inventory name of the node that answers; `None` for every server of the client, or for many of them.
    pub server: Option<String>,
}

/// Something broken that clearway does not repair by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Code of the reason.
    pub reason: String,
    /// The legs that it breaks.
    pub legs: Vec<Answers>,
    /// Why clearway leaves it alone, in words.
    pub why: String,
    /// What a person can type.
    pub remedy: String,
}

impl Text {
    /// A text that is known already.
    #[must_use]
    pub fn known(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(vec![Piece::Bytes(Bytes(bytes.into()))])
    }

    /// The same bytes with nothing empty in it, and known bytes never in two pieces side by side.
    #[must_use]
    pub fn joined(&self) -> Self {
        let mut joined: Vec<Piece> = Vec::new();
        let mut run: Vec<&Bytes> = Vec::new();
        let flush = |run: &mut Vec<&Bytes>, joined: &mut Vec<Piece>| match run.as_slice() {
            [] => {}
            [one] => {
                joined.push(Piece::Bytes((*one).clone()));
                run.clear();
            }
            several => {
                let all: Vec<u8> = several.iter().flat_map(|it| it.0.iter().copied()).collect();
                joined.push(Piece::Bytes(all.into()));
                run.clear();
            }
        };
        for piece in &self.0 {
            match piece {
                Piece::Bytes(bytes) if bytes.0.is_empty() => {}
                Piece::Bytes(bytes) => run.push(bytes),
                Piece::PublicKey(id) => {
                    flush(&mut run, &mut joined);
                    joined.push(Piece::PublicKey(id.clone()));
                }
            }
        }
        flush(&mut run, &mut joined);
        Self(joined)
    }

    /// The bytes, with the keys that were made filled in; `None` when one of them is missing.
    pub fn bytes<'a>(
        &'a self,
        public_key: impl Fn(&'a KeyId) -> Option<&'a [u8]>,
    ) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Bytes(bytes) => all.extend_from_slice(&bytes.0),
                Piece::PublicKey(id) => all.extend_from_slice(public_key(id)?),
            }
        }
        Some(all)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        let shared = |one: &Piece, two: &Piece| match (one, two) {
            (Piece::Bytes(one), Piece::Bytes(two)) => Arc::ptr_eq(&one.0, &two.0),
            _ => false,
        };
        let is_same = self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(one, two)| shared(one, two));
        is_same || self.joined().0 == other.joined().0
    }
}

impl Eq for Text {}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.joined().0.serialize(serializer)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.0.escape_ascii())
    }
}

#[derive(Serialize, Deserialize)]
struct Base64 {
    base64: String,
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Base64 {
                base64: base64::engine::general_purpose::STANDARD.encode(&self.0),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or an object with `base64`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                Ok(Bytes(text.as_bytes().into()))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Bytes, A::Error> {
                let encoded =
                    Base64::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                base64::engine::general_purpose::STANDARD
                    .decode(encoded.base64)
                    .map(Bytes::from)
                    .map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_json_whatever_they_are() {
        for bytes in [&b"plain\n"[..], b"", b"\xff\xfe\0", "ü\r\n".as_bytes()] {
            let given = Bytes::from(bytes);
            let json = serde_json::to_string(&given).unwrap();
            assert_eq!(
                serde_json::from_str::<Bytes>(&json).unwrap(),
                given,
                "{json}"
            );
        }
    }

    #[test]
    fn texts_of_the_same_bytes_are_equal_however_they_are_cut() {
        let whole = Text::known(&b"one\ntwo\n"[..]);
        let parts = ["one", "\n", "", "two\n"].map(|part| Piece::Bytes(part.as_bytes().into()));
        let cut = Text(parts.into());
        assert_eq!(whole, cut);
        assert_ne!(whole, Text::known(&b"one\ntwo"[..]));
        let json = serde_json::to_string(&cut).unwrap();
        assert_eq!(json, serde_json::to_string(&whole).unwrap());
        assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), cut);
    }

    #[test]
    fn a_text_waits_for_keys_that_are_not_made_yet() {
        let id = KeyId("node1:nova".to_owned());
        let text = Text(vec![
            Piece::Bytes(b"restrict ".to_vec().into()),
            Piece::PublicKey(id.clone()),
            Piece::Bytes(b" clearway:node1\n".to_vec().into()),
        ]);
        assert_eq!(text.bytes(|_| None), None);
        let made = text.bytes(|asked| (*asked == id).then_some(&b"ssh-ed25519 AAAA"[..]));
        assert_eq!(
            made.as_deref(),
            Some(&b"restrict ssh-ed25519 AAAA clearway:node1\n"[..])
        );
    }
}
