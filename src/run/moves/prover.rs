//! Single legs, proven right before a request, over connections that stay open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::domain::{Lane, Leg, LegId, NodeId, Predicted, Proof, Why};
use crate::remote::{Connection, Connector};
use crate::run::prove::{Names, Told, climb, is_dialled, settings};
use crate::run::request::Request;
use crate::system;
use crate::trust::legs::Legs;

/// Programs that one node takes part in at the same time, as the one that dials or the one that answers: below sshd's
/// MaxStartups, with room for Nova itself.
const AT_ONCE: usize = 3;

/// Proves legs. Clones share connections.
#[derive(Clone)]
pub(super) struct Prover {
    shared: Arc<Shared>,
}

struct Shared {
    request: Request,
    connector: Arc<Connector>,
    connections: Mutex<HashMap<NodeId, Arc<Connection>>>,
    places: HashMap<NodeId, Semaphore>,
    /// The last climb of each leg, locked while one is under way.
    last: Mutex<HashMap<LegId, Arc<AsyncMutex<Option<Finished>>>>>,
}

/// A climb, and when it was over.
struct Finished {
    climbed: Climbed,
    over: Instant,
}

/// What came of climbing a leg.
#[derive(Debug, Clone)]
pub(super) struct Climbed {
    pub(super) proof: Result<Proof, Why>,
    /// When the climb began.
    pub(super) at: Timestamp,
}

impl Prover {
    pub(super) fn new(
        request: Request,
        connector: Arc<Connector>,
        connections: HashMap<NodeId, Arc<Connection>>,
    ) -> Self {
        let places = request
            .selected
            .iter()
            .map(|&node| (node, Semaphore::new(AT_ONCE)))
            .collect();
        Self {
            shared: Arc::new(Shared {
                request,
                connector,
                connections: Mutex::new(connections),
                places,
                last: Mutex::default(),
            }),
        }
    }

    /// How it was asked to look at nodes.
    pub(super) fn request(&self) -> &Request {
        &self.shared.request
    }

    /// Climbs one leg. Moves that wait for the same leg at the same time are told of one climb: many moves between two
    /// hosts cost them no more than one.
    pub(super) async fn climb(&self, leg: Leg) -> Climbed {
        let asked = Instant::now();
        let last = self.last(leg.id);
        let mut last = last.lock().await;
        if let Some(finished) = last.as_ref().filter(|it| it.over > asked) {
            return finished.climbed.clone();
        }
        let climbed = self.climb_now(leg).await;
        *last = Some(Finished {
            climbed: climbed.clone(),
            over: Instant::now(),
        });
        climbed
    }

    async fn climb_now(&self, leg: Leg) -> Climbed {
        // In the order of the nodes, so that two legs do not wait for each other.
        let (first, second) = if leg.id.client < leg.id.server {
            (leg.id.client, leg.id.server)
        } else {
            (leg.id.server, leg.id.client)
        };
        let _first = self.place(first).await;
        let _second = self.place(second).await;
        let at = system::now();
        let mut proof = self.once(leg.clone()).await;
        // The control connection may have died since it was last used; that says nothing of the leg.
        if matches!(proof, Err(Why::ControlLost)) {
            self.forget(leg.id.client);
            proof = self.once(leg).await;
        }
        Climbed { proof, at }
    }

    /// Climbs the legs of one pair, all at the same time.
    pub(super) async fn climb_all(&self, legs: Vec<(Lane, Leg)>) -> Vec<(Lane, Climbed)> {
        let mut climbing = JoinSet::new();
        for (lane, leg) in legs {
            let prover = self.clone();
            climbing.spawn(async move { (lane, prover.climb(leg).await) });
        }
        climbing.join_all().await
    }

    fn last(&self, leg: LegId) -> Arc<AsyncMutex<Option<Finished>>> {
        let mut last = self
            .shared
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.entry(leg).or_default().clone()
    }

    async fn place(&self, node: NodeId) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.shared.places.get(&node)?.acquire().await.ok()
    }

    async fn once(&self, leg: Leg) -> Result<Proof, Why> {
        let id = leg.id;
        let connection = self.connection(id.client).await?;
        let request = &self.shared.request;
        let settings = settings(request, id.client, 1);
        let (tell, mut told) = mpsc::unbounded_channel();
        let names = Names(request.fleet.clone());
        let failure = climb(&connection, vec![leg], &settings, &names, &tell)
            .await
            .err();
        drop(tell);
        while let Some(next) = told.recv().await {
            if let Told::Leg(told, proof) = next
                && told == id
                && failure.is_none()
            {
                return Ok(proof);
            }
        }
        Err(failure.map_or(Why::ProbeFailed, |failure| failure.why))
    }

    async fn connection(&self, node: NodeId) -> Result<Arc<Connection>, Why> {
        if let Some(open) = self.held(node) {
            return Ok(open);
        }
        let fleet = &self.shared.request.fleet;
        let connection = self
            .shared
            .connector
            .connect(fleet.node(node))
            .await
            .map_err(|error| error.why)?;
        let connection = Arc::new(connection);
        self.connections().insert(node, connection.clone());
        Ok(connection)
    }

    fn held(&self, node: NodeId) -> Option<Arc<Connection>> {
        let mut connections = self.connections();
        if connections.get(&node).is_some_and(|it| it.is_closed()) {
            connections.remove(&node);
        }
        connections.get(&node).cloned()
    }

    fn forget(&self, node: NodeId) {
        self.connections().remove(&node);
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<NodeId, Arc<Connection>>> {
        self.shared
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The leg to climb; `Err` with the prediction where there is nothing to climb.
pub(super) fn to_climb(legs: &Legs, id: LegId, predicted: Predicted) -> Result<Leg, Predicted> {
    if !is_dialled(predicted) {
        return Err(predicted);
    }
    legs.leg(id).ok_or(predicted)
}
