//! Certificates: surveyed, signed, planned, put on the nodes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::error::RunError;
use super::journal::Journal;
use super::request::{Request, Surroundings};
use super::sshd::{SshdOutcome, change_sshd};
use super::survey::{Surveyed, chain, survey};
use crate::domain::{Fleet, Lane, LegId, NodeId, Predicted};
use crate::frame::Nonce;
use crate::openssh::key::CertRole;
use crate::remote::{Connection, Connector, Limits};
use crate::repair::certificates::{
    Outlook, Policy, Revocation, RevocationList, afterwards, plan, retire, revoke, wanted,
};
use crate::repair::{Job, JobError, Left, Operation, Plan, SshdChange};
use crate::signer::{AuthorityKey, Signer, SignerError};
use crate::survey::NodeFacts;
use crate::system;
use crate::trust::legs::Legs;
use crate::trust::{PairScope, Prediction};

/// How many lost legs an error names.
const SHOWN: usize = 10;

/// What is done with certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificatesTask {
    /// Everything that certificates need, whatever is there already.
    Certify,
    /// Certificates that end soon are made again; nothing else.
    Renew,
    /// Plain keys go, where certificates stand for them.
    Retire,
    /// A node goes out of everybody's trust.
    Revoke(NodeId),
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct CertificatesRequest {
    /// Whom to survey, and how.
    pub request: Request,
    /// Who signs.
    pub signer: Signer,
    /// The authority for hosts.
    pub hosts: AuthorityKey,
    /// The authority for users; often the same.
    pub users: AuthorityKey,
    /// What the operator decides.
    pub policy: Policy,
    /// What is done.
    pub task: CertificatesTask,
    /// How long a node waits for a new login before it takes a change of its sshd back.
    pub patience: Duration,
}

/// Nothing could be prepared.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// The run itself.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Something was not signed.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The plan would lose legs.
    #[error("{} legs that work would be lost, so nothing was changed: {}", legs.len(), legs.join("; "))]
    Loses {
        /// Each with the reason code, at most ten.
        legs: Vec<String>,
    },
}

/// What is ready to be put on the nodes.
pub struct PreparedCertificates {
    /// What changes.
    pub plan: Plan,
    /// Certificates that it brings.
    pub certificates: usize,
    /// Certificates that are as they should be.
    pub fresh: usize,
    /// Nodes that could not be looked at, and why.
    pub failures: BTreeMap<String, String>,
    /// What the files imply for the legs afterwards.
    pub outlook: Outlook,
    /// What was revoked up to now, with this run's: the operator keeps it.
    pub revoked: RevocationList,
    facts: Vec<Option<NodeFacts>>,
    scope: PairScope,
    patience: Duration,
    fleet: Arc<Fleet>,
    connector: Arc<Connector>,
    connections: HashMap<NodeId, Arc<Connection>>,
    concurrency: usize,
    run: String,
}

/// What became of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOutcome {
    /// Numbers of the edits of its plan that were written.
    pub written: BTreeSet<usize>,
    /// Files that were written for its sshd.
    pub sshd_files: usize,
    /// What became of its sshd, where that was to change.
    pub sshd: Option<SshdOutcome>,
    /// Why something was not done: the node is as it was then, its files before sshd's excepted.
    pub failed: Option<String>,
}

