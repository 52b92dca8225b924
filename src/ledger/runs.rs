//! Runs: begun, ended, listed, found, forgotten.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::LedgerError;
use super::open::Ledger;
use crate::report::{Report, Settings, Summary};
use crate::system::{ProcessId, now};

/// What is known of a run when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStart {
    /// Its id.
    pub id: String,
    /// `check`, `trace`, `repair`, …
    pub command: String,
    /// Who began it: a login name, where there is one.
    pub operator: Option<String>,
    /// The earlier run that it puts back, or whose way back it gives up.
    pub about: Option<String>,
    /// Version of clearway.
    pub clearway: String,
    /// The inventory as given.
    pub inventory: String,
    /// Its absolute path: what proofs belong to.
    pub inventory_path: String,
    /// How it is asked to look.
    pub settings: Settings,
    /// When it begins.
    pub started: Timestamp,
    /// Who works on it.
    pub process: Option<ProcessId>,
}

/// What the ledger knows of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// How it began.
    pub start: RunStart,
    /// How far it came.
    pub state: RunState,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Its exit code.
    pub exit_code: Option<u8>,
    /// What it found, counted.
    pub summary: Option<Summary>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// It goes on: its process is alive, or is where nobody can look and holds its locks.
    Running,
    /// It came to its end.
    Finished,
    /// It was interrupted, and said so.
    Interrupted,
    /// It could not do its work.
    Failed,
    /// It has no end, and its process is not there: it was killed, the machine went down, or it runs on another one, or in
    /// another container, without a lock.
    Unfinished,
}

impl RunState {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Unfinished => "unfinished",
        }
    }
}

/// Runs as [`record`] reads them.
macro_rules! select_runs {
    ($which:literal) => {
        concat!(
            "SELECT *, (SELECT max(expires) FROM moves_locks WHERE run = id) AS locked_until FROM runs ",
            $which
        )
    };
}

