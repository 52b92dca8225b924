//! Which row of os-migrations belongs to a move.

use super::state::Tracked;
use crate::openstack::compute::Migration;

/// The row of a move among those of all servers: the first one of its server and kind after the baseline.
///
/// A later row of the same server is a later move of somebody else; one to another destination is, too.
#[must_use]
pub fn own_row<'r>(tracked: &Tracked, rows: &'r [Migration]) -> Option<&'r Migration> {
    if let Some(id) = tracked.migration {
        return rows
            .iter()
            .find(|row| row.id == id && row.server == tracked.server);
    }
    rows.iter()
        .filter(|row| {
            row.server == tracked.server
                && row.kind == tracked.kind.migration_type()
                && row.id > tracked.baseline
        })
        .filter(|row| match (&row.dest_compute, &tracked.destination) {
            (Some(row), Some(wanted)) => row == wanted,
            // Scheduling failed or has not come to it, or Nova chooses.
            _ => true,
        })
        .min_by_key(|row| row.id)
}
