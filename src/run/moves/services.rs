//! Compute services of drained hosts: out of scheduling, and back as they were.

use std::time::Duration;

use crate::domain::{Event, HostName};
use crate::ledger::{Ledger, StoredService};
use crate::moves::machine::Doubt;
use crate::nova::{Session, Written};
use crate::openstack::compute::{self, ComputeService};
use crate::report::ServiceRow;
use crate::system;

use super::super::journal::Journal;
use super::access::right;
use super::engine::{Engine, LOCK};
use super::error::MovesError;

/// How often Nova is asked to disable a service when it was certain that the first request came to nothing.
const TRIES: usize = 2;
/// How often it is looked whether a request without an answer was carried out.
const LOOK: Duration = Duration::from_secs(2);

/// A host whose service could not be taken out of scheduling.
pub(super) struct Undisabled {
    pub(super) host: HostName,
    pub(super) why: String,
    /// Whether nothing will come of the request any more.
    pub(super) certain: bool,
}

impl Undisabled {
    /// Why nothing is moved.
    pub(super) fn told(&self) -> String {
        let Self { host, why, certain } = self;
        let could = if *certain { "could" } else { "perhaps could" };
        format!("{could} not be disabled: {why}; `clearway drain {host}` again")
    }
}

/// What came of a request to disable a service.
enum Disabled {
    Yes,
    No(String),
    /// It may still be carried out.
    Perhaps(String),
}

impl Engine<'_> {
    /// Takes the services of drained hosts out of scheduling, up to the first with which that cannot be done. Each is in the
    /// ledger as it was before anything is changed; one that was disabled already is left alone, and not put back.
    pub(super) async fn disable_services(&mut self) -> Result<Option<Undisabled>, MovesError> {
        let hosts = self.cloud.draining.clone();
        if hosts.is_empty() {
            return Ok(None);
        }
        let services = list(&self.session).await?;
        for host in hosts {
            let Some(service) = services.iter().find(|it| it.host == host) else {
                continue;
            };
            if !service.enabled {
                self.service_changed(&host, "disabled already, left as it is".to_owned());
                continue;
            }
            let reason = format!("clearway drain, run {}", self.run);
            let stored = StoredService {
                host: host.to_string(),
                reason: reason.clone(),
                was_enabled: service.enabled,
                was_reason: service.disabled_reason.clone(),
                restored: false,
            };
            self.ledger.disabling_service(&self.run, &stored).await?;
            let (why, certain) = match self.disable(service, &reason).await? {
                Disabled::Yes => {
                    self.service_changed(&host, format!("disabled: {reason}"));
                    continue;
                }
                Disabled::No(why) => (why, true),
                Disabled::Perhaps(why) => (why, false),
            };
            if certain {
                self.service_changed(&host, format!("not disabled: {why}"));
                self.ledger
                    .restored_service(&self.run, host.as_str())
                    .await?;
            }
            return Ok(Some(Undisabled { host, why, certain }));
        }
        Ok(None)
    }

    async fn disable(
        &mut self,
        service: &ComputeService,
        reason: &str,
    ) -> Result<Disabled, MovesError> {
        let host = &service.host;
        let mut last = String::new();
        for _ in 0..TRIES {
            let call = compute::disable_service(service, reason);
            let (why, over) = match self.session.write(&call).await {
                Written::Accepted(_) => return Ok(Disabled::Yes),
                Written::Refused(fault) => {
                    let Some(policy) = fault.policy() else {
                        return Ok(Disabled::No(fault.to_string()));
                    };
                    return Err(MovesError::Right {
                        what: format!("the service of {host} cannot be disabled"),
                        policy,
                    });
                }
                Written::NotSent(why) => return Ok(Disabled::No(why)),
                Written::Unknown { why, over } => (why, over),
            };
            self.service_changed(host, format!("perhaps not disabled, looking: {why}"));
            match self.is_carried_out(host, over).await? {
                Some(true) => return Ok(Disabled::Yes),
                None => return Ok(Disabled::Perhaps(why)),
                Some(false) => last = why,
            }
        }
        Ok(Disabled::No(last))
    }

    /// Whether a service has come to be disabled by a request that nobody has answered: once it is, or once nothing can come
    /// of the request any more. `None` when the run is interrupted before, or Nova says nothing of the service.
    async fn is_carried_out(
        &mut self,
        host: &HostName,
        over: bool,
    ) -> Result<Option<bool>, MovesError> {
        let doubt = Doubt {
            since: system::now(),
            over,
        };
        loop {
            let services = self.looking.services().await;
            let enabled = services
                .ok()
                .and_then(|it| it.into_iter().find(|it| it.host == *host))
                .map(|it| it.enabled);
            let now = system::now();
            if enabled == Some(false) {
                return Ok(Some(true));
            }
            if doubt.is_settled(now) {
                return Ok(enabled.map(|_| false));
            }
            if now.duration_since(self.renewed) * 3 > LOCK {
                self.keep_locks(now).await?;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.around.cancel.cancelled() => return Ok(None),
            }
        }
    }

    fn service_changed(&self, host: &HostName, what: String) {
        let host = host.to_string();
        self.journal.event(&Event::ServiceChanged { host, what });
    }
}

/// Puts services back as they were: those that this run took out of scheduling, and only where they still say so. Nova's
/// being away does not end the run: it is told, and a later run puts them back.
pub(super) async fn restore(
    session: &Session,
    ledger: &Ledger,
    journal: &Journal,
    run: &str,
    undisabled: Option<&Undisabled>,
) -> Result<Vec<ServiceRow>, MovesError> {
    let stored = ledger.disabled_services(run).await?;
    let mut rows = Vec::new();
    if stored.is_empty() {
        return Ok(rows);
    }
    let services = list(session).await;
    for was in stored {
        let failed = undisabled.filter(|it| it.host.as_str() == was.host);
        let (what, settled) = match &services {
            _ if was.restored => match failed {
                Some(failed) => (failed.told(), false),
                None => ("as it was".to_owned(), true),
            },
            Err(error) => (
                later(&format!("Nova cannot be asked: {}", error.told()), run),
                false,
            ),
            Ok(services) => match services.iter().find(|it| it.host.as_str() == was.host) {
                None => ("Nova does not have it any more".to_owned(), true),
                // Nobody may say that it is as it was as long as it may still come to be disabled.
                Some(now) if now.enabled && failed.is_some() => (perhaps_later(run), false),
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

/// What is said of one that is as it was, and may not stay so.
fn perhaps_later(run: &str) -> String {
    format!(
        "enabled, and the request to disable it may still be carried out; `clearway resume {run}` looks again"
    )
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
