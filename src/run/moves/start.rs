//! Beginning a run of moves, and going on with one that was left.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::access::{CloudAccess, check_rights, open, right};
use super::candidates::{ask, dialled_addresses, match_nodes};
use super::engine::{Engine, LOCK};
use super::error::MovesError;
use super::finish::{disable, restore};
use super::journal::Entry;
use super::options::{MoveOptions, What};
use super::plan::{Chosen, choose};
use super::prover::Prover;
use crate::domain::{Dial, Event, Fleet, HostName, MoveKind, NodeId};
use crate::ledger::{Ledger, LedgerError, RunState, StoredMove};
use crate::moves::compare::Portrait;
use crate::moves::gate::candidates;
use crate::moves::machine::{Record, Stage, Tracked};
use crate::nova::Session;
use crate::openstack::compute::Server;
use crate::remote::Connector;
use crate::report::{MOVES_SCHEMA_VERSION, MoveRow, MovesReport, Settings, StayRow, exit};
use crate::run::journal::Journal;
use crate::run::request::{Request, Surroundings};
use crate::run::survey::survey;
use crate::system;
use crate::trust::legs::Legs;
use crate::trust::{PairScope, Prediction};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Moves {
    /// How nodes are surveyed and legs proven; the run's id, `migrate` or `drain`, and the inventory are here too.
    pub check: Request,
    /// What is moved, and how.
    pub options: MoveOptions,
    /// Whether only the plan is made.
    pub dry_run: bool,
}

/// Moves servers: each one across a pair that was just proven, tracked to its end, confirmed and compared.
///
/// # Errors
/// Only what keeps the run from being begun, or the journal from being kept.
pub async fn migrate(
    moves: Moves,
    access: CloudAccess,
    around: Surroundings,
) -> Result<MovesReport, MovesError> {
    let session = open(access).await?;
    let chosen = choose(&session, &moves.options).await?;
    if hosts_are_hidden(&chosen) {
        return Err(MovesError::HostsHidden);
    }
    if moves.dry_run {
        return plan_only(&moves, &session, chosen, &around).await;
    }
    let kinds: BTreeSet<MoveKind> = chosen.moves.iter().map(|(_, kind)| *kind).collect();
    for kind in kinds {
        if let Some((server, _)) = chosen.moves.iter().find(|(_, it)| *it == kind) {
            check_rights(&session, server, kind).await?;
        }
    }
    let Some(ledger) = around.ledger.clone() else {
        return Err(no_ledger(&moves.check.run));
    };
    lock(&ledger, &session, &moves.check.run, &chosen).await?;
    let begun = begin(&moves, &session, &ledger, &around, chosen).await;
    let done = match begun {
        Ok(begun) => {
            go(
                &moves.check,
                &moves.options,
                session,
                &ledger,
                &around,
                begun,
            )
            .await
        }
        Err(error) => Err(error),
    };
    ledger.unlock(&moves.check.run).await?;
    done
}

/// What a run starts from, new or resumed.
struct Begun {
    journal: Journal,
    entries: Vec<Entry>,
    stay: Vec<StayRow>,
    draining: BTreeSet<HostName>,
    since: Timestamp,
}

fn no_ledger(run: &str) -> MovesError {
    MovesError::NotResumable {
        run: run.to_owned(),
        why: "moves are not made without a journal".to_owned(),
    }
}

fn hosts_are_hidden(chosen: &Chosen) -> bool {
    let hidden = |it: &StayRow| it.host.is_none() && it.why.contains("the right to see its host");
    chosen.moves.is_empty() && !chosen.stay.is_empty() && chosen.stay.iter().all(hidden)
}

async fn lock(
    ledger: &Ledger,
    session: &Session,
    run: &str,
    chosen: &Chosen,
) -> Result<(), MovesError> {
    let cloud = session.endpoint();
    // Also those that cannot move: the likeliest reason is that another run is moving them.
    let moves = chosen.moves.iter().map(|(it, _)| it.id.to_string());
    let stay = chosen.stay.iter().map(|it| it.server.clone());
    let servers = moves.chain(stay).map(|id| format!("{cloud} server {id}"));
    let hosts = chosen
        .draining
        .iter()
        .map(|it| format!("{cloud} host {it}"));
    let names: Vec<String> = servers.chain(hosts).collect();
    take_locks(ledger, run, &names).await
}

