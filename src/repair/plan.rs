//! A plan of repair: every effect that it will have, fully determined.
//!
//! A plan is data. It can be written to a file, reviewed, and applied as it is: each edit names the state that it
//! starts from, and a node that is not in that state any more refuses it. The only thing that a plan cannot hold is a
//! public key that does not exist yet; it is named by the [`NewKey`] that will make it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::Lane;

pub use super::text::{Bytes, Piece, Text};

/// Version of the JSON form of a plan. Raised when a field changes its meaning or goes away.
pub const PLAN_SCHEMA: u32 = 1;

/// Everything that one repair does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_SCHEMA`] of the clearway that made it.
    pub schema: u32,
    /// The inventory that it was made for, as an absolute path.
    pub inventory: String,
    /// Keys that nodes make for themselves, before any file is edited.
    pub keys: Vec<NewKey>,
    /// Private keys that go from one node to others, where a deployment insists on one key for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<KeyCopy>,
    /// Commands that set accounts right, run before any file is edited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<AccountCommand>,
    /// What is edited, for each node with at least one edit, in inventory order.
    pub nodes: Vec<NodePlan>,
    /// What changes of each sshd after that: it must read its configuration again for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sshd: Vec<SshdChange>,
    /// What of it belongs to a change of keys: old ones that new ones replace, and those that nobody trusts any more.
    #[serde(default, skip_serializing_if = "Turnover::is_empty")]
    pub turnover: Turnover,
    /// What clearway does not repair by itself, and what a person can do about it.
    pub left: Vec<Left>,
}

/// Names a [`NewKey`] within its plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub Arc<str>);

/// A key pair that is made on a node and whose private half stays there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// What edits call its public half.
    pub id: KeyId,
    /// Inventory name of the node that makes it.
    pub node: String,
    /// The private key file; nothing may be there. The public half goes beside it, as `ssh-keygen` does.
    pub target: Target,
    /// The account that owns it. The mode of the private key is always 0600.
    pub owner: Attributes,
    /// `ssh-keygen -t`, for example `ed25519`.
    pub key_type: String,
    /// `ssh-keygen -C`.
    pub comment: String,
    /// Why it is made.
    pub answers: Vec<Answers>,
}

/// A private key that is brought to a node which has none, only through the memory of whoever applies the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCopy {
    /// Where the key comes from.
    pub of: KeySource,
    /// Inventory name of the node that gets it.
    pub node: String,
    /// The private key file there; nothing may be there. The public half goes beside it.
    pub target: Target,
    /// The account that owns it. The mode of the private key is always 0600.
    pub owner: Attributes,
    /// Why it is brought there.
    pub answers: Vec<Answers>,
}

/// Where a copied private key comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// A key of this plan.
    New(KeyId),
    /// A key that a node has already.
    Existing {
        /// Inventory name of that node.
        node: String,
        /// The private key file there.
        target: Target,
        /// The account that owns it there.
        owner: Attributes,
        /// Its public half, `type base64`: what is copied must be this key.
        public: String,
    },
}

/// What a plan does to keys that are in use: one replaces another, or nobody trusts it any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turnover {
    /// The run that began the rotation that this plan is a step of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
    /// Nodes that the rotation does not wait for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// The keys that it renews.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renewed: Vec<RenewedKey>,
    /// The keys whose lines go, whoever wrote these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<RetiredKey>,
}

impl Turnover {
    /// Whether the plan has nothing to do with a change of keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A private key that a new one replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewedKey {
    /// What edits call the public half of the new one.
    pub id: KeyId,
    /// Inventory name of the node that has both.
    pub node: String,
    /// Where the old one is, and the new one will be.
    pub target: Target,
    /// Where the new one waits until then, in the same directory.
    pub next: String,
    /// The account that owns them.
    pub owner: Attributes,
    /// The public half of the old one, `type base64`.
    pub was: String,
    /// The public half of the new one; `None` while the plan is still to make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// Whether this plan gives the new one the old one's name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_place: bool,
    /// Why.
    pub answers: Vec<Answers>,
}

/// A key that is not to be trusted any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RetiredKey {
    /// Inventory name of the node whose key it is, or was.
    pub node: String,
    /// Its public half, `type base64`.
    pub public: String,
    /// Whether it is a host key: then lines of known_hosts go, else lines of authorized_keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub host: bool,
}

