//! Going on with a run that was left.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::access::{CloudAccess, open};
use super::error::MovesError;
use super::hook::CUT_OFF;
use super::journal::{Entry, append};
use super::locks::{host_lock, server_lock};
use super::options::What;
use super::start::{Asked, changed, margin, no_ledger, take_locks};
use super::work::{Begun, go};
use crate::domain::{HostName, MoveKind};
use crate::ledger::{Ledger, RunState, StoredMove};
use crate::moves::machine::{Hook, Record, Stage, Tracked, Verdict};
use crate::report::MovesReport;
use crate::run::journal::Journal;
use crate::run::request::{Request, Surroundings};
use crate::system;

/// After so long, no request is on its way any more.
const CERTAINLY_OVER: SignedDuration = SignedDuration::from_hours(1);

/// Goes on with a run that was interrupted or killed. What it was doing is looked up in Nova first, and decided then:
/// nothing that may have been requested is requested again.
///
/// # Errors
/// There is no such run, it goes on elsewhere, its journal is damaged, or as [`super::migrate`].
pub async fn resume(
    name: &str,
    mut check: Request,
    access: CloudAccess,
    around: Surroundings,
) -> Result<MovesReport, MovesError> {
    let Some(ledger) = around.ledger.clone() else {
        return Err(no_ledger(name));
    };
    let found = ledger.find(name).await?;
    let run = found.start.id.clone();
    if found.state == RunState::Running {
        return Err(MovesError::Running(run));
    }
    let not = |why: &str| MovesError::NotResumable {
        run: run.clone(),
        why: why.to_owned(),
    };
    let Some((options, stored)) = ledger.planned_moves(&run).await? else {
        return Err(not(&format!("it is a {}", found.start.command)));
    };
    let Asked { options, stay } =
        serde_json::from_str(&options).map_err(|_| not("another version of clearway began it"))?;
    check.run.clone_from(&run);
    check.command = match found.start.command.as_str() {
        "drain" => "drain",
        "confirm" => "confirm",
        "revert" => "revert",
        _ => "migrate",
    };
    let session = open(access).await?;
    if ledger.moves_cloud(&run).await?.as_deref() != Some(session.endpoint()) {
        return Err(not(&format!(
            "it is of another cloud than {}",
            session.endpoint()
        )));
    }
    let mut entries = replay(&ledger, &run, &stored).await?;
    for entry in &mut entries {
        entry.server = session.server(&entry.tracked.server).await?;
    }
    let draining: BTreeSet<HostName> = match &options.what {
        What::Hosts(hosts) => hosts.iter().cloned().collect(),
        What::Servers(_) => BTreeSet::new(),
    };
    let names: Vec<String> = entries
        .iter()
        .map(|it| server_lock(&it.tracked.server))
        .chain(draining.iter().map(host_lock))
        .collect();
    take_locks(&ledger, &run, &names).await?;
    let journal = Journal::resume(&run, &ledger, &around).await?;
    // Everything since the run began, by the cloud's clock.
    let ahead = session.cloud_time().duration_since(system::now());
    let mut since = found
        .start
        .started
        .checked_add(ahead)
        .unwrap_or(found.start.started);
    // A row that was there before the run, of a move that is confirmed or reverted only.
    let open = |it: &&Entry| it.tracked.end.is_none() || is_unknown(it);
    for entry in entries.iter().filter(open) {
        if let Some(row) = entry.tracked.migration {
            let at = changed(&session, &entry.tracked.server, row).await?;
            since = since.min(at.unwrap_or(since));
        }
    }
    let since = margin(since);
    let mut begun = Begun {
        journal,
        entries,
        stay,
        draining,
        since,
    };
    unprepare(&ledger, &run, &mut begun.entries).await?;
    let now = system::now();
    for entry in &mut begun.entries {
        // Nobody has looked meanwhile: what it is now counts, not for how long it may have been so.
        entry.tracked.since = entry.tracked.since.max(now);
    }
    go(&check, &options, session, &ledger, &around, begun).await
}

/// Every move as its records say.
pub(super) async fn replay(
    ledger: &Ledger,
    run: &str,
    stored: &[StoredMove],
) -> Result<Vec<Entry>, MovesError> {
    let damaged = |server: &str, why: String| MovesError::Journal {
        run: run.to_owned(),
        server: server.to_owned(),
        why,
    };
    let mut entries = Vec::new();
    for it in stored {
        let bad = |what: &str| damaged(&it.server, format!("its {what} cannot be read"));
        let kind = [MoveKind::Cold, MoveKind::Live, MoveKind::Resize]
            .into_iter()
            .find(|kind| kind.as_str() == it.kind)
            .ok_or_else(|| bad("kind"))?;
        let server = it.server.parse().map_err(|_| bad("id"))?;
        let source = it.source.parse().map_err(|_| bad("source"))?;
        let before = serde_json::from_str(&it.portrait).map_err(|_| bad("portrait"))?;
        let tracked = Tracked::planned(server, kind, source, it.planned);
        entries.push(Entry::new(tracked, it.name.clone(), before, None));
    }
    for record in ledger.move_records(run).await? {
        let Some(entry) = entries
            .iter_mut()
            .find(|it| it.tracked.server.as_str() == record.server)
        else {
            continue;
        };
        if record.seq != entry.seq + 1 {
            return Err(damaged(
                &record.server,
                format!("record {} is missing", entry.seq + 1),
            ));
        }
        let json: Record = serde_json::from_str(&record.json)
            .map_err(|error| damaged(&record.server, format!("record {}: {error}", record.seq)))?;
        entry
            .take(&json, record.at)
            .map_err(|error| damaged(&record.server, error.to_string()))?;
    }
    Ok(entries)
}

/// What was only prepared is prepared again; a confirmation whose outcome is not known is looked at again, and so is a move
/// of which nobody could tell what became.
async fn unprepare(ledger: &Ledger, run: &str, entries: &mut [Entry]) -> Result<(), MovesError> {
    for entry in entries {
        let record = match entry.tracked.stage {
            Stage::Requested if entry.doubt.is_none() => {
                let sent = entry.sent.unwrap_or(entry.tracked.since);
                Record::Uncertain {
                    why: "clearway was stopped before the answer".to_owned(),
                    over: system::now().duration_since(sent) > CERTAINLY_OVER,
                }
            }
            Stage::Proving | Stage::Passed => Record::NotSent {
                why: "clearway was stopped before the request".to_owned(),
            },
            Stage::Reverting => Record::RevertRejected {
                why: "clearway was stopped while it was reverted".to_owned(),
            },
            Stage::Ended if entry.tracked.hook == Hook::Started => Record::HookEnded {
                failure: Some(CUT_OFF.to_owned()),
            },
            Stage::Confirming => Record::ConfirmRejected {
                why: "clearway was stopped while it was confirmed".to_owned(),
            },
            _ if is_unknown(entry) => Record::Reopened,
            _ => continue,
        };
        append(ledger, run, entry, &record).await?;
        if is_unknown(entry) {
            append(ledger, run, entry, &Record::Reopened).await?;
        }
    }
    Ok(())
}

fn is_unknown(entry: &Entry) -> bool {
    let end = entry.tracked.end.as_ref();
    end.is_some_and(|end| end.verdict == Verdict::Unknown)
}