async fn take_locks(ledger: &Ledger, run: &str, names: &[String]) -> Result<(), MovesError> {
    let now = system::now();
    let process = system::ProcessId::current();
    match ledger
        .lock(run, names, process.as_ref(), now, now + LOCK)
        .await?
    {
        Ok(()) => Ok(()),
        Err(held) => Err(MovesError::Locked { held }),
    }
}

async fn begin(
    moves: &Moves,
    session: &Session,
    ledger: &Ledger,
    around: &Surroundings,
    chosen: Chosen,
) -> Result<Begun, MovesError> {
    let started = system::now();
    let settings = Settings {
        limit: moves.check.limit.clone(),
        depth: moves.check.depth,
        pairs: "moves".to_owned(),
        no_write: false,
        lanes: Vec::new(),
    };
    let journal = Journal::begin(&moves.check, &settings, around, started).await?;
    let stored: Vec<StoredMove> = chosen
        .moves
        .iter()
        .map(|(server, kind)| StoredMove {
            server: server.id.to_string(),
            name: server.name.clone(),
            kind: kind.to_string(),
            source: server
                .host
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            portrait: serde_json::to_string(&Portrait::of(server))
                .expect("a portrait has nothing that JSON cannot say"),
            planned: started,
        })
        .collect();
    let options =
        serde_json::to_string(&moves.options).expect("options have nothing that JSON cannot say");
    ledger
        .plan_moves(&moves.check.run, session.endpoint(), &options, &stored)
        .await?;
    journal.event(&Event::MovesPlanned {
        run: moves.check.run.clone(),
        command: moves.check.command.to_owned(),
        moves: chosen.moves.len() as u64,
        stay: chosen.stay.len() as u64,
    });
    let entries = chosen
        .moves
        .into_iter()
        .filter_map(|(server, kind)| {
            let source = server.host.clone()?;
            let tracked = Tracked::planned(server.id.clone(), kind, source, started);
            let before = Portrait::of(&server);
            Some(Entry::new(
                tracked,
                server.name.clone(),
                before,
                Some(server),
            ))
        })
        .collect();
    Ok(Begun {
        journal,
        entries,
        stay: chosen.stay,
        draining: chosen.draining,
        since: margin(session.cloud_time()),
    })
}

/// Clocks of a cloud's controllers differ, and rows are written a moment after they are dated.
fn margin(at: Timestamp) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(60)).unwrap_or(at)
}

/// The nodes by service host name, as the survey has read it where the inventory does not state it.
fn service_hosts(fleet: &Fleet, legs: &Legs) -> HashMap<HostName, NodeId> {
    match_nodes(fleet, |id| {
        let name = legs.address(id, &Dial::ServiceHost).name();
        name.map(|name| name.to_string())
    })
}

/// Surveys, moves, puts services back, and reports.
async fn go(
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
        stay,
        draining,
        since,
    } = begun;
    let fleet = check.fleet.clone();
    let connector = Arc::new(Connector::new(around.environment.clone(), check.deadlines));
    let mut surveyed = survey(check, around, &connector, &journal).await;
    let scope = PairScope::among(&fleet, check.selected.iter().copied());
    let legs = Legs::new(&fleet, &surveyed.facts);
    let prediction = Prediction::new(&fleet, &surveyed.facts, &legs, &scope);
    let nodes = service_hosts(&fleet, &legs);
    let cloud = ask(&session, &fleet, nodes, draining.clone()).await?;
    let rows = session
        .newest_migrations()
        .await
        .map_err(|error| right("migrations cannot be listed", error))?;
    let connections = std::mem::take(&mut surveyed.connections);
    let mut engine = Engine {
        run: check.run.clone(),
        session: session.clone(),
        around,
        journal: &journal,
        ledger: ledger.clone(),
        options,
        fleet: &fleet,
        legs: &legs,
        prediction: &prediction,
        facts: &surveyed.facts,
        prover: Prover::new(check.clone(), connector, connections),
        cloud,
        cloud_at: system::now(),
        dialled: dialled_addresses(&rows),
        proofs: HashMap::new(),
        entries,
        since,
        stopped: None,
        tasks: JoinSet::new(),
        renewed: system::now(),
    };
    let unfinished = engine
        .entries
        .iter()
        .any(|it| it.tracked.stage != Stage::Ended);
    if unfinished && !around.cancel.is_cancelled() {
        disable(&session, ledger, &journal, &check.run, &draining).await?;
    }
    engine.work().await?;
    // Also when it was interrupted: a host should not stay out of scheduling because somebody went home.
    let services = restore(&session, ledger, &journal, &check.run).await?;
    let report = engine.report(check.command, stay, services, options);
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

