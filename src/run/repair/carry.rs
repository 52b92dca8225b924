//! Carries a plan out, from wherever its journal has come to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::hands::{Hands, Task, contents, refusal};
use super::journal::RepairJournal;
use crate::domain::{Event, NodeId, Phase};
use crate::repair::{
    Answer, End, Job, KeyId, KeySource, NodeProgress, Obstacle, Operation, Plan, Progress, Record,
    Said, SshdChange, Stage, public_key,
};
use crate::run::RunError;
use crate::run::journal::Journal;
use crate::run::request::Cancel;
use crate::run::sshd::SshdOutcome;

/// How many names a progress line may carry.
const NAMED: usize = 3;

/// What carrying a plan out needs.
pub(super) struct Carrier {
    pub(super) plan: Plan,
    pub(super) hands: Hands,
    pub(super) journal: RepairJournal,
    pub(super) events: Arc<Journal>,
    pub(super) cancel: Cancel,
    pub(super) concurrency: usize,
}

impl Carrier {
    /// Makes keys, brings keys, edits: whatever of it has not been done. Every node comes as far as it can by itself; the
    /// first interrupt lets no further node begin.
    ///
    /// # Errors
    /// The plan is wrong, or the journal cannot be written; nodes at work have come to their end by then.
    pub(super) async fn carry_out(self: &Arc<Self>) -> Result<(), RunError> {
        let progress = self.journal.progress().await;
        let to_undo = |node: &NodeProgress| {
            node.doing == Some(Stage::Undo) || matches!(node.end, Some(End::Lost(_)))
        };
        let half_way = progress.nodes().filter(|(_, node)| to_undo(node));
        let half_way = half_way.filter_map(|(name, _)| Some((self.hands.fleet.find(name)?, None)));
        self.put_back(&half_way.collect()).await?;
        if !progress.has_edited() {
            let tasks = self.tasks(Stage::Keys, Job::makes_keys).await?;
            self.all(Stage::Keys, tasks).await?;
            self.bring().await?;
        }
        let tasks = self.tasks(Stage::Edits, Job::edits_files).await?;
        self.all(Stage::Edits, tasks).await?;
        let tasks = self.tasks(Stage::Sshd, |job| self.reloads(job)).await?;
        self.all(Stage::Sshd, tasks).await
    }

    /// Whether a node's sshd is to be changed.
    fn reloads(&self, job: &Job) -> bool {
        self.sshd(job).is_some()
    }

    fn sshd(&self, job: &Job) -> Option<&SshdChange> {
        self.plan.sshd.iter().find(|it| it.node == job.node())
    }

    /// Puts nodes back, each for a reason.
    ///
    /// # Errors
    /// As [`Self::carry_out`].
    pub(super) async fn put_back(
        self: &Arc<Self>,
        nodes: &HashMap<NodeId, Option<String>>,
    ) -> Result<(), RunError> {
        let progress = self.journal.progress().await;
        let made = progress.made();
        let mut tasks = Vec::new();
        for (&id, why) in nodes {
            let name = self.hands.fleet.node(id).name.as_str();
            let Some(node) = progress.node(name) else {
                continue;
            };
            let operation = Operation::Undo {
                wrote: node.wrote.clone(),
                commands: node.edited,
            };
            tasks.push((self.task(id, &made, operation)?, why.clone()));
        }
        tasks.sort_by_key(|(task, _)| task.id);
        self.run(Stage::Undo, tasks).await
    }

    /// Removes from nodes what they would be put back from.
    ///
    /// # Errors
    /// As [`Self::carry_out`].
    pub(super) async fn forget(self: &Arc<Self>, nodes: &[NodeId]) -> Result<(), RunError> {
        let made = self.journal.progress().await.made();
        let tasks: Result<Vec<Task>, RunError> = nodes
            .iter()
            .map(|&id| self.task(id, &made, Operation::Forget))
            .collect();
        self.all(Stage::Forget, tasks?).await
    }

