//! The program for one node.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::job::{CommandJob, EditJob, Job, KeyJob, Origin, Secrets};
use super::printf::printf_format;
use crate::frame::{Nonce, prelude, sh_quote};

const NODE: &str = include_str!("program/node.sh");
const EDIT: &str = include_str!("program/edit.sh");

/// Programs that change who runs a command and not which files it sees. Files there are edited from outside, by root, who
/// can give them any owner.
const SAME_FILES: [&str; 5] = ["runuser", "setpriv", "sudo", "su", "env"];

/// What is done on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Make the keys, and the directories that they need.
    Keys,
    /// Bring the keys there that come from other nodes, with the directories that they need.
    Bring,
    /// Read a key that other nodes are to have.
    Fetch,
    /// Run the commands and make the edits, all of them or none.
    Apply,
    /// Put everything back as it was, keys too.
    Undo {
        /// Numbers of edits that the run is known to have written, whether or not their backup is still there.
        wrote: BTreeSet<usize>,
        /// Whether the commands may have been run.
        commands: bool,
    },
    /// Look how far the run came.
    Observe,
    /// Remove the backups.
    Forget,
}

impl Operation {
    pub(super) fn word(&self) -> &'static str {
        match self {
            // Both leave a key pair where none was.
            Self::Keys | Self::Bring => "keys",
            Self::Fetch => "fetch",
            Self::Apply => "apply",
            Self::Undo { .. } => "undo",
            Self::Observe => "observe",
            Self::Forget => "forget",
        }
    }
}

/// A program for one node: POSIX sh, to be run there as root.
///
/// It takes the node's lock, enters each context once, and cannot be ended by a connection that breaks off.
#[derive(Debug)]
pub struct Program {
    pub(super) operation: Operation,
    pub(super) nonce: Nonce,
    pub(super) parts: Vec<Part>,
    secrets: Secrets,
    run: String,
    who: String,
}

/// What is done in one context.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) words: Vec<String>,
    pub(super) edits: Vec<EditJob>,
    pub(super) keys: Vec<KeyJob>,
    pub(super) commands: Vec<CommandJob>,
}

impl Job {
    /// The program that does `operation` for the run of this id. `who` is told to another clearway that finds the node
    /// locked; `nonce` must be new for each program.
    #[must_use]
    pub fn program(&self, operation: Operation, run: &str, who: &str, nonce: Nonce) -> Program {
        self.program_with(operation, run, who, nonce, Secrets::default())
    }

    /// The same for [`Operation::Bring`], with the private halves of the keys to bring. A key without one is not brought.
    #[must_use]
    pub fn program_with(
        &self,
        operation: Operation,
        run: &str,
        who: &str,
        nonce: Nonce,
        secrets: Secrets,
    ) -> Program {
        let work = match operation {
            Operation::Keys => self.for_keys(KeyJob::is_own),
            Operation::Bring => self.for_keys(|key| secrets.0.contains_key(&key.number)),
            Operation::Apply => Self {
                keys: Vec::new(),
                ..self.clone()
            },
            Operation::Undo { commands: true, .. } => self.clone().with_implied(),
            _ => Self {
                commands: Vec::new(),
                ..self.clone()
            }
            .with_implied(),
        };
        let mut parts: Vec<Part> = Vec::new();
        for command in work.commands {
            part_of(&mut parts, &command.context).commands.push(command);
        }
        for edit in work.edits {
            part_of(&mut parts, &edit.target.context).edits.push(edit);
        }
        for key in work.keys {
            part_of(&mut parts, &key.target.context).keys.push(key);
        }
        // A name in files: whatever else it is, it is no path.
        let run = run
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        Program {
            operation,
            nonce,
            parts,
            secrets,
            run,
            who: who.to_owned(),
        }
    }
}

fn part_of<'a>(parts: &'a mut Vec<Part>, context: &[String]) -> &'a mut Part {
    let same_files = context.first().is_none_or(|word| {
        let program = word.rsplit('/').next().unwrap_or_default();
        SAME_FILES.contains(&program)
    });
    let words = if same_files { &[] } else { context };
    let at = parts.iter().position(|part| part.words == words);
    let at = at.unwrap_or_else(|| {
        parts.push(Part {
            words: words.to_vec(),
            edits: Vec::new(),
            keys: Vec::new(),
            commands: Vec::new(),
        });
        parts.len() - 1
    });
    &mut parts[at]
}

impl Program {
    /// Its text.
    #[must_use]
    pub fn script(&self) -> String {
        let mut text = prelude(&self.nonce);
        text.push_str("exec 3>&1 2>/dev/null </dev/null\numask 077\n");
        text.push_str(
            "PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
        );
        put(&mut text, "op", self.operation.word());
        put(&mut text, "who", &self.who);
        put(&mut text, "parts", &self.parts.len().to_string());
        put(&mut text, "cw_body", &stripped(EDIT));
        for (number, part) in self.parts.iter().enumerate() {
            let words: Vec<_> = part.words.iter().map(|word| sh_quote(word)).collect();
            put(&mut text, &format!("cw_words_{number}"), &words.join(" "));
            put(
                &mut text,
                &format!("cw_part_{number}"),
                &self.part(number, part),
            );
        }
        text.push_str(&stripped(NODE));
        text.push_str("node\nexit 0\n");
        text
    }

