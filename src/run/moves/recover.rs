//! Bringing a server back that a failed move has left in ERROR.

use std::time::Duration;

use super::access::{CloudAccess, open};
use super::deeds::Deeds;
use super::error::MovesError;
use super::explain::Wreck;
use super::locks::server_lock;
use super::start::take_locks;
use crate::ledger::Ledger;
use crate::moves::recover::{Step, recovery};
use crate::nova::{Session, Written};
use crate::openstack::compute::Server;
use crate::report::exit;
use crate::system;

/// How often the server is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// For how long a step is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a recovery did.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Its run.
    pub run: String,
    /// Each step and what came of it.
    pub lines: Vec<String>,
    /// The exit code.
    pub exit_code: u8,
}

/// Does what [`recovery`] says of a server now, step by step; each one is read back before the next.
///
/// # Errors
/// The cloud or the ledger cannot be used, somebody works on the server, or there is nothing to recover any more.
pub async fn recover(
    access: CloudAccess,
    ledger: Ledger,
    wreck: &Wreck,
) -> Result<Recovered, MovesError> {
    let session = open(access).await?;
    let mut deeds = Deeds::begin(ledger.clone(), "recover").await?;
    let run = deeds.run().to_owned();
    let lock = server_lock(&wreck.server.id);
    if let Err(error) = take_locks(&ledger, &run, &[lock]).await {
        deeds.finish(exit::USAGE).await?;
        return Err(error);
    }
    let done = steps(&session, &mut deeds, wreck).await;
    ledger.unlock(&run).await?;
    let exit_code = match &done {
        Ok((_, true)) => exit::WELL,
        _ => exit::BROKEN,
    };
    let run = deeds.finish(exit_code).await?;
    Ok(Recovered {
        run,
        lines: done?.0,
        exit_code,
    })
}

async fn steps(
    session: &Session,
    deeds: &mut Deeds,
    wreck: &Wreck,
) -> Result<(Vec<String>, bool), MovesError> {
    // It may have been mended, or moved, since it was looked at.
    let Some(server) = session.server(&wreck.server.id).await? else {
        return Ok((vec!["the server was deleted meanwhile".to_owned()], false));
    };
    let way = match recovery(&server, &wreck.failed(), &wreck.known) {
        Ok(way) => way,
        Err(why) => return Ok((vec![format!("nothing was done: {why}")], false)),
    };
    let mut lines = Vec::new();
    for step in way.steps {
        deeds.asking(&server, step.as_str()).await?;
        let (outcome, detail) = one(session, &server, step).await;
        let (id, name) = (server.id.as_str(), &server.name);
        deeds
            .asked(id, name, step.as_str(), outcome, &detail)
            .await?;
        lines.push(match detail.as_str() {
            "" => format!("{}: {outcome}", step.as_str()),
            detail => format!("{}: {outcome}: {detail}", step.as_str()),
        });
        if outcome != DONE {
            return Ok((lines, false));
        }
    }
    Ok((lines, true))
}

const DONE: &str = "done";

async fn one(session: &Session, server: &Server, step: Step) -> (&'static str, String) {
    match session.write(&step.call(server)).await {
        Written::Accepted(_) => {}
        Written::Refused(fault) => return ("refused", fault.to_string()),
        Written::NotSent(why) => return ("failed", why),
        // Nova's power state after a failure is that of before the move: a server that was never rebooted looks the same.
        Written::Unknown { why, .. } if step == Step::HardReboot => {
            let id = &server.id;
            let detail =
                format!("{why}; `openstack server event list {id}` says whether Nova took it");
            return ("unknown", detail);
        }
        // Whether it was carried out is seen from the server.
        Written::Unknown { .. } => {}
    }
    let since = system::Stopwatch::start();
    let mut last = String::new();
    while since.elapsed() < PATIENCE {
        match session.server(&server.id).await {
            Ok(Some(now)) if step.is_done(&now) => return (DONE, String::new()),
            Ok(Some(now)) => {
                let task = now.status.task.as_deref().unwrap_or("no task");
                last = format!("it is {}, {task}", now.status.status);
            }
            Ok(None) => return ("failed", "the server was deleted meanwhile".to_owned()),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(PAUSE).await;
    }
    let seconds = PATIENCE.as_secs();
    ("unknown", format!("after {seconds} seconds {last}"))
}
