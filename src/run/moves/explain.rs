//! Why a move failed, as far as the API says it.

use jiff::Timestamp;

use crate::domain::{MoveKind, ServerId};
use crate::moves::diagnose::{Diagnosis, diagnose};
use crate::nova::{NovaError, Session};
use crate::openstack::compute::{InstanceAction, Server};

use super::access::{CloudAccess, open};
use super::error::MovesError;

/// Explains the newest failure of a move of a server, by id or name, that clearway need not have started.
///
/// # Errors
/// The cloud cannot be asked, or there is no such server.
pub async fn explain_server(
    access: CloudAccess,
    name: &str,
) -> Result<(String, Vec<String>, Vec<Diagnosis>), MovesError> {
    let session = open(access).await?;
    let server = super::plan::find_server(&session, name).await?;
    let mut lines = vec![format!(
        "{} ({}) is {} on {}",
        server.name,
        server.id,
        server.status.status,
        server.host.as_ref().map_or("no host", |host| host.as_str())
    )];
    let texts = texts(&session, &server, None, None, None).await?;
    let mut found = Vec::new();
    for (place, text) in texts {
        lines.push(format!("{place}: {text}"));
        if let Some(diagnosis) = diagnose(&text)
            && !found.contains(&diagnosis)
        {
            found.push(diagnosis);
        }
    }
    Ok((server.id.to_string(), lines, found))
}

/// What Nova has to say of a failed move: the failed steps of its action, the server's fault if it is of this move, and
/// what each text means.
pub(super) async fn explain(
    session: &Session,
    id: &ServerId,
    request_id: Option<&str>,
    kind: MoveKind,
    since: Option<Timestamp>,
) -> Vec<String> {
    let Ok(Some(server)) = session.server(id).await else {
        return Vec::new();
    };
    let Ok(texts) = texts(session, &server, request_id, Some(kind), since).await else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (place, text) in texts {
        lines.push(format!("{place}: {text}"));
        if let Some(it) = diagnose(&text) {
            let code = it
                .code
                .map_or_else(String::new, |code| format!(" ({code})"));
            lines.push(format!("{}{code}", it.what));
            lines.extend(it.server.map(str::to_owned));
            lines.extend(it.remedy.into_iter().map(|remedy| format!("do: {remedy}")));
        }
    }
    lines
}

/// Texts that Nova has of the newest failure, and where they stand.
async fn texts(
    session: &Session,
    server: &Server,
    request_id: Option<&str>,
    kind: Option<MoveKind>,
    since: Option<Timestamp>,
) -> Result<Vec<(String, String)>, NovaError> {
    let mut found = Vec::new();
    if let Some(action) = action(session, server, request_id, kind).await? {
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
            if let Some(details) = &fault.details
                && details.contains("Command:")
            {
                found.push(("fault details".to_owned(), details.clone()));
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
    Ok(found)
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
    let moves = ["migrate", "live-migration", "resize", "confirmResize"];
    let newest = session
        .actions(&server.id)
        .await?
        .into_iter()
        .find(|it| match kind {
            Some(kind) => it.action == kind.action(),
            None => moves.contains(&it.action.as_str()),
        });
    match newest {
        Some(newest) => session.action(&server.id, &newest.request_id).await,
        None => Ok(None),
    }
}
