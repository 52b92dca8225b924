//! What a run of moves locks, and whether it still has it.

use std::collections::BTreeSet;
use std::fmt::Display;

use jiff::Timestamp;

use super::engine::{Engine, LOCK};
use super::error::MovesError;

/// The lock of a server: its id says which it is, by whatever address the cloud is reached.
pub(super) fn server_lock(id: impl Display) -> String {
    format!("server {id}")
}

/// The lock of a host that is emptied. Nothing else of a cloud is the same by all of its addresses, so hosts of one name in
/// two clouds, with one ledger, are emptied one after the other.
pub(super) fn host_lock(name: impl Display) -> String {
    format!("host {name}")
}

impl Engine<'_> {
    /// Holds the run's locks for longer. Where another run has taken one, because this one was not there to renew it, no
    /// further move begins.
    pub(super) async fn keep_locks(&mut self, now: Timestamp) -> Result<(), MovesError> {
        let held = self.ledger.renew_locks(&self.run, now + LOCK).await?;
        let servers = self.entries.iter();
        let servers = servers.map(|it| server_lock(&it.tracked.server));
        let hosts = self.cloud.draining.iter().map(host_lock);
        if let Some(why) = lost(&held, servers.chain(hosts)) {
            self.stop(why);
        }
        self.renewed = now;
        Ok(())
    }
}

/// Why no further move begins, where a lock that is needed is not held any more.
fn lost(held: &BTreeSet<String>, mut needed: impl Iterator<Item = String>) -> Option<String> {
    let lost = needed.find(|it| !held.contains(it))?;
    Some(format!(
        "the lock of {lost} is lost: another run has taken it over"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_says_what_is_locked_and_not_how_its_cloud_is_reached() {
        assert_eq!(server_lock("0f2b"), "server 0f2b");
        assert_eq!(host_lock("cmp001"), "host cmp001");
    }

    #[test]
    fn a_lock_that_was_taken_over_is_noticed_whatever_else_is_held() {
        let needed = || [server_lock("1"), server_lock("2"), host_lock("a")].into_iter();
        let mut held: BTreeSet<String> = needed().collect();
        held.insert(server_lock("stays"));
        assert_eq!(lost(&held, needed()), None);
        held.remove("server 2");
        assert_eq!(
            lost(&held, needed()).unwrap(),
            "the lock of server 2 is lost: another run has taken it over"
        );
    }
}
