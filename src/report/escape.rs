//! Text that somebody else wrote, made harmless for where it is shown.
//!
//! Everything that a node returns may be written by whoever owns the node. Shown as it is, it could move the cursor,
//! rename the window, hide or reorder what stands around it, or break the syntax of a document.

use std::borrow::Cow;

/// As one line for a terminal: line breaks, tabs, other control characters, and characters that hide or reorder text
/// become escapes such as `\n` and `\u{202e}`.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, is_deceptive)
}

/// As several lines for a terminal; line breaks (LF or CR LF) stay line breaks, trailing empty lines are dropped.
pub fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.trim_end_matches(['\n', '\r']).lines().map(line)
}

/// For the text or an attribute of an XML 1.0 document, before the XML library quotes it: what XML forbids
/// (<https://www.w3.org/TR/xml/#charsets>) and what deceives in a terminal becomes an escape; line breaks stay.
#[must_use]
pub fn xml(text: &str) -> Cow<'_, str> {
    escape(text, |c| {
        (c != '\n' && is_deceptive(c)) || matches!(c, '\u{fffe}' | '\u{ffff}')
    })
}

/// Whether a character does something else than to show itself: control characters (C0, DEL, C1), the bidirectional
/// controls of UAX #9, and what has no width or no glyph (categories Cf, Zl, Zp and the invisible letters).
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}'
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

fn escape(text: &str, must: impl Fn(char) -> bool) -> Cow<'_, str> {
    let Some(first) = text.find(&must) else {
        return Cow::Borrowed(text);
    };
    let mut escaped = String::with_capacity(text.len() + 16);
    escaped.push_str(&text[..first]);
    for c in text[first..].chars() {
        match c {
            '\n' if must(c) => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if must(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_text_shows_what_it_is_and_does_nothing() {
        for (text, shown) in [
            ("nothing to do", "nothing to do"),
            ("Grüße 日本", "Grüße 日本"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("\x1b]0;owned\x07", "\\u{1b}]0;owned\\u{7}"),
            ("one\ntwo\ttabs\r", "one\\ntwo\\ttabs\\r"),
            ("eight-bit \u{9b}31m", "eight-bit \\u{9b}31m"),
            ("user\u{202e}toor", "user\\u{202e}toor"),
            ("cmp\u{200b}001", "cmp\\u{200b}001"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("\u{feff}bom", "\\u{feff}bom"),
            ("lost \u{fffd} bytes", "lost \u{fffd} bytes"),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn line_breaks_survive_only_where_lines_are_asked_for() {
        let shown: Vec<_> = lines("one\r\n\x1b[A two\n\n").collect();
        assert_eq!(shown, ["one", "\\u{1b}[A two"]);
        assert_eq!(xml("one\ntwo\0\u{ffff}"), "one\ntwo\\u{0}\\u{ffff}");
    }

    proptest! {
        #[test]
        fn no_text_comes_out_deceptive(text in any::<String>()) {
            prop_assert!(!line(&text).contains(is_deceptive));
            prop_assert!(!xml(&text).contains(|c| c != '\n' && is_deceptive(c)));
        }

        #[test]
        fn printable_ascii_comes_out_as_it_was(text in "[ -~]*") {
            prop_assert_eq!(line(&text), text.as_str());
        }
    }
}
