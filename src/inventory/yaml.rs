//! YAML to strict structs: the building blocks of [`super::document`], and the parser's errors in our words.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_saphyr::{
    DefaultMessageFormatter, DuplicateKeyPolicy, Error, Location, MessageFormatter,
};
use serde_saphyr::{Options, Spanned};

use super::document::SECTIONS;
use super::problem::{Fault, Mark};
use super::suggest::nearest;

/// The value of a key, with its place; `None` when the key is not there. A key without a value is an error.
pub(super) type Field<T> = Option<Spanned<T>>;

/// For `deserialize_with`: the value of a [`Field`].
pub(super) fn given<'de, D, T>(deserializer: D) -> Result<Field<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let Spanned {
        value,
        referenced,
        defined,
    } = Spanned::<Option<T>>::deserialize(deserializer)?;
    match value {
        Some(value) => Ok(Some(Spanned::new(value, referenced, defined))),
        None => Err(D::Error::custom(NO_VALUE)),
    }
}

const NO_VALUE: &str = "nothing stands after this key";

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
    Spanned::deserialize(deserializer).map(Some)
}

/// A mapping from names that the operator chose, in the order written, repeats kept for a good message.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(Spanned<String>, T)>);

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
    List(Vec<Spanned<T>>),
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

/// Reads one file. `index` is the file's place in the list of sources.
pub(super) fn parse<T: DeserializeOwned>(index: usize, text: &str) -> Result<T, Fault> {
    // Repeated names are passed through: the checks that follow know both places. A repeated key of a struct is
    // an error either way, and only the strict policy knows where it is.
    let lenient = options(DuplicateKeyPolicy::PassThrough);
    serde_saphyr::from_str_with_options(text, lenient).map_err(|error| {
        if message(&error).starts_with("duplicate field") {
            let strict = options(DuplicateKeyPolicy::Error);
            if let Err(error) = serde_saphyr::from_str_with_options::<T>(text, strict) {
                return fault(index, text, &error);
            }
        }
        fault(index, text, &error)
    })
}

/// Room for 20,000 nodes with thirty values each, and little for aliases: a file that unfolds into much more than
/// what is written in it is refused.
fn options(duplicate_keys: DuplicateKeyPolicy) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 2_000_000,
            max_nodes: 1_500_000,
            max_depth: 16,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 200_000,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: duplicate_keys,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// The place of a parsed value.
pub(super) fn mark<T>(file: usize, value: &Spanned<T>) -> Mark {
    locate(file, value.defined)
}

fn locate(file: usize, location: Location) -> Mark {
    let narrow = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    if location == Location::UNKNOWN {
        return Mark::file(file);
    }
    let length = location.span().len();
    Mark {
        file,
        line: narrow(location.line()),
        column: narrow(location.column()),
        length: if length > 1_000 {
            1
        } else {
            narrow(length).max(1)
        },
    }
}

/// One of the parser's errors in our words.
fn fault(file: usize, text: &str, error: &Error) -> Fault {
    let place = error
        .location()
        .map_or(Mark::file(file), |at| locate(file, at));
    let found = text
        .split('\n')
        .nth(place.line.saturating_sub(1))
        .and_then(|line| line.chars().nth(place.column.saturating_sub(1)));
    match error.without_snippet() {
        Error::AliasError { error, .. } => fault(file, text, error),
        Error::SerdeUnknownField {
            field, expected, ..
        } => unknown_key(place, field, expected),
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("this key");
            Fault::new(
                long(place, key),
                format!("`{key}` stands twice in one mapping"),
            )
            .expected("each key once")
        }
        Error::MultipleDocuments { .. } => Fault::new(place, "a second YAML document begins here")
            .expected("one document in a file"),
        Error::Unexpected { expected, .. } => match *expected {
            "mapping start" => {
                Fault::new(place, format!("{} where a mapping belongs", sort(found)))
                    .expected("`key: value` pairs, or `{}`")
            }
            "sequence start" => Fault::new(place, format!("{} where a list belongs", sort(found)))
                .expected("a list such as `[one, two]`"),
            "string scalar" => {
                Fault::new(place, format!("{} where one value belongs", sort(found)))
                    .expected("a single value")
                    .hint(
                        (found == Some('{'))
                            .then(|| "a text that starts with a brace needs quotes".to_owned()),
                    )
            }
            _ => Fault::new(place, message(error)),
        },
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        } => Fault::new(place, format!("{unexpected} where it does not belong"))
            .expected(expected.clone())
            .hint("a text that looks like a number or a truth value needs quotes".to_owned()),
        Error::NullIntoString { .. } => {
            Fault::new(place, "an empty value").expected("a name or another text")
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => Fault::new(
            place,
            "the file unfolds into more than an inventory can hold",
        )
        .expected("values written out, without aliases of aliases and deep nesting"),
        _ => match message(error) {
            text if text == NO_VALUE => Fault::new(place, text)
                .expected("a value")
                .hint("leave the key out to keep what the outer layers say".to_owned()),
            text => {
                let advice = SYNTAX.iter().find(|(part, _)| text.contains(part));
                let expected = advice.map_or("well-formed YAML", |(_, advice)| *advice);
                Fault::new(place, text).expected(expected)
            }
        },
    }
}

/// What would have been right, by words of the YAML parser's messages.
const SYNTAX: &[(&str, &str)] = &[
    ("unclosed quote", "the same quote at the end of the text"),
    ("unclosed bracket", "the closing bracket"),
    (
        "expected ',' or",
        "a comma or the closing bracket; inside of brackets a text with brackets needs quotes",
    ),
    ("tabs", "spaces: YAML does not allow tabs here"),
    ("expected key", "keys that begin in the same column"),
    (
        "mapping values are not allowed",
        "quotes around a text that holds `: `",
    ),
    ("unsupported tag", "a value without a tag"),
    ("anchor", "the anchor (`&name`) before its alias (`*name`)"),
];

fn message(error: &Error) -> String {
    DefaultMessageFormatter
        .format_message(error.without_snippet())
        .into_owned()
}

/// What stands there, judged by its first character.
fn sort(found: Option<char>) -> &'static str {
    match found {
        Some('[' | '-') => "a list",
        Some('{' | '?') => "a mapping",
        _ => "a single value",
    }
}

fn long(place: Mark, word: &str) -> Mark {
    Mark {
        length: word.chars().count().max(1),
        ..place
    }
}

fn unknown_key(place: Mark, key: &str, known: &[&str]) -> Fault {
    let list: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
    // Often the right key, written one level too high.
    let section = SECTIONS
        .iter()
        .find(|(section, keys)| known.contains(section) && keys.contains(&key));
    let hint = match section {
        Some((section, _)) => Some(format!("`{key}` belongs under `{section}:`")),
        None => nearest(key, known.iter().copied()).map(|near| format!("did you mean `{near}`?")),
    };
    Fault::new(long(place, key), format!("unknown key `{key}`"))
        .expected(list.join(", "))
        .hint(hint)
}
