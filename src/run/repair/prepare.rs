//! The first half of a repair: look, plan, and show before anything is changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::alone::prove_alone;
use super::carry::Carrier;
use super::control::{cut_off, replaced};
use super::draft::{Draft, Drafted, KeyChange, is_empty};
use super::hands::{Hands, Task};
use super::journal::RepairJournal;
use super::outcome::{exit_code, planned};
use crate::domain::{Event, NodeId};
use crate::ledger::{Ledger, WorkedLegs};
use crate::remote::Connector;
use crate::repair::{
    self, Job, KeyId, Operation, PLAN_SCHEMA, Plan, Policy, Progress, Said, Situation, Standing,
    rest_of,
};
use crate::report::Report;
use crate::run::RunError;
use crate::run::certificates::{CertificatesRequest, PlannedCertificates};
use crate::run::examine::{Again, Beginning, Examined, Tried, examine};
use crate::run::journal::Journal;
use crate::run::request::{PairsMode, Request, Surroundings};
use crate::run::survey::{Surveyed, survey};
use crate::system;
use crate::trust::PairScope;

/// What a repair is asked to do.
#[derive(Debug, Clone)]
pub struct RepairRequest {
    /// Which nodes and lanes, and how they are looked at; `command` is `repair`. With [`PairsMode::Changed`] only pairs that
    /// have changed since their last proof are proven to find out whether there is anything to do, and all others before
    /// anything is done. A plan that was given and a change of keys begin with a proof of all.
    pub request: Request,
    /// What may be repaired, and how.
    pub policy: Policy,
    /// A plan that was reviewed and is to be carried out as it is.
    pub plan: Option<Plan>,
    /// The change of keys that is asked for, instead of a repair of what is broken.
    pub change: Option<KeyChange>,
    /// Certificates that are set up, renewed or taken away, in place of what the policy would repair. Beside `change`,
    /// not in it: what is signed is planned before the fleet is examined, and never together with a change of keys.
    pub certificates: Option<CertificatesRequest>,
    /// How long a node waits for a new login before it takes a change of its sshd back.
    pub patience: Duration,
    /// Who does it, for others who find a node locked.
    pub operator: String,
}

/// A repair that is planned, and has changed nothing.
pub struct Prepared {
    pub(super) request: Request,
    pub(super) around: Surroundings,
    pub(super) ledger: Ledger,
    pub(super) events: Journal,
    pub(super) beginning: Beginning,
    pub(super) connector: Arc<Connector>,
    pub(super) surveyed: Surveyed,
    pub(super) tried: Option<Tried>,
    pub(super) report: Report,
    pub(super) plan: Plan,
    pub(super) worked: WorkedLegs,
    /// By what more is planned once this is done; `None` where nothing but the plan may be done.
    pub(super) policy: Option<Policy>,
    /// Whether there are certificates to put on nodes once this is done.
    pub(super) certificates_wait: bool,
    pub(super) operator: String,
    pub(super) patience: Duration,
    pub(super) certificates: Option<PlannedCertificates>,
}

