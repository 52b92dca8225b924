//! The operator's command after each move.

use std::time::Duration;

use super::engine::{Done, Engine};
use super::error::MovesError;
use super::journal::Entry;
use crate::domain::Event;
use crate::moves::machine::{Hook, Record, Stage};
use crate::report::escape;
use crate::system;

/// What is recorded of a command that may have done its work or not when clearway was stopped.
pub(super) const CUT_OFF: &str = "clearway was stopped while it ran: whether it did its work is not known, and it is not run again";

impl Engine<'_> {
    /// Runs the command for a move that is over, once. A move that Nova was never asked for is none.
    pub(super) async fn hook_if_due(&mut self, index: usize) -> Result<(), MovesError> {
        let Some(hook) = self.options.hook.clone() else {
            return Ok(());
        };
        let entry = &self.entries[index];
        let tracked = &entry.tracked;
        let asked_for = entry.sent.is_some() || tracked.migration.is_some();
        if tracked.stage != Stage::Ended || tracked.hook != Hook::Not || entry.busy || !asked_for {
            return Ok(());
        }
        let variables = variables(&self.run, entry);
        self.record(index, Record::HookStarting).await?;
        self.spawn(index, async move {
            let limit = Duration::from_secs(hook.timeout);
            Done::Hooked(system::run_program(&hook.program, &variables, limit).await)
        });
        Ok(())
    }

    /// The command has ended.
    pub(super) async fn hooked(
        &mut self,
        index: usize,
        ended: Result<(), String>,
    ) -> Result<(), MovesError> {
        let failure = ended.err();
        self.record(
            index,
            Record::HookEnded {
                failure: failure.clone(),
            },
        )
        .await?;
        let entry = &self.entries[index];
        self.journal.event(&Event::HookEnded {
            server: entry.tracked.server.to_string(),
            name: entry.name.clone(),
            failure,
        });
        Ok(())
    }
}

/// What the command is told. What others have written, a server's name above all, comes without control characters.
fn variables(run: &str, entry: &Entry) -> Vec<(&'static str, String)> {
    let tracked = &entry.tracked;
    let (verdict, why) = match &tracked.end {
        Some(end) => (end.verdict.as_str(), end.why.as_str()),
        None => ("", ""),
    };
    let destination = tracked.destination.as_ref();
    vec![
        ("CLEARWAY_RUN", run.to_owned()),
        ("CLEARWAY_SERVER_ID", tracked.server.to_string()),
        (
            "CLEARWAY_SERVER_NAME",
            escape::line(&entry.name).into_owned(),
        ),
        ("CLEARWAY_KIND", tracked.kind.to_string()),
        ("CLEARWAY_SOURCE", tracked.source.to_string()),
        (
            "CLEARWAY_DESTINATION",
            destination.map(ToString::to_string).unwrap_or_default(),
        ),
        ("CLEARWAY_VERDICT", verdict.to_owned()),
        ("CLEARWAY_WHY", escape::line(why).into_owned()),
    ]
}
