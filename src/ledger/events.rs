//! The events of a run, in order.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row};

use super::error::LedgerError;
use super::open::Ledger;
use super::runs::{stored_time, time};

/// Rows per statement: well below SQLite's limit of 32,766 values.
pub(super) const CHUNK: usize = 500;

/// An event as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place among the events of the run, from 1.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The event as JSON.
    pub json: String,
}

impl Ledger {
    /// Adds events to a run, all or none.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn append(&self, run: &str, events: &[StoredEvent]) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::database(self.path(), "write", source);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        for chunk in events.chunks(CHUNK) {
            QueryBuilder::new("INSERT INTO events (run, seq, at, event) ")
                .push_values(chunk, |mut row, event| {
                    row.push_bind(run)
                        .push_bind(i64::try_from(event.seq).unwrap_or(i64::MAX))
                        .push_bind(stored_time(event.at))
                        .push_bind(&event.json);
                })
                .build()
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// The events of a run, in order.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn events(&self, run: &str) -> Result<Vec<StoredEvent>, LedgerError> {
        self.events_after(run, 0).await
    }

    /// The events of a run behind one of them, in order.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn events_after(&self, run: &str, seq: u64) -> Result<Vec<StoredEvent>, LedgerError> {
        let rows =
            sqlx::query("SELECT seq, at, event FROM events WHERE run = ? AND seq > ? ORDER BY seq")
                .bind(run)
                .bind(i64::try_from(seq).unwrap_or(i64::MAX))
                .fetch_all(&self.pool)
                .await
                .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        rows.iter()
            .map(|row| {
                Ok(StoredEvent {
                    seq: u64::try_from(row.get::<i64, _>("seq")).unwrap_or_default(),
                    at: time(self.path(), run, row.get("at"))?,
                    json: row.get("event"),
                })
            })
            .collect()
    }
}
