//! Which servers are moved, how, and which stay.

use std::collections::BTreeSet;

use crate::domain::{HostName, MoveKind, ServerId};
use crate::moves::compare::Portrait;
use crate::moves::plan::sort;
use crate::moves::{Movable, movable};
use crate::nova::Session;
use crate::openstack::compute::{Server, ServerFilter};
use crate::report::StayRow;

use super::access::right;
use super::candidates::all_known;
use super::error::MovesError;
use super::options::{How, MoveOptions, What};
use super::servers::on_host;

/// A server that will be moved.
pub(super) struct Planned {
    pub(super) server: Server,
    pub(super) kind: MoveKind,
    /// Where it is, or was when its move began.
    pub(super) source: HostName,
    /// What it is compared with afterwards.
    pub(super) before: Portrait,
    /// The row of a move that waits to be confirmed or reverted, and where it went.
    pub(super) adopted: Option<(u64, HostName)>,
}

/// The servers of a run.
pub(super) struct Chosen {
    pub(super) moves: Vec<Planned>,
    pub(super) stay: Vec<StayRow>,
    /// Hosts that are emptied.
    pub(super) draining: BTreeSet<HostName>,
}

/// Finds the servers that are meant.
pub(super) async fn choose(session: &Session, options: &MoveOptions) -> Result<Chosen, MovesError> {
    all_known(session, &options.to).await?;
    let mut servers = Vec::new();
    let mut draining = BTreeSet::new();
    match &options.what {
        What::Servers(names) => {
            for name in names {
                let server = find_server(session, name).await?;
                if !servers.iter().any(|it: &Server| it.id == server.id) {
                    servers.push(server);
                }
            }
        }
        What::Hosts(hosts) => {
            all_known(session, hosts).await?;
            for host in hosts {
                draining.insert(host.clone());
                servers.extend(on_host(session, host).await?);
            }
        }
    }
    if let Some(order) = options.order() {
        sort(&mut servers, order);
    }
    let mut chosen = Chosen {
        moves: Vec::new(),
        stay: Vec::new(),
        draining,
    };
    for server in servers {
        match way(&server, options) {
            Ok((kind, source)) => chosen.moves.push(Planned {
                before: Portrait::of(&server),
                server,
                kind,
                source,
                adopted: None,
            }),
            Err(why) => chosen.stay.push(StayRow {
                server: server.id.to_string(),
                name: server.name.clone(),
                host: server.host.as_ref().map(ToString::to_string),
                why,
            }),
        }
    }
    Ok(chosen)
}

/// How a server moves, or why it cannot.
fn way(server: &Server, options: &MoveOptions) -> Result<(MoveKind, HostName), String> {
    if let Some(host) = &server.host
        && !options.to.is_empty()
        && options.to.iter().all(|it| it == host)
    {
        return Err(format!("it is on {host} already"));
    }
    let kinds: &[MoveKind] = match options.how {
        How::Cold => &[MoveKind::Cold],
        How::Live => &[MoveKind::Live],
        How::Auto => &[MoveKind::Live, MoveKind::Cold],
        How::Resize => &[MoveKind::Resize],
    };
    let mut first = None;
    for &kind in kinds {
        // A server that runs is not powered off where it could have moved live, and one that is stopped moves cold.
        match (movable(server, kind), &server.host) {
            (Movable::Yes, Some(host)) => return Ok((kind, host.clone())),
            (Movable::Yes, None) => {}
            (Movable::No(why), _) => {
                first.get_or_insert(why);
            }
        }
    }
    Err(first.unwrap_or_default())
}

/// One server by id or by name.
pub(super) async fn find_server(session: &Session, name: &str) -> Result<Server, MovesError> {
    if let Ok(id) = name.parse::<ServerId>() {
        return session
            .server(&id)
            .await?
            .ok_or_else(|| MovesError::NoServer(name.to_owned()));
    }
    let filter = ServerFilter {
        // Nova reads it as a regular expression: everything but the plain characters is quoted.
        name: Some(format!("^{}$", quoted(name))),
        ..ServerFilter::default()
    };
    let mut found = session
        .servers(&filter)
        .await
        .map_err(|error| right("servers of all projects cannot be listed", error))?;
    found.retain(|it| it.name == name);
    match found.len() {
        0 => Err(MovesError::NoServer(name.to_owned())),
        1 => Ok(found.remove(0)),
        _ => Err(MovesError::Ambiguous {
            name: name.to_owned(),
            ids: found.iter().map(|it| it.id.to_string()).collect(),
        }),
    }
}

fn quoted(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if !(c.is_alphanumeric() || "-_ ".contains(c)) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
