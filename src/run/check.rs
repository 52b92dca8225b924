//! Survey, predict, prove, ask, judge.

use std::collections::HashMap;
use std::sync::Arc;

use super::assemble::Outcome;
use super::error::RunError;
use super::inquire::inquire;
use super::journal::Journal;
use super::pairs::selection;
use super::prove::prove;
use super::request::{PairsMode, Request, Surroundings};
use super::survey::survey;
use crate::domain::{Event, Lane, LegId, Pair, Phase, Predicted};
use crate::remote::Connector;
use crate::report::{Report, Settings};
use crate::system;
use crate::trust::legs::Legs;
use crate::trust::{PairScope, Prediction, Rounds, findings};

/// Checks what is asked for, records it, and reports. A trace is a check of one pair.
///
/// The first interrupt lets nothing new start; what was found until then is reported, the rest as `interrupted`.
///
/// # Errors
/// Only what keeps the run from being done at all: see [`RunError`].
pub async fn check(request: Request, around: Surroundings) -> Result<Report, RunError> {
    let started = system::now();
    let settings = request.settings();
    let journal = Journal::begin(&request, &settings, &around, started).await?;
    let fleet = request.fleet.clone();
    let scope = PairScope::among(&fleet, request.selected.iter().copied());
    journal.event(&Event::RunStarted {
        run: request.run.clone(),
        command: request.command.to_owned(),
        nodes: request.selected.len() as u64,
        pairs: request.pairs_in(&scope),
        depth: request.depth,
    });

    let connector = Arc::new(Connector::new(
        around.environment.clone(),
        request.deadlines,
    ));
    let surveyed = survey(&request, &around, &connector, &journal).await;

    journal.progress(Phase::Predict, 0, 1, Vec::new());
    let legs = Legs::new(&fleet, &surveyed.facts);
    let prediction = Prediction::new(&fleet, &surveyed.facts, &legs, &scope);
    let selection = match selection(&request, &around, &surveyed, &legs).await {
        Ok(selection) => selection,
        Err(error) => {
            journal.fail(&error).await;
            return Err(error);
        }
    };
    let lanes: Vec<Lane> = request.lanes.iter().copied().collect();
    let rounds = Rounds::new(scope.clone(), selection, &lanes);
    let predicted = |id| legs.obstacle(id).unwrap_or_else(|| prediction.verdict(id));
    journal.event(&count_predictions(&request, &scope, &rounds, &predicted));

    let mut proofs = HashMap::new();
    let mut unproven = HashMap::new();
    let mut answers = HashMap::new();
    if request.prove && !around.cancel.is_cancelled() {
        let since = system::Stopwatch::start();
        let proven = prove(
            &request, &around, &surveyed, &legs, &rounds, &predicted, &journal,
        )
        .await;
        proofs = proven.proofs;
        unproven = proven.failed;
        if !around.cancel.is_cancelled() {
            answers = inquire(
                &request,
                &around,
                &surveyed,
                &prediction,
                &mut proofs,
                &since,
                &journal,
            )
            .await;
        }
    }

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
    let finished = system::now();
    let report = Outcome {
        request: &request,
        surveyed: &surveyed,
        legs: &legs,
        prediction: &prediction,
        scope: &scope,
        rounds: &rounds,
        proofs,
        unproven,
        answers,
        findings: found,
        interrupted,
    }
    .report(settings, rfc3339(started), rfc3339(finished));
    journal.event(&Event::RunFinished {
        run: report.run.clone(),
        broken: report.summary.legs.broken,
        unproven: report.summary.legs.unproven,
        exit_code: report.summary.exit_code,
    });
    for connection in surveyed.connections.into_values() {
        if let Some(connection) = Arc::into_inner(connection) {
            tokio::spawn(connection.close());
        }
    }
    match journal.finish(&report, finished).await {
        Ok(()) => Ok(report),
        Err(source) => Err(RunError::Unrecorded {
            report: Box::new(report),
            source,
        }),
    }
}

fn count_predictions(
    request: &Request,
    scope: &PairScope,
    rounds: &Rounds,
    predicted: &dyn Fn(LegId) -> Predicted,
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

fn rfc3339(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}

impl Request {
    fn settings(&self) -> Settings {
        Settings {
            limit: self.limit.clone(),
            depth: self.depth,
            pairs: self.pairs.to_string(),
            no_write: self.no_write,
        }
    }

    /// A trace looks at one pair only, a check at every pair in scope.
    pub(super) fn looks_at(&self, pair: Pair) -> bool {
        match self.pairs {
            PairsMode::Only(only) => only == pair,
            _ => true,
        }
    }

    fn pairs_in(&self, scope: &PairScope) -> u64 {
        match self.pairs {
            PairsMode::Only(_) => 1,
            _ => scope.len(),
        }
    }
}
