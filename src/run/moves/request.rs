//! From what a proof brought to a request, and what Nova answers to it.

use std::time::Duration;

use crate::domain::{Depth, HostName, Lane, MoveKind, ServerId, Verdict, Why};
use crate::moves::gate::{Closed, LegProof, Override, Reported, Wanted, closed_service, pass};
use crate::moves::machine::{Record, Verdict as End};
use crate::moves::{Movable, MoveRequest, movable};
use crate::nova::{NovaError, Session, Written};
use crate::openstack::Fault;
use crate::openstack::compute::{ComputeService, InstanceAction, Migration, Server};
use crate::system;
use crate::trust::verdict::{Observed, judge};

use super::candidates::{dialled_addresses, reported};
use super::engine::{Done, Engine};
use super::error::MovesError;
use super::prover::Climbed;
use super::servers::requirements;

/// How often a request may turn out not to have been sent.
const UNSENT: u32 = 5;

/// What Nova says of a server right before it is asked to move it.
pub(super) struct Looked {
    pub(super) server: Option<Server>,
    pub(super) rows: Vec<Migration>,
    pub(super) actions: Vec<InstanceAction>,
}

/// Asks what is said of a server right before its request.
pub(super) async fn look_at(session: &Session, id: &ServerId) -> Result<Looked, NovaError> {
    let (server, rows, actions) = tokio::join!(
        session.server(id),
        session.migrations(id),
        session.actions(id)
    );
    Ok(Looked {
        server: server?,
        rows: rows?,
        actions: actions?,
    })
}

/// What a server has had until its request.
pub(super) struct Before {
    rows: Vec<Migration>,
    actions: Vec<InstanceAction>,
}

/// A pair whose legs were climbed for a move.
pub(super) struct Proved {
    pub(super) wanted: Wanted,
    /// What was climbed just now.
    pub(super) climbed: Vec<(Lane, Climbed)>,
    /// What needed no climb: not used here, settled by the files, or proven a moment ago.
    pub(super) settled: Vec<LegProof>,
    /// What Nova says of the server, and of the destination's service.
    pub(super) looked: Result<(Looked, Option<ComputeService>), NovaError>,
    /// How long that took.
    pub(super) answered: Duration,
}