/// Surveys, signs what must be signed, and plans. No node is changed.
///
/// # Errors
/// See [`CertificatesError`].
pub async fn prepare_certificates(
    asked: CertificatesRequest,
    around: &Surroundings,
) -> Result<PreparedCertificates, CertificatesError> {
    let request = &asked.request;
    let fleet = request.fleet.clone();
    let observed = Surroundings {
        ledger: None,
        ..around.clone()
    };
    let settings = request.settings();
    let journal = Journal::begin(request, &settings, &observed, system::now())
        .await
        .map_err(RunError::from)?;
    let connector = Arc::new(Connector::new(
        around.environment.clone(),
        request.deadlines,
    ));
    let Surveyed {
        facts,
        failures,
        connections,
        ..
    } = survey(request, &observed, &connector, &journal).await;
    let scope = PairScope::among(&fleet, request.selected.iter().copied());
    let legs = Legs::new(&fleet, &facts);
    let mut policy = asked.policy.clone();
    let (mut certificates, mut fresh, mut left) = (0, 0, Vec::<Left>::new());
    let mut planned = match asked.task {
        CertificatesTask::Certify | CertificatesTask::Renew => {
            policy.renew_only = asked.task == CertificatesTask::Renew;
            let found = wanted(&fleet, &facts, &legs, &scope, &policy, serial);
            (fresh, left) = (found.fresh, found.left);
            let (hosts, users): (Vec<_>, Vec<_>) = found
                .requests
                .into_iter()
                .partition(|it| it.role == CertRole::Host);
            let mut signed = asked.signer.sign(&asked.hosts, hosts).await?;
            signed.extend(asked.signer.sign(&asked.users, users).await?);
            let inventory = &request.inventory_path;
            let made = plan(&fleet, &facts, &legs, &scope, &policy, &signed, inventory);
            certificates = made.certificates;
            made.plan
        }
        CertificatesTask::Retire => {
            retire(&fleet, &facts, &scope, &policy, &request.inventory_path)
        }
        CertificatesTask::Revoke(node) => {
            let revocation = Revocation::of(&fleet, &facts, &legs, node, &policy.revoked);
            policy.revoked.add(&revocation);
            let parts = policy.revoked.parts(&policy.authorities);
            let number = system::now_unix();
            let list = asked.signer.revocation_list(&parts, number).await?;
            let inventory = &request.inventory_path;
            revoke(
                &fleet,
                &facts,
                &scope,
                &revocation,
                &policy,
                &list,
                inventory,
            )
        }
    };
    planned.left.extend(left);
    let after = afterwards(&fleet, &facts, &planned);
    let outlook = Outlook::of(&fleet, &facts, &after, &scope);
    let concerned = |id: &LegId| match asked.task {
        CertificatesTask::Revoke(node) => id.client == node || id.server == node,
        _ => false,
    };
    let lost = outlook.lost.iter().filter(|(id, _)| !concerned(id));
    let lost: Vec<String> = lost
        .take(SHOWN)
        .map(|(id, why)| lost_leg(&fleet, *id, *why))
        .collect();
    if !lost.is_empty() {
        return Err(CertificatesError::Loses { legs: lost });
    }
    let name = |id: NodeId| fleet.node(id).name.to_string();
    let failures = failures
        .into_iter()
        .map(|(id, failure)| (name(id), failure.detail))
        .collect();
    Ok(PreparedCertificates {
        plan: planned,
        scope,
        patience: asked.patience,
        facts,
        certificates,
        fresh,
        failures,
        outlook,
        revoked: policy.revoked,
        connector,
        connections,
        concurrency: request.concurrency.max(1),
        run: request.run.clone(),
        fleet,
    })
}

fn lost_leg(fleet: &Fleet, id: LegId, why: Predicted) -> String {
    let code = match why {
        Predicted::Breaks(reason) => reason.code(),
        Predicted::Unknown(why) => why.code(),
        _ => "unknown",
    };
    let (client, server) = (&fleet.node(id.client).name, &fleet.node(id.server).name);
    format!("{} {client} → {server}: {code}", id.lane)
}

/// Serial numbers that nobody gave before: 63 random bits, never 0, which a revocation list cannot name.
fn serial() -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = system::random_bytes();
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1).max(1)
}

impl NodeOutcome {
    /// How many files were written.
    #[must_use]
    pub fn edits(&self) -> usize {
        self.written.len() + self.sshd_files
    }
}

impl PreparedCertificates {
    /// The inventory name of a node.
    #[must_use]
    pub fn node_name(&self, id: NodeId) -> &str {
        self.fleet.node(id).name.as_str()
    }

    /// Those of the legs that the files as they were let work: what a change must not lose.
    #[must_use]
    pub fn worked(&self, legs: &[LegId]) -> Vec<LegId> {
        let all = Legs::new(&self.fleet, &self.facts);
        let prediction = Prediction::new(&self.fleet, &self.facts, &all, &self.scope);
        let worked = legs.iter().copied();
        worked
            .filter(|&id| prediction.verdict(id) == Predicted::Works)
            .collect()
    }

    /// The leg with these names, in this fleet.
    #[must_use]
    pub fn leg(&self, lane: Lane, client: &str, server: &str) -> Option<LegId> {
        Some(LegId {
            lane,
            client: self.fleet.find(client)?,
            server: self.fleet.find(server)?,
        })
    }

    /// Puts everything on the nodes: for each first its files, then its sshd's part. One node's failure is its own.
    pub async fn apply(&self) -> BTreeMap<String, NodeOutcome> {
        self.carry_out(&self.plan, |_| Operation::Apply, false)
            .await
    }

    /// Puts everything back: sshd's part first, then the files, for the nodes on which something was done.
    pub async fn take_back(
        &self,
        done: &BTreeMap<String, NodeOutcome>,
    ) -> BTreeMap<String, NodeOutcome> {
        let mut plan = self.plan.clone();
        plan.sshd = plan.sshd.iter().map(inverse).collect();
        plan.nodes.retain(|it| done.contains_key(&it.node));
        plan.sshd.retain(|it| {
            let outcome = done.get(&it.node).and_then(|it| it.sshd.as_ref());
            matches!(outcome, Some(SshdOutcome::Kept { .. }))
        });
        let undo = |node: &str| Operation::Undo {
            wrote: done
                .get(node)
                .map(|it| it.written.clone())
                .unwrap_or_default(),
            commands: false,
        };
        self.carry_out(&plan, undo, true).await
    }

    /// Removes the copies of old files that [`Self::take_back`] would need, where everything was done.
    pub async fn forget(&self, done: &BTreeMap<String, NodeOutcome>) {
        let mut plan = self.plan.clone();
        plan.sshd.clear();
        plan.nodes.retain(|it| {
            let outcome = done.get(&it.node);
            outcome.is_some_and(|it| it.failed.is_none())
        });
        // Copies that stay do no harm.
        self.carry_out(&plan, |_| Operation::Forget, false).await;
    }

