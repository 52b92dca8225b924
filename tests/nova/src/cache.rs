//! The virtual environment and the databases that every cloud starts from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::error::{CloudError, During, Result};

/// `tests/nova/setup` ends with this where Python, pip or the network is missing.
const MISSING: i32 = 3;

/// Where Nova is installed.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Finds it, or makes it with `tests/nova/setup` (some minutes, once).
    ///
    /// # Errors
    /// [`CloudError::Unsupported`] where Python, pip or PyPI is missing.
    pub fn ensure() -> Result<Self> {
        static FOUND: OnceLock<std::result::Result<PathBuf, (bool, String)>> = OnceLock::new();
        match FOUND.get_or_init(|| {
            set_up().map_err(|error| {
                (
                    matches!(error, CloudError::Unsupported { .. }),
                    error.to_string(),
                )
            })
        }) {
            Ok(dir) => Ok(Self { dir: dir.clone() }),
            Err((true, why)) => Err(CloudError::Unsupported { why: why.clone() }),
            Err((false, why)) => Err(CloudError::Setup { why: why.clone() }),
        }
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The virtual environment's Python.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        self.dir.join("venv/bin/python")
    }

    /// The unmodified `openstack` client.
    #[must_use]
    pub fn openstack(&self) -> PathBuf {
        self.dir.join("venv/bin/openstack")
    }

    /// The databases.
    #[must_use]
    pub fn template(&self) -> PathBuf {
        self.dir.join("template")
    }
}

/// The directory of this crate, with the cloud's programs.
pub(crate) fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn set_up() -> Result<PathBuf> {
    let setup = sources().join("setup");
    let output = Command::new(&setup)
        .output()
        .during(|| format!("running {}", setup.display()))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        )),
        Some(MISSING) => Err(CloudError::Unsupported { why: said }),
        _ => Err(CloudError::Setup { why: said }),
    }
}

/// Whether this machine can hold a cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// It can.
    Full,
    /// It cannot, for this reason. Tests skip, saying it.
    None(String),
}

impl Support {
    /// Finds out, by setting Nova up.
    ///
    /// # Panics
    /// If Nova should have been set up and could not: that is a failure, no reason to skip.
    #[must_use]
    pub fn detect() -> Self {
        match Cache::ensure() {
            Ok(_) => Self::Full,
            Err(CloudError::Unsupported { why }) => Self::None(why),
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether a test that needs a cloud must be skipped; says so and why on stderr.
    #[must_use]
    pub fn skips_test() -> bool {
        match Self::detect() {
            Self::Full => false,
            Self::None(why) => {
                eprintln!("NOT RUN: {why}");
                true
            }
        }
    }
}
