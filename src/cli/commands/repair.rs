//! `clearway repair`, and `clearway repair resume`.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::check::tellers;
use super::keys::{certificates, list_file, read_list};
use super::runs::write_report;
use super::session::{Session, runtime};
use super::way_back;
use crate::cli::args::{Repair, RepairFormat, RepairOther, RepairPairs, RepairResume};
use crate::cli::error::CliError;
use crate::cli::observe::Tellers;
use crate::cli::paint::Label;
use crate::cli::render::{write_json, write_plan, write_repair_notes};
use crate::cli::signals;
use crate::cli::text::{count, shell_word};
use crate::domain::{Depth, Fleet, Lane, NodeId, TrustBy};
use crate::files::{can_be_new, read_plan, write_new};
use crate::inventory::select;
use crate::ledger::{Ledger, RunRecord, RunState, StoredRepair};
use crate::remote::{Deadlines, Environment};
use crate::repair::{Plan, Policy};
use crate::report::{Report, escape, exit};
use crate::run::{
    self, Canceller, CertificatesRequest, CertificatesTask, PairsMode, Prepared, RepairRequest,
    Request, Surroundings,
};
use crate::system;

/// Legs that one node climbs at the same time, as in a check.
const WORKERS: u32 = 2;

/// How long a node waits for a new login before it takes a change of its sshd back.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// So often what was behind is repaired, too: a configuration, what it leads to, and what that leads to.
const ROUNDS: usize = 3;

/// What is left running after a command has ended has so long to end, too.
const LEFT_RUNNING: Duration = Duration::from_secs(2);

pub(in crate::cli) fn repair(session: &Session, arguments: &Repair) -> Result<u8, CliError> {
    match &arguments.other {
        Some(RepairOther::Undo(undo)) => way_back::undo(session, undo),
        Some(RepairOther::Resume(resume)) => self::resume(session, resume),
        Some(RepairOther::Forget(forget)) => way_back::forget(session, forget),
        None => plan_and_apply(session, arguments),
    }
}

fn plan_and_apply(session: &Session, arguments: &Repair) -> Result<u8, CliError> {
    let plan = match &arguments.plan {
        Some(path) => Some(read_plan(path)?),
        None => None,
    };
    if let Some(path) = &arguments.out {
        if path.as_os_str() == "-" {
            let text = "`--out -` names no file, and a plan for others to apply is one";
            let print = "`--format json` prints the plan";
            return Err(CliError::usage(text).hint(print));
        }
        can_be_new(path)?;
    }
    let looking = Looking {
        run: system::run_id(system::now()),
        limit: arguments.limit.clone(),
        lanes: match arguments.lanes.as_slice() {
            [] => Lane::ALL.to_vec(),
            lanes => lanes.to_vec(),
        },
        concurrency: arguments.concurrency.get(),
        timeout: Duration::from_secs(arguments.timeout.get()),
    };
    let mut request = looking.request(session)?;
    request.pairs = match arguments.pairs {
        RepairPairs::Changed if plan.is_none() => PairsMode::Changed,
        RepairPairs::Changed | RepairPairs::All => PairsMode::All,
    };
    let lanes = request.lanes.clone();
    let certificates = authority(session, arguments, &request)?;
    let asked = RepairRequest {
        request,
        policy: Policy {
            lanes,
            from: !arguments.no_from,
            accounts: arguments.accounts,
            strict_host_keys: arguments.strict_host_keys,
            revoked: read_list(&list_file(session, arguments.how.revocations.as_deref()))?,
            ..Policy::new(seed())
        },
        plan,
        change: None,
        certificates,
        patience: PATIENCE,
        operator: operator(session),
    };
    with_nodes(session, arguments.format, async |around, tellers| {
        tell_unfinished(session, &around).await?;
        let mut earlier: Vec<String> = Vec::new();
        loop {
            let mut asked = asked.clone();
            if !earlier.is_empty() {
                asked.request.run = system::run_id(system::now());
            }
            let (mut report, applied) = round(session, arguments, asked, &around, &tellers).await?;
            let applied = applied || !earlier.is_empty();
            let run = report.run.clone();
            let more = report.repair.as_mut().is_some_and(|repair| {
                repair.earlier.clone_from(&earlier);
                repair.more
            });
            if !more || report.interrupted || earlier.len() + 1 == ROUNDS {
                return Ok((report, applied));
            }
            session
                .console
                .note("behind what was repaired there is more that can be");
            earlier.push(run);
        }
    })
}

