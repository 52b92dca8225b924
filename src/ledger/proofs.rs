//! The legs that worked when they were last tried: what `check --pairs changed` need not try again.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use super::error::LedgerError;
use super::events::CHUNK;
use super::open::Ledger;
use super::runs::{stored_time, time};
use crate::domain::{Depth, Lane};
use crate::report::{LegReport, Report, Settings};

/// A leg that worked when it was last tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenLeg {
    /// Which lane.
    pub lane: Lane,
    /// Inventory name of the node on which ssh ran.
    pub client: String,
    /// Inventory name of the node that answered.
    pub server: String,
    /// The literal name dialled.
    pub dialled: String,
    /// How far it was climbed. A proof that wrote nothing counts as [`Depth::Login`].
    pub depth: Depth,
    /// Digest of the client's facts at that time.
    pub client_digest: String,
    /// Digest of the server's facts at that time.
    pub server_digest: String,
    /// The run that proved it.
    pub run: String,
    /// When that run ended.
    pub at: Timestamp,
}

impl Ledger {
    /// The legs of an inventory, by its absolute path, that worked when they were last tried; in the order lane, client,
    /// server.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn proven(&self, inventory_path: &str) -> Result<Vec<ProvenLeg>, LedgerError> {
        let rows = sqlx::query(
            "SELECT * FROM proofs WHERE inventory_path = ? ORDER BY lane, client, server",
        )
        .bind(inventory_path)
        .fetch_all(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        let mut legs = Vec::with_capacity(rows.len());
        for row in &rows {
            let lane: &str = row.get("lane");
            // A lane of a later version: not one that this version could want to skip.
            let Some(lane) = Lane::ALL.into_iter().find(|it| it.as_str() == lane) else {
                continue;
            };
            let run: String = row.get("run");
            legs.push(ProvenLeg {
                lane,
                client: row.get("client"),
                server: row.get("server"),
                dialled: row.get("dialled"),
                depth: match row.get("rungs") {
                    1_i64 => Depth::Connect,
                    2 => Depth::Login,
                    _ => Depth::Copy,
                },
                client_digest: row.get("client_digest"),
                server_digest: row.get("server_digest"),
                at: time(self.path(), &run, row.get("at"))?,
                run,
            });
        }
        Ok(legs)
    }

    /// The service host names that the latest report of an inventory has, by node.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn service_hosts(
        &self,
        inventory_path: &str,
    ) -> Result<HashMap<String, String>, LedgerError> {
        let run = sqlx::query(
            "SELECT runs.id FROM runs JOIN reports ON run = runs.id \
             WHERE inventory_path = ? AND command = 'check' ORDER BY started DESC LIMIT 1",
        )
        .bind(inventory_path)
        .fetch_optional(&self.pool)
        .await
        .map_err(|source| LedgerError::database(self.path(), "read", source))?;
        let Some(run) = run else {
            return Ok(HashMap::new());
        };
        let report = self.report(run.get("id")).await?;
        Ok(report
            .into_iter()
            .flat_map(|report| report.nodes)
            .filter_map(|node| Some((node.name, node.service_host?)))
            .collect())
    }

    /// Keeps what a report proves and drops what it disproves.
    ///
    /// A shallower proof does not replace a deeper one of the same facts: what was known stays known.
    pub(super) async fn record_proofs(
        &self,
        transaction: &mut Transaction<'_, Sqlite>,
        report: &Report,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::database(self.path(), "write", source);
        let path: String = sqlx::query("SELECT inventory_path FROM runs WHERE id = ?")
            .bind(&report.run)
            .fetch_one(&mut **transaction)
            .await
            .map_err(failed)?
            .get(0);
        let digests: HashMap<&str, &str> = report
            .nodes
            .iter()
            .filter_map(|node| Some((node.name.as_str(), node.facts_digest.as_deref()?)))
            .collect();
        let digest = |node: &str| digests.get(node).copied();
        let mut held = Vec::new();
        let mut lost = Vec::new();
        for leg in report.legs.iter().filter(|leg| leg.proven.is_some()) {
            match (worked(leg), digest(&leg.client), digest(&leg.server)) {
                (Some(dialled), Some(client), Some(server)) => {
                    held.push((leg, dialled, client, server));
                }
                _ => lost.push(leg),
            }
        }

        for chunk in lost.chunks(CHUNK) {
            let mut query = QueryBuilder::new("DELETE FROM proofs WHERE inventory_path = ");
            query
                .push_bind(&path)
                .push(" AND (lane, client, server) IN (");
            query.push_values(chunk, |mut row, leg| {
                row.push_bind(leg.lane.as_str())
                    .push_bind(&leg.client)
                    .push_bind(&leg.server);
            });
            query.push(")");
            query
                .build()
                .execute(&mut **transaction)
                .await
                .map_err(failed)?;
        }

        let at = stored_time(at);
        let rungs = rungs(&report.settings);
        for chunk in held.chunks(CHUNK) {
            let mut query = QueryBuilder::new(
                "INSERT INTO proofs (inventory_path, lane, client, server, dialled, rungs, \
                 client_digest, server_digest, run, at) ",
            );
            query.push_values(chunk, |mut row, (leg, dialled, client, server)| {
                row.push_bind(&path)
                    .push_bind(leg.lane.as_str())
                    .push_bind(&leg.client)
                    .push_bind(&leg.server)
                    .push_bind(*dialled)
                    .push_bind(rungs)
                    .push_bind(*client)
                    .push_bind(*server)
                    .push_bind(&report.run)
                    .push_bind(&at);
            });
            query.push(
                " ON CONFLICT (inventory_path, lane, client, server) DO UPDATE SET \
                 dialled = excluded.dialled, rungs = excluded.rungs, \
                 client_digest = excluded.client_digest, server_digest = excluded.server_digest, \
                 run = excluded.run, at = excluded.at \
                 WHERE excluded.rungs >= proofs.rungs OR excluded.dialled <> proofs.dialled \
                 OR excluded.client_digest <> proofs.client_digest \
                 OR excluded.server_digest <> proofs.server_digest",
            );
            query
                .build()
                .execute(&mut **transaction)
                .await
                .map_err(failed)?;
        }
        Ok(())
    }
}

/// What was dialled, if the leg was tried and worked.
fn worked(leg: &LegReport) -> Option<&str> {
    let worked = leg.verdict == "verified" && leg.proven.as_deref() == Some("works");
    leg.dialled.as_deref().filter(|_| worked)
}

fn rungs(settings: &Settings) -> i64 {
    match settings.depth {
        Depth::Connect => 1,
        Depth::Copy if !settings.no_write => 3,
        Depth::Login | Depth::Copy => 2,
    }
}
