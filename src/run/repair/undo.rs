//! Puts back what an earlier repair did.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use super::carry::Carrier;
use super::hands::Hands;
use super::journal::RepairJournal;
use super::outcome::ended;
use super::prove::is_undoable;
use crate::domain::{Fleet, NodeId};
use crate::ledger::{Ledger, RunRecord, RunState, StoredRepair};
use crate::remote::{Connector, Deadlines};
use crate::repair::{Plan, Progress};
use crate::run::RunError;
use crate::run::journal::Journal;
use crate::run::request::Surroundings;

/// An undo that is prepared, and has changed nothing.
pub struct Undoing {
    run: String,
    fleet: Arc<Fleet>,
    ledger: Ledger,
    around: Surroundings,
    stored: StoredRepair,
    progress: Progress,
    nodes: Vec<NodeId>,
}

/// What came of an undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// The run that was undone.
    pub run: String,
    /// Every node that it had changed.
    pub nodes: Vec<UndoneNode>,
}

impl Undone {
    /// Two steps of a rotation as one: a node's worst outcome counts.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for node in other.nodes {
            match self.nodes.iter_mut().find(|it| it.name == node.name) {
                Some(known) if known.detail.is_none() => *known = node,
                Some(_) => {}
                None => self.nodes.push(node),
            }
        }
        self
    }
}

/// What came of an undo on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoneNode {
    /// Inventory name.
    pub name: String,
    /// `undone`, `stuck` (somebody has changed something since), `forgotten`, or `unknown` (it did not answer).
    pub outcome: &'static str,
    /// Why it is not undone.
    pub detail: Option<String>,
}

/// Finds what there is to put back of a run.
///
/// # Errors
/// The run is no repair, goes on, has changed nothing that is not put back already, or names nodes that the inventory does
/// not have.
pub fn prepare_undo(
    fleet: Arc<Fleet>,
    record: &RunRecord,
    stored: StoredRepair,
    around: Surroundings,
) -> Result<Undoing, RunError> {
    let run = record.start.id.clone();
    let no = |text: String| Err(RunError::NoRepair(text));
    let Some(ledger) = around.ledger.clone() else {
        return no("there is no ledger".to_owned());
    };
    if record.state == RunState::Running {
        return no(format!("run {run} goes on: end it before it is undone"));
    }
    let progress = Progress::replay(&stored.plan, &stored.records)?;
    let mut nodes = Vec::new();
    for (name, _) in progress.nodes().filter(|(_, node)| is_undoable(node)) {
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
        return no(format!("run {run} left nothing that could be put back"));
    }
    nodes.sort_unstable();
    Ok(Undoing {
        run,
        fleet,
        ledger,
        around,
        stored,
        progress,
        nodes,
    })
}

impl Undoing {
    /// The run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// What was done on each node that is put back: its name, and the paths.
    #[must_use]
    pub fn paths(&self) -> BTreeMap<String, Vec<String>> {
        let plan: &Plan = &self.stored.plan;
        let name = |id: &NodeId| self.fleet.node(*id).name.to_string();
        self.nodes
            .iter()
            .map(|id| {
                let name = name(id);
                let edits = plan.nodes.iter().filter(|it| it.node == name);
                let edits = edits.flat_map(|it| it.edits.iter().map(|edit| &edit.target.path));
                let keys = plan.keys.iter().filter(|it| it.node == name);
                let copies = plan.copies.iter().filter(|it| it.node == name);
                let sshd = plan.sshd.iter().filter(|it| it.node == name);
                let sshd = sshd.flat_map(|it| it.edits.iter().map(|edit| &edit.target.path));
                let paths = edits
                    .chain(sshd)
                    .chain(keys.map(|it| &it.target.path))
                    .chain(copies.map(|it| &it.target.path));
                let paths = paths.cloned().collect();
                (name, paths)
            })
            .collect()
    }

    /// Puts it all back, a bounded number of nodes at a time.
    ///
    /// # Errors
    /// The journal cannot be written; `clearway repair undo` can be told again.
    pub async fn carry_out(
        self,
        deadlines: Deadlines,
        concurrency: usize,
        operator: &str,
    ) -> Result<Undone, RunError> {
        let connector = Arc::new(Connector::new(self.around.environment.clone(), deadlines));
        let hands = Hands::new(
            self.fleet.clone(),
            connector,
            HashMap::new(),
            self.run.clone(),
            operator,
        );
        let written = self.stored.records.len() as u64;
        let journal = RepairJournal::new(
            self.ledger.clone(),
            self.run.clone(),
            self.progress,
            written,
        );
        let carrier = Arc::new(Carrier {
            plan: self.stored.plan,
            hands,
            journal,
            events: Arc::new(Journal::unrecorded(&self.run, &self.around)),
            cancel: self.around.cancel.clone(),
            concurrency,
        });
        let all = self.nodes.iter().map(|&id| (id, None)).collect();
        carrier.put_back(&all).await?;
        carrier.journal.close().await?;
        let progress = carrier.journal.progress().await;
        let nodes = self.nodes.iter().map(|&id| {
            let name = self.fleet.node(id).name.to_string();
            let (outcome, detail) = progress.node(&name).map_or(("unknown", None), ended);
            UndoneNode {
                name,
                outcome,
                detail,
            }
        });
        Ok(Undone {
            run: self.run.clone(),
            nodes: nodes.collect(),
        })
    }
}
