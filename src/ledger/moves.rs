//! The journal of moves. What the records mean, and whether one may follow another, is for [`crate::moves`]; here they
//! are kept, in order, each one on the disk before its writer goes on.

use jiff::Timestamp;
use sqlx::Row;

use super::error::LedgerError;
use super::open::Ledger;
use super::runs::{stored_time, time};

/// A server of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMove {
    /// Its id.
    pub server: String,
    /// Its name when the run was planned.
    pub name: String,
    /// `cold`, `live` or `resize`.
    pub kind: String,
    /// Where it was, by service host name.
    pub source: String,
    /// What it was, as JSON.
    pub portrait: String,
    /// When it was planned.
    pub planned: Timestamp,
}

/// A record of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The server.
    pub server: String,
    /// Its place among the records of the move, from 1.
    pub seq: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The record as JSON.
    pub json: String,
}

/// A compute service that a run takes out of scheduling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredService {
    /// Its host.
    pub host: String,
    /// The reason that the run gave.
    pub reason: String,
    /// Whether it was enabled before.
    pub was_enabled: bool,
    /// Why it was not.
    pub was_reason: Option<String>,
    /// Whether it has been put back.
    pub restored: bool,
}

impl Ledger {
    /// Records what a run that was begun is about: its options, and its servers in order. All or nothing.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn plan_moves(
        &self,
        run: &str,
        cloud: &str,
        options: &str,
        moves: &[StoredMove],
    ) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::database(self.path(), "write", source);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        sqlx::query("INSERT INTO moves_runs (run, cloud, options) VALUES (?, ?, ?)")
            .bind(run)
            .bind(cloud)
            .bind(options)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        for (place, it) in (0_i64..).zip(moves) {
            sqlx::query(
                "INSERT INTO moves_servers (run, server, place, name, kind, source, portrait, planned) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(run)
            .bind(&it.server)
            .bind(place)
            .bind(&it.name)
            .bind(&it.kind)
            .bind(&it.source)
            .bind(&it.portrait)
            .bind(stored_time(it.planned))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// The options and the servers of a run, in the plan's order; `None` for a run that moves nothing.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn planned_moves(
        &self,
        run: &str,
    ) -> Result<Option<(String, Vec<StoredMove>)>, LedgerError> {
        let failed = |source| LedgerError::database(self.path(), "read", source);
        let Some(options) = sqlx::query("SELECT options FROM moves_runs WHERE run = ?")
            .bind(run)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?
        else {
            return Ok(None);
        };
        let rows = sqlx::query("SELECT * FROM moves_servers WHERE run = ? ORDER BY place")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let moves = rows
            .iter()
            .map(|row| {
                Ok(StoredMove {
                    server: row.get("server"),
                    name: row.get("name"),
                    kind: row.get("kind"),
                    source: row.get("source"),
                    portrait: row.get("portrait"),
                    planned: time(self.path(), run, row.get("planned"))?,
                })
            })
            .collect::<Result<_, LedgerError>>()?;
        Ok(Some((options.get("options"), moves)))
    }

    /// The address of the Compute API that a run is about.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn moves_cloud(&self, run: &str) -> Result<Option<String>, LedgerError> {
        let row = sqlx::query("SELECT cloud FROM moves_runs WHERE run = ?")
            .bind(run)
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        Ok(row.map(|row| row.get("cloud")))
    }

    /// Adds a record to a move. It is on the disk when this returns. A place that is taken is an error: two processes at
    /// one move.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn record_move(&self, run: &str, record: &StoredRecord) -> Result<(), LedgerError> {
        sqlx::query(
            "INSERT INTO moves_records (run, server, seq, at, record) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(run)
        .bind(&record.server)
        .bind(i64::try_from(record.seq).unwrap_or(i64::MAX))
        .bind(stored_time(record.at))
        .bind(&record.json)
        .execute(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "write", source))?;
        Ok(())
    }

    /// The records of a run, each move's in order.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn move_records(&self, run: &str) -> Result<Vec<StoredRecord>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM moves_records WHERE run = ? ORDER BY server, seq")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        rows.iter()
            .map(|row| {
                Ok(StoredRecord {
                    server: row.get("server"),
                    seq: u64::try_from(row.get::<i64, _>("seq")).unwrap_or_default(),
                    at: time(self.path(), run, row.get("at"))?,
                    json: row.get("record"),
                })
            })
            .collect()
    }

    /// Records that a run is about to take a service out of scheduling. What it was before the first time stays what it
    /// was; it has to be put back once more.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn disabling_service(
        &self,
        run: &str,
        service: &StoredService,
    ) -> Result<(), LedgerError> {
        sqlx::query(
            "INSERT INTO moves_services (run, host, reason, was_enabled, was_reason) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (run, host) DO UPDATE SET restored = 0",
        )
        .bind(run)
        .bind(&service.host)
        .bind(&service.reason)
        .bind(i64::from(service.was_enabled))
        .bind(&service.was_reason)
        .execute(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "write", source))?;
        Ok(())
    }

    /// Records that a service is as it was.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn restored_service(&self, run: &str, host: &str) -> Result<(), LedgerError> {
        sqlx::query("UPDATE moves_services SET restored = 1 WHERE run = ? AND host = ?")
            .bind(run)
            .bind(host)
            .execute(&self.pool)
            .await
            .map_err(|source| LedgerError::database(self.path(), "write", source))?;
        Ok(())
    }

    /// The services that a run takes out of scheduling.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn disabled_services(&self, run: &str) -> Result<Vec<StoredService>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM moves_services WHERE run = ? ORDER BY host")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        Ok(rows
            .iter()
            .map(|row| StoredService {
                host: row.get("host"),
                reason: row.get("reason"),
                was_enabled: row.get::<i64, _>("was_enabled") != 0,
                was_reason: row.get("was_reason"),
                restored: row.get::<i64, _>("restored") != 0,
            })
            .collect())
    }

    /// Records the end of a run of moves; one that was interrupted can be resumed.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn finish_moves(
        &self,
        run: &str,
        at: Timestamp,
        interrupted: bool,
        exit_code: u8,
    ) -> Result<(), LedgerError> {
        sqlx::query("UPDATE runs SET finished = ?, state = ?, exit_code = ? WHERE id = ?")
            .bind(stored_time(at))
            .bind(if interrupted {
                "interrupted"
            } else {
                "finished"
            })
            .bind(i64::from(exit_code))
            .bind(run)
            .execute(&self.pool)
            .await
            .map_err(|source| LedgerError::database(self.path(), "write", source))?;
        Ok(())
    }
}
