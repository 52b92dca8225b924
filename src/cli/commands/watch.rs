//! `clearway watch`: the events of a run, as they come, from another process.

use std::time::Duration;

use super::session::{Session, runtime};
use crate::cli::error::CliError;
use crate::cli::jsonl;
use crate::cli::moves_args::{Watch, WatchFormat};
use crate::cli::progress::stored_words;
use crate::ledger::{Ledger, LedgerError, RunState};
use crate::report::exit;

/// How often the ledger is looked at.
const PAUSE: Duration = Duration::from_millis(500);

pub(in crate::cli) fn watch(session: &Session, arguments: &Watch) -> Result<u8, CliError> {
    use std::io::Write as _;
    let path = session.ledger_path()?;
    runtime()?.block_on(async {
        let Some(ledger) = Ledger::open_existing(&path).await? else {
            return Err(LedgerError::NoRuns { path }.into());
        };
        let run = ledger.find(&arguments.run).await?.start.id;
        let mut seen = 0;
        loop {
            // The state first: what happens between the two is in the events.
            let state = ledger.find(&run).await?.state;
            let mut out = session.console.out.clone();
            for event in ledger.events_after(&run, seen).await? {
                seen = event.seq;
                match arguments.format {
                    WatchFormat::Jsonl => jsonl::write_stored(&mut out, &event)?,
                    WatchFormat::Table => {
                        if let Some(words) = stored_words(&event.json, session.console.verbose) {
                            writeln!(out, "{} {words}", event.at.strftime("%H:%M:%SZ"))?;
                        }
                    }
                }
            }
            out.flush()?;
            if state != RunState::Running {
                session
                    .console
                    .note(format!("run {run} is {}", state.as_str()));
                if matches!(state, RunState::Unfinished | RunState::Interrupted) {
                    let resume = session.typed(&format!("resume {run}"));
                    session
                        .console
                        .note(format!("`{resume}` goes on with its moves"));
                }
                ledger.close().await;
                return Ok(exit::WELL);
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}
