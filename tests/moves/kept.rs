//! What the ledger has of runs that move, and what it says of the requests in Nova's own log.

use clearway::ledger::{Ledger, StoredMove, StoredService};
use clearway::moves::machine::{Record, Stage, Tracked};
use jiff::{SignedDuration, Timestamp};

use crate::ground::Ground;

/// A run that was planned.
pub(crate) struct Kept {
    pub(crate) run: String,
    pub(crate) moves: Vec<KeptMove>,
    pub(crate) services: Vec<StoredService>,
}

/// A move of it, with its records in order.
pub(crate) struct KeptMove {
    pub(crate) planned: StoredMove,
    pub(crate) records: Vec<(Timestamp, Record)>,
}

impl KeptMove {
    /// How far it is.
    pub(crate) fn stage(&self) -> Stage {
        let it = &self.planned;
        let kind = match it.kind.as_str() {
            "cold" => clearway::domain::MoveKind::Cold,
            "live" => clearway::domain::MoveKind::Live,
            _ => clearway::domain::MoveKind::Resize,
        };
        let server = it.server.parse().unwrap();
        let mut tracked = Tracked::planned(server, kind, it.source.parse().unwrap(), it.planned);
        for (at, record) in &self.records {
            tracked = tracked.after(record, *at).unwrap();
        }
        tracked.stage
    }
}

impl Ground {
    /// The runs of the ledger that have planned moves, the newest first.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let Some(ledger) = Ledger::open_existing(&self.ledger()).await.unwrap() else {
                return Vec::new();
            };
            let mut kept = Vec::new();
            for found in ledger.runs(1_000).await.unwrap() {
                let run = found.start.id;
                let Some((_, planned)) = ledger.planned_moves(&run).await.unwrap() else {
                    continue;
                };
                let mut moves: Vec<KeptMove> = planned
                    .into_iter()
                    .map(|planned| KeptMove {
                        planned,
                        records: Vec::new(),
                    })
                    .collect();
                for it in ledger.move_records(&run).await.unwrap() {
                    let its = moves.iter_mut().find(|to| to.planned.server == it.server);
                    let record = serde_json::from_str(&it.json).unwrap();
                    its.unwrap().records.push((it.at, record));
                }
                let services = ledger.disabled_services(&run).await.unwrap();
                kept.push(Kept {
                    run,
                    moves,
                    services,
                });
            }
            ledger.close().await;
            kept
        })
    }

    /// Every server that clearway has asked Nova to move since the last reset was let through the gate to that very host (a
    /// resize: to some), and the request was sent while the pass was good.
    pub(crate) fn every_request_had_a_pass(&self) {
        let kept = self.kept();
        let passes: Vec<(&str, &Record)> = kept
            .iter()
            .flat_map(|it| &it.moves)
            .flat_map(|it| {
                let server = it.planned.server.as_str();
                it.records.iter().map(move |(_, record)| (server, record))
            })
            .collect();
        for action in ["migrate", "os-migrateLive", "resize"] {
            for request in self.requests_since_reset(action) {
                let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
                let host = body[action]["host"].as_str();
                let arrived: Timestamp = request.time.parse().unwrap();
                let let_through = passes.iter().any(|(server, record)| match record {
                    Record::Passed {
                        destination, until, ..
                    } => {
                        request.path.contains(server)
                            && destination.as_ref().map(|it| it.as_str()) == host
                            // On its way to a busy nova-api.
                            && arrived <= *until + SignedDuration::from_secs(5)
                    }
                    _ => false,
                });
                assert!(let_through, "no pass: {request:?}");
            }
        }
    }
}