    async fn carry_out(
        &self,
        plan: &Plan,
        operation: impl Fn(&str) -> Operation,
        sshd_first: bool,
    ) -> BTreeMap<String, NodeOutcome> {
        let plan = Arc::new(plan.clone());
        let permits = Arc::new(Semaphore::new(self.concurrency));
        let mut running = JoinSet::new();
        let mut names: Vec<&str> = plan.nodes.iter().map(|it| it.node.as_str()).collect();
        names.extend(plan.sshd.iter().map(|it| it.node.as_str()));
        names.sort_unstable();
        names.dedup();
        for name in names {
            let Some(id) = self.fleet.find(name) else {
                continue;
            };
            let connection = self.connections.get(&id).cloned();
            let worker = Worker {
                plan: Arc::clone(&plan),
                fleet: Arc::clone(&self.fleet),
                connector: Arc::clone(&self.connector),
                operation: operation(name),
                run: self.run.clone(),
                sshd_first,
                patience: self.patience,
                id,
            };
            let permits = Arc::clone(&permits);
            running.spawn(async move {
                // The semaphore is never closed.
                let _permit = permits.acquire_owned().await;
                let name = worker.fleet.node(id).name.to_string();
                (name, worker.work(connection).await)
            });
        }
        let mut outcomes = BTreeMap::new();
        while let Some(done) = running.join_next().await {
            match done {
                Ok((name, outcome)) => outcomes.insert(name, outcome),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
        }
        outcomes
    }
}

/// The way back of a change.
fn inverse(change: &SshdChange) -> SshdChange {
    let mut back = change.clone();
    back.edits.reverse();
    for edit in &mut back.edits {
        std::mem::swap(&mut edit.before, &mut edit.after);
    }
    back
}

/// What is done on one node.
struct Worker {
    plan: Arc<Plan>,
    fleet: Arc<Fleet>,
    connector: Arc<Connector>,
    operation: Operation,
    run: String,
    sshd_first: bool,
    patience: Duration,
    id: NodeId,
}

impl Worker {
    async fn work(self, connection: Option<Arc<Connection>>) -> NodeOutcome {
        let mut outcome = NodeOutcome {
            written: BTreeSet::new(),
            sshd_files: 0,
            sshd: None,
            failed: None,
        };
        // A connection may have died while somebody read the plan.
        let connection = match connection.filter(|it| !it.is_closed()) {
            Some(connection) => connection,
            None => match self.connector.connect(self.fleet.node(self.id)).await {
                Ok(connection) => Arc::new(connection),
                Err(error) => {
                    outcome.failed = Some(chain(&error));
                    return outcome;
                }
            },
        };
        if self.sshd_first {
            self.sshd(&connection, &mut outcome).await;
        }
        if outcome.failed.is_none() {
            match self.files(&connection).await {
                Ok(written) => outcome.written = written,
                Err(why) => outcome.failed = Some(why),
            }
        }
        if !self.sshd_first && outcome.failed.is_none() {
            self.sshd(&connection, &mut outcome).await;
        }
        outcome
    }

    async fn sshd(&self, connection: &Connection, outcome: &mut NodeOutcome) {
        let node = self.fleet.node(self.id);
        let mut changes = self.plan.sshd.iter();
        let Some(change) = changes.find(|it| it.node == node.name.as_str()) else {
            return;
        };
        let done = change_sshd(&self.connector, node, connection, change, self.patience).await;
        match &done {
            SshdOutcome::Kept { .. } => outcome.sshd_files = change.edits.len(),
            SshdOutcome::NotMade { why }
            | SshdOutcome::TakenBack { why }
            | SshdOutcome::Unknown { why } => outcome.failed = Some(why.clone()),
        }
        outcome.sshd = Some(done);
    }

    async fn files(&self, connection: &Connection) -> Result<BTreeSet<usize>, String> {
        let name = self.fleet.node(self.id).name.as_str();
        let in_words = |error: JobError| chain(&error);
        let job = Job::new(&self.plan, name, &BTreeMap::new()).map_err(in_words)?;
        if !job.edits_files() {
            return Ok(BTreeSet::new());
        }
        let who = format!("clearway run {}", self.run);
        let nonce = Nonce::new(system::random_bytes());
        let program = job.program(self.operation.clone(), &self.run, &who, nonce);
        let script = program.script();
        let output = connection
            .run_program(script.as_bytes(), &Limits::default())
            .await;
        let output = output.map_err(|error| chain(&error))?;
        let answer = program
            .read(&output.stdout)
            .map_err(|error| format!("{} ({})", chain(&error), output.exit))?;
        if let Some(lock) = &answer.locked {
            return Err(format!("the node is not free for this run: {lock:?}"));
        }
        let refused: Vec<String> = answer.refusals().map(ToString::to_string).collect();
        if refused.is_empty() {
            Ok(answer.written().collect())
        } else {
            Err(refused.join("; "))
        }
    }
}
