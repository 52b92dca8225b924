//! Compute services of drained hosts, and the report at the end.

use jiff::Timestamp;

use crate::domain::Event;
use crate::ledger::{Ledger, StoredService};
use crate::moves::machine::{Stage, Verdict};
use crate::nova::{Session, Written};
use crate::openstack::compute::{self, ComputeService};
use crate::report::{MOVES_SCHEMA_VERSION, MoveRow, MovesReport, ServiceRow, StayRow, exit};

use super::super::journal::Journal;
use super::access::right;
use super::engine::Engine;
use super::error::MovesError;
use super::journal::Entry;
use super::options::MoveOptions;
use super::servers::on_host;

/// Takes the services of drained hosts out of scheduling. Each is in the ledger as it was before anything is changed; one
/// that was disabled already is left alone, and not put back.
pub(super) async fn disable(
    session: &Session,
    ledger: &Ledger,
    journal: &Journal,
    run: &str,
    hosts: impl IntoIterator<Item = &crate::domain::HostName>,
) -> Result<(), MovesError> {
    let services = list(session).await?;
    for host in hosts {
        let Some(service) = services.iter().find(|it| it.host == *host) else {
            continue;
        };
        let tell = |what: String| {
            journal.event(&Event::ServiceChanged {
                host: host.to_string(),
                what,
            });
        };
        if !service.enabled {
            tell("disabled already, left as it is".to_owned());
            continue;
        }
        let reason = format!("clearway drain, run {run}");
        let stored = StoredService {
            host: host.to_string(),
            reason: reason.clone(),
            was_enabled: service.enabled,
            was_reason: service.disabled_reason.clone(),
            restored: false,
        };
        ledger.disabling_service(run, &stored).await?;
        match session
            .write(&compute::disable_service(service, &reason))
            .await
        {
            Written::Accepted(_) => tell(format!("disabled: {reason}")),
            Written::Refused(fault) => {
                if let Some(policy) = fault.policy() {
                    return Err(MovesError::Right {
                        what: format!("the service of {host} cannot be disabled"),
                        policy,
                    });
                }
                tell(format!("not disabled: {fault}"));
            }
            Written::NotSent(why) | Written::Unknown { why, .. } => {
                tell(format!("perhaps not disabled: {why}"));
            }
        }
    }
    Ok(())
}

/// Puts services back as they were: those that this run took out of scheduling, and only where they still say so. Nova's
/// being away does not end the run: it is told, and a later run puts them back.
pub(super) async fn restore(
    session: &Session,
    ledger: &Ledger,
    journal: &Journal,
    run: &str,
) -> Result<Vec<ServiceRow>, MovesError> {
    let stored = ledger.disabled_services(run).await?;
    let mut rows = Vec::new();
    if stored.is_empty() {
        return Ok(rows);
    }
    let services = list(session).await;
    for was in stored {
        let (what, settled) = match &services {
            _ if was.restored => ("as it was".to_owned(), true),
            Err(error) => (later(&format!("Nova cannot be asked: {error}"), run), false),
            Ok(services) => match services.iter().find(|it| it.host.as_str() == was.host) {
                None => ("Nova does not have it any more".to_owned(), true),
                Some(now) => put_back(session, run, now, &was).await,
            },
        };
        if settled && !was.restored {
            ledger.restored_service(run, &was.host).await?;
        }
        journal.event(&Event::ServiceChanged {
            host: was.host.clone(),
            what: what.clone(),
        });
        rows.push(ServiceRow {
            host: was.host,
            what,
            settled,
        });
    }
    Ok(rows)
}

/// What is said of a service that this run could not put back.
fn later(why: &str, run: &str) -> String {
    format!("still disabled: {why}; `clearway resume {run}` puts it back")
}

/// What became of it, and whether nothing is left to do.
async fn put_back(
    session: &Session,
    run: &str,
    now: &ComputeService,
    was: &StoredService,
) -> (String, bool) {
    if now.enabled {
        return ("enabled, as it was".to_owned(), true);
    }
    if now.disabled_reason.as_deref() != Some(was.reason.as_str()) {
        let reason = now.disabled_reason.as_deref().unwrap_or("without a reason");
        let what = format!("left disabled: somebody else disabled it meanwhile ({reason})");
        return (what, true);
    }
    let before = ComputeService {
        enabled: was.was_enabled,
        disabled_reason: was.was_reason.clone(),
        ..now.clone()
    };
    match session.write(&compute::restore_service(now, &before)).await {
        Written::Accepted(_) => ("enabled again, as it was".to_owned(), true),
        Written::Refused(fault) => (later(&fault.to_string(), run), false),
        Written::NotSent(why) | Written::Unknown { why, .. } => {
            (format!("perhaps {}", later(&why, run)), false)
        }
    }
}

