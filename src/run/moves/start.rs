//! Beginning a run of moves.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::access::{CloudAccess, check_rights, open};
use super::dry_run::plan_only;
use super::engine::LOCK;
use super::error::MovesError;
use super::journal::Entry;
use super::options::MoveOptions;
use super::plan::{Chosen, choose};
use super::work::{Begun, go};
use crate::domain::{Event, MoveKind};
use crate::ledger::{Ledger, StoredMove};
use crate::moves::compare::Portrait;
use crate::moves::machine::Tracked;
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
pub(super) fn margin(at: Timestamp) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(60)).unwrap_or(at)
}
