//! The whole story, as an operator lives through it.

use std::collections::BTreeSet;

use clearway::domain::Lane;
use clearway::report::Report;
use serde_json::json;

use crate::ground::Ground;
use crate::moving::{Kind, Outcome};

/// Verdict, reason, and who dials whom, of every leg.
fn legs(report: &Report) -> BTreeSet<(String, String, String, String, String)> {
    report
        .legs
        .iter()
        .map(|leg| {
            (
                leg.lane.to_string(),
                leg.client.clone(),
                leg.dialled.clone().unwrap_or_default(),
                leg.verdict.clone(),
                leg.code.clone().unwrap_or_default(),
            )
        })
        .collect()
}

/// All legs of the lab with one verdict: cold ones push to the address and pull by name, live ones go by name.
fn all_legs(verdict: &str, code: &str) -> BTreeSet<(String, String, String, String, String)> {
    let mut legs = BTreeSet::new();
    for from in 1..=3 {
        for to in (1..=3).filter(|to| *to != from) {
            let (address, name) = (format!("10.77.0.{}", to + 1), format!("node{to}.lab"));
            for (lane, dialled) in [
                ("cold-push", &address),
                ("cold-pull", &name),
                ("live", &name),
            ] {
                legs.insert((
                    lane.to_owned(),
                    format!("node{from}"),
                    dialled.clone(),
                    verdict.to_owned(),
                    code.to_owned(),
                ));
            }
        }
    }
    legs
}

pub(crate) fn told(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = ["web", "cache", "batch"].map(|name| ground.ask_for_server(name, "node1.lab"));
    for id in &ids {
        ground.wait_for(id, "ACTIVE");
    }
    let [web, cache, batch] = &ids;
    ground.act(batch, &json!({"os-stop": null}));
    ground.wait_for(batch, "SHUTOFF");
    let before = ids.each_ref().map(|id| ground.identity(id));
    assert_eq!(ground.guests("node1").len(), 2);

    // The nodes were just installed: nobody has collected their host keys.
    for node in ground.lab().nodes() {
        let done = node
            .sh("rm /var/lib/nova/.ssh/known_hosts /root/.ssh/known_hosts")
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    // Before anything is moved, check says what will become of it.
    let checked = ground.clearway(&["check", "--format", "json"]);
    assert_eq!(checked.code, 1, "{}", checked.all());
    let report = checked.checked();
    assert_eq!(legs(&report), all_legs("broken", "host-key-unknown"));
    for leg in &report.legs {
        // Who runs ssh: libvirtd is root, nova-compute is nova.
        let home = match leg.lane {
            Lane::Live => "/root",
            Lane::ColdPush | Lane::ColdPull => "/var/lib/nova",
        };
        let evidence = serde_json::to_string(&leg.evidence).unwrap();
        let file = format!("{home}/.ssh/known_hosts ");
        assert!(evidence.contains(&file), "{file} is not in {evidence}");
    }

    // Nova tries all the same.
    let cold = ground.move_all(Kind::Cold, [(web.as_str(), "node2.lab")]);
    assert_eq!(cold[web], Outcome::Failed);
    let live = ground.move_all(Kind::Live, [(cache.as_str(), "node2.lab")]);
    assert_eq!(live[cache], Outcome::Failed);
    let log = ground.compute_log("node1.lab");
    for words in [
        "Command: ssh -o BatchMode=yes 10.77.0.3 mkdir -p",
        "Host key verification failed.",
        "Cannot recv data: Host key verification failed.",
    ] {
        assert!(log.contains(words), "{words:?} is not in {log}");
    }

    // diagnose names the leg and the reason: from Nova's records, and for the live move, of which they say nothing, from
    // the source's log.
    let diagnosed = ground.clearway(&["diagnose", "web"]);
    assert_eq!(diagnosed.code, 0, "{}", diagnosed.all());
    for words in [
        "lane cold-push",
        "dialled `10.77.0.3`",
        "reason host-key-unknown",
    ] {
        assert!(diagnosed.stdout.contains(words), "{}", diagnosed.all());
    }
    let diagnosed = ground.clearway(&["diagnose", cache]);
    assert_eq!(diagnosed.code, 0, "{}", diagnosed.all());
    for words in ["lane live", "reason host-key-unknown"] {
        assert!(diagnosed.stdout.contains(words), "{}", diagnosed.all());
    }
    let of_live = ground.scratch("live.log");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("Cannot recv data"))
        .collect();
    std::fs::write(&of_live, lines.join("\n")).unwrap();
    let diagnosed = ground.clearway(&["diagnose", "--error", of_live.to_str().unwrap()]);
    assert_eq!(diagnosed.code, 0, "{}", diagnosed.all());
    for words in ["lane live", "reason host-key-unknown"] {
        assert!(diagnosed.stdout.contains(words), "{}", diagnosed.all());
    }

    // The guest has run on all the time; Nova only has to be told.
    assert_eq!(ground.guests("node1").len(), 2);
    ground.act(cache, &json!({"os-resetState": {"state": "active"}}));
    ground.wait_for(cache, "ACTIVE");

    // repair mends it, and has proven it.
    let repaired = ground.clearway(&["repair", "--yes", "--format", "json"]);
    assert_eq!(repaired.code, 0, "{}", repaired.all());
    let checked = ground.clearway(&["check", "--format", "json"]);
    assert_eq!(checked.code, 0, "{}", checked.all());
    assert_eq!(legs(&checked.checked()), all_legs("verified", ""));

    // drain empties the node: what runs goes live, what is stopped cold.
    let drained = ground.clearway(&["drain", "node1.lab", "--yes", "--format", "json"]);
    assert_eq!(drained.code, 0, "{}", drained.all());
    let report = drained.moved();
    assert_eq!(report.moves.len(), 3, "{}", drained.all());
    for row in &report.moves {
        let kind = if &row.server == batch { "cold" } else { "live" };
        assert_eq!((row.kind.as_str(), row.verdict.as_str()), (kind, "done"));
    }
    assert_eq!(ground.guests("node1"), Vec::<String>::new());
    let elsewhere = ground.guests("node2").len() + ground.guests("node3").len();
    assert_eq!(elsewhere, 2, "both guests run elsewhere");
    for (id, before) in ids.iter().zip(&before) {
        assert_ne!(ground.whereabouts(id).1, "node1.lab");
        assert_eq!(&ground.identity(id), before);
    }
    let services = cloud.get("/os-services?binary=nova-compute").unwrap();
    for service in services["services"].as_array().unwrap() {
        assert_eq!(service["status"], "enabled", "{service}");
    }
}
