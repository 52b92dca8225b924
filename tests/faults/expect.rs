//! What the report must say, leg by leg.

use std::collections::BTreeMap;

use clearway::domain::{Evidence, Reason, Severity, Step};
use clearway::report::{LegReport, Report};
use clearway_lab::{ExpectedLeg, ExpectedProof, Fault, Lane, Verdict};

/// Where two faults together are not what the order of the rungs and their files make of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Twist {
    /// Lanes in which the second is met first, because of what OpenSSH itself does.
    pub(crate) turned: &'static [Lane],
    /// What the proof on a lane comes to because of both.
    pub(crate) proof: Option<(Lane, &'static str)>,
}

type Key = (String, String, String);

/// Everything in which the report is not what the faults' files say; empty when all is as it must be.
///
/// Of two faults on one leg the one on the lower rung counts, on the same rung the one that is given first; in the
/// lanes that are turned it is the one given last.
pub(crate) fn differences(faults: &[&Fault], twist: Twist, report: &Report) -> Vec<String> {
    let names: Vec<&str> = report.nodes.iter().map(|node| node.name.as_str()).collect();
    let mut expected: BTreeMap<Key, ExpectedLeg> = BTreeMap::new();
    for fault in faults {
        for mut leg in fault.expected_legs(&names) {
            let key = (
                leg.lane.as_str().to_owned(),
                leg.from.clone(),
                leg.to.clone(),
            );
            let counts = expected.get(&key).is_none_or(|known| {
                twist.turned.contains(&leg.lane)
                    || known.either
                    || (!leg.either && leg.step < known.step)
            });
            if let Some((_, code)) = twist.proof.filter(|(lane, _)| *lane == leg.lane) {
                leg.proof = ExpectedProof::Fails(code.to_owned());
            }
            if counts {
                expected.insert(key, leg);
            }
        }
    }
    let mut wrong = Vec::new();
    for leg in &report.legs {
        let key = (
            leg.lane.as_str().to_owned(),
            leg.client.clone(),
            leg.server.clone(),
        );
        match expected.remove(&key) {
            Some(wanted) => wrong.extend(compare(&wanted, leg)),
            None if leg.verdict == "verified" => wrong.extend(unpredicted(faults, leg)),
            None => wrong.push(format!("false alarm: {}", show(leg))),
        }
        if let Some(told) = disagreement(leg) {
            wrong.push(told);
        }
    }
    for (lane, from, to) in expected.into_keys() {
        wrong.push(format!("{lane} {from} -> {to} is not in the report"));
    }
    for code in faults.iter().flat_map(|fault| &fault.findings) {
        if !report.findings.iter().any(|finding| finding.code == *code) {
            wrong.push(format!("the finding {code} is missing"));
        }
    }
    let listed = |code: &str| {
        let mut listed = faults.iter().flat_map(|fault| &fault.findings);
        listed.any(|it| it == code)
    };
    for finding in &report.findings {
        if finding.severity == Severity::Warning && !listed(&finding.code) {
            wrong.push(format!(
                "the finding {} is not listed: {}",
                finding.code, finding.detail
            ));
        }
    }
    wrong
}

/// What works must be predicted to work, but for legs of which a fault's file says why files cannot.
fn unpredicted(faults: &[&Fault], leg: &LegReport) -> Option<String> {
    let lane = leg.lane.as_str();
    let excused = |fault: &&Fault| fault.is_unpredicted(lane, &leg.client, &leg.server);
    let wanted = if faults.iter().any(excused) {
        "unknown"
    } else {
        "works"
    };
    (leg.predicted != wanted).then(|| format!("wanted predicted {wanted}, got {}", show(leg)))
}

