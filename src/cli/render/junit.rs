//! JUnit XML, as CI systems read it.
//!
//! A suite for each lane, a case for each leg, named after the move: `cmp001 → cmp017`. Broken is a *failure*, unproven
//! an *error* (nobody knows), not needed and only predicted are *skipped*. A run that puts an earlier one back has one suite, with
//! a case for each node.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::{evidence, words};
use crate::domain::Lane;
use crate::report::{LegReport, RepairedNode, Report, escape};

/// Lines of a program's output that are shown.
const OUTPUT: usize = 40;

/// Writes the document.
pub(in crate::cli) fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut document = Document::new(format!("clearway {}", escape::xml(&report.command)));
    for lane in Lane::ALL {
        let mut suite = TestSuite::new(lane.as_str());
        for leg in report.legs.iter().filter(|leg| leg.lane == lane) {
            suite.add_test_case(case(leg));
        }
        for legs in report
            .predicted_only
            .iter()
            .filter(|legs| legs.lane == lane)
        {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{} predicted to work, not proven", legs.count));
            let name = format!("{} → {}", legs.sources, legs.destinations);
            suite.add_test_case(new_case(&name, lane, status));
        }
        if !suite.test_cases.is_empty() {
            document.add_test_suite(suite);
        }
    }
    if let Some(repair) = report.repair.as_ref().filter(|it| it.about.is_some()) {
        let mut suite = TestSuite::new(escape::xml(&report.command).into_owned());
        suite.add_test_cases(
            repair
                .nodes
                .iter()
                .map(|node| on_node(node, &report.command)),
        );
        document.add_test_suite(suite);
    }
    let text = document.to_string().map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}

fn case(leg: &LegReport) -> TestCase {
    let code = leg.code.as_deref().unwrap_or_default();
    let mut status = match leg.verdict.as_str() {
        "verified" => TestCaseStatus::success(),
        "not-needed" => TestCaseStatus::skipped(),
        "broken" => TestCaseStatus::non_success(NonSuccessKind::Failure),
        _ => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if leg.verdict != "verified" {
        let meaning = words::meaning(code).unwrap_or_default();
        let step = leg
            .step
            .map_or_else(String::new, |step| format!(" at {step}"));
        status.set_message(format!("{}{step}: {meaning}", escape::xml(code)));
        status.set_type(escape::xml(code).into_owned());
    }
    if matches!(leg.verdict.as_str(), "broken" | "unproven") {
        status.set_description(escape::xml(&description(leg)).into_owned());
    }
    let name = format!("{} → {}", leg.source, leg.destination);
    let mut case = new_case(&name, leg.lane, status);
    if let Some(millis) = leg.millis {
        case.set_time(Duration::from_millis(millis));
    }
    case
}

/// What a run that puts an earlier one back, or gives up its way back, came to on one node.
fn on_node(node: &RepairedNode, command: &str) -> TestCase {
    let mut status = match node.outcome.as_str() {
        "undone" | "forgotten" => TestCaseStatus::success(),
        "stuck" => TestCaseStatus::non_success(NonSuccessKind::Failure),
        _ => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if !matches!(node.outcome.as_str(), "undone" | "forgotten") {
        status.set_message(escape::xml(&node.outcome).into_owned());
        status
            .set_description(escape::xml(node.detail.as_deref().unwrap_or_default()).into_owned());
    }
    let mut case = TestCase::new(escape::xml(&node.name).into_owned(), status);
    let command = command.replace(' ', "-");
    case.set_classname(format!("clearway.{}", escape::xml(&command)));
    case
}

fn new_case(name: &str, lane: Lane, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(escape::xml(name).into_owned(), status);
    case.set_classname(format!("clearway.{lane}"));
    case
}

fn description(leg: &LegReport) -> String {
    let (client, server) = (escape::line(&leg.client), escape::line(&leg.server));
    let mut lines = vec![match &leg.dialled {
        Some(dialled) => format!("{client} dials {server} as {}", escape::line(dialled)),
        None => format!("{client} to {server}"),
    }];
    lines.extend(
        leg.evidence
            .iter()
            .flat_map(|it| evidence::lines(it, OUTPUT)),
    );
    lines.extend(
        leg.remedy
            .iter()
            .map(|remedy| format!("do: {}", escape::line(remedy))),
    );
    lines.join("\n")
}
