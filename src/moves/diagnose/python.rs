//! The parts of a `ProcessExecutionError` (oslo_concurrency/processutils.py `ProcessExecutionError.__str__`):
//!
//! ```text
//! Unexpected error while running command.
//! Command: scp -r /…/disk 10.0.0.2:/…/disk
//! Exit code: 1
//! Stdout: ''
//! Stderr: 'Host key verification failed.\r\n'
//! ```
//!
//! Both streams are Python literals (`u'…'` in the days of Python 2), the last one cut when Nova has cut the text.

/// The parts; each one as far as it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) command: Option<String>,
    pub(super) exit_code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// Whether the text ends inside `Stderr`, or before it.
    pub(super) cut: bool,
}

/// Finds the parts in a text; `None` when there is no such error.
pub(super) fn read(text: &str) -> Option<Process> {
    // In JSON, in logs of one line and in shells the line breaks are written as `\n`.
    let text = if text.contains('\n') {
        text.to_owned()
    } else {
        text.replace("\\n", "\n")
    };
    let command = field(&text, "Command:")?;
    let command = command.lines().next().unwrap_or_default().trim().to_owned();
    let (stdout, _) = literal(field(&text, "Stdout:").unwrap_or_default());
    let (stderr, complete) = match field(&text, "Stderr:") {
        Some(rest) => literal(rest),
        None => (String::new(), false),
    };
    Some(Process {
        command: Some(command).filter(|command| !command.is_empty()),
        exit_code: field(&text, "Exit code:")
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok()),
        stdout,
        stderr,
        cut: !complete,
    })
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.split_once(name)
        .map(|(_, rest)| rest.trim_start_matches(' '))
}

/// A Python literal at the start of a text, unescaped, and whether its end is there. Text without quotes counts to the
/// end of its line.
fn literal(text: &str) -> (String, bool) {
    let bare = text.trim_start();
    let bare = bare
        .strip_prefix('u')
        .or_else(|| bare.strip_prefix('b'))
        .filter(|rest| rest.starts_with(['\'', '"', ' ']))
        .unwrap_or(bare)
        .trim_start_matches(' ');
    let Some(quote) = bare.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        // Nova's own guide shows `Stderr: u Host key verification failed.\r\n`, without quotes.
        let line = bare.lines().next().unwrap_or_default();
        return (line.replace("\\r", "").replace("\\n", "\n"), true);
    };
    let mut out = String::new();
    let mut chars = bare[1..].chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') | None => {}
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
            },
            c if c == quote => return (out, true),
            c => out.push(c),
        }
    }
    (out, false)
}
