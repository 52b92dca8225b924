//! Evidence as lines. Whatever a node wrote is escaped here.

use crate::domain::{Evidence, KeySeen};
use crate::report::escape;

/// One piece of evidence as one line or more. Of what a program printed only the last `most` lines are shown, since
/// programs say last why they give up; JSON has them all.
pub(super) fn lines(evidence: &Evidence, most: usize) -> Vec<String> {
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
            shown.extend(last_lines(text, most));
            shown
        }
        Evidence::Log { node, text } => {
            let mut shown = vec![format!("log of {}:", escape::line(node))];
            shown.extend(last_lines(text, most));
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

fn last_lines(text: &str, most: usize) -> Vec<String> {
    let lines: Vec<_> = escape::lines(text).collect();
    let cut = lines.len().saturating_sub(most);
    let note = (cut > 0).then(|| format!("  … {cut} lines before"));
    let shown = lines[cut..].iter().map(|line| format!("  {line}"));
    note.into_iter().chain(shown).collect()
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
            lines(&output, 9),
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
            lines(&line, 9),
            ["cmp001:/home/a\\nb/.ssh/config:3: Host *\\u{202e}"]
        );
    }

    #[test]
    fn of_a_flood_the_end_is_shown_and_the_rest_is_counted() {
        let log = Evidence::Log {
            node: "cmp001".to_owned(),
            text: "banner\n".repeat(97) + "Host key verification failed.\n",
        };
        assert_eq!(
            lines(&log, 2),
            [
                "log of cmp001:",
                "  … 96 lines before",
                "  banner",
                "  Host key verification failed.",
            ]
        );
    }
}
