//! Servers, moves and diagnoses as text.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::list::write as write_list;
use super::view::{Kept, View};
use crate::cli::paint::Label;
use crate::cli::text::{count, duration_of};
use crate::report::{
    DiagnosisReport, LegReport, MoveRow, MovesReport, ServersReport, SteeredRow, WayRow, escape,
};

/// Destinations that are named; the rest is counted.
const NAMED: usize = 3;

/// Writes the servers that could move.
pub(in crate::cli) fn write_servers(
    out: &mut dyn Write,
    report: &ServersReport,
    view: View,
) -> io::Result<()> {
    if report.servers.is_empty() {
        return writeln!(out, "no server fits");
    }
    let title = ["server", "name", "host", "status", "cold", "live"].map(str::to_owned);
    let rows = report.servers.iter().map(|it| {
        [
            it.server.clone(),
            escape::line(&it.name).into_owned(),
            it.host.clone().unwrap_or_default(),
            escape::line(&it.status).into_owned(),
            way(&it.cold),
            way(&it.live),
        ]
    });
    write_list(out, 0, std::iter::once(title).chain(rows), view)?;
    let no = |why: &str| {
        let mut ways = report.servers.iter().flat_map(|it| [&it.cold, &it.live]);
        ways.any(|way| way.no.as_deref() == Some(why))
    };
    if no(WayRow::HOST_UNKNOWN) {
        writeln!(
            out,
            "\nwhich node is which of Nova's hosts is known from a check (`clearway check`), or from `service_host` in the inventory"
        )?;
    }
    let waiting = report.servers.iter().any(|it| {
        [&it.cold, &it.live]
            .iter()
            .any(|way| way.no.is_none() && way.open.is_empty())
    });
    if waiting {
        writeln!(
            out,
            "\ndestinations are open when their legs were proven within {} s: `clearway check` proves them, and `migrate` proves its own",
            report.max_age
        )?;
    }
    Ok(())
}

fn way(way: &WayRow) -> String {
    if let Some(why) = &way.no {
        return format!("no: {}", escape::line(why));
    }
    let named = |hosts: &[String]| {
        let mut text = hosts
            .iter()
            .take(NAMED)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        if hosts.len() > NAMED {
            text.push_str(&format!(" and {} more", hosts.len() - NAMED));
        }
        text
    };
    match (way.open.as_slice(), way.unproven.len()) {
        ([], 0) => "no destination".to_owned(),
        ([], unproven) => format!("{unproven} unproven (needs {})", way.lanes.join(", ")),
        (open, 0) => named(open),
        (open, unproven) => format!("{}; {unproven} unproven", named(open)),
    }
}

