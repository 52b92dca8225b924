//! Wildcard patterns and comma-separated pattern lists, as OpenSSH's `match.c` matches them (ssh_config(5), PATTERNS).

/// What a pattern list says about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListMatch {
    /// A negated pattern matched: the name is refused, whatever else matches.
    Negated,
    /// At least one plain pattern matched and no negated one did.
    Matched,
    /// No pattern matched. A list of negated patterns only can never say more than this.
    Unmatched,
}

/// Whether letters of the patterns are folded to lower case before they are compared (the name must be lower case already).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternCase {
    /// Compare as written: user and group names, algorithm names.
    Sensitive,
    /// Fold the pattern: host names.
    LowerPattern,
}

/// A pattern of a list that is this long or longer makes OpenSSH give up on the whole list.
const LONGEST_IN_LIST: usize = 1023;

/// Whether the text matches one pattern: `*` is any run of characters, `?` exactly one; no other character is special.
#[must_use]
pub fn match_pattern(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut want) = (0, 0);
    // Where to resume when a later literal fails: behind the last `*`, having let it swallow one character more.
    let mut resume: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(want) {
            Some(b'*') => {
                resume = Some((at, want + 1));
                want += 1;
            }
            Some(b'?') => {
                at += 1;
                want += 1;
            }
            Some(literal) if *literal == text[at] => {
                at += 1;
                want += 1;
            }
            _ => match resume {
                Some((swallowed, behind_star)) => {
                    resume = Some((swallowed + 1, behind_star));
                    at = swallowed + 1;
                    want = behind_star;
                }
                None => return false,
            },
        }
    }
    pattern[want..].iter().all(|byte| *byte == b'*')
}

/// Matches a name against a comma-separated list in which `!` negates a pattern.
///
/// As in OpenSSH, patterns are tried in order, the first negated match ends the search, and a pattern of 1,023 characters or
/// more ends it as [`ListMatch::Unmatched`], even when an earlier one matched.
#[must_use]
pub fn match_pattern_list(text: &[u8], list: &[u8], case: PatternCase) -> ListMatch {
    let mut matched = false;
    for item in list_items(list) {
        let (negated, pattern) = split_negation(item);
        if pattern.len() >= LONGEST_IN_LIST {
            return ListMatch::Unmatched;
        }
        let hit = match case {
            PatternCase::Sensitive => match_pattern(text, pattern),
            PatternCase::LowerPattern if pattern.iter().any(u8::is_ascii_uppercase) => {
                match_pattern(text, &pattern.to_ascii_lowercase())
            }
            PatternCase::LowerPattern => match_pattern(text, pattern),
        };
        match (hit, negated) {
            (true, true) => return ListMatch::Negated,
            (true, false) => matched = true,
            (false, _) => {}
        }
    }
    if matched {
        ListMatch::Matched
    } else {
        ListMatch::Unmatched
    }
}

/// Matches a host name, in any case, against a pattern list (`match_hostname`).
#[must_use]
pub fn match_hostname(host: &[u8], list: &[u8]) -> ListMatch {
    match_pattern_list(&host.to_ascii_lowercase(), list, PatternCase::LowerPattern)
}

/// The items of a list as `match_pattern_list` walks it: a comma at the very end opens no further, empty item.
pub(crate) fn list_items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let has_items = !list.is_empty();
    let list = list.strip_suffix(b",").unwrap_or(list);
    list.split(|byte| *byte == b',').filter(move |_| has_items)
}

/// Splits the leading `!` off an item.
pub(crate) fn split_negation(item: &[u8]) -> (bool, &[u8]) {
    match item.strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_openssh() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("a", "", false),
            ("", "a", false),
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("abc", "a?c", true),
            ("ac", "a?c", false),
            ("", "*", true),
            ("", "?", false),
            ("abc", "*", true),
            ("abc", "a*", true),
            ("abc", "*c", true),
            ("abc", "*b", false),
            ("abcbc", "*bc", true),
            ("aXbXc", "a*X*c", true),
            ("abc", "***", true),
            ("abc", "a**c", true),
            ("[node2]:8022", "[node2]:8022", true),
            ("ABC", "abc", false),
            ("a.b", "a?b", true),
            ("mississippi", "m*iss*ip*i", true),
            ("mississippi", "m*iss*ipx*i", false),
        ] {
            assert_eq!(
                match_pattern(text.as_bytes(), pattern.as_bytes()),
                expected,
                "{text} ~ {pattern}"
            );
        }
    }

    #[test]
    fn negation_wins_wherever_it_stands() {
        let list = |text: &str, list: &str| match_hostname(text.as_bytes(), list.as_bytes());
        assert_eq!(list("node2", "node*,!node2"), ListMatch::Negated);
        assert_eq!(list("node2", "!node2,node*"), ListMatch::Negated);
        assert_eq!(list("node3", "!node2,node*"), ListMatch::Matched);
        assert_eq!(list("node3", "!node2"), ListMatch::Unmatched);
        assert_eq!(list("NODE3", "Node3"), ListMatch::Matched);
        assert_eq!(list("node3", ""), ListMatch::Unmatched);
        assert_eq!(
            list("", "a,,b"),
            ListMatch::Matched,
            "an empty item matches the empty name"
        );
        assert_eq!(list("", ","), ListMatch::Matched);
        assert_eq!(
            list("", "a,"),
            ListMatch::Unmatched,
            "a comma at the end opens no item"
        );
    }

    #[test]
    fn an_overlong_pattern_spoils_its_list() {
        let long = format!("node2,{}", "x".repeat(LONGEST_IN_LIST));
        assert_eq!(
            match_hostname(b"node2", long.as_bytes()),
            ListMatch::Unmatched
        );
        let fits = format!("node2,{}", "x".repeat(LONGEST_IN_LIST - 1));
        assert_eq!(
            match_hostname(b"node2", fits.as_bytes()),
            ListMatch::Matched
        );
    }

    /// The textbook definition, exponential but plain.
    fn by_definition(text: &[u8], pattern: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|skip| by_definition(&text[skip..], rest)),
            Some((b'?', rest)) => !text.is_empty() && by_definition(&text[1..], rest),
            Some((byte, rest)) => text.first() == Some(byte) && by_definition(&text[1..], rest),
        }
    }

    proptest! {
        #[test]
        fn matching_follows_the_definition(text in "[ab]{0,8}", pattern in "[ab*?]{0,7}") {
            prop_assert_eq!(
                match_pattern(text.as_bytes(), pattern.as_bytes()),
                by_definition(text.as_bytes(), pattern.as_bytes())
            );
        }
    }
}
