//! `clearway repair undo` and `clearway repair forget`: the way back of a repair is taken, or given up.

use std::io;
use std::sync::Arc;

use super::check::tellers;
use super::repair::{ask, operator, stored, with_ledger};
use super::runs::write_report;
use super::session::{Session, runtime};
use crate::cli::args::RepairUndo;
use crate::cli::error::CliError;
use crate::cli::render::{write_undo_paths, write_way_back_notes};
use crate::domain::fold;
use crate::ledger::{Ledger, RunRecord, StoredRepair};
use crate::remote::Deadlines;
use crate::report::exit;
use crate::run::{self, RunError, Surroundings, WayBack, WayBackRequest};
use crate::system;

pub(super) fn undo(session: &Session, arguments: &RepairUndo) -> Result<u8, CliError> {
    carry_out(session, arguments, run::prepare_undo, |way_back| {
        let mut err = session.console.err.clone();
        for paths in way_back.paths() {
            write_undo_paths(&mut err, &paths, session.console.view())?;
        }
        let runs: Vec<&str> = way_back.runs().collect();
        ask(
            session,
            &format!("Put back what run {} did?", runs.join(", ")),
        )
    })
}

pub(super) fn forget(session: &Session, arguments: &RepairUndo) -> Result<u8, CliError> {
    carry_out(session, arguments, run::prepare_forget, |way_back| {
        let runs: Vec<&str> = way_back.runs().collect();
        let question = format!(
            "Remove what run {} would be put back from, on {}? It cannot be undone after that.",
            runs.join(", "),
            fold(way_back.nodes())
        );
        ask(session, &question)
    })
}

/// Prepares, asks, carries out and reports.
fn carry_out(
    session: &Session,
    arguments: &RepairUndo,
    prepare: impl AsyncFnOnce(
        WayBackRequest,
        RunRecord,
        StoredRepair,
        Surroundings,
    ) -> Result<WayBack, RunError>,
    agreed: impl FnOnce(&WayBack) -> io::Result<bool>,
) -> Result<u8, CliError> {
    let asked = WayBackRequest {
        run: system::run_id(system::now()),
        fleet: Arc::new(session.inventory()?.fleet),
        inventory: session.global.inventory.display().to_string(),
        inventory_path: session.inventory_path(),
        deadlines: Deadlines::default(),
        concurrency: usize::try_from(arguments.concurrency.get()).unwrap_or(usize::MAX),
        operator: operator(session),
    };
    let format = arguments.format.of_report();
    let done = with_ledger(session, arguments.format, async |around, tellers| {
        let (record, stored) = stored(&around, &arguments.run).await?;
        let way_back = prepare(asked, record, stored, around).await?;
        tellers.finish();
        if !arguments.yes && !agreed(&way_back)? {
            return Ok(None);
        }
        tellers.replace(self::tellers(session, format));
        Ok(Some(way_back.carry_out().await?))
    })?;
    let Some(report) = done else {
        return Ok(exit::BROKEN);
    };
    write_report(&session.console, &report, format, session.kept())?;
    write_way_back_notes(&mut session.console.err.clone(), &report, session.kept())?;
    Ok(report.summary.exit_code)
}

/// Refuses to resume a run that puts another one back, or forgets: it is told again.
pub(super) fn not_resumed(session: &Session, name: &str) -> Result<(), CliError> {
    let path = session.ledger_path()?;
    let record = runtime()?.block_on(async {
        let ledger = Ledger::open(&path).await?;
        let record = ledger.find(name).await;
        ledger.close().await;
        record
    })?;
    match &record.start.about {
        None => Ok(()),
        Some(about) => {
            let (run, command) = (&record.start.id, &record.start.command);
            let text = format!("run {run} is no repair, but a `clearway {command}` of run {about}");
            let again = session.typed(&format!("{command} {about}"));
            Err(CliError::usage(text).hint(format!("`{again}` goes on with it")))
        }
    }
}
