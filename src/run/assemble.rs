//! From what was surveyed, predicted, proven and asked to the report.

use std::collections::{BTreeMap, BTreeSet};

use super::examine::Tried;
use super::request::Request;
use super::survey::Surveyed;
use crate::domain::{
    Evidence, Finding, Fleet, Lane, LegId, NodeId, Pair, Placeholders, Predicted, Proof, Proven,
    Reason, Verdict, Why, fold,
};
use crate::report::{
    Counts, FindingReport, FoldedLegs, LegReport, NodeReport, ProvenEarlier, Report,
    SCHEMA_VERSION, Settings, Summary, exit,
};
use crate::trust::legs::{Address, Legs};
use crate::trust::verdict::{Inquiry, LegResult, Observed, common_placeholders, final_step};
use crate::trust::{PairScope, Prediction, Rounds, facts_digest, labels_on_the_way};

/// What a refused or dropped leg's far end said.
#[derive(Debug, Clone, Default)]
pub(super) struct Answered {
    pub(super) reason: Option<Reason>,
    pub(super) evidence: Vec<Evidence>,
}

/// Everything that a run brought to light.
pub(super) struct Outcome<'a> {
    pub(super) request: &'a Request,
    pub(super) surveyed: &'a Surveyed,
    pub(super) legs: &'a Legs,
    pub(super) prediction: &'a Prediction<'a>,
    pub(super) scope: &'a PairScope,
    pub(super) rounds: &'a Rounds,
    pub(super) tried: &'a Tried,
    pub(super) earlier: Option<ProvenEarlier>,
    pub(super) findings: Vec<Finding>,
    pub(super) interrupted: bool,
}

