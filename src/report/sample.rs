//! Hand-made reports for tests.

use std::collections::BTreeMap;

use super::exit;
use super::model::{Counts, LegReport, NodeReport, Report, SCHEMA_VERSION, Settings, Summary};
use crate::domain::{Depth, Lane, Placeholders, Reason, Step, Why};
use crate::inventory::expand_list;

/// A full mesh of `count` nodes, `cmp001` and on, on which everything is well: both cold lanes verified, live moves over
/// TLS.
pub(crate) fn healthy(count: usize) -> Report {
    let nodes: Vec<NodeReport> = (1..=count).map(node).collect();
    let mut legs = Vec::new();
    for source in &nodes {
        for destination in &nodes {
            if source.name == destination.name {
                continue;
            }
            for lane in Lane::ALL {
                legs.push(leg(lane, source, destination));
            }
        }
    }
    let mut report = Report {
        schema: SCHEMA_VERSION,
        clearway: "0.1.0".to_owned(),
        run: "20261123-013355-7f3a9c".to_owned(),
        command: "check".to_owned(),
        started: "2026-11-23T01:33:55Z".to_owned(),
        finished: "2026-11-23T01:34:07Z".to_owned(),
        inventory: "clearway.yaml".to_owned(),
        settings: Settings {
            limit: None,
            depth: Depth::Copy,
            pairs: "all".to_owned(),
            no_write: false,
            lanes: Vec::new(),
        },
        interrupted: false,
        summary: Summary::default(),
        nodes,
        legs,
        predicted_only: Vec::new(),
        proven_earlier: None,
        findings: Vec::new(),
        repair: None,
    };
    summarise(&mut report);
    report
}

fn node(number: usize) -> NodeReport {
    NodeReport {
        name: format!("cmp{number:03}"),
        surveyed: true,
        why: None,
        detail: None,
        remedy: None,
        service_host: Some(format!("cmp{number:03}.example.org")),
        migration_address: Some(format!("10.0.0.{number}")),
        facts_digest: Some(format!("{number:064x}")),
        gaps: Vec::new(),
    }
}

fn leg(lane: Lane, source: &NodeReport, destination: &NodeReport) -> LegReport {
    let (client, server) = match lane {
        Lane::ColdPush | Lane::Live => (source, destination),
        Lane::ColdPull => (destination, source),
    };
    let used = lane != Lane::Live;
    LegReport {
        lane,
        source: source.name.clone(),
        destination: destination.name.clone(),
        client: client.name.clone(),
        server: server.name.clone(),
        dialled: match lane {
            Lane::ColdPush => server.migration_address.clone(),
            Lane::ColdPull => server.service_host.clone(),
            Lane::Live => None,
        },
        verdict: if used { "verified" } else { "not-needed" }.to_owned(),
        code: (!used).then(|| "live-over-tls".to_owned()),
        step: None,
        predicted: if used { "works" } else { "not-needed" }.to_owned(),
        predicted_code: (!used).then(|| "live-over-tls".to_owned()),
        proven: used.then(|| "works".to_owned()),
        proven_code: None,
        reached: used.then_some(Step::Copy),
        millis: used.then_some(412),
        evidence: Vec::new(),
        remedy: None,
    }
}

impl Report {
    /// The legs of these lanes from these clients to these servers, to be changed.
    pub(crate) fn pick<'r>(
        &'r mut self,
        lanes: &'r [Lane],
        choose: impl Fn(&str, &str) -> bool + 'r,
    ) -> impl Iterator<Item = &'r mut LegReport> {
        self.legs
            .iter_mut()
            .filter(move |leg| lanes.contains(&leg.lane) && choose(&leg.client, &leg.server))
    }
}

impl LegReport {
    /// Breaks it, with the remedy of the reason.
    pub(crate) fn break_with(&mut self, reason: Reason, remedy: &str) {
        self.verdict = "broken".to_owned();
        self.code = Some(reason.code().to_owned());
        self.step = Some(reason.step());
        self.predicted = "breaks".to_owned();
        self.predicted_code = Some(reason.code().to_owned());
        self.proven = Some("breaks".to_owned());
        self.proven_code = Some(reason.code().to_owned());
        self.reached = Step::ALL
            .into_iter()
            .rev()
            .find(|&step| step < reason.step());
        self.remedy = Some(remedy.to_owned());
    }

    /// Leaves it unproven.
    pub(crate) fn leave_unproven(&mut self, why: Why) {
        self.verdict = "unproven".to_owned();
        self.code = Some(why.code().to_owned());
        self.step = None;
        self.predicted = "unknown".to_owned();
        self.predicted_code = Some(why.code().to_owned());
        self.proven = None;
        self.proven_code = None;
        self.reached = None;
        self.millis = None;
        let names = Placeholders::default()
            .with("client", self.client.as_str())
            .with("server", self.server.as_str());
        self.remedy = Some(names.fill(why.remedy()));
    }
}

/// Makes a node one that did not answer, and its legs as a client unproven.
pub(crate) fn lose(report: &mut Report, name: &str, why: Why, detail: &str) {
    for node in report.nodes.iter_mut().filter(|node| node.name == name) {
        node.surveyed = false;
        node.why = Some(why.code().to_owned());
        node.detail = Some(detail.to_owned());
        node.remedy = Some(why.remedy().replace("{node}", name));
        node.service_host = None;
        node.facts_digest = None;
    }
    for leg in report.legs.iter_mut().filter(|leg| leg.client == name) {
        leg.leave_unproven(why);
    }
}

/// Counts again after changes.
pub(crate) fn summarise(report: &mut Report) {
    fn rank(verdict: &str) -> u8 {
        match verdict {
            "broken" => 4,
            "unproven" => 3,
            "predicted" => 2,
            "verified" => 1,
            _ => 0,
        }
    }
    fn add(counts: &mut Counts, rank: u8) {
        counts.total += 1;
        *match rank {
            4 => &mut counts.broken,
            3 => &mut counts.unproven,
            2 => &mut counts.predicted_only,
            1 => &mut counts.verified,
            _ => &mut counts.not_needed,
        } += 1;
    }
    let mut pairs: BTreeMap<(&str, &str), u8> = BTreeMap::new();
    let mut summary = Summary {
        nodes: report.nodes.len() as u64,
        surveyed: report.nodes.iter().filter(|node| node.surveyed).count() as u64,
        ..Summary::default()
    };
    for leg in &report.legs {
        add(&mut summary.legs, rank(&leg.verdict));
        let worst = pairs.entry((&leg.source, &leg.destination)).or_default();
        *worst = (*worst).max(rank(&leg.verdict));
    }
    for legs in &report.predicted_only {
        summary.legs.total += legs.count;
        summary.legs.predicted_only += legs.count;
    }
    let sets: Vec<_> = report
        .predicted_only
        .iter()
        .map(|legs| {
            (
                expand_list(&legs.sources).unwrap(),
                expand_list(&legs.destinations).unwrap(),
            )
        })
        .collect();
    for (sources, destinations) in &sets {
        for (source, destination) in sources.iter().flat_map(|source| {
            destinations
                .iter()
                .map(move |destination| (source, destination))
        }) {
            if source != destination {
                let worst = pairs.entry((source, destination)).or_default();
                *worst = (*worst).max(rank("predicted"));
            }
        }
    }
    for worst in pairs.values() {
        add(&mut summary.pairs, *worst);
    }
    summary.exit_code = exit::code_of(&summary, report.interrupted);
    report.summary = summary;
}
