//! What is done with the way back of an earlier repair: it is taken, or given up. Either is a run of its own, which names the
//! earlier one; what comes of each node stands in the journal of that one, which a repair is replayed from.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::carry::Carrier;
use super::hands::Hands;
use super::journal::RepairJournal;
use super::outcome::{empty_report, repaired, way_back};
use super::prepare::finished;
use crate::domain::{Event, Fleet, NodeId};
use crate::ledger::{Ledger, RunRecord, RunStart, RunState, StoredRepair};
use crate::remote::{Connector, Deadlines};
use crate::repair::{NodeProgress, Plan, Progress};
use crate::report::{RepairReport, RepairedNode, Report, Settings, Summary, exit};
use crate::run::RunError;
use crate::run::examine::rfc3339;
use crate::run::journal::Journal;
use crate::run::request::Surroundings;
use crate::system;

/// How the way back of a repair is to be taken, or given up.
pub struct WayBackRequest {
    /// The new run's id, made by `system::run_id`.
    pub run: String,
    /// The inventory.
    pub fleet: Arc<Fleet>,
    /// Where it came from, for the report.
    pub inventory: String,
    /// Its absolute path.
    pub inventory_path: String,
    /// Deadlines of the control connections.
    pub deadlines: Deadlines,
    /// Nodes that are worked on at the same time.
    pub concurrency: usize,
    /// Who does it, as others are told who come to a node meanwhile.
    pub operator: String,
}

/// What is done with a way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Files are put back.
    Taken,
    /// Old files are removed.
    GivenUp,
}

impl Way {
    fn command(self) -> &'static str {
        match self {
            Self::Taken => "repair undo",
            Self::GivenUp => "repair forget",
        }
    }

    /// The outcome of a node on which it is done.
    fn done(self) -> &'static str {
        match self {
            Self::Taken => "undone",
            Self::GivenUp => "forgotten",
        }
    }
}

/// A way back that can be taken, or given up. Nothing has been changed yet, and nothing recorded.
pub struct WayBack {
    pub(super) asked: WayBackRequest,
    pub(super) way: Way,
    /// The run that it is about; of a rotation, the one that began it.
    pub(super) about: String,
    pub(super) ledger: Ledger,
    pub(super) around: Surroundings,
    /// In the order in which they are done.
    pub(super) steps: Vec<Step>,
}

/// One run of those that the way back leads through.
pub(super) struct Step {
    run: String,
    plan: Plan,
    progress: Progress,
    /// Records that its journal has.
    written: u64,
    nodes: Vec<NodeId>,
}

impl Step {
    /// A step back on those of its nodes that are concerned.
    ///
    /// # Errors
    /// The inventory does not have one of these.
    pub(super) fn new(
        fleet: &Fleet,
        run: &str,
        stored: StoredRepair,
        progress: Progress,
        concerns: impl Fn(&NodeProgress) -> bool,
    ) -> Result<Self, RunError> {
        let mut nodes = Vec::new();
        for (name, _) in progress.nodes().filter(|(_, node)| concerns(node)) {
            let id = fleet.find(name).ok_or_else(|| {
                let text = format!("run {run} changed {name}, which the inventory does not have");
                RunError::NoRepair(text)
            })?;
            nodes.push(id);
        }
        nodes.sort_unstable();
        Ok(Self {
            run: run.to_owned(),
            written: stored.records.len() as u64,
            plan: stored.plan,
            progress,
            nodes,
        })
    }

    /// Whether no node is concerned.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// The run that stands for a repair: itself, or the one that began its rotation.
pub(super) fn stands_for(record: &RunRecord, stored: &StoredRepair) -> String {
    let rotation = stored.plan.turnover.rotation.clone();
    rotation.unwrap_or_else(|| record.start.id.clone())
}

/// That nobody is at work on the way back of a run.
///
/// # Errors
/// Somebody is, or the ledger cannot be read.
pub(super) async fn nobody_at(ledger: &Ledger, run: &str) -> Result<(), RunError> {
    let others = ledger.about(run).await?;
    let Some(other) = others.iter().find(|it| it.state == RunState::Running) else {
        return Ok(());
    };
    let process = other.start.process.as_ref();
    let process = process.map_or_else(String::new, |it| format!(" in process {}", it.pid));
    Err(RunError::NoRepair(format!(
        "run {} goes on{process}: `clearway {}` of run {run}",
        other.start.id, other.start.command
    )))
}

impl WayBack {
    /// The runs that it leads through, in order.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|step| step.run.as_str())
    }

