//! Puts back what an earlier repair did.

use super::prove::is_undoable;
use super::rests::{Resting, nothing_rests_on};
use super::rotate::steps_back;
use super::way_back::{Step, Way, WayBack, WayBackRequest, nobody_at, stands_for};
use crate::ledger::{RunRecord, RunState, StoredRepair};
use crate::repair::{End, Progress};
use crate::run::RunError;
use crate::run::request::Surroundings;

/// Finds what there is to put back of a run, or of all steps of its rotation.
///
/// # Errors
/// The run is no repair, goes on, has a later one resting on it, has changed nothing that is not put back already, or names nodes that the inventory does
/// not have.
pub async fn prepare_undo(
    asked: WayBackRequest,
    record: RunRecord,
    stored: StoredRepair,
    around: Surroundings,
) -> Result<WayBack, RunError> {
    let no = |text: String| Err(RunError::NoRepair(text));
    let Some(ledger) = around.ledger.clone() else {
        return no("there is no ledger".to_owned());
    };
    let about = stands_for(&record, &stored);
    nobody_at(&ledger, &about).await?;
    let mut steps = Vec::new();
    let mut runs = Vec::new();
    for (record, stored) in steps_back(&ledger, record, stored).await? {
        if record.state == RunState::Running {
            let run = &record.start.id;
            return no(format!("run {run} goes on: end it before it is undone"));
        }
        runs.push((record.start.id, stored));
    }
    nothing_rests_on(&ledger, &runs, Resting::OnDone).await?;
    for (run, stored) in runs {
        let progress = Progress::replay(&stored.plan, &stored.records)?;
        let why = why_nothing(&progress);
        let step = Step::new(&asked.fleet, &run, stored, progress, is_undoable)?;
        if step.is_empty() {
            return no(format!("run {run} {why}"));
        }
        steps.push(step);
    }
    Ok(WayBack {
        asked,
        way: Way::Taken,
        about,
        ledger,
        around,
        steps,
    })
}

/// Why nothing of a run can be put back, in words that follow its name.
fn why_nothing(progress: &Progress) -> &'static str {
    let has = |wanted: fn(&End) -> bool| {
        let mut ends = progress.nodes().filter_map(|(_, it)| it.end.as_ref());
        ends.any(wanted)
    };
    if has(|end| matches!(end, End::Forgotten)) {
        "was forgotten: what it could have been put back from is gone"
    } else if has(|end| matches!(end, End::Undone(_))) {
        "has been put back already"
    } else {
        "left nothing that could be put back"
    }
}
