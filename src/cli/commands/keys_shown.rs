//! What `clearway keys` shows: what would be done, and whether a revoked node is out.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use super::session::Session;
use crate::cli::paint::Label;
use crate::cli::text::count;
use crate::domain::fold;
use crate::report::{Report, escape, exit};
use crate::run::Prepared;

/// What will be done, node by node; nodes with the same changes together.
pub(super) fn show(session: &Session, prepared: &Prepared) -> io::Result<()> {
    let console = &session.console;
    let mut out = console.out.clone();
    let paint = console.view().paint;
    for (node, why) in prepared.failures() {
        writeln!(
            out,
            "{} {node}: not looked at, and left as it is: {}",
            paint.text(Label::Doubtful, "?"),
            escape::line(why)
        )?;
    }
    let mut by_files: BTreeMap<Vec<(String, &str)>, Vec<&str>> = BTreeMap::new();
    let mut of_node: BTreeMap<&str, Vec<(String, &str)>> = BTreeMap::new();
    for plan in &prepared.plan().nodes {
        let files = plan.edits.iter().map(|it| (it.target.path.clone(), "file"));
        of_node.entry(&plan.node).or_default().extend(files);
    }
    for change in &prepared.plan().sshd {
        let files = change.edits.iter();
        let files = files.map(|it| (it.target.path.clone(), "file, then sshd is reloaded"));
        of_node.entry(&change.node).or_default().extend(files);
    }
    for (node, files) in of_node {
        by_files.entry(files).or_default().push(node);
    }
    for (files, nodes) in by_files {
        writeln!(
            out,
            "{}",
            paint.text(Label::Heading, fold(nodes.iter().copied()))
        )?;
        for (path, what) in files {
            writeln!(
                out,
                "  {}  {}",
                escape::line(&path),
                paint.text(Label::Faint, what)
            )?;
        }
    }
    for left in &prepared.plan().left {
        let why = escape::line(&left.why).to_string();
        writeln!(out, "{} {why}", paint.text(Label::Doubtful, "left to you:"))?;
        let remedy = escape::line(&left.remedy).to_string();
        writeln!(out, "  {}", paint.text(Label::Code, remedy))?;
    }
    let Some(about) = prepared.certificates() else {
        return out.flush();
    };
    writeln!(
        out,
        "{} to put on nodes, {} as they should be; afterwards the files let {} work{}",
        count(about.certificates as u64, "certificate"),
        about.fresh,
        count(about.outlook.works as u64, "leg"),
        match about.outlook.broken.len() {
            0 => String::new(),
            broken => format!(" and {} not", count(broken as u64, "leg")),
        }
    )?;
    out.flush()
}

/// The exit code of a revocation: whether the node really is out.
pub(super) fn still_in(session: &Session, name: &str, report: &Report) -> u8 {
    let (mut own, mut unknown) = (Vec::new(), 0);
    for leg in &report.legs {
        if leg.client != name && leg.server != name {
            continue;
        }
        match leg.verdict.as_str() {
            "verified" => own.push(format!("{} {} → {}", leg.lane, leg.client, leg.server)),
            "unproven" => unknown += 1,
            _ => {}
        }
    }
    if !own.is_empty() {
        let own = own.join("; ");
        session
            .console
            .note(format!("{name} is not out, these legs still work: {own}"));
        return exit::BROKEN;
    }
    if unknown > 0 {
        session.console.note(format!(
            "{name} could not be asked to try {}",
            count(unknown, "leg")
        ));
        return exit::UNPROVEN;
    }
    session.console.note(format!(
        "{name} is out: it logs in nowhere, and nobody logs in to it"
    ));
    exit::WELL
}
