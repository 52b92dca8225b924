//! Every event goes to the observer and, numbered and dated, to the ledger.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::RunError;
use super::request::{Request, Surroundings};
use crate::domain::{Event, Observer, Phase, Progress};
use crate::ledger::{Ledger, LedgerError, Recorder, RunStart};
use crate::report::{Report, Settings, exit};
use crate::system;

type Record = Box<dyn Fn(u64, jiff::Timestamp, &Event) + Send + Sync>;

/// Where the events of one run go.
pub(super) struct Journal {
    observer: std::sync::Arc<dyn Observer>,
    record: Option<Record>,
    recorder: Option<(Ledger, Recorder)>,
    sequence: AtomicU64,
    run: String,
}

impl Journal {
    /// Opens the run of a request.
    pub(super) async fn begin(
        request: &Request,
        settings: &Settings,
        around: &Surroundings,
        started: jiff::Timestamp,
    ) -> Result<Self, LedgerError> {
        let start = RunStart {
            id: request.run.clone(),
            command: request.command.to_owned(),
            operator: system::user(),
            about: None,
            clearway: env!("CARGO_PKG_VERSION").to_owned(),
            inventory: request.inventory.clone(),
            inventory_path: request.inventory_path.clone(),
            settings: settings.clone(),
            started,
            process: system::ProcessId::current(),
        };
        Self::open(start, around).await
    }

    /// Opens a run in the ledger, if there is one, before anything happens.
    pub(super) async fn open(start: RunStart, around: &Surroundings) -> Result<Self, LedgerError> {
        let mut record: Option<Record> = None;
        let mut recorder = None;
        if let Some(ledger) = &around.ledger {
            ledger.begin(&start).await?;
            let writer = Recorder::start(ledger.clone(), start.id.clone());
            record = Some(Box::new(writer.handle()));
            recorder = Some((ledger.clone(), writer));
        }
        Ok(Self {
            observer: around.observer.clone(),
            record,
            recorder,
            sequence: AtomicU64::new(0),
            run: start.id,
        })
    }

    /// Goes on with a run of this ledger whose process is gone.
    pub(super) async fn resume(
        run: &str,
        ledger: &Ledger,
        around: &Surroundings,
    ) -> Result<Self, LedgerError> {
        let before = ledger.events(run).await?;
        ledger
            .adopt(run, system::ProcessId::current().as_ref())
            .await?;
        let writer = Recorder::start(ledger.clone(), run.to_owned());
        Ok(Self {
            observer: around.observer.clone(),
            record: Some(Box::new(writer.handle())),
            recorder: Some((ledger.clone(), writer)),
            sequence: AtomicU64::new(before.last().map_or(0, |event| event.seq)),
            run: run.to_owned(),
        })
    }

    /// Tells the observer only: what is done belongs to a run that has its events already.
    pub(super) fn unrecorded(run: &str, around: &Surroundings) -> Self {
        Self {
            observer: around.observer.clone(),
            record: None,
            recorder: None,
            sequence: AtomicU64::new(0),
            run: run.to_owned(),
        }
    }

    /// Waits until every event is written; the end of the run is recorded by whoever knows it.
    pub(super) async fn close(self) -> Result<(), LedgerError> {
        if let Some((_, recorder)) = self.recorder {
            drop(self.record);
            recorder.finish().await?;
        }
        Ok(())
    }

    /// Something happened.
    pub(super) fn event(&self, event: &Event) {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(record) = &self.record {
            record(sequence, system::now(), event);
        }
        self.observer.event(event);
    }

    /// Something is worth a look and not worth keeping: the observer is told, the ledger is not.
    pub(super) fn show(&self, event: &Event) {
        self.observer.event(event);
    }

    /// Something is being waited for.
    pub(super) fn progress(&self, phase: Phase, done: usize, total: usize, waiting: Vec<String>) {
        self.observer.progress(&Progress {
            phase,
            done: done as u64,
            total: total as u64,
            waiting_for: waiting,
        });
    }

    /// Closes the run in the ledger with its report.
    pub(super) async fn finish(
        self,
        report: &Report,
        finished: jiff::Timestamp,
    ) -> Result<(), LedgerError> {
        if let Some((ledger, recorder)) = self.recorder {
            drop(self.record);
            recorder.finish().await?;
            ledger.finish(report, finished).await?;
        }
        Ok(())
    }

    /// Closes the run in the ledger with its report, now.
    ///
    /// # Errors
    /// The ledger cannot be written; the report comes with the error.
    pub(super) async fn end(self, report: Report) -> Result<Report, RunError> {
        match self.finish(&report, system::now()).await {
            Ok(()) => Ok(report),
            Err(source) => Err(RunError::Unrecorded {
                report: Box::new(report),
                source,
            }),
        }
    }

    /// Closes the run in the ledger as one that could not do its work. What keeps that from being recorded is not worth
    /// hiding the failure itself.
    pub(super) async fn fail(self, error: &RunError) {
        if let Some((ledger, recorder)) = self.recorder {
            let _ = recorder.finish().await;
            let text =
                std::iter::successors(Some(error as &dyn std::error::Error), |it| it.source())
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(": ");
            let _ = ledger
                .fail(&self.run, system::now(), exit::USAGE, &text)
                .await;
        }
    }
}
