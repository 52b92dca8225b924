//! Why a node does not do an edit.

use std::fmt;

/// Why a node refuses an edit or a key, or to take it back. Nothing is half done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Obstacle {
    /// It is not in the state that the plan starts from, nor in the one that it leads to.
    Changed,
    /// A symbolic link stands there, or on the way there.
    Link,
    /// The directory belongs to an account that the file has nothing to do with.
    Foreign,
    /// There is no such directory.
    Gone,
    /// The file or its directory is immutable (chattr(1)), or something else forbids root to change it.
    Immutable,
    /// The file system is mounted read-only.
    ReadOnly,
    /// There is no space or no inode left, or a quota is used up.
    DiskFull,
    /// The program may not do it.
    Denied,
    /// The file belongs to another account than the one that the context leads to, which is not root.
    NotRoot,
    /// A directory that was made is not empty any more.
    NotEmpty,
    /// A mount point that cannot be replaced or written in place.
    CrossDevice,
    /// Anything else; the detail says it.
    Failed,
}

impl Obstacle {
    /// Every obstacle.
    pub const ALL: [Self; 12] = [
        Self::Changed,
        Self::Link,
        Self::Foreign,
        Self::Gone,
        Self::Immutable,
        Self::ReadOnly,
        Self::DiskFull,
        Self::Denied,
        Self::NotRoot,
        Self::NotEmpty,
        Self::CrossDevice,
        Self::Failed,
    ];

    /// The word that the program and the ledger have for it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Link => "link",
            Self::Foreign => "foreign",
            Self::Gone => "gone",
            Self::Immutable => "immutable",
            Self::ReadOnly => "read-only",
            Self::DiskFull => "disk-full",
            Self::Denied => "denied",
            Self::NotRoot => "not-root",
            Self::NotEmpty => "not-empty",
            Self::CrossDevice => "cross-device",
            Self::Failed => "failed",
        }
    }

    /// The obstacle of this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code() == code)
    }

    /// What stands in the way, in words that follow the path.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Changed => "has changed since it was looked at",
            Self::Link => "is a symbolic link, or lies behind one",
            Self::Foreign => "lies in a directory of another account",
            Self::Gone => "lies in a directory that is not there",
            Self::Immutable => "is immutable (see `lsattr`), or may not be changed even by root",
            Self::ReadOnly => "is on a file system that is mounted read-only",
            Self::DiskFull => "is on a file system that is full",
            Self::Denied => "may not be changed by the control account",
            Self::NotRoot => {
                "belongs to another account than the one that its context leads to, and that is not root"
            }
            Self::NotEmpty => "is a directory in which there is something else by now",
            Self::CrossDevice => "is a mount point that cannot be replaced",
            Self::Failed => "could not be changed",
        }
    }
}

/// A refused edit or key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The path on the node.
    pub path: String,
    /// Why.
    pub obstacle: Obstacle,
    /// What the node says besides; any text.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.path, self.obstacle.words())?;
        match self.obstacle {
            // A raw state is for the ledger, not for people.
            Obstacle::Changed | Obstacle::Link | Obstacle::NotRoot => Ok(()),
            _ if self.detail.is_empty() => Ok(()),
            _ => write!(f, " ({})", self.detail),
        }
    }
}
