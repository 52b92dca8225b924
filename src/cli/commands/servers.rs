//! `clearway servers`.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;

use super::session::{Session, runtime};
use crate::cli::args::ListFormat;
use crate::cli::error::CliError;
use crate::cli::moves_args::Servers;
use crate::cli::render::{write_json, write_servers};
use crate::files::read_text;
use crate::ledger::Ledger;
use crate::openstack::compute::ServerFilter;
use crate::report::exit;
use crate::run::moves::{ServersRequest, servers as list};

/// Largest list of servers that is read, in bytes.
const LARGEST_LIST: u64 = 16 * 1024 * 1024;

pub(in crate::cli) fn servers(session: &Session, arguments: &Servers) -> Result<u8, CliError> {
    let access = session.cloud(&arguments.cloud)?;
    let fleet = Arc::new(session.inventory()?.fleet);
    let mut only: BTreeSet<String> = arguments.servers.iter().cloned().collect();
    if let Some(path) = &arguments.file {
        let text = read_text(path, LARGEST_LIST)?;
        let lines = text.lines().map(str::trim);
        let before = only.len();
        only.extend(
            lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned),
        );
        if only.len() == before && before == 0 {
            return Err(CliError::usage(format!(
                "{} names no server",
                path.display()
            )));
        }
    }
    let request = ServersRequest {
        fleet,
        inventory_path: session.inventory_path(),
        filter: ServerFilter {
            host: arguments.host.clone(),
            project: arguments.project.clone(),
            status: arguments.status.clone(),
            name: arguments.name.clone(),
            zone: arguments.zone.clone(),
            changes_since: None,
        },
        only,
        max_age: SignedDuration::from_secs(arguments.max_age.into()),
    };
    let ledger_path = session.ledger_path()?;
    let report = runtime()?.block_on(async {
        let ledger = Ledger::open_existing(&ledger_path).await?;
        let report = list(request, access, ledger.clone()).await?;
        if let Some(ledger) = ledger {
            ledger.close().await;
        }
        Ok::<_, CliError>(report)
    })?;
    let mut out = session.console.out.clone();
    match arguments.format {
        ListFormat::Json => write_json(&mut out, &report)?,
        ListFormat::Table => write_servers(&mut out, &report, session.console.view())?,
    }
    Ok(exit::WELL)
}
