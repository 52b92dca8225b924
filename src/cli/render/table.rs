//! The report of a check as text for people: most important first, everything alike told once.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::view::{Kept, View};
use super::{evidence, matrix, words};
use crate::cli::paint::Label;
use crate::cli::text::{count, duration, shell_word, verdicts};
use crate::domain::{Depth, Severity, fold};
use crate::report::{FindingGroup, LegGroup, LostNodes, Overview, Remedy, Report, escape};

/// Groups of legs that are told with everything; further ones get a line each.
const FULL: usize = 12;
/// Groups of legs that are told at all. `-v` lifts both.
const MOST: usize = 60;
/// Evidence of one leg that is shown.
const EVIDENCE: usize = 8;
/// Lines of a program's output that are shown.
const OUTPUT: usize = 3;

/// Writes the whole report.
pub(in crate::cli) fn write(
    out: &mut dyn Write,
    report: &Report,
    kept: Kept<'_>,
    view: View,
) -> io::Result<()> {
    let overview = Overview::of(report);
    headline(out, report, view)?;
    super::repair::write_nodes(out, report, view)?;
    matrix::write(out, report, view)?;
    lost(out, &overview.lost, view)?;
    groups(out, "broken", Label::Bad, &overview.broken, view)?;
    groups(out, "unproven", Label::Doubtful, &overview.unproven, view)?;
    findings(out, &overview.findings, view)?;
    gaps(out, &overview.gaps, view)?;
    predicted(out, report, &overview.predicted, view)?;
    not_needed(out, &overview.not_needed, view)?;
    next(out, report, &overview, kept, view)
}

fn headline(out: &mut dyn Write, report: &Report, view: View) -> io::Result<()> {
    let summary = &report.summary;
    let label = match (summary.pairs.broken, summary.pairs.unproven) {
        (0, 0) if summary.pairs.predicted_only == 0 => Label::Good,
        (0, _) => Label::Doubtful,
        _ => Label::Bad,
    };
    let interrupted = if report.interrupted {
        ", interrupted"
    } else {
        ""
    };
    writeln!(
        out,
        "{}{interrupted}: {}, {}: {}",
        view.paint
            .text(Label::Heading, escape::line(&report.command)),
        count(summary.nodes, "node"),
        count(summary.pairs.total, "ordered pair"),
        view.paint.text(label, verdicts(&summary.pairs)),
    )?;
    if summary.surveyed < summary.nodes {
        let missing = count(summary.nodes - summary.surveyed, "node");
        writeln!(out, "  {missing} could not be surveyed")?;
    }
    writeln!(
        out,
        "  {}: {}",
        count(summary.legs.total, "leg"),
        verdicts(&summary.legs)
    )?;
    let mut facts = vec![
        format!("run {}", escape::line(&report.run)),
        format!("proof up to {}", depth(report)),
    ];
    if report.settings.pairs != "all" {
        facts.push(format!("pairs {}", escape::line(&report.settings.pairs)));
    }
    if let Some(limit) = &report.settings.limit {
        facts.push(format!("limit {}", shell_word(&escape::line(limit))));
    }
    facts.extend(duration(&report.started, &report.finished));
    writeln!(
        out,
        "  {}\n",
        view.paint.text(Label::Faint, facts.join(", "))
    )
}

/// How far proof was to climb.
pub(super) fn depth(report: &Report) -> &'static str {
    match (report.settings.depth, report.settings.no_write) {
        (Depth::Connect, _) => "connect",
        (Depth::Login, _) => "login",
        (Depth::Copy, false) => "copy",
        (Depth::Copy, true) => "copy without writing",
    }
}