    fn task(
        &self,
        id: NodeId,
        made: &BTreeMap<KeyId, String>,
        operation: Operation,
    ) -> Result<Task, RunError> {
        let name = self.hands.fleet.node(id).name.as_str();
        let job = Job::new(&self.plan, name, made).map_err(|it| RunError::Plan(it.to_string()))?;
        Ok(Task {
            id,
            job,
            operation,
            secrets: HashMap::new(),
        })
    }

    /// The nodes that have something to do in a stage and have not done it, in inventory order.
    async fn tasks(
        &self,
        stage: Stage,
        concerns: impl Fn(&Job) -> bool,
    ) -> Result<Vec<Task>, RunError> {
        let progress = self.journal.progress().await;
        let made = progress.made();
        let operation = match stage {
            Stage::Keys => Operation::Keys,
            Stage::Bring => Operation::Bring,
            _ => Operation::Apply,
        };
        let open = |node: &NodeProgress| {
            node.end.is_none()
                && !node.done.contains(&stage)
                && node.doing.is_none_or(|doing| doing == stage)
        };
        let mut tasks = Vec::new();
        for (name, _) in progress.nodes().filter(|(_, node)| open(node)) {
            let Some(id) = self.hands.fleet.find(name) else {
                continue;
            };
            let task = self.task(id, &made, operation.clone())?;
            // A node that was interrupted before its files were edited is not told to read them.
            let waits = stage == Stage::Sshd
                && task.job.edits_files()
                && !progress
                    .node(name)
                    .is_some_and(|it| it.done.contains(&Stage::Edits));
            if concerns(&task.job) && !waits {
                tasks.push(task);
            }
        }
        tasks.sort_by_key(|task| task.id);
        Ok(tasks)
    }

    /// Brings keys from one node to others: through this process's memory, and nowhere else.
    async fn bring(self: &Arc<Self>) -> Result<(), RunError> {
        let mut tasks = self
            .tasks(Stage::Bring, |job| job.brought_keys().next().is_some())
            .await?;
        let made = self.journal.progress().await.made();
        let mut fetched: Vec<(KeySource, Result<Vec<u8>, String>)> = Vec::new();
        let mut without: Vec<(String, String)> = Vec::new();
        for task in &mut tasks {
            let wanted: Vec<(usize, KeySource)> = task
                .job
                .brought_keys()
                .map(|(number, of)| (number, of.clone()))
                .collect();
            for (number, of) in wanted {
                if !fetched.iter().any(|(it, _)| *it == of) {
                    let key = self.fetch(&of, &made).await;
                    fetched.push((of.clone(), key));
                }
                match fetched.iter().find(|(it, _)| *it == of) {
                    Some((_, Ok(private))) => {
                        task.secrets.insert(number, private.clone());
                    }
                    Some((_, Err(why))) => without.push((task.job.node().to_owned(), why.clone())),
                    None => {}
                }
            }
        }
        for (node, why) in without {
            tasks.retain(|task| task.job.node() != node);
            let stage = Stage::Bring;
            let begun = Record::Begun {
                node: node.clone(),
                stage,
                why: None,
            };
            self.journal.record(&begun).await?;
            self.end(&node, stage, Outcome::Refused(why)).await?;
        }
        self.all(Stage::Bring, tasks).await
    }

    async fn fetch(
        &self,
        of: &KeySource,
        made: &BTreeMap<KeyId, String>,
    ) -> Result<Vec<u8>, String> {
        let job = Job::source(&self.plan, of, made).map_err(|it| it.to_string())?;
        let id = self.hands.fleet.find(job.node());
        let id = id.ok_or_else(|| format!("{} is not in the inventory", job.node()))?;
        let source = job.node().to_owned();
        let task = Task {
            id,
            job,
            operation: Operation::Fetch,
            secrets: HashMap::new(),
        };
        let answer = self.hands.tell(&task).await?;
        if let Some(why) = refusal(&answer) {
            return Err(format!("{source}: {why}"));
        }
        let secret = answer.said.into_iter().find_map(|said| match said {
            Said::Secret(_, private) => Some(private.0),
            _ => None,
        });
        secret.ok_or_else(|| format!("{source} has no such key"))
    }