impl Outcome<'_> {
    /// The report. `each` is shown every leg that gets a row in it.
    pub(super) fn report(
        mut self,
        settings: Settings,
        started: String,
        finished: String,
        mut each: impl FnMut(&LegResult),
    ) -> Report {
        let mut summary = Summary {
            nodes: self.request.selected.len() as u64,
            surveyed: self.request.selected.len() as u64 - self.surveyed.failures.len() as u64,
            ..Summary::default()
        };
        let mut rows = Vec::new();
        let mut folded = Folder::default();
        for &source in self.scope.nodes() {
            for destination in self.scope.destinations(source) {
                let pair = Pair {
                    source,
                    destination,
                };
                if !self.request.looks_at(pair) {
                    continue;
                }
                let mut verdicts = Vec::new();
                for &lane in &self.request.lanes {
                    let id = pair.leg(lane);
                    let chosen = self.request.prove && self.rounds.contains(id);
                    let predicted = self.predicted(id);
                    if !chosen && predicted == Predicted::Works {
                        folded.add(lane, pair);
                        verdicts.push(Verdict::Unproven(Why::PredictedOnly));
                        continue;
                    }
                    if !chosen && matches!(predicted, Predicted::NotNeeded(_)) {
                        if let Predicted::NotNeeded(why) = predicted {
                            verdicts.push(Verdict::NotNeeded(why));
                        }
                        continue;
                    }
                    let result = self.judge(id, predicted);
                    verdicts.push(result.verdict);
                    let facts = self.surveyed.facts[id.server.index()].as_ref();
                    let addresses = facts.map_or(&[][..], |facts| &facts.addresses);
                    self.findings
                        .extend(result.findings(&self.request.fleet, addresses));
                    each(&result);
                    rows.push(self.row(&result));
                }
                for &verdict in &verdicts {
                    count(&mut summary.legs, verdict);
                }
                if let Some(verdict) = Verdict::of_pair(verdicts) {
                    count(&mut summary.pairs, verdict);
                }
            }
            folded.end_row(source);
        }
        summary.exit_code = exit::code_of(&summary, self.interrupted);
        let findings = std::mem::take(&mut self.findings);
        Report {
            schema: SCHEMA_VERSION,
            clearway: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.request.run.clone(),
            command: self.request.command.to_owned(),
            started,
            finished,
            inventory: self.request.inventory.clone(),
            settings,
            interrupted: self.interrupted,
            summary,
            nodes: self
                .request
                .selected
                .iter()
                .map(|&id| self.node(id))
                .collect(),
            legs: rows,
            predicted_only: folded.finish(&self.request.fleet),
            proven_earlier: self.earlier.take(),
            findings: merge(findings),
            repair: None,
        }
    }

    fn predicted(&self, id: LegId) -> Predicted {
        self.legs
            .obstacle(id)
            .unwrap_or_else(|| self.prediction.verdict(id))
    }

    fn judge(&self, id: LegId, predicted: Predicted) -> LegResult {
        let proof = self.tried.proofs.get(&id);
        // Of a leg that works and should, nothing is told: most legs of a large fleet need no explanation.
        let as_it_should = predicted == Predicted::Works
            && proof.is_some_and(|proof| {
                proof.outcome == Proven::Works && proof.reached >= Some(final_step(id.lane))
            });
        let (evidence, values) = if as_it_should {
            Default::default()
        } else if self.legs.obstacle(id).is_some() {
            (self.legs.evidence(id), Placeholders::default())
        } else {
            let explained = self.prediction.explain(id);
            (explained.evidence, explained.values)
        };
        let on_disk = if as_it_should {
            Vec::new()
        } else {
            self.prediction.keys_behind(id)
        };
        let answer = self.tried.answers.get(&id);
        let labels = labels_on_the_way(
            &self.request.fleet,
            &self.surveyed.facts,
            self.prediction,
            (id, proof),
            &self.tried.proofs,
        );
        let astray = proof.and_then(|proof| self.astray(id, proof));
        let observed = Observed {
            astray: astray.as_ref().map(|(reason, shown)| (*reason, shown)),
            lane: id.lane,
            predicted,
            proof,
            not_proven: self.not_proven(id, predicted),
            inquiry: answer.map(|it| Inquiry {
                reason: it.reason,
                evidence: &it.evidence,
            }),
            on_disk: &on_disk,
            labels: &labels,
        };
        let common = if as_it_should {
            Placeholders::default()
        } else {
            common_placeholders(&self.request.fleet, self.legs, self.prediction, id)
        };
        LegResult::new(
            id,
            self.legs.dialled(id),
            &observed,
            (evidence, values),
            &common,
        )
    }

    /// Whether the client dialled itself or a third node in place of the server.
    fn astray(&self, id: LegId, proof: &Proof) -> Option<(Reason, Evidence)> {
        let address = proof.address?.to_canonical();
        let owns = |node: NodeId| {
            let facts = self.surveyed.facts[node.index()].as_ref()?;
            let mut own = facts.addresses.iter().map(|it| it.to_canonical());
            Some(own.any(|it| it == address))
        };
        if owns(id.server)? && !address.is_loopback() {
            return None;
        }
        let name = |node| self.request.fleet.node(node).name.to_string();
        let (reason, whose) = if address.is_loopback() {
            (Reason::AddressLoopback, name(id.client))
        } else {
            let others = self.request.selected.iter().copied();
            let mut owners = others.filter(|&node| owns(node) == Some(true));
            (Reason::NameResolvesElsewhere, name(owners.next()?))
        };
        let shown = Evidence::Fact {
            node: Some(name(id.client)),
            text: format!("dialled {address}, an address of {whose}"),
        };
        Some((reason, shown))
    }

    /// Why there is no proof of a leg.
    fn not_proven(&self, id: LegId, predicted: Predicted) -> Why {
        if !self.request.prove || !self.rounds.contains(id) {
            return Why::PredictedOnly;
        }
        if let Some(failure) = self.surveyed.failures.get(&id.client) {
            return failure.why;
        }
        // Without a name to dial there was nothing to try.
        if let (Predicted::Unknown(why), None) = (predicted, self.legs.leg(id)) {
            return why;
        }
        if let Some(&why) = self.tried.unproven.get(&id.client) {
            return why;
        }
        if self.surveyed.failures.contains_key(&id.server) {
            return Why::NotSurveyed;
        }
        if self.interrupted {
            Why::Interrupted
        } else {
            Why::ProbeFailed
        }
    }

    fn row(&self, result: &LegResult) -> LegReport {
        let name = |id| self.request.fleet.node(id).name.to_string();
        let pair = result.id.pair();
        let (predicted, predicted_code) = match result.predicted {
            Predicted::Works => ("works", None),
            Predicted::Breaks(reason) => ("breaks", Some(reason.code())),
            Predicted::Unknown(why) => ("unknown", Some(why.code())),
            Predicted::NotNeeded(why) => ("not-needed", Some(why.code())),
        };
        LegReport {
            lane: result.id.lane,
            source: name(pair.source),
            destination: name(pair.destination),
            client: name(result.id.client),
            server: name(result.id.server),
            dialled: result.dialled.as_deref().map(str::to_owned),
            verdict: result.verdict.kind().to_owned(),
            code: result.verdict.code().map(str::to_owned),
            step: match result.verdict {
                Verdict::Broken(reason) => Some(reason.step()),
                _ => None,
            },
            predicted: predicted.to_owned(),
            predicted_code: predicted_code.map(str::to_owned),
            proven: result
                .proof
                .as_ref()
                .map(|proof| outcome_word(proof.outcome).to_owned()),
            proven_code: result.proven_code().map(str::to_owned),
            reached: result.proof.as_ref().and_then(|proof| proof.reached),
            millis: result.proof.as_ref().map(|proof| proof.millis),
            evidence: if self.request.command == "trace" && result.evidence.is_empty() {
                // A trace shows what a healthy leg rests on, too.
                result
                    .proof
                    .as_ref()
                    .map(|proof| proof.evidence.clone())
                    .unwrap_or_default()
            } else {
                result.evidence.clone()
            },
            remedy: result.remedy.clone(),
        }
    }

    fn node(&self, id: NodeId) -> NodeReport {
        let node = self.request.fleet.node(id);
        let name = |address: &Address| address.name().map(|it| it.to_string());
        let failure = self.surveyed.failures.get(&id);
        let facts = self.surveyed.facts[id.index()].as_ref();
        NodeReport {
            name: node.name.to_string(),
            surveyed: facts.is_some(),
            why: failure.map(|it| it.why.code().to_owned()),
            detail: failure.map(|it| it.detail.clone()),
            remedy: failure.map(|it| {
                Placeholders::default()
                    .with("node", node.name.as_str())
                    .fill(it.why.remedy())
            }),
            service_host: name(self.legs.address(id, &node.profile.cold_pull.dial)),
            migration_address: name(self.legs.address(id, &node.profile.cold_push.dial)),
            facts_digest: facts.map(|facts| facts_digest(node, facts)),
            gaps: facts.map(|facts| facts.gaps.clone()).unwrap_or_default(),
        }
    }
}

