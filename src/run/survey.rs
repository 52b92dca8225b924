//! The first phase: every selected node is asked once, and its connection is kept for what follows.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::journal::Journal;
use super::request::{Request, Surroundings};
use super::sample::Samples;
use crate::domain::{Event, Node, NodeId, Phase, Why};
use crate::frame::Nonce;
use crate::remote::{Connection, Connector, ControlError, Limits, ProgramOutput, run_on_all};
use crate::survey::{ContentPool, KnownAnswer, NodeFacts, Survey, SurveyRequest, parse};
use crate::system;
use crate::trust::identity::{Misled, VerifiedKeys, misled};

/// How many names a progress line is given: one more than it shows, so that it can say that there are more.
pub(super) const NAMED: usize = 4;
/// After how long without news it is told once more who is waited for.
pub(super) const STILL: Duration = Duration::from_secs(10);

/// Why a node has no facts.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) why: Why,
    pub(super) detail: String,
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        // Whoever reads it knows that it is about the control connection to this node.
        let hop = error.hop.as_ref();
        let hop = hop.map_or_else(String::new, |hop| format!(" at jump host {hop}"));
        Self {
            why: error.why,
            detail: format!("{}{hop}: {}", error.route, error.detail),
        }
    }
}

/// What the first phase brought.
pub(super) struct Surveyed {
    /// For every node of the fleet; `None` for those not selected or not surveyed.
    pub(super) facts: Vec<Option<NodeFacts>>,
    /// Why the selected ones without facts have none.
    pub(super) failures: HashMap<NodeId, Failure>,
    /// The host keys that the connections have verified.
    pub(super) host_keys: VerifiedKeys,
    /// The connections that are still open.
    pub(super) connections: HashMap<NodeId, Arc<Connection>>,
}

impl Surveyed {
    /// What is known when nobody was asked.
    pub(super) fn nothing(nodes: usize) -> Self {
        Self {
            facts: vec![None; nodes],
            failures: HashMap::new(),
            host_keys: VerifiedKeys::default(),
            connections: HashMap::new(),
        }
    }
}

/// Surveys the selected nodes.
pub(super) async fn survey(
    request: &Request,
    around: &Surroundings,
    connector: &Arc<Connector>,
    journal: &Journal,
) -> Surveyed {
    let mut surveyed = Surveyed {
        facts: vec![None; request.fleet.nodes.len()],
        failures: HashMap::new(),
        host_keys: VerifiedKeys::new(),
        connections: HashMap::new(),
    };
    let limits = limits(request);
    let control = request.control_accounts;
    let pool = ContentPool::new();
    let mut waiting: BTreeSet<NodeId> = request.selected.iter().copied().collect();
    let total = waiting.len();
    let fleet = request.fleet.clone();
    let mut samples = Samples::pick(&request.fleet, &request.selected);
    let waiter = Arc::new(samples.waiter());
    let mut completions = run_on_all(
        connector.clone(),
        request.fleet.clone(),
        samples.order(&request.selected),
        request.concurrency,
        move |id, connection| {
            let (fleet, waiter) = (fleet.clone(), waiter.clone());
            async move {
                let known = waiter.known(id).await;
                let answer = ask(&connection, fleet.node(id), control, known, &limits).await?;
                Ok((connection, answer))
            }
        },
    );
    loop {
        let named = waiting
            .iter()
            .take(NAMED)
            .map(|&id| request.fleet.node(id).name.to_string())
            .collect();
        journal.progress(Phase::Survey, total - waiting.len(), total, named);
        let next = tokio::select! {
            next = completions.next() => next,
            () = tokio::time::sleep(STILL) => continue,
            () = around.cancel.cancelled() => {
                // What runs is given up too: nothing was changed on any node by asking.
                break;
            }
        };
        let Some((id, result)) = next else { break };
        waiting.remove(&id);
        let name = request.fleet.node(id).name.to_string();
        let read = result
            .map_err(Failure::from)
            .and_then(|(connection, answer)| {
                let millis = answer.millis;
                let survey = answer.read(&name, &pool)?;
                Ok((connection, survey.facts, survey.learnt, millis))
            });
        match read {
            Ok((connection, facts, learnt, millis)) => {
                samples.learn(id, Some(learnt));
                journal.event(&Event::NodeSurveyed { node: name, millis });
                surveyed.facts[id.index()] = Some(facts);
                if let Some(key) = connection.host_key() {
                    surveyed.host_keys.insert(id, key.clone());
                }
                surveyed.connections.insert(id, Arc::new(connection));
            }
            Err(failure) => {
                samples.learn(id, None);
                journal.event(&Event::NodeFailed {
                    node: name,
                    why: failure.why.code().to_owned(),
                    detail: failure.detail.clone(),
                });
                surveyed.failures.insert(id, failure);
            }
        }
    }
    for id in waiting {
        surveyed.failures.insert(
            id,
            Failure {
                why: Why::Interrupted,
                detail: "interrupted before the node had answered".to_owned(),
            },
        );
    }
    refuse_misled(request, &mut surveyed, journal);
    let failed = surveyed.failures.len() as u64;
    journal.event(&Event::SurveyFinished {
        surveyed: total as u64 - failed,
        failed,
    });
    surveyed
}

