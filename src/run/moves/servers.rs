//! Which servers could move, and where to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::access::{CloudAccess, open, right};
use super::candidates::{all_known, ask, claims};
use super::error::MovesError;
use super::images::Images;
use crate::domain::{Depth, Fleet, HostName, Lane, MoveKind, Pair};
use crate::ledger::{Ledger, ProvenLeg};
use crate::moves::gate::{Cloud, candidates};
use crate::moves::{ImageState, Movable, Storage, movable, needs};
use crate::openstack::Microversion;
use crate::openstack::compute::{Server, ServerFilter};
use crate::report::{MOVES_SCHEMA_VERSION, ServerRow, ServersReport, WayRow};
use crate::system;

/// One question each: the images of more servers than a terminal holds count as not known.
const MOST_IMAGES: usize = 32;

/// Which servers are asked for.
#[derive(Debug, Clone)]
pub struct ServersRequest {
    /// The inventory.
    pub fleet: Arc<Fleet>,
    /// Its absolute path: what proofs in the ledger belong to.
    pub inventory_path: String,
    /// Nova's own filters.
    pub filter: ServerFilter,
    /// Only these, by id or name; none means all.
    pub only: BTreeSet<String>,
    /// How old a proof may be.
    pub max_age: SignedDuration,
}

/// Lists servers with whether they can move, and the destinations that are open to them now: those whose legs have been
/// proven within the time. Nothing is proven by this.
///
/// # Errors
/// The cloud cannot be asked, a right is missing, or the ledger cannot be read.
pub async fn servers(
    request: ServersRequest,
    access: CloudAccess,
    ledger: Option<Ledger>,
) -> Result<ServersReport, MovesError> {
    let session = open(access).await?;
    all_known(&session, &request.filter.host).await?;
    let listed = session
        .servers(&request.filter)
        .await
        .map_err(|error| right("servers of all projects cannot be listed", error))?;
    let shown: Vec<Server> = listed
        .into_iter()
        .filter(|it| {
            request.only.is_empty()
                || request.only.contains(it.id.as_str())
                || request.only.contains(&it.name)
        })
        .collect();
    for wanted in &request.only {
        if !shown
            .iter()
            .any(|it| it.id.as_str() == wanted || it.name == *wanted)
        {
            return Err(MovesError::NoServer(wanted.clone()));
        }
    }
    if !shown.is_empty() && shown.iter().all(|it| it.host.is_none()) && runs_somewhere(&shown) {
        return Err(MovesError::HostsHidden);
    }
    let proven = match &ledger {
        Some(ledger) => ledger.proven(&request.inventory_path).await?,
        None => Vec::new(),
    };
    // As the last check has read them: this command logs in to no node.
    let known = match &ledger {
        Some(ledger) => ledger.service_hosts(&request.inventory_path).await?,
        None => HashMap::new(),
    };
    let name = |id| known.get(request.fleet.node(id).name.as_str()).cloned();
    let claims = claims(&request.fleet, name, |_| Vec::new());
    let cloud = ask(&session, &request.fleet, claims, BTreeSet::new()).await?;
    let fresh = Fresh::new(&request, proven, system::now());
    let newest = session.newest();
    let images = Images::ask(&session, Images::distinct(&shown, MOST_IMAGES)).await;
    Ok(ServersReport {
        schema: MOVES_SCHEMA_VERSION,
        cloud: session.endpoint().to_owned(),
        max_age: u64::try_from(request.max_age.as_secs()).unwrap_or_default(),
        servers: shown
            .iter()
            .map(|server| row(server, images.of(server), &cloud, &fresh, newest))
            .collect(),
    })
}

fn runs_somewhere(servers: &[Server]) -> bool {
    servers.iter().any(|it| it.status.vm_state == "active")
}

