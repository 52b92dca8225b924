//! `clearway check` and `clearway trace`.

use std::sync::Arc;
use std::time::Duration;

use super::host_keys;
use super::runs::write_report;
use super::session::{Session, runtime};
use crate::cli::args::{Check, Format, Pairs, Proving, Trace};
use crate::cli::error::CliError;
use crate::cli::jsonl::JsonLines;
use crate::cli::observe::{Teller, Tellers};
use crate::cli::progress::{Log, Moving};
use crate::cli::render::Kept;
use crate::cli::signals;
use crate::domain::{Fleet, Lane, NodeId, Pair, Severity};
use crate::inventory::select;
use crate::ledger::Ledger;
use crate::remote::{Deadlines, Environment};
use crate::report::{Report, exit};
use crate::run::{self, Canceller, PairsMode, Request, RunError, Surroundings};
use crate::system;
use crate::trust::PairScope;

/// Nodes that a trace connects to: its two.
const TRACED: usize = 2;

/// Legs that one node climbs at the same time. More would come close to a far end's MaxStartups (10 by default).
pub(super) const WORKERS: u32 = 2;

/// What is left running after a command has ended has so long to end, too.
pub(super) const LEFT_RUNNING: Duration = Duration::from_secs(2);

pub(in crate::cli) fn check(session: &Session, arguments: &Check) -> Result<u8, CliError> {
    if arguments.pairs == Pairs::Changed && arguments.proving.no_ledger {
        let text = "`--pairs changed` compares with the ledger, and `--no-ledger` takes it away";
        return Err(CliError::usage(text));
    }
    let fleet = Arc::new(session.inventory()?.fleet);
    let selected = select(&fleet, arguments.limit.as_deref().unwrap_or("all"))?;
    if PairScope::among(&fleet, selected.iter().copied()).is_empty() {
        let text = "there is nothing to check: no pair of the nodes chosen is in scope";
        return Err(CliError::usage(text).hint(
            "choose two nodes or more with `--limit`; `clearway inventory validate` counts the pairs in scope",
        ));
    }
    let request = Request {
        limit: arguments.limit.clone(),
        pairs: match arguments.pairs {
            Pairs::All => PairsMode::All,
            Pairs::Ring => PairsMode::Ring,
            Pairs::Sample(number) => PairsMode::Sample(number.get()),
            Pairs::Changed => PairsMode::Changed,
        },
        prove: !arguments.predict_only,
        concurrency: usize::try_from(arguments.concurrency.get()).unwrap_or(usize::MAX),
        ..request(session, "check", fleet, selected, &arguments.proving)
    };
    let report = proven(session, request, &arguments.proving)?;
    let warned = report
        .findings
        .iter()
        .any(|it| it.severity == Severity::Warning);
    Ok(match report.summary.exit_code {
        exit::WELL | exit::UNPROVEN if arguments.fail_on_findings && warned => exit::BROKEN,
        code => code,
    })
}

pub(in crate::cli) fn trace(session: &Session, arguments: &Trace) -> Result<u8, CliError> {
    let fleet = Arc::new(session.inventory()?.fleet);
    let source = one_node(&fleet, &arguments.source)?;
    let destination = one_node(&fleet, &arguments.destination)?;
    if source == destination {
        let text = "source and destination are the same node";
        return Err(CliError::usage(text).hint("name two nodes: `clearway trace cmp001 cmp017`"));
    }
    if !fleet.in_scope(source, destination) {
        let (source, destination) = (&fleet.node(source).name, &fleet.node(destination).name);
        let text = format!("{source} → {destination} is not in the scope of this inventory");
        return Err(CliError::usage(text).hint("see `scope` in docs/inventory.md"));
    }
    let request = Request {
        pairs: PairsMode::Only(Pair {
            source,
            destination,
        }),
        ..request(
            session,
            "trace",
            fleet,
            vec![source, destination],
            &arguments.proving,
        )
    };
    let report = proven(session, request, &arguments.proving)?;
    Ok(report.summary.exit_code)
}

