//! The same work on many nodes, a bounded number at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::vec;

use tokio::task::{Id, JoinSet};

use super::connector::{Connection, Connector};
use super::error::ControlError;
use crate::domain::{Fleet, NodeId};

/// Connects to each of `nodes` and does `work` there; at most `concurrency` nodes (at least one) at a time.
///
/// `work` gets the connection and may keep it in its result, for a second program later. Must be called within a
/// tokio runtime.
pub fn run_on_all<T, W, F>(
    connector: Arc<Connector>,
    fleet: Arc<Fleet>,
    nodes: Vec<NodeId>,
    concurrency: usize,
    work: W,
) -> Completions<T, W>
where
    T: Send + 'static,
    W: Fn(NodeId, Connection) -> F + Clone + Send + 'static,
    F: Future<Output = Result<T, ControlError>> + Send + 'static,
{
    let mut completions = Completions {
        connector,
        fleet,
        waiting: nodes.into_iter(),
        work,
        running: JoinSet::new(),
        nodes: HashMap::new(),
    };
    for _ in 0..concurrency.max(1) {
        completions.start_next();
    }
    completions
}

/// The results of [`run_on_all`], as they come. Dropping it ends all connections that are still at work.
#[derive(Debug)]
pub struct Completions<T, W> {
    connector: Arc<Connector>,
    fleet: Arc<Fleet>,
    waiting: vec::IntoIter<NodeId>,
    work: W,
    running: JoinSet<Result<T, ControlError>>,
    nodes: HashMap<Id, NodeId>,
}

impl<T, W, F> Completions<T, W>
where
    T: Send + 'static,
    W: Fn(NodeId, Connection) -> F + Clone + Send + 'static,
    F: Future<Output = Result<T, ControlError>> + Send + 'static,
{
    fn start_next(&mut self) {
        let Some(node) = self.waiting.next() else {
            return;
        };
        let (connector, fleet, work) = (
            self.connector.clone(),
            self.fleet.clone(),
            self.work.clone(),
        );
        let task = self.running.spawn(async move {
            let connection = connector.connect(fleet.node(node)).await?;
            work(node, connection).await
        });
        self.nodes.insert(task.id(), node);
    }

    /// The next result; `None` when every node has had its turn. Safe to drop before it is ready.
    ///
    /// # Panics
    /// When `work` panicked.
    pub async fn next(&mut self) -> Option<(NodeId, Result<T, ControlError>)> {
        let (task, result) = match self.running.join_next_with_id().await? {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        self.start_next();
        let node = self
            .nodes
            .remove(&task)
            .expect("every task was noted when it was started");
        Some((node, result))
    }

    /// Starts nothing new; what runs still completes.
    pub fn stop(&mut self) {
        self.waiting = Vec::new().into_iter();
    }
}
