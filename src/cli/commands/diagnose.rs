//! `clearway diagnose`.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::cloud::can_ask;
use super::moves::{request, yes};
use super::session::{Session, runtime};
use crate::cli::args::ListFormat;
use crate::cli::error::CliError;
use crate::cli::moves_args::Diagnose;
use crate::cli::observe::Tellers;
use crate::cli::render::{write_diagnosis, write_json};
use crate::files::read_text;
use crate::ledger::Ledger;
use crate::moves::diagnose::{Diagnosis, diagnose as read};
use crate::remote::Environment;
use crate::report::{DiagnosisReport, LegReport, escape, exit};
use crate::run::moves::{Explained, Wreck, explain_server, recover};
use crate::run::{Cancel, Canceller, Surroundings};
use crate::system;

/// Said where only the legs say anything.
const UNTOLD: &str =
    "neither Nova nor the logs say why; the legs that the move needs, as they are now:";

/// Largest error text that is read, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

pub(in crate::cli) fn diagnose(session: &Session, arguments: &Diagnose) -> Result<u8, CliError> {
    let explained = match (&arguments.server, &arguments.error) {
        (Some(server), _) => {
            let access = session.cloud(&arguments.cloud)?;
            let (_canceller, cancel) = Canceller::pair();
            // Without an inventory there is still what the API says.
            let nodes = match request(session, "trace", arguments.timeout) {
                Ok(request) => Ok((request, surroundings(session, cancel))),
                Err(error) => Err(error.error.to_string()),
            };
            runtime()?.block_on(explain_server(access, server, nodes))?
        }
        (None, Some(path)) => Explained {
            found: read(&text(path)?).into_iter().collect(),
            ..Explained::default()
        },
        (None, None) => return Err(CliError::usage("name a server, or an error text")),
    };
    let way_back = explained.way_back();
    let report = reports(explained.found, explained.legs);
    let mut out = session.console.out.clone();
    let view = session.console.view();
    match arguments.format {
        ListFormat::Json => write_json(&mut out, &report)?,
        ListFormat::Table => {
            write_diagnosis(&mut out, &explained.lines, &report, view)?;
            for line in &way_back {
                writeln!(out, "{}", escape::line(line))?;
            }
        }
    }
    out.flush()?;
    if arguments.recover {
        return bring_back(session, arguments, explained.wreck);
    }
    let known = |it: &DiagnosisReport| {
        it.what != UNTOLD || it.legs.iter().any(|leg| leg.verdict == "broken")
    };
    Ok(if report.iter().any(known) {
        exit::WELL
    } else {
        exit::UNPROVEN
    })
}

/// Does what brings a server back. What comes of it is told on the standard error: the diagnosis is the result.
fn bring_back(
    session: &Session,
    arguments: &Diagnose,
    wreck: Option<Result<Wreck, String>>,
) -> Result<u8, CliError> {
    let wreck = match wreck {
        Some(Ok(wreck)) => wreck,
        Some(Err(why)) => {
            return Err(CliError::usage(format!("it cannot be brought back: {why}")));
        }
        None => {
            let text = "no failed move has left it in ERROR: there is nothing to bring back";
            return Err(CliError::usage(text));
        }
    };
    let steps: Vec<&str> = wreck.way.steps.iter().map(|it| it.as_str()).collect();
    let name = escape::line(&wreck.server.name).into_owned();
    if !arguments.yes {
        if !can_ask(session) {
            let text = "`--recover` changes a server, and there is no terminal to ask at";
            return Err(CliError::usage(text).hint("say `--yes`"));
        }
        yes(session, &format!("{} of {name}?", steps.join(", then ")))?;
    }
    let access = session.cloud(&arguments.cloud)?;
    let path = session.ledger_path()?;
    let done = runtime()?.block_on(async {
        let ledger = Ledger::open(&path).await?;
        let done = recover(access, ledger.clone(), &wreck).await;
        ledger.close().await;
        Ok::<_, CliError>(done?)
    })?;
    for line in &done.lines {
        session
            .console
            .note(format!("{name}: {}", escape::line(line)));
    }
    let show = format!("show {} --format jsonl", done.run);
    let show = session.kept().typed(None, &show);
    session
        .console
        .note(format!("`{show}` has what was asked for"));
    Ok(done.exit_code)
}

fn surroundings(session: &Session, cancel: Cancel) -> Surroundings {
    let home = session.environment.home.clone();
    Surroundings {
        environment: Environment {
            home: home.unwrap_or_else(|| "/".into()),
            agent_socket: session.environment.agent_socket.clone(),
            now: system::now_unix,
        },
        ledger: None,
        observer: Arc::new(Tellers::new(Vec::new())),
        cancel,
    }
}

fn text(path: &Path) -> Result<String, CliError> {
    if path != Path::new("-") {
        let read = read_text(path, LARGEST).map_err(CliError::from);
        return read.map_err(|it| it.hint("`--error -` reads the text itself from standard input"));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(LARGEST)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Each text with the legs that it may speak of. Where no text says anything, the legs do.
fn reports(found: Vec<Diagnosis>, legs: Vec<LegReport>) -> Vec<DiagnosisReport> {
    if found.is_empty() && !legs.is_empty() {
        return vec![DiagnosisReport {
            what: UNTOLD.to_owned(),
            lane: None,
            dialled: None,
            code: None,
            policy: None,
            server: None,
            completed: false,
            remedy: Vec::new(),
            legs,
        }];
    }
    let mut reports: Vec<DiagnosisReport> = Vec::new();
    for it in found {
        let of_lane = |leg: &&LegReport| {
            let told = reports.iter().flat_map(|report| &report.legs);
            let is_new = !told.into_iter().any(|told| told == *leg);
            is_new && it.lane.is_none_or(|lane| lane == leg.lane)
        };
        let legs = legs.iter().filter(of_lane).cloned().collect();
        reports.push(DiagnosisReport {
            what: it.what,
            lane: it.lane,
            dialled: it.dialled,
            code: it.code.map(str::to_owned),
            policy: it.policy.map(|policy| policy.today().to_owned()),
            server: it.server.map(str::to_owned),
            completed: it.completed,
            remedy: it.remedy,
            legs,
        });
    }
    reports
}
