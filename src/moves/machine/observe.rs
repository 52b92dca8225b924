//! What server, task, host and row together mean. None of them alone says how a move ended: one that failed leaves the
//! server ACTIVE, one that is failing shows ACTIVE before it shows ERROR, and a row may say `completed` while the server
//! is where it was.

use jiff::{SignedDuration, Timestamp};

use super::record::{Seen, SeenMigration, SeenServer};
use super::state::{Stage, Tracked, Verdict};
use crate::domain::MoveKind;
use crate::openstack::compute::MigrationStatus as M;

/// How long what looks like a failure must stay the same before it counts. ERROR has been seen up to 4 seconds after
/// ACTIVE (nova 34, live moves).
pub const SETTLE: SignedDuration = SignedDuration::from_secs(10);
/// How long what contradicts itself may last: the parts are written one after the other, by several services.
pub(super) const CONTRADICTION: SignedDuration = SignedDuration::from_secs(60);

/// What an observation means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Nova works on it; with its word.
    Moving(String),
    /// It waits for its confirmation.
    Waiting,
    /// Its confirmation is carried out.
    Confirming,
    /// It is being brought back.
    Reverting,
    /// The server is where it should be, for good.
    Arrived,
    /// It looks like this end; it counts when it stays.
    Settling(Verdict, String),
    /// Nova did not begin: its scheduler found the destination unfit. Another one may be tried.
    Elsewhere,
    /// It has ended.
    Ended(Verdict, String),
}

/// Reads an observation. Pure: the same tracked move, observation and time give the same reading.
#[must_use]
pub fn read(tracked: &Tracked, seen: &Seen, at: Timestamp) -> Reading {
    let reading = match (&seen.server, &seen.migration) {
        (None, _) => {
            return Reading::Ended(
                Verdict::Failed,
                "the server was deleted meanwhile".to_owned(),
            );
        }
        (Some(server), None) => without_row(server),
        (Some(server), Some(row)) if tracked.kind == MoveKind::Live => live(tracked, server, row),
        (Some(server), Some(row)) => cold(tracked, server, row),
    };
    settle(tracked, reading, at)
}

/// What looks like an end becomes one when it has been the same for long enough.
fn settle(tracked: &Tracked, reading: Reading, at: Timestamp) -> Reading {
    let Reading::Settling(verdict, why) = reading else {
        return reading;
    };
    let enough = match verdict {
        Verdict::Unknown => CONTRADICTION,
        _ => SETTLE,
    };
    match &tracked.settling {
        Some((before, said, since))
            if *before == verdict && *said == why && at.duration_since(*since) >= enough =>
        {
            if verdict == Verdict::Refused {
                return Reading::Elsewhere;
            }
            Reading::Ended(verdict, why)
        }
        _ => Reading::Settling(verdict, why),
    }
}

fn without_row(server: &SeenServer) -> Reading {
    match &server.task {
        Some(task) => Reading::Moving(task.clone()),
        None => Reading::Settling(
            Verdict::Unknown,
            format!(
                "Nova took the request, but os-migrations has no row of it; the server is {} on {}",
                server.status,
                host(server)
            ),
        ),
    }
}

fn cold(tracked: &Tracked, server: &SeenServer, row: &SeenMigration) -> Reading {
    let idle = server.task.is_none();
    let there = is_there(tracked, server, row);
    let in_error = server.status == "ERROR" && idle;
    if is_stranded(tracked, server, row) {
        return stranded(server, row);
    }
    match M::read(&row.status) {
        status if in_error && goes_on(status) => failing(server, row),
        M::Finished if server.status == "VERIFY_RESIZE" && idle && there => match tracked.stage {
            Stage::Confirming => Reading::Confirming,
            Stage::Reverting => Reading::Reverting,
            _ => Reading::Waiting,
        },
        M::Finished if in_error => failing(server, row),
        M::Finished if idle && server.status != "RESIZE" => contradicting(server, row),
        M::Reverting if in_error => failing(server, row),
        M::Reverting if tracked.reverting => Reading::Reverting,
        M::Reverted if tracked.reverting => reverted(tracked, server, row),
        M::Confirmed if tracked.reverting && idle && server.status != "VERIFY_RESIZE" => {
            Reading::Ended(
                Verdict::Failed,
                format!(
                    "somebody confirmed it instead: the server stays on {}",
                    host(server)
                ),
            )
        }
        M::Confirming => Reading::Confirming,
        M::Confirmed if server.status == "VERIFY_RESIZE" => Reading::Confirming,
        M::Confirmed if in_error => failing(server, row),
        M::Confirmed if there => Reading::Arrived,
        M::Confirmed => contradicting(server, row),
        M::Reverted => Reading::Ended(
            Verdict::Failed,
            format!("somebody reverted it; the server is on {}", host(server)),
        ),
        M::Error | M::Failed if idle || server.status == "ERROR" => failed(tracked, server, row),
        M::Cancelled => Reading::Ended(Verdict::Failed, "somebody cancelled it".to_owned()),
        M::Completed | M::Done | M::Other if idle => contradicting(server, row),
        _ => Reading::Moving(word(server, row)),
    }
}

