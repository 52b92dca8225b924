//! Plans and what became of them, as text for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::view::View;
use crate::cli::paint::Label;
use crate::cli::text::{count, shell_word};
use crate::domain::fold;
use crate::repair::{Plan, Progress};
use crate::report::{LeftReport, Report, escape};
use crate::run::Undone;

/// Writes what a plan would do: keys, commands, the difference of every file, and what is left to a person.
pub(in crate::cli) fn write_plan(out: &mut dyn Write, plan: &Plan, view: View) -> io::Result<()> {
    let nodes = Progress::new(plan).nodes().count() as u64;
    let edits: u64 = plan.nodes.iter().map(|it| it.edits.len() as u64).sum();
    let keys = (plan.keys.len() + plan.copies.len()) as u64;
    let heading = |out: &mut dyn Write, text: &str| {
        writeln!(out, "{}", view.paint.text(Label::Heading, text))
    };
    if nodes > 0 {
        let what = format!(
            "planned: {}, {} on {}",
            count(edits, "edit"),
            count(keys, "key"),
            count(nodes, "node")
        );
        heading(out, &what)?;
        writeln!(out)?;
    }
    let mut made: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for key in &plan.keys {
        let text = format!("a new {} key, {}", key.key_type, key.target.path);
        made.entry(text).or_default().push(&key.node);
    }
    for copy in &plan.copies {
        let text = format!("the key that all share, {}", copy.target.path);
        made.entry(text).or_default().push(&copy.node);
    }
    if !made.is_empty() {
        heading(out, "keys")?;
        folded(out, &made)?;
    }
    let mut commands: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for command in &plan.commands {
        let words = command.context.iter().chain(&command.words);
        let words: Vec<_> = words.map(|word| shell_word(word)).collect();
        commands
            .entry(words.join(" "))
            .or_default()
            .push(&command.node);
    }
    if !commands.is_empty() {
        heading(out, "commands")?;
        folded(out, &commands)?;
    }
    difference(out, plan, view)?;
    let left: Vec<LeftReport> = plan
        .left
        .iter()
        .map(|left| LeftReport {
            code: left.reason.clone(),
            legs: left.legs.len() as u64,
            why: left.why.clone(),
            remedy: left.remedy.clone(),
        })
        .collect();
    write_left(out, &left, view)
}

/// Things that nodes have in common, told once.
fn folded(out: &mut dyn Write, things: &BTreeMap<String, Vec<&str>>) -> io::Result<()> {
    for (thing, nodes) in things {
        let nodes = fold(nodes.iter().copied());
        writeln!(out, "  {}: {}", escape::line(&nodes), escape::line(thing))?;
    }
    writeln!(out)
}

/// What a repair leaves to a person.
pub(in crate::cli) fn write_left(
    out: &mut dyn Write,
    left: &[LeftReport],
    view: View,
) -> io::Result<()> {
    if left.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", view.paint.text(Label::Doubtful, "left to you"))?;
    for left in left {
        writeln!(
            out,
            "  {}: {}: {}",
            view.paint.text(Label::Code, escape::line(&left.code)),
            count(left.legs, "leg"),
            escape::line(&left.why)
        )?;
        for line in escape::lines(&left.remedy) {
            writeln!(out, "    {line}")?;
        }
    }
    writeln!(out)
}

/// What became of each node of a repair, for the report.
pub(super) fn write_nodes(out: &mut dyn Write, report: &Report, view: View) -> io::Result<()> {
    let Some(repair) = report.repair.as_ref().filter(|it| it.applied) else {
        return Ok(());
    };
    let mut outcomes: BTreeMap<(&str, Option<&str>), Vec<&str>> = BTreeMap::new();
    for node in &repair.nodes {
        let key = (node.outcome.as_str(), node.detail.as_deref());
        outcomes.entry(key).or_default().push(&node.name);
    }
    for ((outcome, detail), nodes) in outcomes {
        let label = match outcome {
            "kept" => Label::Good,
            "undone" | "refused" | "unknown" => Label::Doubtful,
            _ => Label::Bad,
        };
        let nodes = fold(nodes.iter().copied());
        let outcome = view.paint.text(label, words(outcome));
        writeln!(out, "{outcome}: {}", escape::line(&nodes))?;
        for line in detail.iter().flat_map(|it| escape::lines(it)) {
            writeln!(out, "    {line}")?;
        }
    }
    writeln!(out)?;
    write_left(out, &repair.left, view)
}

/// An outcome as a person would say it.
fn words(outcome: &str) -> &str {
    match outcome {
        "kept" => "repaired",
        "undone" => "put back",
        "refused" => "refused, nothing changed",
        "stuck" => "could not be put back",
        "unknown" => "did not answer to the end",
        other => other,
    }
}

/// What to type next, after a repair.
pub(in crate::cli) fn write_notes(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let Some(repair) = &report.repair else {
        return Ok(());
    };
    let run = escape::line(&report.run);
    if repair.complete {
        writeln!(
            out,
            "hint: `clearway repair undo {run}` puts everything back"
        )
    } else {
        writeln!(
            out,
            "hint: not everything has its end: `clearway repair resume {run}` goes on, `clearway repair undo {run}` puts \
             everything back"
        )
    }
}

/// What an undo would put back.
pub(in crate::cli) fn write_undo_paths(
    out: &mut dyn Write,
    nodes: &BTreeMap<String, Vec<String>>,
    view: View,
) -> io::Result<()> {
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (node, paths) in nodes {
        alike.entry(paths.join(" ")).or_default().push(node);
    }
    writeln!(out, "{}", view.paint.text(Label::Heading, "to put back"))?;
    folded(out, &alike)
}

/// What became of an undo.
pub(in crate::cli) fn write_undo(
    out: &mut dyn Write,
    undone: &Undone,
    view: View,
) -> io::Result<()> {
    let mut outcomes: BTreeMap<(&str, Option<&str>), Vec<&str>> = BTreeMap::new();
    for node in &undone.nodes {
        let key = (node.outcome, node.detail.as_deref());
        outcomes.entry(key).or_default().push(&node.name);
    }
    for ((outcome, detail), nodes) in outcomes {
        let label = match outcome {
            "undone" => Label::Good,
            "unknown" => Label::Doubtful,
            _ => Label::Bad,
        };
        let nodes = fold(nodes.iter().copied());
        let outcome = view.paint.text(label, words(outcome));
        writeln!(out, "{outcome}: {}", escape::line(&nodes))?;
        for line in detail.iter().flat_map(|it| escape::lines(it)) {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

/// The difference of every file.
fn difference(out: &mut dyn Write, plan: &Plan, _view: View) -> io::Result<()> {
    for node in &plan.nodes {
        for edit in &node.edits {
            let path = escape::line(&edit.target.path);
            writeln!(out, "  {}: {path}", escape::line(&node.node))?;
        }
    }
    writeln!(out)
}
