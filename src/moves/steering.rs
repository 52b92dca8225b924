//! Live moves under way: which of them Nova lets be aborted or forced, and what became of them.

use crate::openstack::compute::{Migration, MigrationStatus as M, Server};

/// What is done to a live move that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Steering {
    /// It is given up: the server stays where it is.
    Abort,
    /// It ends now, at the price of a pause of the guest or of post-copy.
    ForceComplete,
}

impl Steering {
    /// Its name in reports and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::ForceComplete => "force-complete",
        }
    }

    /// Whether Nova takes it in this state of the row, or why not. Aborting is allowed in `running` since 2.24, in
    /// `queued` and `preparing` since 2.65; forcing in `running` only (nova/compute/api.py `live_migrate_abort`,
    /// `live_migrate_force_complete`).
    ///
    /// # Errors
    /// Why it cannot be done now.
    pub fn allowed(self, status: M) -> Result<(), &'static str> {
        match (self, status) {
            (Self::Abort, M::Running | M::Queued | M::Preparing)
            | (Self::ForceComplete, M::Running) => Ok(()),
            (Self::Abort, M::PostCopy) => Err(
                "it has switched to post-copy: the guest runs on the destination already and would be lost",
            ),
            (Self::ForceComplete, M::PostCopy) => {
                Err("it has switched to post-copy already: it ends by itself")
            }
            (_, M::Accepted) => Err("Nova has not begun with it: try again in a moment"),
            (Self::ForceComplete, M::Queued) => {
                Err("it is queued: the source does as many live moves as it may")
            }
            (Self::ForceComplete, M::Preparing) => {
                Err("it is being prepared: try again when it is running")
            }
            (_, M::PostMigrating) => Err("it is ending already"),
            _ => Err("it is not running"),
        }
    }
}

/// The live move of a server that goes on.
#[must_use]
pub fn under_way(rows: &[Migration]) -> Option<&Migration> {
    rows.iter()
        .filter(|row| row.kind == "live-migration")
        .max_by_key(|row| row.id)
        .filter(|row| !row.status.is_over())
}

/// What became of a live move that was to be steered; `None` while it goes on. Server and row together: a row alone says
/// nothing of where the server is.
#[must_use]
pub fn outcome(how: Steering, server: &Server, row: &Migration) -> Option<(bool, &'static str)> {
    if server.status.task.is_some() {
        return None;
    }
    let there = row.dest_compute.is_some() && server.host == row.dest_compute;
    match (how, row.status) {
        (Steering::Abort, M::Cancelled) if !there => Some((true, "aborted")),
        (Steering::ForceComplete, M::Completed) if there => Some((true, "completed")),
        (_, M::Cancelled) => Some((false, "somebody aborted it")),
        (_, M::Completed) if there => Some((false, "it had arrived before")),
        (_, M::Failed | M::Error) => Some((false, "it failed")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moves::gate::fixtures::server;

    fn row(id: u64, status: &str) -> Migration {
        let json = serde_json::json!({
            "id": id, "uuid": "u", "instance_uuid": server(1, "a").id.to_string(),
            "migration_type": "live-migration", "status": status, "source_compute": "a",
            "dest_compute": "b", "created_at": "2026-11-25T18:00:00.000000",
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_live_move_is_steered_only_where_nova_takes_it() {
        let says = |how: Steering, status| how.allowed(M::read(status)).err().unwrap_or("yes");
        for (status, abort, force) in [
            ("queued", "yes", "queued"),
            ("preparing", "yes", "prepared"),
            ("running", "yes", "yes"),
            ("running (post-copy)", "would be lost", "ends by itself"),
            ("accepted", "not begun", "not begun"),
            ("post-migrating", "ending", "ending"),
            ("completed", "not running", "not running"),
        ] {
            let (a, f) = (
                says(Steering::Abort, status),
                says(Steering::ForceComplete, status),
            );
            assert!(a.contains(abort), "{status}: {a}");
            assert!(f.contains(force), "{status}: {f}");
        }
    }

    #[test]
    fn the_newest_live_move_is_meant_and_only_while_it_goes_on() {
        let rows = [row(3, "cancelled"), row(4, "running")];
        assert_eq!(under_way(&rows).map(|it| it.id), Some(4));
        let rows = [row(3, "running"), row(4, "completed")];
        assert_eq!(under_way(&rows), None, "an older row says nothing");
    }

    #[test]
    fn what_became_of_it_is_said_by_server_and_row_together() {
        use Steering::{Abort, ForceComplete};
        let mut moving = server(1, "a");
        moving.status.task = Some("migrating".to_owned());
        for (how, server, status, said) in [
            (Abort, &moving, "cancelled", None),
            (Abort, &server(1, "a"), "cancelled", Some((true, "aborted"))),
            (
                Abort,
                &server(1, "b"),
                "cancelled",
                Some((false, "somebody aborted it")),
            ),
            (
                Abort,
                &server(1, "b"),
                "completed",
                Some((false, "it had arrived before")),
            ),
            (ForceComplete, &server(1, "a"), "completed", None),
            (
                ForceComplete,
                &server(1, "b"),
                "completed",
                Some((true, "completed")),
            ),
            (
                ForceComplete,
                &server(1, "a"),
                "error",
                Some((false, "it failed")),
            ),
        ] {
            assert_eq!(
                outcome(how, server, &row(4, status)),
                said,
                "{how:?} {status}"
            );
        }
    }
}
