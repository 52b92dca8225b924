//! Gives up the way back of an earlier repair: the copies of old files beside the new ones.

use std::collections::HashMap;
use std::sync::Arc;

use super::carry::Carrier;
use super::hands::Hands;
use super::journal::RepairJournal;
use super::undo::{Undone, UndoneNode};
use crate::domain::{Fleet, NodeId};
use crate::ledger::{Ledger, RunRecord, RunState, StoredRepair};
use crate::remote::{Connector, Deadlines};
use crate::repair::{End, Plan, Progress, Stage};
use crate::run::RunError;
use crate::run::journal::Journal;
use crate::run::request::Surroundings;

/// A run whose copies are to be removed. Nothing has been yet.
pub struct Forgetting {
    run: String,
    fleet: Arc<Fleet>,
    ledger: Ledger,
    around: Surroundings,
    plan: Plan,
    progress: Progress,
    written: u64,
    nodes: Vec<NodeId>,
}

/// Finds what there is to forget of a run.
///
/// # Errors
/// The run is no repair, goes on, is not at its end, keeps no copies, or names nodes that the inventory does not have.
pub fn prepare_forget(
    fleet: Arc<Fleet>,
    record: &RunRecord,
    stored: StoredRepair,
    around: Surroundings,
) -> Result<Forgetting, RunError> {
    let run = record.start.id.clone();
    let no = |text: String| Err(RunError::NoRepair(text));
    let Some(ledger) = around.ledger.clone() else {
        return no("there is no ledger".to_owned());
    };
    let progress = Progress::replay(&stored.plan, &stored.records)?;
    let is_begun = |it: &crate::repair::NodeProgress| it.doing == Some(Stage::Forget);
    let is_half_way = progress.nodes().any(|(_, it)| is_begun(it));
    if record.state == RunState::Running || (!progress.is_closed() && !is_half_way) {
        return no(format!(
            "run {run} has not come to its end: `clearway repair resume {run}` or `clearway repair undo {run}` first"
        ));
    }
    let mut nodes = Vec::new();
    for (name, node) in progress.nodes() {
        if node.end != Some(End::Kept) && !is_begun(node) {
            continue;
        }
        match fleet.find(name) {
            Some(id) => nodes.push(id),
            None => {
                return no(format!(
                    "run {run} changed {name}, which the inventory does not have"
                ));
            }
        }
    }
    if nodes.is_empty() {
        return no(format!("run {run} keeps no copies on any node"));
    }
    nodes.sort_unstable();
    Ok(Forgetting {
        run,
        fleet,
        ledger,
        around,
        written: stored.records.len() as u64,
        plan: stored.plan,
        progress,
        nodes,
    })
}

impl Forgetting {
    /// The run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The nodes, by name.
    #[must_use]
    pub fn nodes(&self) -> Vec<&str> {
        let name = |id: &NodeId| self.fleet.node(*id).name.as_str();
        self.nodes.iter().map(name).collect()
    }

    /// Removes the copies, a bounded number of nodes at a time.
    ///
    /// # Errors
    /// The journal cannot be written; it can be told again.
    pub async fn carry_out(
        self,
        deadlines: Deadlines,
        concurrency: usize,
        operator: &str,
    ) -> Result<Undone, RunError> {
        let connector = Arc::new(Connector::new(self.around.environment.clone(), deadlines));
        let carrier = Arc::new(Carrier {
            hands: Hands::new(
                self.fleet.clone(),
                connector,
                HashMap::new(),
                self.run.clone(),
                operator,
            ),
            journal: RepairJournal::new(self.ledger, self.run.clone(), self.progress, self.written),
            plan: self.plan,
            events: Arc::new(Journal::unrecorded(&self.run, &self.around)),
            cancel: self.around.cancel.clone(),
            concurrency,
        });
        carrier.forget(&self.nodes).await?;
        carrier.journal.close().await?;
        let progress = carrier.journal.progress().await;
        let nodes = self.nodes.iter().map(|&id| {
            let name = self.fleet.node(id).name.to_string();
            let node = progress.node(&name);
            let (outcome, detail) = match node.and_then(|it| it.end.as_ref()) {
                Some(End::Forgotten) => ("forgotten", None),
                _ => ("unknown", node.and_then(|it| it.lost.clone())),
            };
            UndoneNode {
                name,
                outcome,
                detail,
            }
        });
        let nodes = nodes.collect();
        Ok(Undone {
            run: self.run,
            nodes,
        })
    }
}
