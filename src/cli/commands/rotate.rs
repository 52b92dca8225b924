//! `clearway keys rotate`: one step after another, each shown, carried out and proven.

use std::collections::HashSet;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::check::tellers;
use super::repair::{Looking, PATIENCE, ask, ledger_of, operator, seed, stored, with_ledger};
use super::runs::write_report;
use super::session::Session;
use crate::cli::args::{RepairFormat, RepairResume};
use crate::cli::error::CliError;
use crate::cli::keys_args::Rotate;
use crate::cli::observe::Tellers;
use crate::cli::render::{write_left, write_plan};
use crate::cli::text::count;
use crate::domain::{Fleet, KeySharing, Lane, NodeId};
use crate::inventory::select;
use crate::ledger::Ledger;
use crate::repair::{Policy, Progress};
use crate::report::{Report, escape, exit};
use crate::run::{self, KeyChange, NextStep, Prepared, RepairRequest, Request, Surroundings};
use crate::system;

/// A rotation is at its end long before so many steps.
const STEPS: usize = 16;

/// What all steps of a rotation have in common.
struct Rotating<'s> {
    session: &'s Session,
    fleet: Arc<Fleet>,
    looking: Looking,
    from: bool,
    format: RepairFormat,
}

pub(super) fn rotate(session: &Session, arguments: &Rotate) -> Result<u8, CliError> {
    let fleet = Arc::new(session.inventory()?.fleet);
    let without: HashSet<NodeId> = match &arguments.without {
        Some(names) => select(&fleet, names)?.into_iter().collect(),
        None => HashSet::new(),
    };
    let mut nodes: HashSet<NodeId> = select(&fleet, arguments.limit.as_deref().unwrap_or("all"))?
        .into_iter()
        .collect();
    nodes.retain(|it| !without.contains(it));
    let shared = |id: &NodeId| fleet.node(*id).profile.repair.keys == KeySharing::Shared;
    if let Some(id) = fleet.ids().find(|id| nodes.contains(id) && shared(id)) {
        let text = format!(
            "{} has a key that it shares with others (`keys: shared`), and rotate renews only keys that a node has for itself",
            fleet.node(id).name
        );
        return Err(CliError::usage(text).hint(
            "give every node a key of its own: take `keys: shared` out of the inventory, then `clearway keys rotate`",
        ));
    }
    let rotating = Rotating {
        session,
        fleet,
        looking: Looking {
            run: system::run_id(system::now()),
            limit: None,
            lanes: Lane::ALL.to_vec(),
            concurrency: arguments.concurrency.get(),
            timeout: Duration::from_secs(arguments.timeout.get()),
        },
        from: !arguments.no_from,
        format: arguments.format,
    };
    let request = rotating.request(rotating.looking.run.clone())?;
    let done = with_ledger(session, arguments.format, async |around, tellers| {
        let ledger = ledger_of(&around)?;
        let open = run::open_rotation(&ledger, &request.inventory_path).await?;
        let (first, report) = match open {
            Some(record) => {
                let first = record.start.id;
                tellers.finish();
                session.console.note(format!(
                    "the rotation that run {first} began is not at its end, and is gone on with"
                ));
                let question = "Go on with it?";
                if arguments.diff || (!arguments.yes && !ask(session, question)?) {
                    return Ok(None);
                }
                tellers.replace(self::tellers(session, arguments.format.of_report()));
                (first, None)
            }
            None => {
                let change = KeyChange::Rotate { nodes, without };
                let asked = rotating.asked(request.clone(), Some(change));
                let prepared = run::prepare(asked, around.clone()).await?;
                tellers.finish();
                rotating.show(&prepared)?;
                if prepared.is_empty() || prepared.is_interrupted() {
                    session.console.note("no key that could be renewed now");
                    return Ok(Some((request.run.clone(), prepared.leave().await?, false)));
                }
                session.console.note(
                    "after that, each new key is proven by itself and takes the old one's name; then the old ones go out of every file",
                );
                let nodes = Progress::new(prepared.plan()).nodes().count() as u64;
                let question = format!("Rotate keys, on {}?", count(nodes, "node"));
                if arguments.diff || (!arguments.yes && !ask(session, &question)?) {
                    let mut report = prepared.leave().await?;
                    report.summary.exit_code = exit::BROKEN;
                    return Ok(Some((request.run.clone(), report, false)));
                }
                tellers.replace(self::tellers(session, arguments.format.of_report()));
                let report = prepared.carry_out().await?;
                (request.run.clone(), Some(report))
            }
        };
        let report = rotating.go_on(&around, &tellers, &first, report).await?;
        Ok(Some((first, report, true)))
    })?;
    match done {
        None => Ok(exit::BROKEN),
        Some((first, report, applied)) => rotating.told(&first, &report, applied),
    }
}