/// Says which repairs have been left before their end: what is repaired now is done on top of them.
async fn tell_unfinished(session: &Session, around: &Surroundings) -> Result<(), CliError> {
    let ledger = ledger_of(around)?;
    for run in ledger.unfinished_repairs(&session.inventory_path()).await? {
        if ledger.find(&run).await?.state == RunState::Running {
            continue;
        }
        session.console.note(format!(
            "run {run} has not come to its end: `{}` goes on with it, `{}` puts it back, either before what is repaired now",
            session.typed(&format!("repair resume {run}")),
            session.typed(&format!("repair undo {run}"))
        ));
    }
    Ok(())
}

/// The authority, where nodes want one. An authority in the environment is for them, and says nothing of others.
fn authority(
    session: &Session,
    arguments: &Repair,
    request: &Request,
) -> Result<Option<CertificatesRequest>, CliError> {
    let trust = |id: &NodeId| request.fleet.node(*id).profile.repair.trust;
    let mut nodes = request.selected.iter();
    match &arguments.ca {
        Some(ca) if nodes.any(|id| trust(id) == TrustBy::Certificates) => {
            let how = (ca.as_path(), &arguments.how);
            certificates(session, how, CertificatesTask::Certify).map(Some)
        }
        Some(_) => Ok(None),
        None if arguments.how.is_stated() => Err(CliError::usage(
            "an authority's options are given, and no authority",
        )
        .hint("name its key with `--ca FILE` or in CLEARWAY_CA")),
        None => Ok(None),
    }
}

/// Plans, shows, asks and applies once. `true` beside the report tells that something was applied.
async fn round(
    session: &Session,
    arguments: &Repair,
    asked: RepairRequest,
    around: &Surroundings,
    tellers: &Arc<Tellers>,
) -> Result<(Report, bool), CliError> {
    let mut prepared = run::prepare(asked, around.clone()).await?;
    if prepared.is_interrupted() {
        return Ok((prepared.leave().await?, false));
    }
    tellers.finish();
    let shown = arguments.format == RepairFormat::Table;
    if shown {
        let mut out = session.console.out.clone();
        write_plan(&mut out, prepared.plan(), session.console.view())?;
        out.flush()?;
    }
    if let Some(path) = &arguments.out {
        put_plan(session, path, prepared.plan())?;
    }
    if prepared.is_empty() {
        let report = prepared.leave().await?;
        let summary = &report.summary;
        // Where something is broken or not known, that there is nothing to write does not mean that all is well.
        let known = summary.legs.broken == 0 && summary.legs.unproven == 0;
        session.console.note(if arguments.plan.is_some() {
                "every file is as the plan leaves it: 0 files written"
            } else if known {
                "nothing to repair: 0 files written"
            } else {
                "nothing that a repair could write: 0 files written; what is broken or not known is below"
            });
        return Ok((report, false));
    }
    let only_show = arguments.diff || arguments.out.is_some();
    if only_show || !agreed(session, arguments, prepared.plan())? {
        return only_planned(session, arguments, prepared).await;
    }
    tellers.replace(self::tellers(session, arguments.format.of_report()));
    if arguments.plan.is_some()
        && let Err(error) = prepared.confirm().await
    {
        prepared.fail(&error).await;
        return Err(error.into());
    }
    Ok((prepared.carry_out().await?, true))
}

/// Ends a repair that only was to be shown, or that nobody agreed to.
async fn only_planned(
    session: &Session,
    arguments: &Repair,
    prepared: Prepared,
) -> Result<(Report, bool), CliError> {
    if arguments.format == RepairFormat::Json {
        write_json(&mut session.console.out.clone(), prepared.plan())?;
    }
    let mut report = prepared.leave().await?;
    // Whatever else is broken or unknown, there is something to do.
    report.summary.exit_code = exit::BROKEN;
    Ok((report, false))
}