/// Surveys, predicts, proves and plans. Nothing is changed on any node.
///
/// # Errors
/// There is no ledger, it cannot be used, or the given plan does not fit.
pub async fn prepare(asked: RepairRequest, around: Surroundings) -> Result<Prepared, RunError> {
    let mut request = asked.request;
    let Some(ledger) = around.ledger.clone() else {
        return Err(RunError::NoRepair(
            "a repair is recorded before it begins, and there is no ledger".to_owned(),
        ));
    };
    let mut made = BTreeMap::new();
    if let Some(plan) = &asked.plan {
        fits(plan, &request)?;
        made = made_before(&ledger, plan).await?;
    }
    let started = system::now();
    let settings = request.settings();
    let events = Journal::begin(&request, &settings, &around, started).await?;
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
    let mut beginning = Beginning { started, settings };
    let was_given = asked.plan.is_some();
    let rest = |plan| rest_of(plan, &surveyed.facts, &request.fleet, &made);
    let mut given = asked.plan.as_ref().map(rest);
    let (mut certificates, mut certified) = (None, None);
    if let (Some(asked), None) = (&asked.certificates, &given) {
        match asked.plan(&request, &surveyed.facts).await {
            Ok((plan, about)) if request.is_about_keys() => {
                // Where nothing changes, nothing is put at risk that a proof could find.
                request.prove &= !is_empty(&plan);
                given = Some(plan);
                certificates = Some(about);
            }
            Ok((plan, about)) => {
                certified = Some(plan);
                certificates = Some(about);
            }
            Err(error) => {
                events.fail(&error).await;
                return Err(error);
            }
        }
    }
    let is_repair = given.is_none() && asked.change.is_none();
    let run = request.run.clone();
    let look = async {
        let nobody = HashSet::new();
        let (mut before, mut proven) = (None, HashSet::new());
        if let Some(KeyChange::GoOn(rotation)) = &asked.change {
            let (request, around) = (&request, &around);
            let trials = |situation: &Situation<'_>| repair::trials(situation, rotation);
            let first = examine(
                request, around, &surveyed, &events, &beginning, None, trials,
            );
            let first = first.await?;
            proven = prove_alone(request, around, &surveyed, &first.made, &events).await;
            before = Some((first.tried, Again::Touching(&nobody)));
        }
        let draft = Draft {
            run: &run,
            policy: &asked.policy,
            given,
            certified,
            change: asked.change.as_ref(),
            proven,
            certificates: asked.certificates.as_ref(),
        };
        let then = |situation: &Situation<'_>| draft.make(situation);
        if is_repair && request.pairs == PairsMode::Changed {
            let changed = examine(
                &request, &around, &surveyed, &events, &beginning, None, then,
            );
            let changed = changed.await?;
            if is_empty(&changed.made.plan) || around.cancel.is_cancelled() {
                return Ok(changed);
            }
            before = Some((changed.tried, Again::Untried));
        }
        // What works must not be lost, and has to be known for that.
        request.pairs = PairsMode::All;
        beginning.settings = request.settings();
        examine(
            &request, &around, &surveyed, &events, &beginning, before, then,
        )
        .await
    };
    let examined: Examined<Drafted> = match look.await {
        Ok(examined) => examined,
        Err(error) => {
            events.fail(&error).await;
            return Err(error);
        }
    };
    let Drafted {
        plan,
        worked,
        complaints,
        certificates_wait,
    } = examined.made;
    if !complaints.is_empty() {
        let error = if was_given {
            RunError::Plan(complaints.join("; "))
        } else {
            RunError::Complaints(complaints)
        };
        events.fail(&error).await;
        return Err(error);
    }
    let control = surveyed.connections.iter();
    let control = control.map(|(id, connection)| (*id, connection.login_key().to_owned()));
    let control = control.collect();
    let mut cut = cut_off(&plan, &request.fleet, &surveyed.facts, &control);
    if let Some(KeyChange::Rotate { .. }) = &asked.change {
        cut.extend(replaced(&plan.turnover.renewed, &request.fleet, &control));
    }
    if !cut.is_empty() {
        let error = RunError::CutsOff(cut);
        events.fail(&error).await;
        return Err(error);
    }
    events.event(&Event::RepairPlanned {
        nodes: Progress::new(&plan).nodes().count() as u64,
        edits: edits(&plan),
        keys: (plan.keys.len() + plan.copies.len()) as u64
            + plan
                .turnover
                .renewed
                .iter()
                .filter(|it| it.takes_place)
                .count() as u64,
        left: plan.left.len() as u64,
    });
    let mut report = examined.report;
    report.repair = Some(planned(&plan, &request.fleet));
    Ok(Prepared {
        request,
        around,
        ledger,
        events,
        beginning,
        connector,
        surveyed,
        tried: Some(examined.tried),
        report,
        plan,
        worked,
        policy: is_repair.then_some(asked.policy),
        certificates_wait,
        operator: asked.operator,
        patience: asked.patience,
        certificates,
    })
}

