//! One file of YAML to a document, and the parser's errors in our words.

use serde::de::DeserializeOwned;
use serde_saphyr::{
    DefaultMessageFormatter, DuplicateKeyPolicy, Error, Location, MessageFormatter, Options,
};

use super::document::SECTIONS;
use super::problem::{Fault, Mark};
use super::suggest::nearest;
use super::yaml::{At, NO_VALUE};

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

fn locate(file: usize, location: Location) -> Mark {
    At::new((), location).mark(file)
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
