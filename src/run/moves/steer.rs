//! Ending live moves that are under way: aborted, or forced to their end.

use std::time::Duration;

use super::access::{CloudAccess, open};
use super::deeds::Deeds;
use super::error::MovesError;
use super::plan::find_server;
use crate::domain::MoveKind;
use crate::ledger::Ledger;
use crate::moves::steering::{Steering, outcome, under_way};
use crate::nova::{Session, Written};
use crate::openstack::compute::{self, Server};
use crate::report::{SteeredRow, exit};
use crate::system;

/// How often Nova is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// For how long the outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// Which live moves.
#[derive(Debug, Clone)]
pub enum Whose {
    /// Those of these servers, by id or name.
    Servers(Vec<String>),
    /// Those of a run that are under way.
    Run(String),
}

/// What became of live moves that were steered.
#[derive(Debug, Clone)]
pub struct Steered {
    /// The run in which it was done.
    pub run: String,
    /// Each of them.
    pub rows: Vec<SteeredRow>,
    /// The exit code.
    pub exit_code: u8,
}

/// Aborts live moves, or forces them to their end, and says what became of each. A run of its own: each request is in the
/// ledger before it is sent.
///
/// # Errors
/// The cloud cannot be asked, or there is no such server or run.
pub async fn steer(
    access: CloudAccess,
    whose: Whose,
    how: Steering,
    ledger: Ledger,
) -> Result<Steered, MovesError> {
    let session = open(access).await?;
    let mut servers: Vec<Server> = Vec::new();
    let whole_run = matches!(whose, Whose::Run(..));
    match whose {
        Whose::Servers(names) => {
            for name in names {
                let server = find_server(&session, &name).await?;
                if !servers.iter().any(|it| it.id == server.id) {
                    servers.push(server);
                }
            }
        }
        Whose::Run(name) => {
            let run = ledger.find(&name).await?.start.id;
            let Some((_, moves)) = ledger.planned_moves(&run).await? else {
                return Err(MovesError::NoMoves(run));
            };
            if ledger.moves_cloud(&run).await?.as_deref() != Some(session.endpoint()) {
                return Err(MovesError::OtherCloud {
                    run,
                    cloud: session.endpoint().to_owned(),
                });
            }
            let live = moves.iter().filter(|it| it.kind == MoveKind::Live.as_str());
            for it in live {
                if let Ok(id) = it.server.parse()
                    && let Some(server) = session.server(&id).await?
                    && server.status.status == "MIGRATING"
                {
                    servers.push(server);
                }
            }
        }
    }
    let mut deeds = Deeds::begin(ledger, how.as_str()).await?;
    let done = each(&session, &mut deeds, &servers, how, whole_run).await;
    let exit_code = done.as_ref().map_or(exit::BROKEN, |rows| exit_code(rows));
    let run = deeds.finish(exit_code).await?;
    Ok(Steered {
        run,
        rows: done?,
        exit_code,
    })
}

async fn each(
    session: &Session,
    deeds: &mut Deeds,
    servers: &[Server],
    how: Steering,
    whole_run: bool,
) -> Result<Vec<SteeredRow>, MovesError> {
    // All are asked for before any is waited for.
    let mut rows = Vec::new();
    for server in servers {
        let row = ask(session, deeds, server, how).await?;
        // What has ended between the listing and now is no concern of somebody who means all that go on.
        if !(whole_run && row.migration.is_none()) {
            rows.push(row);
        }
    }
    for row in rows.iter_mut().filter(|it| it.outcome == ASKED) {
        wait(session, how, row).await?;
        deeds
            .asked(&row.server, &row.name, how.as_str(), &row.outcome, &row.why)
            .await?;
    }
    Ok(rows)
}

/// The exit code that these mean.
fn exit_code(rows: &[SteeredRow]) -> u8 {
    let is = |it: &SteeredRow, outcomes: &[&str]| outcomes.contains(&it.outcome.as_str());
    if rows.iter().any(|it| is(it, &["failed", "refused"])) {
        exit::BROKEN
    } else if rows.iter().any(|it| is(it, &["unknown"])) {
        exit::UNPROVEN
    } else {
        exit::WELL
    }
}

