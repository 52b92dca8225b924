//! Files with owners and modes, written into a directory that an overlay will use as a layer.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::Path;

use crate::error::{During, Result};

/// Who owns a file, inside the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The accounts of the base image.
pub(crate) const ROOT: Owner = Owner { uid: 0, gid: 0 };
/// Debian's fixed ids for Nova.
pub(crate) const NOVA: Owner = Owner {
    uid: 64060,
    gid: 64060,
};
/// The account of the control connection.
pub(crate) const DEPLOY: Owner = Owner {
    uid: 1500,
    gid: 1500,
};

/// Who may use libvirt's socket.
pub(crate) const LIBVIRT_GROUP: u32 = 64055;

/// One directory or file of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Relative to the layer's root.
    path: String,
    owner: Owner,
    mode: u32,
    /// None for a directory.
    contents: Option<Vec<u8>>,
}

impl Entry {
    pub(crate) fn dir(path: &str, owner: Owner, mode: u32) -> Self {
        Self {
            path: path.trim_start_matches('/').to_owned(),
            owner,
            mode,
            contents: None,
        }
    }

    pub(crate) fn file(path: &str, owner: Owner, mode: u32, contents: impl Into<Vec<u8>>) -> Self {
        Self {
            contents: Some(contents.into()),
            ..Self::dir(path, owner, mode)
        }
    }
}

/// Writes the entries below `root`; directories that no entry names become root's with mode 0755.
///
/// The process's umask must be 0.
pub(crate) fn write(root: &Path, entries: &[Entry]) -> Result<()> {
    for entry in entries {
        let path = root.join(&entry.path);
        let what = || format!("writing {}", path.display());
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)
                .during(what)?;
        }
        match &entry.contents {
            None => fs::DirBuilder::new()
                .recursive(true)
                .mode(entry.mode)
                .create(&path)
                .during(what)?,
            Some(contents) => fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(entry.mode)
                .open(&path)
                .and_then(|mut file| file.write_all(contents))
                .during(what)?,
        }
        if entry.owner != ROOT {
            chown(&path, Some(entry.owner.uid), Some(entry.owner.gid)).during(what)?;
        }
    }
    Ok(())
}
