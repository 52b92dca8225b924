//! Answers of `ssh -G` and `sshd -T` that need not be asked for twice.
//!
//! Both print what a program makes of files. Where program and files are the very same, so is the answer, and most
//! nodes of a cloud are the same in this. The two cost as much CPU on a node as a login does.
//!
//! A node may lie, and its lie must not become another node's fact. So an answer counts for others only when several
//! nodes, which the controller picked at random before it asked anything, gave it independently and to the byte, and
//! none of them another one ([`agreed`]). A node whose program or files differ asks for itself, and what a proof finds
//! never depends on any of this.

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
    fn same_question(&self, other: &Self) -> bool {
        self.tool == other.tool && self.files == other.files && self.key == other.key
    }
}

/// How many nodes have to have given an answer before it counts for others.
pub const QUORUM: usize = 3;

/// The answers that may stand for those of other nodes, from what each node of a sample answered: those that
/// [`QUORUM`] nodes gave alike, when no node gave another answer to the same question.
///
/// However often a node says something, it is one node.
#[must_use]
pub fn agreed(samples: &[Vec<KnownAnswer>]) -> Vec<KnownAnswer> {
    let mut agreed: Vec<KnownAnswer> = Vec::new();
    for candidate in samples.iter().flatten() {
        if agreed.iter().any(|it| it.same_question(candidate)) {
            continue;
        }
        let of_it = |sample: &&Vec<KnownAnswer>| sample.iter().any(|it| it == candidate);
        let all = samples.iter().flatten();
        let disputed = all
            .filter(|it| it.same_question(candidate))
            .any(|it| it != candidate);
        if !disputed && samples.iter().filter(of_it).count() >= QUORUM {
            agreed.push(candidate.clone());
        }
    }
    agreed
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

#[cfg(test)]
mod tests {
    use super::super::ContentPool;
    use super::*;

    /// A node's answer to a question about these files.
    fn says(files: &str, answer: &str) -> KnownAnswer {
        KnownAnswer {
            tool: Tool::Ssh,
            files: files.to_owned(),
            key: "1 2 root:0:/root 0".to_owned(),
            answer: ContentPool::new().content(answer.as_bytes()),
            version: None,
        }
    }

    #[test]
    fn an_answer_counts_for_others_when_enough_nodes_gave_it_and_none_another() {
        let (right, lie) = (says("a", "port 22"), says("a", "port 666"));
        let other = says("b", "port 22");
        let node = |answers: &[&KnownAnswer]| answers.iter().map(|&it| it.clone()).collect();
        let cases: [(&str, Vec<Vec<KnownAnswer>>, usize); 7] = [
            ("nobody", vec![], 0),
            ("two", vec![node(&[&right]); 2], 0),
            ("three", vec![node(&[&right]); 3], 1),
            (
                "one repeats itself",
                vec![node(&[&lie, &lie, &lie, &lie]), node(&[]), node(&[])],
                0,
            ),
            (
                "three, and one differs",
                [vec![node(&[&right]); 3], vec![node(&[&lie])]].concat(),
                0,
            ),
            (
                "three, and one says both",
                [vec![node(&[&right]); 2], vec![node(&[&right, &lie])]].concat(),
                0,
            ),
            (
                "three of the four have other files",
                [vec![node(&[&right]); 1], vec![node(&[&other]); 3]].concat(),
                1,
            ),
        ];
        for (what, samples, expected) in cases {
            assert_eq!(agreed(&samples).len(), expected, "{what}");
        }
    }

    #[test]
    fn another_version_is_another_answer() {
        let one = says("a", "port 22");
        let mut other = one.clone();
        other.version = Some("OpenSSH_9.9".to_owned());
        let samples = [vec![one.clone()], vec![one.clone()], vec![one], vec![other]];
        assert!(agreed(&samples).is_empty());
    }
}
