//! The plan of a run without anything being begun.

use std::collections::HashMap;
use std::sync::Arc;

use super::candidates::{ask, match_nodes};
use super::error::MovesError;
use super::plan::Chosen;
use super::start::Moves;
use super::work::service_hosts;
use crate::domain::MoveKind;
use crate::moves::gate::candidates;
use crate::nova::Session;
use crate::openstack::compute::Server;
use crate::remote::Connector;
use crate::report::{MOVES_SCHEMA_VERSION, MoveRow, MovesReport, exit};
use crate::run::journal::Journal;
use crate::run::request::Surroundings;
use crate::run::survey::survey;
use crate::trust::legs::Legs;

/// The plan without anything being begun: no lock, no record, nothing written anywhere. Nodes are only asked for their
/// service host names.
pub(super) async fn plan_only(
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
