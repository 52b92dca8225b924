//! What an operator should read of a report, most important first.

use std::collections::{BTreeMap, HashMap};

use super::groups::{LegGroup, group_legs};
use super::model::{FindingReport, LegReport, NodeReport, Report};
use crate::domain::{Severity, fold};

/// A report, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview<'r> {
    /// Nodes that could not be surveyed, most first. Legs that are unproven only for that are counted here and are not
    /// told again.
    pub lost: Vec<LostNodes<'r>>,
    /// Broken legs.
    pub broken: Vec<LegGroup<'r>>,
    /// Unproven legs that are not explained by a lost node.
    pub unproven: Vec<LegGroup<'r>>,
    /// Legs that the files allow, and that were tried only to the lower rungs.
    pub predicted: Vec<LegGroup<'r>>,
    /// Legs that Nova does not need.
    pub not_needed: Vec<LegGroup<'r>>,
    /// Findings of one kind together, warnings first.
    pub findings: Vec<FindingGroup<'r>>,
    /// Nodes of which a part could not be surveyed, by what that is: the words, and the folded names.
    pub gaps: Vec<(&'r str, String)>,
}

/// Nodes that could not be surveyed for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostNodes<'r> {
    /// Code of why.
    pub why: &'r str,
    /// The nodes, in inventory order.
    pub nodes: Vec<&'r NodeReport>,
    /// Legs to or from them that are unproven for it.
    pub legs: u64,
}

/// Findings of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingGroup<'r> {
    /// Its code.
    pub code: &'r str,
    /// How much it matters.
    pub severity: Severity,
    /// The findings, in the order of the report.
    pub findings: Vec<&'r FindingReport>,
}

impl<'r> Overview<'r> {
    /// Folds a report.
    #[must_use]
    pub fn of(report: &'r Report) -> Self {
        let (lost, rest) = lost_nodes(report);
        let (broken, rest): (Vec<_>, Vec<_>) = group_legs(rest)
            .into_iter()
            .partition(|group| group.verdict == "broken");
        let (unproven, not_needed): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|group| group.verdict == "unproven");
        let (predicted, unproven) = unproven
            .into_iter()
            .partition(|group| group.code == "predicted-only");
        Self {
            lost,
            broken,
            unproven,
            predicted,
            not_needed,
            findings: findings(report),
            gaps: gaps(report),
        }
    }
}

/// The nodes that could not be surveyed, and the legs that are not explained by them.
fn lost_nodes(report: &Report) -> (Vec<LostNodes<'_>>, Vec<&LegReport>) {
    let why: HashMap<&str, &str> = report
        .nodes
        .iter()
        .filter(|node| !node.surveyed)
        .map(|node| {
            (
                node.name.as_str(),
                node.why.as_deref().unwrap_or("not-surveyed"),
            )
        })
        .collect();
    let mut legs: HashMap<&str, u64> = HashMap::new();
    let mut rest = Vec::new();
    for leg in &report.legs {
        match to_blame(leg, &why) {
            Some(code) => *legs.entry(code).or_default() += 1,
            None => rest.push(leg),
        }
    }
    let mut nodes: BTreeMap<&str, Vec<&NodeReport>> = BTreeMap::new();
    for node in &report.nodes {
        if let Some(code) = why.get(node.name.as_str()) {
            nodes.entry(code).or_default().push(node);
        }
    }
    let mut lost: Vec<_> = nodes
        .into_iter()
        .map(|(why, nodes)| LostNodes {
            why,
            nodes,
            legs: legs.get(why).copied().unwrap_or_default(),
        })
        .collect();
    lost.sort_by_key(|group| std::cmp::Reverse(group.nodes.len()));
    (lost, rest)
}

/// Why a lost node left this leg unproven, if one did. `why` holds the lost nodes.
fn to_blame<'r>(leg: &LegReport, why: &HashMap<&str, &'r str>) -> Option<&'r str> {
    let code = leg.code.as_deref()?;
    if leg.verdict != "unproven" {
        return None;
    }
    [&leg.client, &leg.server]
        .into_iter()
        .filter_map(|node| why.get(node.as_str()).copied())
        .find(|&why| code == why || code == "not-surveyed")
}

fn findings(report: &Report) -> Vec<FindingGroup<'_>> {
    let mut groups: Vec<FindingGroup<'_>> = Vec::new();
    for finding in &report.findings {
        match groups.iter_mut().find(|group| group.code == finding.code) {
            Some(group) => group.findings.push(finding),
            None => groups.push(FindingGroup {
                code: &finding.code,
                severity: finding.severity,
                findings: vec![finding],
            }),
        }
    }
    groups.sort_by_key(|group| match group.severity {
        Severity::Warning => 0,
        Severity::Info => 1,
    });
    groups
}

fn gaps(report: &Report) -> Vec<(&str, String)> {
    let mut nodes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in &report.nodes {
        for gap in &node.gaps {
            nodes.entry(gap).or_default().push(&node.name);
        }
    }
    nodes
        .into_iter()
        .map(|(gap, nodes)| (gap, fold(nodes)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Lane, Reason, Why};
    use crate::report::sample;

    #[test]
    fn a_lost_node_is_told_once_and_its_unproven_legs_are_not_told_again() {
        let mut report = sample::healthy(40);
        sample::lose(&mut report, "cmp017", Why::ControlTimedOut, "no answer");
        for leg in report.pick(&Lane::ALL, |_, server| server == "cmp017") {
            leg.leave_unproven(Why::NotSurveyed);
        }
        let overview = Overview::of(&report);
        assert_eq!(overview.lost.len(), 1);
        assert_eq!(overview.lost[0].why, "control-timed-out");
        assert_eq!(overview.lost[0].legs, 39 * 2 * 3);
        assert_eq!(overview.unproven, []);
    }

    #[test]
    fn what_is_broken_at_a_lost_node_is_still_told() {
        let mut report = sample::healthy(4);
        sample::lose(&mut report, "cmp002", Why::ControlUnreachable, "no route");
        for leg in report.pick(&[Lane::ColdPush], |_, server| server == "cmp002") {
            leg.break_with(Reason::NoRoute, "");
        }
        let overview = Overview::of(&report);
        assert_eq!(overview.broken[0].route(), "cmp[001,003-004] → cmp002");
        assert_eq!(overview.unproven, []);
    }

    #[test]
    fn an_unproven_leg_between_nodes_that_answered_is_no_lost_nodes_fault() {
        let mut report = sample::healthy(4);
        sample::lose(&mut report, "cmp002", Why::ControlUnreachable, "no route");
        for leg in report.pick(&[Lane::ColdPush], |client, _| client == "cmp001") {
            leg.leave_unproven(Why::Throttled);
        }
        let overview = Overview::of(&report);
        assert_eq!(overview.unproven[0].code, "throttled");
        assert_eq!(overview.unproven[0].count, 3);
    }
}
