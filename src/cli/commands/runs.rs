//! `clearway runs` and `clearway show`: what the ledger holds.

use std::io::Write;

use serde::Serialize;

use super::session::{Session, runtime};
use crate::cli::args::{Format, ListFormat, Runs, Show};
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::jsonl;
use crate::cli::render::{
    Kept, write_json, write_junit, write_list, write_moves, write_table, write_trace,
    write_way_back,
};
use crate::cli::text::{count, duration_of, moment, verdicts};
use crate::ledger::{Ledger, LedgerError, RunRecord, RunState};
use crate::report::{MovesReport, Report, Settings, Summary, escape, exit};
use crate::run::moves::recorded;

pub(in crate::cli) fn runs(session: &Session, arguments: &Runs) -> Result<u8, CliError> {
    let path = session.ledger_path()?;
    let records = runtime()?.block_on(async {
        let Some(ledger) = Ledger::open_existing(&path).await? else {
            return Ok(Vec::new());
        };
        if let Some(keep) = arguments.prune {
            let forgotten = ledger.prune(keep).await?;
            session
                .console
                .note(format!("forgot {}", count(forgotten, "run")));
        }
        let records = ledger.runs(arguments.number.get()).await;
        ledger.close().await;
        records
    })?;
    let mut out = session.console.out.clone();
    match arguments.format {
        ListFormat::Json => {
            let rows: Vec<_> = records.iter().map(Row::from).collect();
            write_json(&mut out, &rows)?;
        }
        ListFormat::Table if records.is_empty() => {
            let path = path.display().to_string();
            writeln!(out, "no runs in `{}` yet", escape::line(&path))?;
        }
        ListFormat::Table => {
            let title = [
                "run", "command", "by", "started", "took", "state", "outcome",
            ];
            let title = title.map(str::to_owned);
            let rows = std::iter::once(title).chain(records.iter().map(row));
            write_list(&mut out, 0, rows, session.console.view())?;
        }
    }
    Ok(exit::WELL)
}

/// The JSON form of a run.
#[derive(Serialize)]
struct Row<'r> {
    run: &'r str,
    command: &'r str,
    operator: Option<&'r str>,
    about: Option<&'r str>,
    state: &'static str,
    started: String,
    finished: Option<String>,
    exit_code: Option<u8>,
    inventory: &'r str,
    settings: &'r Settings,
    summary: Option<Summary>,
    failure: Option<&'r str>,
    clearway: &'r str,
}

impl<'r> From<&'r RunRecord> for Row<'r> {
    fn from(record: &'r RunRecord) -> Self {
        let start = &record.start;
        Self {
            run: &start.id,
            command: &start.command,
            operator: start.operator.as_deref(),
            about: start.about.as_deref(),
            state: record.state.as_str(),
            started: format!("{:.0}", start.started),
            finished: record.finished.map(|finished| format!("{finished:.0}")),
            exit_code: record.exit_code,
            inventory: &start.inventory,
            settings: &start.settings,
            summary: record.summary,
            failure: record.failure.as_deref(),
            clearway: &start.clearway,
        }
    }
}

fn row(record: &RunRecord) -> [String; 7] {
    let took = record.finished.map_or_else(String::new, |finished| {
        let millis = finished.duration_since(record.start.started).as_millis();
        duration_of(u64::try_from(millis).unwrap_or_default())
    });
    let mut outcome = match (&record.summary, &record.failure) {
        (Some(summary), _) if record.start.about.is_some() => match summary.exit_code {
            exit::WELL => format!("all of {}", count(summary.nodes, "node")),
            _ => format!("not all of {}", count(summary.nodes, "node")),
        },
        (Some(summary), _) => {
            let pairs = count(summary.pairs.total, "pair");
            format!("{pairs}: {}", verdicts(&summary.pairs))
        }
        (None, Some(failure)) => escape::line(failure).into_owned(),
        (None, None) => String::new(),
    };
    if let Some(about) = &record.start.about {
        // The end of an id is a name for it, and leaves room.
        let end = about.rsplit('-').next().unwrap_or_default();
        let colon = if outcome.is_empty() { "" } else { ": " };
        outcome = format!("of {}{colon}{outcome}", escape::line(end));
    }
    [
        escape::line(&record.start.id).into_owned(),
        escape::line(&record.start.command).into_owned(),
        escape::line(record.start.operator.as_deref().unwrap_or_default()).into_owned(),
        moment(record.start.started),
        took,
        record.state.as_str().to_owned(),
        outcome,
    ]
}