fn compare(wanted: &ExpectedLeg, leg: &LegReport) -> Option<String> {
    if wanted.either && leg.verdict == "verified" {
        return None;
    }
    let verdict = match wanted.verdict {
        Verdict::Broken => "broken",
        Verdict::Unproven => "unproven",
        Verdict::NotNeeded => "not-needed",
    };
    let step = wanted.step.map(|step| match step {
        clearway_lab::Step::Resolve => Step::Resolve,
        clearway_lab::Step::Connect => Step::Connect,
        clearway_lab::Step::HostKey => Step::HostKey,
        clearway_lab::Step::Login => Step::Login,
        clearway_lab::Step::Command => Step::Command,
        clearway_lab::Step::Copy => Step::Copy,
    });
    if leg.verdict != verdict || leg.code.as_deref() != Some(&wanted.reason) || leg.step != step {
        return Some(format!(
            "wanted {verdict}({}) at {step:?}, got {}",
            wanted.reason,
            show(leg)
        ));
    }
    if wanted.predictable && leg.predicted_code.as_deref() != Some(&wanted.reason) {
        return Some(format!("not predicted: {}", show(leg)));
    }
    let wrong = match wanted.verdict {
        Verdict::Broken => failing(wanted, leg)?,
        Verdict::NotNeeded if leg.proven.is_some() => "tried without need",
        Verdict::NotNeeded | Verdict::Unproven => return None,
    };
    Some(format!("{wrong}: {}", show(leg)))
}

/// What is wrong with how a broken leg was seen to be broken, and with what is told of it.
fn failing(wanted: &ExpectedLeg, leg: &LegReport) -> Option<&'static str> {
    let (proven, code) = (leg.proven.as_deref(), leg.proven_code.as_deref());
    let as_wanted = match &wanted.proof {
        ExpectedProof::Fails(reason) => {
            matches!(proven, Some("breaks" | "refused")) && code == Some(reason)
        }
        ExpectedProof::RefusedInSilence => proven == Some("refused") && code.is_none(),
        ExpectedProof::NotTried => proven.is_none(),
    };
    if !as_wanted {
        return Some("the proof does not show it");
    }
    if leg.evidence.is_empty() {
        return Some("no evidence");
    }
    if !leg.evidence.iter().all(can_be_typed) {
        return Some("a command without a program");
    }
    let Some(remedy) = leg.remedy.as_deref().filter(|it| !it.trim().is_empty()) else {
        return Some("no remedy");
    };
    has_gap(remedy).then_some("a remedy with a gap")
}

/// Whether a remedy has a placeholder that nothing was filled into.
pub(crate) fn has_gap(remedy: &str) -> bool {
    const UNFILLED: [&str; 5] = ["FILE", "SERVER", "CLIENT", "USER", "NAME"];
    let mut words = remedy.split(|it: char| !it.is_ascii_alphanumeric());
    words.any(|it| UNFILLED.contains(&it))
}

/// Whether a command that is shown has a program that is run.
fn can_be_typed(evidence: &Evidence) -> bool {
    let Evidence::Output { command, .. } = evidence else {
        return true;
    };
    let mut words = command.split(' ');
    words.any(|it| matches!(it, "ssh" | "scp" | "rsync"))
}

/// Files may be blind to what breaks a lower rung. What they say of the rung that was really met, or of one below it,
/// must be true.
fn disagreement(leg: &LegReport) -> Option<String> {
    let predicted = (leg.predicted == "breaks")
        .then(|| Reason::from_code(leg.predicted_code.as_deref()?))
        .flatten()?;
    let wrong = match leg.step {
        Some(met) => predicted.step() <= met && leg.predicted_code != leg.code,
        None => leg.verdict == "verified",
    };
    wrong.then(|| format!("prediction differs: {}", show(leg)))
}

fn show(leg: &LegReport) -> String {
    format!(
        "{} {} -> {}: {}({}) at {:?}, predicted {}({}), proven {:?}({}), reached {:?}\n    {:?}",
        leg.lane,
        leg.client,
        leg.server,
        leg.verdict,
        leg.code.as_deref().unwrap_or_default(),
        leg.step,
        leg.predicted,
        leg.predicted_code.as_deref().unwrap_or_default(),
        leg.proven,
        leg.proven_code.as_deref().unwrap_or_default(),
        leg.reached,
        brief(leg)
    )
}

/// The evidence, short enough for a terminal.
fn brief(leg: &LegReport) -> String {
    const MOST: usize = 1_500;
    let text = format!("{:?}", leg.evidence);
    text.chars().take(MOST).collect()
}
