//! `clearway moves`: what is under way, or waits to be confirmed or reverted.

use std::io::Write;
use std::num::NonZeroU64;

use super::cloud::can_ask;
use super::moves::{request, run_moves, write, yes};
use super::session::{Session, runtime};
use crate::cli::args::ListFormat;
use crate::cli::error::CliError;
use crate::cli::moves_args::{Settle, Steer, UnderWay};
use crate::cli::render::{write_json, write_steered};
use crate::cli::text::count;
use crate::ledger::{Ledger, LedgerError};
use crate::moves::steering::Steering;
use crate::report::{SteeredRow, exit};
use crate::run::moves::{self, Finish, MoveOptions, Moves, What, Whose};

/// How long a survey or a proof could take; there is none.
const TIMEOUT: NonZeroU64 = NonZeroU64::new(30).expect("it is not zero");

pub(in crate::cli) fn under_way(session: &Session, command: &UnderWay) -> Result<u8, CliError> {
    match command {
        UnderWay::Confirm(arguments) => settle(session, arguments, "confirm", Finish::Confirm),
        UnderWay::Revert(arguments) => settle(session, arguments, "revert", Finish::Revert),
        UnderWay::Abort(arguments) => steer(session, arguments, Steering::Abort),
        UnderWay::ForceComplete(arguments) => steer(session, arguments, Steering::ForceComplete),
    }
}

fn settle(
    session: &Session,
    arguments: &Settle,
    command: &'static str,
    finish: Finish,
) -> Result<u8, CliError> {
    let access = session.cloud(&arguments.cloud)?;
    let asked = Moves {
        check: request(session, command, TIMEOUT)?,
        options: MoveOptions::settling(What::Servers(arguments.servers.clone()), finish),
        flavor: None,
        dry_run: false,
    };
    agree(
        session,
        arguments.yes,
        command,
        Some(arguments.servers.len()),
    )?;
    let report = run_moves(session, arguments.format, async move |around| {
        moves::settle(asked, access, around).await
    })?;
    write(session, &report, arguments.format)
}

fn steer(session: &Session, arguments: &Steer, how: Steering) -> Result<u8, CliError> {
    let access = session.cloud(&arguments.cloud)?;
    let number = arguments.run.is_none().then_some(arguments.servers.len());
    agree(session, arguments.yes, how.as_str(), number)?;
    let path = session.ledger_path()?;
    let rows = runtime()?.block_on(async {
        let Some(run) = &arguments.run else {
            let whose = Whose::Servers(arguments.servers.clone());
            return Ok(moves::steer(access, whose, how).await?);
        };
        let Some(ledger) = Ledger::open_existing(&path).await? else {
            let name = run.clone();
            return Err(CliError::from(LedgerError::UnknownRun { path, name }));
        };
        let whose = Whose::Run(run.clone(), ledger.clone());
        let rows = moves::steer(access, whose, how).await;
        ledger.close().await;
        Ok(rows?)
    })?;
    let mut out = session.console.out.clone();
    match arguments.format {
        ListFormat::Json => write_json(&mut out, &rows)?,
        ListFormat::Table => write_steered(&mut out, &rows, session.console.view())?,
    }
    out.flush()?;
    Ok(exit_code(&rows))
}

fn exit_code(rows: &[SteeredRow]) -> u8 {
    let is = |it: &SteeredRow, outcomes: &[&str]| outcomes.contains(&it.outcome.as_str());
    if rows.iter().any(|it| is(it, &["failed", "refused"])) {
        exit::BROKEN
    } else if rows.iter().any(|it| is(it, &["unknown"])) {
        exit::UNPROVEN
    } else {
        exit::WELL
    }
}

fn agree(
    session: &Session,
    said: bool,
    command: &str,
    number: Option<usize>,
) -> Result<(), CliError> {
    if said {
        return Ok(());
    }
    if !can_ask(session) {
        let text = format!("`moves {command}` changes servers, and there is no terminal to ask at");
        return Err(CliError::usage(text).hint("say `--yes`"));
    }
    let what = match number {
        Some(number) => format!("the moves of {}", count(number as u64, "server")),
        None => "all live moves of the run".to_owned(),
    };
    yes(session, &format!("{command} {what}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_that_could_not_be_steered_is_a_failure() {
        let row = |outcome: &str| SteeredRow {
            server: "s".to_owned(),
            name: "web-1".to_owned(),
            asked: "abort".to_owned(),
            migration: Some(1),
            outcome: outcome.to_owned(),
            why: String::new(),
            status: "ACTIVE".to_owned(),
            host: None,
        };
        assert_eq!(exit_code(&[]), exit::WELL);
        assert_eq!(exit_code(&[row("aborted"), row("completed")]), exit::WELL);
        assert_eq!(exit_code(&[row("aborted"), row("unknown")]), exit::UNPROVEN);
        assert_eq!(exit_code(&[row("unknown"), row("refused")]), exit::BROKEN);
        assert_eq!(exit_code(&[row("failed")]), exit::BROKEN);
    }
}
