//! Why the ledger could not be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why the ledger could not be used. Every text names the file.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The directory or the file could not be made.
    #[error("cannot create `{}`", path.display())]
    Create {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a database, but not a ledger.
    #[error("`{}` is a database, but not a ledger of clearway", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later version.
    #[error("the ledger `{}` has schema {found}, this clearway knows schemas up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The latest schema that this version knows.
        known: i64,
    },
    /// It is not an SQLite file, or it is damaged.
    #[error("the ledger `{}` is damaged or no database", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// Another process holds it for longer than anybody wants to wait.
    #[error("the ledger `{}` is locked by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// Anything else that the database says.
    #[error("cannot {operation} the ledger `{}`", path.display())]
    Database {
        /// What was being done: `read`, `write`, `open`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// What is stored of a run is not what this version stores.
    #[error("what the ledger `{}` holds of run {run} cannot be read", path.display())]
    Payload {
        /// The file.
        path: PathBuf,
        /// The run.
        run: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no run at all, where the latest is asked for.
    #[error("the ledger `{}` has no runs yet", path.display())]
    NoRuns {
        /// The file.
        path: PathBuf,
    },
    /// There is no such run.
    #[error("no run in the ledger `{}` is called `{name}`", path.display())]
    UnknownRun {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
    },
    /// Several runs begin like this.
    #[error("`{name}` is the beginning of several runs: {}", runs.join(", "))]
    AmbiguousRun {
        /// What was asked for.
        name: String,
        /// Some of the runs, newest first.
        runs: Vec<String>,
    },
}

impl LedgerError {
    /// Sorts what the database says by what an operator can do about it.
    pub(super) fn database(path: &Path, operation: &'static str, source: sqlx::Error) -> Self {
        // https://www.sqlite.org/rescode.html: the low byte is the primary code.
        const BUSY: i32 = 5;
        const LOCKED: i32 = 6;
        const CORRUPT: i32 = 11;
        const NOT_A_DATABASE: i32 = 26;
        let code = source
            .as_database_error()
            .and_then(|error| error.code()?.parse::<i32>().ok())
            .map(|code| code & 0xff);
        let path = path.to_path_buf();
        match code {
            Some(BUSY | LOCKED) => Self::Locked { path, source },
            Some(CORRUPT | NOT_A_DATABASE) => Self::Damaged { path, source },
            _ => Self::Database {
                operation,
                path,
                source,
            },
        }
    }
}