impl Ledger {
    /// Records that a run begins.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn begin(&self, run: &RunStart) -> Result<(), LedgerError> {
        let process = run.process.as_ref();
        sqlx::query(
            "INSERT INTO runs (id, command, clearway, inventory, inventory_path, settings, started, \
             boot, pid, pid_started, operator, about) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&run.id)
        .bind(&run.command)
        .bind(&run.clearway)
        .bind(&run.inventory)
        .bind(&run.inventory_path)
        .bind(json(&run.settings))
        .bind(stored_time(run.started))
        .bind(process.map(|process| &process.space))
        .bind(process.map(|process| i64::from(process.pid)))
        .bind(process.and_then(|process| i64::try_from(process.started).ok()))
        .bind(&run.operator)
        .bind(&run.about)
        .execute(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "write", source))?;
        Ok(())
    }

    /// Records the end of a run: its report, and what it proved.
    ///
    /// # Errors
    /// The ledger cannot be written; the run then stays without an end.
    pub async fn finish(&self, report: &Report, at: Timestamp) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::database(self.path(), "write", source);
        let blob = deflate(report).map_err(|source| failed(source.into()))?;
        let state = if report.interrupted {
            "interrupted"
        } else {
            "finished"
        };
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        sqlx::query(
            "UPDATE runs SET finished = ?, state = ?, exit_code = ?, summary = ? WHERE id = ?",
        )
        .bind(stored_time(at))
        .bind(state)
        .bind(i64::from(report.summary.exit_code))
        .bind(json(&report.summary))
        .bind(&report.run)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        sqlx::query("INSERT OR REPLACE INTO reports (run, report) VALUES (?, ?)")
            .bind(&report.run)
            .bind(blob)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        self.record_proofs(&mut transaction, report, at).await?;
        transaction.commit().await.map_err(failed)
    }

    /// Records that a run could not do its work.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn fail(
        &self,
        run: &str,
        at: Timestamp,
        exit_code: u8,
        failure: &str,
    ) -> Result<(), LedgerError> {
        sqlx::query(
            "UPDATE runs SET finished = ?, state = 'failed', exit_code = ?, failure = ? WHERE id = ?",
        )
        .bind(stored_time(at))
        .bind(i64::from(exit_code))
        .bind(failure)
        .bind(run)
        .execute(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "write", source))?;
        Ok(())
    }

    /// The latest runs, newest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, LedgerError> {
        let rows = sqlx::query(select_runs!("ORDER BY started DESC, id DESC LIMIT ?"))
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        rows.iter().map(|row| record(self.path(), row)).collect()
    }

    /// The run with this id, or the only one whose id begins or ends like this, or, for `last`, the latest one.
    ///
    /// # Errors
    /// There is none, or there are several, or the ledger cannot be read.
    pub async fn find(&self, name: &str) -> Result<RunRecord, LedgerError> {
        let unknown = || LedgerError::UnknownRun {
            path: self.path().to_path_buf(),
            name: name.to_owned(),
        };
        if name == "last" {
            let path = self.path().to_path_buf();
            let latest = self.runs(1).await?.pop();
            return latest.ok_or(LedgerError::NoRuns { path });
        }
        let rows = sqlx::query(select_runs!(
            "WHERE substr(id, 1, length(?1)) = ?1 OR substr(id, -length(?1)) = ?1 \
             ORDER BY id = ?1 DESC, started DESC, id DESC LIMIT 6"
        ))
        .bind(name)
        .fetch_all(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        let mut records = rows
            .iter()
            .map(|row| record(self.path(), row))
            .collect::<Result<Vec<_>, _>>()?;
        match records.as_slice() {
            [] => Err(unknown()),
            [first, ..] if name.is_empty() || (records.len() > 1 && first.start.id != name) => {
                Err(LedgerError::AmbiguousRun {
                    name: name.to_owned(),
                    runs: records.into_iter().map(|record| record.start.id).collect(),
                })
            }
            _ => Ok(records.swap_remove(0)),
        }
    }

    /// The runs that put an earlier one back, or give up its way back; newest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn about(&self, run: &str) -> Result<Vec<RunRecord>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM runs WHERE about = ? ORDER BY started DESC, id DESC")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        rows.iter().map(|row| record(self.path(), row)).collect()
    }

    /// The runs that one run began and its later steps, in the order in which they began: those whose ids go on behind its
    /// id.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn steps(&self, run: &str) -> Result<Vec<RunRecord>, LedgerError> {
        let rows = sqlx::query(select_runs!(
            "WHERE id = ?1 OR substr(id, 1, length(?1) + 1) = ?1 || '-' \
             ORDER BY started, length(id), id"
        ))
        .bind(run)
        .fetch_all(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        rows.iter().map(|row| record(self.path(), row)).collect()
    }

    /// The report of a run; `None` when it has none, because it did not come to its end.
    ///
    /// # Errors
    /// The ledger cannot be read, or a later version wrote the report.
    pub async fn report(&self, run: &str) -> Result<Option<Report>, LedgerError> {
        let row = sqlx::query("SELECT report FROM reports WHERE run = ?")
            .bind(run)
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        row.map(|row| {
            let decoder = ZlibDecoder::new(row.get::<&[u8], _>("report"));
            serde_json::from_reader(std::io::BufReader::new(decoder))
                .map_err(|source| payload(self.path(), run, source))
        })
        .transpose()
    }

    /// Forgets all but the latest `keep` runs and gives the space back. Runs that go on are kept, repairs that have not come
    /// to their end, and proofs.
    /// Returns how many were forgotten.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn prune(&self, keep: u32) -> Result<u64, LedgerError> {
        let failed = |source| LedgerError::database(self.path(), "write", source);
        let latest = self.runs(u32::MAX).await?;
        let mut forgotten = 0;
        for run in latest
            .iter()
            .skip(usize::try_from(keep).unwrap_or(usize::MAX))
        {
            // Moves that were left half-way are resumed from here, and from nowhere else.
            if run.state == RunState::Running || self.has_open_moves(&run.start.id).await? {
                continue;
            }
            let gone = sqlx::query(
                "DELETE FROM runs WHERE id = ?1 \
                 AND NOT EXISTS (SELECT 1 FROM repairs WHERE run = ?1 AND closed = 0)",
            )
            .bind(&run.start.id)
            .execute(&self.pool)
            .await
            .map_err(failed)?;
            forgotten += gone.rows_affected();
        }
        sqlx::query("PRAGMA incremental_vacuum")
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        Ok(forgotten)
    }
}

