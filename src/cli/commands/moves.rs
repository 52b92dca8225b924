//! `clearway migrate`, `clearway drain` and `clearway resume`.

use std::io::{BufRead, Write};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use super::check::{LEFT_RUNNING, WORKERS};
use super::cloud::can_ask;
use super::session::{Session, runtime};
use crate::cli::error::CliError;
use crate::cli::jsonl::{self, JsonLines};
use crate::cli::moves_args::{Drain, Migrate, MovesFormat, Moving, Resume};
use crate::cli::observe::{Teller, Tellers};
use crate::cli::progress::{self, Log};
use crate::cli::render::{write_json, write_moves};
use crate::cli::signals;
use crate::domain::{Depth, Lane};
use crate::inventory::select;
use crate::ledger::Ledger;
use crate::moves::gate::Override;
use crate::remote::{Deadlines, Environment};
use crate::report::MovesReport;
use crate::run::moves::{
    self, CloudAccess, Finish, HookCommand, How, MoveOptions, Moves, MovesError, What,
};
use crate::run::{Canceller, PairsMode, Request, Surroundings};
use crate::system;

pub(in crate::cli) fn migrate(session: &Session, arguments: &Migrate) -> Result<u8, CliError> {
    let mut options = options(&arguments.moving, What::Servers(arguments.servers.clone()))?;
    options.how = match (arguments.live, &arguments.resize) {
        (true, _) => How::Live,
        (_, Some(_)) => How::Resize,
        _ => How::Cold,
    };
    if let Some(order) = &arguments.order {
        options.order.clone_from(order);
    }
    if arguments.live {
        nothing_to_confirm(&arguments.moving)?;
    }
    if let Some(reason) = &arguments.override_gate {
        if arguments.servers.len() != 1 || arguments.moving.to.len() != 1 {
            let text = "the gate is overridden for one server and one destination at a time";
            return Err(
                CliError::usage(text).hint("name one server, and its host with `--to HOST`")
            );
        }
        let checked = Override::new(reason).map_err(CliError::usage)?;
        options.overriding = Some(checked.reason().to_owned());
    }
    begin(
        session,
        "migrate",
        &arguments.moving,
        options,
        arguments.resize.clone(),
    )
}

pub(in crate::cli) fn drain(session: &Session, arguments: &Drain) -> Result<u8, CliError> {
    if arguments.moving.revert {
        let text = "a drain is not reverted: its host would be as full as before";
        return Err(CliError::usage(text).hint("`clearway migrate --revert` tries one server"));
    }
    if arguments.live {
        nothing_to_confirm(&arguments.moving)?;
    }
    let mut options = options(&arguments.moving, What::Hosts(arguments.hosts.clone()))?;
    options.how = match (arguments.live, arguments.cold) {
        (true, _) => How::Live,
        (_, true) => How::Cold,
        _ => How::Auto,
    };
    options.order.clone_from(&arguments.order);
    begin(session, "drain", &arguments.moving, options, None)
}

pub(in crate::cli) fn resume(session: &Session, arguments: &Resume) -> Result<u8, CliError> {
    let check = request(session, "migrate", arguments.timeout)?;
    let access = session.cloud(&arguments.cloud)?;
    let run = arguments.run.clone();
    let report = run_moves(session, arguments.format, async move |around| {
        moves::resume(&run, check, access, around).await
    })?;
    write(session, &report, arguments.format)
}

/// Live moves are over when they have arrived.
fn nothing_to_confirm(moving: &Moving) -> Result<(), CliError> {
    let text = if moving.revert {
        "a live move is not reverted: it is over when it has arrived"
    } else if moving.leave_unconfirmed {
        "a live move is not left unconfirmed: it is over when it has arrived"
    } else {
        return Ok(());
    };
    Err(CliError::usage(text).hint("move it back with another `clearway migrate`"))
}

fn options(moving: &Moving, what: What) -> Result<MoveOptions, CliError> {
    let number = |it: NonZeroU32| usize::try_from(it.get()).unwrap_or(usize::MAX);
    Ok(MoveOptions {
        what,
        how: How::Cold,
        to: moving.to.iter().cloned().collect(),
        flavor: None,
        finish: match (moving.leave_unconfirmed, moving.revert) {
            (true, _) => Finish::Leave,
            (_, true) => Finish::Revert,
            _ => Finish::Confirm,
        },
        order: "given".to_owned(),
        moves: number(moving.max_moves),
        per_source: number(moving.per_source),
        live_per_source: moving.live_per_source.map(number),
        per_destination: number(moving.per_destination),
        failures: usize::try_from(moving.max_failures).unwrap_or(usize::MAX),
        until: moving.until,
        max_age: moving.max_age.get().into(),
        interval: moving.interval,
        longest_seconds: moving.longest,
        overriding: None,
        hook: hook(moving)?,
    })
}

/// The command after each move, if it can be started.
fn hook(moving: &Moving) -> Result<Option<HookCommand>, CliError> {
    let Some(path) = &moving.hook else {
        return Ok(None);
    };
    let program = system::find_program(path).map_err(|error| {
        let path = path.display().to_string();
        let path = crate::report::escape::line(&path).into_owned();
        CliError::usage(format!("`--hook {path}` cannot be run: {error}")).hint(
            "name a file that may be executed; it is started without a shell and without arguments",
        )
    })?;
    Ok(Some(HookCommand {
        program,
        timeout: moving.hook_timeout.get().into(),
    }))
}

