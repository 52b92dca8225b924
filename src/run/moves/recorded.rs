//! What the ledger has of a run of moves, without asking Nova.

use super::error::MovesError;
use super::finish::{exit_code, row};
use super::resume::replay;
use super::start::Asked;
use crate::ledger::{Ledger, RunState, StoredService};
use crate::moves::machine::Stage;
use crate::report::{MOVES_SCHEMA_VERSION, MovesReport, ServiceRow};

/// The report of a run of moves as its journal has it, also of one that was killed; `None` for a run that moved nothing.
///
/// # Errors
/// There is no such run, or its journal is damaged.
pub async fn recorded(ledger: &Ledger, name: &str) -> Result<Option<MovesReport>, MovesError> {
    let found = ledger.find(name).await?;
    let run = found.start.id;
    let Some((options, stored)) = ledger.planned_moves(&run).await? else {
        return Ok(None);
    };
    let asked: Asked = serde_json::from_str(&options).map_err(|_| MovesError::NotResumable {
        run: run.clone(),
        why: "another version of clearway began it".to_owned(),
    })?;
    let entries = replay(ledger, &run, &stored).await?;
    let open = entries.iter().any(|it| it.tracked.stage != Stage::Ended);
    let interrupted = open && found.state != RunState::Running;
    let services = ledger.disabled_services(&run).await?;
    let services: Vec<ServiceRow> = services.iter().map(service).collect();
    Ok(Some(MovesReport {
        schema: MOVES_SCHEMA_VERSION,
        command: found.start.command,
        cloud: ledger.moves_cloud(&run).await?.unwrap_or_default(),
        dry_run: false,
        interrupted,
        exit_code: found
            .exit_code
            .unwrap_or_else(|| exit_code(&entries, &asked.stay, &services, &[], interrupted)),
        stopped: None,
        moves: entries.iter().map(row).collect(),
        stay: asked.stay,
        services,
        unseen: Vec::new(),
        run,
    }))
}

fn service(stored: &StoredService) -> ServiceRow {
    ServiceRow {
        host: stored.host.clone(),
        what: if stored.restored {
            "put back as it was, or changed by somebody else".to_owned()
        } else {
            format!("not put back by this run: {}", stored.reason)
        },
        settled: stored.restored,
    }
}
