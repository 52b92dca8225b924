//! Why a move failed: as far as the API says it, and from there on by its nodes.

use std::time::Duration;

use jiff::Timestamp;

use super::access::{CloudAccess, open};
use super::error::MovesError;
use super::images::Images;
use super::investigate::{Case, Found, investigate};
use super::servers::needs_of;
use super::work::known_nodes;
use crate::domain::{HostName, Lane, MoveKind, Pair, ServerId};
use crate::moves::diagnose::{Diagnosis, TRACE, diagnose};
use crate::moves::gate::Matched;
use crate::moves::recover::{Failed, Recovery, recovery};
use crate::nova::{NovaError, Session};
use crate::openstack::compute::{InstanceAction, MigrationStatus, Server};
use crate::report::LegReport;
use crate::run::request::{Request, Surroundings};

/// Nova's names of the actions that move a server, or end its move.
const MOVES: [&str; 5] = [
    "migrate",
    "live-migration",
    "resize",
    "confirmResize",
    "revertResize",
];
/// Those after which a guest runs, and the one after which it does not.
const POWER: [&str; 6] = ["create", "start", "reboot", "rebuild", "unshelve", "stop"];

/// Seconds in which the task of a failed move ends.
const TASK_ENDS: u32 = 10;

/// How the nodes are reached; `Err` says why they are not.
pub type Nodes = Result<(Request, Surroundings), String>;

/// What is known of a failed move.
#[derive(Debug, Clone, Default)]
pub struct Explained {
    /// What was found, in the order in which it was looked at.
    pub lines: Vec<String>,
    /// What it means.
    pub found: Vec<Diagnosis>,
    /// The legs that it may have been, climbed now.
    pub legs: Vec<LegReport>,
    /// Whether the move was a live one.
    pub is_live: bool,
    /// The server, where it is left in ERROR; `Err` says why there is no certain way back.
    pub wreck: Option<Result<Wreck, String>>,
}

/// A server that a failed move has left in ERROR, and all that its way back depends on.
#[derive(Debug, Clone)]
pub struct Wreck {
    /// The server as it was seen.
    pub server: Server,
    /// The way back, as it was seen.
    pub way: Recovery,
    pub(super) kind: MoveKind,
    pub(super) source: HostName,
    pub(super) destination: HostName,
    pub(super) action: String,
    pub(super) was_stopped: bool,
    /// What the failure was.
    pub(super) known: Vec<Diagnosis>,
}

impl Wreck {
    pub(super) fn failed(&self) -> Failed<'_> {
        Failed {
            kind: self.kind,
            source: &self.source,
            destination: &self.destination,
            action: &self.action,
            was_stopped: self.was_stopped,
        }
    }
}

/// Explains the newest failure of a move of a server, by id or name, that clearway need not have started: from what the
/// API says, from the logs of the move's nodes, and from the leg itself.
///
/// # Errors
/// The cloud cannot be asked, or there is no such server.
pub async fn explain_server(
    access: CloudAccess,
    name: &str,
    nodes: Nodes,
) -> Result<Explained, MovesError> {
    let session = open(access).await?;
    let server = super::plan::find_server(&session, name).await?;
    let mut explained = Explained {
        lines: vec![format!(
            "{} ({}) is {} on {}",
            server.name,
            server.id,
            server.status.status,
            server.host.as_ref().map_or("no host", |host| host.as_str())
        )],
        ..Explained::default()
    };
    let action = action(&session, &server, None, None).await?;
    let is_its = |it: &InstanceAction| it.action == MoveKind::Live.action();
    explained.is_live = action.as_ref().is_some_and(is_its);
    explained.take(texts(&server, action.as_ref(), None));
    let newest = newest(&session, &server).await?;
    let looked = match (nodes, &newest) {
        (Err(why), _) => Err(why),
        (_, Err(why)) => Err(why.clone()),
        (Ok((request, around)), Ok(newest)) => {
            let request_id = action.map(|it| it.request_id);
            let case = case(&session, &server, newest, request_id, &request, &around).await;
            case.map(|case| (request, around, case))
        }
    };
    match looked {
        Ok((request, around, case)) => {
            let found = investigate(request, around, case, &explained.found).await;
            explained.add(found);
        }
        Err(why) => explained.unread(&why),
    }
    if let Ok(newest) = newest {
        let Newest {
            kind,
            source,
            destination,
            ..
        } = newest;
        explained
            .look_for_a_way_back(&session, server, kind, source, destination)
            .await;
    }
    Ok(explained)
}

/// The newest move of a server, which has failed.
struct Newest {
    kind: MoveKind,
    source: HostName,
    destination: HostName,
    created: Timestamp,
}