fn edits(plan: &Plan) -> u64 {
    let files = plan.nodes.iter().map(|it| it.edits.len());
    let sshd = plan.sshd.iter().map(|it| it.edits.len());
    files.chain(sshd).sum::<usize>() as u64
}

/// How many pairs are looked at.
pub(super) fn pairs(request: &Request) -> u64 {
    request.pairs_in(&PairScope::among(
        &request.fleet,
        request.selected.iter().copied(),
    ))
}

/// A plan is for one inventory, and for nodes that are selected.
fn fits(plan: &Plan, request: &Request) -> Result<(), RunError> {
    let wrong = |text: String| Err(RunError::Plan(text));
    if plan.schema != PLAN_SCHEMA {
        return wrong(format!(
            "it has schema {}, this clearway makes {PLAN_SCHEMA}",
            plan.schema
        ));
    }
    if plan.inventory != request.inventory_path {
        return wrong(format!(
            "it was made for the inventory `{}`",
            plan.inventory
        ));
    }
    for (name, _) in Progress::new(plan).nodes() {
        let id = request.fleet.find(name);
        if !id.is_some_and(|id| request.selected.contains(&id)) {
            return wrong(format!("it changes {name}, which is not selected"));
        }
        Job::new(plan, name, &BTreeMap::new())
            .map_err(|error| RunError::Plan(error.to_string()))?;
    }
    Ok(())
}

impl Prepared {
    /// What would be done.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What was found.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What the plan means for certificates, where it is one of certificates.
    #[must_use]
    pub fn certificates(&self) -> Option<&PlannedCertificates> {
        self.certificates.as_ref()
    }

