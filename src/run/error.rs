//! What keeps a run from doing its work at all. A node that fails is no such thing: it is a row of the report.

use std::path::PathBuf;

use crate::ledger::LedgerError;
use crate::repair::IllegalRecord;
use crate::report::Report;
use crate::signer::SignerError;

/// A run could not be done.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger could not be used.
    #[error("failed to record the run")]
    Ledger(#[from] LedgerError),
    /// The run came to its end, but the ledger does not have all of it.
    #[error("failed to record the run, whose report is whole")]
    Unrecorded {
        /// What it found.
        report: Box<Report>,
        /// Why it is not in the ledger.
        source: LedgerError,
    },
    /// A plan that this version would not make, or not for this inventory.
    #[error("the plan cannot be carried out: {0}")]
    Plan(String),
    /// The plan that clearway made breaks one of its own rules.
    #[error("this is an error in clearway, and nothing was changed: its plan breaks a rule: {}", .0.join("; "))]
    Complaints(Vec<String>),
    /// The plan takes away the key with which clearway itself logs in.
    #[error("nothing was changed: the plan would cut clearway off: {}", .0.join("; "))]
    CutsOff(Vec<String>),
    /// A plan that was reviewed does not fit the nodes any more.
    #[error("nothing was changed: {} since the plan was made", changed(.0))]
    Changed(Vec<String>),
    /// The journal of a repair and what is to be written to it do not fit.
    #[error("the journal of the repair does not fit")]
    Journal(#[from] IllegalRecord),
    /// A certificate was not signed, or no list of revoked keys made.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The list of everything revoked is not the one that nodes' lists were made from.
    #[error("nothing was changed: nodes refuse what is not in the list of everything revoked, {}: {}", .list.display(), .entries.join("; "))]
    Unlisted {
        /// The file that was read.
        list: PathBuf,
        /// What it lacks, each with the nodes.
        entries: Vec<String>,
    },
    /// The authority is not the one that the fleet trusts.
    #[error(
        "nothing was changed: another authority than this one is trusted on {0}, and this one nowhere"
    )]
    OtherAuthority(String),
    /// The plan would lose legs.
    #[error("{} legs that work would be lost, so nothing was changed: {}", .0.len(), .0.join("; "))]
    Loses(Vec<String>),
    /// There is no repair to undo or to resume.
    #[error("{0}")]
    NoRepair(String),
    /// `--pairs changed` without anything to compare with.
    #[error("nothing to compare with: {0}")]
    NothingToCompare(&'static str),
}

fn changed(paths: &[String]) -> String {
    match paths {
        [one] => format!("{one} has changed"),
        several => format!("{} have changed", several.join(", ")),
    }
}