/// The plan without anything being begun: no lock, no record, nothing written anywhere. Nodes are only asked for their
/// service host names.
async fn plan_only(
    moves: &Moves,
    session: &Session,
    chosen: Chosen,
    around: &Surroundings,
) -> Result<MovesReport, MovesError> {
    let fleet = &moves.check.fleet;
    let stated = |id| fleet.node(id).service_host.is_some();
    let nodes = if fleet.ids().all(stated) {
        match_nodes(fleet, |_| None)
    } else {
        let connector = Connector::new(around.environment.clone(), moves.check.deadlines);
        let journal = Journal::unrecorded("", around);
        let surveyed = survey(&moves.check, around, &Arc::new(connector), &journal).await;
        service_hosts(fleet, &Legs::new(fleet, &surveyed.facts))
    };
    let cloud = ask(session, fleet, nodes, chosen.draining).await?;
    let row = |(server, kind): &(Server, MoveKind)| {
        let (open, excluded) = candidates(&cloud, server, &moves.options.to, &[], &HashMap::new());
        let why = if open.is_empty() {
            let why: Vec<String> = excluded
                .iter()
                .map(|(host, why)| format!("{host}: {why}"))
                .collect();
            format!("no destination: {}", why.join("; "))
        } else {
            String::new()
        };
        MoveRow {
            server: server.id.to_string(),
            name: server.name.clone(),
            kind: kind.to_string(),
            source: server
                .host
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            destination: open.first().map(|it| it.host.to_string()),
            verdict: "planned".to_owned(),
            why,
            explained: Vec::new(),
            request_id: None,
            seconds: None,
            candidates: open.iter().map(ToString::to_string).collect(),
        }
    };
    let rows: Vec<MoveRow> = chosen.moves.iter().map(row).collect();
    let blocked = rows.iter().any(|it| it.destination.is_none());
    Ok(MovesReport {
        schema: MOVES_SCHEMA_VERSION,
        run: moves.check.run.clone(),
        command: moves.check.command.to_owned(),
        cloud: session.endpoint().to_owned(),
        dry_run: true,
        interrupted: false,
        exit_code: if blocked || !chosen.stay.is_empty() {
            exit::UNPROVEN
        } else {
            exit::WELL
        },
        stopped: None,
        moves: rows,
        stay: chosen.stay,
        services: Vec::new(),
    })
}

