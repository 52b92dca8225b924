//! Which microversions a cloud speaks.

use std::fmt;

use serde::Deserialize;

use super::error::{ReadError, read};
use crate::openstack::{Answer, Microversion};

/// What is needed: a named destination of cold moves (2.56), os-migrations of one server in pages (2.59), and what
/// failed in an action's events (2.84). All are in 21.0.0 (Ussuri).
pub const NEEDED: Microversion = Microversion(84);

/// The newest one that is used: the AZ that a server is pinned to (2.96).
const NEWEST_USED: Microversion = Microversion(96);

/// The microversions that a cloud speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// The oldest.
    pub oldest: Microversion,
    /// The newest.
    pub newest: Microversion,
}

/// A cloud that is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOld(pub Microversion);

impl fmt::Display for TooOld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this cloud's Nova speaks microversions up to {} ({}), clearway's moves need {NEEDED} (Ussuri, 21.0.0)",
            self.0,
            release(self.0)
        )
    }
}

impl std::error::Error for TooOld {}

/// The release that a newest microversion belongs to (nova/api/openstack/rest_api_version_history.rst).
fn release(newest: Microversion) -> &'static str {
    match newest.0 {
        0..=38 => "Newton or older",
        39..=42 => "Ocata",
        43..=53 => "Pike",
        54..=60 => "Queens",
        61..=65 => "Rocky",
        66..=72 => "Stein",
        73..=79 => "Train",
        _ => "Ussuri or later",
    }
}

impl VersionRange {
    /// The version that servers are read in.
    ///
    /// # Errors
    /// The cloud is too old.
    pub fn used(self) -> Result<Microversion, TooOld> {
        if self.newest < NEEDED {
            return Err(TooOld(self.newest));
        }
        Ok(self.newest.min(NEWEST_USED))
    }
}

/// Reads the answer of the API's own address: `{"version": {"version": "2.104", "min_version": "2.1"}}`.
///
/// # Errors
/// It is none.
pub fn read_versions(answer: &Answer) -> Result<VersionRange, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        version: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        #[serde(default)]
        version: String,
        #[serde(default)]
        min_version: String,
    }
    let body: Body = read("versions", answer)?;
    // A v2.0 endpoint has empty texts: as old as it gets.
    let number = |text: &str| Microversion::read(text).unwrap_or(Microversion(1));
    Ok(VersionRange {
        oldest: number(&body.version.min_version),
        newest: number(&body.version.version),
    })
}