fn row(
    server: &Server,
    image: ImageState,
    cloud: &Cloud,
    fresh: &Fresh<'_>,
    newest: Microversion,
) -> ServerRow {
    let way = |kind| way(server, kind, image, cloud, fresh, newest);
    ServerRow {
        server: server.id.to_string(),
        name: server.name.clone(),
        project: server.project.clone(),
        host: server.host.as_ref().map(ToString::to_string),
        status: server.status.status.clone(),
        zone: server.zone.clone(),
        cold: way(MoveKind::Cold),
        live: way(MoveKind::Live),
    }
}

fn way(
    server: &Server,
    kind: MoveKind,
    image: ImageState,
    cloud: &Cloud,
    fresh: &Fresh<'_>,
    newest: Microversion,
) -> WayRow {
    if let Movable::No(why) = movable(server, kind) {
        return WayRow {
            no: Some(why),
            ..WayRow::default()
        };
    }
    let lanes: Vec<Lane> = needs_of(server, kind, image, newest);
    let source = server
        .host
        .as_ref()
        .and_then(|host| cloud.matched.nodes.get(host));
    let (found, _) = candidates(cloud, server, &BTreeSet::new(), &[], &HashMap::new());
    let (mut open, mut unproven) = (Vec::new(), Vec::new());
    for candidate in found {
        let proven = source.is_some_and(|&source| {
            let pair = Pair {
                source,
                destination: candidate.node,
            };
            lanes.iter().all(|&lane| fresh.has(pair, lane))
        });
        if proven { &mut open } else { &mut unproven }.push(candidate.host.to_string());
    }
    WayRow {
        no: source.is_none().then(|| WayRow::HOST_UNKNOWN.to_owned()),
        lanes: lanes.iter().map(ToString::to_string).collect(),
        open,
        unproven,
    }
}

/// The lanes that a move of a server needs.
pub(super) fn needs_of(
    server: &Server,
    kind: MoveKind,
    image: ImageState,
    newest: Microversion,
) -> Vec<Lane> {
    requirements(server, kind, image, newest)
        .legs
        .iter()
        .map(|leg| leg.lane)
        .collect()
}

/// What a move of a server needs.
pub(super) fn requirements(
    server: &Server,
    kind: MoveKind,
    image: ImageState,
    newest: Microversion,
) -> crate::moves::Needs {
    let storage = if server.image.is_none() {
        Storage::Volume
    } else {
        Storage::Host
    };
    needs(kind, storage, image, server.config_drive, newest)
}

/// The legs that were proven within the time.
struct Fresh<'r> {
    fleet: &'r Fleet,
    legs: BTreeSet<(Lane, String, String)>,
}

impl<'r> Fresh<'r> {
    fn new(request: &'r ServersRequest, proven: Vec<ProvenLeg>, now: Timestamp) -> Self {
        let legs = proven
            .into_iter()
            .filter(|leg| {
                let age = now.duration_since(leg.at);
                (leg.depth == Depth::Copy || leg.lane == Lane::Live)
                    && age <= request.max_age
                    && age >= SignedDuration::ZERO
            })
            .map(|leg| (leg.lane, leg.client, leg.server))
            .collect();
        Self {
            fleet: &request.fleet,
            legs,
        }
    }

    fn has(&self, pair: Pair, lane: Lane) -> bool {
        let leg = pair.leg(lane);
        let name = |id| self.fleet.node(id).name.to_string();
        self.legs
            .contains(&(lane, name(leg.client), name(leg.server)))
    }
}

/// The servers on hosts, or those that are named.
pub(super) async fn on_host(
    session: &crate::nova::Session,
    host: &HostName,
) -> Result<Vec<Server>, MovesError> {
    let filter = ServerFilter {
        host: Some(host.clone()),
        ..ServerFilter::default()
    };
    let found = session
        .servers(&filter)
        .await
        .map_err(|error| right("servers of all projects cannot be listed", error))?;
    // Without `servers:allow_all_filters` Nova ignores the filter and lists all.
    Ok(found
        .into_iter()
        .filter(|it| it.host.as_ref() == Some(host))
        .collect())
}
