//! Opening the ledger: the file, its mode, its schema.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row};

use super::error::LedgerError;

/// Marks an SQLite file as a ledger (`PRAGMA application_id`): "clry".
const APPLICATION_ID: i64 = 0x636c_7279;

/// Each brings the schema of one version to the next, the first one an empty file to version 1.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2-repairs.sql"),
    include_str!("schema/3-moves.sql"),
    include_str!("schema/4-operators.sql"),
];

/// How long another process may hold the file before that is an error.
const BUSY: Duration = Duration::from_secs(10);

/// An open ledger. Clones share one connection.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(super) pool: SqlitePool,
    path: PathBuf,
}

impl Ledger {
    /// Opens a ledger, and makes it if it is not there: a directory for its owner alone (0700), a file for its owner
    /// alone (0600).
    ///
    /// # Errors
    /// The file cannot be made or opened, is no ledger, is damaged, locked, or from a later version.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        create(path)?;
        Self::connect(path).await
    }

    /// Opens a ledger only if it is there.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub async fn open_existing(path: &Path) -> Result<Option<Self>, LedgerError> {
        match path.try_exists() {
            Ok(true) => Self::connect(path).await.map(Some),
            Ok(false) => Ok(None),
            Err(source) => Err(LedgerError::Database {
                operation: "open",
                path: path.to_path_buf(),
                source: source.into(),
            }),
        }
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until everything is written and closes the file.
    pub async fn close(self) {
        self.pool.close().await;
    }

    async fn connect(path: &Path) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|source| LedgerError::database(path, "open", source))?;
        let ledger = Self {
            pool,
            path: path.to_path_buf(),
        };
        ledger.migrate().await?;
        Ok(ledger)
    }

    async fn migrate(&self) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::database(&self.path, "open", source);
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        // Readers need no lock for a ledger that is up to date.
        if self.version().await? == known {
            return Ok(());
        }
        sqlx::query("PRAGMA journal_mode = WAL")
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        let mut transaction = self
            .pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed)?;
        // Again, now that no other process can be at it.
        let found: i64 = sqlx::query("PRAGMA user_version")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?
            .get(0);
        let done = usize::try_from(found).unwrap_or_default();
        for &migration in MIGRATIONS.iter().skip(done) {
            sqlx::raw_sql(migration)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// The schema that the file has; 0 for an empty file. Refuses what is not ours before anything is written to it.
    async fn version(&self) -> Result<i64, LedgerError> {
        let row = sqlx::query(
            "SELECT (SELECT application_id FROM pragma_application_id), \
                    (SELECT user_version FROM pragma_user_version), \
                    (SELECT count(*) FROM sqlite_schema)",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(|source| LedgerError::database(&self.path, "open", source))?;
        let (application, found, tables): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let path = self.path.clone();
        if application != APPLICATION_ID {
            return if tables == 0 && application == 0 {
                Ok(0)
            } else {
                Err(LedgerError::Foreign { path })
            };
        }
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known {
            return Err(LedgerError::Newer { path, found, known });
        }
        Ok(found)
    }
}

/// Makes the directory and the file where they are missing. SQLite gives its side files the mode of the main one.
fn create(path: &Path) -> Result<(), LedgerError> {
    let failed = |path: &Path, source| LedgerError::Create {
        path: path.to_path_buf(),
        source,
    };
    if let Some(directory) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| failed(directory, source))?;
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(path, error)),
        _ => Ok(()),
    }
}