/// Whether the operator agrees to the plan.
fn agreed(session: &Session, arguments: &Repair, plan: &Plan) -> io::Result<bool> {
    if arguments.yes {
        return Ok(true);
    }
    let nodes = crate::repair::Progress::new(plan).nodes().count() as u64;
    ask(session, &format!("Apply this to {}?", count(nodes, "node")))
}

/// Asks a question on the terminal; without one, the answer is no, and what to type is said.
pub(super) fn ask(session: &Session, question: &str) -> io::Result<bool> {
    let terminal = session.environment.terminal;
    if !terminal.stdin || !terminal.stderr {
        // Not a note: this is what became of it.
        writeln!(
            session.console.err.clone(),
            "nothing was changed: there is no terminal to ask on; say `--yes` to go ahead"
        )?;
        return Ok(false);
    }
    let paint = session.console.err_paint();
    let mut err = session.console.err.clone();
    write!(err, "{} [y/N] ", paint.text(Label::Heading, question))?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
    if !agreed {
        session.console.note("nothing was changed");
    }
    Ok(agreed)
}

fn put_plan(session: &Session, path: &Path, plan: &Plan) -> Result<(), CliError> {
    let mut text = serde_json::to_vec_pretty(plan)
        .map_err(|error| CliError::usage(format!("cannot write the plan: {error}")))?;
    text.push(b'\n');
    write_new(path, &text)?;
    let shown = path.display().to_string();
    let apply = session.typed(&format!("repair --plan {}", shell_word(&shown)));
    session.console.note(format!(
        "the plan is in `{}`: apply it with `{}`",
        escape::line(&shown),
        escape::line(&apply)
    ));
    Ok(())
}

/// The ledger, without which nothing is repaired.
pub(super) fn ledger_of(around: &Surroundings) -> Result<Ledger, CliError> {
    let ledger = around.ledger.clone();
    ledger.ok_or_else(|| CliError::usage("there is no ledger"))
}

fn resume(session: &Session, arguments: &RepairResume) -> Result<u8, CliError> {
    way_back::not_resumed(session, &arguments.run)?;
    if let Some(code) = super::rotate::resume(session, arguments)? {
        return Ok(code);
    }
    let operator = operator(session);
    with_nodes(session, arguments.format, async |around, _| {
        let (record, stored) = stored(&around, &arguments.run).await?;
        let looking = Looking {
            run: record.start.id.clone(),
            limit: record.start.settings.limit.clone(),
            lanes: match record.start.settings.lanes.as_slice() {
                [] => Lane::ALL.to_vec(),
                lanes => lanes.to_vec(),
            },
            concurrency: arguments.concurrency.get(),
            timeout: Duration::from_secs(arguments.timeout.get()),
        };
        let request = looking.request(session)?;
        if stored.plan.inventory != request.inventory_path {
            let text = format!(
                "run {} was made for the inventory `{}`",
                record.start.id, stored.plan.inventory
            );
            return Err(CliError::usage(text).hint("name it with `-i`"));
        }
        let asked = RepairRequest {
            request,
            policy: Policy::new(seed()),
            plan: None,
            change: None,
            certificates: None,
            patience: PATIENCE,
            operator,
        };
        let report = run::resume(asked, &record, stored, around).await?;
        Ok((report, true))
    })
}

/// The repair that a name means: that of a run that has put one back, or has begun to, is the one that it is about.
pub(super) async fn stored(
    around: &Surroundings,
    name: &str,
) -> Result<(RunRecord, StoredRepair), CliError> {
    let ledger = ledger_of(around)?;
    let mut record = ledger.find(name).await?;
    if let Some(about) = &record.start.about {
        record = ledger.find(about).await?;
    }
    let mut found = ledger.repair(&record.start.id).await?;
    // A step of a rotation may have had nothing to do: the run that began it stands for all.
    if let (None, "keys rotate") = (&found, record.start.command.as_str())
        && let Some((first, _)) = record.start.id.rsplit_once('-')
        && let Some(stored) = ledger.repair(first).await?
    {
        record = ledger.find(first).await?;
        found = Some(stored);
    }
    match found {
        Some(stored) => Ok((record, stored)),
        None => {
            let text = format!("run {} is no repair that changed anything", record.start.id);
            Err(CliError::usage(text).hint("`clearway runs` lists what was done"))
        }
    }
}

