//! One record: through the transition function, onto the disk, then into memory and to whoever watches.

use jiff::{SignedDuration, Timestamp};

use crate::domain::Event;
use crate::ledger::{Ledger, StoredRecord};
use crate::moves::compare::Portrait;
use crate::moves::machine::{Doubt, Illegal, Record, Stage, Tracked, Verdict};
use crate::moves::pace::Pace;
use crate::openstack::compute::{Migration, Server};
use crate::system;

use super::engine::Engine;
use super::error::MovesError;

/// A move at work.
pub(super) struct Entry {
    pub(super) tracked: Tracked,
    /// Records that are on the disk.
    pub(super) seq: u64,
    pub(super) name: String,
    /// What the server was before.
    pub(super) before: Portrait,
    /// The server as it was last seen; `None` when it is gone.
    pub(super) server: Option<Server>,
    /// Its row of os-migrations as it was last listed: what has not changed is not listed again.
    pub(super) row: Option<Migration>,
    /// Whether a task works on it.
    pub(super) busy: bool,
    /// Not to be started before then.
    pub(super) not_before: Option<Timestamp>,
    /// Requests that could not be sent.
    pub(super) unsent: u32,
    /// Confirmations that Nova refused.
    pub(super) unconfirmed: u32,
    /// Times that it could not be compared: Nova could not be asked.
    pub(super) unread: u32,
    /// Comparisons that found something that may still change.
    pub(super) compared: u32,
    /// Why the last destination was given up.
    pub(super) last_why: String,
    /// Whether Nova itself refused a destination.
    pub(super) rejected: bool,
    /// Whether Nova turned a destination down after it had taken the request: its actions say why.
    pub(super) turned_down: bool,
    /// When its first proof began.
    pub(super) began: Option<Timestamp>,
    /// When it ended.
    pub(super) ended: Option<Timestamp>,
    /// When its request was about to be sent.
    pub(super) sent: Option<Timestamp>,
    /// Since when nobody waits for the answer to its request any more.
    pub(super) doubt: Option<Doubt>,
    /// How fast it is copied, while it moves live.
    pub(super) pace: Option<Pace>,
    /// When its numbers were last asked for.
    pub(super) counted: Option<Timestamp>,
}

impl Entry {
    pub(super) fn new(
        tracked: Tracked,
        name: String,
        before: Portrait,
        server: Option<Server>,
    ) -> Self {
        Self {
            tracked,
            seq: 0,
            name,
            before,
            server,
            row: None,
            busy: false,
            not_before: None,
            unsent: 0,
            unconfirmed: 0,
            unread: 0,
            compared: 0,
            last_why: String::new(),
            rejected: false,
            turned_down: false,
            began: None,
            ended: None,
            sent: None,
            doubt: None,
            pace: None,
            counted: None,
        }
    }

    /// Not again before so many seconds.
    pub(super) fn postpone(&mut self, seconds: i64) {
        self.not_before = Some(system::now() + SignedDuration::from_secs(seconds));
    }

    /// Takes a record that is on the disk.
    ///
    /// # Errors
    /// It cannot follow.
    pub(super) fn take(&mut self, record: &Record, at: Timestamp) -> Result<(), Illegal> {
        let next = self.tracked.after(record, at)?;
        let before = std::mem::replace(&mut self.tracked, next);
        self.seq += 1;
        match record {
            Record::Proving { .. } => {
                self.began.get_or_insert(at);
            }
            Record::Requesting { .. } => {
                self.sent = Some(at);
                self.doubt = None;
            }
            Record::Uncertain { over, .. } => {
                let over = *over;
                self.doubt = Some(Doubt { since: at, over });
            }
            Record::Closed { why, .. } => self.last_why.clone_from(why),
            Record::Rejected { why, .. } => {
                self.last_why.clone_from(why);
                self.rejected = true;
            }
            Record::NotSent { why } => {
                self.last_why.clone_from(why);
                self.sent = None;
            }
            Record::Seen(_) if self.tracked.stage == Stage::Planned => {
                self.rejected = true;
                self.turned_down = true;
                if let Some((_, why, _)) = before.settling {
                    self.last_why = why;
                }
            }
            Record::Reopened => self.ended = None,
            Record::Compared { .. } => self.compared += 1,
            _ => {}
        }
        if self.tracked.stage == Stage::Ended {
            self.ended.get_or_insert(at);
        }
        Ok(())
    }
}

/// Writes a record of a move, and takes it. When this returns it is on the disk; what the transition function refuses is
/// never written.
///
/// # Errors
/// It cannot follow, or the ledger cannot be written.
pub(super) async fn append(
    ledger: &Ledger,
    run: &str,
    entry: &mut Entry,
    record: &Record,
) -> Result<(), MovesError> {
    let at = system::now();
    let server = entry.tracked.server.to_string();
    let illegal = |illegal: Illegal| MovesError::Journal {
        run: run.to_owned(),
        server: server.clone(),
        why: illegal.to_string(),
    };
    entry.tracked.after(record, at).map_err(illegal)?;
    let json = serde_json::to_string(record).expect("a record has nothing that JSON cannot say");
    let stored = StoredRecord {
        server: server.clone(),
        seq: entry.seq + 1,
        at,
        json,
    };
    ledger.record_move(run, &stored).await?;
    entry.take(record, at).map_err(illegal)
}

impl Engine<'_> {
    /// Writes a record of a move. When this returns it is on the disk.
    pub(super) async fn record(&mut self, index: usize, record: Record) -> Result<(), MovesError> {
        let entry = &mut self.entries[index];
        let before = (entry.tracked.stage, entry.tracked.phase.clone());
        append(&self.ledger, &self.run, entry, &record).await?;
        let entry = &self.entries[index];
        if before != (entry.tracked.stage, entry.tracked.phase.clone()) {
            self.journal.event(&changed(entry, &record));
        }
        Ok(())
    }

    /// Gives a move up.
    pub(super) async fn give_up(
        &mut self,
        index: usize,
        verdict: Verdict,
        why: &str,
    ) -> Result<(), MovesError> {
        let why = why.to_owned();
        self.record(index, Record::GivenUp { verdict, why }).await
    }
}

fn changed(entry: &Entry, record: &Record) -> Event {
    let tracked = &entry.tracked;
    let detail = match (&tracked.end, record) {
        (Some(end), _) => end.why.clone(),
        (None, Record::Closed { destination, why }) => format!("{destination} is closed: {why}"),
        (
            None,
            Record::Rejected { why, .. } | Record::NotSent { why } | Record::Uncertain { why, .. },
        ) => why.clone(),
        (None, Record::Seen(_)) if tracked.stage == Stage::Planned => entry.last_why.clone(),
        (None, Record::Reopened) => "looked at again".to_owned(),
        (None, Record::ConfirmRejected { why }) => format!("not confirmed: {why}"),
        (None, Record::RevertRejected { why }) => format!("not reverted: {why}"),
        (None, _) => tracked.phase.clone(),
    };
    Event::MoveChanged {
        server: tracked.server.to_string(),
        name: entry.name.clone(),
        kind: tracked.kind.to_string(),
        source: tracked.source.to_string(),
        destination: tracked.destination.as_ref().map(ToString::to_string),
        stage: match &tracked.end {
            Some(end) => end.verdict.to_string(),
            None => tracked.stage.to_string(),
        },
        detail,
    }
}
