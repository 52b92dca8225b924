//! What is wrong with a plan.

use std::fmt;

/// A rule that a plan breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// The plan is not made as plans are made.
    Shape,
    /// Something is done without saying why.
    Unanswered,
    /// An edit does not start from what the survey found.
    Before,
    /// Something is edited that is no file of trust.
    Place,
    /// A line that is not clearway's is dropped, changed or moved.
    Unmanaged,
    /// A new line lets in, or vouches for, more than it should.
    Wide,
    /// Trust is given to a node, or for a name, that is out of scope.
    Scope,
    /// All keys of an account go away.
    Emptied,
    /// A mode or owner is looser than it must be.
    Modes,
    /// An SELinux label is not the one that the node's policy gives.
    Label,
    /// The control connection could be cut off.
    Control,
    /// A command, or what takes it back, is none that repair runs.
    Command,
    /// A private key would be overwritten, or go where it must not.
    PrivateKey,
}

/// One thing that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The rule.
    pub rule: Rule,
    /// The node.
    pub node: String,
    /// The path, if it is about one.
    pub path: Option<String>,
    /// The particulars.
    pub detail: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.node)?;
        if let Some(path) = &self.path {
            write!(f, ":{path}")?;
        }
        write!(f, ": {}", self.detail)
    }
}
