//! The part of a plan that concerns one node, with every byte known.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::super::plan::{
    Attributes, FileState, KeyId, KeySource, Piece, Plan, Relabel, Target, Text,
};
use super::state::Place;
use crate::repair::edit::without_empty_block;

/// Why a plan cannot be carried out on a node. No node is asked before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JobError {
    /// Not an absolute path in its simplest form.
    #[error("{node}: `{}` is not a plain absolute path", path.escape_debug())]
    Path {
        /// The node.
        node: String,
        /// What stands for a path.
        path: String,
    },
    /// One place twice.
    #[error("{node}: `{}` is edited twice", path.escape_debug())]
    Twice {
        /// The node.
        node: String,
        /// The path.
        path: String,
    },
    /// A directory that would become a file, or be removed, or the like.
    #[error("{node}: `{}` cannot become what the plan says from what it is", path.escape_debug())]
    Kind {
        /// The node.
        node: String,
        /// The path.
        path: String,
    },
    /// No SELinux label, or one for what is not there before and after.
    #[error("{node}: `{}` cannot get the label that the plan says", path.escape_debug())]
    Label {
        /// The node.
        node: String,
        /// The path.
        path: String,
    },
    /// A file that begins with a key that does not exist yet.
    #[error("{node}: what is in `{}` now is not known", path.escape_debug())]
    Unknown {
        /// The node.
        node: String,
        /// The path.
        path: String,
    },
    /// A key that is to be brought to other nodes, and that nobody has made.
    #[error("{node}: there is no key there that others could be given")]
    Source {
        /// The node, or the key.
        node: String,
    },
    /// A type that `ssh-keygen -t` is not asked for, or a comment that is not one line of plain text.
    #[error("{node}: the key for `{}` has a type or comment that is not used here", path.escape_debug())]
    Key {
        /// The node.
        node: String,
        /// The path.
        path: String,
    },
}

/// What is done on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub(super) node: String,
    pub(super) edits: Vec<EditJob>,
    /// Keys to make, then keys to bring there.
    pub(super) keys: Vec<KeyJob>,
    pub(super) commands: Vec<CommandJob>,
}

/// One command that sets an account right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandJob {
    pub(super) number: usize,
    pub(super) context: Vec<String>,
    pub(super) words: Vec<String>,
    pub(super) undo: Vec<String>,
}

/// One edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EditJob {
    /// Its place among the edits of the node's plan; of an implied one, the number of the key.
    pub(super) number: usize,
    /// Whether it is a directory that no edit names and a key needs: it is made where it is not there.
    pub(super) implied: bool,
    pub(super) target: Target,
    pub(super) before: Place,
    pub(super) after: Place,
    /// The label that it gets after that.
    pub(super) label: Option<Relabel>,
}

impl EditJob {
    /// Whether there is more to it than a label.
    pub(super) fn is_more(&self) -> bool {
        self.before != self.after
    }
}

/// One key pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyJob {
    pub(super) number: usize,
    pub(super) target: Target,
    pub(super) owner: Attributes,
    pub(super) origin: Origin,
    /// Its public half, where it has been made.
    pub(super) public: Option<String>,
}

impl KeyJob {
    /// Whether the node has made it itself.
    pub(super) fn is_own(&self) -> bool {
        matches!(self.origin, Origin::Made { .. } | Origin::Renewed { .. })
    }
}

/// Where a key pair comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is made on the node.
    Made {
        id: KeyId,
        key_type: String,
        comment: String,
    },
    /// It is there beside another one, whose name it takes.
    Renewed {
        id: KeyId,
        key_type: String,
        /// Its name until then.
        next: String,
        /// The public half of the other one.
        was: String,
    },
    /// It is brought there from another node.
    Brought(KeySource),
    /// It is there, and is brought to others.
    There,
}

/// Private halves of keys on their way from one node to others: in memory, and shown to nobody.
#[derive(Default)]
pub struct Secrets(pub(super) BTreeMap<usize, Vec<u8>>);