fn lost(out: &mut dyn Write, lost: &[LostNodes<'_>], view: View) -> io::Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", view.paint.text(Label::Doubtful, "not surveyed"))?;
    for group in lost {
        let names = fold(group.nodes.iter().map(|node| &node.name));
        let why = view.paint.text(Label::Code, escape::line(group.why));
        write!(out, "  {}: {why}", escape::line(&names))?;
        match group.legs {
            0 => writeln!(out)?,
            legs => writeln!(out, " ({} unproven for it)", count(legs, "leg"))?,
        }
        if let Some(meaning) = words::meaning(group.why) {
            writeln!(out, "    {meaning}")?;
        }
        let most = if view.verbose { usize::MAX } else { 3 };
        for node in group.nodes.iter().take(most) {
            if let Some(detail) = &node.detail {
                writeln!(
                    out,
                    "    {}: {}",
                    escape::line(&node.name),
                    escape::line(detail)
                )?;
            }
        }
        if let Some(remedy) = group.nodes.first().and_then(|node| node.remedy.as_deref()) {
            remedy_line(out, remedy, view)?;
        }
    }
    writeln!(out)
}

fn groups(
    out: &mut dyn Write,
    title: &str,
    label: Label,
    groups: &[LegGroup<'_>],
    view: View,
) -> io::Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    let (full, most) = if view.verbose {
        (usize::MAX, usize::MAX)
    } else {
        (FULL, MOST)
    };
    writeln!(out, "{}", view.paint.text(label, title))?;
    let mut explained = BTreeSet::new();
    for (at, group) in groups.iter().take(most).enumerate() {
        let lanes: Vec<_> = group.lanes.iter().map(|lane| lane.as_str()).collect();
        writeln!(
            out,
            "  {}: {} ({}, {})",
            escape::line(&group.route()),
            view.paint.text(Label::Code, escape::line(group.code)),
            lanes.join(", "),
            count(group.count, "leg"),
        )?;
        if at < full {
            if explained.insert(group.code)
                && let Some(meaning) = words::meaning(group.code)
            {
                writeln!(out, "    {meaning}")?;
            }
            example(out, group, view)?;
        }
    }
    if groups.len() > most {
        let more = count((groups.len() - most) as u64, "more group");
        writeln!(out, "  … {more}; `-v` shows all")?;
    }
    writeln!(out)
}

/// What was seen on one leg of a group, and what to do for all.
fn example(out: &mut dyn Write, group: &LegGroup<'_>, view: View) -> io::Result<()> {
    let leg = group.example;
    let tried = leg.proven.is_some();
    if tried || leg.verdict == "broken" {
        let mut story = format!("{} on {}", leg.lane, escape::line(&leg.client));
        match &leg.dialled {
            Some(dialled) => story.push_str(&format!(" dialled {}", escape::line(dialled))),
            None => story.push_str(&format!(" to {}", escape::line(&leg.server))),
        }
        match (leg.reached, leg.step) {
            _ if !tried => story.push_str(": judged by the files, not tried"),
            // A proof that was not to go further, as with `--depth connect`.
            (Some(reached), Some(step)) if leg.proven.as_deref() == Some("works") => {
                story.push_str(&format!(
                    ": {reached} succeeded, {step} was not tried and will fail by the files"
                ));
            }
            (Some(reached), Some(step)) => {
                story.push_str(&format!(": {reached} succeeded, {step} failed"));
            }
            (None, Some(step)) => story.push_str(&format!(": {step} failed")),
            (_, None) => {}
        }
        writeln!(out, "    {story}")?;
        let (most, lines) = if view.verbose {
            (usize::MAX, usize::MAX)
        } else {
            (EVIDENCE, OUTPUT)
        };
        for piece in leg.evidence.iter().take(most) {
            for line in evidence::lines(piece, lines) {
                writeln!(out, "      {line}")?;
            }
        }
        if leg.evidence.len() > most {
            writeln!(out, "      … {} more", leg.evidence.len() - most)?;
        }
    }
    for (lanes, remedy) in &group.remedies {
        let for_lanes = if lanes.len() < group.lanes.len() {
            let lanes: Vec<_> = lanes.iter().map(|lane| lane.as_str()).collect();
            format!("({}) ", lanes.join(", "))
        } else {
            String::new()
        };
        let (Remedy::All(text) | Remedy::Example(text)) = remedy;
        remedy_line(out, &format!("{for_lanes}{text}"), view)?;
        if matches!(remedy, Remedy::Example(_)) && group.count > 1 {
            let (client, server) = (escape::line(&leg.client), escape::line(&leg.server));
            writeln!(
                out,
                "        (for {client} → {server}; the others likewise)"
            )?;
        }
    }
    Ok(())
}

pub(super) fn remedy_line(out: &mut dyn Write, remedy: &str, view: View) -> io::Result<()> {
    writeln!(
        out,
        "    {} {}",
        view.paint.text(Label::Heading, "do:"),
        escape::line(remedy)
    )
}

fn findings(out: &mut dyn Write, groups: &[FindingGroup<'_>], view: View) -> io::Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", view.paint.text(Label::Heading, "findings"))?;
    for group in groups {
        let severity = match group.severity {
            Severity::Warning => view.paint.text(Label::Doubtful, "warning"),
            Severity::Info => view.paint.text(Label::Faint, "info"),
        };
        let code = view.paint.text(Label::Code, escape::line(group.code));
        writeln!(out, "  {severity} {code}")?;
        if let Some(meaning) = words::meaning(group.code) {
            writeln!(out, "    {meaning}")?;
        }
        let most = if view.verbose { usize::MAX } else { EVIDENCE };
        for finding in group.findings.iter().take(most) {
            writeln!(
                out,
                "    {}: {}",
                escape::line(&finding.nodes),
                escape::line(&finding.detail)
            )?;
            if view.verbose {
                for line in finding
                    .evidence
                    .iter()
                    .flat_map(|it| evidence::lines(it, usize::MAX))
                {
                    writeln!(out, "      {line}")?;
                }
            }
        }
        if group.findings.len() > most {
            writeln!(
                out,
                "    … {} more; `-v` shows all",
                group.findings.len() - most
            )?;
        }
        let mut remedies: Vec<_> = group.findings.iter().map(|it| &it.remedy).collect();
        remedies.dedup();
        if let [remedy, others @ ..] = remedies.as_slice() {
            remedy_line(out, remedy, view)?;
            if !others.is_empty() {
                let nodes = escape::line(&group.findings[0].nodes);
                writeln!(out, "        (for {nodes}; the others likewise)")?;
            }
        }
    }
    writeln!(out)
}

fn gaps(out: &mut dyn Write, gaps: &[(&str, String)], view: View) -> io::Result<()> {
    if gaps.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "{}",
        view.paint.text(Label::Heading, "gaps in the survey")
    )?;
    for (gap, nodes) in gaps {
        writeln!(out, "  {}: {}", escape::line(nodes), escape::line(gap))?;
    }
    writeln!(out)
}

fn predicted(
    out: &mut dyn Write,
    report: &Report,
    partly: &[LegGroup<'_>],
    view: View,
) -> io::Result<()> {
    if report.predicted_only.is_empty() && partly.is_empty() {
        return Ok(());
    }
    let title = "predicted to work, not proven in this run";
    writeln!(out, "{}", view.paint.text(Label::Doubtful, title))?;
    let most = if view.verbose { usize::MAX } else { MOST };
    let tried = partly.iter().map(|group| {
        let lanes: Vec<_> = group.lanes.iter().map(|lane| lane.as_str()).collect();
        let tried = match group.example.reached {
            Some(step) => format!("proven up to {step}"),
            None => "not tried".to_owned(),
        };
        let legs = count(group.count, "leg");
        format!(
            "{}: {tried} ({}, {legs})",
            escape::line(&group.route()),
            lanes.join(", ")
        )
    });
    let untried = report.predicted_only.iter().map(|legs| {
        format!(
            "moves from {} to {}: not tried ({}, {})",
            escape::line(&legs.sources),
            escape::line(&legs.destinations),
            legs.lane,
            count(legs.count, "leg")
        )
    });
    for line in tried.chain(untried).take(most) {
        writeln!(out, "  {line}")?;
    }
    let more = (report.predicted_only.len() + partly.len()).saturating_sub(most);
    if more > 0 {
        writeln!(out, "  … {more} more; `-v` shows all")?;
    }
    if let Some(earlier) = &report.proven_earlier {
        writeln!(
            out,
            "  proven by earlier runs, with nothing changed at either end since: {}, the oldest proof of {}",
            count(earlier.pairs, "pair"),
            escape::line(&earlier.since)
        )?;
    }
    writeln!(out)
}

fn not_needed(out: &mut dyn Write, groups: &[LegGroup<'_>], view: View) -> io::Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", view.paint.text(Label::Faint, "not needed"))?;
    for group in groups.iter().take(MOST) {
        let lanes: Vec<_> = group.lanes.iter().map(|lane| lane.as_str()).collect();
        let meaning = words::meaning(group.code).unwrap_or_default();
        writeln!(
            out,
            "  {}: {} ({}, {})  {meaning}",
            escape::line(&group.route()),
            view.paint.text(Label::Code, escape::line(group.code)),
            lanes.join(", "),
            count(group.count, "leg"),
        )?;
    }
    writeln!(out)
}

/// The commands that lead on from here.
fn next(
    out: &mut dyn Write,
    report: &Report,
    overview: &Overview<'_>,
    kept: Kept<'_>,
    view: View,
) -> io::Result<()> {
    let inventory = Some(report.inventory.as_str());
    let mut commands = Vec::new();
    if let Some(group) = overview.broken.first().or(overview.unproven.first()) {
        let leg = group.example;
        let (source, destination) = (shell_word(&leg.source), shell_word(&leg.destination));
        commands.push((
            kept.typed(inventory, &format!("trace {source} {destination}")),
            "this pair rung by rung",
        ));
        commands.push((
            format!("clearway reasons {}", shell_word(group.code)),
            "what it means",
        ));
    } else if let Some(group) = overview.lost.first() {
        commands.push((
            format!("clearway reasons {}", shell_word(group.why)),
            "what it means",
        ));
    }
    if report.interrupted || report.summary.pairs.predicted_only > 0 {
        commands.push((kept.typed(inventory, "check"), "proves everything"));
    }
    if commands.is_empty() {
        return Ok(());
    }
    if !matches!(kept, Kept::Nowhere) {
        let show = format!("show {} --format json", shell_word(&report.run));
        commands.push((kept.typed(None, &show), "everything, for programs"));
    }
    writeln!(out, "{}", view.paint.text(Label::Heading, "next"))?;
    let width = commands
        .iter()
        .map(|(command, _)| command.chars().count())
        .max()
        .unwrap_or(0);
    for (command, purpose) in commands {
        let padded = format!("{command:width$}");
        writeln!(
            out,
            "  {}   {}",
            view.paint.text(Label::Code, escape::line(&padded)),
            view.paint.text(Label::Faint, purpose)
        )?;
    }
    Ok(())
}
