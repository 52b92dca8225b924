//! What keeps a run from doing its work at all. A node that fails is no such thing: it is a row of the report.

use crate::ledger::LedgerError;

/// A run could not be done.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger could not be used.
    #[error("failed to record the run")]
    Ledger(#[from] LedgerError),
    /// `--pairs changed` without anything to compare with.
    #[error("nothing to compare with: {0}")]
    NothingToCompare(&'static str),
}