    /// How a part answers what it does.
    pub(super) fn part_nonce(&self, number: usize, does: &str) -> Nonce {
        self.nonce.child(&format!("{does} {number}"))
    }

    /// What a part is told before its body.
    fn part(&self, number: usize, part: &Part) -> String {
        let word = self.operation.word();
        let mut text = prelude(&self.part_nonce(number, word));
        if self.operation == Operation::Apply {
            // Taking back what this part did, because another one refused, is an answer of its own.
            let _ = writeln!(
                text,
                "[ $cw_op = apply ] || {{ cw_n={back}; cw_b='\nclearway/1 {back}\n'; }}",
                back = self.part_nonce(number, "back").as_str()
            );
        }
        put(&mut text, "run", &self.run);
        let mut directories: Vec<&str> = Vec::new();
        let mut calls = String::new();
        let mut relabels = String::new();
        let mut texts = String::new();
        for edit in &part.edits {
            let (directory, name) = split(&edit.target.path);
            let number = edit.number;
            let letter = if edit.implied { "i" } else { "" };
            add(&mut directories, directory);
            if edit.is_more() {
                let _ = writeln!(
                    calls,
                    "E {letter}{number} {} {} {} {}",
                    sh_quote(directory),
                    sh_quote(name),
                    edit.before.word(),
                    edit.after.word()
                );
            }
            if let Some(label) = &edit.label {
                let _ = writeln!(
                    relabels,
                    "L {number} {} {} {} {} {} {}",
                    sh_quote(directory),
                    sh_quote(name),
                    edit.before.word_without_bytes(),
                    edit.after.word_without_bytes(),
                    sh_quote(&label.before),
                    sh_quote(&label.after)
                );
            }
            let taking_back = matches!(self.operation, Operation::Undo { .. });
            if let Some(bytes) = edit
                .before
                .bytes()
                .filter(|_| taking_back && edit.is_more())
            {
                let _ = writeln!(texts, "b{number}() {{ printf {}; }}", printf_format(bytes));
            }
            let writing = self.operation == Operation::Apply;
            if let Some(bytes) = edit.after.bytes().filter(|_| writing && edit.is_more()) {
                let _ = writeln!(texts, "c{number}() {{ printf {}; }}", printf_format(bytes));
            }
        }
        let _ = write!(
            text,
            "{texts}edits() {{\n{calls}:\n}}\nlabels() {{\n{relabels}:\n}}\nkeys() {{\n"
        );
        for key in &part.keys {
            let (directory, name) = split(&key.target.path);
            add(&mut directories, directory);
            let (key_type, comment, next) = match &key.origin {
                Origin::Made {
                    key_type, comment, ..
                } => (key_type.as_str(), comment.as_str(), ""),
                Origin::Renewed { next, was, .. } => ("renew", was.as_str(), next.as_str()),
                Origin::Brought(_) | Origin::There => ("copy", "", ""),
            };
            let _ = writeln!(
                text,
                "K {} {} {} {}:{} {} {} {} {}",
                key.number,
                sh_quote(directory),
                sh_quote(name),
                key.owner.uid,
                key.owner.gid,
                sh_quote(key_type),
                sh_quote(comment),
                sh_quote(key.public.as_deref().unwrap_or_default()),
                sh_quote(next),
            );
        }
        text.push_str(":\n}\n");
        for key in &part.keys {
            if let Some(private) = self.secrets.0.get(&key.number) {
                let format = printf_format(private);
                let _ = writeln!(text, "k{}() {{ printf {format}; }}", key.number);
            }
        }
        let line = |letter: &str, number: usize, words: &[String]| {
            let words: Vec<_> = words.iter().map(|word| sh_quote(word)).collect();
            format!("{letter} {number} {}\n", words.join(" "))
        };
        text.push_str("commands() {\n");
        for it in &part.commands {
            text.push_str(&line("X", it.number, &it.words));
        }
        text.push_str(":\n}\ncommands_back() {\n");
        for it in part.commands.iter().rev() {
            text.push_str(&line("U", it.number, &it.undo));
        }
        text.push_str(":\n}\n");
        let numbers: Vec<_> = (0..directories.len()).map(|it| it.to_string()).collect();
        put(&mut text, "dirs", &numbers.join(" "));
        for (number, directory) in directories.iter().enumerate() {
            put(&mut text, &format!("cw_dir_{number}"), directory);
        }
        let wrote = match &self.operation {
            Operation::Undo { wrote, .. } => wrote.iter().map(|it| format!(" {it}")).collect(),
            _ => String::new(),
        };
        put(&mut text, "cw_wrote", &format!("{wrote} "));
        text
    }
}

fn add<'a>(directories: &mut Vec<&'a str>, directory: &'a str) {
    if !directories.contains(&directory) {
        directories.push(directory);
    }
}

/// A path as its directory and its name there.
fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None => ("/", path),
    }
}

fn put(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name}={}", sh_quote(value));
}

/// A script without its comments and indentation, which a node has no use for.
fn stripped(script: &str) -> String {
    script
        .lines()
        .map(|line| line.trim_start_matches('\t'))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .fold(String::with_capacity(script.len()), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        })
}
