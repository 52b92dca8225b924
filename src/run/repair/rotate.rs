//! A rotation is a row of repairs, each a run of its own: what it has come to, and what comes next, is read from the ledger.

use std::collections::{BTreeMap, HashSet};

use super::journal::RepairJournal;
use super::way_back::nobody_at;
use crate::domain::{Fleet, NodeId};
use crate::ledger::{Ledger, RunRecord, RunState, StoredRepair};
use crate::repair::{End, Progress, Record, RenewedKey, Rotation, Stage};
use crate::run::RunError;

/// What a rotation needs next.
pub enum NextStep {
    /// A step of it did not come to its end.
    Finish(Box<(RunRecord, StoredRepair)>),
    /// A new step, with its run's id.
    Plan(Rotation, String),
}

/// The run that began the latest rotation of an inventory, if that is not at its end.
///
/// # Errors
/// The ledger cannot be read.
pub async fn open_rotation(
    ledger: &Ledger,
    inventory_path: &str,
) -> Result<Option<RunRecord>, RunError> {
    for record in ledger.runs(u32::MAX).await? {
        let start = &record.start;
        if start.command != "keys rotate" || start.inventory_path != inventory_path {
            continue;
        }
        let Some(stored) = ledger.repair(&start.id).await? else {
            continue;
        };
        if stored.plan.turnover.rotation.as_deref() != Some(start.id.as_str()) {
            continue;
        }
        let progress = Progress::replay(&stored.plan, &stored.records)?;
        let is_alive = |end: &Option<End>| {
            !matches!(end, Some(End::Undone(_) | End::Refused(_) | End::Forgotten))
        };
        let open = !progress.is_concluded() && progress.nodes().any(|(_, it)| is_alive(&it.end));
        return Ok(open.then_some(record));
    }
    Ok(None)
}

/// What comes next of the rotation that a run began. `given_up` are nodes that have failed a step just now.
///
/// # Errors
/// The run began none, a step of it goes on, it is being put back, or the ledger cannot be read.
pub async fn next_of(
    ledger: &Ledger,
    first: &str,
    fleet: &Fleet,
    given_up: &HashSet<NodeId>,
) -> Result<NextStep, RunError> {
    nobody_at(ledger, first).await?;
    let steps = ledger.steps(first).await?;
    let mut keys: Vec<RenewedKey> = Vec::new();
    let mut without = HashSet::new();
    let mut last = 1;
    for record in steps {
        let id = record.start.id.clone();
        let number = id.strip_prefix(first).and_then(|it| it.strip_prefix('-'));
        last = last.max(number.and_then(|it| it.parse().ok()).unwrap_or(1));
        if record.state == RunState::Running {
            return Err(RunError::NoRepair(format!("run {id} goes on")));
        }
        let Some(stored) = ledger.repair(&id).await? else {
            continue;
        };
        let progress = Progress::replay(&stored.plan, &stored.records)?;
        let has_lost = progress.nodes().any(|(name, node)| {
            let lost = node.lost.is_some() || matches!(node.end, Some(End::Lost(_)));
            lost && fleet.find(name).is_some_and(|id| given_up.contains(&id))
        });
        if !progress.is_closed() && !has_lost {
            return Ok(NextStep::Finish(Box::new((record, stored))));
        }
        if id == first {
            let made: BTreeMap<_, _> = progress.made();
            for key in &stored.plan.turnover.renewed {
                let end = progress.node(&key.node).and_then(|it| it.end.as_ref());
                if let (Some(public), Some(End::Kept)) = (made.get(&key.id), end) {
                    keys.push(RenewedKey {
                        public: Some(public.clone()),
                        ..key.clone()
                    });
                }
            }
            let named = stored.plan.turnover.without.iter();
            without.extend(named.filter_map(|it| fleet.find(it)));
        }
    }
    let rotation = Rotation {
        of: first.to_owned(),
        keys,
        without,
        given_up: given_up.clone(),
    };
    Ok(NextStep::Plan(rotation, format!("{first}-{}", last + 1)))
}

/// Writes down that nothing is left to do of a rotation.
///
/// # Errors
/// The ledger cannot be written.
pub async fn conclude(ledger: &Ledger, first: &str) -> Result<(), RunError> {
    let Some(stored) = ledger.repair(first).await? else {
        return Ok(());
    };
    let progress = Progress::replay(&stored.plan, &stored.records)?;
    let written = stored.records.len() as u64;
    let journal = RepairJournal::new(ledger.clone(), first.to_owned(), progress, written);
    journal.record(&Record::Concluded).await
}

/// The runs that are forgotten with one: itself, or all steps of its rotation that keep something.
///
/// # Errors
/// The ledger cannot be read, or the rotation is not at its end.
pub(super) async fn steps_to_forget(
    ledger: &Ledger,
    record: RunRecord,
    stored: StoredRepair,
) -> Result<Vec<(RunRecord, StoredRepair)>, RunError> {
    let Some(first) = stored.plan.turnover.rotation.clone() else {
        return Ok(vec![(record, stored)]);
    };
    let mut steps = Vec::new();
    for record in ledger.steps(&first).await? {
        let Some(stored) = ledger.repair(&record.start.id).await? else {
            continue;
        };
        let progress = Progress::replay(&stored.plan, &stored.records)?;
        if record.start.id == first && !progress.is_concluded() {
            return Err(RunError::NoRepair(format!(
                "the rotation that run {first} began is not at its end: `clearway repair resume {first}` or `clearway repair undo {first}` first"
            )));
        }
        let keeps = |it: &crate::repair::NodeProgress| {
            it.end == Some(End::Kept) || it.doing == Some(Stage::Forget)
        };
        if progress.nodes().any(|(_, it)| keeps(it)) {
            steps.push((record, stored));
        }
    }
    if steps.is_empty() {
        let text = format!("run {first} keeps no copies on any node");
        return Err(RunError::NoRepair(text));
    }
    Ok(steps)
}

/// The runs that are put back for one: itself, or the steps of its rotation, the last one first.
///
/// # Errors
/// The ledger cannot be read, or a step cannot be put back any more.
pub(super) async fn steps_back(
    ledger: &Ledger,
    record: RunRecord,
    stored: StoredRepair,
) -> Result<Vec<(RunRecord, StoredRepair)>, RunError> {
    let Some(first) = stored.plan.turnover.rotation.clone() else {
        return Ok(vec![(record, stored)]);
    };
    let mut steps = Vec::new();
    for record in ledger.steps(&first).await? {
        let Some(stored) = ledger.repair(&record.start.id).await? else {
            continue;
        };
        let progress = Progress::replay(&stored.plan, &stored.records)?;
        let forgotten = progress
            .nodes()
            .any(|(_, it)| it.end == Some(End::Forgotten));
        if forgotten {
            return Err(RunError::NoRepair(format!(
                "run {} of the rotation was forgotten: its old keys are gone, and the steps before it cannot be put back without it",
                record.start.id
            )));
        }
        let undone = progress
            .nodes()
            .all(|(_, it)| !super::prove::is_undoable(it));
        if !undone {
            steps.push((record, stored));
        }
    }
    steps.reverse();
    if steps.is_empty() {
        let text = format!("run {first} left nothing that could be put back");
        return Err(RunError::NoRepair(text));
    }
    Ok(steps)
}