/// A row that was reverted, as it was asked for.
fn reverted(tracked: &Tracked, server: &SeenServer, row: &SeenMigration) -> Reading {
    let is_at_rest = server.task.is_none()
        && !matches!(server.status.as_str(), "REVERT_RESIZE" | "VERIFY_RESIZE");
    if !is_at_rest {
        Reading::Reverting
    } else if server.status == "ERROR" {
        failing(server, row)
    } else if server.host.as_ref() == Some(&tracked.source) {
        Reading::Arrived
    } else {
        contradicting(server, row)
    }
}

fn live(tracked: &Tracked, server: &SeenServer, row: &SeenMigration) -> Reading {
    let idle = server.task.is_none();
    if is_stranded(tracked, server, row) {
        return stranded(server, row);
    }
    match M::read(&row.status) {
        M::Completed if idle && server.status == "ERROR" => failing(server, row),
        M::Completed if idle && is_there(tracked, server, row) => Reading::Arrived,
        // A drain that trusts the row alone never ends, one that trusts the host alone ends too early.
        M::Completed if idle => Reading::Settling(
            Verdict::Failed,
            format!(
                "os-migrations says completed, but the server is still on {}",
                host(server)
            ),
        ),
        M::Error | M::Failed if idle => failed(tracked, server, row),
        M::Cancelled if idle => Reading::Ended(
            Verdict::Failed,
            format!(
                "it was aborted; the server is {} on {}",
                server.status,
                host(server)
            ),
        ),
        M::Confirming
        | M::Confirmed
        | M::Reverting
        | M::Reverted
        | M::Finished
        | M::Done
        | M::Other
            if idle =>
        {
            contradicting(server, row)
        }
        _ => Reading::Moving(word(server, row)),
    }
}

/// Whether the server is at rest where it was while its row goes on: nova-compute was restarted in the middle, has put the
/// server back, and left the row as it was (nova/compute/manager.py `_init_instance`). Nova gives the server a task before
/// it takes the request, and takes it away at the end.
fn is_stranded(tracked: &Tracked, server: &SeenServer, row: &SeenMigration) -> bool {
    server.task.is_none()
        && server.host.as_ref() == Some(&tracked.source)
        && matches!(
            server.status.as_str(),
            "ACTIVE" | "SHUTOFF" | "PAUSED" | "SUSPENDED"
        )
        && goes_on(M::read(&row.status))
}

/// Whether a row says that Nova still works on the move.
fn goes_on(status: M) -> bool {
    matches!(
        status,
        M::Accepted
            | M::Queued
            | M::Preparing
            | M::Running
            | M::PreMigrating
            | M::Migrating
            | M::PostMigrating
    )
}

fn stranded(server: &SeenServer, row: &SeenMigration) -> Reading {
    Reading::Settling(
        Verdict::Failed,
        format!(
            "Nova does not go on with it: the server is {} on {} and has no task, its migration was left {}, as after a \
             restart of nova-compute",
            server.status,
            host(server),
            row.status
        ),
    )
}

/// A row that failed, and a server at rest. In ERROR it is certain; ACTIVE may still become ERROR.
fn failed(tracked: &Tracked, server: &SeenServer, row: &SeenMigration) -> Reading {
    let host = host(server);
    if server.status == "ERROR" {
        let why = if server.host.as_ref() == Some(&tracked.source) {
            format!(
                "the migration is {}, the server is in ERROR on {host}",
                row.status
            )
        } else {
            format!(
                "the migration is {}, the server is in ERROR on {host}, where it was going",
                row.status
            )
        };
        return Reading::Ended(Verdict::Failed, why);
    }
    // A row that never got a destination is one that the scheduler had none for (nova/conductor/tasks).
    let unbegun = row.destination.is_none()
        && tracked.kind != MoveKind::Resize
        && server.host.as_ref() == Some(&tracked.source);
    if let (true, Some(wanted)) = (unbegun, &tracked.destination) {
        let why = format!("Nova's scheduler does not let it go to {wanted} (No valid host)");
        return Reading::Settling(Verdict::Refused, why);
    }
    Reading::Settling(
        Verdict::Failed,
        format!(
            "the migration is {}, the server is {} on {host} as if nothing had been",
            row.status, server.status
        ),
    )
}

/// A server in ERROR whose row has not said so yet.
fn failing(server: &SeenServer, row: &SeenMigration) -> Reading {
    Reading::Settling(
        Verdict::Failed,
        format!(
            "the server is in ERROR on {}, the migration {}",
            host(server),
            row.status
        ),
    )
}

fn contradicting(server: &SeenServer, row: &SeenMigration) -> Reading {
    Reading::Settling(
        Verdict::Unknown,
        format!(
            "the migration is {}, the server {} on {}: that does not fit",
            row.status,
            server.status,
            host(server)
        ),
    )
}

/// Whether the server is where it was to go: where the row says for a resize, where it was asked to go otherwise.
fn is_there(tracked: &Tracked, server: &SeenServer, row: &SeenMigration) -> bool {
    let wanted = tracked.destination.as_ref().or(row.destination.as_ref());
    wanted.is_some() && server.host.as_ref() == wanted
}

fn word(server: &SeenServer, row: &SeenMigration) -> String {
    match &server.task {
        Some(task) => format!("{} ({task})", row.status),
        None => row.status.clone(),
    }
}

fn host(server: &SeenServer) -> &str {
    server.host.as_ref().map_or("no host", |host| host.as_str())
}
