//! The bytes of a planned file: shared where files are alike, and open where a key does not exist yet.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::plan::KeyId;

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

impl Text {
    /// A text that is known already.
    #[must_use]
    pub fn known(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(vec![Piece::Bytes(Bytes(bytes.into()))])
    }

    /// How many bytes are known.
    fn known_length(&self) -> usize {
        let lengths = self.0.iter().map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.0.len(),
            Piece::PublicKey(_) => 0,
        });
        lengths.sum()
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
        // Files of many megabytes are compared byte by byte only where they could be the same.
        is_same
            || (self.known_length() == other.known_length() && self.joined().0 == other.joined().0)
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
        let id = KeyId("node1:nova".into());
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
