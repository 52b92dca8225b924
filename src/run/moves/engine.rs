//! The loop: start what may be started, take what comes back, look at Nova once per interval.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::domain::{Event, HostName, Lane, Leg, LegId, MoveKind, Pair, Phase};
use crate::ledger::Ledger;
use crate::moves::gate::{Candidate, Cloud, Excluded, LegProof, Wanted, Width, candidates};
use crate::moves::machine::{Record, Stage, Tracked, Verdict};
use crate::moves::plan::{Limits, Load, stop};
use crate::nova::{NovaError, Session, Written};
use crate::openstack::compute::Server;
use crate::survey::NodeFacts;
use crate::system::{self, Stopwatch};
use crate::trust::Prediction;
use crate::trust::legs::Legs;

use super::super::journal::Journal;
use super::super::request::Surroundings;
use super::copying::brief;
use super::error::MovesError;
use super::images::Images;
use super::journal::Entry;
use super::look::Listed;
use super::options::MoveOptions;
use super::prover::{Prover, to_climb};
use super::request::{Proved, look_at};
use super::resize::ProvedAll;
use super::servers::needs_of;

/// For how long an answer of Nova's is asked for again before whoever watches is told that it is away; then the intervals
/// ask. A proof would only grow old meanwhile.
pub(super) const LOOKING: Duration = Duration::from_secs(5);
/// How long the first moves wait for what Glance says.
const GLANCE: Duration = Duration::from_secs(5);
/// For how long locks are taken; they are renewed at a third of it.
pub(super) const LOCK: SignedDuration = SignedDuration::from_secs(600);

/// What a task brought.
pub(super) enum Done {
    Proved(Box<Proved>),
    ProvedAll(Box<ProvedAll>),
    Sent(Written),
    Confirmed(Written),
    Reverted(Written),
    Compared(Result<Option<Box<Server>>, NovaError>),
    Explained(Vec<String>),
    Hooked(Result<(), String>),
}

/// What goes on while another move wants to start.
struct Going {
    /// Moves that are being proven, or asked of Nova.
    at_the_gate: usize,
    load: Load,
    /// Memory that is coming to each host.
    coming: HashMap<HostName, i64>,
}

/// A run of moves at work.
pub(super) struct Engine<'a> {
    pub(super) run: String,
    pub(super) session: Session,
    /// The same for what the loop itself waits for, and for what is asked between a proof and its request.
    pub(super) looking: Session,
    pub(super) around: &'a Surroundings,
    pub(super) journal: &'a Journal,
    pub(super) ledger: Ledger,
    pub(super) options: &'a MoveOptions,
    pub(super) limits: Limits,
    pub(super) fleet: &'a crate::domain::Fleet,
    pub(super) legs: &'a Legs,
    pub(super) prediction: &'a Prediction<'a>,
    pub(super) facts: &'a [Option<NodeFacts>],
    pub(super) prover: Prover,
    pub(super) cloud: Cloud,
    pub(super) images: Images,
    /// Asks Glance, through Nova. Beside all else: Glance may be slow.
    pub(super) glance: JoinSet<Images>,
    /// Asks how the moves in flight are.
    pub(super) listing: JoinSet<Listed>,
    /// Since when Nova cannot be asked how the moves go, and why.
    pub(super) unheard: Option<(Timestamp, String)>,
    pub(super) cloud_at: Timestamp,
    /// Hosts of moves under way whose nova-compute was down when Nova was last asked.
    pub(super) down: BTreeSet<HostName>,
    /// Whether the last interval asked for the hosts in place of the moves.
    pub(super) asked_for_hosts: bool,
    /// The newest `dest_host` of each destination.
    pub(super) dialled: HashMap<HostName, (u64, String)>,
    /// How many moves are proven and requested at the same time; what has been requested does not count.
    pub(super) width: Width,
    /// The last proof of each leg.
    pub(super) proofs: HashMap<LegId, LegProof>,
    pub(super) entries: Vec<Entry>,
    /// Since when everything has changed that this run is about, by the cloud's clock.
    pub(super) since: Timestamp,
    /// Since when there may be changes that were not listed yet, by the cloud's clock.
    pub(super) unlisted: Timestamp,
    /// When everything since the run's beginning was last listed.
    pub(super) listed_all: Timestamp,
    pub(super) stopped: Option<String>,
    pub(super) tasks: JoinSet<(usize, Done)>,
    pub(super) renewed: Timestamp,
}

