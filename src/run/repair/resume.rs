//! Goes on with a repair that did not come to its end.

use std::sync::Arc;

use super::outcome::empty_report;
use super::prepare::{Prepared, RepairRequest, pairs};
use super::rests::{Resting, nothing_rests_on};
use super::way_back::{nobody_at, stands_for};
use crate::domain::Event;
use crate::ledger::{RunRecord, RunState, StoredRepair};
use crate::remote::Connector;
use crate::repair::Progress;
use crate::report::{Report, Summary, exit};
use crate::run::RunError;
use crate::run::examine::Beginning;
use crate::run::journal::Journal;
use crate::run::request::Surroundings;
use crate::run::survey::survey;

/// Finishes a repair that was killed, interrupted, or lost a node: what the journal says was begun is told again, which
/// finds done what was done; then all is proven, and kept or put back, as it would have been.
///
/// # Errors
/// The run is no repair, goes on, is complete, or is being put back; or the ledger cannot be used.
pub async fn resume(
    asked: RepairRequest,
    record: &RunRecord,
    stored: StoredRepair,
    around: Surroundings,
) -> Result<Report, RunError> {
    let request = asked.request;
    let Some(ledger) = around.ledger.clone() else {
        return Err(RunError::NoRepair("there is no ledger".to_owned()));
    };
    if record.state == RunState::Running {
        let text = format!("run {} goes on, in process {}", request.run, pid(record));
        return Err(RunError::NoRepair(text));
    }
    let progress = Progress::replay(&stored.plan, &stored.records)?;
    if progress.is_closed() {
        let text = format!("run {} came to its end: nothing to resume", request.run);
        return Err(RunError::NoRepair(text));
    }
    nobody_at(&ledger, &stands_for(record, &stored)).await?;
    let run = (record.start.id.clone(), stored);
    nothing_rests_on(&ledger, std::slice::from_ref(&run), Resting::OnPlanned).await?;
    let (_, stored) = run;
    let events = Journal::resume(&request.run, &ledger, &around).await?;
    events.event(&Event::RunStarted {
        run: request.run.clone(),
        command: request.command.to_owned(),
        nodes: request.selected.len() as u64,
        pairs: pairs(&request),
        depth: request.depth,
    });
    let connector = Arc::new(Connector::new(
        around.environment.clone(),
        request.deadlines,
    ));
    let surveyed = survey(&request, &around, &connector, &events).await;
    let beginning = Beginning {
        started: record.start.started,
        settings: request.settings(),
    };
    let written = stored.records.len() as u64;
    let prepared = Prepared {
        report: Report {
            command: request.command.to_owned(),
            summary: Summary {
                nodes: request.selected.len() as u64,
                exit_code: exit::UNPROVEN,
                ..Summary::default()
            },
            ..empty_report(&record.start)
        },
        request,
        around,
        ledger,
        events,
        beginning,
        connector,
        surveyed,
        tried: None,
        plan: stored.plan,
        worked: stored.worked,
        policy: None,
        certificates_wait: false,
        operator: asked.operator,
        patience: asked.patience,
        certificates: None,
    };
    prepared.go_on(progress, written).await
}

/// The process that works on a run.
fn pid(record: &RunRecord) -> String {
    let process = record.start.process.as_ref();
    process.map_or_else(String::new, |process| process.pid.to_string())
}
