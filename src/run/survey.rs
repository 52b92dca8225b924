//! The first phase: every selected node is asked once, and its connection is kept for what follows.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::journal::Journal;
use super::request::{Request, Surroundings};
use crate::domain::{Event, NodeId, Phase, Profile, Why};
use crate::frame::Nonce;
use crate::remote::{Connection, Connector, ControlError, Limits, ProgramOutput, run_on_all};
use crate::survey::{ContentPool, NodeFacts, SurveyRequest, parse};
use crate::system;

/// How many names a progress line may carry.
const NAMED: usize = 3;

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
    /// The connections that are still open.
    pub(super) connections: HashMap<NodeId, Arc<Connection>>,
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
        connections: HashMap::new(),
    };
    let limits = limits(request);
    let pool = ContentPool::new();
    let mut waiting: BTreeSet<NodeId> = request.selected.iter().copied().collect();
    let total = waiting.len();
    let fleet = request.fleet.clone();
    let mut completions = run_on_all(
        connector.clone(),
        request.fleet.clone(),
        request.selected.clone(),
        request.concurrency,
        move |id, connection| {
            let fleet = fleet.clone();
            async move {
                let answer = ask(&connection, &fleet.node(id).profile, &limits).await?;
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
                Ok((connection, answer.read(&name, &pool)?, millis))
            });
        match read {
            Ok((connection, facts, millis)) => {
                journal.event(&Event::NodeSurveyed { node: name, millis });
                surveyed.facts[id.index()] = Some(facts);
                surveyed.connections.insert(id, Arc::new(connection));
            }
            Err(failure) => {
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
    let failed = surveyed.failures.len() as u64;
    journal.event(&Event::SurveyFinished {
        surveyed: total as u64 - failed,
        failed,
    });
    surveyed
}

/// Surveys nodes again, over the connections that are there; a node that cannot be, is not surveyed any more.
pub(super) async fn survey_again(
    request: &Request,
    surveyed: &mut Surveyed,
    nodes: &HashSet<NodeId>,
    journal: &Journal,
) {
    let limits = limits(request);
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
            (id, ask(&connection, &fleet.node(id).profile, &limits).await)
        });
    }
    let total = asked.len();
    while let Some(next) = asked.join_next().await {
        journal.progress(Phase::Survey, total - asked.len(), total, Vec::new());
        let Ok((id, result)) = next else { continue };
        let name = request.fleet.node(id).name.to_string();
        let read = result.map_err(Failure::from).and_then(|answer| {
            let millis = answer.millis;
            Ok((answer.read(&name, &pool)?, millis))
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
}

fn limits(request: &Request) -> Limits {
    Limits {
        deadline: request.survey_timeout,
        idle: request.survey_timeout,
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
    profile: &Profile,
    limits: &Limits,
) -> Result<SurveyAnswer, ControlError> {
    let watch = system::Stopwatch::start();
    let asked = system::now().as_second();
    let nonce = Nonce::new(system::random_bytes());
    let question = SurveyRequest::new(profile, &[], nonce);
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
    fn read(&self, name: &str, pool: &ContentPool) -> Result<NodeFacts, Failure> {
        let read = parse(&self.question, &self.output.stdout, pool);
        let mut facts = read
            .map_err(|error| Failure {
                why: Why::ControlGarbage,
                detail: format!("survey of {name}: {} ({})", chain(&error), self.output.exit),
            })?
            .facts;
        facts.clock_skew = Some(self.middle - facts.clock);
        Ok(facts)
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
