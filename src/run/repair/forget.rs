//! Gives up the way back of an earlier repair: the copies of old files beside the new ones.

use super::rotate::steps_to_forget;
use super::way_back::{Step, Way, WayBack, WayBackRequest, nobody_at, stands_for};
use crate::ledger::{RunRecord, RunState, StoredRepair};
use crate::repair::{End, NodeProgress, Progress, Stage};
use crate::run::RunError;
use crate::run::request::Surroundings;

/// Finds what there is to forget of a run, or of all steps of its rotation.
///
/// # Errors
/// The run is no repair, goes on, is not at its end, keeps no copies, or names nodes that the inventory does not have.
pub async fn prepare_forget(
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
    let is_begun = |it: &NodeProgress| it.doing == Some(Stage::Forget);
    let mut steps = Vec::new();
    for (record, stored) in steps_to_forget(&ledger, record, stored).await? {
        let run = &record.start.id;
        let progress = Progress::replay(&stored.plan, &stored.records)?;
        let is_half_way = progress.nodes().any(|(_, it)| is_begun(it));
        if record.state == RunState::Running || (!progress.is_closed() && !is_half_way) {
            return no(format!(
                "run {run} has not come to its end: `clearway repair resume {run}` or `clearway repair undo {run}` first"
            ));
        }
        let keeps = |it: &NodeProgress| it.end == Some(End::Kept) || is_begun(it);
        let step = Step::new(&asked.fleet, run, stored, progress, keeps)?;
        if step.is_empty() {
            return no(format!("run {run} keeps no copies on any node"));
        }
        steps.push(step);
    }
    Ok(WayBack {
        asked,
        way: Way::GivenUp,
        about,
        ledger,
        around,
        steps,
    })
}
