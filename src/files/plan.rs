//! Plans of repair as files: written for review, read back to be applied.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::read::{FileError, read_text};
use crate::repair::Plan;

/// The largest plan that is read, in bytes: the files of some thousand nodes.
const LIMIT: u64 = 2 << 30;

/// Why a plan's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no plan.
    #[error("{} is not a plan of this clearway", path.display())]
    NoPlan {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong there.
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Reads a plan.
///
/// # Errors
/// It cannot be read, or is no plan.
pub fn read_plan(path: &Path) -> Result<Plan, PlanFileError> {
    let text = read_text(path, LIMIT)?;
    serde_json::from_str(&text).map_err(|source| PlanFileError::NoPlan {
        path: path.to_owned(),
        source,
    })
}

/// Whether [`write_new`] could write a file, as far as that can be told before: for whoever works for long until then.
///
/// # Errors
/// There is a file already, or no directory for it.
pub fn can_be_new(path: &Path) -> Result<(), PlanFileError> {
    let failed = |source| PlanFileError::Write {
        path: path.to_owned(),
        source,
    };
    if path.symlink_metadata().is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    match directory.unwrap_or(Path::new(".")).metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(failed(io::ErrorKind::NotADirectory.into())),
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that is not there yet, for its owner alone: who may write to a plan may write to the nodes.
///
/// # Errors
/// There is a file already, or it cannot be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), PlanFileError> {
    let failed = |source| PlanFileError::Write {
        path: path.to_owned(),
        source,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const PLAN: &str = r#"{"schema": 1, "inventory": "/i", "keys": [], "nodes": [], "left": []}"#;

    #[test]
    fn a_plan_is_written_once_for_its_owner_alone_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.json");
        write_new(&path, PLAN.as_bytes()).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(read_plan(&path).unwrap().inventory, "/i");
        let again = write_new(&path, b"").unwrap_err().to_string();
        assert_eq!(again, format!("cannot write {}", path.display()));
    }

    #[test]
    fn what_is_no_plan_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.json");
        std::fs::write(&path, r#"{"schema": 1}"#).unwrap();
        let error = read_plan(&path).unwrap_err().to_string();
        let expected = format!("{} is not a plan of this clearway", path.display());
        assert_eq!(error, expected);
    }
}
