//! Plans and what became of them, as text for people.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::view::{Kept, View};
use crate::cli::paint::Label;
use crate::cli::text::{count, duration, shell_word};
use crate::domain::fold;
use crate::repair::{
    Attributes, Change, Folded, Plan, Progress, Tag, Target, diff, key_fingerprint,
};
use crate::report::{LeftReport, RepairedNode, Report, escape};
use crate::run::left_of;

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
    write_left(out, &left_of(plan), view)
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
        let legs = match left.legs {
            0 => String::new(),
            legs => format!("{}: ", count(legs, "leg")),
        };
        writeln!(
            out,
            "  {}: {legs}{}",
            view.paint.text(Label::Code, escape::line(&left.code)),
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
    outcomes(out, &repair.nodes, view, |outcome| match outcome {
        "kept" => (Label::Good, "repaired"),
        "undone" => (Label::Doubtful, "put back"),
        other => words(other),
    })?;
    writeln!(out)?;
    write_left(out, &repair.left, view)
}

/// Nodes by what became of them.
fn outcomes(
    out: &mut dyn Write,
    nodes: &[RepairedNode],
    view: View,
    words: impl Fn(&str) -> (Label, &str),
) -> io::Result<()> {
    let mut outcomes: BTreeMap<(&str, Option<&str>), Vec<&str>> = BTreeMap::new();
    for node in nodes {
        let outcome = match node.outcome.as_str() {
            "kept" if node.edits + node.keys == 0 => "unchanged",
            outcome => outcome,
        };
        let key = (outcome, node.detail.as_deref());
        outcomes.entry(key).or_default().push(&node.name);
    }
    for ((outcome, detail), nodes) in outcomes {
        let (label, said) = words(outcome);
        let nodes = fold(nodes.iter().copied());
        let said = view.paint.text(label, escape::line(said));
        writeln!(out, "{said}: {}", escape::line(&nodes))?;
        for line in detail.iter().flat_map(|it| escape::lines(it)) {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

/// An outcome that is the same whatever was to be done, as a person would say it.
fn words(outcome: &str) -> (Label, &str) {
    match outcome {
        "refused" => (Label::Doubtful, "refused, nothing changed"),
        "stuck" => (Label::Bad, "could not be put back"),
        "unknown" => (Label::Doubtful, "did not answer to the end"),
        "unchanged" => (Label::Faint, "nothing was left to change"),
        other => (Label::Bad, other),
    }
}

/// What to type next, after a repair.
pub(in crate::cli) fn write_notes(
    out: &mut dyn Write,
    report: &Report,
    kept: Kept<'_>,
) -> io::Result<()> {
    let Some(repair) = &report.repair else {
        return Ok(());
    };
    let typed = |words: &str| {
        let typed = kept.typed(Some(&report.inventory), words);
        escape::line(&typed).to_string()
    };
    let undo = |run: &str| typed(&format!("repair undo {run}"));
    let run = report.run.as_str();
    if repair.complete {
        write!(out, "hint: `{}` puts everything back", undo(run))?;
        let mut earlier = repair.earlier.iter().rev().peekable();
        if earlier.peek().is_some() {
            // One on top of the other: taken off in the opposite order.
            write!(out, " that it did; for what was done before it, then")?;
        }
        for run in earlier {
            write!(out, " `{}`", undo(run))?;
        }
        writeln!(out)?;
        if repair.more {
            let again = typed("repair");
            writeln!(out, "hint: more can be repaired now: `{again}`")?;
        }
        Ok(())
    } else {
        writeln!(
            out,
            "hint: not everything has its end: `{}` goes on, `{}` puts everything back",
            typed(&format!("repair resume {run}")),
            undo(run)
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

/// What became of a run that puts an earlier one back, or gives up its way back.
pub(in crate::cli) fn write_way_back(
    out: &mut dyn Write,
    report: &Report,
    view: View,
) -> io::Result<()> {
    let Some(repair) = &report.repair else {
        return Ok(());
    };
    let interrupted = if report.interrupted {
        ", interrupted"
    } else {
        ""
    };
    writeln!(
        out,
        "{}{interrupted}: {} of run {}",
        view.paint
            .text(Label::Heading, escape::line(&report.command)),
        count(report.summary.nodes, "node"),
        escape::line(repair.about.as_deref().unwrap_or_default()),
    )?;
    let mut facts = vec![format!("run {}", escape::line(&report.run))];
    facts.extend(duration(&report.started, &report.finished));
    let facts = view.paint.text(Label::Faint, facts.join(", "));
    writeln!(out, "  {facts}\n")?;
    outcomes(out, &repair.nodes, view, |outcome| match outcome {
        "undone" => (Label::Good, "put back"),
        "forgotten" => (Label::Good, "forgotten"),
        "kept" => (Label::Doubtful, "left as it is"),
        other => words(other),
    })
}

/// What to type next, after such a run.
pub(in crate::cli) fn write_way_back_notes(
    out: &mut dyn Write,
    report: &Report,
    kept: Kept<'_>,
) -> io::Result<()> {
    let Some(repair) = report.repair.as_ref().filter(|it| !it.complete) else {
        return Ok(());
    };
    let about = repair.about.as_deref().unwrap_or_default();
    let again = format!("{} {about}", report.command);
    let again = kept.typed(Some(&report.inventory), &again);
    let again = escape::line(&again);
    writeln!(out, "hint: not done on every node: `{again}` goes on")
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
        Change::Label { before, after } => format!("label of {place}: {before} becomes {after}"),
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
