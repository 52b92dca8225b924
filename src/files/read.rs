//! Reading one text file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Why a file of the operator's cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is larger than what is read.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size, in bytes.
        limit: u64,
    },
    /// It is not text in UTF-8.
    #[error("{} is not UTF-8: line {line} has other bytes", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first line that is not UTF-8, from 1.
        line: usize,
    },
}

/// The text of a file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read, is larger, or is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, FileError> {
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    // One byte more than allowed tells a file that is too large from one that just fits, whatever its metadata say.
    let read = file
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if read as u64 > limit {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        FileError::NotText {
            path: path.to_owned(),
            line: good.iter().filter(|byte| **byte == b'\n').count() + 1,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::read_text;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_not_beyond() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "eight by").expect("written");
        assert_eq!(read_text(&path, 8).expect("just fits"), "eight by");
        let error = read_text(&path, 7)
            .expect_err("one byte too many")
            .to_string();
        assert!(error.ends_with("file is larger than 7 bytes"), "{error}");
        // Endless, and without a size of its own.
        assert!(read_text("/dev/zero".as_ref(), 1000).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_cause() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let missing = directory.path().join("missing");
        let error = read_text(&missing, 10).expect_err("missing");
        assert_eq!(
            error.to_string(),
            format!("cannot read {}", missing.display())
        );
        assert!(error.source().is_some());
        assert!(read_text(directory.path(), 10).is_err());
        std::fs::write(&missing, b"one\ntwo\n\xff").expect("written");
        let error = read_text(&missing, 10).expect_err("not text").to_string();
        assert!(
            error.ends_with("missing is not UTF-8: line 3 has other bytes"),
            "{error}"
        );
    }
}