fn begin(
    session: &Session,
    command: &'static str,
    moving: &Moving,
    options: MoveOptions,
    flavor: Option<String>,
) -> Result<u8, CliError> {
    let check = request(session, command, moving.timeout)?;
    let access = session.cloud(&moving.cloud)?;
    let asked = Moves {
        check,
        options,
        flavor,
        dry_run: moving.dry_run,
    };
    if !moving.dry_run && !moving.yes {
        ask(session, moving, &asked, &access)?;
    }
    let report = run_moves(session, moving.format, async move |around| {
        moves::migrate(asked, access, around).await
    })?;
    write(session, &report, moving.format)
}

/// Shows the plan, and asks; never without a terminal.
fn ask(
    session: &Session,
    moving: &Moving,
    asked: &Moves,
    access: &CloudAccess,
) -> Result<(), CliError> {
    let command = asked.check.command;
    if !can_ask(session) {
        let text = format!("`{command}` moves servers, and there is no terminal to ask at");
        return Err(CliError::usage(text).hint("see the plan with `--dry-run`, then say `--yes`"));
    }
    let overriding = asked.options.overriding.as_ref();
    let asked = Moves {
        dry_run: true,
        ..asked.clone()
    };
    let access = access.clone();
    let plan = run_moves(session, moving.format, async move |around| {
        moves::migrate(asked, access, around).await
    })?;
    let mut err = session.console.err.clone();
    let inventory = session.global.inventory.display().to_string();
    let found = (&*inventory, session.kept());
    write_moves(&mut err, &plan, found, session.console.view())?;
    if let Some(reason) = overriding {
        writeln!(
            err,
            "THE GATE IS OVERRIDDEN: {}",
            crate::report::escape::line(reason)
        )?;
    }
    let servers = crate::cli::text::count(plan.moves.len() as u64, "server");
    yes(session, &format!("move {servers}?"))
}

/// Asks at the terminal.
pub(super) fn yes(session: &Session, question: &str) -> Result<(), CliError> {
    let mut err = session.console.err.clone();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if matches!(line.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(CliError::usage("nothing was begun"))
    }
}

/// How nodes are surveyed and legs proven.
pub(super) fn request(
    session: &Session,
    command: &'static str,
    timeout: NonZeroU64,
) -> Result<Request, CliError> {
    let fleet = Arc::new(session.inventory()?.fleet);
    let selected = select(&fleet, "all")?;
    let timeout = Duration::from_secs(timeout.get());
    let usual = Deadlines::default();
    Ok(Request {
        run: system::run_id(system::now()),
        command,
        fleet,
        selected,
        inventory: session.global.inventory.display().to_string(),
        inventory_path: session.inventory_path(),
        limit: None,
        lanes: Lane::ALL.into(),
        depth: Depth::Copy,
        pairs: PairsMode::All,
        no_write: false,
        prove: true,
        concurrency: 32,
        workers: WORKERS,
        deadlines: Deadlines {
            connect: usual.connect.min(timeout),
            banner: usual.banner.min(timeout),
            key_exchange: usual.key_exchange.min(timeout),
            login: usual.login.min(timeout),
            ..usual
        },
        survey_timeout: timeout,
        control_accounts: false,
        leg_timeout: timeout,
        seed: system::random_seed(),
    })
}

pub(super) fn run_moves(
    session: &Session,
    format: MovesFormat,
    work: impl AsyncFnOnce(Surroundings) -> Result<MovesReport, MovesError>,
) -> Result<MovesReport, CliError> {
    let home = session.environment.home.clone();
    let environment = Environment {
        home: home.unwrap_or_else(|| "/".into()),
        agent_socket: session.environment.agent_socket.clone(),
        now: system::now_unix,
    };
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let ledger = Ledger::open(&session.ledger_path()?).await?;
        let tellers = Arc::new(Tellers::new(tellers(session, format)));
        let (canceller, cancel) = Canceller::pair();
        let listener = signals::listen(canceller, tellers.clone())?;
        let around = Surroundings {
            environment,
            ledger: Some(ledger.clone()),
            observer: tellers.clone(),
            cancel,
        };
        let report = work(around).await;
        listener.abort();
        tellers.finish();
        ledger.close().await;
        Ok::<_, CliError>(report?)
    });
    runtime.shutdown_timeout(LEFT_RUNNING);
    done
}

fn tellers(session: &Session, format: MovesFormat) -> Vec<Box<dyn Teller>> {
    let console = &session.console;
    let mut tellers: Vec<Box<dyn Teller>> = Vec::new();
    if format == MovesFormat::Jsonl {
        tellers.push(Box::new(JsonLines::new(console.out.clone(), system::now)));
    }
    if !console.quiet {
        tellers.push(if console.terminal.stderr {
            Box::new(progress::Moving::new(console.verbose))
        } else {
            Box::new(Log::new(console.err.clone(), console.verbose))
        });
    }
    tellers
}

pub(super) fn write(
    session: &Session,
    report: &MovesReport,
    format: MovesFormat,
) -> Result<u8, CliError> {
    let mut out = session.console.out.clone();
    match format {
        MovesFormat::Table => {
            let inventory = session.global.inventory.display().to_string();
            let found = (&*inventory, session.kept());
            write_moves(&mut out, report, found, session.console.view())?;
        }
        MovesFormat::Json => write_json(&mut out, report)?,
        MovesFormat::Jsonl => jsonl::write_last(&mut out, report)?,
    }
    Ok(report.exit_code)
}

impl Session {
    /// The inventory's absolute path.
    pub(super) fn inventory_path(&self) -> String {
        let inventory = &self.global.inventory;
        let absolute = std::path::absolute(inventory).unwrap_or_else(|_| inventory.clone());
        absolute.display().to_string()
    }
}
