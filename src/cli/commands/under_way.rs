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
use crate::ledger::Ledger;
use crate::moves::steering::Steering;
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
    let steered = runtime()?.block_on(async {
        let ledger = Ledger::open(&path).await?;
        let whose = match &arguments.run {
            Some(run) => Whose::Run(run.clone()),
            None => Whose::Servers(arguments.servers.clone()),
        };
        let steered = moves::steer(access, whose, how, ledger.clone()).await;
        ledger.close().await;
        Ok::<_, CliError>(steered?)
    })?;
    let mut out = session.console.out.clone();
    match arguments.format {
        ListFormat::Json => write_json(&mut out, &steered.rows)?,
        ListFormat::Table => write_steered(&mut out, &steered.rows, session.console.view())?,
    }
    out.flush()?;
    let show = format!("show {} --format jsonl", steered.run);
    let show = session.kept().typed(None, &show);
    session
        .console
        .note(format!("`{show}` has what was asked for"));
    Ok(steered.exit_code)
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