/// The newest move of a server; `Err` says why there is none that failed.
async fn newest(session: &Session, server: &Server) -> Result<Result<Newest, String>, NovaError> {
    let rows = session.migrations(&server.id).await?;
    let kinds = [MoveKind::Cold, MoveKind::Live, MoveKind::Resize];
    let newest = rows
        .iter()
        .filter_map(|row| {
            let kind = kinds
                .iter()
                .find(|kind| kind.migration_type() == row.kind)?;
            Some((row, *kind))
        })
        .max_by_key(|(row, _)| row.id);
    let Some((row, kind)) = newest else {
        return Ok(Err("os-migrations has no move of it".to_owned()));
    };
    let failed = matches!(row.status, MigrationStatus::Error | MigrationStatus::Failed);
    if !failed && server.status.status != "ERROR" {
        return Ok(Err(format!(
            "its newest move has not failed: it is {}",
            row.status
        )));
    }
    let (Some(source), Some(destination)) = (&row.source_compute, &row.dest_compute) else {
        return Ok(Err(
            "os-migrations does not say from where to where".to_owned()
        ));
    };
    Ok(Ok(Newest {
        kind,
        source: source.clone(),
        destination: destination.clone(),
        created: row.created_at,
    }))
}

/// A move as its nodes are asked for it; `Err` says why they are not.
async fn case(
    session: &Session,
    server: &Server,
    newest: &Newest,
    request_id: Option<String>,
    request: &Request,
    around: &Surroundings,
) -> Result<Case, String> {
    let known = known_nodes(request, around).await;
    let hypervisors = session.hypervisors().await.unwrap_or_default();
    let known = Matched::new(&known, &hypervisors);
    let node = |host: &HostName| known.node(host);
    let pair = Pair {
        source: node(&newest.source)?,
        destination: node(&newest.destination)?,
    };
    let ago = session.cloud_time().duration_since(newest.created);
    let images = Images::ask(session, Images::distinct([server], 1)).await;
    Ok(Case {
        server: server.id.clone(),
        pair,
        lanes: needs_of(server, newest.kind, images.of(server), session.newest())
            .into_iter()
            .collect(),
        request_id,
        ago: ago.unsigned_abs(),
    })
}

/// What Nova and the nodes have to say of a failed move of this run, and what it means.
pub(super) async fn explain(
    session: &Session,
    id: &ServerId,
    request_id: Option<&str>,
    kind: MoveKind,
    since: Option<Timestamp>,
    nodes: Result<(Request, Surroundings, Case), String>,
    (source, destination): (HostName, Option<HostName>),
) -> Vec<String> {
    let mut explained = Explained {
        is_live: kind == MoveKind::Live,
        ..Explained::default()
    };
    let server = session.server(id).await.ok().flatten();
    if let Some(server) = &server
        && let Ok(action) = action(session, server, request_id, Some(kind)).await
    {
        explained.take(texts(server, action.as_ref(), since));
    }
    match nodes {
        Ok((request, around, case)) => {
            let found = investigate(request, around, case, &explained.found).await;
            explained.add(found);
        }
        Err(why) => explained.unread(&why),
    }
    if let (Some(server), Some(destination)) = (server, destination) {
        explained
            .look_for_a_way_back(session, server, kind, source, destination)
            .await;
    }
    explained.told()
}

impl Explained {
    /// What the API says.
    fn take(&mut self, texts: Vec<(String, String)>) {
        for (place, text) in texts {
            self.lines.push(format!("{place}: {text}"));
            self.keep(diagnose(&text));
        }
    }

    fn keep(&mut self, diagnoses: impl IntoIterator<Item = Diagnosis>) {
        for mut it in diagnoses {
            // A text of a copy between nodes says of a cold move what has become of its server. A live one powers no guest off.
            if self.is_live && !it.elsewhere && it.lane != Some(Lane::Live) {
                it.server = None;
            }
            if !self.found.contains(&it) {
                self.found.push(it);
            }
        }
    }

    /// What the nodes say.
    fn add(&mut self, found: Found) {
        self.lines.extend(found.lines);
        self.keep(found.diagnoses);
        self.legs = found.legs;
        if !self.legs.is_empty() {
            // It has just been done.
            for it in &mut self.found {
                it.remedy.retain(|remedy| !remedy.starts_with(TRACE));
            }
        }
    }

    fn unread(&mut self, why: &str) {
        self.lines
            .push(format!("nova-compute's log was not read: {why}"));
    }

