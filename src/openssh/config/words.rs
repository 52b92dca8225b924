//! A line of a configuration file as keyword and arguments (readconf.c, servconf.c, misc.c `argv_split`).

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    /// In lower case.
    pub(super) keyword: String,
    /// Unquoted.
    pub(super) arguments: Vec<String>,
    /// All that follows the keyword, as written.
    pub(super) rest: String,
}

impl Directive {
    /// Reads a line; `None` for blank lines, comments, and lines that OpenSSH refuses (the program itself then fails,
    /// and its failure is what counts).
    pub(super) fn read(line: &str) -> Option<Self> {
        let line = line.trim_matches([' ', '\t', '\r', '\n', '\x0c']);
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (keyword, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => {
                let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
                line.split_at(end)
            }
        };
        let rest = rest.trim_start_matches([' ', '\t']);
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        Some(Self {
            keyword: keyword.to_ascii_lowercase(),
            arguments: split(rest)?,
            rest: rest.trim_start_matches([' ', '\t']).to_owned(),
        })
    }
}

/// Words as `argv_split` makes them: quotes of both kinds, backslashes before quotes, backslashes and blanks, and a
/// comment at the start of a word ends the line. `None` when a quote stays open.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match rest.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        loop {
            match (rest.next(), quote) {
                (None, None) => break,
                (None, Some(_)) => return None,
                (Some('\\'), _) => {
                    let escaped = rest.next_if(|&next| {
                        matches!(next, '\'' | '"' | '\\') || (quote.is_none() && next == ' ')
                    });
                    word.push(escaped.unwrap_or('\\'));
                }
                (Some(' ' | '\t'), None) => break,
                (Some(c @ ('"' | '\'')), None) => quote = Some(c),
                (Some(c), Some(open)) if c == open => quote = None,
                (Some(c), _) => word.push(c),
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, Vec<String>)> {
        Directive::read(line).map(|it| (it.keyword, it.arguments))
    }

    #[test]
    fn every_way_to_write_a_setting() {
        for line in [
            "Port 22",
            "port=22",
            "PORT = 22",
            "  Port\t22  ",
            "Port \"22\"",
            "\"Port\" 22",
            "Port 22 # the usual one",
            "Port 22\r",
        ] {
            assert_eq!(
                read(line),
                Some(("port".into(), vec!["22".into()])),
                "{line}"
            );
        }
    }

    #[test]
    fn quotes_join_and_comments_end() {
        let (_, words) = read(r#"Match exec "test -f 'a b'" user a\ b #x y"#).unwrap();
        assert_eq!(words, ["exec", "test -f 'a b'", "user", "a b"]);
        assert_eq!(read("Host \"open"), None);
        assert_eq!(read("# Host a"), None);
        assert_eq!(read("   "), None);
    }
}
