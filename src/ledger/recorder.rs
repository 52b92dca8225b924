//! Writes events while a run goes on, without holding it up.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::error::LedgerError;
use super::events::StoredEvent;
use super::open::Ledger;
use crate::domain::Event;

/// As many events as are written at once.
const BATCH: usize = 2000;
/// For how long events gather behind a batch that was written. A commit costs more than all the rest that a controller
/// does for a leg; whoever reads along (`clearway watch`) learns of an event this much later, and a run that is killed
/// lacks the events of this time. What must be known before it happens is not told by events: repairs and moves have
/// records of their own.
const GATHER: Duration = Duration::from_millis(250);

/// Takes the events of one run and writes them in batches: while one batch goes to the disk, the next one gathers.
///
/// A ledger that cannot be written does not stop the run: the first failure is kept and told at the end, and what comes
/// after it is dropped, so that what is stored has no holes.
#[derive(Debug)]
pub struct Recorder {
    /// `None` ends it.
    sender: UnboundedSender<Option<StoredEvent>>,
    writer: JoinHandle<Result<(), LedgerError>>,
}

impl Recorder {
    /// Starts to write to a run that [`Ledger::begin`] has opened. Needs a tokio runtime.
    #[must_use]
    pub fn start(ledger: Ledger, run: String) -> Self {
        let (sender, receiver) = unbounded_channel();
        Self {
            sender,
            writer: tokio::spawn(write(ledger, run, receiver)),
        }
    }

    /// A handle that records from anywhere, also from code that is not async.
    pub fn handle(&self) -> impl Fn(u64, Timestamp, &Event) + Send + Sync + 'static {
        let sender = self.sender.clone();
        move |seq, at, event| {
            let json =
                serde_json::to_string(event).expect("an event has nothing that JSON cannot say");
            // A writer that has failed is gone; its error is told by `finish`.
            let _ = sender.send(Some(StoredEvent { seq, at, json }));
        }
    }

    /// Waits until everything that was recorded so far is written; what comes later is dropped.
    ///
    /// # Errors
    /// The first failure to write.
    pub async fn finish(self) -> Result<(), LedgerError> {
        let _ = self.sender.send(None);
        match self.writer.await {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

async fn write(
    ledger: Ledger,
    run: String,
    mut receiver: UnboundedReceiver<Option<StoredEvent>>,
) -> Result<(), LedgerError> {
    let mut received = Vec::new();
    while !received.is_empty() || receiver.recv_many(&mut received, BATCH).await > 0 {
        let ended = received.iter().any(Option::is_none);
        let batch: Vec<StoredEvent> = received.drain(..).map_while(|event| event).collect();
        ledger.append(&run, &batch).await?;
        if ended {
            break;
        }
        let enough = tokio::time::sleep(GATHER);
        tokio::pin!(enough);
        while received.len() < BATCH && !received.iter().any(Option::is_none) {
            let room = BATCH - received.len();
            tokio::select! {
                () = &mut enough => break,
                came = receiver.recv_many(&mut received, room) => if came == 0 { break },
            }
        }
    }
    Ok(())
}