async fn list(session: &Session) -> Result<Vec<ComputeService>, MovesError> {
    session
        .services()
        .await
        .map_err(|error| right("compute services cannot be listed", error))
}

/// The exit code that the moves mean. A failure says most; what nobody knows says more than what was never begun.
pub(super) fn exit_code(
    entries: &[Entry],
    stay: &[StayRow],
    services: &[ServiceRow],
    interrupted: bool,
) -> u8 {
    let any = |verdict| {
        entries.iter().any(|it| {
            it.tracked
                .end
                .as_ref()
                .is_some_and(|end| end.verdict == verdict)
        })
    };
    let hook_failed = entries.iter().any(|it| it.tracked.hook_failure().is_some());
    let disabled = services.iter().any(|it| !it.settled);
    if interrupted {
        exit::INTERRUPTED
    } else if any(Verdict::Failed) || hook_failed || !stay.is_empty() || disabled {
        exit::BROKEN
    } else if any(Verdict::Unknown) {
        exit::UNPROVEN
    } else if any(Verdict::Refused) {
        exit::REFUSED
    } else if any(Verdict::NotStarted) {
        exit::UNPROVEN
    } else {
        exit::WELL
    }
}

/// One move of the report.
pub(super) fn row(entry: &Entry) -> MoveRow {
    let tracked = &entry.tracked;
    let seconds = |from: Timestamp, to: Timestamp| {
        u64::try_from(to.duration_since(from).as_secs()).unwrap_or_default()
    };
    MoveRow {
        server: tracked.server.to_string(),
        name: entry.name.clone(),
        kind: tracked.kind.to_string(),
        source: tracked.source.to_string(),
        destination: tracked.destination.as_ref().map(ToString::to_string),
        verdict: tracked
            .end
            .as_ref()
            .map_or(tracked.stage.as_str(), |end| end.verdict.as_str())
            .to_owned(),
        why: match &tracked.end {
            Some(end) => end.why.clone(),
            None => entry.last_why.clone(),
        },
        explained: explained(entry),
        request_id: tracked.request_id.clone(),
        seconds: entry
            .began
            .zip(entry.ended)
            .map(|(from, to)| seconds(from, to)),
        candidates: Vec::new(),
    }
}

/// What is said of a move beside its verdict. Nova may have sent a resize elsewhere than it could when it was asked: to a
/// host that came back in that moment.
fn explained(entry: &Entry) -> Vec<String> {
    let tracked = &entry.tracked;
    let mut lines = tracked.explained.clone();
    if let Some(failure) = tracked.hook_failure() {
        lines.push(format!("the command after the move failed: {failure}"));
    }
    if let Some(host) = &tracked.destination
        && !tracked.proven.is_empty()
        && *host != tracked.source
        && !tracked.proven.contains(host)
    {
        lines.push(format!(
            "Nova chose {host}, which it could not have chosen a moment before: that pair was not proven"
        ));
    }
    lines
}

impl Engine<'_> {
    /// Servers on drained hosts that came while these were emptied: nobody has planned anything for them.
    pub(super) async fn latecomers(&mut self, known: &[StayRow]) -> Vec<StayRow> {
        let mut found = Vec::new();
        for host in self.cloud.draining.clone() {
            let servers = match on_host(&self.session, &host).await {
                Ok(servers) => servers,
                Err(error) => {
                    self.stop(format!("whether {host} is empty cannot be seen: {error}"));
                    continue;
                }
            };
            for server in servers {
                let id = server.id.as_str();
                let is_known = self
                    .entries
                    .iter()
                    .any(|it| it.tracked.server.as_str() == id)
                    || known.iter().any(|it| it.server == id);
                if !is_known {
                    found.push(StayRow {
                        server: id.to_owned(),
                        name: server.name.clone(),
                        host: Some(host.to_string()),
                        why: format!(
                            "it came while the host was emptied: `clearway drain {host}` again"
                        ),
                    });
                }
            }
        }
        found
    }

    /// The report of what was done.
    pub(super) fn report(
        &self,
        command: &str,
        stay: Vec<StayRow>,
        services: Vec<ServiceRow>,
        options: &MoveOptions,
    ) -> MovesReport {
        debug_assert_eq!(self.options, options);
        let open = |it: &Entry| it.tracked.stage != Stage::Ended;
        let interrupted = self.entries.iter().any(open);
        MovesReport {
            schema: MOVES_SCHEMA_VERSION,
            run: self.run.clone(),
            command: command.to_owned(),
            cloud: self.session.endpoint().to_owned(),
            dry_run: false,
            interrupted,
            exit_code: exit_code(&self.entries, &stay, &services, interrupted),
            stopped: self.stopped.clone(),
            moves: self.entries.iter().map(row).collect(),
            stay,
            services,
        }
    }
}
