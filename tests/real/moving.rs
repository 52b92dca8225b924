//! Moves by Nova alone, and what really became of them.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use crate::ground::{Ground, PATIENCE, PAUSE};

/// A kind of move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Cold,
    Live,
}

impl Kind {
    /// The action that requests it.
    pub(crate) fn action(self, to: &str) -> Value {
        match self {
            Self::Cold => json!({"migrate": {"host": to}}),
            Self::Live => json!({"os-migrateLive": {"host": to, "block_migration": "auto"}}),
        }
    }

    /// Its `migration_type` in os-migrations.
    fn type_in_migrations(self) -> &'static str {
        match self {
            Self::Cold => "migration",
            Self::Live => "live-migration",
        }
    }
}

/// What really became of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server is at its destination.
    Arrived,
    /// The server is where it was.
    Failed,
}

impl Ground {
    /// Lets Nova move these servers to these hosts, all at once, and waits for the end of each.
    pub(crate) fn move_all<'a>(
        &self,
        kind: Kind,
        moves: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> BTreeMap<String, Outcome> {
        let moves: Vec<_> = moves.into_iter().collect();
        let before = self.rows(kind);
        for (server, to) in &moves {
            self.act(server, &kind.action(to));
        }
        let mut outcomes = BTreeMap::new();
        let started = Instant::now();
        while outcomes.len() < moves.len() {
            std::thread::sleep(PAUSE);
            let rows = self.rows(kind);
            for (server, to) in &moves {
                if outcomes.contains_key(*server) {
                    continue;
                }
                let row = rows
                    .get(*server)
                    .filter(|row| before.get(*server).map(|old| &old["id"]) != Some(&row["id"]));
                if let Some(outcome) = row.and_then(|row| self.outcome(server, to, row)) {
                    outcomes.insert((*server).to_owned(), outcome);
                }
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{kind:?} moves without an end: {moves:?}, ended {outcomes:?}, last {rows:?}"
            );
        }
        outcomes
    }

    /// The newest migration of this kind of each server.
    fn rows(&self, kind: Kind) -> BTreeMap<String, Value> {
        let path = format!(
            "/os-migrations?migration_type={}",
            kind.type_in_migrations()
        );
        let mut found = self.cloud().get(&path).unwrap();
        let rows = found["migrations"].as_array_mut().unwrap();
        let mut newest: BTreeMap<String, Value> = BTreeMap::new();
        for row in rows.drain(..) {
            let server = row["instance_uuid"].as_str().unwrap_or_default().to_owned();
            if newest
                .get(&server)
                .is_none_or(|known| known["id"].as_u64() < row["id"].as_u64())
            {
                newest.insert(server, row);
            }
        }
        newest
    }

    /// What Nova's records together say; none while the move is under way.
    fn outcome(&self, server: &str, to: &str, row: &Value) -> Option<Outcome> {
        let shown = self.cloud().server(server).unwrap();
        if !shown["OS-EXT-STS:task_state"].is_null() {
            return None;
        }
        let status = shown["status"].as_str().unwrap_or_default();
        let arrived = shown["OS-EXT-SRV-ATTR:host"] == to;
        match row["status"].as_str().unwrap_or_default() {
            "finished" if arrived && status == "VERIFY_RESIZE" => Some(Outcome::Arrived),
            "completed" if arrived && status == "ACTIVE" => Some(Outcome::Arrived),
            // A live move that has failed reads ACTIVE for a while before it reads ERROR.
            "error" if row["migration_type"] == "live-migration" && status == "ACTIVE" => None,
            "error" | "failed" => {
                assert!(
                    !arrived,
                    "{server} is at {to}, and its move has failed: {row}"
                );
                Some(Outcome::Failed)
            }
            _ => None,
        }
    }
}