impl Secrets {
    /// Takes the private half of a key of a job, by the number of the key there.
    pub fn insert(&mut self, key: usize, private: Vec<u8>) {
        self.0.insert(key, private);
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Job {
    /// What the plan does on a node once these public keys (`type base64`) exist.
    ///
    /// Lines that wait for a key that could not be made are left out: the node of that key stays unknown to the others.
    ///
    /// # Errors
    /// The plan is not one that this version makes: see [`JobError`].
    pub fn new(plan: &Plan, node: &str, made: &BTreeMap<KeyId, String>) -> Result<Self, JobError> {
        let mut edits: Vec<EditJob> = Vec::new();
        let mut keys = Vec::new();
        let listed = plan.nodes.iter().filter(|it| it.node == node);
        for (number, edit) in listed.flat_map(|it| &it.edits).enumerate() {
            let path = plain_path(node, &edit.target)?;
            if edits.iter().any(|it| it.target == edit.target) {
                return Err(JobError::Twice {
                    node: node.to_owned(),
                    path,
                });
            }
            let unknown = || JobError::Unknown {
                node: node.to_owned(),
                path: path.clone(),
            };
            let before = place(&edit.before, made, Missing::Fails).ok_or_else(unknown)?;
            let after = place(&edit.after, made, Missing::LeftOut).ok_or_else(unknown)?;
            let waits = |text: &Text| {
                text.bytes(|id| made.get(id).map(String::as_bytes))
                    .is_none()
            };
            if edit.after.text().is_some_and(waits) && only_waited(&before, &after) {
                continue;
            }
            let possible = matches!(
                (&before, &after),
                (Place::Directory(_) | Place::Absent, Place::Directory(_))
                    | (Place::File(..), Place::Absent)
                    | (Place::Opaque(_), Place::Opaque(_))
                    | (Place::File(..) | Place::Absent, Place::File(..))
            );
            if !possible {
                return Err(JobError::Kind {
                    node: node.to_owned(),
                    path,
                });
            }
            if let Some(label) = &edit.label {
                let stays = before != Place::Absent && after != Place::Absent;
                if !stays || !is_label(&label.before) || !is_label(&label.after) {
                    return Err(JobError::Label {
                        node: node.to_owned(),
                        path,
                    });
                }
            }
            if before != after || edit.label.is_some() {
                edits.push(EditJob {
                    number,
                    implied: false,
                    target: edit.target.clone(),
                    before,
                    after,
                    label: edit.label.clone(),
                });
            }
        }
        for key in plan.keys.iter().filter(|it| it.node == node) {
            let path = plain_path(node, &key.target)?;
            let known = ["ed25519", "rsa", "ecdsa"].contains(&key.key_type.as_str());
            let plain = key.comment.len() <= 200
                && key
                    .comment
                    .bytes()
                    .all(|byte| (b' '..=b'~').contains(&byte));
            if !known || !plain {
                return Err(JobError::Key {
                    node: node.to_owned(),
                    path,
                });
            }
            keys.push(KeyJob {
                number: keys.len(),
                target: key.target.clone(),
                owner: key.owner,
                origin: Origin::Made {
                    id: key.id.clone(),
                    key_type: key.key_type.clone(),
                    comment: key.comment.clone(),
                },
                public: made.get(&key.id).cloned(),
            });
        }
        for copy in plan.copies.iter().filter(|it| it.node == node) {
            plain_path(node, &copy.target)?;
            keys.push(KeyJob {
                number: keys.len(),
                target: copy.target.clone(),
                owner: copy.owner,
                origin: Origin::Brought(copy.of.clone()),
                public: source_public(&copy.of, made),
            });
        }
        let renewed = plan.turnover.renewed.iter();
        for key in renewed.filter(|it| it.node == node && it.takes_place) {
            let path = plain_path(node, &key.target)?;
            let beside = key.next.rsplit_once('/');
            let same_place = beside.map(|it| it.0) == path.rsplit_once('/').map(|it| it.0);
            let (Some((_, next)), Some(public), true) = (beside, &key.public, same_place) else {
                return Err(JobError::Key {
                    node: node.to_owned(),
                    path,
                });
            };
            keys.push(KeyJob {
                number: keys.len(),
                target: key.target.clone(),
                owner: key.owner,
                origin: Origin::Renewed {
                    id: key.id.clone(),
                    key_type: key_type(public).to_owned(),
                    next: next.to_owned(),
                    was: key.was.clone(),
                },
                public: Some(public.clone()),
            });
        }
        let listed = plan.commands.iter().filter(|it| it.node == node);
        let commands = listed
            .enumerate()
            .map(|(number, it)| CommandJob {
                number,
                context: it.context.clone(),
                words: it.words.clone(),
                undo: it.undo.clone(),
            })
            .collect();
        Ok(Self {
            node: node.to_owned(),
            edits,
            keys,
            commands,
        })
    }

    /// What is done where a key comes from that others are to have: it is read there.
    ///
    /// # Errors
    /// The plan does not say where it is.
    pub fn source(
        plan: &Plan,
        of: &KeySource,
        made: &BTreeMap<KeyId, String>,
    ) -> Result<Self, JobError> {
        let unknown = |node: &str| JobError::Source {
            node: node.to_owned(),
        };
        let (node, target, owner) = match of {
            KeySource::Existing {
                node,
                target,
                owner,
                ..
            } => (node, target, *owner),
            KeySource::New(id) => {
                let key = plan.keys.iter().find(|it| it.id == *id);
                let key = key.ok_or_else(|| unknown(&id.0))?;
                (&key.node, &key.target, key.owner)
            }
        };
        plain_path(node, target)?;
        let public = source_public(of, made).ok_or_else(|| unknown(node))?;
        let key = KeyJob {
            number: 0,
            target: target.clone(),
            owner,
            origin: Origin::There,
            public: Some(public),
        };
        Ok(Self {
            node: node.clone(),
            edits: Vec::new(),
            keys: vec![key],
            commands: Vec::new(),
        })
    }

    /// The node that it is for.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Whether there are keys to make, or to put in the place of others.
    #[must_use]
    pub fn makes_keys(&self) -> bool {
        self.keys.iter().any(KeyJob::is_own)
    }

    /// The keys that are brought there: their numbers, and where they come from.
    pub fn brought_keys(&self) -> impl Iterator<Item = (usize, &KeySource)> {
        self.keys.iter().filter_map(|it| match &it.origin {
            Origin::Brought(of) => Some((it.number, of)),
            _ => None,
        })
    }

    /// Whether there is something to edit, or a command to run.
    #[must_use]
    pub fn edits_files(&self) -> bool {
        !self.edits.is_empty() || !self.commands.is_empty()
    }

    /// The id and type of a key that is made, by its number in an answer.
    #[must_use]
    pub fn key(&self, number: usize) -> Option<(&KeyId, &str)> {
        let key = self.keys.iter().find(|it| it.number == number)?;
        match &key.origin {
            Origin::Made { id, key_type, .. } | Origin::Renewed { id, key_type, .. } => {
                Some((id, key_type.as_str()))
            }
            _ => None,
        }
    }

    /// The path of an edit, by its number in an answer.
    #[must_use]
    pub fn path(&self, number: usize) -> Option<&str> {
        let edit = self.edits.iter().find(|it| it.number == number)?;
        Some(&edit.target.path)
    }

    /// The bytes that an edit leads to, by its number in an answer.
    #[must_use]
    pub fn bytes_after(&self, number: usize) -> Option<&[u8]> {
        self.edits
            .iter()
            .find(|it| it.number == number)?
            .after
            .bytes()
    }

    /// What is done for keys alone: them, and the directories that they need.
    pub(super) fn for_keys(&self, wanted: impl Fn(&KeyJob) -> bool) -> Self {
        let keys: Vec<_> = self.keys.iter().filter(|it| wanted(it)).cloned().collect();
        let needed = |edit: &EditJob| {
            edit.after.is_directory()
                && keys.iter().any(|key| {
                    key.target.context == edit.target.context
                        && is_below(&key.target.path, &edit.target.path)
                })
        };
        Self {
            node: self.node.clone(),
            edits: self.edits.iter().filter(|it| needed(it)).cloned().collect(),
            keys,
            commands: Vec::new(),
        }
        .with_implied()
    }

    /// With the directories that its keys need and no edit names.
    pub(super) fn with_implied(mut self) -> Self {
        let mut implied: Vec<EditJob> = Vec::new();
        for key in &self.keys {
            let Some((directory, _)) = key.target.path.rsplit_once('/') else {
                continue;
            };
            let target = Target {
                context: key.target.context.clone(),
                path: directory.to_owned(),
            };
            let mut named = self.edits.iter().chain(&implied);
            let there = matches!(key.origin, Origin::There | Origin::Renewed { .. })
                || directory.is_empty();
            if there || named.any(|edit| edit.target == target) {
                continue;
            }
            implied.push(EditJob {
                number: key.number,
                implied: true,
                target,
                before: Place::Absent,
                after: Place::Directory(Attributes {
                    mode: 0o700,
                    ..key.owner
                }),
                label: None,
            });
        }
        implied.append(&mut self.edits);
        self.edits = implied;
        self
    }
}

/// Whether a text can be an SELinux label: nothing in it that a shell or a program takes for something else.
fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:,-".contains(&byte);
    (1..256).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-')
}

/// `ssh-keygen -t` of a public key.
fn key_type(public: &str) -> &'static str {
    match public.split(' ').next().unwrap_or_default() {
        "ssh-rsa" => "rsa",
        kind if kind.starts_with("ecdsa-") => "ecdsa",
        _ => "ed25519",
    }
}