/// How the fleet is looked at.
#[derive(Clone)]
pub(super) struct Looking {
    pub(super) run: String,
    pub(super) limit: Option<String>,
    pub(super) lanes: Vec<Lane>,
    pub(super) concurrency: u32,
    pub(super) timeout: Duration,
}

impl Looking {
    pub(super) fn request(self, session: &Session) -> Result<Request, CliError> {
        let fleet: Arc<Fleet> = Arc::new(session.inventory()?.fleet);
        let selected = select(&fleet, self.limit.as_deref().unwrap_or("all"))?;
        let inventory = &session.global.inventory;
        let absolute = std::path::absolute(inventory).unwrap_or_else(|_| inventory.clone());
        let usual = Deadlines::default();
        let timeout = self.timeout;
        Ok(Request {
            run: self.run,
            command: "repair",
            fleet,
            selected,
            inventory: inventory.display().to_string(),
            inventory_path: absolute.display().to_string(),
            limit: self.limit,
            lanes: self.lanes.into_iter().collect(),
            depth: Depth::Copy,
            pairs: PairsMode::All,
            no_write: false,
            prove: true,
            concurrency: usize::try_from(self.concurrency).unwrap_or(usize::MAX),
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
}

/// Does something with nodes that ends with a report, and writes it. `true` beside it tells that something was applied.
fn with_nodes(
    session: &Session,
    format: RepairFormat,
    work: impl AsyncFnOnce(Surroundings, Arc<Tellers>) -> Result<(Report, bool), CliError>,
) -> Result<u8, CliError> {
    let done = with_ledger(session, format, work);
    let (report, applied) = done?;
    let code = report.summary.exit_code;
    match format {
        // The plan has been written already, and nothing has come of it.
        RepairFormat::Table | RepairFormat::Json if !applied && code == exit::BROKEN => {
            if format == RepairFormat::Json
                && report.repair.as_ref().is_some_and(|it| it.nodes.is_empty())
            {
                write_report(
                    &session.console,
                    &report,
                    format.of_report(),
                    session.kept(),
                )?;
            }
        }
        _ => write_report(
            &session.console,
            &report,
            format.of_report(),
            session.kept(),
        )?,
    }
    if applied {
        write_repair_notes(&mut session.console.err.clone(), &report, session.kept())?;
    }
    Ok(code)
}

/// Does something with a ledger, told about meanwhile, until it ends or is interrupted twice.
pub(super) fn with_ledger<T>(
    session: &Session,
    format: RepairFormat,
    work: impl AsyncFnOnce(Surroundings, Arc<Tellers>) -> Result<T, CliError>,
) -> Result<T, CliError> {
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
    let done: Result<T, CliError> = runtime.block_on(async {
        let ledger = Ledger::open(&session.ledger_path()?).await?;
        let tellers = Arc::new(Tellers::new(tellers(session, format.of_report())));
        let (canceller, cancel) = Canceller::pair();
        let listener = signals::listen(canceller, tellers.clone())?;
        let around = Surroundings {
            environment,
            ledger: Some(ledger.clone()),
            observer: tellers.clone(),
            cancel,
        };
        let done = work(around, tellers.clone()).await;
        listener.abort();
        tellers.finish();
        ledger.close().await;
        done
    });
    runtime.shutdown_timeout(LEFT_RUNNING);
    done
}

/// Who does it, as others are told.
pub(super) fn operator(session: &Session) -> String {
    let user = session.environment.user.as_deref().unwrap_or("somebody");
    format!("{user}, since {:.0}", system::now())
}

/// A secret for the salts of a plan.
pub(super) fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&system::random_bytes());
    seed[16..].copy_from_slice(&system::random_bytes());
    seed
}
