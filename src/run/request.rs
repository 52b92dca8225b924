//! What a check or a trace is asked to do, and what it needs from outside.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::{Depth, Fleet, Lane, NodeId, Observer, Pair};
use crate::ledger::Ledger;
use crate::remote::{Deadlines, Environment};

/// Which pairs are proven. What is not proven is reported as predicted only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairsMode {
    /// Every pair in scope.
    All,
    /// From each node to the next.
    Ring,
    /// From each node to this many others.
    Sample(u32),
    /// Pairs with an end whose facts changed since the last complete check of this inventory, and pairs that it did
    /// not find verified.
    Changed,
    /// One pair: a trace.
    Only(Pair),
}

/// What a check is asked to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// The run's id, made by `system::run_id`.
    pub run: String,
    /// `check` or `trace`.
    pub command: &'static str,
    /// The inventory.
    pub fleet: Arc<Fleet>,
    /// The nodes that take part; pairs are formed among them.
    pub selected: Vec<NodeId>,
    /// Where the inventory came from, for the report.
    pub inventory: String,
    /// Its absolute path: what proofs in the ledger belong to.
    pub inventory_path: String,
    /// `--limit` as given, for the report.
    pub limit: Option<String>,
    /// The lanes to look at.
    pub lanes: BTreeSet<Lane>,
    /// How far proof climbs.
    pub depth: Depth,
    /// Which pairs are proven.
    pub pairs: PairsMode,
    /// Whether nothing may be written on the far ends.
    pub no_write: bool,
    /// Whether anything is proven at all; without, only the survey and the prediction are done.
    pub prove: bool,
    /// Nodes that are connected to at the same time.
    pub concurrency: usize,
    /// Legs that one node climbs at the same time.
    pub workers: u32,
    /// Deadlines of the control connections.
    pub deadlines: Deadlines,
    /// How long the survey of one node may take.
    pub survey_timeout: Duration,
    /// Whether the keys that the control connections' accounts let in are looked at as well.
    pub control_accounts: bool,
    /// How long one leg may take on its client.
    pub leg_timeout: Duration,
    /// Seed of samples and pauses.
    pub seed: u64,
}

impl Request {
    /// Whether it is a command about keys (`clearway keys …`).
    #[must_use]
    pub fn is_about_keys(&self) -> bool {
        self.command.starts_with("keys ")
    }
}

/// What a run needs from outside.
#[derive(Clone)]
pub struct Surroundings {
    /// The operator's surroundings, for control connections.
    pub environment: Environment,
    /// Where the run is kept; `None` with `--no-ledger`.
    pub ledger: Option<Ledger>,
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
    /// Whether to start nothing new.
    pub cancel: Cancel,
}

/// Becomes true once, on the first interrupt.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<bool>);

/// The other end of a [`Cancel`].
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

impl Canceller {
    /// A canceller and what it cancels.
    #[must_use]
    pub fn pair() -> (Self, Cancel) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Cancel(receiver))
    }

    /// Asks for nothing new to be started.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Cancel {
    /// Whether it was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is asked for; never, when nobody can ask any more.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|&cancelled| cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