/// A command that sets an account right; run as root in its context, by words, never by a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountCommand {
    /// Inventory name of the node.
    pub node: String,
    /// Words that enter the context in which the account is meant; empty for the host itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// The command, word by word.
    pub words: Vec<String>,
    /// The command that takes it back.
    pub undo: Vec<String>,
    /// Why it is run.
    pub answers: Vec<Answers>,
}

/// The edits of one node, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePlan {
    /// Inventory name.
    pub node: String,
    /// Its edits: at most one for a target, directories before what is in them.
    pub edits: Vec<Edit>,
}

/// A change of an sshd that takes effect when it reads its configuration again. It is made as one: tested before, kept
/// only after a new login, taken back by the node itself where that login does not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshdChange {
    /// Inventory name.
    pub node: String,
    /// The sshd binary, an absolute path.
    pub binary: String,
    /// Its configuration file (`sshd -f`).
    pub config: String,
    /// The ports that it listens on.
    pub ports: Vec<u16>,
    /// Its files: all are changed, or none. Empty where something that it reads was changed before.
    pub edits: Vec<Edit>,
}

impl SshdChange {
    /// The way back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let mut back = self.clone();
        back.edits.reverse();
        for edit in &mut back.edits {
            std::mem::swap(&mut edit.before, &mut edit.after);
        }
        back
    }
}

/// A place on a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Words that enter the context in which the path is meant; empty for the host itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// Absolute path there, without symbolic links.
    pub path: String,
}

/// One change of one file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// What is changed.
    pub target: Target,
    /// What must be there for the edit to be made.
    pub before: FileState,
    /// What is there afterwards.
    pub after: FileState,
    /// The SELinux label that what is there then gets, where it has another one than the node's policy gives to its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Relabel>,
    /// Why it is changed; never empty.
    pub answers: Vec<Answers>,
}

/// Another SELinux label for something that stays, or whose bytes change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relabel {
    /// The label that it has, and that a file keeps when its bytes change.
    pub before: String,
    /// The label that it gets.
    pub after: String,
}

/// What is at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum FileState {
    /// Nothing.
    Absent,
    /// A directory.
    Directory {
        /// Owner and mode.
        #[serde(flatten)]
        attributes: Attributes,
    },
    /// A regular file.
    File {
        /// Owner and mode.
        #[serde(flatten)]
        attributes: Attributes,
        /// Its bytes.
        text: Text,
    },
    /// A regular file whose bytes the plan does not know, such as a private key; they stay what they are.
    Opaque {
        /// Owner and mode.
        #[serde(flatten)]
        attributes: Attributes,
    },
}

impl FileState {
    /// Owner and mode of what is there; `None` where nothing is.
    #[must_use]
    pub fn attributes(&self) -> Option<Attributes> {
        match self {
            Self::Absent => None,
            Self::Directory { attributes }
            | Self::File { attributes, .. }
            | Self::Opaque { attributes } => Some(*attributes),
        }
    }

    /// The same where the plan does not look at the bytes, whether or not it knows them.
    #[must_use]
    pub fn without_text(&self) -> Self {
        match self {
            Self::File { attributes, .. } => Self::Opaque {
                attributes: *attributes,
            },
            other => other.clone(),
        }
    }

    /// The bytes, where the plan knows them.
    #[must_use]
    pub fn text(&self) -> Option<&Text> {
        match self {
            Self::File { text, .. } => Some(text),
            Self::Absent | Self::Directory { .. } | Self::Opaque { .. } => None,
        }
    }
}

/// Owner and mode of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attributes {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, `0o7777`.
    pub mode: u32,
}

/// What an edit is good for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Answers {
    /// Code of the reason (`clearway reasons`).
    pub reason: String,
    /// The lane whose legs break for it.
    pub lane: Lane,
    /// Inventory name of the node on which ssh runs; `None` for every client of the server, or for many of them.
    pub client: Option<String>,
    /// Inventory name of the node that answers; `None` for every server of the client, or for many of them.
    pub server: Option<String>,
}

/// Something broken that clearway does not repair by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Code of the reason.
    pub reason: String,
    /// The legs that it breaks.
    pub legs: Vec<Answers>,
    /// Why clearway leaves it alone, in words.
    pub why: String,
    /// What a person can type.
    pub remedy: String,
}
