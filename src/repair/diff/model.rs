//! The parts of a diff.

use serde::Serialize;

use crate::repair::plan::{Answers, Attributes, Target};

/// The same change on some nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Folded {
    /// The nodes, folded: `cmp[001-016,018]`.
    pub nodes: String,
    /// How many these are.
    pub count: usize,
    /// Where.
    pub target: Target,
    /// What.
    pub change: Change,
    /// Lines that name a node and stand in the change of every node but that one: `clearway:` and the name of each node
    /// in [`Self::nodes`] stand for all of them, and each node is without its own.
    pub without_own: bool,
    /// Why, on the first of the nodes.
    pub answers: Vec<Answers>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Change {
    /// A directory is made.
    NewDirectory {
        /// Its owner and mode.
        attributes: Attributes,
    },
    /// Owner or mode change and nothing else.
    Attributes {
        /// What they were.
        before: Attributes,
        /// What they become.
        after: Attributes,
    },
    /// The SELinux label changes.
    Label {
        /// What it was.
        before: String,
        /// What it becomes: the one that the node's policy gives to the path.
        after: String,
    },
    /// A file is written.
    Text {
        /// Its owner and mode before; `None` if it is new.
        before: Option<Attributes>,
        /// Its owner and mode.
        after: Attributes,
        /// What changes in it.
        hunks: Vec<Hunk>,
    },
    /// A file or directory goes; it is kept beside its place until it is forgotten.
    Removed {
        /// What its owner and mode were.
        before: Attributes,
        /// The lines that it had.
        hunks: Vec<Hunk>,
    },
    /// A key pair is made.
    NewKey {
        /// `ssh-keygen -t`.
        key_type: String,
        /// Owner and mode of the private half.
        attributes: Attributes,
    },
    /// A key pair is brought from another node.
    CopiedKey {
        /// That node.
        from: String,
        /// The private key file there.
        source: Target,
        /// Owner and mode of the private half.
        attributes: Attributes,
    },
    /// A key that waits beside another one takes its name.
    RenewedKey {
        /// `SHA256:…` of the old one; empty where that cannot be read.
        was: String,
        /// Of the new one.
        becomes: String,
    },
    /// A command is run.
    Command {
        /// The command, word by word.
        words: Vec<String>,
        /// The command that takes it back.
        undo: Vec<String>,
    },
}

/// Lines that change, with some around them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hunk {
    /// Number of the first line in the old file, from 1; 0 where there is none.
    pub old_start: usize,
    /// How many lines of the old file.
    pub old_lines: usize,
    /// Number of the first line in the new file, from 1; 0 where there is none.
    pub new_start: usize,
    /// How many lines of the new file.
    pub new_lines: usize,
    /// The lines.
    pub lines: Vec<HunkLine>,
}

/// A line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HunkLine {
    /// Whether it stays, goes or comes.
    pub tag: Tag,
    /// The line without its `\n`, bytes that are not UTF-8 replaced. Written by nodes in part: escape it where it is shown.
    pub text: String,
    /// Whether it has no `\n`: the last line of its file.
    pub without_end: bool,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tag {
    /// It stays.
    Context,
    /// It goes.
    Removed,
    /// It comes.
    Added,
}

impl Tag {
    /// The sign in front of the line.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Context => ' ',
            Self::Removed => '-',
            Self::Added => '+',
        }
    }
}
