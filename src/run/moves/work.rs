//! The work of a run, new or resumed: survey, move, put services back, report.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::access::right;
use super::candidates::{ask, claims, dialled_addresses};
use super::engine::{Engine, LOOKING};
use super::error::MovesError;
use super::finish::Left;
use super::images::Images;
use super::journal::Entry;
use super::options::MoveOptions;
use super::prover::Prover;
use super::services::restore;
use crate::domain::{Dial, Fleet, HostName, NodeId};
use crate::ledger::Ledger;
use crate::moves::gate::{Claim, Cloud, Width};
use crate::moves::machine::Stage;
use crate::nova::Session;
use crate::remote::Connector;
use crate::report::{MovesReport, StayRow};
use crate::run::journal::Journal;
use crate::run::request::{Request, Surroundings};
use crate::run::survey::{Surveyed, survey};
use crate::survey::NodeFacts;
use crate::system;
use crate::trust::legs::Legs;
use crate::trust::{PairScope, Prediction};

/// What a run starts from, new or resumed.
pub(super) struct Begun {
    pub(super) journal: Journal,
    pub(super) entries: Vec<Entry>,
    pub(super) stay: Vec<StayRow>,
    pub(super) draining: BTreeSet<HostName>,
    pub(super) since: Timestamp,
}

/// The service host that each node is said to be, as the survey has read it where the inventory does not state it.
fn service_hosts(fleet: &Fleet, legs: &Legs, facts: &[Option<NodeFacts>]) -> Vec<Claim> {
    let name = |id| {
        let name = legs.address(id, &Dial::ServiceHost).name();
        name.map(|name| name.to_string())
    };
    claims(fleet, name, |id| {
        let facts = facts[id.index()].as_ref();
        facts.map_or_else(Vec::new, |it| it.addresses.clone())
    })
}

/// How many live moves may leave each host at the same time, where its nova.conf says so.
fn live_bounds(cloud: &Cloud, facts: &[Option<NodeFacts>]) -> HashMap<HostName, usize> {
    let of = |node: NodeId| {
        let facts = facts.get(node.index())?.as_ref()?;
        facts.nova.max_concurrent_live_migrations
    };
    let nodes = cloud.matched.nodes.iter();
    nodes
        .filter_map(|(host, &node)| {
            let bound = match of(node)? {
                0 => usize::MAX,
                bound => usize::try_from(bound).unwrap_or(usize::MAX),
            };
            Some((host.clone(), bound))
        })
        .collect()
}

/// The service host that each node is said to be, where nothing else of them is needed: they are only asked for what the inventory does
/// not state.
pub(super) async fn known_nodes(check: &Request, around: &Surroundings) -> Vec<Claim> {
    let fleet = &check.fleet;
    let stated = |id| fleet.node(id).service_host.is_some();
    if fleet.ids().all(stated) {
        return claims(fleet, |_| None, |_| Vec::new());
    }
    let connector = Connector::new(around.environment.clone(), check.deadlines);
    let journal = Journal::unrecorded("", around);
    let surveyed = survey(check, around, &Arc::new(connector), &journal).await;
    let legs = Legs::new(fleet, &surveyed.facts);
    service_hosts(fleet, &legs, &surveyed.facts)
}

/// Surveys, moves, puts services back, and reports.
///
/// # Errors
/// [`MovesError::Left`]: the run has begun, and can be resumed.
pub(super) async fn go(
    check: &Request,
    options: &MoveOptions,
    session: Session,
    ledger: &Ledger,
    around: &Surroundings,
    begun: Begun,
) -> Result<MovesReport, MovesError> {
    let done = carry_out(check, options, session, ledger, around, begun).await;
    // Locks that could not be given back lapse by themselves.
    let _ = ledger.unlock(&check.run).await;
    done.map_err(|error| MovesError::Left {
        run: check.run.clone(),
        source: Box::new(error),
    })
}

async fn carry_out(
    check: &Request,
    options: &MoveOptions,
    session: Session,
    ledger: &Ledger,
    around: &Surroundings,
    begun: Begun,
) -> Result<MovesReport, MovesError> {
    let Begun {
        journal,
        entries,
        mut stay,
        draining,
        since,
    } = begun;
    let fleet = check.fleet.clone();
    let connector = Arc::new(Connector::new(around.environment.clone(), check.deadlines));
    // A request whose outcome is not known may turn out not to have been sent.
    let may_request = entries
        .iter()
        .any(|it| matches!(it.tracked.stage, Stage::Planned | Stage::Requested));
    let mut surveyed = if may_request {
        survey(check, around, &connector, &journal).await
    } else {
        // What is under way, or waits for its confirmation, needs no proof.
        Surveyed::nothing(fleet.ids().len())
    };
    let scope = PairScope::among(&fleet, check.selected.iter().copied());
    let legs = Legs::new(&fleet, &surveyed.facts);
    let prediction = Prediction::new(&fleet, &surveyed.facts, &legs, &scope);
    let claims = service_hosts(&fleet, &legs, &surveyed.facts);
    let cloud = ask(&session, &fleet, claims, draining).await?;
    let rows = session
        .newest_migrations()
        .await
        .map_err(|error| right("migrations cannot be listed", error))?;
    let connections = std::mem::take(&mut surveyed.connections);
    let limits = options.limits(live_bounds(&cloud, &surveyed.facts));
    let mut engine = Engine {
        run: check.run.clone(),
        looking: session.impatient(LOOKING),
        session: session.clone(),
        around,
        journal: &journal,
        ledger: ledger.clone(),
        options,
        limits,
        fleet: &fleet,
        legs: &legs,
        prediction: &prediction,
        facts: &surveyed.facts,
        prover: Prover::new(check.clone(), connector, connections),
        cloud,
        images: Images::default(),
        glance: JoinSet::new(),
        listing: JoinSet::new(),
        unheard: None,
        cloud_at: system::now(),
        down: BTreeSet::new(),
        asked_for_hosts: false,
        dialled: dialled_addresses(&rows),
        width: Width::default(),
        proofs: HashMap::new(),
        entries,
        since,
        unlisted: since,
        listed_all: system::now(),
        stopped: None,
        tasks: JoinSet::new(),
        renewed: system::now(),
    };
    let unfinished = engine
        .entries
        .iter()
        .any(|it| it.tracked.stage != Stage::Ended);
    let mut undisabled = None;
    let worked = async {
        if unfinished && !around.cancel.is_cancelled() {
            undisabled = engine.disable_services().await?;
            // As many servers may come to such a host as leave it: nothing is begun in vain.
            if let Some(it) = &undisabled
                && !around.cancel.is_cancelled()
            {
                engine.stop(format!("nova-compute on {} {}", it.host, it.told()));
            }
            engine.first_look_at_images().await;
        }
        engine.work().await
    };
    let worked = worked.await;
    let mut left = Left::default();
    if worked.is_ok() && !around.cancel.is_cancelled() {
        left = engine.left_on_hosts(&stay).await;
        stay.append(&mut left.late);
    }
    // Also when it was interrupted, or went wrong: a host should not stay out of scheduling because somebody went home.
    let services = restore(&session, ledger, &journal, &check.run, undisabled.as_ref()).await?;
    worked?;
    let report = engine.report(check.command, stay, services, left.unseen, options);
    drop(engine);
    journal.close().await?;
    ledger
        .finish_moves(
            &check.run,
            system::now(),
            report.interrupted,
            report.exit_code,
        )
        .await?;
    Ok(report)
}
