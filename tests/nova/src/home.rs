//! The directory of a cloud, and the JSON files in it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{CloudError, During, Result};

/// The directory of a cloud.
#[derive(Debug)]
pub(crate) enum Home {
    Temporary(tempfile::TempDir),
    Lasting(PathBuf),
}

impl Home {
    pub(crate) fn temporary() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("clearway-nova.").tempdir();
        Ok(Self::Temporary(
            dir.during(|| "making a temporary directory".into())?,
        ))
    }

    pub(crate) fn lasting(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).during(|| format!("making {}", dir.display()))?;
        let mut inside = fs::read_dir(dir).during(|| format!("reading {}", dir.display()))?;
        if inside.next().is_some() {
            return Err(CloudError::NotRunning {
                dir: dir.to_owned(),
                why: "it is not empty; is a cloud running in it?".into(),
            });
        }
        let dir = fs::canonicalize(dir).during(|| format!("resolving {}", dir.display()))?;
        Ok(Self::Lasting(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Lasting(dir) => dir,
        }
    }
}

/// The content of a JSON file; none if there is no such file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .during(|| format!("parsing {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).during(|| format!("reading {}", path.display())),
    }
}

/// Replaces the file as a whole: the cloud may read it at any moment.
pub(crate) fn replace(path: &Path, content: &impl Serialize) -> Result<()> {
    let new = path.with_extension("new");
    let bytes =
        serde_json::to_vec_pretty(content).during(|| format!("writing {}", path.display()))?;
    fs::write(&new, bytes)
        .and_then(|()| fs::rename(&new, path))
        .during(|| format!("writing {}", path.display()))
}
