//! `clearway inventory show` and `clearway inventory validate`.

use std::io::Write;

use serde::Serialize;

use super::session::Session;
use crate::cli::args::{Inventory, ListFormat};
use crate::cli::error::CliError;
use crate::cli::render::write_json;
use crate::files::LoadError;
use crate::inventory::{InventoryError, Summary, select};
use crate::report::{escape, exit};

pub(in crate::cli) fn inventory(session: &Session, command: &Inventory) -> Result<u8, CliError> {
    match command {
        Inventory::Show {
            nodes,
            limit,
            format,
        } => {
            let nodes = nodes.as_deref().or(limit.as_deref());
            show(session, nodes, *format)
        }
        Inventory::Validate { format } => validate(session, *format),
    }
}

fn show(session: &Session, nodes: Option<&str>, format: ListFormat) -> Result<u8, CliError> {
    let inventory = session.inventory()?;
    let selected = select(&inventory.fleet, nodes.unwrap_or("all"))?;
    let shown = inventory.show(&selected);
    let mut out = session.console.out.clone();
    match format {
        ListFormat::Table => writeln!(out, "{}", shown.to_string().trim_end())?,
        ListFormat::Json => write_json(&mut out, &shown)?,
    }
    Ok(exit::WELL)
}

/// The JSON form: what there is, or what is wrong.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Validity {
    Valid(Summary),
    Invalid(InventoryError),
}

fn validate(session: &Session, format: ListFormat) -> Result<u8, CliError> {
    let mut out = session.console.out.clone();
    match (session.inventory(), format) {
        (Ok(inventory), ListFormat::Table) => {
            let path = session.global.inventory.display().to_string();
            writeln!(out, "{}: {}", escape::line(&path), inventory.summary())?;
            Ok(exit::WELL)
        }
        (Ok(inventory), ListFormat::Json) => {
            write_json(&mut out, &Validity::Valid(inventory.summary()))?;
            Ok(exit::WELL)
        }
        (Err(LoadError::Inventory(error)), ListFormat::Json) => {
            write_json(&mut out, &Validity::Invalid(error))?;
            Ok(exit::USAGE)
        }
        (Err(error), _) => Err(error.into()),
    }
}
