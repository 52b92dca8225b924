//! The building blocks of [`super::document`]: values with their places, entries, words.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::problem::Mark;

/// A value and where it is written; where there is an alias, the place that it stands for. Small, because a large
/// inventory has hundreds of thousands of them.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    line: u32,
    column: u32,
    length: u32,
}

impl<T> At<T> {
    pub(super) fn new(value: T, location: Location) -> Self {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(1).max(1);
        Self {
            value,
            line: narrow(location.line()),
            column: narrow(location.column()),
            // Mappings and lists have no length of their own, and some places none that is known.
            length: if location == Location::UNKNOWN {
                1
            } else {
                narrow(location.span().len())
            },
        }
    }

    /// The place in the file with this index.
    pub(super) fn mark(&self, file: usize) -> Mark {
        Mark {
            file,
            line: self.line as usize,
            column: self.column as usize,
            length: self.length as usize,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self::new(value, defined))
    }
}

/// A text and where it is written.
pub(super) type Text = At<String>;

/// The value of a key; `None` when the key is not there. A key without a value is an error.
pub(super) type Field<T> = Option<At<T>>;

/// For `deserialize_with`: the value of a [`Field`].
pub(super) fn given<'de, D, T>(deserializer: D) -> Result<Field<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let Spanned { value, defined, .. } = Spanned::<Option<T>>::deserialize(deserializer)?;
    match value {
        Some(value) => Ok(Some(At::new(value, defined))),
        None => Err(D::Error::custom(NO_VALUE)),
    }
}

/// What [`given`] says of a key without a value.
pub(super) const NO_VALUE: &str = "nothing stands after this key";

/// A value that may also be `null`, which takes away what an outer layer has set.
#[derive(Debug)]
pub(super) struct Clearable(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Clearable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self)
    }
}

/// For `deserialize_with`: like [`given`], but `null` is a value.
pub(super) fn clearable<'de, D>(deserializer: D) -> Result<Field<Clearable>, D::Error>
where
    D: Deserializer<'de>,
{
    At::deserialize(deserializer).map(Some)
}

/// A mapping from names that the operator chose, in the order written, repeats kept for a good message.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(Text, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

/// One word, or a list of things.
#[derive(Debug)]
pub(super) enum WordOr<T> {
    /// A single word; its place is that of the whole.
    Word(String),
    /// A list.
    List(Vec<At<T>>),
}

/// One text or a list of texts.
pub(super) type Words = WordOr<String>;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WordOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordsVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for WordsVisitor<T> {
            type Value = WordOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a list")
            }

            fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
                Ok(WordOr::Word(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(WordOr::List(list))
            }
        }

        deserializer.deserialize_any(WordsVisitor(PhantomData))
    }
}
