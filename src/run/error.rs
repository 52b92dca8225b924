//! What keeps a run from doing its work at all. A node that fails is no such thing: it is a row of the report.

use crate::ledger::LedgerError;
use crate::report::Report;

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
    /// `--pairs changed` without anything to compare with.
    #[error("nothing to compare with: {0}")]
    NothingToCompare(&'static str),
}
