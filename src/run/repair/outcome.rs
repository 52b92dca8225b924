//! What a repair did, for the report.

use std::collections::BTreeSet;

use crate::domain::Fleet;
use crate::ledger::RunStart;
use crate::repair::{End, NodeProgress, Plan, Progress, Stage};
use crate::report::{
    LeftReport, RepairReport, RepairedNode, Report, SCHEMA_VERSION, Summary, exit,
};
use crate::run::examine::rfc3339;
use crate::system;

/// What would be done.
pub(super) fn planned(plan: &Plan, fleet: &Fleet) -> RepairReport {
    report(plan, fleet, false, true, |_| ("planned", None))
}

/// What was done.
pub(super) fn carried_out(plan: &Plan, fleet: &Fleet, progress: &Progress) -> RepairReport {
    let complete = progress.is_closed();
    let mut report = report(plan, fleet, true, complete, |name| {
        progress.node(name).map_or(("unknown", None), ended)
    });
    let kept = report.nodes.iter_mut().filter(|it| it.outcome == "kept");
    for node in kept {
        if let Some(progress) = progress.node(&node.name) {
            (node.edits, node.keys) = done(plan, progress, &node.name);
        }
    }
    report
}

/// How many files and accounts a node has changed, and how many keys it has got: what was as it should be does not count.
fn done(plan: &Plan, progress: &NodeProgress, name: &str) -> (u64, u64) {
    let sshd = plan.sshd.iter();
    let sshd = sshd.filter(|it| progress.reloaded && it.node == name);
    let commands = plan.commands.iter();
    let commands = commands.filter(|it| progress.edited && it.node == name);
    let copies = plan.copies.iter();
    let copies = copies.filter(|it| progress.done.contains(&Stage::Bring) && it.node == name);
    let edits =
        progress.wrote.len() + sshd.map(|it| it.edits.len()).sum::<usize>() + commands.count();
    let keys = progress.keys.len() + copies.count();
    (edits as u64, keys as u64)
}

/// A word for how a node ended, and why.
pub(super) fn ended(node: &NodeProgress) -> (&'static str, Option<String>) {
    match &node.end {
        Some(End::Kept | End::Forgotten) => ("kept", None),
        Some(End::Undone(why)) => ("undone", why.clone()),
        Some(End::Refused(why)) => ("refused", Some(why.clone())),
        Some(End::Stuck(why)) => ("stuck", Some(why.clone())),
        Some(End::Lost(why)) => ("unknown", Some(why.clone())),
        None => ("unknown", node.lost.clone()),
    }
}

/// A word for what became of a node that is put back or forgets, and why.
pub(super) fn way_back(node: &NodeProgress) -> (&'static str, Option<String>) {
    match &node.end {
        Some(End::Forgotten) => ("forgotten", None),
        _ => ended(node),
    }
}

/// A report that knows nothing: of a run that is resumed and interrupted at once, and of one that looks at no pair.
pub(super) fn empty_report(start: &RunStart) -> Report {
    Report {
        schema: SCHEMA_VERSION,
        clearway: env!("CARGO_PKG_VERSION").to_owned(),
        run: start.id.clone(),
        command: start.command.clone(),
        started: rfc3339(start.started),
        finished: rfc3339(system::now()),
        inventory: start.inventory.clone(),
        settings: start.settings.clone(),
        interrupted: false,
        summary: Summary {
            exit_code: exit::UNPROVEN,
            ..Summary::default()
        },
        nodes: Vec::new(),
        legs: Vec::new(),
        predicted_only: Vec::new(),
        proven_earlier: None,
        findings: Vec::new(),
        repair: None,
    }
}

fn report(
    plan: &Plan,
    fleet: &Fleet,
    applied: bool,
    complete: bool,
    outcome: impl Fn(&str) -> (&'static str, Option<String>),
) -> RepairReport {
    let progress = Progress::new(plan);
    let touched: BTreeSet<&str> = progress.nodes().map(|(name, _)| name).collect();
    let in_order = fleet.nodes.iter().map(|node| node.name.as_str());
    let nodes = in_order
        .filter(|name| touched.contains(name))
        .map(|name| repaired(plan, name, outcome(name)));
    RepairReport {
        applied,
        about: None,
        complete,
        more: false,
        earlier: Vec::new(),
        nodes: nodes.collect(),
        left: left_of(plan),
    }
}

/// What a plan leaves to a person, for a report.
#[must_use]
pub fn left_of(plan: &Plan) -> Vec<LeftReport> {
    let left = plan.left.iter().map(|left| LeftReport {
        code: left.reason.clone(),
        legs: left.legs.len() as u64,
        why: left.why.clone(),
        remedy: left.remedy.clone(),
    });
    left.collect()
}

/// A node, what a plan has for it, and what became of that.
pub(super) fn repaired(
    plan: &Plan,
    name: &str,
    (outcome, detail): (&str, Option<String>),
) -> RepairedNode {
    let edits = plan.nodes.iter().filter(|it| it.node == name);
    let renewed = plan.turnover.renewed.iter();
    let sshd = plan.sshd.iter().filter(|it| it.node == name);
    let sshd: usize = sshd.map(|it| it.edits.len()).sum();
    let keys = plan.keys.iter().filter(|it| it.node == name).count()
        + renewed
            .filter(|it| it.takes_place && it.node == name)
            .count()
        + plan.copies.iter().filter(|it| it.node == name).count();
    RepairedNode {
        name: name.to_owned(),
        outcome: outcome.to_owned(),
        edits: edits.map(|it| it.edits.len() as u64).sum::<u64>() + sshd as u64,
        keys: keys as u64,
        detail,
    }
}

/// The exit code of a repair: what the verdicts say, and at the least that something failed where a node is not kept.
pub(super) fn exit_code(summary: &Summary, repair: &RepairReport) -> u8 {
    let worst = |outcome: &str| repair.nodes.iter().any(|it| it.outcome == outcome);
    match summary.exit_code {
        exit::WELL | exit::UNPROVEN
            if repair.applied && ["undone", "refused", "stuck"].into_iter().any(worst) =>
        {
            exit::BROKEN
        }
        exit::WELL if repair.applied && worst("unknown") => exit::UNPROVEN,
        code => code,
    }
}
