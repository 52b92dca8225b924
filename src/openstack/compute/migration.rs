//! Rows of os-migrations.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

use super::error::{ReadError, read};
use super::page::{Link, Page, has_next};
use crate::domain::{HostName, ServerId};
use crate::openstack::call::with_query;
use crate::openstack::{Answer, Call, Microversion};

/// The version in which rows are read: a server's rows, in pages (2.59).
const VERSION: Microversion = Microversion(59);

/// A row of os-migrations.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Migration {
    /// Its number; later rows of one cell have larger ones.
    pub id: u64,
    /// Its UUID.
    pub uuid: String,
    /// The server.
    #[serde(rename = "instance_uuid")]
    pub server: ServerId,
    /// `migration`, `resize`, `live-migration` or `evacuation`.
    #[serde(rename = "migration_type")]
    pub kind: String,
    /// How far it is.
    pub status: MigrationStatus,
    /// Where the server came from; `None` when the right to see it is missing.
    #[serde(default)]
    pub source_compute: Option<HostName>,
    /// Where it goes; `None` when scheduling failed or the right is missing.
    #[serde(default)]
    pub dest_compute: Option<HostName>,
    /// The address that the source dials; none for live moves.
    #[serde(default)]
    pub dest_host: Option<String>,
    /// When it was made, by Nova's clock.
    #[serde(deserialize_with = "utc")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(default, deserialize_with = "maybe_utc")]
    pub updated_at: Option<Timestamp>,
}

/// How far a migration is (nova/objects/migration.py, nova/db/main/api.py `migration_get_in_progress_by_host_and_node`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MigrationStatus {
    /// `accepted`
    Accepted,
    /// `queued`: the source does as many live moves as it may.
    Queued,
    /// `preparing`
    Preparing,
    /// `running`
    Running,
    /// `running (post-copy)`: the guest runs on the destination already.
    PostCopy,
    /// `pre-migrating`
    PreMigrating,
    /// `migrating`
    Migrating,
    /// `post-migrating`
    PostMigrating,
    /// `finished`: waits for its confirmation.
    Finished,
    /// `confirming`
    Confirming,
    /// `confirmed`
    Confirmed,
    /// `reverting`
    Reverting,
    /// `reverted`
    Reverted,
    /// `completed`
    Completed,
    /// `done`: an evacuation.
    Done,
    /// `failed`
    Failed,
    /// `error`
    Error,
    /// `cancelled`
    Cancelled,
    /// Anything else: a later Nova's word.
    Other,
}

impl MigrationStatus {
    const NAMES: &[(&str, Self)] = &[
        ("accepted", Self::Accepted),
        ("queued", Self::Queued),
        ("preparing", Self::Preparing),
        ("running", Self::Running),
        ("running (post-copy)", Self::PostCopy),
        ("pre-migrating", Self::PreMigrating),
        ("migrating", Self::Migrating),
        ("post-migrating", Self::PostMigrating),
        ("finished", Self::Finished),
        ("confirming", Self::Confirming),
        ("confirmed", Self::Confirmed),
        ("reverting", Self::Reverting),
        ("reverted", Self::Reverted),
        ("completed", Self::Completed),
        ("done", Self::Done),
        ("failed", Self::Failed),
        ("error", Self::Error),
        ("cancelled", Self::Cancelled),
    ];

    /// Reads Nova's word.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self::NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map_or(Self::Other, |(_, status)| *status)
    }

    /// Nova's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, status)| *status == self)
            .map_or("unknown", |(name, _)| name)
    }

    /// Whether Nova itself will not change it any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Confirmed
                | Self::Reverted
                | Self::Completed
                | Self::Done
                | Self::Failed
                | Self::Error
                | Self::Cancelled
        )
    }
}

impl fmt::Display for MigrationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MigrationStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A row is `null` for a moment while it is made.
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        Ok(Self::read(&text))
    }
}

/// Nova writes times without a zone here (`2026-11-25T18:00:00.000000`); they are UTC.
fn utc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_utc(&text).map_err(serde::de::Error::custom)
}

fn maybe_utc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Option::<String>::deserialize(deserializer)?
        .map(|text| parse_utc(&text).map_err(serde::de::Error::custom))
        .transpose()
}

pub(super) fn parse_utc(text: &str) -> Result<Timestamp, jiff::Error> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let time: DateTime = text.parse()?;
    Ok(time.to_zoned(TimeZone::UTC)?.timestamp())
}

/// Rows, newest first: of one server, or all that changed since.
#[must_use]
pub fn migrations(
    server: Option<&ServerId>,
    changes_since: Option<Timestamp>,
    marker: Option<&str>,
    limit: u32,
) -> Call {
    let (limit, since) = (
        limit.to_string(),
        changes_since.map(|it| format!("{it:.0}")),
    );
    let mut query = vec![("limit", limit.as_str())];
    let optional = [
        ("instance_uuid", server.map(ServerId::as_str)),
        ("changes-since", since.as_deref()),
        ("marker", marker),
    ];
    query.extend(
        optional
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    Call::get(with_query("/os-migrations", &query), VERSION)
}

/// Reads a page of rows.
///
/// # Errors
/// It is none.
pub fn read_migrations(answer: &Answer) -> Result<Page<Migration>, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        migrations: Vec<Migration>,
        #[serde(default)]
        migrations_links: Vec<Link>,
    }
    let body: Body = read("list of migrations", answer)?;
    let last = body.migrations.last().map(|row| row.uuid.clone());
    Ok(Page {
        next: last.filter(|_| has_next(&body.migrations_links)),
        rows: body.migrations,
    })
}

/// How far a live move is, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LiveProgress {
    /// The row's number, by which it is aborted or forced.
    pub id: u64,
    /// Memory in all.
    #[serde(default)]
    pub memory_total_bytes: Option<u64>,
    /// Memory still to copy; grows again when the guest writes.
    #[serde(default)]
    pub memory_remaining_bytes: Option<u64>,
    /// Disk in all.
    #[serde(default)]
    pub disk_total_bytes: Option<u64>,
    /// Disk still to copy.
    #[serde(default)]
    pub disk_remaining_bytes: Option<u64>,
}

/// The live moves of a server that go on.
#[must_use]
pub fn live_migrations(server: &ServerId) -> Call {
    Call::get(format!("/servers/{server}/migrations"), VERSION)
}

/// Reads them.
///
/// # Errors
/// It is no such list.
pub fn read_live_migrations(answer: &Answer) -> Result<Vec<LiveProgress>, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        migrations: Vec<LiveProgress>,
    }
    read::<Body>("list of live migrations", answer).map(|body| body.migrations)
}
