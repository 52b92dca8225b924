//! Predict, prove, ask, judge: what is made of a surveyed fleet.

use std::collections::{HashMap, HashSet};

use super::assemble::{Answered, Outcome};
use super::error::RunError;
use super::inquire::inquire;
use super::journal::Journal;
use super::pairs::selection;
use super::prove::prove;
use super::request::{Request, Surroundings};
use super::survey::Surveyed;
use crate::domain::{Event, Lane, LegId, NodeId, Pair, Phase, Predicted, Proof, Why};
use crate::repair::{Seen, Situation};
use crate::report::{Report, Settings};
use crate::system;
use crate::trust::legs::Legs;
use crate::trust::{PairScope, Prediction, Rounds, Selection, findings};

/// What was tried, and what came of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Tried {
    /// Legs that were climbed.
    pub(super) proofs: HashMap<LegId, Proof>,
    /// Why legs that should have been proven were not, by client.
    pub(super) unproven: HashMap<NodeId, Why>,
    /// What servers said of legs that they refused.
    pub(super) answers: HashMap<LegId, Answered>,
}

impl Tried {
    /// Forgets what was found of legs with an end among these nodes.
    fn forget(&mut self, nodes: &HashSet<NodeId>) {
        let other = |id: &LegId| !nodes.contains(&id.client) && !nodes.contains(&id.server);
        self.proofs.retain(|id, _| other(id));
        self.answers.retain(|id, _| other(id));
        self.unproven.clear();
    }
}

/// What is proven by an examination that goes on from an earlier one.
pub(super) enum Again<'a> {
    /// The legs with an end among these nodes, whatever was found of them.
    Touching(&'a HashSet<NodeId>),
    /// The pairs of which no leg was climbed.
    Untried,
}

/// What an examination brought.
pub(super) struct Examined<T> {
    /// The report, of all pairs that the request looks at.
    pub(super) report: Report,
    /// Everything that was tried, for an examination of a part later.
    pub(super) tried: Tried,
    /// What the caller made of it.
    pub(super) made: T,
}

/// When the run began, and how it was asked to look.
#[derive(Debug, Clone)]
pub(super) struct Beginning {
    pub(super) started: jiff::Timestamp,
    pub(super) settings: Settings,
}

/// Predicts every leg, proves those that are asked for, and judges them all. With what was tried `before`, only those legs
/// are proven that are to be tried again, and the rest is taken from there. `then` is given all that is known.
///
/// # Errors
/// `--pairs changed` has nothing to compare with, or the ledger cannot be read.
pub(super) async fn examine<T>(
    request: &Request,
    around: &Surroundings,
    surveyed: &Surveyed,
    journal: &Journal,
    beginning: &Beginning,
    before: Option<(Tried, Again<'_>)>,
    then: impl FnOnce(&Situation<'_>) -> T,
) -> Result<Examined<T>, RunError> {
    let fleet = request.fleet.clone();
    let scope = PairScope::among(&fleet, request.selected.iter().copied());
    journal.progress(Phase::Predict, 0, 1, Vec::new());
    let legs = Legs::new(&fleet, &surveyed.facts);
    let prediction = Prediction::new(&fleet, &surveyed.facts, &legs, &scope);
    let lanes: Vec<Lane> = request.lanes.iter().copied().collect();
    let predicted = |id| legs.obstacle(id).unwrap_or_else(|| prediction.verdict(id));
    let chosen = selection(request, around, surveyed, &predicted).await?;
    let rounds = Rounds::new(scope.clone(), chosen.selection, &lanes);
    let (mut tried, to_prove) = match before {
        None => (Tried::default(), rounds.clone()),
        Some((mut tried, again)) => {
            let selection = match again {
                Again::Touching(changed) => {
                    tried.forget(changed);
                    Selection::Touching(changed.clone())
                }
                Again::Untried => {
                    tried.unproven.clear();
                    Selection::Only(untried(&scope, &lanes, &tried))
                }
            };
            (tried, Rounds::new(scope.clone(), selection, &lanes))
        }
    };
    journal.event(&count_predictions(request, &scope, &to_prove, &predicted));

    if request.prove && !around.cancel.is_cancelled() {
        let since = system::Stopwatch::start();
        let proven = prove(
            request, around, surveyed, &legs, &to_prove, &predicted, journal,
        )
        .await;
        let mut proofs = proven.proofs;
        if !around.cancel.is_cancelled() {
            let answers = inquire(
                request,
                around,
                surveyed,
                &prediction,
                &mut proofs,
                &since,
                journal,
            )
            .await;
            tried.answers.extend(answers);
        }
        tried.proofs.extend(proofs);
        tried.unproven.extend(proven.failed);
    }

    let started = beginning.started;
    let found = findings::find(
        &fleet,
        &surveyed.facts,
        &legs,
        &scope,
        &surveyed.host_keys,
        started.as_second(),
    );
    let interrupted = around.cancel.is_cancelled();
    if interrupted {
        journal.event(&Event::Interrupted);
    }
    let mut seen: HashMap<LegId, Seen> = HashMap::new();
    let report = Outcome {
        request,
        surveyed,
        legs: &legs,
        prediction: &prediction,
        scope: &scope,
        rounds: &rounds,
        tried: &tried,
        earlier: chosen.earlier,
        findings: found,
        interrupted,
    }
    .report(
        beginning.settings.clone(),
        rfc3339(started),
        rfc3339(system::now()),
        |result| {
            // A check has no use for it, and a large fleet has millions of legs.
            if request.command == "repair" || request.is_about_keys() {
                seen.insert(result.id, Seen::of(result));
            }
        },
    );
    let made = then(&Situation {
        fleet: &fleet,
        facts: &surveyed.facts,
        legs: &legs,
        prediction: &prediction,
        scope: &scope,
        seen: &seen,
        inventory: &request.inventory_path,
    });
    Ok(Examined {
        report,
        tried,
        made,
    })
}

fn untried(scope: &PairScope, lanes: &[Lane], tried: &Tried) -> HashSet<Pair> {
    let mut pairs = HashSet::new();
    for &source in scope.nodes() {
        for destination in scope.destinations(source) {
            let pair = Pair {
                source,
                destination,
            };
            let mut legs = lanes.iter().map(|&lane| pair.leg(lane));
            if !legs.any(|id| tried.proofs.contains_key(&id)) {
                pairs.insert(pair);
            }
        }
    }
    pairs
}

fn count_predictions(
    request: &Request,
    scope: &PairScope,
    rounds: &Rounds,
    predicted: &(dyn Fn(LegId) -> Predicted + Sync),
) -> Event {
    let (mut works, mut breaks, mut unknown, mut not_needed, mut to_prove) = (0, 0, 0, 0, 0);
    for &source in scope.nodes() {
        for destination in scope.destinations(source) {
            let pair = Pair {
                source,
                destination,
            };
            if !request.looks_at(pair) {
                continue;
            }
            for &lane in &request.lanes {
                let id = pair.leg(lane);
                match predicted(id) {
                    Predicted::Works => works += 1,
                    Predicted::Breaks(_) => breaks += 1,
                    Predicted::Unknown(_) => unknown += 1,
                    Predicted::NotNeeded(_) => {
                        not_needed += 1;
                        continue;
                    }
                }
                if request.prove && rounds.contains(id) {
                    to_prove += 1;
                }
            }
        }
    }
    Event::Predicted {
        works,
        breaks,
        unknown,
        not_needed,
        to_prove,
    }
}

/// A time as reports have it.
pub(super) fn rfc3339(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}