    async fn all(self: &Arc<Self>, stage: Stage, tasks: Vec<Task>) -> Result<(), RunError> {
        let tasks = tasks.into_iter().map(|task| (task, None)).collect();
        self.run(stage, tasks).await
    }

    /// Does tasks, a bounded number at a time.
    async fn run(
        self: &Arc<Self>,
        stage: Stage,
        tasks: Vec<(Task, Option<String>)>,
    ) -> Result<(), RunError> {
        let total = tasks.len();
        let phase = match stage {
            Stage::Undo => Phase::Undo,
            Stage::Forget => Phase::Forget,
            _ => Phase::Repair,
        };
        let permits = Arc::new(Semaphore::new(self.concurrency.max(1)));
        let mut waiting: BTreeSet<NodeId> = tasks.iter().map(|(task, _)| task.id).collect();
        let mut running = JoinSet::new();
        for (task, why) in tasks {
            let (this, permits) = (self.clone(), permits.clone());
            running.spawn(async move {
                let Ok(_permit) = permits.acquire().await else {
                    return (task.id, Ok(()));
                };
                if this.cancel.is_cancelled() {
                    return (task.id, Ok(()));
                }
                let done = this.one(stage, &task, why).await;
                if done.is_err() {
                    // Without a journal nobody else begins.
                    permits.close();
                }
                (task.id, done)
            });
        }
        let mut outcome = Ok(());
        loop {
            let named = waiting.iter().take(NAMED);
            let named = named.map(|&id| self.hands.fleet.node(id).name.to_string());
            let named = named.collect();
            self.events
                .progress(phase, total - waiting.len(), total, named);
            let Some(next) = running.join_next().await else {
                break;
            };
            match next {
                Ok((id, done)) => {
                    waiting.remove(&id);
                    outcome = outcome.and(done);
                }
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        }
        outcome
    }

    /// One node: intent, effect, outcome.
    async fn one(&self, stage: Stage, task: &Task, why: Option<String>) -> Result<(), RunError> {
        let node = task.job.node().to_owned();
        let progress = self.journal.progress().await;
        let again = progress.node(&node).is_some_and(|it| it.doing.is_some());
        let begun = Record::Begun {
            node: node.clone(),
            stage,
            why,
        };
        self.journal.record(&begun).await?;
        if stage == Stage::Sshd {
            let outcome = self.reload(task, &progress, again).await;
            return self.end(&node, stage, outcome).await;
        }
        // What sshd reads goes back first, while the files that it names are still there; and where it does not, they stay.
        // A node that has refused has it back already.
        let told =
            |node: &NodeProgress| node.reloaded && !matches!(node.end, Some(End::Refused(_)));
        if stage == Stage::Undo
            && progress.node(&node).is_some_and(told)
            && let Some(change) = self.sshd(&task.job)
        {
            let stuck = match self.hands.reload(task.id, &change.inverse()).await {
                SshdOutcome::Kept { .. } => None,
                SshdOutcome::NotMade { why } => Some(Outcome::Refused(format!(
                    "sshd: {why}; so nothing is put back there"
                ))),
                SshdOutcome::TakenBack { why } => Some(Outcome::Refused(format!(
                    "sshd: no new login came, so it stays as it is: {why}"
                ))),
                SshdOutcome::Stuck { why } => Some(Outcome::Stuck(format!("sshd: {why}"))),
                SshdOutcome::Busy { why } | SshdOutcome::Unknown { why } => {
                    Some(Outcome::Lost(format!("sshd: {why}")))
                }
            };
            if let Some(outcome) = stuck {
                return self.end(&node, stage, outcome).await;
            }
        }
        let outcome = match self.hands.tell(task).await {
            Err(why) => Outcome::Lost(why),
            // Somebody else's lock tells nothing of what was done before.
            Ok(answer) if answer.locked.is_some() && again => {
                Outcome::Lost(refusal(&answer).unwrap_or_default())
            }
            Ok(answer) if answer.locked.is_some() => {
                Outcome::Refused(refusal(&answer).unwrap_or_default())
            }
            Ok(answer) => {
                let untouched = !again
                    && progress.node(&node).is_none_or(|it| it.done.is_empty())
                    && behind_links(&answer);
                match outcome(task, stage, &answer) {
                    // What stands in its way stands in the way of putting anything back, too.
                    Outcome::Refused(why) if untouched => Outcome::Refused(why),
                    Outcome::Refused(why) if !matches!(stage, Stage::Undo | Stage::Forget) => {
                        self.take_back(task, None, why).await
                    }
                    outcome => outcome,
                }
            }
        };
        self.end(&node, stage, outcome).await
    }

    /// One node's sshd. Where it cannot be changed, its files go back too: a node does all of its part or none.
    async fn reload(&self, task: &Task, progress: &Progress, again: bool) -> Outcome {
        let Some(change) = self.sshd(&task.job) else {
            return Outcome::done();
        };
        let (why, is_back) = match self.hands.reload(task.id, change).await {
            SshdOutcome::Kept { .. } => return Outcome::done(),
            SshdOutcome::NotMade { why } => (format!("sshd: {why}"), true),
            SshdOutcome::TakenBack { why } => (
                format!("sshd was put back, as no new login came: {why}"),
                true,
            ),
            SshdOutcome::Stuck { why } => (format!("sshd: {why}"), false),
            // Whose change it is that waits there, and whether that was this run's, will be known when it has its end.
            SshdOutcome::Busy { why } if !again => (format!("sshd: {why}"), true),
            SshdOutcome::Busy { why } | SshdOutcome::Unknown { why } => {
                return Outcome::Lost(format!("sshd: {why}"));
            }
        };
        // A part of it may be there from before this process was killed.
        if again && is_back {
            match self.hands.reload(task.id, &change.inverse()).await {
                SshdOutcome::Kept { .. } => {}
                SshdOutcome::NotMade { why: stuck }
                | SshdOutcome::TakenBack { why: stuck }
                | SshdOutcome::Stuck { why: stuck }
                | SshdOutcome::Busy { why: stuck }
                | SshdOutcome::Unknown { why: stuck } => {
                    return Outcome::Lost(format!(
                        "{why}; and what was there already could not be put back: {stuck}"
                    ));
                }
            }
        }
        let node = progress.node(task.job.node());
        match self.take_back(task, node, why).await {
            Outcome::Refused(why) if !is_back => Outcome::Stuck(why),
            outcome => outcome,
        }
    }

    /// A node that refuses has taken back what it did just then. What it did earlier in this run, before it was lost, or
    /// keys before one that could not be made, is taken back here.
    /// `done` is what is known of a node whose edits are all made.
    async fn take_back(&self, task: &Task, done: Option<&NodeProgress>, why: String) -> Outcome {
        let back = Task {
            id: task.id,
            job: task.job.clone(),
            operation: Operation::Undo {
                wrote: done.map(|it| it.wrote.clone()).unwrap_or_default(),
                commands: done.is_some_and(|it| it.edited),
            },
            secrets: HashMap::new(),
        };
        match self.hands.tell(&back).await.map(|answer| refusal(&answer)) {
            Ok(None) => Outcome::Refused(why),
            Ok(Some(stuck)) => {
                Outcome::Lost(format!("{why}; and it could not be put back: {stuck}"))
            }
            Err(lost) => Outcome::Lost(format!("{why}; and then: {lost}")),
        }
    }

    async fn end(&self, node: &str, mut stage: Stage, outcome: Outcome) -> Result<(), RunError> {
        if matches!(outcome, Outcome::Stuck(_)) && stage != Stage::Undo {
            // It was on its way back already.
            stage = Stage::Undo;
            let begun = Record::Begun {
                node: node.to_owned(),
                stage,
                why: None,
            };
            self.journal.record(&begun).await?;
        }
        let (word, written, detail) = match &outcome {
            Outcome::Done { wrote, .. } => ("done", wrote.len() as u64, None),
            Outcome::Refused(why) | Outcome::Stuck(why) => ("refused", 0, Some(why.clone())),
            Outcome::Lost(why) => ("lost", 0, Some(why.clone())),
        };
        let node = node.to_owned();
        self.events.event(&Event::NodeRepaired {
            node: node.clone(),
            stage: stage.as_str().to_owned(),
            outcome: word.to_owned(),
            written,
            detail,
        });
        let record = match outcome {
            Outcome::Done { keys, wrote } => Record::Done {
                node,
                stage,
                keys,
                wrote,
            },
            Outcome::Refused(why) | Outcome::Stuck(why) => Record::Refused { node, stage, why },
            Outcome::Lost(why) => Record::Lost { node, stage, why },
        };
        self.journal.record(&record).await
    }

    /// The nodes on which something is other than before the run.
    pub(super) async fn changed(&self) -> HashSet<NodeId> {
        let progress = self.journal.progress().await;
        let is_changed = |node: &NodeProgress| {
            !node.keys.is_empty()
                || node.done.contains(&Stage::Bring)
                || node.edited
                || node.reloaded
        };
        progress
            .nodes()
            .filter(|(_, node)| is_changed(node))
            .filter_map(|(name, _)| self.hands.fleet.find(name))
            .collect()
    }
}

/// What became of one node in one stage.
enum Outcome {
    Done {
        keys: BTreeMap<KeyId, String>,
        wrote: BTreeSet<usize>,
    },
    Refused(String),
    /// Its configuration and other files are as they were, but its sshd is not.
    Stuck(String),
    Lost(String),
}

impl Outcome {
    /// Done, with nothing to tell of it.
    fn done() -> Self {
        Self::Done {
            keys: BTreeMap::new(),
            wrote: BTreeSet::new(),
        }
    }
}

/// Whether all that a node refuses lies behind symbolic links, and it did nothing. It never looks behind one: an attempt whose
/// answer did not come has not done anything there either.
fn behind_links(answer: &Answer) -> bool {
    let nothing = |said: &Said| match said {
        Said::Refused(_, refusal) => refusal.obstacle == Obstacle::Link,
        Said::Key(..) | Said::Ran(_) => false,
        _ => true,
    };
    answer.written().next().is_none() && answer.said.iter().all(nothing)
}

fn outcome(task: &Task, stage: Stage, answer: &Answer) -> Outcome {
    let stuck: Vec<String> = answer.stuck().map(ToString::to_string).collect();
    if !stuck.is_empty() {
        let why = format!("not all of it could be taken back: {}", stuck.join("; "));
        return Outcome::Lost(why);
    }
    if let Some(why) = refusal(answer) {
        return Outcome::Refused(why + &since(task, answer));
    }
    let mut keys = BTreeMap::new();
    for said in &answer.said {
        if let (Said::Key(number, public), Stage::Keys) = (said, stage) {
            let Some((id, key_type)) = task.job.key(*number) else {
                continue;
            };
            let Some(public) = public_key(public, key_type) else {
                let why = format!("its answer for the new key is no public key of type {key_type}");
                return Outcome::Refused(why);
            };
            keys.insert(id.clone(), public);
        }
    }
    Outcome::Done {
        keys,
        wrote: answer.written().collect(),
    }
}

/// How files that somebody has changed since differ from what the run had made of them.
fn since(task: &Task, answer: &Answer) -> String {
    const LINES: usize = 6;
    let mut text = String::new();
    for (edit, now) in contents(answer) {
        let after = task.job.bytes_after(edit).unwrap_or_default();
        let lines = |bytes: &[u8]| -> Vec<String> {
            let text = String::from_utf8_lossy(bytes);
            text.lines().map(str::to_owned).collect()
        };
        let (after, now) = (lines(after), lines(now));
        let gone = after
            .iter()
            .filter(|it| !now.contains(it))
            .map(|it| ('-', it));
        let new = now
            .iter()
            .filter(|it| !after.contains(it))
            .map(|it| ('+', it));
        for (sign, line) in gone.chain(new).take(LINES) {
            let line: String = line.chars().take(160).collect();
            text.push_str(&format!("\n{sign}{line}"));
        }
    }
    text
}
