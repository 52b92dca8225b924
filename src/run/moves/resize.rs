//! A resize: Nova chooses where it goes, so every host that it could choose is proven, or it is not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::engine::{Done, Engine};
use super::error::MovesError;
use super::prover::Climbed;
use super::request::{Looked, look_at};
use super::servers::requirements;
use crate::domain::{HostName, Lane, MoveKind, Pair};
use crate::moves::MoveRequest;
use crate::moves::gate::{Closed, LegProof, Pass, Wanted, eligible, is_outside, pass, unmatched};
use crate::moves::machine::{Record, Verdict as End};
use crate::nova::NovaError;
use crate::openstack::compute::{ComputeService, Server};
use crate::system::{self, Stopwatch};

/// One destination: what was climbed, and what needed no climb.
type Proved = (Wanted, Vec<(Lane, Climbed)>, Vec<LegProof>);

/// Every destination of a resize, climbed.
pub(super) struct ProvedAll {
    pairs: Vec<Proved>,
    /// Hosts that cannot be proven at all, and why.
    unproven: BTreeMap<HostName, String>,
    looked: Result<Looked, NovaError>,
    /// Read after the climb: a host that was enabled meanwhile is one that Nova could choose.
    services: Result<Vec<ComputeService>, NovaError>,
    /// How long Nova took to say so.
    answered: Duration,
}

impl Engine<'_> {
    /// Proves the pairs to every host that Nova could choose.
    pub(super) async fn prove_resize(
        &mut self,
        index: usize,
        server: &Server,
    ) -> Result<(), MovesError> {
        let tracked = &self.entries[index].tracked;
        let (id, from) = (tracked.server.clone(), tracked.source.clone());
        let source = match self.cloud.matched.node(&from) {
            Ok(source) => source,
            Err(why) => return self.give_up(index, End::Refused, &why).await,
        };
        self.record(index, Record::Proving { destination: None })
            .await?;
        let mut unproven = BTreeMap::new();
        let mut climbing: Vec<(Wanted, Vec<_>, Vec<LegProof>)> = Vec::new();
        for host in eligible(&self.cloud, server) {
            let Some(&node) = self.cloud.matched.nodes.get(&host) else {
                let why = unmatched(&self.cloud, &host).to_string();
                unproven.insert(host, why);
                continue;
            };
            if is_outside(&self.cloud, &from, &host) {
                let why = "the pair is not in the inventory's scope";
                unproven.insert(host, why.to_owned());
                continue;
            }
            let wanted = Wanted {
                server: id.clone(),
                kind: MoveKind::Resize,
                source: from.clone(),
                destination: host,
                pair: Pair {
                    source,
                    destination: node,
                },
            };
            let (climbs, settled) = self.to_prove(server, &wanted);
            climbing.push((wanted, climbs, settled));
        }
        let (prover, session) = (self.prover.clone(), self.looking.clone());
        self.spawn(index, async move {
            let mut tasks = JoinSet::new();
            for (wanted, climbs, settled) in climbing {
                let prover = prover.clone();
                tasks.spawn(async move {
                    let climbed = prover.climb_all(climbs).await;
                    (wanted, climbed, settled)
                });
            }
            let pairs = tasks.join_all().await;
            let asked = Stopwatch::start();
            let (looked, services) = tokio::join!(look_at(&session, &id), session.services());
            Done::ProvedAll(Box::new(ProvedAll {
                pairs,
                unproven,
                looked,
                services,
                answered: asked.elapsed(),
            }))
        });
        Ok(())
    }

    /// The proofs are there: a resize is requested only when all of them are good.
    pub(super) async fn proved_all(
        &mut self,
        index: usize,
        proved: ProvedAll,
    ) -> Result<(), MovesError> {
        let ProvedAll {
            pairs,
            mut unproven,
            looked,
            services,
            answered,
        } = proved;
        let (looked, services) = match (looked, services) {
            (Ok(looked), Ok(services)) => {
                self.width.answered(answered);
                (looked, services)
            }
            (Err(error), _) | (_, Err(error)) => {
                let why = format!("Nova could not be asked right before: {error}");
                // It is told, and nothing else is begun, until somebody answers. Trouble with one server is that server's.
                if error.is_absence() {
                    self.not_heard(error)?;
                }
                return self.not_sent(index, why).await;
            }
        };
        self.cloud.services = services;
        let source = self.entries[index].tracked.source.clone();
        let Some((server, seen)) = self
            .still_movable(index, &source, MoveKind::Resize, looked)
            .await?
        else {
            return Ok(());
        };
        let needs = requirements(
            &server,
            MoveKind::Resize,
            self.images.of(&server),
            self.session.newest(),
        );
        let now = system::now();
        let mut passes: Vec<Pass> = Vec::new();
        let mut aged = BTreeSet::new();
        for (wanted, climbed, mut settled) in pairs {
            settled.extend(self.judge_all(&wanted, climbed));
            let reported = self.reported(&wanted);
            let host = wanted.destination.clone();
            let max_age = self.options.max_age();
            match pass(wanted, &needs, &settled, &reported, max_age, now, None) {
                Ok(pass) => passes.push(pass),
                Err(closed) => {
                    let why: Vec<String> = closed.iter().map(ToString::to_string).collect();
                    if closed.iter().all(Closed::is_age) {
                        aged.insert(host.clone());
                    }
                    unproven.insert(host, why.join(", "));
                }
            }
        }
        let possible = eligible(&self.cloud, &server);
        // What was disabled meanwhile is out of Nova's reach, what was enabled is in it.
        let is_proven = |host: &HostName| passes.iter().any(|it| it.wanted().destination == *host);
        let missing: Vec<String> = possible
            .iter()
            .filter(|host| !is_proven(host))
            .map(|host| {
                let why = unproven.get(host).map_or("enabled a moment ago", |it| it);
                format!("{host} ({why})")
            })
            .collect();
        let only_aged = |host: &HostName| is_proven(host) || aged.contains(host);
        if !missing.is_empty() && possible.iter().all(only_aged) {
            // Nova took so long to answer: the pairs themselves are as good as they were.
            let why = format!("proofs have become too old: {}", missing.join("; "));
            return self.not_sent(index, why).await;
        }
        if !missing.is_empty() || possible.is_empty() {
            let why = if possible.is_empty() {
                "Nova has no other host that it could choose".to_owned()
            } else {
                format!(
                    "Nova chooses where a resize goes, and these are not proven: {}",
                    missing.join("; ")
                )
            };
            return self.give_up(index, End::Refused, &why).await;
        }
        let passed = Record::Passed {
            destination: None,
            proven: possible.iter().cloned().collect(),
            until: passes.iter().map(Pass::until).min().unwrap_or(now),
            overridden: None,
        };
        self.record(index, passed).await?;
        if self.cancelled() || self.stopped.is_some() {
            let why = "nothing new is started any more".to_owned();
            return self.record(index, Record::NotSent { why }).await;
        }
        let Some(flavor) = &self.options.flavor else {
            let why = "the run has no flavor to resize to".to_owned();
            return self.give_up(index, End::Failed, &why).await;
        };
        let sent: Timestamp = system::now();
        match MoveRequest::resize(&server.id, &flavor.id, &possible, passes, sent) {
            Ok(request) => self.send(index, request, &seen).await,
            Err(error) => self.not_sent(index, error.to_string()).await,
        }
    }
}