/// Takes back what nodes have answered in the name of others; nothing more is asked of them.
fn refuse_misled(request: &Request, surveyed: &mut Surveyed, journal: &Journal) {
    for Misled { node, owner } in misled(&surveyed.facts, &surveyed.host_keys) {
        let name = |id| request.fleet.node(id).name.to_string();
        let verified = surveyed.host_keys.remove(&node);
        let verified = verified.map_or_else(String::new, |key| format!(" {}", key.fingerprint()));
        let failure = Failure {
            why: Why::ControlMisled,
            detail: format!(
                "the host key{verified} that the control connection verified is not on the disk of what answered, {}'s is",
                name(owner)
            ),
        };
        journal.event(&Event::NodeFailed {
            node: name(node),
            why: failure.why.code().to_owned(),
            detail: failure.detail.clone(),
        });
        surveyed.facts[node.index()] = None;
        surveyed.connections.remove(&node);
        surveyed.failures.insert(node, failure);
    }
}

/// Surveys nodes again, over the connections that are there; a node that cannot be, is not surveyed any more.
pub(super) async fn survey_again(
    request: &Request,
    surveyed: &mut Surveyed,
    nodes: &HashSet<NodeId>,
    journal: &Journal,
) {
    let limits = limits(request);
    let control = request.control_accounts;
    let pool = ContentPool::new();
    let permits = Arc::new(Semaphore::new(request.concurrency.max(1)));
    let mut asked = JoinSet::new();
    for &id in nodes {
        let Some(connection) = surveyed.connections.get(&id).cloned() else {
            continue;
        };
        let (fleet, permits) = (request.fleet.clone(), permits.clone());
        asked.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let node = fleet.node(id);
            // What other nodes answered before is not asked for again: files have changed.
            let answer = ask(&connection, node, control, Vec::new(), &limits).await;
            (id, answer)
        });
    }
    let total = asked.len();
    while let Some(next) = asked.join_next().await {
        journal.progress(Phase::Survey, total - asked.len(), total, Vec::new());
        let Ok((id, result)) = next else { continue };
        let name = request.fleet.node(id).name.to_string();
        let read = result.map_err(Failure::from).and_then(|answer| {
            let millis = answer.millis;
            Ok((answer.read(&name, &pool)?.facts, millis))
        });
        match read {
            Ok((facts, millis)) => {
                journal.event(&Event::NodeSurveyed { node: name, millis });
                surveyed.facts[id.index()] = Some(facts);
                surveyed.failures.remove(&id);
            }
            Err(failure) => {
                journal.event(&Event::NodeFailed {
                    node: name,
                    why: failure.why.code().to_owned(),
                    detail: failure.detail.clone(),
                });
                surveyed.facts[id.index()] = None;
                surveyed.failures.insert(id, failure);
            }
        }
    }
    refuse_misled(request, surveyed, journal);
}

fn limits(request: &Request) -> Limits {
    Limits {
        deadline: request.survey_timeout,
        idle: request.survey_timeout,
        first: request.survey_timeout,
        ..Limits::default()
    }
}

/// What a node answered to its survey.
struct SurveyAnswer {
    question: SurveyRequest,
    output: ProgramOutput,
    /// The controller's clock in the middle of the round trip.
    middle: i64,
    millis: u64,
}

async fn ask(
    connection: &Connection,
    node: &Node,
    control: bool,
    known: Vec<KnownAnswer>,
    limits: &Limits,
) -> Result<SurveyAnswer, ControlError> {
    let watch = system::Stopwatch::start();
    let asked = system::now().as_second();
    let nonce = Nonce::new(system::random_bytes());
    let accounts = control.then(|| node.control.user.clone());
    let accounts: Vec<String> = accounts.into_iter().collect();
    let mut question = SurveyRequest::new(&node.profile, &accounts, nonce);
    question.known = known;
    let output = connection
        .run_program(question.program().as_bytes(), limits)
        .await?;
    Ok(SurveyAnswer {
        question,
        output,
        middle: asked + (system::now().as_second() - asked) / 2,
        millis: watch.millis(),
    })
}

impl SurveyAnswer {
    fn read(&self, name: &str, pool: &ContentPool) -> Result<Survey, Failure> {
        let read = parse(&self.question, &self.output.stdout, pool);
        let mut survey = read.map_err(|error| Failure {
            why: Why::ControlGarbage,
            detail: format!("survey of {name}: {} ({})", chain(&error), self.output.exit),
        })?;
        survey.facts.clock_skew = Some(self.middle - survey.facts.clock);
        Ok(survey)
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