pub(in crate::cli) fn show(session: &Session, arguments: &Show) -> Result<u8, CliError> {
    let path = session.ledger_path()?;
    runtime()?.block_on(async {
        let Some(ledger) = Ledger::open_existing(&path).await? else {
            return Err(LedgerError::NoRuns { path }.into());
        };
        let record = ledger.find(&arguments.run).await?;
        let run = &record.start.id;
        if arguments.format == Format::Jsonl {
            for event in ledger.events(run).await? {
                jsonl::write_stored(&mut session.console.out.clone(), &event)?;
            }
        }
        match ledger.report(run).await? {
            Some(report) => {
                write_report(&session.console, &report, arguments.format, session.kept())?
            }
            None => match recorded(&ledger, run).await? {
                Some(report) => {
                    write_recorded(session, &record.start.inventory, &report, arguments.format)?
                }
                None if arguments.format == Format::Jsonl => {}
                None => {
                    let later = match &record.start.about {
                        Some(about) => ledger.about(about).await?,
                        None => Vec::new(),
                    };
                    return Err(without_report(&record, &later, session.kept()));
                }
            },
        }
        ledger.close().await;
        Ok(exit::WELL)
    })
}

/// Writes the report of a run of moves, as its journal has it.
fn write_recorded(
    session: &Session,
    inventory: &str,
    report: &MovesReport,
    format: Format,
) -> Result<(), CliError> {
    let mut out = session.console.out.clone();
    match format {
        Format::Table => {
            let found = (inventory, session.kept());
            write_moves(&mut out, report, found, session.console.view())?;
        }
        Format::Json => write_json(&mut out, report)?,
        Format::Jsonl => jsonl::write_last(&mut out, report)?,
        Format::Junit => {
            let text = "a run of moves has no legs, and JUnit's form is for those";
            return Err(CliError::usage(text).hint("`--format table`, `json` or `jsonl`"));
        }
    }
    Ok(())
}

/// Says that a run has no report, and what there is. `about` are the runs that are about the same earlier one, newest first.
fn without_report(record: &RunRecord, about: &[RunRecord], kept: Kept<'_>) -> CliError {
    let run = &record.start.id;
    let state = record.state.as_str();
    let text = match &record.failure {
        Some(failure) => format!("run {run} has no report, it {state}: {failure}"),
        None => format!("run {run} has no report, it is {state}"),
    };
    let mut error = CliError::usage(text);
    if record.state != RunState::Running
        && let Some(earlier) = &record.start.about
    {
        let command = &record.start.command;
        let newest = about.first().filter(|it| it.start.id != *run);
        error = error.hint(match newest {
            Some(it) => format!(
                "run {}, `clearway {}`, went on",
                it.start.id, it.start.command
            ),
            None => {
                let inventory = Some(record.start.inventory.as_str());
                let again = kept.typed(inventory, &format!("{command} {earlier}"));
                format!("`{again}` goes on with it")
            }
        });
    }
    match record.state {
        RunState::Running => error.hint("try again when it has ended"),
        _ => error.hint(format!(
            "`{}` has what happened until then",
            kept.typed(None, &format!("show {run} --format jsonl"))
        )),
    }
}

/// Writes a report in a format; as JSON lines only the last line, since events are written as they come.
pub(super) fn write_report(
    console: &Console,
    report: &Report,
    format: Format,
    kept: Kept<'_>,
) -> Result<(), CliError> {
    let mut out = console.out.clone();
    let view = console.view();
    match format {
        Format::Table if report.about().is_some() => write_way_back(&mut out, report, view)?,
        Format::Table if report.command == "trace" => write_trace(&mut out, report, view)?,
        Format::Table => write_table(&mut out, report, kept, view)?,
        Format::Json => write_json(&mut out, report)?,
        Format::Jsonl => jsonl::write_report(&mut out, report)?,
        Format::Junit => write_junit(&mut out, report)?,
    }
    Ok(())
}
