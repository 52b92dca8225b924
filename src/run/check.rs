//! Survey, predict, prove, ask, judge.

use std::sync::Arc;

use super::error::RunError;
use super::examine::{Beginning, examine};
use super::journal::Journal;
use super::request::{PairsMode, Request, Surroundings};
use super::survey::survey;
use crate::domain::{Event, Lane, Pair};
use crate::remote::Connector;
use crate::report::{Report, Settings};
use crate::system;
use crate::trust::PairScope;

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

    let beginning = Beginning { started, settings };
    let examined = examine(
        &request,
        &around,
        &surveyed,
        &journal,
        &beginning,
        None,
        |_| (),
    );
    let report = match examined.await {
        Ok(examined) => examined.report,
        Err(error) => {
            journal.fail(&error).await;
            return Err(error);
        }
    };
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
    journal.end(report).await
}

impl Request {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            limit: self.limit.clone(),
            depth: self.depth,
            pairs: self.pairs.to_string(),
            no_write: self.no_write,
            lanes: if self.lanes.len() == Lane::ALL.len() {
                Vec::new()
            } else {
                self.lanes.iter().copied().collect()
            },
        }
    }

    /// A trace looks at one pair only, a check at every pair in scope.
    pub(super) fn looks_at(&self, pair: Pair) -> bool {
        match self.pairs {
            PairsMode::Only(only) => only == pair,
            _ => true,
        }
    }

    pub(super) fn pairs_in(&self, scope: &PairScope) -> u64 {
        match self.pairs {
            PairsMode::Only(_) => 1,
            _ => scope.len(),
        }
    }
}