fn source_public(of: &KeySource, made: &BTreeMap<KeyId, String>) -> Option<String> {
    match of {
        KeySource::New(id) => made.get(id).cloned(),
        KeySource::Existing { public, .. } => Some(public.clone()),
    }
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Checks that a path is absolute, has no empty, `.` or `..` part, and nothing in it that a shell or a terminal reads.
fn plain_path(node: &str, target: &Target) -> Result<String, JobError> {
    let path = &target.path;
    let plain = path.len() < 4096
        && path.strip_prefix('/').is_some_and(|rest| {
            rest.split('/')
                .all(|part| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control))
        });
    if plain {
        Ok(path.clone())
    } else {
        Err(JobError::Path {
            node: node.to_owned(),
            path: path.clone(),
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Missing {
    /// A key that is missing makes the text unknown.
    Fails,
    /// The line with it is not written.
    LeftOut,
}

fn place(state: &FileState, made: &BTreeMap<KeyId, String>, missing: Missing) -> Option<Place> {
    Some(match state {
        FileState::Absent => Place::Absent,
        FileState::Directory { attributes } => Place::Directory(*attributes),
        FileState::Opaque { attributes } => Place::Opaque(*attributes),
        FileState::File { attributes, text } => {
            let key = |id: &KeyId| made.get(id).map(String::as_bytes);
            let bytes = match (text.bytes(key), missing) {
                (Some(bytes), _) => bytes,
                (None, Missing::Fails) => return None,
                (None, Missing::LeftOut) => without_missing(text, made),
            };
            Place::File(*attributes, bytes)
        }
    })
}

/// The bytes of a text without the lines that wait for a key that is not there.
fn without_missing(text: &Text, made: &BTreeMap<KeyId, String>) -> Vec<u8> {
    let mut lines: Vec<(Vec<u8>, bool)> = vec![(Vec::new(), true)];
    for piece in &text.0 {
        let bytes = match piece {
            Piece::Bytes(bytes) => &bytes.0[..],
            Piece::PublicKey(id) => match made.get(id) {
                Some(key) => key.as_bytes(),
                None => {
                    if let Some((_, whole)) = lines.last_mut() {
                        *whole = false;
                    }
                    continue;
                }
            },
        };
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            if lines.last().is_some_and(|(line, _)| line.ends_with(b"\n")) {
                lines.push((Vec::new(), true));
            }
            if let Some((line, _)) = lines.last_mut() {
                line.extend_from_slice(part);
            }
        }
        // A key behind a newline begins a line of its own.
        if lines.last().is_some_and(|(line, _)| line.ends_with(b"\n")) {
            lines.push((Vec::new(), true));
        }
    }
    let whole = lines.into_iter().filter(|(_, whole)| *whole);
    whole.flat_map(|(line, _)| line).collect()
}

/// Whether nothing is left of an edit whose lines had to be left out.
fn only_waited(before: &Place, after: &Place) -> bool {
    let Place::File(attributes, bytes) = after else {
        return false;
    };
    let bytes = without_empty_block(bytes);
    match before {
        Place::Absent => bytes.is_empty(),
        // A new block begins on a line of its own.
        Place::File(old, was) => {
            let same = bytes == *was || bytes.strip_suffix(b"\n") == Some(was);
            old == attributes && same
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repair::{Bytes, Edit, NewKey, NodePlan, PLAN_SCHEMA};

    const OWNER: Attributes = Attributes {
        uid: 1,
        gid: 1,
        mode: 0o600,
    };

    fn target(path: &str) -> Target {
        Target {
            context: Vec::new(),
            path: path.to_owned(),
        }
    }

    fn plan(edits: Vec<Edit>, keys: Vec<NewKey>) -> Plan {
        Plan {
            schema: PLAN_SCHEMA,
            inventory: "/i".to_owned(),
            keys,
            copies: Vec::new(),
            commands: Vec::new(),
            nodes: vec![NodePlan {
                node: "n".to_owned(),
                edits,
            }],
            sshd: Vec::new(),
            turnover: crate::repair::plan::Turnover::default(),
            left: Vec::new(),
        }
    }

    fn edit(path: &str, before: FileState, after: FileState) -> Edit {
        Edit {
            target: target(path),
            before,
            after,
            label: None,
            answers: Vec::new(),
        }
    }

    fn file(text: Text) -> FileState {
        FileState::File {
            attributes: OWNER,
            text,
        }
    }

    fn job(edit: Edit, made: &[(&str, &str)]) -> Result<Job, JobError> {
        let made = made
            .iter()
            .map(|(id, key)| (KeyId((*id).into()), (*key).to_owned()))
            .collect();
        Job::new(&plan(vec![edit], Vec::new()), "n", &made)
    }

    fn waiting() -> Text {
        let bytes = |text: &str| Piece::Bytes(Bytes::from(text.as_bytes()));
        let key = |id: &str| Piece::PublicKey(KeyId(id.into()));
        Text(vec![
            bytes("kept\n"),
            key("a"),
            bytes(" one\nrestrict "),
            key("b"),
            bytes(" two\nlast"),
        ])
    }

    #[test]
    fn lines_of_keys_that_could_not_be_made_are_left_out() {
        for (made, expected) in [
            (
                &[("a", "A"), ("b", "B")][..],
                "kept\nA one\nrestrict B two\nlast",
            ),
            (&[("a", "A")], "kept\nA one\nlast"),
            (&[("b", "B")], "kept\nrestrict B two\nlast"),
            (&[], "kept\nlast"),
        ] {
            let job = job(edit("/f", FileState::Absent, file(waiting())), made).unwrap();
            assert_eq!(job.bytes_after(0), Some(expected.as_bytes()));
        }
    }

    #[test]
    fn an_edit_that_only_waited_for_such_a_key_is_none() {
        const BEGIN: &str = "# clearway: begin\n";
        const END: &str = "# clearway: end\n";
        let waiting = |before: &str, after: &str| {
            let bytes = |text: &str| Piece::Bytes(Bytes::from(text.as_bytes()));
            let key = Piece::PublicKey(KeyId("a".into()));
            file(Text(vec![bytes(before), key, bytes(after)]))
        };
        let known = |text: &str| file(Text::known(text.as_bytes()));
        let block = format!("{BEGIN}restrict ");
        let rest = format!(" one\n{END}");
        for (before, after) in [
            (known(""), waiting("", "")),
            (FileState::Absent, waiting(&block, &rest)),
            (known("old\n"), waiting(&format!("old\n{block}"), &rest)),
            (known("old"), waiting(&format!("old\n{block}"), &rest)),
            (
                known(&format!("{BEGIN}two\n{END}")),
                waiting(&format!("{BEGIN}two\nrestrict "), &rest),
            ),
        ] {
            let done = job(edit("/f", before.clone(), after.clone()), &[]).unwrap();
            assert!(!done.edits_files(), "{before:?} {after:?}");
        }
        // Something else goes, too.
        let gone = waiting(&block, &rest);
        assert!(
            job(edit("/f", known("old\n"), gone), &[])
                .unwrap()
                .edits_files()
        );
    }

    #[test]
    fn a_path_that_is_not_plain_is_refused() {
        for path in [
            "f",
            "",
            "/",
            "/a//b",
            "/a/../b",
            "/a/.",
            "/a/",
            "/a\nb",
            "/a\u{1b}[2J",
        ] {
            let refused = job(edit(path, FileState::Absent, file(Text::known(*b""))), &[]);
            assert!(matches!(refused, Err(JobError::Path { .. })), "{path:?}");
        }
    }

    #[test]
    fn a_directory_never_becomes_a_file_and_is_never_removed() {
        let directory = || FileState::Directory { attributes: OWNER };
        for (before, after) in [
            (directory(), FileState::Absent),
            (directory(), file(Text::known(*b""))),
            (file(Text::known(*b"")), directory()),
        ] {
            let refused = job(edit("/f", before, after), &[]);
            assert!(matches!(refused, Err(JobError::Kind { .. })));
        }
    }

    #[test]
    fn one_place_is_edited_once() {
        let once = || edit("/f", FileState::Absent, file(Text::known(*b"")));
        let refused = Job::new(
            &plan(vec![once(), once()], Vec::new()),
            "n",
            &BTreeMap::new(),
        );
        assert!(matches!(refused, Err(JobError::Twice { .. })));
    }

    #[test]
    fn only_usual_keys_with_plain_comments_are_made() {
        let key = |key_type: &str, comment: &str| NewKey {
            id: KeyId("k".into()),
            node: "n".to_owned(),
            target: target("/home/k"),
            owner: OWNER,
            key_type: key_type.to_owned(),
            comment: comment.to_owned(),
            answers: Vec::new(),
        };
        let made = |key| Job::new(&plan(Vec::new(), vec![key]), "n", &BTreeMap::new());
        assert!(made(key("ed25519", "nova@cmp001 (clearway)")).is_ok());
        for bad in [
            key("dsa", ""),
            key("-f/etc/x", ""),
            key("ed25519", "a\nssh-rsa"),
        ] {
            assert!(matches!(made(bad), Err(JobError::Key { .. })));
        }
    }
}
