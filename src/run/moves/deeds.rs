//! Single requests of an operator to Nova, each a record of its own: the intent is on the disk before the request is sent,
//! what came of it after. `clearway show RUN --format jsonl` has them.

use crate::domain::Event;
use crate::ledger::{Ledger, LedgerError, RunStart, StoredEvent};
use crate::openstack::compute::Server;
use crate::report::Settings;
use crate::system;

/// The journal of a run that asks Nova by hand.
pub(super) struct Deeds {
    ledger: Ledger,
    run: String,
    seq: u64,
}

impl Deeds {
    /// Opens a run.
    pub(super) async fn begin(ledger: Ledger, command: &str) -> Result<Self, LedgerError> {
        let started = system::now();
        let run = system::run_id(started);
        let start = RunStart {
            id: run.clone(),
            command: command.to_owned(),
            operator: system::user(),
            about: None,
            clearway: env!("CARGO_PKG_VERSION").to_owned(),
            // No node is connected to.
            inventory: String::new(),
            inventory_path: String::new(),
            settings: Settings::without_proof(),
            started,
            process: system::ProcessId::current(),
        };
        ledger.begin(&start).await?;
        Ok(Self {
            ledger,
            run,
            seq: 0,
        })
    }

    /// The run's id.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// The intent. It is on the disk when this returns.
    pub(super) async fn asking(&mut self, server: &Server, what: &str) -> Result<(), LedgerError> {
        self.record(&Event::NovaAsking {
            server: server.id.to_string(),
            name: server.name.clone(),
            what: what.to_owned(),
        })
        .await
    }

    /// What came of it.
    pub(super) async fn asked(
        &mut self,
        server: &str,
        name: &str,
        what: &str,
        outcome: &str,
        detail: &str,
    ) -> Result<(), LedgerError> {
        self.record(&Event::NovaAsked {
            server: server.to_owned(),
            name: name.to_owned(),
            what: what.to_owned(),
            outcome: outcome.to_owned(),
            detail: detail.to_owned(),
        })
        .await
    }

    async fn record(&mut self, event: &Event) -> Result<(), LedgerError> {
        self.seq += 1;
        let stored = StoredEvent {
            seq: self.seq,
            at: system::now(),
            json: serde_json::to_string(event).expect("an event has nothing that JSON cannot say"),
        };
        self.ledger.append(&self.run, &[stored]).await
    }

    /// Closes the run.
    pub(super) async fn finish(self, exit_code: u8) -> Result<String, LedgerError> {
        self.ledger
            .finish_moves(&self.run, system::now(), false, exit_code)
            .await?;
        Ok(self.run)
    }
}