/// Goes on with a run that was interrupted or killed. What it was doing is looked up in Nova first, and decided then:
/// nothing that may have been requested is requested again.
///
/// # Errors
/// There is no such run, it goes on elsewhere, its journal is damaged, or as [`migrate`].
pub async fn resume(
    name: &str,
    mut check: Request,
    access: CloudAccess,
    around: Surroundings,
) -> Result<MovesReport, MovesError> {
    let Some(ledger) = around.ledger.clone() else {
        return Err(no_ledger(name));
    };
    let found = ledger.find(name).await?;
    let run = found.start.id.clone();
    if found.state == RunState::Running {
        return Err(MovesError::Running(run));
    }
    let not = |why: &str| MovesError::NotResumable {
        run: run.clone(),
        why: why.to_owned(),
    };
    let Some((options, stored)) = ledger.planned_moves(&run).await? else {
        return Err(not(&format!("it is a {}", found.start.command)));
    };
    let options: MoveOptions =
        serde_json::from_str(&options).map_err(|_| not("another version of clearway began it"))?;
    check.run.clone_from(&run);
    check.command = match found.start.command.as_str() {
        "drain" => "drain",
        _ => "migrate",
    };
    let session = open(access).await?;
    if ledger.moves_cloud(&run).await?.as_deref() != Some(session.endpoint()) {
        return Err(not(&format!(
            "it is of another cloud than {}",
            session.endpoint()
        )));
    }
    let mut entries = replay(&ledger, &run, &stored).await?;
    for entry in &mut entries {
        entry.server = session.server(&entry.tracked.server).await?;
    }
    let draining: BTreeSet<HostName> = match &options.what {
        What::Hosts(hosts) => hosts.iter().cloned().collect(),
        What::Servers(_) => BTreeSet::new(),
    };
    let cloud = session.endpoint();
    let names: Vec<String> = entries
        .iter()
        .map(|it| format!("{cloud} server {}", it.tracked.server))
        .chain(draining.iter().map(|it| format!("{cloud} host {it}")))
        .collect();
    take_locks(&ledger, &run, &names).await?;
    let journal = Journal::resume(&run, &ledger, &around).await?;
    // Everything since the run began, by the cloud's clock.
    let ahead = session.cloud_time().duration_since(system::now());
    let since = margin(
        found
            .start
            .started
            .checked_add(ahead)
            .unwrap_or(found.start.started),
    );
    let mut begun = Begun {
        journal,
        entries,
        stay: Vec::new(),
        draining,
        since,
    };
    unprepare(&ledger, &run, &mut begun.entries).await?;
    let done = go(&check, &options, session, &ledger, &around, begun).await;
    ledger.unlock(&run).await?;
    done
}

/// Every move as its records say.
async fn replay(
    ledger: &Ledger,
    run: &str,
    stored: &[StoredMove],
) -> Result<Vec<Entry>, MovesError> {
    let damaged = |server: &str, why: String| MovesError::Journal {
        run: run.to_owned(),
        server: server.to_owned(),
        why,
    };
    let mut entries = Vec::new();
    for it in stored {
        let bad = |what: &str| damaged(&it.server, format!("its {what} cannot be read"));
        let kind = [MoveKind::Cold, MoveKind::Live, MoveKind::Resize]
            .into_iter()
            .find(|kind| kind.as_str() == it.kind)
            .ok_or_else(|| bad("kind"))?;
        let server = it.server.parse().map_err(|_| bad("id"))?;
        let source = it.source.parse().map_err(|_| bad("source"))?;
        let before = serde_json::from_str(&it.portrait).map_err(|_| bad("portrait"))?;
        let tracked = Tracked::planned(server, kind, source, it.planned);
        entries.push(Entry::new(tracked, it.name.clone(), before, None));
    }
    for record in ledger.move_records(run).await? {
        let Some(entry) = entries
            .iter_mut()
            .find(|it| it.tracked.server.as_str() == record.server)
        else {
            continue;
        };
        if record.seq != entry.seq + 1 {
            return Err(damaged(
                &record.server,
                format!("record {} is missing", entry.seq + 1),
            ));
        }
        let json: Record = serde_json::from_str(&record.json)
            .map_err(|error| damaged(&record.server, format!("record {}: {error}", record.seq)))?;
        entry
            .take(&json, record.at)
            .map_err(|error| damaged(&record.server, error.to_string()))?;
    }
    Ok(entries)
}

/// What was only prepared is prepared again; a confirmation whose outcome is not known is looked at again.
async fn unprepare(ledger: &Ledger, run: &str, entries: &mut [Entry]) -> Result<(), LedgerError> {
    for entry in entries {
        let record = match entry.tracked.stage {
            Stage::Proving | Stage::Passed => Record::NotSent {
                why: "clearway was stopped before the request".to_owned(),
            },
            Stage::Confirming => Record::ConfirmRejected {
                why: "clearway was stopped while it was confirmed".to_owned(),
            },
            _ => continue,
        };
        let at = system::now();
        let json =
            serde_json::to_string(&record).expect("a record has nothing that JSON cannot say");
        if entry.tracked.after(&record, at).is_err() {
            continue;
        }
        let stored = crate::ledger::StoredRecord {
            server: entry.tracked.server.to_string(),
            seq: entry.seq + 1,
            at,
            json,
        };
        ledger.record_move(run, &stored).await?;
        let taken = entry.take(&record, at);
        debug_assert!(taken.is_ok(), "it was tried before");
    }
    Ok(())
}
