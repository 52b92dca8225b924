//! JSON that is safe to look at.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use crate::report::escape::is_deceptive;

/// Writes a value as an indented document that ends with a line break.
pub(in crate::cli) fn write<T: Serialize>(out: &mut dyn Write, value: &T) -> io::Result<()> {
    let safe = Safe(PrettyFormatter::new());
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, safe))?;
    writeln!(out)
}

/// Writes a value as one line.
pub(in crate::cli) fn write_line<T: Serialize>(out: &mut dyn Write, value: &T) -> io::Result<()> {
    let safe = Safe(CompactFormatter);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, safe))?;
    writeln!(out)
}

/// Escapes what would deceive in a terminal; JSON itself only asks for C0. A parser reads the same text either way.
struct Safe<F>(F);

impl<F: Formatter> Formatter for Safe<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_deceptive(*c)) {
            self.0.write_string_fragment(writer, &fragment[plain..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        self.0.write_string_fragment(writer, &fragment[plain..])
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_deceptive_is_printed_and_nothing_is_lost() {
        let value =
            json!({"note": "a\u{1b}[2J\u{9b}31m\u{202e}b\u{e0041}\u{7f}\"\\é", "list": [1, 2]});
        for pretty in [true, false] {
            let mut out = Vec::new();
            if pretty {
                write(&mut out, &value).unwrap();
            } else {
                write_line(&mut out, &value).unwrap();
            }
            let text = String::from_utf8(out).unwrap();
            assert!(!text.contains(|c| c != '\n' && is_deceptive(c)), "{text:?}");
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&text).unwrap(),
                value
            );
            assert_eq!(text.lines().count() > 1, pretty);
        }
    }
}
