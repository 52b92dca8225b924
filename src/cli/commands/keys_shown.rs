//! What `clearway keys` shows: what would be done, and whether a revoked node is out.

use std::io::{self, Write as _};

use super::session::Session;
use crate::cli::paint::Label;
use crate::cli::render::write_plan;
use crate::cli::text::count;
use crate::report::{Report, escape, exit};
use crate::run::Prepared;

/// What will be done: every difference, and what it means for certificates and legs.
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
    write_plan(&mut out, prepared.plan(), console.view())?;
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