    /// Every node concerned, by name, in inventory order.
    #[must_use]
    pub fn nodes(&self) -> Vec<&str> {
        let mut ids: Vec<NodeId> = self.steps.iter().flat_map(|it| it.nodes.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let fleet = &self.asked.fleet;
        let names = ids.into_iter().map(|id| fleet.node(id).name.as_str());
        names.collect()
    }

    /// What each run did on each node: its name, and the paths.
    pub fn paths(&self) -> impl Iterator<Item = BTreeMap<String, Vec<String>>> {
        let fleet = &self.asked.fleet;
        let paths = |plan: &Plan, name: &str| {
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
            paths.cloned().collect()
        };
        self.steps.iter().map(move |step| {
            let names = step.nodes.iter().map(|id| fleet.node(*id).name.as_str());
            let of_nodes = names.map(|name| (name.to_owned(), paths(&step.plan, name)));
            of_nodes.collect()
        })
    }

    /// Does it, a bounded number of nodes at a time, one run after another. Where a run cannot be put back on all of its
    /// nodes, those that rest on it stay.
    ///
    /// # Errors
    /// The ledger cannot be written; the same can be told again.
    pub async fn carry_out(mut self) -> Result<Report, RunError> {
        let started = system::now();
        let start = RunStart {
            id: self.asked.run.clone(),
            command: self.way.command().to_owned(),
            operator: system::user(),
            about: Some(self.about.clone()),
            clearway: env!("CARGO_PKG_VERSION").to_owned(),
            inventory: self.asked.inventory.clone(),
            inventory_path: self.asked.inventory_path.clone(),
            settings: Settings::without_proof(),
            started,
            process: system::ProcessId::current(),
        };
        let mut report = empty_report(&start);
        let events = Arc::new(Journal::open(start, &self.around).await?);
        events.event(&Event::WayBackStarted {
            run: self.asked.run.clone(),
            command: self.way.command().to_owned(),
            about: self.about.clone(),
            nodes: self.nodes().len() as u64,
        });
        let done = self.steps(&events).await;
        let Some(events) = Arc::into_inner(events) else {
            unreachable!("whoever told of events is done")
        };
        let nodes = match done {
            Ok(nodes) => nodes,
            Err(error) => {
                events.fail(&error).await;
                return Err(error);
            }
        };
        let complete = nodes.iter().all(|it| it.outcome == self.way.done());
        report.finished = rfc3339(system::now());
        report.interrupted = !complete && self.around.cancel.is_cancelled();
        report.summary = Summary {
            nodes: nodes.len() as u64,
            exit_code: if report.interrupted {
                exit::INTERRUPTED
            } else if complete {
                exit::WELL
            } else if nodes.iter().any(|it| it.outcome == "stuck") {
                exit::BROKEN
            } else {
                exit::UNPROVEN
            },
            ..Summary::default()
        };
        report.repair = Some(RepairReport {
            applied: true,
            about: Some(self.about),
            complete,
            nodes,
            left: Vec::new(),
            more: false,
            earlier: Vec::new(),
        });
        events.event(&finished(&report));
        events.end(report).await
    }

    /// One run after another. Every node, with what it comes to.
    async fn steps(&mut self, events: &Arc<Journal>) -> Result<Vec<RepairedNode>, RunError> {
        let connector = Arc::new(Connector::new(
            self.around.environment.clone(),
            self.asked.deadlines,
        ));
        let mut nodes: BTreeMap<NodeId, RepairedNode> = BTreeMap::new();
        let mut goes_on = true;
        for step in std::mem::take(&mut self.steps) {
            let ids = step.nodes.clone();
            let of_step = if goes_on {
                self.step(step, &connector, events).await?
            } else {
                let name = |id: &NodeId| self.asked.fleet.node(*id).name.as_str();
                let kept = ids
                    .iter()
                    .map(|id| repaired(&step.plan, name(id), ("kept", None)));
                kept.collect()
            };
            let is_done = |it: &RepairedNode| it.outcome == self.way.done();
            // What comes before rests on this. Copies rest on nothing.
            goes_on &= self.way == Way::GivenUp || of_step.iter().all(is_done);
            for (id, now) in ids.into_iter().zip(of_step) {
                match nodes.get_mut(&id) {
                    None => {
                        nodes.insert(id, now);
                    }
                    // A node's worst outcome counts.
                    Some(known) => {
                        known.edits += now.edits;
                        known.keys += now.keys;
                        if is_done(known) {
                            known.outcome = now.outcome;
                            known.detail = now.detail;
                        }
                    }
                }
            }
        }
        Ok(nodes.into_values().collect())
    }

    /// One run. What its nodes come to, in the order of its nodes.
    async fn step(
        &self,
        step: Step,
        connector: &Arc<Connector>,
        events: &Arc<Journal>,
    ) -> Result<Vec<RepairedNode>, RunError> {
        let carrier = Arc::new(Carrier {
            hands: Hands::new(
                self.asked.fleet.clone(),
                connector.clone(),
                HashMap::new(),
                step.run.clone(),
                &self.asked.operator,
            ),
            journal: RepairJournal::new(self.ledger.clone(), step.run, step.progress, step.written),
            plan: step.plan,
            events: events.clone(),
            cancel: self.around.cancel.clone(),
            concurrency: self.asked.concurrency,
        });
        match self.way {
            Way::Taken => {
                let all = step.nodes.iter().map(|&id| (id, None)).collect();
                carrier.put_back(&all).await?;
            }
            Way::GivenUp => carrier.forget(&step.nodes).await?,
        }
        carrier.journal.close().await?;
        let progress = carrier.journal.progress().await;
        let nodes = step.nodes.iter().map(|&id| {
            let name = self.asked.fleet.node(id).name.as_str();
            let outcome = progress.node(name).map_or(("unknown", None), way_back);
            repaired(&carrier.plan, name, outcome)
        });
        Ok(nodes.collect())
    }
}
