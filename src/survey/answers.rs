//! Answers of `ssh -G` and `sshd -T` that need not be asked for twice.
//!
//! Both print what a program makes of files. Where program and files are the very same, so is the answer, and most
//! nodes of a cloud are the same in this. The two cost as much CPU on a node as a login does.

use super::facts::{Content, FileFact, FileState};
use super::request::SurveyRequest;

/// Which program answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// `ssh -G` for [`super::BASE_NAME`].
    Ssh,
    /// `sshd -T` for a neutral connection.
    Sshd,
}

/// What a program answered on one node, and what must be the same on another so that it would answer the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAnswer {
    /// Which program.
    pub tool: Tool,
    /// The configuration files that it read, each behind a line that names it.
    pub files: String,
    /// Size and time of the program file, the account that ran it (`ssh`) or modes and owners of the host keys
    /// (`sshd`), and whether the kernel is in FIPS mode.
    pub key: String,
    /// What it printed.
    pub answer: Content,
    /// Which version it is.
    pub version: Option<String>,
}

/// How many answers of a program are sent along: a cloud has few kinds of nodes, and each one costs its length.
const SENT: usize = 4;
/// Longer configurations are asked for.
const FILES_MAX: usize = 32 << 10;

impl KnownAnswer {
    /// Whether another answer makes this one useless.
    #[must_use]
    pub fn same_question(&self, other: &Self) -> bool {
        self.tool == other.tool && self.files == other.files && self.key == other.key
    }
}

impl SurveyRequest {
    /// The answers that are sent along for a program, numbered from 1.
    pub(super) fn known_of(&self, tool: Tool) -> impl Iterator<Item = (usize, &KnownAnswer)> {
        let of_tool = self.known.iter().filter(move |answer| answer.tool == tool);
        of_tool
            .take(SENT)
            .enumerate()
            .map(|(i, answer)| (i + 1, answer))
    }
}

/// The text of configuration files as the node compares it: for each one the line that lists it (whose it is,
/// whether it can be read, its path), then its lines. `None` when the answer may depend on more than they say.
pub(super) fn comparable(tool: Tool, files: &[(&str, &FileFact)]) -> Option<String> {
    let mut text = String::new();
    for (listed, file) in files {
        text.push_str(listed);
        text.push('\n');
        match &file.state {
            FileState::Absent => {}
            FileState::Unreadable(_) => return None,
            FileState::Present { content, .. } => {
                let content = std::str::from_utf8(&content.as_ref()?.bytes).ok()?;
                if content.contains('\0') || !steady(tool, content) {
                    return None;
                }
                text.push_str(content);
                if !content.is_empty() && !content.ends_with('\n') {
                    text.push('\n');
                }
            }
        }
    }
    (text.len() <= FILES_MAX).then_some(text)
}

/// Whether nothing in it depends on the machine: no tokens or environment that ssh expands when it prints, no
/// conditions but names.
fn steady(tool: Tool, content: &str) -> bool {
    if tool == Tool::Sshd {
        return true;
    }
    let unsteady = |line: &str| {
        let line = line.trim_start().to_ascii_lowercase();
        let matches = ["exec", "localnetwork", "version", "command"];
        !line.starts_with('#')
            && (line.contains(['%', '$'])
                || line.starts_with("match") && matches.iter().any(|word| line.contains(word)))
    };
    !content.lines().any(unsteady)
}
