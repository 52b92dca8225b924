//! Evidence as lines. Whatever a node wrote is escaped here.

use crate::domain::{Evidence, KeySeen};
use crate::report::escape;

/// At most so many lines of one output are shown; JSON has them all.
const MAX_LINES: usize = 12;

/// One piece of evidence as one line or more.
pub(super) fn lines(evidence: &Evidence) -> Vec<String> {
    match evidence {
        Evidence::FileLine {
            node,
            path,
            line,
            note,
        } => {
            let place = match line {
                Some(line) => format!("{}:{line}", escape::line(path)),
                None => escape::line(path).into_owned(),
            };
            vec![format!(
                "{}:{place}: {}",
                escape::line(node),
                escape::line(note)
            )]
        }
        Evidence::Key {
            seen,
            node,
            key_type,
            fingerprint,
            path,
        } => {
            let node = escape::line(node);
            let seen = match seen {
                KeySeen::Recorded => format!("recorded on {node}"),
                KeySeen::Served => format!("served by {node}"),
                KeySeen::OnDisk => format!("on the disk of {node}"),
                KeySeen::Offered => format!("offered by {node}"),
                KeySeen::Authorized => format!("authorised on {node}"),
            };
            let path = path
                .as_deref()
                .map_or_else(String::new, |path| format!("  {}", escape::line(path)));
            vec![format!(
                "{seen}: {} {}{path}",
                escape::line(key_type),
                escape::line(fingerprint)
            )]
        }
        Evidence::Output {
            node,
            command,
            status,
            text,
        } => {
            let status = match status {
                Some(status) => format!("exit {status}"),
                None => "cut off".to_owned(),
            };
            let mut shown = vec![format!(
                "{}$ {}  ({status})",
                escape::line(node),
                escape::line(command)
            )];
            shown.extend(indented(text));
            shown
        }
        Evidence::Log { node, text } => {
            let mut shown = vec![format!("log of {}:", escape::line(node))];
            shown.extend(indented(text));
            shown
        }
        Evidence::Fact { node, text } => {
            let node = node
                .as_deref()
                .map_or_else(String::new, |node| format!("{}: ", escape::line(node)));
            vec![format!("{node}{}", escape::line(text))]
        }
    }
}

fn indented(text: &str) -> Vec<String> {
    let mut shown: Vec<String> = escape::lines(text)
        .take(MAX_LINES)
        .map(|line| format!("  {line}"))
        .collect();
    let more = text
        .trim_end_matches(['\n', '\r'])
        .lines()
        .count()
        .saturating_sub(MAX_LINES);
    if more > 0 {
        shown.push(format!("  … {more} more lines"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_wrote_can_neither_move_the_cursor_nor_pass_for_our_own_words() {
        let output = Evidence::Output {
            node: "cmp001".to_owned(),
            command: "ssh 10.0.0.2 true".to_owned(),
            status: Some(255),
            text: "Permission denied\r\n\u{1b}[1A\u{1b}[2Kverified\n".to_owned(),
        };
        assert_eq!(
            lines(&output),
            [
                "cmp001$ ssh 10.0.0.2 true  (exit 255)",
                "  Permission denied",
                "  \\u{1b}[1A\\u{1b}[2Kverified",
            ]
        );
        let line = Evidence::FileLine {
            node: "cmp001".to_owned(),
            path: "/home/a\nb/.ssh/config".to_owned(),
            line: Some(3),
            note: "Host *\u{202e}".to_owned(),
        };
        assert_eq!(
            lines(&line),
            ["cmp001:/home/a\\nb/.ssh/config:3: Host *\\u{202e}"]
        );
    }

    #[test]
    fn a_flood_is_cut_and_says_so() {
        let log = Evidence::Log {
            node: "cmp001".to_owned(),
            text: "line\n".repeat(100),
        };
        let lines = lines(&log);
        assert_eq!(lines.len(), 1 + MAX_LINES + 1);
        assert_eq!(lines.last().unwrap(), "  … 88 more lines");
    }
}
