//! Moves that wait to be confirmed or reverted: of an earlier run that left them so, or of somebody else.

use super::access::{CloudAccess, open};
use super::error::MovesError;
use super::options::{Finish, What};
use super::plan::{Chosen, Planned, find_server};
use super::start::{Moves, run};
use crate::domain::MoveKind;
use crate::moves::compare::Portrait;
use crate::nova::Session;
use crate::openstack::compute::{Migration, MigrationStatus, Server};
use crate::report::{MovesReport, StayRow};
use crate::run::request::Surroundings;

/// Confirms or reverts what waits for it, and follows it to its end, as the options' `finish` says.
///
/// # Errors
/// As [`super::migrate`].
pub async fn settle(
    moves: Moves,
    access: CloudAccess,
    around: Surroundings,
) -> Result<MovesReport, MovesError> {
    let session = open(access).await?;
    let names = match &moves.options.what {
        What::Servers(names) => names.clone(),
        What::Hosts(_) => Vec::new(),
    };
    let mut chosen = Chosen {
        moves: Vec::new(),
        stay: Vec::new(),
        draining: std::collections::BTreeSet::new(),
    };
    for name in &names {
        let server = find_server(&session, name).await?;
        let known = |it: &Planned| it.server.id == server.id;
        if chosen.moves.iter().any(known) {
            continue;
        }
        match waiting(&session, &server, moves.options.finish).await? {
            Ok(planned) => chosen.moves.push(planned),
            Err(why) => chosen.stay.push(StayRow {
                server: server.id.to_string(),
                name: server.name.clone(),
                host: server.host.as_ref().map(ToString::to_string),
                why,
            }),
        }
    }
    run(&moves, session, chosen, &around).await
}

/// The move that a server waits with.
async fn waiting(
    session: &Session,
    server: &Server,
    finish: Finish,
) -> Result<Result<Planned, String>, MovesError> {
    if server.status.status != "VERIFY_RESIZE" || server.status.task.is_some() {
        let status = &server.status.status;
        return Ok(Err(format!(
            "it is {status}: no move of it waits to be confirmed or reverted"
        )));
    }
    let rows = session.migrations(&server.id).await?;
    Ok(adopt(server, &rows, finish))
}

/// The newest row that waits, as a move.
fn adopt(server: &Server, rows: &[Migration], finish: Finish) -> Result<Planned, String> {
    let kinds = [MoveKind::Cold, MoveKind::Resize];
    let newest = rows
        .iter()
        .filter(|row| kinds.iter().any(|kind| kind.migration_type() == row.kind))
        .max_by_key(|row| row.id);
    let Some(row) = newest.filter(|row| row.status == MigrationStatus::Finished) else {
        return Err("os-migrations has no move of it that waits".to_owned());
    };
    let kind = if row.kind == MoveKind::Resize.migration_type() {
        MoveKind::Resize
    } else {
        MoveKind::Cold
    };
    let (Some(source), Some(destination)) = (&row.source_compute, &row.dest_compute) else {
        return Err("the right to see the hosts of its migration is missing".to_owned());
    };
    Ok(Planned {
        before: Portrait::of(server)
            .unsettled(kind == MoveKind::Resize && finish == Finish::Revert),
        server: server.clone(),
        kind,
        source: source.clone(),
        adopted: Some((row.id, destination.clone())),
    })
}
