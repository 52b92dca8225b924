//! A private directory that goes away.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::error::SignerError;

/// A directory that only this user can enter, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one with an unguessable name in `parent`; what is there already is not used.
    pub(super) fn new(parent: &Path, name: &str) -> Result<Self, SignerError> {
        let path = parent.join(format!("clearway-sign.{name}"));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| SignerError::Scratch {
            path: path.clone(),
            source,
        })?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn write(&self, name: &str, text: &[u8]) -> Result<PathBuf, SignerError> {
        let path = self.0.join(name);
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path);
        opened
            .and_then(|mut file| file.write_all(text))
            .map_err(|source| SignerError::Scratch {
                path: path.clone(),
                source,
            })?;
        Ok(path)
    }

    /// The file's bytes, at most `limit` of them.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, SignerError> {
        let path = self.0.join(name);
        read(&path, limit).map_err(|source| SignerError::Scratch { path, source })
    }
}

pub(super) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(limit + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing in it is secret; whoever cannot remove it has a broken disk, and is told by everything else.
        let _ = fs::remove_dir_all(&self.0);
    }
}