fn one_node(fleet: &Fleet, name: &str) -> Result<NodeId, CliError> {
    match select(fleet, name)?.as_slice() {
        [node] => Ok(*node),
        several => Err(CliError::usage(format!(
            "`{name}` names {} nodes, a trace is from one to one",
            several.len()
        ))),
    }
}

/// What both commands ask for alike.
pub(super) fn request(
    session: &Session,
    command: &'static str,
    fleet: Arc<Fleet>,
    selected: Vec<NodeId>,
    proving: &Proving,
) -> Request {
    let inventory = &session.global.inventory;
    let absolute = std::path::absolute(inventory).unwrap_or_else(|_| inventory.clone());
    let timeout = Duration::from_secs(proving.timeout.get());
    let usual = Deadlines::default();
    Request {
        run: system::run_id(system::now()),
        command,
        fleet,
        selected,
        inventory: inventory.display().to_string(),
        inventory_path: absolute.display().to_string(),
        limit: None,
        lanes: match proving.lanes.as_slice() {
            [] => Lane::ALL.into(),
            lanes => lanes.iter().copied().collect(),
        },
        depth: proving.depth,
        pairs: PairsMode::All,
        no_write: proving.no_write,
        prove: true,
        concurrency: TRACED,
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
    }
}

/// Does what is asked for, tells about it meanwhile, and writes the report.
pub(super) fn proven(
    session: &Session,
    request: Request,
    proving: &Proving,
) -> Result<Report, CliError> {
    let environment = Environment {
        home: session
            .environment
            .home
            .clone()
            .unwrap_or_else(|| "/".into()),
        agent_socket: session.environment.agent_socket.clone(),
        now: system::now_unix,
    };
    let runtime = runtime()?;
    let done: Result<_, CliError> = runtime.block_on(async {
        let ledger = if proving.no_ledger {
            None
        } else {
            Some(Ledger::open(&session.ledger_path()?).await?)
        };
        if proving.accept_new_host_keys {
            host_keys::ask(session, &request, &environment).await?;
        }
        let tellers = Arc::new(Tellers::new(tellers(session, proving.format)));
        let (canceller, cancel) = Canceller::pair();
        let listener = signals::listen(canceller, tellers.clone())?;
        let around = Surroundings {
            environment,
            ledger: ledger.clone(),
            observer: tellers.clone(),
            cancel,
        };
        let report = run::check(request, around).await;
        listener.abort();
        tellers.finish();
        if let Some(ledger) = ledger {
            ledger.close().await;
        }
        match report {
            Ok(report) => Ok((report, None)),
            // What was found is worth more than the record of it.
            Err(RunError::Unrecorded { report, source }) => Ok((*report, Some(source))),
            Err(error) => Err(error.into()),
        }
    });
    runtime.shutdown_timeout(LEFT_RUNNING);
    let (report, unrecorded) = done?;
    let kept = if proving.no_ledger {
        Kept::Nowhere
    } else {
        session.kept()
    };
    write_report(&session.console, &report, proving.format, kept)?;
    if let Some(error) = unrecorded {
        CliError::from(error).write(&session.console)?;
        session
            .console
            .note("the report above is whole, but the run is not in the ledger");
    }
    Ok(report)
}

/// Who tells what happens: JSON lines on stdout if they are asked for, and one for the operator on stderr.
pub(super) fn tellers(session: &Session, format: Format) -> Vec<Box<dyn Teller>> {
    let console = &session.console;
    let mut tellers: Vec<Box<dyn Teller>> = Vec::new();
    if format == Format::Jsonl {
        tellers.push(Box::new(JsonLines::new(console.out.clone(), system::now)));
    }
    if !console.quiet {
        tellers.push(if console.terminal.stderr {
            Box::new(Moving::new(console.verbose))
        } else {
            Box::new(Log::new(console.err.clone(), console.verbose))
        });
    }
    tellers
}
