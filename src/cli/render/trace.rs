//! One pair, rung by rung.

use std::io::{self, Write};

use super::matrix::label_of;
use super::table::{depth, remedy_line};
use super::view::View;
use super::{evidence, words};
use crate::cli::paint::Label;
use crate::cli::text::{duration, duration_of};
use crate::domain::{Lane, Step};
use crate::report::{Cell, LegReport, Matrix, NodeReport, Report, escape};

/// Lines of a program's output that are shown.
const OUTPUT: usize = 40;

/// Writes the report of a trace: for each leg what was dialled, how each rung went, what that rests on, what to type.
pub(in crate::cli) fn write(out: &mut dyn Write, report: &Report, view: View) -> io::Result<()> {
    let paint = view.paint;
    let interrupted = if report.interrupted {
        ", interrupted"
    } else {
        ""
    };
    writeln!(
        out,
        "{}{interrupted}: {}: {}",
        paint.text(Label::Heading, escape::line(&report.command)),
        route(report),
        worst(report, view)
    )?;
    let mut facts = vec![
        format!("run {}", escape::line(&report.run)),
        format!("proof up to {}", depth(report)),
    ];
    facts.extend(duration(&report.started, &report.finished));
    writeln!(out, "  {}", paint.text(Label::Faint, facts.join(", ")))?;
    for node in &report.nodes {
        node_lines(out, node, view)?;
    }
    for lane in Lane::ALL {
        for leg in report.legs.iter().filter(|leg| leg.lane == lane) {
            writeln!(out)?;
            leg_lines(out, leg, view)?;
        }
        for legs in report
            .predicted_only
            .iter()
            .filter(|legs| legs.lane == lane)
        {
            writeln!(
                out,
                "\n{}: {}, not tried: a move from {} to {}",
                paint.text(Label::Heading, lane),
                paint.text(Label::Doubtful, "predicted to work"),
                escape::line(&legs.sources),
                escape::line(&legs.destinations)
            )?;
        }
    }
    for finding in &report.findings {
        writeln!(
            out,
            "\n{} {}: {}",
            paint.text(Label::Heading, "finding"),
            paint.text(Label::Code, escape::line(&finding.code)),
            escape::line(&finding.nodes)
        )?;
        if let Some(meaning) = words::meaning(&finding.code) {
            writeln!(out, "  {meaning}")?;
        }
        writeln!(out, "  {}", escape::line(&finding.detail))?;
        for line in finding
            .evidence
            .iter()
            .flat_map(|it| evidence::lines(it, OUTPUT))
        {
            writeln!(out, "    {line}")?;
        }
        remedy_line(out, &finding.remedy, view)?;
    }
    Ok(())
}

/// Source and destination. A trace has one pair, and its report lists the source first.
fn route(report: &Report) -> String {
    let names: Vec<_> = match report.legs.first() {
        Some(leg) => vec![escape::line(&leg.source), escape::line(&leg.destination)],
        None => report
            .nodes
            .iter()
            .map(|node| escape::line(&node.name))
            .collect(),
    };
    names.join(" → ")
}

/// What is known of the pair: the worst of its legs.
fn worst(report: &Report, view: View) -> String {
    let matrix = Matrix::of(report);
    let places = 0..matrix.nodes.len();
    let cells = places
        .clone()
        .flat_map(|source| places.clone().map(move |destination| (source, destination)));
    let worst = cells
        .map(|(source, destination)| matrix.cell(source, destination))
        .max();
    let worst = worst.unwrap_or(Cell::Empty);
    view.paint
        .text(label_of(worst), worst.meaning())
        .to_string()
}

