//! Repairs: their plans, and how far each has come. Without this, nothing is repaired.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;

use super::error::LedgerError;
use super::open::Ledger;
use super::runs::{payload, stored_time};
use crate::domain::Lane;
use crate::repair::{Plan, Record};
use crate::system::ProcessId;

/// The legs from one client that were verified: lane, client, servers; inventory names.
pub type WorkedLegs = Vec<(Lane, String, Vec<String>)>;

/// A repair as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRepair {
    /// What it does.
    pub plan: Plan,
    /// The legs that were verified before it.
    pub worked: WorkedLegs,
    /// What was begun and what came of it, in order.
    pub records: Vec<Record>,
}

impl Ledger {
    /// Stores the plan of a run that [`Ledger::begin`] has opened, before anything of it is done.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn begin_repair(
        &self,
        run: &str,
        plan: &Plan,
        worked: &WorkedLegs,
    ) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::database(self.path(), "write", source);
        let plan = deflate(plan).map_err(|source| failed(source.into()))?;
        let worked = deflate(worked).map_err(|source| failed(source.into()))?;
        sqlx::query("INSERT INTO repairs (run, plan, worked) VALUES (?, ?, ?)")
            .bind(run)
            .bind(plan)
            .bind(worked)
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Stores a record, on disk when this returns. `seq` counts from 1; the same number twice is an error, so that two
    /// processes cannot both go on with one run.
    ///
    /// # Errors
    /// The ledger cannot be written, or somebody else has written that record.
    pub async fn record_repair(
        &self,
        run: &str,
        seq: u64,
        at: Timestamp,
        record: &Record,
    ) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::database(self.path(), "write", source);
        let json =
            serde_json::to_string(record).map_err(|source| payload(self.path(), run, source))?;
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        sqlx::query("INSERT INTO repair_records (run, seq, at, record) VALUES (?, ?, ?, ?)")
            .bind(run)
            .bind(i64::try_from(seq).unwrap_or(i64::MAX))
            .bind(stored_time(at))
            .bind(json)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sqlx::query("UPDATE repairs SET closed = ? WHERE run = ?")
            .bind(matches!(record, Record::Closed | Record::Concluded))
            .bind(run)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// The repair of a run; `None` for a run that is none, or that found nothing to do.
    ///
    /// # Errors
    /// The ledger cannot be read, or a later version wrote it.
    pub async fn repair(&self, run: &str) -> Result<Option<StoredRepair>, LedgerError> {
        let failed = |source| LedgerError::database(self.path(), "read", source);
        let row = sqlx::query("SELECT plan, worked FROM repairs WHERE run = ?")
            .bind(run)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let rows = sqlx::query("SELECT record FROM repair_records WHERE run = ? ORDER BY seq")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let wrong = |source| payload(self.path(), run, source);
        let records = rows
            .iter()
            .map(|row| serde_json::from_str(row.get("record")))
            .collect::<Result<_, _>>()
            .map_err(wrong)?;
        Ok(Some(StoredRepair {
            plan: inflate(row.get("plan")).map_err(wrong)?,
            worked: inflate(row.get("worked")).map_err(wrong)?,
            records,
        }))
    }

    /// The runs that began to repair after this one did, newest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn repairs_after(&self, run: &str) -> Result<Vec<String>, LedgerError> {
        // In the order in which they were stored: the clock may have been set meanwhile.
        let rows = sqlx::query(
            "SELECT run FROM repairs WHERE rowid > (SELECT rowid FROM repairs WHERE run = ?) \
             ORDER BY rowid DESC",
        )
        .bind(run)
        .fetch_all(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        Ok(rows.iter().map(|row| row.get("run")).collect())
    }

    /// The repairs of an inventory that have not come to their end, newest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn unfinished_repairs(
        &self,
        inventory_path: &str,
    ) -> Result<Vec<String>, LedgerError> {
        let rows = sqlx::query(
            "SELECT run FROM repairs JOIN runs ON runs.id = repairs.run \
             WHERE closed = 0 AND inventory_path = ? ORDER BY repairs.rowid DESC",
        )
        .bind(inventory_path)
        .fetch_all(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        Ok(rows.iter().map(|row| row.get("run")).collect())
    }

    /// Takes over a run whose process is gone.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn adopt(&self, run: &str, process: Option<&ProcessId>) -> Result<(), LedgerError> {
        sqlx::query(
            "UPDATE runs SET boot = ?, pid = ?, pid_started = ?, finished = NULL, state = NULL, \
             exit_code = NULL, failure = NULL WHERE id = ?",
        )
        .bind(process.map(|process| &process.space))
        .bind(process.map(|process| i64::from(process.pid)))
        .bind(process.and_then(|process| i64::try_from(process.started).ok()))
        .bind(run)
        .execute(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "write", source))?;
        Ok(())
    }
}

fn deflate(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(io::BufWriter::new(&mut encoder), value)?;
    encoder.flush()?;
    encoder.finish()
}

fn inflate<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_reader(io::BufReader::new(ZlibDecoder::new(bytes)))
}
