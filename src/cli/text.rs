//! Small pieces of text that several outputs share.

use jiff::Timestamp;

use crate::report::Counts;

/// `1 leg`, `78 legs`.
pub(super) fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// `78 broken, 3 unproven, 1482 verified`, or `all verified`.
pub(super) fn verdicts(counts: &Counts) -> String {
    let kinds = [
        (counts.broken, "broken"),
        (counts.unproven, "unproven"),
        (counts.predicted_only, "predicted only"),
        (counts.verified, "verified"),
        (counts.not_needed, "not needed"),
    ];
    let there: Vec<_> = kinds.iter().filter(|(number, _)| *number > 0).collect();
    match there.as_slice() {
        [] => "none".to_owned(),
        [(_, kind)] => format!("all {kind}"),
        several => {
            let several: Vec<_> = several
                .iter()
                .map(|(number, kind)| format!("{number} {kind}"))
                .collect();
            several.join(", ")
        }
    }
}

/// How long something took, from two stored times: `412 ms`, `12 s`, `3 min 07 s`. `None` for times that are none.
pub(super) fn duration(started: &str, finished: &str) -> Option<String> {
    let started: Timestamp = started.parse().ok()?;
    let finished: Timestamp = finished.parse().ok()?;
    let millis = u64::try_from(finished.duration_since(started).as_millis()).ok()?;
    Some(duration_of(millis))
}

/// A number of milliseconds as an operator would say it.
pub(super) fn duration_of(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..10_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        10_000..60_000 => format!("{} s", millis / 1_000),
        60_000..3_600_000 => format!("{} min {:02} s", millis / 60_000, millis % 60_000 / 1_000),
        _ => format!(
            "{} h {:02} min",
            millis / 3_600_000,
            millis % 3_600_000 / 60_000
        ),
    }
}

/// A moment as tables show it: to the second, in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A word such that a POSIX shell reads it as it is.
pub(super) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_an_operator_would() {
        for (millis, said) in [
            (0, "0 ms"),
            (412, "412 ms"),
            (1_950, "1.9 s"),
            (12_400, "12 s"),
            (187_000, "3 min 07 s"),
            (7_500_000, "2 h 05 min"),
        ] {
            assert_eq!(duration_of(millis), said);
        }
        assert_eq!(
            duration("2026-11-23T01:33:55Z", "2026-11-23T01:34:07Z").as_deref(),
            Some("12 s")
        );
        assert_eq!(duration("yesterday", "today"), None);
        assert_eq!(
            duration("2026-11-23T01:34:07Z", "2026-11-23T01:33:55Z"),
            None
        );
    }

    #[test]
    fn a_word_with_anything_special_is_quoted() {
        assert_eq!(shell_word("inventory/prod.yaml"), "inventory/prod.yaml");
        assert_eq!(shell_word("my cloud.yaml"), "'my cloud.yaml'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("cmp[001-040]"), "'cmp[001-040]'");
    }

    #[test]
    fn verdicts_are_listed_worst_first() {
        let counts = Counts {
            total: 5,
            verified: 3,
            broken: 1,
            unproven: 1,
            ..Counts::default()
        };
        assert_eq!(verdicts(&counts), "1 broken, 1 unproven, 3 verified");
        let counts = Counts {
            verified: 2,
            ..Counts::default()
        };
        assert_eq!(verdicts(&counts), "all verified");
        assert_eq!(verdicts(&Counts::default()), "none");
    }
}