impl Ledger {
    /// Whether a run moves servers and has something left to do: moves, or services that it disabled.
    async fn has_open_moves(&self, run: &str) -> Result<bool, LedgerError> {
        let row = sqlx::query(
            "SELECT count(*) FROM runs JOIN moves_runs ON run = id \
             WHERE id = ?1 AND (state IS NULL OR state = 'interrupted' \
             OR EXISTS (SELECT 1 FROM moves_services WHERE run = ?1 AND restored = 0))",
        )
        .bind(run)
        .fetch_one(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        Ok(row.get::<i64, _>(0) > 0)
    }
}

fn holds_locks(row: &SqliteRow) -> bool {
    let until: Option<&str> = row.get("locked_until");
    until.is_some_and(|until| until > stored_time(now()).as_str())
}

fn record(path: &Path, row: &SqliteRow) -> Result<RunRecord, LedgerError> {
    let id: String = row.get("id");
    let started: Option<i64> = row.get("pid_started");
    let process = match (row.get("boot"), row.get("pid"), started) {
        (Some(space), Some(pid), Some(started)) => Some(ProcessId {
            space,
            pid,
            started: u64::try_from(started).unwrap_or_default(),
        }),
        _ => None,
    };
    let state = match row.get("state") {
        Some("finished") => RunState::Finished,
        Some("interrupted") => RunState::Interrupted,
        Some(_) => RunState::Failed,
        None => match &process {
            Some(process) if process.is_alive() => RunState::Running,
            Some(process) if !process.is_near() && holds_locks(row) => RunState::Running,
            _ => RunState::Unfinished,
        },
    };
    let settings = serde_json::from_str(row.get("settings"));
    let summary = row
        .get::<Option<&str>, _>("summary")
        .map(serde_json::from_str)
        .transpose();
    Ok(RunRecord {
        state,
        finished: row
            .get::<Option<&str>, _>("finished")
            .map(|text| time(path, &id, text))
            .transpose()?,
        exit_code: row
            .get::<Option<i64>, _>("exit_code")
            .and_then(|code| u8::try_from(code).ok()),
        summary: summary.map_err(|source| payload(path, &id, source))?,
        failure: row.get("failure"),
        start: RunStart {
            command: row.get("command"),
            operator: row.get("operator"),
            about: row.get("about"),
            clearway: row.get("clearway"),
            inventory: row.get("inventory"),
            inventory_path: row.get("inventory_path"),
            settings: settings.map_err(|source| payload(path, &id, source))?,
            started: time(path, &id, row.get("started"))?,
            process,
            id,
        },
    })
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("settings and summaries have nothing that JSON cannot say")
}

fn deflate(report: &Report) -> std::io::Result<Vec<u8>> {
    // The fastest level: what it leaves is a few percent more, what it saves is most of the time.
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(std::io::BufWriter::new(&mut encoder), report)?;
    encoder.flush()?;
    encoder.finish()
}

/// A time such that it sorts as text.
pub(super) fn stored_time(time: Timestamp) -> String {
    format!("{time:.6}")
}

pub(super) fn time(path: &Path, run: &str, text: &str) -> Result<Timestamp, LedgerError> {
    text.parse()
        .map_err(|source: jiff::Error| payload(path, run, source))
}

pub(super) fn payload(
    path: &Path,
    run: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> LedgerError {
    LedgerError::Payload {
        path: path.to_path_buf(),
        run: run.to_owned(),
        source: Box::new(source),
    }
}