fn node_lines(out: &mut dyn Write, node: &NodeReport, view: View) -> io::Result<()> {
    let name = escape::line(&node.name);
    if node.surveyed {
        let mut known = Vec::new();
        if let Some(host) = &node.service_host {
            known.push(format!("service host {}", escape::line(host)));
        }
        if let Some(address) = &node.migration_address {
            known.push(format!("migration address {}", escape::line(address)));
        }
        writeln!(out, "  {name}: {}", known.join(", "))?;
    } else {
        let why = node.why.as_deref().unwrap_or("not-surveyed");
        let why = view.paint.text(Label::Code, escape::line(why));
        let title = view.paint.text(Label::Doubtful, "not surveyed");
        writeln!(out, "  {name}: {title}: {why}")?;
        if let Some(detail) = &node.detail {
            writeln!(out, "    {}", escape::line(detail))?;
        }
        if let Some(remedy) = &node.remedy {
            remedy_line(out, remedy, view)?;
        }
    }
    for gap in &node.gaps {
        writeln!(out, "    not known: {}", escape::line(gap))?;
    }
    Ok(())
}

fn leg_lines(out: &mut dyn Write, leg: &LegReport, view: View) -> io::Result<()> {
    let paint = view.paint;
    let label = match leg.verdict.as_str() {
        "verified" => Label::Good,
        "broken" => Label::Bad,
        "unproven" => Label::Doubtful,
        _ => Label::Faint,
    };
    let (client, server) = (escape::line(&leg.client), escape::line(&leg.server));
    let dialled = match &leg.dialled {
        Some(dialled) => format!("{client} dials {server} as {}", escape::line(dialled)),
        None => format!("{client} to {server}"),
    };
    writeln!(
        out,
        "{}: {}: {dialled}",
        paint.text(Label::Heading, leg.lane),
        paint.text(label, escape::line(&leg.verdict))
    )?;
    let code = leg.code.as_deref();
    if leg.verdict == "verified" || leg.verdict == "broken" {
        rungs(out, leg, view)?;
    }
    if let Some(code) = code {
        let meaning = words::meaning(code).unwrap_or_default();
        writeln!(
            out,
            "  {}: {meaning}",
            paint.text(Label::Code, escape::line(code))
        )?;
    }
    if leg.verdict != "not-needed" {
        writeln!(out, "  {}", paint.text(Label::Faint, sources(leg)))?;
    }
    for line in leg
        .evidence
        .iter()
        .flat_map(|it| evidence::lines(it, OUTPUT))
    {
        writeln!(out, "    {line}")?;
    }
    match &leg.remedy {
        Some(remedy) => remedy_line(out, remedy, view),
        None => Ok(()),
    }
}

/// One line for each rung, with how it went. Only what was climbed for real counts as climbed.
fn rungs(out: &mut dyn Write, leg: &LegReport, view: View) -> io::Result<()> {
    // A proof that works was not to go as far as the step that the files say will fail.
    let tried = leg
        .proven
        .as_deref()
        .is_some_and(|proven| proven != "works");
    for step in Step::ALL {
        let climbed = leg.reached.is_some_and(|reached| step <= reached);
        let (label, word) = if Some(step) == leg.step {
            (Label::Bad, if tried { "FAILED" } else { "will fail" })
        } else if climbed {
            (Label::Good, "ok")
        } else if leg.verdict == "verified" {
            // Everything that this lane has was climbed: libvirt, for one, copies no files.
            (Label::Faint, "no need")
        } else {
            (Label::Faint, "not tried")
        };
        writeln!(out, "  {:<9} {}", view.paint.text(label, word), step)?;
    }
    Ok(())
}

/// What the verdict comes from.
fn sources(leg: &LegReport) -> String {
    let because = |code: &Option<String>| {
        code.as_deref()
            .map_or_else(String::new, |code| format!(" ({})", escape::line(code)))
    };
    let predicted = format!(
        "the files say: {}{}",
        escape::line(&leg.predicted),
        because(&leg.predicted_code)
    );
    let proven = match &leg.proven {
        Some(proven) => format!(
            "tried for real: {}{}",
            escape::line(proven),
            because(&leg.proven_code)
        ),
        None => "not tried for real".to_owned(),
    };
    let took = leg
        .millis
        .map_or_else(String::new, |millis| format!(" in {}", duration_of(millis)));
    format!("{predicted}; {proven}{took}")
}