/// Writes what a run of moves did, or would do. `inventory` and `kept` are for what to type next.
pub(in crate::cli) fn write_moves(
    out: &mut dyn Write,
    report: &MovesReport,
    (inventory, kept): (&str, Kept<'_>),
    view: View,
) -> io::Result<()> {
    let paint = view.paint;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for it in &report.moves {
        *counts.entry(&it.verdict).or_default() += 1;
    }
    let counted: Vec<String> = counts
        .iter()
        .map(|(verdict, number)| format!("{number} {verdict}"))
        .collect();
    let plan = if report.dry_run {
        ", only the plan"
    } else {
        ""
    };
    writeln!(
        out,
        "{}{plan}: {}{}{}",
        paint.text(Label::Heading, escape::line(&report.command)),
        count(report.moves.len() as u64, "server"),
        if counted.is_empty() { "" } else { ": " },
        counted.join(", ")
    )?;
    if !report.dry_run {
        writeln!(
            out,
            "  {}",
            paint.text(Label::Faint, format!("run {}", report.run))
        )?;
    }
    for it in &report.moves {
        move_lines(out, it, view)?;
    }
    if !report.stay.is_empty() {
        writeln!(out, "\n{}", paint.text(Label::Heading, "cannot move"))?;
        for it in &report.stay {
            writeln!(
                out,
                "  {} {}: {}",
                escape::line(&it.name),
                paint.text(Label::Faint, &it.server),
                escape::line(&it.why)
            )?;
        }
    }
    if !report.services.is_empty() {
        writeln!(out, "\n{}", paint.text(Label::Heading, "services"))?;
        for it in &report.services {
            writeln!(
                out,
                "  nova-compute on {}: {}",
                it.host,
                escape::line(&it.what)
            )?;
        }
    }
    if !report.unseen.is_empty() {
        let title = "not known whether it is empty";
        writeln!(out, "\n{}", paint.text(Label::Heading, title))?;
        for it in &report.unseen {
            writeln!(out, "  {}: {}", it.host, escape::line(&it.why))?;
        }
    }
    if let Some(why) = &report.stopped {
        writeln!(
            out,
            "\nnothing new was started any more: {}",
            escape::line(why)
        )?;
    }
    let unknown = report.moves.iter().any(|it| it.verdict == "unknown");
    let unseen = !report.unseen.is_empty();
    if report.interrupted || unknown || unseen {
        writeln!(out, "\n{}", paint.text(Label::Heading, "next"))?;
        let typed = kept.typed(Some(inventory), &format!("resume {}", report.run));
        let typed = escape::line(&typed);
        let what = match (report.interrupted, unknown) {
            (true, _) => "goes on",
            (_, true) => "looks again at what is unknown",
            _ => "looks again",
        };
        writeln!(out, "  {}   {what}", paint.text(Label::Code, typed))?;
    }
    Ok(())
}

fn move_lines(out: &mut dyn Write, it: &MoveRow, view: View) -> io::Result<()> {
    let paint = view.paint;
    let label = match it.verdict.as_str() {
        "done" | "reverted" => Label::Good,
        "failed" => Label::Bad,
        "planned" => Label::Faint,
        _ => Label::Doubtful,
    };
    // Nova chooses where a resize goes.
    let nowhere = if it.kind == "resize" && it.verdict == "planned" {
        "any"
    } else {
        "nowhere"
    };
    let took = it.seconds.map_or_else(String::new, |seconds| {
        format!(", {}", duration_of(seconds * 1_000))
    });
    writeln!(
        out,
        "  {} {}: {} {} → {}: {}{took}",
        escape::line(&it.name),
        paint.text(Label::Faint, &it.server),
        it.kind,
        it.source,
        it.destination.as_deref().unwrap_or(nowhere),
        paint.text(label, &it.verdict),
    )?;
    if !it.why.is_empty() {
        writeln!(out, "    {}", escape::line(&it.why))?;
    }
    let further = usize::from(it.destination.is_some());
    if it.candidates.len() > further {
        let then = if further == 1 { "then " } else { "" };
        writeln!(out, "    {then}{}", it.candidates[further..].join(", "))?;
    }
    for text in &it.explained {
        for line in escape::lines(text) {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

/// Writes what became of live moves that were to be aborted or forced.
pub(in crate::cli) fn write_steered(
    out: &mut dyn Write,
    rows: &[SteeredRow],
    view: View,
) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "no live move is under way");
    }
    for it in rows {
        let label = match it.outcome.as_str() {
            "aborted" | "completed" => Label::Good,
            "failed" => Label::Bad,
            _ => Label::Doubtful,
        };
        writeln!(
            out,
            "{} {}: {}: {}, it is {} on {}",
            escape::line(&it.name),
            view.paint.text(Label::Faint, &it.server),
            it.asked,
            view.paint.text(label, &it.outcome),
            escape::line(&it.status),
            it.host.as_deref().unwrap_or("no host"),
        )?;
        if !it.why.is_empty() {
            writeln!(out, "  {}", escape::line(&it.why))?;
        }
    }
    Ok(())
}

/// Writes what error texts mean.
pub(in crate::cli) fn write_diagnosis(
    out: &mut dyn Write,
    said: &[String],
    found: &[DiagnosisReport],
    view: View,
) -> io::Result<()> {
    let paint = view.paint;
    for text in said {
        for line in escape::lines(text) {
            writeln!(out, "{line}")?;
        }
    }
    if found.is_empty() {
        return writeln!(
            out,
            "no failure of a move is known from this: for a live move only nova-compute.log on the source has the reason"
        );
    }
    for it in found {
        writeln!(out, "{}", escape::line(&it.what))?;
        let mut facts = Vec::new();
        if let Some(lane) = it.lane {
            facts.push(format!("lane {lane}"));
        }
        if let Some(name) = &it.dialled {
            facts.push(format!("dialled `{}`", escape::line(name)));
        }
        if let Some(code) = &it.code {
            facts.push(format!("reason {code}"));
        }
        if it.completed {
            facts.push("the text was cut, its end is supplied".to_owned());
        }
        if !facts.is_empty() {
            writeln!(out, "  {}", facts.join(", "))?;
        }
        if let Some(server) = &it.server {
            writeln!(out, "  {server}")?;
        }
        for remedy in &it.remedy {
            for line in escape::lines(remedy) {
                writeln!(out, "  {} {line}", paint.text(Label::Code, "do:"))?;
            }
        }
        for line in it.legs.iter().flat_map(LegReport::told) {
            writeln!(out, "  {}", escape::line(&line))?;
        }
    }
    Ok(())
}
