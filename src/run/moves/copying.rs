//! The numbers of live moves that are under way. Nova shows them for one server at a time only, so a few are read in each
//! interval, in turn: what they are good for is to be looked at.

use tokio::task::JoinSet;

use super::engine::Engine;
use super::journal::Entry;
use crate::domain::{Event, MoveKind};
use crate::moves::machine::Stage;
use crate::moves::pace::Pace;
use crate::system;

/// Live moves whose numbers are read in one interval.
const AT_ONCE: usize = 2;

impl Engine<'_> {
    /// Reads the numbers of the next few live moves, and tells them. Whoever watches may miss some: they are not stored.
    pub(super) async fn look_at_copying(&mut self) {
        let runs = |entry: &Entry| {
            entry.tracked.kind == MoveKind::Live
                && entry.tracked.stage == Stage::Moving
                && entry.tracked.migration.is_some()
        };
        let mut running: Vec<usize> = (0..self.entries.len())
            .filter(|&index| runs(&self.entries[index]))
            .collect();
        running.sort_by_key(|&index| self.entries[index].counted);
        let mut reading = JoinSet::new();
        for index in running.into_iter().take(AT_ONCE) {
            let entry = &mut self.entries[index];
            entry.counted = Some(system::now());
            let (session, id) = (self.looking.clone(), entry.tracked.server.clone());
            reading.spawn(async move { (index, session.live_migrations(&id).await) });
        }
        while let Some(read) = reading.join_next().await {
            // Numbers that cannot be had are no reason for anything.
            let Ok((index, Ok(rows))) = read else {
                continue;
            };
            let entry = &mut self.entries[index];
            let Some(seen) = rows
                .into_iter()
                .find(|it| Some(it.id) == entry.tracked.migration)
            else {
                continue;
            };
            let pace = Pace::after(entry.pace.as_ref(), seen, system::now());
            if entry.pace.as_ref() != Some(&pace) {
                let event = Event::MoveCopying {
                    server: entry.tracked.server.to_string(),
                    name: entry.name.clone(),
                    memory_total: pace.seen.memory_total_bytes,
                    memory_remaining: pace.seen.memory_remaining_bytes,
                    disk_total: pace.seen.disk_total_bytes,
                    disk_remaining: pace.seen.disk_remaining_bytes,
                    rate: pace.rate,
                    seconds_left: pace.seconds_left(),
                };
                entry.pace = Some(pace);
                self.journal.show(&event);
            }
        }
    }
}

/// A move that is under way in a few words: its name, and how far it is.
pub(super) fn brief(entry: &Entry) -> String {
    let tracked = &entry.tracked;
    let mut far = Vec::new();
    if let Some(pace) = entry
        .pace
        .as_ref()
        .filter(|_| tracked.stage == Stage::Moving)
    {
        far.extend(pace.percent().map(|it| format!("{it} %")));
        far.extend(pace.left().map(|it| format!("{} MiB left", it >> 20)));
        far.extend(pace.rate.map(|it| format!("{} MiB/s", it >> 20)));
        far.extend(pace.seconds_left().map(|it| format!("{it} s")));
    }
    if far.is_empty() {
        let word = if tracked.phase.is_empty() {
            tracked.stage.as_str()
        } else {
            &tracked.phase
        };
        far.push(word.to_owned());
    }
    format!("{} ({})", entry.name, far.join(", "))
}
