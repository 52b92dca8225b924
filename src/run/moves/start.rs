//! Beginning a run of moves.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::access::{CloudAccess, check_rights, open, right};
use super::dry_run::plan_only;
use super::engine::LOCK;
use super::error::MovesError;
use super::journal::{Entry, append};
use super::locks::{host_lock, server_lock};
use super::options::MoveOptions;
use super::plan::{Chosen, Planned, choose};
use super::work::{Begun, go};
use crate::domain::{Event, MoveKind, ServerId};
use crate::ledger::{Ledger, StoredMove};
use crate::moves::machine::{Record, Tracked};
use crate::nova::Session;
use crate::report::{MovesReport, Settings, StayRow};
use crate::run::journal::Journal;
use crate::run::request::{Request, Surroundings};
use crate::system;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Moves {
    /// How nodes are surveyed and legs proven; the run's id, `migrate` or `drain`, and the inventory are here too.
    pub check: Request,
    /// What is moved, and how.
    pub options: MoveOptions,
    /// The flavor of a resize, by name or by id.
    pub flavor: Option<String>,
    /// Whether only the plan is made.
    pub dry_run: bool,
}

/// What the ledger keeps of what was asked for, so that a run can be resumed as it was meant.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) options: MoveOptions,
    /// Servers that were meant and cannot move.
    pub(super) stay: Vec<StayRow>,
}

/// Moves servers: each one across a pair that was just proven, tracked to its end, confirmed and compared.
///
/// # Errors
/// Only what keeps the run from being begun, or the journal from being kept.
pub async fn migrate(
    mut moves: Moves,
    access: CloudAccess,
    around: Surroundings,
) -> Result<MovesReport, MovesError> {
    let session = open(access).await?;
    if let Some(name) = &moves.flavor {
        let found = session
            .flavor(name)
            .await
            .map_err(|error| right("flavors of all projects cannot be listed", error))?;
        moves.options.flavor = Some(found.ok_or_else(|| MovesError::NoFlavor(name.clone()))?);
    }
    let chosen = choose(&session, &moves.options).await?;
    if hosts_are_hidden(&chosen) {
        return Err(MovesError::HostsHidden);
    }
    if moves.dry_run {
        return plan_only(&moves, &session, chosen, &around).await;
    }
    let kinds: BTreeSet<MoveKind> = chosen.moves.iter().map(|it| it.kind).collect();
    for kind in kinds {
        if let Some(it) = chosen.moves.iter().find(|it| it.kind == kind) {
            check_rights(&session, &it.server, kind).await?;
        }
    }
    run(&moves, session, chosen, &around).await
}

/// Locks what is moved, moves it, and lets it go.
pub(super) async fn run(
    moves: &Moves,
    session: Session,
    chosen: Chosen,
    around: &Surroundings,
) -> Result<MovesReport, MovesError> {
    let Some(ledger) = around.ledger.clone() else {
        return Err(no_ledger(&moves.check.run));
    };
    lock(&ledger, &moves.check.run, &chosen).await?;
    match begin(moves, &session, &ledger, around, chosen).await {
        Ok(begun) => {
            go(
                &moves.check,
                &moves.options,
                session,
                &ledger,
                around,
                begun,
            )
            .await
        }
        Err(error) => {
            ledger.unlock(&moves.check.run).await?;
            Err(error)
        }
    }
}

pub(super) fn no_ledger(run: &str) -> MovesError {
    MovesError::NotResumable {
        run: run.to_owned(),
        why: "moves are not made without a journal".to_owned(),
    }
}

fn hosts_are_hidden(chosen: &Chosen) -> bool {
    let hidden = |it: &StayRow| it.host.is_none() && it.why.contains("the right to see its host");
    chosen.moves.is_empty() && !chosen.stay.is_empty() && chosen.stay.iter().all(hidden)
}

async fn lock(ledger: &Ledger, run: &str, chosen: &Chosen) -> Result<(), MovesError> {
    // Also those that cannot move: the likeliest reason is that another run is moving them.
    let moves = chosen.moves.iter().map(|it| it.server.id.to_string());
    let stay = chosen.stay.iter().map(|it| it.server.clone());
    let servers = moves.chain(stay).map(server_lock);
    let hosts = chosen.draining.iter().map(host_lock);
    let names: Vec<String> = servers.chain(hosts).collect();
    take_locks(ledger, run, &names).await
}

pub(super) async fn take_locks(
    ledger: &Ledger,
    run: &str,
    names: &[String],
) -> Result<(), MovesError> {
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
    let since = since(session, &chosen.moves).await?;
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
        .map(|it| StoredMove {
            server: it.server.id.to_string(),
            name: it.server.name.clone(),
            kind: it.kind.to_string(),
            source: it.source.to_string(),
            portrait: serde_json::to_string(&it.before)
                .expect("a portrait has nothing that JSON cannot say"),
            planned: started,
        })
        .collect();
    let asked = Asked {
        options: moves.options.clone(),
        stay: chosen.stay.clone(),
    };
    let options = serde_json::to_string(&asked).expect("options have nothing that JSON cannot say");
    ledger
        .plan_moves(&moves.check.run, session.endpoint(), &options, &stored)
        .await?;
    journal.event(&Event::MovesPlanned {
        run: moves.check.run.clone(),
        command: moves.check.command.to_owned(),
        moves: chosen.moves.len() as u64,
        stay: chosen.stay.len() as u64,
    });
    let mut entries = Vec::new();
    for it in chosen.moves {
        let tracked = Tracked::planned(it.server.id.clone(), it.kind, it.source, started);
        let name = it.server.name.clone();
        let mut entry = Entry::new(tracked, name, it.before, Some(it.server));
        if let Some((migration, destination)) = it.adopted {
            let adopted = Record::Adopted {
                migration,
                destination,
            };
            append(ledger, &moves.check.run, &mut entry, &adopted).await?;
        }
        entries.push(entry);
    }
    Ok(Begun {
        journal,
        entries,
        stay: chosen.stay,
        draining: chosen.draining,
        since,
    })
}

/// Since when Nova is asked for changes: now, or since the oldest row of a move that was begun before.
async fn since(session: &Session, moves: &[Planned]) -> Result<Timestamp, MovesError> {
    let mut since = session.cloud_time();
    for it in moves {
        if let Some((id, _)) = it.adopted {
            since = since.min(changed(session, &it.server.id, id).await?.unwrap_or(since));
        }
    }
    Ok(margin(since))
}

/// When a row last changed, by Nova's clock.
pub(super) async fn changed(
    session: &Session,
    server: &ServerId,
    row: u64,
) -> Result<Option<Timestamp>, MovesError> {
    let rows = session.migrations(server).await?;
    let found = rows.iter().find(|it| it.id == row);
    Ok(found.map(|it| it.updated_at.unwrap_or(it.created_at)))
}

/// Clocks of a cloud's controllers differ, and rows are written a moment after they are dated.
pub(super) fn margin(at: Timestamp) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(60)).unwrap_or(at)
}
