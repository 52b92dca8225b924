//! The journal of a repair: a record is on disk before what it announces begins.

use tokio::sync::Mutex;

use crate::ledger::Ledger;
use crate::repair::{Progress, Record};
use crate::run::RunError;
use crate::system;

/// Writes records, guarded by the function that replays them.
pub(super) struct RepairJournal {
    ledger: Ledger,
    run: String,
    state: Mutex<(Progress, u64)>,
}

impl RepairJournal {
    /// Goes on behind `written` records that led to `progress`.
    pub(super) fn new(ledger: Ledger, run: String, progress: Progress, written: u64) -> Self {
        Self {
            ledger,
            run,
            state: Mutex::new((progress, written)),
        }
    }

    /// Writes a record. It is on disk when this returns.
    pub(super) async fn record(&self, record: &Record) -> Result<(), RunError> {
        let mut state = self.state.lock().await;
        state.0.may_follow(record)?;
        let seq = state.1 + 1;
        self.ledger
            .record_repair(&self.run, seq, system::now(), record)
            .await?;
        state.0.advance(record)?;
        state.1 = seq;
        Ok(())
    }

    /// How far it has come.
    pub(super) async fn progress(&self) -> Progress {
        self.state.lock().await.0.clone()
    }

    /// Closes the run, if every node has its end. Whether it is closed now.
    pub(super) async fn close(&self) -> Result<bool, RunError> {
        let progress = self.progress().await;
        if progress.is_closed() {
            return Ok(true);
        }
        if !progress.can_close() {
            return Ok(false);
        }
        self.record(&Record::Closed).await?;
        Ok(true)
    }
}
