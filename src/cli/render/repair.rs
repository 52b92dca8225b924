//! Plans and what became of them, as text for people.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::view::View;
use crate::cli::paint::Label;
use crate::cli::text::{count, shell_word};
use crate::domain::fold;
use crate::repair::{
    Attributes, Change, Folded, Plan, Progress, Tag, Target, diff, key_fingerprint,
};
use crate::report::{LeftReport, Report, escape};
use crate::run::Undone;

/// Writes what a plan would do: keys, commands, the difference of every file, and what is left to a person.
pub(in crate::cli) fn write_plan(out: &mut dyn Write, plan: &Plan, view: View) -> io::Result<()> {
    let nodes = Progress::new(plan).nodes().count() as u64;
    let files = plan.nodes.iter().map(|it| it.edits.len());
    let files = files.chain(plan.sshd.iter().map(|it| it.edits.len()));
    let edits = files.sum::<usize>() as u64;
    let renewed = plan.turnover.renewed.iter().filter(|it| it.takes_place);
    let keys = (plan.keys.len() + plan.copies.len() + renewed.count()) as u64;
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
    for folded in diff(plan) {
        difference(out, &folded, view)?;
    }
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
        write!(
            out,
            "hint: `clearway repair undo {run}` puts everything back"
        )?;
        let mut earlier = repair.earlier.iter().rev().peekable();
        if earlier.peek().is_some() {
            // One on top of the other: taken off in the opposite order.
            write!(out, " that it did; for what was done before it, then")?;
        }
        for run in earlier {
            write!(out, " `clearway repair undo {}`", escape::line(run))?;
        }
        writeln!(out)?;
        if repair.more {
            writeln!(out, "hint: more can be repaired now: `clearway repair`")?;
        }
        Ok(())
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
            "undone" | "forgotten" => Label::Good,
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

/// Lines of one change that are shown; `-v` shows all.
const LINES: usize = 60;

/// One change, as a unified diff with a heading for the nodes that share it.
fn difference(out: &mut dyn Write, folded: &Folded, view: View) -> io::Result<()> {
    let nodes = escape::line(&folded.nodes);
    let reasons: BTreeSet<&str> = folded.answers.iter().map(|it| it.reason.as_str()).collect();
    let reasons: Vec<&str> = reasons.into_iter().collect();
    let place = place_of(&folded.target);
    let what = match &folded.change {
        Change::NewDirectory { attributes } => {
            format!("new directory {place}, {}", owned(attributes))
        }
        Change::Attributes { before, after } => {
            format!("{place}: {} becomes {}", owned(before), owned(after))
        }
        Change::Text {
            before: None,
            after,
            ..
        } => format!("new file {place}, {}", owned(after)),
        Change::Text {
            before: Some(before),
            after,
            ..
        } if before != after => {
            format!("{place}: {} becomes {}", owned(before), owned(after))
        }
        Change::Text { .. } => place,
        Change::Removed { before, .. } => format!("{place}, {}: goes", owned(before)),
        Change::NewKey { key_type, .. } => format!("new {key_type} key {place}, made there"),
        Change::CopiedKey { from, source, .. } => {
            format!("key {place}, brought from {from}:{}", place_of(source))
        }
        Change::RenewedKey { was, becomes } => {
            format!("key {place}: {was} becomes {becomes}")
        }
        Change::Command { words, undo } => {
            let whole = |words: &[String]| {
                let all = folded.target.context.iter().chain(words);
                all.map(|it| shell_word(it)).collect::<Vec<_>>().join(" ")
            };
            format!("command: {}, taken back by: {}", whole(words), whole(undo))
        }
    };
    let heading = format!("{nodes}: {}", escape::line(&what));
    write!(out, "{}", view.paint.text(Label::Heading, heading))?;
    match reasons.as_slice() {
        [] => writeln!(out)?,
        reasons => {
            let reasons = escape::line(&reasons.join(", ")).into_owned();
            writeln!(out, "  {}", view.paint.text(Label::Faint, reasons))?;
        }
    }
    if folded.without_own {
        writeln!(
            out,
            "  {}",
            view.paint
                .text(Label::Faint, "each without the lines of its own node")
        )?;
    }
    let (Change::Text { hunks, .. } | Change::Removed { hunks, .. }) = &folded.change else {
        return Ok(());
    };
    let most = if view.verbose { usize::MAX } else { LINES };
    let total: usize = hunks.iter().map(|hunk| hunk.lines.len()).sum();
    let mut shown = 0;
    for hunk in hunks {
        if shown >= most {
            break;
        }
        let head = format!(
            "@@ -{},{} +{},{} @@",
            hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines
        );
        writeln!(out, "  {}", view.paint.text(Label::Code, head))?;
        for line in hunk.lines.iter().take(most - shown) {
            shown += 1;
            let text = format!("{}{}", line.tag.sign(), escape::line(&line.text));
            match line.tag {
                Tag::Added => writeln!(out, "  {}", view.paint.text(Label::Good, text))?,
                Tag::Removed => writeln!(out, "  {}", view.paint.text(Label::Bad, text))?,
                Tag::Context => writeln!(out, "  {text}")?,
            }
            if let Some(key) = key_fingerprint(&line.text).filter(|_| line.tag != Tag::Context) {
                writeln!(out, "      {}", view.paint.text(Label::Faint, key))?;
            }
            if line.without_end {
                writeln!(out, "  \\ No newline at end of file")?;
            }
        }
    }
    if total > shown {
        writeln!(
            out,
            "  … {} more, shown by `--verbose`",
            count((total - shown) as u64, "line")
        )?;
    }
    writeln!(out)
}

/// A path, and where it is meant.
fn place_of(target: &Target) -> String {
    let context: Vec<_> = target.context.iter().map(|it| shell_word(it)).collect();
    match context.as_slice() {
        [] => target.path.clone(),
        words => format!("{} (in `{}`)", target.path, words.join(" ")),
    }
}

/// `0600 of 42436:42436`.
fn owned(attributes: &Attributes) -> String {
    format!(
        "{:04o} of {}:{}",
        attributes.mode, attributes.uid, attributes.gid
    )
}