/// Goes on with a rotation, if that is what the run belongs to; `None` if not.
pub(super) fn resume(session: &Session, arguments: &RepairResume) -> Result<Option<u8>, CliError> {
    let rotating = Rotating {
        session,
        fleet: Arc::new(session.inventory()?.fleet),
        looking: Looking {
            run: String::new(),
            limit: None,
            lanes: Lane::ALL.to_vec(),
            concurrency: arguments.concurrency.get(),
            timeout: Duration::from_secs(arguments.timeout.get()),
        },
        from: true,
        format: arguments.format,
    };
    let done = with_ledger(session, arguments.format, async |around, tellers| {
        let (_, stored) = stored(&around, &arguments.run).await?;
        let Some(first) = stored.plan.turnover.rotation else {
            return Ok(None);
        };
        let request = rotating.request(first.clone())?;
        if stored.plan.inventory != request.inventory_path {
            let inventory = stored.plan.inventory;
            let text = format!("run {first} was made for the inventory `{inventory}`");
            return Err(CliError::usage(text).hint("name it with `-i`"));
        }
        let report = rotating.go_on(&around, &tellers, &first, None).await?;
        Ok(Some((first, report)))
    })?;
    match done {
        None => Ok(None),
        Some((first, report)) => rotating.told(&first, &report, true).map(Some),
    }
}

impl Rotating<'_> {
    fn request(&self, run: String) -> Result<Request, CliError> {
        let looking = Looking {
            run,
            ..self.looking.clone()
        };
        Ok(Request {
            command: "keys rotate",
            ..looking.request(self.session)?
        })
    }

    fn asked(&self, request: Request, change: Option<KeyChange>) -> RepairRequest {
        RepairRequest {
            request,
            policy: Policy {
                from: self.from,
                ..Policy::new(seed())
            },
            plan: None,
            change,
            certificates: None,
            patience: PATIENCE,
            operator: operator(self.session),
        }
    }

    fn show(&self, prepared: &Prepared) -> Result<(), CliError> {
        if self.format == RepairFormat::Table {
            let mut out = self.session.console.out.clone();
            write_plan(&mut out, prepared.plan(), self.session.console.view())?;
            out.flush()?;
        }
        Ok(())
    }

    /// Takes one step after another until nothing is left that could be done. The last report, of a whole check.
    async fn go_on(
        &self,
        around: &Surroundings,
        tellers: &Arc<Tellers>,
        first: &str,
        mut last: Option<Report>,
    ) -> Result<Report, CliError> {
        let ledger = ledger_of(around)?;
        let mut given_up: HashSet<NodeId> = HashSet::new();
        for _ in 0..STEPS {
            if let Some(report) = &last {
                let nodes = report.repair.iter().flat_map(|it| &it.nodes);
                let failed = nodes.filter(|it| it.outcome != "kept");
                given_up.extend(failed.filter_map(|it| self.fleet.find(&it.name)));
            }
            if let Some(report) = last.take_if(|it| it.interrupted) {
                return Ok(report);
            }
            match run::next_of(&ledger, first, &self.fleet, &given_up).await? {
                NextStep::Finish(step) => {
                    let (record, stored) = *step;
                    let request = self.request(record.start.id.clone())?;
                    let asked = self.asked(request, None);
                    let report = run::resume(asked, &record, stored, around.clone()).await?;
                    last = Some(report);
                }
                NextStep::Plan(rotation, id) => {
                    let change = Some(KeyChange::GoOn(rotation));
                    let asked = self.asked(self.request(id)?, change);
                    let prepared = run::prepare(asked, around.clone()).await?;
                    tellers.finish();
                    if prepared.is_interrupted() {
                        return Ok(prepared.leave().await?);
                    }
                    self.show(&prepared)?;
                    if prepared.is_empty() {
                        let waits = !prepared.plan().left.is_empty() || !given_up.is_empty();
                        let mut report = prepared.leave().await?;
                        if !waits {
                            run::conclude(&ledger, first).await?;
                        } else if report.summary.exit_code == exit::WELL {
                            report.summary.exit_code = exit::UNPROVEN;
                        }
                        self.not_renewed(&ledger, first, &mut report).await?;
                        return Ok(report);
                    }
                    tellers.replace(self::tellers(self.session, self.format.of_report()));
                    last = Some(prepared.carry_out().await?);
                }
            }
        }
        last.ok_or_else(|| CliError::usage("the rotation does not come to an end"))
    }

    /// Says once more what the first step left alone: the steps after it do not know of these keys.
    async fn not_renewed(
        &self,
        ledger: &Ledger,
        first: &str,
        report: &mut Report,
    ) -> Result<(), CliError> {
        let stored = ledger.repair(first).await?;
        let left = stored.map_or_else(Vec::new, |it| run::left_of(&it.plan));
        if left.is_empty() {
            return Ok(());
        }
        if self.format == RepairFormat::Table {
            let mut out = self.session.console.out.clone();
            write_left(&mut out, &left, self.session.console.view())?;
        }
        if let Some(repair) = &mut report.repair {
            repair.left.extend(left);
        }
        if report.summary.exit_code == exit::WELL {
            report.summary.exit_code = exit::BROKEN;
        }
        Ok(())
    }

    fn told(&self, first: &str, report: &Report, applied: bool) -> Result<u8, CliError> {
        write_report(
            &self.session.console,
            report,
            self.format.of_report(),
            self.session.kept(),
        )?;
        if applied {
            let typed = |what: &str| {
                let typed = self.session.typed(&format!("repair {what} {first}"));
                escape::line(&typed).to_string()
            };
            let mut err = self.session.console.err.clone();
            writeln!(
                err,
                "hint: `{}` goes on where something is left; `{}` gives the old keys back; `{}` removes them from the nodes",
                typed("resume"),
                typed("undo"),
                typed("forget")
            )?;
        }
        Ok(report.summary.exit_code)
    }
}
