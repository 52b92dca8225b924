//! `clearway diagnose`.

use std::io::Read;
use std::path::Path;

use super::session::{Session, runtime};
use crate::cli::args::ListFormat;
use crate::cli::error::CliError;
use crate::cli::moves_args::Diagnose;
use crate::cli::render::{write_diagnosis, write_json};
use crate::files::read_text;
use crate::moves::diagnose::{Diagnosis, diagnose as read};
use crate::report::{DiagnosisReport, exit};
use crate::run::moves::explain_server;

/// Largest error text that is read, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

pub(in crate::cli) fn diagnose(session: &Session, arguments: &Diagnose) -> Result<u8, CliError> {
    let (said, found) = match (&arguments.server, &arguments.error) {
        (Some(server), _) => {
            let access = session.cloud(&arguments.cloud)?;
            let (_, lines, found) = runtime()?.block_on(explain_server(access, server))?;
            (lines, found)
        }
        (None, Some(path)) => (Vec::new(), read(&text(path)?).into_iter().collect()),
        (None, None) => return Err(CliError::usage("name a server, or an error text")),
    };
    let known = !found.is_empty();
    let report: Vec<DiagnosisReport> = found.into_iter().map(report).collect();
    let mut out = session.console.out.clone();
    match arguments.format {
        ListFormat::Json => write_json(&mut out, &report)?,
        ListFormat::Table => write_diagnosis(&mut out, &said, &report, session.console.view())?,
    }
    Ok(if known { exit::WELL } else { exit::UNPROVEN })
}

fn text(path: &Path) -> Result<String, CliError> {
    if path != Path::new("-") {
        return Ok(read_text(path, LARGEST)?);
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(LARGEST)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn report(it: Diagnosis) -> DiagnosisReport {
    DiagnosisReport {
        what: it.what,
        lane: it.lane,
        dialled: it.dialled,
        code: it.code.map(str::to_owned),
        policy: it.policy.map(|policy| policy.today().to_owned()),
        server: it.server.map(str::to_owned),
        completed: it.completed,
        remedy: it.remedy,
    }
}
