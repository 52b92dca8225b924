//! From a failed move to the leg: what nova-compute has logged of it, then the leg climbed now.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Event, Lane, NodeId, Observer, Pair, Progress, ServerId};
use crate::frame::Nonce;
use crate::inquiry::{NovaLog, NovaQuestion, nova_script};
use crate::moves::diagnose::{Diagnosis, diagnose};
use crate::remote::{Connection, Connector, Limits};
use crate::report::LegReport;
use crate::run::examine::{Beginning, examine};
use crate::run::journal::Journal;
use crate::run::request::{PairsMode, Request, Surroundings};
use crate::run::survey::{Surveyed, survey};
use crate::system;

/// One request's lines are read, not a whole log.
const LIMITS: Limits = Limits {
    stdout: 256 << 10,
    stderr: 64 << 10,
    deadline: Duration::from_secs(60),
    idle: Duration::from_secs(60),
    first: Duration::from_secs(60),
};

/// A move that failed.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) server: ServerId,
    pub(super) pair: Pair,
    /// The lanes that it needed.
    pub(super) lanes: BTreeSet<Lane>,
    /// Nova's id of the request.
    pub(super) request_id: Option<String>,
    /// How long ago it was made.
    pub(super) ago: Duration,
}

/// What an investigation brought.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// What the logs say, or why they do not.
    pub(super) lines: Vec<String>,
    /// What that means.
    pub(super) diagnoses: Vec<Diagnosis>,
    /// The legs that it may have been, climbed now.
    pub(super) legs: Vec<LegReport>,
}

/// Whoever asks waits for the whole answer.
struct Nobody;

impl Observer for Nobody {
    fn event(&self, _: &Event) {}
    fn progress(&self, _: &Progress) {}
}

/// Reads the logs of a failed move's nodes and traces the leg that they, or what Nova `said`, speak of; all that the move
/// needed where nothing speaks of one, and none where it has nothing to do with legs. Each node is connected to once.
pub(super) async fn investigate(
    mut request: Request,
    around: Surroundings,
    case: Case,
    said: &[Diagnosis],
) -> Found {
    let Pair {
        source,
        destination,
    } = case.pair;
    request.run = system::run_id(system::now());
    request.command = "trace";
    request.selected = vec![source, destination];
    request.pairs = PairsMode::Only(case.pair);
    request.prove = true;
    let around = Surroundings {
        ledger: None,
        observer: Arc::new(Nobody),
        ..around
    };
    let journal = Journal::unrecorded(&request.run, &around);
    let connector = Arc::new(Connector::new(
        around.environment.clone(),
        request.deadlines,
    ));
    let surveyed = survey(&request, &around, &connector, &journal).await;
    let mut found = Found::default();
    // The destination copies, too: what Glance does not have any more.
    for node in [source, destination] {
        let name = &request.fleet.node(node).name;
        match log_of(&request, &surveyed, &case, node).await {
            Ok(log) => tell(&mut found, name.as_str(), &log),
            Err(why) => found
                .lines
                .push(format!("nova-compute's log on {name} was not read: {why}")),
        }
    }
    request.lanes = suspects(&case, said.iter().chain(&found.diagnoses));
    if request.lanes.is_empty() {
        return found;
    }
    if !request.fleet.in_scope(source, destination) {
        let why = "not traced: the pair is not in the scope of the inventory";
        found.lines.push(why.to_owned());
        return found;
    }
    let beginning = Beginning {
        started: system::now(),
        settings: request.settings(),
    };
    match examine(
        &request,
        &around,
        &surveyed,
        &journal,
        &beginning,
        None,
        |_| (),
    )
    .await
    {
        Ok(examined) => found.legs = examined.report.legs,
        Err(error) => found.lines.push(format!("not traced: {error}")),
    }
    found
}

/// The lanes that a failure may have been in.
fn suspects<'d>(case: &Case, known: impl Iterator<Item = &'d Diagnosis> + Clone) -> BTreeSet<Lane> {
    let named: BTreeSet<Lane> = known.clone().filter_map(|it| it.lane).collect();
    if !named.is_empty() {
        named
    } else if known.clone().any(|it| it.elsewhere) {
        BTreeSet::new()
    } else {
        case.lanes.clone()
    }
}

/// What a node's nova-compute has logged of the request; `Err` says why that is not known.
async fn log_of(
    request: &Request,
    surveyed: &Surveyed,
    case: &Case,
    node: NodeId,
) -> Result<NovaLog, String> {
    let Some(request_id) = &case.request_id else {
        return Err("Nova's id of the request is not known".to_owned());
    };
    let Some(connection) = surveyed.connections.get(&node) else {
        return Err(match surveyed.failures.get(&node) {
            Some(failure) => format!("{}: {}", failure.why.meaning(), failure.detail),
            None => "there is no connection".to_owned(),
        });
    };
    let facts = surveyed.facts[node.index()].as_ref();
    let question = NovaQuestion {
        request_id,
        server: case.server.as_str(),
        file: facts.and_then(|facts| facts.nova.log_file.as_deref()),
        ago: case.ago,
    };
    let profile = &request.fleet.node(node).profile;
    let context = profile.files_context(&profile.nova_context);
    let mut log = ask(connection, &question, &context).await?;
    if log.source().is_none() && !context.is_empty() {
        // What a container writes to its standard output is in the host's journal.
        let host = NovaQuestion {
            file: None,
            ..question
        };
        log = log.or(ask(connection, &host, &[]).await?);
    }
    Ok(log)
}

async fn ask(
    connection: &Connection,
    question: &NovaQuestion<'_>,
    context: &[String],
) -> Result<NovaLog, String> {
    let nonce = Nonce::new(system::random_bytes());
    let program = nova_script(&nonce, question, context);
    let output = connection
        .run_program(program.as_bytes(), &LIMITS)
        .await
        .map_err(|error| error.to_string())?;
    NovaLog::read(&output.stdout, &nonce).map_err(|error| error.to_string())
}

fn tell(found: &mut Found, node: &str, log: &NovaLog) {
    let Some(source) = log.source() else {
        found.lines.push(format!(
            "nova-compute's log on {node} was not found: {}",
            log.nothing()
        ));
        return;
    };
    let telling = log.telling();
    if telling.is_empty() {
        found
            .lines
            .push(format!("{source} on {node} has no error of this request"));
        return;
    }
    found.lines.push(format!("{source} on {node}:"));
    found
        .lines
        .extend(telling.iter().map(|line| format!("  {line}")));
    if let Some(diagnosis) = diagnose(&log.text())
        && !found.diagnoses.contains(&diagnosis)
    {
        found.diagnoses.push(diagnosis);
    }
}
