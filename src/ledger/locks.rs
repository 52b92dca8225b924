//! Locks with an owner and an expiry: two runs never work on the same server, nor empty the same host.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::LedgerError;
use super::open::Ledger;
use super::runs::stored_time;
use crate::system::ProcessId;

/// A lock that somebody else holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// What is locked.
    pub name: String,
    /// The run that holds it.
    pub run: String,
    /// Until when, if its owner does not renew it.
    pub expires: String,
}

impl Ledger {
    /// Takes locks for a run, all of them or none. A lock can be taken over when its time is up, and at once when its
    /// owner was a process that could be seen from here and is gone. An owner on another machine, or in another container,
    /// has it until then, also from a process that goes on with the same run.
    ///
    /// # Errors
    /// The ledger cannot be written. Locks that others hold are the inner error.
    pub async fn lock(
        &self,
        run: &str,
        names: &[String],
        process: Option<&ProcessId>,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Result<(), Vec<HeldLock>>, LedgerError> {
        let failed = |source| LedgerError::database(self.path(), "write", source);
        // Readers of the same rows must wait: two that both see a free lock would both take it.
        let mut transaction = self
            .pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed)?;
        let mut held = Vec::new();
        for name in names {
            let row = sqlx::query("SELECT * FROM moves_locks WHERE name = ?")
                .bind(name)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed)?;
            if let Some(row) = row
                && is_held(&row, run, now)
            {
                held.push(HeldLock {
                    name: name.clone(),
                    run: row.get("run"),
                    expires: row.get("expires"),
                });
            }
        }
        if !held.is_empty() {
            return Ok(Err(held));
        }
        for name in names {
            sqlx::query(
                "INSERT INTO moves_locks (name, run, boot, pid, pid_started, expires) VALUES (?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (name) DO UPDATE SET run = excluded.run, boot = excluded.boot, \
                 pid = excluded.pid, pid_started = excluded.pid_started, expires = excluded.expires",
            )
            .bind(name)
            .bind(run)
            .bind(process.map(|process| &process.space))
            .bind(process.map(|process| i64::from(process.pid)))
            .bind(process.and_then(|process| i64::try_from(process.started).ok()))
            .bind(stored_time(expires))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(Ok(()))
    }

    /// Holds a run's locks for longer. Returns those that it still has.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn renew_locks(
        &self,
        run: &str,
        expires: Timestamp,
    ) -> Result<BTreeSet<String>, LedgerError> {
        let rows = sqlx::query("UPDATE moves_locks SET expires = ? WHERE run = ? RETURNING name")
            .bind(stored_time(expires))
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| LedgerError::database(self.path(), "write", source))?;
        Ok(rows.iter().map(|row| row.get("name")).collect())
    }

    /// Gives a run's locks back.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn unlock(&self, run: &str) -> Result<(), LedgerError> {
        sqlx::query("DELETE FROM moves_locks WHERE run = ?")
            .bind(run)
            .execute(&self.pool)
            .await
            .map_err(|source| LedgerError::database(self.path(), "write", source))?;
        Ok(())
    }
}

fn is_held(row: &SqliteRow, run: &str, now: Timestamp) -> bool {
    let process = match (
        row.get::<Option<String>, _>("boot"),
        row.get::<Option<i64>, _>("pid"),
        row.get::<Option<i64>, _>("pid_started"),
    ) {
        (Some(space), Some(pid), Some(started)) => u32::try_from(pid).ok().map(|pid| ProcessId {
            space,
            pid,
            started: u64::try_from(started).unwrap_or_default(),
        }),
        _ => None,
    };
    let this = ProcessId::current();
    let owner: &str = row.get("run");
    let expires: &str = row.get("expires");
    let expired = expires <= stored_time(now).as_str();
    match process {
        // Whether the owner is still there can be seen, whatever the time says.
        Some(process) if process.is_near() => Some(&process) != this.as_ref() && process.is_alive(),
        Some(_) => !expired,
        None => owner != run && !expired,
    }
}
