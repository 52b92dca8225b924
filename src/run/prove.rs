//! The proof: every client node climbs its legs with its own ssh and scp, in rotation order.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::assemble::outcome_word;
use super::journal::Journal;
use super::request::{Request, Surroundings};
use super::survey::{Failure, NAMED, STILL, Surveyed, chain};
use crate::domain::{
    Event, Fleet, Leg, LegId, NodeId, Phase, Predicted, Proof, Proven, Reason, Why,
};
use crate::frame::Nonce;
use crate::proof::{Ended, Settings, programs};
use crate::remote::{Connection, Exit, Limits};
use crate::system;
use crate::trust::Rounds;
use crate::trust::legs::Legs;

/// Most bytes that one leg may answer with: the transcripts of its connections.
const BYTES_PER_LEG: u64 = 64 * 1024;
/// What the controller waits longer than the program on the node gives itself.
const GRACE: Duration = Duration::from_secs(20);
/// However many legs a client has, its program ends by itself after this.
const LONGEST_RUN: Duration = Duration::from_secs(6 * 3600);
/// How long a context may take to say a first word, once the node has failed to keep its time in another one.
const SECOND_CHANCE: Duration = Duration::from_secs(10);

/// What the proof brought.
#[derive(Default)]
pub(super) struct ProvenLegs {
    pub(super) proofs: HashMap<LegId, Proof>,
    /// Clients whose program did not come to its end; legs of theirs without a proof are unproven for this.
    pub(super) failed: HashMap<NodeId, Why>,
}

pub(super) enum Told {
    Leg(LegId, Proof),
    Ended(NodeId, Option<Failure>),
}

/// Proves the legs of the rounds, those that Nova would really dial.
pub(super) async fn prove(
    request: &Request,
    around: &Surroundings,
    surveyed: &Surveyed,
    legs: &Legs,
    rounds: &Rounds,
    predicted: &(dyn Fn(LegId) -> Predicted + Sync),
    journal: &Journal,
) -> ProvenLegs {
    let mut work: Vec<Work> = Vec::new();
    for &client in &request.selected {
        let Some(connection) = surveyed.connections.get(&client) else {
            continue;
        };
        let to_climb: Vec<Leg> = rounds
            .legs_of(client)
            .filter(|&id| is_dialled(predicted(id)))
            .filter_map(|id| legs.leg(id))
            .collect();
        if !to_climb.is_empty() {
            work.push((client, connection.clone(), to_climb));
        }
    }
    climb_all(request, around, work, false, journal).await
}

/// A client, its connection and the legs that it climbs.
pub(super) type Work = (NodeId, Arc<Connection>, Vec<Leg>);

/// Has every client climb its legs, a bounded number of clients at a time. With `only_identity` what counts is a login with
/// the key that the leg names.
pub(super) async fn climb_all(
    request: &Request,
    around: &Surroundings,
    work: Vec<Work>,
    only_identity: bool,
    journal: &Journal,
) -> ProvenLegs {
    let mut proven = ProvenLegs::default();
    let total: usize = work.iter().map(|(_, _, legs)| legs.len()).sum();
    let mut at_work: HashSet<NodeId> = work.iter().map(|(client, _, _)| *client).collect();

    let (tell, mut told) = mpsc::unbounded_channel();
    let permits = Arc::new(Semaphore::new(request.concurrency.max(1)));
    let mut tasks = JoinSet::new();
    for (client, connection, to_climb) in work {
        let settings = Settings {
            only_identity,
            ..settings(request, client, to_climb.len())
        };
        let (tell, permits) = (tell.clone(), permits.clone());
        let names = Names(request.fleet.clone());
        tasks.spawn(async move {
            let Ok(_permit) = permits.acquire().await else {
                return;
            };
            let failure = climb(&connection, to_climb, &settings, &names, &tell)
                .await
                .err();
            let _ = tell.send(Told::Ended(client, failure));
        });
    }
    drop(tell);

    loop {
        let mut named: Vec<NodeId> = at_work.iter().copied().collect();
        named.sort_unstable();
        let named = named
            .into_iter()
            .take(NAMED)
            .map(|id| request.fleet.node(id).name.to_string())
            .collect();
        journal.progress(Phase::Prove, proven.proofs.len(), total, named);
        let next = tokio::select! {
            next = told.recv() => next,
            () = tokio::time::sleep(STILL) => continue,
            () = around.cancel.cancelled() => break,
        };
        match next {
            None => break,
            Some(Told::Leg(id, proof)) => {
                journal.event(&leg_proven(request, id, &proof));
                proven.proofs.insert(id, proof);
            }
            Some(Told::Ended(client, failure)) => {
                at_work.remove(&client);
                if let Some(failure) = failure {
                    journal.event(&Event::ProofFailed {
                        node: request.fleet.node(client).name.to_string(),
                        why: failure.why.code().to_owned(),
                        detail: failure.detail,
                    });
                    proven.failed.insert(client, failure.why);
                }
            }
        }
    }
    // Interrupted: the channels close, and the programs on the nodes remove what they made.
    tasks.shutdown().await;
    for client in at_work {
        proven.failed.entry(client).or_insert(Why::Interrupted);
    }
    proven
}

