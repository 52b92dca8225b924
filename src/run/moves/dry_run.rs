//! The plan of a run without anything being begun.

use std::collections::{BTreeSet, HashMap};

use super::candidates::ask;
use super::error::MovesError;
use super::plan::{Chosen, Planned};
use super::start::Moves;
use super::work::known_nodes;
use crate::domain::{HostName, MoveKind};
use crate::moves::gate::{Cloud, candidates, eligible, is_outside, unmatched};
use crate::nova::Session;
use crate::openstack::compute::Server;
use crate::report::{MOVES_SCHEMA_VERSION, MoveRow, MovesReport, exit};
use crate::run::request::Surroundings;

/// The plan without anything being begun: no lock, no record, nothing written anywhere. Nodes are only asked for their
/// service host names.
pub(super) async fn plan_only(
    moves: &Moves,
    session: &Session,
    chosen: Chosen,
    around: &Surroundings,
) -> Result<MovesReport, MovesError> {
    let fleet = &moves.check.fleet;
    let claims = known_nodes(&moves.check, around).await;
    let cloud = ask(session, fleet, claims, chosen.draining).await?;
    let row = |it: &Planned| {
        let server = &it.server;
        let (destination, why, candidates) = if it.kind == MoveKind::Resize {
            resize_plan(&cloud, server)
        } else {
            move_plan(&cloud, server, &moves.options.to)
        };
        MoveRow {
            server: server.id.to_string(),
            name: server.name.clone(),
            kind: it.kind.to_string(),
            source: it.source.to_string(),
            destination,
            verdict: "planned".to_owned(),
            why,
            explained: Vec::new(),
            request_id: None,
            seconds: None,
            candidates,
        }
    };
    let rows: Vec<MoveRow> = chosen.moves.iter().map(row).collect();
    let blocked = rows.iter().any(|it| it.candidates.is_empty());
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
        unseen: Vec::new(),
    })
}

/// Where a server would go, why nowhere, and all destinations in their order.
type Where = (Option<String>, String, Vec<String>);

fn move_plan(cloud: &Cloud, server: &Server, only: &BTreeSet<HostName>) -> Where {
    let (open, excluded) = candidates(cloud, server, only, &[], &HashMap::new());
    let why = if open.is_empty() {
        let why: Vec<String> = excluded
            .iter()
            .map(|(host, why)| format!("{host}: {why}"))
            .collect();
        format!("no destination: {}", why.join("; "))
    } else {
        String::new()
    };
    let first = open.first().map(|it| it.host.to_string());
    (first, why, open.iter().map(ToString::to_string).collect())
}

/// Nova chooses: each host that it could choose has to be one that can be proven.
fn resize_plan(cloud: &Cloud, server: &Server) -> Where {
    let hosts = eligible(cloud, server);
    let outside: Vec<String> = hosts
        .iter()
        .filter_map(|host| {
            let outside = |source| is_outside(cloud, source, host);
            if !cloud.matched.nodes.contains_key(host) {
                Some(format!("{host}: {}", unmatched(cloud, host)))
            } else if server.host.as_ref().is_some_and(outside) {
                Some(format!("{host}: the pair is not in the inventory's scope"))
            } else {
                None
            }
        })
        .collect();
    if hosts.is_empty() {
        let why = "Nova has no other host that it could choose".to_owned();
        return (None, why, Vec::new());
    }
    if !outside.is_empty() {
        let why = format!(
            "Nova could choose what cannot be proven: {}",
            outside.join("; ")
        );
        return (None, why, Vec::new());
    }
    let why = "Nova chooses where it goes: all of these are proven first".to_owned();
    (None, why, hosts.iter().map(ToString::to_string).collect())
}