    /// What brings the server back, if it is in ERROR.
    async fn look_for_a_way_back(
        &mut self,
        session: &Session,
        mut server: Server,
        kind: MoveKind,
        source: HostName,
        destination: HostName,
    ) {
        // Nova takes the task away a moment after it has written ERROR (nova/compute/manager.py `reverts_task_state`).
        for _ in 0..TASK_ENDS {
            if server.status.status != "ERROR" || server.status.task.is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Ok(Some(now)) = session.server(&server.id).await {
                server = now;
            }
        }
        if server.status.status != "ERROR" {
            return;
        }
        let actions = match session.actions(&server.id).await {
            Ok(actions) => actions,
            Err(error) => {
                self.wreck = Some(Err(error.to_string()));
                return;
            }
        };
        let newest = actions
            .iter()
            .find(|it| MOVES.contains(&it.action.as_str()));
        let power = actions.iter().find(|it| {
            POWER.contains(&it.action.as_str())
                && newest.is_none_or(|newest| it.start_time < newest.start_time)
        });
        let action = newest.map(|it| it.action.clone()).unwrap_or_default();
        let was_stopped = power.is_some_and(|it| it.action == "stop");
        let failed = Failed {
            kind,
            source: &source,
            destination: &destination,
            action: &action,
            was_stopped,
        };
        let way = recovery(&server, &failed, &self.found);
        self.wreck = Some(way.map(|way| Wreck {
            way,
            known: self.found.clone(),
            server,
            kind,
            source,
            destination,
            action,
            was_stopped,
        }));
    }

    /// What to do about a server that is left in ERROR, in lines.
    #[must_use]
    pub fn way_back(&self) -> Vec<String> {
        match &self.wreck {
            None => Vec::new(),
            Some(Err(why)) => vec![format!("how to bring it back is not certain: {why}")],
            Some(Ok(wreck)) => wreck.way.told(&wreck.server),
        }
    }

    /// All of it in lines.
    fn told(self) -> Vec<String> {
        let way_back = self.way_back();
        let mut lines = self.lines;
        for it in self.found {
            let code = it
                .code
                .map_or_else(String::new, |code| format!(" ({code})"));
            lines.push(format!("{}{code}", it.what));
            lines.extend(it.server.map(str::to_owned));
            lines.extend(it.remedy.into_iter().map(|remedy| format!("do: {remedy}")));
        }
        lines.extend(self.legs.iter().flat_map(LegReport::told));
        lines.extend(way_back);
        lines
    }
}

/// Texts that Nova has of a failure, and where they stand: the failed steps of its action, and the server's fault if it
/// is of this move.
fn texts(
    server: &Server,
    action: Option<&InstanceAction>,
    since: Option<Timestamp>,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Some(action) = action {
        for event in &action.events {
            if event.result.as_deref() != Some("Error") {
                continue;
            }
            let text = event
                .details
                .as_deref()
                .or(event.traceback.as_deref())
                .unwrap_or("Error");
            found.push((
                format!("{} ({})", event.event, action.action),
                text.to_owned(),
            ));
        }
    }
    if let Some(fault) = &server.fault {
        // A fault may be that of an older failure: clocks differ by seconds, failures by more.
        let stale =
            since.is_some_and(|since| fault.created < since - jiff::SignedDuration::from_secs(30));
        if !stale {
            found.push(("fault".to_owned(), fault.message.clone()));
            // The message of what Nova did not expect is the name of a class; the end of the traceback has all of it.
            let details = fault.details.as_deref().unwrap_or_default().trim_end();
            let said = match details.contains("Command:") {
                true => details,
                false => details.lines().last().unwrap_or_default(),
            };
            let message = fault.message.trim_end();
            if !message.contains(said) && !said.ends_with(message) {
                found.push(("fault details".to_owned(), said.to_owned()));
            }
        }
    }
    // The same text in several steps is one text.
    let mut seen = Vec::new();
    found.retain(|(_, text)| {
        let new = !seen.contains(text);
        seen.push(text.clone());
        new
    });
    found
}

async fn action(
    session: &Session,
    server: &Server,
    request_id: Option<&str>,
    kind: Option<MoveKind>,
) -> Result<Option<InstanceAction>, NovaError> {
    if let Some(id) = request_id
        && let Some(action) = session.action(&server.id, id).await?
    {
        return Ok(Some(action));
    }
    let newest = session
        .actions(&server.id)
        .await?
        .into_iter()
        .find(|it| match kind {
            Some(kind) => it.action == kind.action(),
            None => MOVES.contains(&it.action.as_str()),
        });
    match newest {
        Some(newest) => session.action(&server.id, &newest.request_id).await,
        None => Ok(None),
    }
}
