//! A full mesh against sshd's own limits.

use std::time::Duration;

use clearway_lab::{LabSupport, Lane};

use crate::clearway::{check, quiet_lab};

#[test]
fn the_default_max_startups_costs_no_false_verdict_on_a_full_mesh_of_40_nodes() {
    if LabSupport::skips_test() {
        return;
    }
    let nodes = 40;
    let lab = quiet_lab(nodes);
    let limits = lab
        .node("node1")
        .sh("/usr/sbin/sshd -T | grep -i ^maxstartups");
    let limits = String::from_utf8(limits.unwrap().stdout).unwrap();
    assert_eq!(limits.trim(), "maxstartups 10:30:100", "sshd's default");

    let ended = check(&lab, &["--format", "json"], Duration::from_secs(600));
    let report = ended.report();
    let others: Vec<_> = report
        .legs
        .iter()
        .filter(|leg| leg.verdict != "verified")
        .map(|leg| {
            (
                &leg.client,
                &leg.server,
                &leg.verdict,
                &leg.code,
                &leg.evidence,
            )
        })
        .collect();
    assert!(
        others.is_empty(),
        "{} legs: {:#?}",
        others.len(),
        &others[..1]
    );
    assert_eq!(report.legs.len(), Lane::ALL.len() * nodes * (nodes - 1));
    assert!(
        report
            .legs
            .iter()
            .all(|leg| leg.proven.as_deref() == Some("works"))
    );
    assert_eq!(ended.status.code(), Some(0));
    println!("{} legs took {:?}", report.legs.len(), ended.took);
}