const ASKED: &str = "asked";

async fn ask(
    session: &Session,
    deeds: &mut Deeds,
    server: &Server,
    how: Steering,
) -> Result<SteeredRow, MovesError> {
    let rows = session.migrations(&server.id).await?;
    let mut row = SteeredRow {
        server: server.id.to_string(),
        name: server.name.clone(),
        asked: how.as_str().to_owned(),
        migration: None,
        outcome: "refused".to_owned(),
        why: String::new(),
        status: server.status.status.clone(),
        host: server.host.as_ref().map(ToString::to_string),
    };
    let Some(found) = under_way(&rows) else {
        "no live move of it is under way".clone_into(&mut row.why);
        return Ok(row);
    };
    row.migration = Some(found.id);
    if let Err(why) = how.allowed(found.status) {
        row.why = format!("{why} (it is {})", found.status);
        return Ok(row);
    }
    let call = match how {
        Steering::Abort => compute::abort(&server.id, found.id),
        Steering::ForceComplete => compute::force_complete(&server.id, found.id),
    };
    deeds.asking(server, how.as_str()).await?;
    match session.write(&call).await {
        // Whether it was carried out when nobody answered is seen from what becomes of the move.
        Written::Accepted(_) => ASKED.clone_into(&mut row.outcome),
        Written::Unknown { why, .. } => {
            ASKED.clone_into(&mut row.outcome);
            row.why = why;
        }
        Written::Refused(fault) => {
            row.why = format!("Nova refuses: {fault}");
            let (id, name) = (&row.server, &row.name);
            deeds
                .asked(id, name, how.as_str(), &row.outcome, &row.why)
                .await?;
            if let Some(policy) = fault.policy() {
                return Err(MovesError::Right {
                    what: format!("{} of live moves", how.as_str()),
                    policy,
                });
            }
        }
        Written::NotSent(why) => {
            row.why = format!("Nova could not be asked: {why}");
            let (id, name) = (&row.server, &row.name);
            deeds
                .asked(id, name, how.as_str(), &row.outcome, &row.why)
                .await?;
        }
    }
    Ok(row)
}

async fn wait(session: &Session, how: Steering, row: &mut SteeredRow) -> Result<(), MovesError> {
    let since = system::Stopwatch::start();
    let Ok(id) = row.server.parse() else {
        return Ok(());
    };
    loop {
        // The row first: a server that is looked at later is never older than its row.
        let rows = session.migrations(&id).await?;
        let Some(server) = session.server(&id).await? else {
            "failed".clone_into(&mut row.outcome);
            "the server was deleted meanwhile".clone_into(&mut row.why);
            return Ok(());
        };
        row.status.clone_from(&server.status.status);
        row.host = server.host.as_ref().map(ToString::to_string);
        let found = rows.iter().find(|it| Some(it.id) == row.migration);
        if let Some((well, what)) = found.and_then(|it| outcome(how, &server, it)) {
            let outcome = if well { what } else { "failed" };
            outcome.clone_into(&mut row.outcome);
            row.why = if well { String::new() } else { what.to_owned() };
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            "unknown".clone_into(&mut row.outcome);
            row.why = format!(
                "it goes on after {} seconds: look at nova-compute on its source",
                PATIENCE.as_secs()
            );
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_that_could_not_be_steered_is_a_failure() {
        let row = |outcome: &str| SteeredRow {
            server: "s".to_owned(),
            name: "web-1".to_owned(),
            asked: "abort".to_owned(),
            migration: Some(1),
            outcome: outcome.to_owned(),
            why: String::new(),
            status: "ACTIVE".to_owned(),
            host: None,
        };
        assert_eq!(exit_code(&[]), exit::WELL);
        assert_eq!(exit_code(&[row("aborted"), row("completed")]), exit::WELL);
        assert_eq!(exit_code(&[row("aborted"), row("unknown")]), exit::UNPROVEN);
        assert_eq!(exit_code(&[row("unknown"), row("refused")]), exit::BROKEN);
        assert_eq!(exit_code(&[row("failed")]), exit::BROKEN);
    }
}