impl Engine<'_> {
    /// A proof is there: through the gate, and on to Nova.
    pub(super) async fn proved(&mut self, index: usize, proved: Proved) -> Result<(), MovesError> {
        let Proved {
            wanted,
            climbed,
            mut settled,
            looked,
            answered,
        } = proved;
        if looked.is_ok() {
            self.width.answered(answered);
        }
        settled.extend(self.judge_all(&wanted, climbed));
        let (looked, service) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                let why = format!("Nova could not be asked right before: {error}");
                // It is told, and nothing else is begun, until somebody answers. Trouble with one server is that server's.
                if error.is_absence() {
                    self.not_heard(error)?;
                }
                return self.not_sent(index, why).await;
            }
        };
        let Some((server, seen)) = self
            .still_movable(index, &wanted.source, wanted.kind, looked)
            .await?
        else {
            return Ok(());
        };
        // It may have been taken out of scheduling while its legs were proven.
        let closed = match &service {
            None => Some("Nova does not have it any more".to_owned()),
            Some(service) => closed_service(service).map(|why| why.to_string()),
        };
        if let Some(why) = closed {
            self.know(&wanted.destination, service);
            let destination = wanted.destination;
            return self
                .record(index, Record::Closed { destination, why })
                .await;
        }
        let needs = requirements(
            &server,
            wanted.kind,
            self.images.of(&server),
            self.session.newest(),
        );
        let reported = self.reported(&wanted);
        let overriding = self.options.overriding.as_deref();
        let overriding = overriding.and_then(|reason| Override::new(reason).ok());
        let now = system::now();
        let destination = wanted.destination.clone();
        let decided = pass(
            wanted,
            &needs,
            &settled,
            &reported,
            self.options.max_age(),
            now,
            overriding,
        );
        let pass = match decided {
            Ok(pass) => pass,
            Err(closed) => {
                let why: Vec<String> = closed.iter().map(ToString::to_string).collect();
                let why = why.join("; ");
                // Nova took so long to answer: the pair itself is as good as it was.
                if closed.iter().all(Closed::is_age) {
                    return self.not_sent(index, why).await;
                }
                return self
                    .record(index, Record::Closed { destination, why })
                    .await;
            }
        };
        let passed = Record::Passed {
            destination: Some(destination),
            proven: Vec::new(),
            until: pass.until(),
            overridden: pass.overridden().map(str::to_owned),
        };
        self.record(index, passed).await?;
        if self.cancelled() || self.stopped.is_some() {
            let why = "nothing new is started any more".to_owned();
            return self.record(index, Record::NotSent { why }).await;
        }
        match MoveRequest::new(pass, system::now()) {
            Ok(request) => self.send(index, request, &seen).await,
            Err(error) => self.not_sent(index, error.to_string()).await,
        }
    }

    /// Whether a server can still be moved, after what Nova said of it last; gives the move up where not.
    pub(super) async fn still_movable(
        &mut self,
        index: usize,
        source: &HostName,
        kind: MoveKind,
        looked: Looked,
    ) -> Result<Option<(Server, Before)>, MovesError> {
        let Looked {
            server,
            rows,
            actions,
        } = looked;
        let (verdict, why) = match &server {
            None => (End::Failed, "the server was deleted meanwhile".to_owned()),
            Some(server) if server.host.as_ref() != Some(source) => {
                let host = server.host.as_ref().map_or("no host", |host| host.as_str());
                let why = format!("somebody else moved it: it is on {host} now");
                (End::NotStarted, why)
            }
            Some(server) => match movable(server, kind) {
                Movable::No(why) => (End::Failed, format!("it cannot move any more: {why}")),
                Movable::Yes => {
                    self.dialled.extend(dialled_addresses(&rows));
                    return Ok(Some((server.clone(), Before { rows, actions })));
                }
            },
        };
        self.give_up(index, verdict, &why).await?;
        Ok(None)
    }

    /// Sends a request, after its intent is on the disk.
    pub(super) async fn send(
        &mut self,
        index: usize,
        request: MoveRequest,
        seen: &Before,
    ) -> Result<(), MovesError> {
        let kind = self.entries[index].tracked.kind;
        let intent = Record::Requesting {
            destination: request.destination().cloned(),
            baseline: seen.rows.iter().map(|row| row.id).max().unwrap_or(0),
            actions: seen
                .actions
                .iter()
                .filter(|it| it.action == kind.action())
                .map(|it| it.request_id.clone())
                .collect(),
        };
        self.record(index, intent).await?;
        // From here on this machine's clock may jump: what is left is counted.
        let left = request.until().duration_since(system::now());
        let left = Duration::try_from(left).unwrap_or_default();
        let (session, call) = (self.session.clone(), request.into_call());
        self.spawn(index, async move {
            Done::Sent(session.write_within(&call, left).await)
        });
        Ok(())
    }

    /// The verdicts on legs that were climbed just now.
    pub(super) fn judge_all(
        &mut self,
        wanted: &Wanted,
        climbed: Vec<(Lane, Climbed)>,
    ) -> Vec<LegProof> {
        climbed
            .into_iter()
            .map(|(lane, climbed)| {
                let proof = self.judged(wanted, lane, climbed);
                self.proofs.insert(wanted.pair.leg(lane), proof.clone());
                proof
            })
            .collect()
    }

    /// The verdict on a leg that was climbed, as a check would give it.
    fn judged(&self, wanted: &Wanted, lane: Lane, climbed: Climbed) -> LegProof {
        let id = wanted.pair.leg(lane);
        let on_disk = self.prediction.keys_behind(id);
        let (proof, not_proven) = match &climbed.proof {
            Ok(proof) => (Some(proof), Why::ProbeFailed),
            Err(why) => (None, *why),
        };
        let predicted = self
            .legs
            .obstacle(id)
            .unwrap_or_else(|| self.prediction.verdict(id));
        let judgement = judge(&Observed {
            astray: None,
            lane,
            predicted,
            proof,
            not_proven,
            inquiry: None,
            on_disk: &on_disk,
            // Of what other clients do at this server nothing is known here.
            labels: &[],
        });
        LegProof {
            pair: wanted.pair,
            lane,
            verdict: judgement.verdict,
            depth: Depth::Copy,
            dialled: self.legs.dialled(id).map(|name| name.to_string()),
            at: climbed.at,
        }
    }

    pub(super) fn reported(&self, wanted: &Wanted) -> Reported {
        let node = wanted.pair.destination;
        let my_ip = self.facts[node.index()].as_ref().and_then(|facts| {
            let nova = &facts.nova;
            nova.my_ip.clone().or_else(|| nova.default_my_ip.clone())
        });
        reported(&self.cloud, &self.dialled, &wanted.destination, my_ip)
    }

    /// A leg that was climbed for another move a moment ago needs no second climb, and one that broke does not keep the
    /// next move waiting for its deadline.
    pub(super) fn still_fresh(&self, wanted: &Wanted, lane: Lane) -> Option<LegProof> {
        let proof = self.proofs.get(&wanted.pair.leg(lane))?;
        let age = system::now().duration_since(proof.at);
        // Half of the time is left for Nova to be asked.
        let young = age * 2 < self.options.max_age() && !age.is_negative();
        let is_told = matches!(proof.verdict, Verdict::Verified | Verdict::Broken(_));
        (young && is_told).then(|| proof.clone())
    }

    /// It is certain that nothing was asked of Nova: again in a moment, from a fresh proof, but not for ever.
    pub(super) async fn not_sent(&mut self, index: usize, why: String) -> Result<(), MovesError> {
        let entry = &mut self.entries[index];
        entry.postpone(10);
        entry.unsent += 1;
        let last = entry.unsent >= UNSENT;
        self.record(index, Record::NotSent { why: why.clone() })
            .await?;
        if last {
            let why = format!("given up after {UNSENT} tries: {why}");
            self.give_up(index, End::NotStarted, &why).await?;
        }
        Ok(())
    }

    /// Nova has answered a request, or not.
    pub(super) async fn sent(&mut self, index: usize, written: Written) -> Result<(), MovesError> {
        let record = match written {
            Written::Accepted(answer) => Record::Accepted {
                request_id: answer.request_id,
            },
            Written::Refused(fault) if fault.status == 429 => {
                return self.not_sent(index, fault.to_string()).await;
            }
            Written::Refused(fault) => {
                if let Some(policy) = fault.policy() {
                    self.stop(format!("the right `{}` is missing", policy.today()));
                }
                // A resize has no other destination: Nova has chosen among all.
                let elsewhere = self.entries[index].tracked.kind != MoveKind::Resize
                    && fault.status == 400
                    && [
                        "No valid host",
                        "could not be found",
                        "Compute host",
                        "not available",
                    ]
                    .iter()
                    .any(|text| fault.message.contains(text));
                let more = self.behind(index, &fault).await;
                Record::Rejected {
                    why: format!("Nova refuses: {fault}{more}"),
                    elsewhere,
                }
            }
            Written::NotSent(why) => return self.not_sent(index, why).await,
            Written::Unknown { why, over } => Record::Uncertain { why, over },
        };
        self.record(index, record).await
    }

    /// What Nova's words of a refusal leave out.
    async fn behind(&self, index: usize, fault: &Fault) -> String {
        match fault.status {
            // A host of another cell is one that the cell's conductor does not find.
            400 if fault.message.contains("Compute host") => {
                " (if Nova has it, it is in another cell, and servers move within theirs)"
                    .to_owned()
            }
            // `ServiceUnavailable`: the source's nova-compute is not called up.
            409 if fault.message.contains("Service is unavailable") => {
                let missing = self.missing_of(index).await;
                missing.map_or_else(String::new, |it| format!(" ({it})"))
            }
            _ => String::new(),
        }
    }
}