/// How a client climbs: pauses differ from node to node, so that those that were dropped together do not come back
/// together.
pub(super) fn settings(request: &Request, client: NodeId, legs: usize) -> Settings {
    const SPREAD_MILLIS: u64 = 3_000;
    let workers = request.workers.max(1);
    let slot = (request.seed ^ (u64::from(client.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 7;
    let rounds = u32::try_from(legs).unwrap_or(u32::MAX).div_ceil(workers);
    let mut settings = Settings::new(request.depth, Duration::ZERO);
    settings.write = !request.no_write;
    settings.workers = workers;
    settings.connection = request.leg_timeout;
    settings.pause = Duration::from_millis(2_000 + slot % SPREAD_MILLIS);
    // A leg that works takes a few connections of a second at the most; one that hangs, its whole deadline.
    settings.total = (request.leg_timeout * 2)
        .saturating_add(request.leg_timeout.saturating_mul(rounds))
        .min(LONGEST_RUN);
    settings
}

/// Whether Nova would dial the leg at all. A leg that would lead to another node's disks is not touched.
pub(super) fn is_dialled(predicted: Predicted) -> bool {
    !matches!(
        predicted,
        Predicted::NotNeeded(_) | Predicted::Breaks(Reason::SharedAddress | Reason::AddressUnknown)
    )
}

/// Runs a client's programs to their end, one for each context, telling each leg as it is done.
pub(super) async fn climb(
    connection: &Connection,
    legs: Vec<Leg>,
    settings: &Settings,
    names: &Names,
    tell: &mpsc::UnboundedSender<Told>,
) -> Result<(), Failure> {
    let nonce = Nonce::new(system::random_bytes());
    let mut failure = None;
    for program in programs(legs, settings, &nonce) {
        let mut reader = program.reader();
        // A node that let one deadline pass does not get one more for each of its contexts.
        let is_slow = failure
            .as_ref()
            .is_some_and(|it: &Failure| it.why == Why::ControlTimedOut);
        let limits = Limits {
            stdout: BYTES_PER_LEG * (program.legs().len() as u64 + 16),
            deadline: program.longest_run() + GRACE,
            idle: program.longest_silence() + GRACE,
            first: if is_slow {
                SECOND_CHANCE
            } else {
                settings.connection + SECOND_CHANCE
            },
            ..Limits::default()
        };
        let script = program.script();
        let run = connection
            .stream_program(script.as_bytes(), &limits, |bytes| {
                let mut done = Vec::new();
                let read = reader.push(bytes, &|id| names.of(id), &mut done);
                for (id, proof) in done {
                    let _ = tell.send(Told::Leg(id, proof));
                }
                match read {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => ControlFlow::Break(chain(&error)),
                }
            })
            .await;
        let rest = match &run {
            Ok(end) => reader.finish(
                Ended::Exited {
                    status: match end.exit {
                        Exit::Status(status) => Some(status),
                        _ => None,
                    },
                    stderr: &end.stderr_tail,
                },
                &|id| names.of(id),
            ),
            Err(error) => reader.finish(Ended::Failed(error.why), &|id| names.of(id)),
        };
        for (id, proof) in rest {
            let _ = tell.send(Told::Leg(id, proof));
        }
        if let Err(error) = run {
            failure.get_or_insert(Failure::from(error));
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Inventory names by id.
pub(super) struct Names(pub(super) Arc<Fleet>);

impl Names {
    fn of(&self, id: NodeId) -> String {
        self.0.node(id).name.to_string()
    }
}

fn leg_proven(request: &Request, id: LegId, proof: &Proof) -> Event {
    Event::LegProven {
        lane: id.lane,
        client: request.fleet.node(id.client).name.to_string(),
        server: request.fleet.node(id.server).name.to_string(),
        outcome: outcome_word(proof.outcome).to_owned(),
        code: match proof.outcome {
            Proven::Breaks(reason) => Some(reason.code().to_owned()),
            Proven::Unknown(why) => Some(why.code().to_owned()),
            Proven::Works | Proven::Refused => None,
        },
        millis: proof.millis,
    }
}
