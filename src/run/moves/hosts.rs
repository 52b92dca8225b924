//! The cloud's hosts while moves go on: which of them are still there.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::candidates::ask;
use super::engine::Engine;
use crate::domain::{Event, HostName};
use crate::moves::machine::{Stage, Tracked};
use crate::openstack::compute::ComputeService;
use crate::system;

/// How old what is known of the cloud's hosts may be while moves are still to be started.
const TO_START: SignedDuration = SignedDuration::from_secs(15);
/// And while moves are only under way. Nova itself takes a minute to call a compute down (`service_down_time`).
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(60);

impl Engine<'_> {
    /// Whether the services of moves under way are to be asked for, and nothing else of the hosts. Where an interval is long,
    /// no look at the moves is left out for it.
    pub(super) fn hosts_are_due(&self) -> bool {
        let any = |is: fn(&Tracked) -> bool| self.entries.iter().any(|it| is(&it.tracked));
        self.unheard.is_none()
            && self.options.interval() * 4 < UNDER_WAY.unsigned_abs()
            && system::now().duration_since(self.cloud_at) > UNDER_WAY
            && any(|it| it.stage.is_in_flight())
            && !any(|it| it.stage == Stage::Planned)
    }

    /// Asks for the hosts when what is known of them has become old, and tells of those that moves under way miss.
    pub(super) async fn look_at_hosts(&mut self) {
        let age = system::now().duration_since(self.cloud_at);
        let any = |is: fn(&Tracked) -> bool| self.entries.iter().any(|it| is(&it.tracked));
        // What was known goes on being used where nobody answers; a proof and Nova itself stand behind it.
        if age > TO_START && any(|it| it.stage == Stage::Planned) {
            let (claims, draining) = (self.cloud.claims.clone(), self.cloud.draining.clone());
            if let Ok(cloud) = ask(&self.looking, self.fleet, claims, draining).await {
                self.cloud = cloud;
            }
            self.ask_about_images();
        } else if age > UNDER_WAY && any(|it| it.stage.is_in_flight()) {
            if let Ok(services) = self.looking.services().await {
                self.cloud.services = services;
            }
        } else {
            return;
        }
        self.cloud_at = system::now();
        self.tell_of_hosts();
    }

    /// Takes what Nova says now of one service; `None` when it does not have it any more.
    pub(super) fn know(&mut self, host: &HostName, service: Option<ComputeService>) {
        self.cloud.services.retain(|it| it.host != *host);
        self.cloud.services.extend(service);
    }

    fn tell_of_hosts(&mut self) {
        let flying = self.entries.iter().map(|it| &it.tracked);
        let flying = flying.filter(|it| it.stage.is_in_flight());
        let needed: BTreeSet<&HostName> = flying.flat_map(ends).collect();
        let services = self.cloud.services.iter();
        let down: BTreeSet<HostName> = services
            .filter(|it| is_down(it) && needed.contains(&it.host))
            .map(|it| it.host.clone())
            .collect();
        let tell = |host: &HostName, what: &str| {
            self.journal.event(&Event::ServiceChanged {
                host: host.to_string(),
                what: what.to_owned(),
            });
        };
        for host in down.difference(&self.down) {
            tell(
                host,
                "it is down: moves from and to it stand still until it is started again",
            );
        }
        for host in self.down.difference(&down).filter(|it| needed.contains(it)) {
            tell(host, "it is up again");
        }
        self.down = down;
    }

    /// The ends of a move whose nova-compute is down, as Nova says it now: why the move stands still.
    pub(super) async fn missing_of(&self, index: usize) -> Option<String> {
        let services = self.looking.services().await.ok()?;
        let down: Vec<&str> = ends(&self.entries[index].tracked)
            .filter(|&host| services.iter().any(|it| is_down(it) && it.host == *host))
            .map(HostName::as_str)
            .collect();
        (!down.is_empty()).then(|| format!("nova-compute on {} is down", down.join(" and ")))
    }
}

fn ends(tracked: &Tracked) -> impl Iterator<Item = &HostName> {
    std::iter::once(&tracked.source).chain(&tracked.destination)
}

fn is_down(service: &ComputeService) -> bool {
    !service.up || service.forced_down
}