/// `works`, `breaks`, `refused` or `unknown`.
pub(super) fn outcome_word(outcome: Proven) -> &'static str {
    match outcome {
        Proven::Works => "works",
        Proven::Breaks(_) => "breaks",
        Proven::Refused => "refused",
        Proven::Unknown(_) => "unknown",
    }
}

fn count(counts: &mut Counts, verdict: Verdict) {
    counts.total += 1;
    match verdict {
        Verdict::Verified => counts.verified += 1,
        Verdict::Broken(_) => counts.broken += 1,
        Verdict::Unproven(Why::PredictedOnly) => counts.predicted_only += 1,
        Verdict::Unproven(_) => counts.unproven += 1,
        Verdict::NotNeeded(_) => counts.not_needed += 1,
    }
}

/// Legs that are only predicted, as rectangles: sources with the same destinations together. A node counts as one of
/// its own destinations, so that a full mesh is one rectangle, and one row is kept of it.
#[derive(Default)]
struct Folder {
    row: BTreeMap<Lane, Vec<NodeId>>,
    rectangles: BTreeMap<(Lane, Vec<NodeId>), Vec<NodeId>>,
}

impl Folder {
    fn add(&mut self, lane: Lane, pair: Pair) {
        self.row.entry(lane).or_default().push(pair.destination);
    }

    /// The row of a source is complete.
    fn end_row(&mut self, source: NodeId) {
        for (lane, mut destinations) in std::mem::take(&mut self.row) {
            let place = destinations.partition_point(|&id| id < source);
            destinations.insert(place, source);
            self.rectangles
                .entry((lane, destinations))
                .or_default()
                .push(source);
        }
    }

    fn finish(self, fleet: &Fleet) -> Vec<FoldedLegs> {
        let names = |ids: &[NodeId]| fold(ids.iter().map(|&id| fleet.node(id).name.as_str()));
        self.rectangles
            .into_iter()
            .map(|((lane, mut destinations), sources)| {
                let count = sources.len() as u64 * (destinations.len() as u64 - 1);
                if let [alone] = sources[..] {
                    destinations.retain(|&id| id != alone);
                }
                FoldedLegs {
                    lane,
                    sources: names(&sources),
                    destinations: names(&destinations),
                    count,
                }
            })
            .collect()
    }
}

/// Findings with the same words become one row.
fn merge(findings: Vec<Finding>) -> Vec<FindingReport> {
    let mut merged: BTreeMap<_, (BTreeSet<String>, Vec<Evidence>)> = BTreeMap::new();
    for finding in findings {
        let (nodes, evidence) = merged
            .entry((finding.code, finding.detail))
            .or_insert_with(|| (BTreeSet::new(), finding.evidence));
        nodes.extend(finding.nodes);
        evidence.truncate(8);
    }
    merged
        .into_iter()
        .map(|((code, detail), (nodes, evidence))| {
            let names = fold(&nodes);
            FindingReport {
                code: code.code().to_owned(),
                severity: code.severity(),
                nodes: names.clone(),
                detail,
                evidence,
                remedy: Placeholders::default()
                    .with("nodes", names)
                    .fill(code.remedy()),
            }
        })
        .collect()
}