impl Engine<'_> {
    /// Moves everything that can be moved.
    ///
    /// # Errors
    /// The journal cannot be kept. What Nova does goes on; the run can be resumed.
    pub(super) async fn work(&mut self) -> Result<(), MovesError> {
        let mut ticker = tokio::time::interval(self.options.interval());
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = false;
        // Those that failed right before clearway was stopped.
        for index in 0..self.entries.len() {
            self.explain_if_failed(index);
        }
        loop {
            if self.cancelled() && !told {
                told = true;
                self.journal.event(&Event::Interrupted);
            }
            self.start_what_may().await?;
            self.tell();
            if self.is_over() {
                return Ok(());
            }
            let cancel = self.around.cancel.clone();
            tokio::select! {
                Some(done) = self.tasks.join_next() => match done {
                    Ok((index, done)) => self.take(index, done).await?,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                Some(listed) = self.listing.join_next() => match listed {
                    Ok(listed) => self.listed(listed).await?,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                Some(Ok(images)) = self.glance.join_next() => self.images.update(images),
                _ = ticker.tick() => self.tick().await?,
                () = cancel.cancelled(), if !told => {}
            }
        }
    }

    pub(super) fn cancelled(&self) -> bool {
        self.around.cancel.is_cancelled()
    }

    pub(super) fn stop(&mut self, why: String) {
        if self.stopped.is_none() {
            self.journal
                .event(&Event::MovesStopped { why: why.clone() });
            self.stopped = Some(why);
        }
    }

    pub(super) fn spawn(
        &mut self,
        index: usize,
        work: impl Future<Output = Done> + Send + 'static,
    ) {
        self.entries[index].busy = true;
        self.tasks.spawn(async move { (index, work.await) });
    }

    async fn take(&mut self, index: usize, done: Done) -> Result<(), MovesError> {
        self.entries[index].busy = false;
        match done {
            Done::Proved(proved) => self.proved(index, *proved).await?,
            Done::ProvedAll(proved) => self.proved_all(index, *proved).await?,
            Done::Sent(written) => self.sent(index, written).await?,
            Done::Confirmed(written) => self.confirmed(index, written).await?,
            Done::Reverted(written) => self.reverted(index, written).await?,
            Done::Compared(server) => self.compared(index, server).await?,
            Done::Explained(lines) => self.explained(index, lines).await?,
            Done::Hooked(ended) => self.hooked(index, ended).await?,
        }
        self.explain_if_failed(index);
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), MovesError> {
        let now = system::now();
        if now.duration_since(self.renewed) * 3 > LOCK {
            self.keep_locks(now).await?;
        }
        // One look at a time is on its way, however slow.
        if !self.listing.is_empty() {
            return Ok(());
        }
        // In place of the moves, not beside them: an interval lists two things at most.
        self.asked_for_hosts = !self.asked_for_hosts && self.hosts_are_due();
        if self.asked_for_hosts {
            self.look_at_hosts().await;
            return Ok(());
        }
        self.look().await
    }

    /// Asks about the images of the servers that are at the gate or come to it next.
    pub(super) fn ask_about_images(&mut self) {
        let before_the_request = |it: &&Entry| {
            matches!(
                it.tracked.stage,
                Stage::Planned | Stage::Proving | Stage::Passed
            )
        };
        let open = self.entries.iter().filter(before_the_request);
        let servers = open.filter_map(|it| it.server.as_ref());
        let ids = Images::distinct(servers, 2 * Width::MOST);
        let session = self.session.clone();
        // One question at a time is on its way, however slow.
        if self.glance.is_empty() {
            self.glance
                .spawn(async move { Images::ask(&session, ids).await });
        }
    }

    /// Asks before the first moves, and waits a moment for it: what is not known has to be proven.
    pub(super) async fn first_look_at_images(&mut self) {
        self.ask_about_images();
        let answered = self.glance.join_next();
        if let Ok(Some(Ok(images))) = tokio::time::timeout(GLANCE, answered).await {
            self.images.update(images);
        }
    }

    fn is_over(&self) -> bool {
        let waits = |entry: &Entry| match entry.tracked.stage {
            Stage::Ended => entry.busy,
            // Left for a later run.
            Stage::Planned => !self.cancelled(),
            _ => true,
        };
        self.tasks.is_empty() && !self.entries.iter().any(waits)
    }

    fn tell(&self) {
        let ended = self
            .entries
            .iter()
            .filter(|it| it.tracked.end.is_some())
            .count();
        let names = self
            .entries
            .iter()
            .filter(|it| it.tracked.stage.is_in_flight())
            .take(3)
            .map(brief)
            .collect();
        self.journal
            .progress(Phase::Move, ended, self.entries.len(), names);
    }

    async fn start_what_may(&mut self) -> Result<(), MovesError> {
        let moves = self.entries.iter().map(|it| &it.tracked);
        if let Some(why) = stop(moves, &self.limits, system::now()) {
            self.stop(why.to_string());
        }
        let mut going = self.going();
        for index in 0..self.entries.len() {
            self.hook_if_due(index).await?;
            let entry = &self.entries[index];
            if entry.tracked.stage != Stage::Planned || entry.busy || self.cancelled() {
                continue;
            }
            if let Some(why) = self.stopped.clone() {
                self.give_up(index, Verdict::NotStarted, &why).await?;
                continue;
            }
            // Its proof would grow old while Nova is away.
            if self.unheard.is_some() {
                continue;
            }
            let now = system::now();
            if self.entries[index].not_before.is_some_and(|at| at > now) {
                continue;
            }
            self.start(index, &going).await?;
            if self.entries[index].tracked.stage != Stage::Planned {
                going = self.going();
            }
        }
        Ok(())
    }

    /// What goes on now. It costs a look at every move, so it is asked once for all that wait.
    fn going(&self) -> Going {
        Going {
            at_the_gate: self.at_the_gate(),
            load: Load::of(self.entries.iter().map(|it| &it.tracked)),
            coming: self.coming(),
        }
    }

    async fn start(&mut self, index: usize, going: &Going) -> Result<(), MovesError> {
        let (load, limits) = (&going.load, &self.limits);
        if going.at_the_gate >= self.width.now() {
            return Ok(());
        }
        let entry = &self.entries[index];
        let tracked = &entry.tracked;
        if !load.may_leave(tracked.kind, &tracked.source, limits) {
            return Ok(());
        }
        let Some(server) = entry.server.clone() else {
            return self
                .give_up(index, Verdict::Failed, "the server was deleted meanwhile")
                .await;
        };
        if tracked.kind == MoveKind::Resize {
            return self.prove_resize(index, &server).await;
        }
        let (open, excluded) = candidates(
            &self.cloud,
            &server,
            &self.options.to,
            &tracked.tried,
            &going.coming,
        );
        if open.is_empty() {
            let (verdict, why) = no_destination(entry, &excluded);
            let turned_down = entry.turned_down;
            self.give_up(index, verdict, &why).await?;
            if turned_down {
                self.explain_if_failed(index);
            }
            return Ok(());
        }
        let Some(candidate) = open.iter().find(|it| load.may_come(&it.host, limits)) else {
            return Ok(());
        };
        self.prove(index, &server, candidate).await
    }

    /// Moves that are being proven, or asked of Nova right now.
    fn at_the_gate(&self) -> usize {
        let is_there = |it: &&Entry| {
            it.busy
                && matches!(
                    it.tracked.stage,
                    Stage::Proving | Stage::Passed | Stage::Requested
                )
        };
        self.entries.iter().filter(is_there).count()
    }

    /// Memory of servers that are on their way, or have arrived since Nova was asked for its hosts.
    fn coming(&self) -> HashMap<HostName, i64> {
        let mut coming = HashMap::new();
        for entry in &self.entries {
            if let (Some(destination), Some(server)) = (&entry.tracked.destination, &entry.server)
                && self.is_coming(&entry.tracked)
            {
                let ram = i64::try_from(server.flavor.ram_mib).unwrap_or(i64::MAX / 1_000);
                *coming.entry(destination.clone()).or_default() += ram;
            }
        }
        coming
    }

    fn is_coming(&self, tracked: &Tracked) -> bool {
        let stayed = matches!(
            tracked.end.as_ref().map(|it| it.verdict),
            None | Some(Verdict::Done | Verdict::Unconfirmed)
        );
        match tracked.stage {
            Stage::Arrived | Stage::Ended => stayed && tracked.since >= self.cloud_at,
            _ => true,
        }
    }

    /// The lanes that a move of a server needs, as far as is known of its image.
    pub(super) fn needs_of(&self, server: &Server, kind: MoveKind) -> Vec<Lane> {
        needs_of(server, kind, self.images.of(server), self.session.newest())
    }

    /// The legs of a pair that have to be climbed for a move, and what is known of the others.
    pub(super) fn to_prove(
        &self,
        server: &Server,
        wanted: &Wanted,
    ) -> (Vec<(Lane, Leg)>, Vec<LegProof>) {
        let (mut climbs, mut settled) = (Vec::new(), Vec::new());
        for lane in self.needs_of(server, wanted.kind) {
            if let Some(proof) = self.still_fresh(wanted, lane) {
                settled.push(proof);
                continue;
            }
            let id = wanted.pair.leg(lane);
            let predicted = self
                .legs
                .obstacle(id)
                .unwrap_or_else(|| self.prediction.verdict(id));
            match to_climb(self.legs, id, predicted) {
                Ok(leg) => climbs.push((lane, leg)),
                Err(predicted) => settled.push(settled_leg(wanted, lane, predicted)),
            }
        }
        (climbs, settled)
    }

    async fn prove(
        &mut self,
        index: usize,
        server: &Server,
        candidate: &Candidate,
    ) -> Result<(), MovesError> {
        let tracked = &self.entries[index].tracked;
        let source = match self.cloud.matched.node(&tracked.source) {
            Ok(source) => source,
            Err(why) => return self.give_up(index, Verdict::Refused, &why).await,
        };
        let wanted = Wanted {
            server: tracked.server.clone(),
            kind: tracked.kind,
            source: tracked.source.clone(),
            destination: candidate.host.clone(),
            pair: Pair {
                source,
                destination: candidate.node,
            },
        };
        let destination = candidate.host.clone();
        let destination = Some(destination);
        self.record(index, Record::Proving { destination }).await?;
        let (climbs, settled) = self.to_prove(server, &wanted);
        let (prover, session, id) = (self.prover.clone(), self.looking.clone(), server.id.clone());
        self.spawn(index, async move {
            let climbed = prover.climb_all(climbs).await;
            // After the climb: what is read here is the last thing before the request.
            let asked = Stopwatch::start();
            let (looked, service) =
                tokio::join!(look_at(&session, &id), session.service(&wanted.destination));
            Done::Proved(Box::new(Proved {
                wanted,
                climbed,
                settled,
                looked: looked.and_then(|looked| Ok((looked, service?))),
                answered: asked.elapsed(),
            }))
        });
        Ok(())
    }
}

/// A leg that is not climbed: the deployment does not use it, or the files break it so that it must not be dialled.
fn settled_leg(
    wanted: &Wanted,
    lane: crate::domain::Lane,
    predicted: crate::domain::Predicted,
) -> LegProof {
    use crate::domain::{Depth, Predicted, Verdict, Why};
    LegProof {
        pair: wanted.pair,
        lane,
        verdict: match predicted {
            Predicted::NotNeeded(why) => Verdict::NotNeeded(why),
            Predicted::Breaks(reason) => Verdict::Broken(reason),
            Predicted::Unknown(why) => Verdict::Unproven(why),
            Predicted::Works => Verdict::Unproven(Why::PredictedOnly),
        },
        depth: Depth::Copy,
        dialled: None,
        at: system::now(),
    }
}

/// Why there is no destination left.
fn no_destination(entry: &Entry, excluded: &[(HostName, Excluded)]) -> (Verdict, String) {
    let mut others: BTreeSet<String> = BTreeSet::new();
    for why in excluded.iter().map(|(_, why)| why) {
        if matches!(
            why,
            Excluded::Source | Excluded::Tried | Excluded::NotAskedFor
        ) {
            continue;
        }
        let hosts = excluded.iter().filter(|(_, other)| other == why);
        let hosts = crate::domain::fold(hosts.map(|(host, _)| host.as_str()));
        others.insert(format!("{hosts}: {why}"));
    }
    let mut why = if entry.tracked.tried.is_empty() {
        "no destination is left".to_owned()
    } else {
        let tried = crate::domain::fold(entry.tracked.tried.iter().map(HostName::as_str));
        format!(
            "no destination is left; tried {tried}, the last one: {}",
            entry.last_why
        )
    };
    for other in others {
        why.push_str("; ");
        why.push_str(&other);
    }
    let verdict = if entry.rejected {
        Verdict::Failed
    } else {
        Verdict::Refused
    };
    (verdict, why)
}