    /// Nodes that could not be looked at, by name, and why.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<&str, &str> {
        let failures = self.surveyed.failures.iter();
        let name = |id| self.request.fleet.node(id).name.as_str();
        failures
            .map(|(&id, failure)| (name(id), failure.detail.as_str()))
            .collect()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        is_empty(&self.plan)
    }

    /// Whether it was interrupted while looking; there is no plan worth carrying out then.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.around.cancel.is_cancelled()
    }

    /// Looks whether every file of the plan is as the plan expects it, on all nodes, before the first of them is changed.
    ///
    /// # Errors
    /// Some are not; they are named, and nothing was changed.
    pub async fn confirm(&mut self) -> Result<(), RunError> {
        let hands = Arc::new(self.hands());
        let permits = Arc::new(Semaphore::new(self.request.concurrency.max(1)));
        let mut looking = JoinSet::new();
        for name in Progress::new(&self.plan).nodes().map(|(name, _)| name) {
            let Some(id) = self.request.fleet.find(name) else {
                continue;
            };
            let job = Job::new(&self.plan, name, &BTreeMap::new())
                .map_err(|error| RunError::Plan(error.to_string()))?;
            let task = Task {
                id,
                job,
                operation: Operation::Observe,
                secrets: HashMap::new(),
            };
            let (hands, permits) = (hands.clone(), permits.clone());
            looking.spawn(async move {
                // Never closed.
                let _permit = permits.acquire().await;
                (task.id, changed_since(&hands, &task).await)
            });
        }
        let mut found: Vec<(NodeId, Vec<String>)> = Vec::new();
        while let Some(looked) = looking.join_next().await {
            match looked {
                Ok(node) => found.push(node),
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        }
        found.sort_by_key(|(id, _)| *id);
        let changed: Vec<String> = found.into_iter().flat_map(|(_, changed)| changed).collect();
        if changed.is_empty() {
            Ok(())
        } else {
            Err(RunError::Changed(changed))
        }
    }

    pub(super) fn hands(&self) -> Hands {
        Hands::new(
            self.request.fleet.clone(),
            self.connector.clone(),
            self.surveyed.connections.clone(),
            self.request.run.clone(),
            &self.operator,
        )
        .with_patience(self.patience)
    }

    /// Ends it without having changed anything.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn leave(mut self) -> Result<Report, RunError> {
        if let Some(repair) = &self.report.repair {
            self.report.summary.exit_code = exit_code(&self.report.summary, repair);
        }
        self.finish().await
    }

    /// Ends it as a run that could not do its work.
    pub async fn fail(self, error: &RunError) {
        self.events.fail(error).await;
    }

    /// Carries the plan out, proves what it affects, and keeps it or puts it back.
    ///
    /// # Errors
    /// The ledger cannot be written: `clearway repair resume` goes on.
    pub async fn carry_out(self) -> Result<Report, RunError> {
        self.ledger
            .begin_repair(&self.request.run, &self.plan, &self.worked)
            .await?;
        let progress = Progress::new(&self.plan);
        self.go_on(progress, 0).await
    }

    /// Carries on from where a journal of so many records has come to.
    pub(super) async fn go_on(self, progress: Progress, written: u64) -> Result<Report, RunError> {
        let journal = RepairJournal::new(
            self.ledger.clone(),
            self.request.run.clone(),
            progress,
            written,
        );
        let hands = self.hands();
        let Self {
            request,
            around,
            events,
            plan,
            ..
        } = self;
        let events = Arc::new(events);
        let carrier = Arc::new(Carrier {
            plan,
            hands,
            journal,
            events: events.clone(),
            cancel: around.cancel.clone(),
            concurrency: request.concurrency,
        });
        let looked = super::prove::Looked {
            request,
            around,
            beginning: self.beginning,
            surveyed: self.surveyed,
            tried: self.tried,
            worked: self.worked,
            policy: self.policy,
            certificates_wait: self.certificates_wait,
            more: false,
            report: self.report,
        };
        let report = looked.carry(&carrier).await?;
        drop(carrier);
        match Arc::into_inner(events) {
            Some(events) => events.end(report).await,
            None => Ok(report),
        }
    }

    async fn finish(self) -> Result<Report, RunError> {
        let Self { events, report, .. } = self;
        events.event(&finished(&report));
        events.end(report).await
    }
}

/// The keys that were made when this very plan was carried out before, as far as the ledger knows.
async fn made_before(ledger: &Ledger, plan: &Plan) -> Result<BTreeMap<KeyId, String>, RunError> {
    let mut made = BTreeMap::new();
    if plan.keys.is_empty() {
        return Ok(made);
    }
    for record in ledger.runs(u32::MAX).await? {
        if record.start.inventory_path != plan.inventory {
            continue;
        }
        if let Some(stored) = ledger.repair(&record.start.id).await?
            && stored.plan.keys == plan.keys
        {
            made.extend(Progress::replay(&stored.plan, &stored.records)?.made());
        }
    }
    Ok(made)
}

/// The files of a node that are neither as the plan expects them nor as it leaves them; the node, if it does not say.
async fn changed_since(hands: &Hands, task: &Task) -> Vec<String> {
    let name = task.job.node();
    let answer = match hands.tell(task).await {
        Ok(answer) => answer,
        Err(why) => return vec![format!("{name} ({why})")],
    };
    let other = |said: &Said| match said {
        Said::Seen(edit, seen) if seen.standing == Standing::Other => task.job.path(*edit),
        _ => None,
    };
    let paths = answer.said.iter().filter_map(other);
    paths.map(|path| format!("`{path}` on {name}")).collect()
}

/// The last event of a run.
pub(super) fn finished(report: &Report) -> Event {
    Event::RunFinished {
        run: report.run.clone(),
        broken: report.summary.legs.broken,
        unproven: report.summary.legs.unproven,
        exit_code: report.summary.exit_code,
    }
}
