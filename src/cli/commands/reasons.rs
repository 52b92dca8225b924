//! `clearway reasons`, and docs/reasons.md.

use std::io::{self, Write};

use serde::Serialize;

use super::session::Session;
use crate::cli::args::{Reasons, ReasonsFormat};
use crate::cli::error::CliError;
use crate::cli::paint::Label;
use crate::cli::render::{View, write_json, write_list};
use crate::domain::{FindingCode, NotNeeded, Placeholders, Reason, Severity, Step, Why};
use crate::report::exit;

/// What a code belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Broken,
    Unproven,
    Finding,
    NotNeeded,
}

/// Everything that is known of a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Entry {
    code: &'static str,
    kind: Kind,
    /// The rung on which it stops a leg; only for broken.
    step: Option<Step>,
    /// How much it matters; only for findings.
    severity: Option<Severity>,
    meaning: &'static str,
    /// What to do, with words in capitals for what a report would name.
    remedy: Option<String>,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Broken, Self::Unproven, Self::Finding, Self::NotNeeded];

    fn title(self) -> &'static str {
        match self {
            Self::Broken => "Broken: why a leg does not work",
            Self::Unproven => "Unproven: why nobody knows",
            Self::Finding => "Findings: true and worth knowing, although no leg breaks",
            Self::NotNeeded => "Not needed: why Nova does not use a leg",
        }
    }
}

impl Entry {
    fn new(code: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self {
            code,
            kind,
            step: None,
            severity: None,
            meaning,
            remedy: None,
        }
    }

    fn remedy(mut self, template: &str) -> Self {
        self.remedy = Some(Placeholders::default().fill(template));
        self
    }

    /// Its rung or severity in one word, if it has one.
    fn placed(&self) -> &'static str {
        match (self.step, self.severity) {
            (Some(step), _) => step.as_str(),
            (None, Some(Severity::Warning)) => "warning",
            (None, Some(Severity::Info)) => "info",
            (None, None) => "",
        }
    }
}

/// Every code, in the order in which they are documented.
fn entries() -> Vec<Entry> {
    let broken = Reason::ALL.iter().map(|it| Entry {
        step: Some(it.step()),
        ..Entry::new(it.code(), Kind::Broken, it.meaning()).remedy(it.remedy())
    });
    let unproven = Why::ALL
        .iter()
        .map(|it| Entry::new(it.code(), Kind::Unproven, it.meaning()).remedy(it.remedy()));
    let findings = FindingCode::ALL.iter().map(|it| Entry {
        severity: Some(it.severity()),
        ..Entry::new(it.code(), Kind::Finding, it.meaning()).remedy(it.remedy())
    });
    let not_needed = NotNeeded::ALL
        .iter()
        .map(|it| Entry::new(it.code(), Kind::NotNeeded, it.meaning()));
    broken
        .chain(unproven)
        .chain(findings)
        .chain(not_needed)
        .collect()
}

pub(in crate::cli) fn reasons(session: &Session, arguments: &Reasons) -> Result<u8, CliError> {
    let mut out = session.console.out.clone();
    let view = session.console.view();
    let all = entries();
    match (&arguments.code, arguments.format) {
        (None, ReasonsFormat::Table) => write_tables(&mut out, &all, view)?,
        (None, ReasonsFormat::Json) => write_json(&mut out, &all)?,
        (None, ReasonsFormat::Markdown) => write_markdown(&mut out, &all)?,
        (Some(code), format) => {
            let entry = find(all, code)?;
            match format {
                ReasonsFormat::Table => write_entry(&mut out, &entry, view)?,
                ReasonsFormat::Json => write_json(&mut out, &entry)?,
                ReasonsFormat::Markdown => write_section(&mut out, &entry)?,
            }
        }
    }
    Ok(exit::WELL)
}

fn find(all: Vec<Entry>, code: &str) -> Result<Entry, CliError> {
    let nearest = all
        .iter()
        .map(|entry| (strsim::jaro_winkler(entry.code, code), entry.code))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.85);
    let unknown = CliError::usage(format!("no reason is called `{code}`"));
    let unknown = match nearest {
        Some((_, near)) => unknown.hint(format!("did you mean `{near}`?")),
        None => unknown.hint("`clearway reasons` lists them"),
    };
    all.into_iter()
        .find(|entry| entry.code == code)
        .ok_or(unknown)
}

fn write_entry(out: &mut dyn Write, entry: &Entry, view: View) -> io::Result<()> {
    let place = match entry.kind {
        Kind::Broken => format!("broken, on the rung {}", entry.placed()),
        Kind::Unproven => "unproven".to_owned(),
        Kind::Finding => format!("a finding ({})", entry.placed()),
        Kind::NotNeeded => "not needed".to_owned(),
    };
    writeln!(out, "{}: {place}", view.paint.text(Label::Code, entry.code))?;
    writeln!(out, "  {}", entry.meaning)?;
    if let Some(remedy) = &entry.remedy {
        writeln!(out, "  {} {remedy}", view.paint.text(Label::Heading, "do:"))?;
    }
    Ok(())
}

fn write_tables(out: &mut dyn Write, all: &[Entry], view: View) -> io::Result<()> {
    for kind in Kind::ALL {
        writeln!(out, "{}", view.paint.text(Label::Heading, kind.title()))?;
        let rows = all
            .iter()
            .filter(|entry| entry.kind == kind)
            .map(|entry| [entry.code, entry.placed(), entry.meaning]);
        write_list(out, 2, rows, view)?;
        writeln!(out)?;
    }
    writeln!(out, "`clearway reasons CODE` says what to do")
}

fn write_markdown(out: &mut dyn Write, all: &[Entry]) -> io::Result<()> {
    writeln!(
        out,
        "# Reasons\n\n\
         Every code that a report can hold. Codes are stable: scripts may match them. In a report, the words in capitals\n\
         are names. Made by `make docs` from src/domain/reason.rs."
    )?;
    for kind in Kind::ALL {
        writeln!(out, "\n## {}", kind.title())?;
        for entry in all.iter().filter(|entry| entry.kind == kind) {
            writeln!(out)?;
            write_section(out, entry)?;
        }
    }
    Ok(())
}

fn write_section(out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
    let placed = match entry.kind {
        Kind::Broken => format!(" (rung `{}`)", entry.placed()),
        Kind::Finding => format!(" ({})", entry.placed()),
        Kind::Unproven | Kind::NotNeeded => String::new(),
    };
    writeln!(out, "### `{}`{placed}\n\n{}", entry.code, entry.meaning)?;
    match &entry.remedy {
        Some(remedy) => writeln!(out, "\n**Do:** {remedy}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_is_up_to_date() {
        let mut made = Vec::new();
        write_markdown(&mut made, &entries()).unwrap();
        let made = String::from_utf8(made).unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reasons.md");
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            made == there,
            "docs/reasons.md is not what the tables say: run `make docs`"
        );
    }

    #[test]
    fn every_code_says_what_to_do_unless_nothing_is_wrong() {
        for entry in entries() {
            let code = entry.code;
            assert_eq!(
                entry.remedy.is_none(),
                entry.kind == Kind::NotNeeded,
                "{code}"
            );
        }
    }
}
