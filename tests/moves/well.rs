//! What goes well.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ground::Ground;

pub(crate) fn cold(ground: &Ground) {
    let id = ground.cloud().boot_server("cold", "node1.lab").unwrap();
    let ended = ground.moves(&["migrate", "cold", "--to", "node2.lab"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let it = ended.only();
    assert_eq!(
        (it.verdict.as_str(), it.destination.as_deref()),
        ("done", Some("node2.lab"))
    );
    assert!(it.request_id.unwrap().starts_with("req-"));
    assert_eq!(
        ground.server(&id),
        ("ACTIVE".to_owned(), "node2.lab".to_owned())
    );
    assert_eq!(ground.requests_of("migrate", &id).len(), 1);
    assert_eq!(ground.requests_of("confirmResize", &id).len(), 1);
    // The unmodified client sees the same.
    let shown = ground
        .cloud()
        .openstack(
            "operator",
            &["server", "migration", "list", "--server", &id, "-f", "json"],
        )
        .unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown[0]["Status"], "confirmed", "{shown}");
    assert_eq!(shown[0]["Dest Compute"], "node2.lab", "{shown}");
}

pub(crate) fn live(ground: &Ground) {
    let id = ground.cloud().boot_server("live", "node1.lab").unwrap();
    let ended = ground.moves(&["migrate", &id, "--live", "--to", "node3.lab"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(
        ground.server(&id),
        ("ACTIVE".to_owned(), "node3.lab".to_owned())
    );
    let asked = ground.requests_of("os-migrateLive", &id);
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].body.contains("\"block_migration\":\"auto\""),
        "{}",
        asked[0].body
    );
    assert_eq!(ground.requests_of("confirmResize", &id).len(), 0);
}

pub(crate) fn stopped(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("stopped", "node1.lab").unwrap();
    cloud.act("operator", &id, r#"{"os-stop": null}"#).unwrap();
    cloud
        .wait_for_status(&id, "SHUTOFF", std::time::Duration::from_secs(30))
        .unwrap();
    let refused = ground.moves(&["migrate", &id, "--live"]);
    assert_eq!(refused.code, 1, "{}", refused.all());
    assert_eq!(refused.report().stay[0].why, "it is stopped: move it cold");
    let ended = ground.moves(&["migrate", &id]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ground.server(&id).0, "SHUTOFF");
}

pub(crate) fn unconfirmed(ground: &Ground) {
    let id = ground
        .cloud()
        .boot_server("unconfirmed", "node1.lab")
        .unwrap();
    let ended = ground.moves(&["migrate", &id, "--leave-unconfirmed"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.only().verdict, "unconfirmed");
    assert_eq!(ground.server(&id).0, "VERIFY_RESIZE");
    assert_eq!(ground.requests_of("confirmResize", &id).len(), 0);
}

pub(crate) fn drain(ground: &Ground) {
    let cloud = ground.cloud();
    let mut ids = cloud.boot_servers("drained", 3, "node1.lab").unwrap();
    ids.extend(cloud.boot_servers("drained-too", 2, "node2.lab").unwrap());
    cloud
        .act("operator", &ids[0], r#"{"os-stop": null}"#)
        .unwrap();
    cloud
        .wait_for_status(&ids[0], "SHUTOFF", std::time::Duration::from_secs(30))
        .unwrap();
    let ended = ground.moves(&["drain", "node1.lab", "node2.lab"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let report = ended.report();
    assert_eq!(report.moves.len(), 5);
    for it in &report.moves {
        assert_eq!(it.verdict, "done");
        // Neither drained host is a destination of the other's servers.
        assert!(
            matches!(it.destination.as_deref(), Some("node3.lab" | "node4.lab")),
            "{it:?}"
        );
        assert_eq!(it.kind, if it.server == ids[0] { "cold" } else { "live" });
        assert_eq!(ground.asked_for(&it.server).len(), 1);
    }
    // Those that have arrived count where they are, also while Nova's own count of their host is an old one.
    let hosts: BTreeSet<_> = report.moves.iter().map(|it| &it.destination).collect();
    assert_eq!(hosts.len(), 2, "{}", ended.all());
    for host in ["node1.lab", "node2.lab"] {
        assert_eq!(ground.service(host), ("enabled".to_owned(), None));
    }
    let disabled: Vec<_> = cloud
        .access_log()
        .unwrap()
        .into_iter()
        .filter(|it| it.method == "PUT" && it.body.contains(&report.run))
        .collect();
    assert_eq!(
        disabled.len(),
        2,
        "both services carried the run's name meanwhile"
    );
}

pub(crate) fn dry_run(ground: &Ground) {
    let id = ground.cloud().boot_server("planned", "node1.lab").unwrap();
    let before = ground.cloud().access_log().unwrap().len();
    let ended = ground.run(
        "operator",
        &["drain", "node1.lab", "--dry-run", "--format", "json"],
    );
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.only().candidates.len(), 3);
    let log = ground.cloud().access_log().unwrap();
    assert!(
        log[before..].iter().all(|it| !it.writes()),
        "a plan asks for nothing"
    );
    assert_eq!(ground.server(&id).1, "node1.lab");
    // Without a terminal nothing is begun unasked.
    let unasked = ground.run("operator", &["drain", "node1.lab"]);
    assert_eq!(unasked.code, 2, "{}", unasked.all());
}

pub(crate) fn servers(ground: &Ground) {
    let id = ground.cloud().boot_server("listed", "node1.lab").unwrap();
    let open = || {
        let ended = ground.run(
            "operator",
            &[
                "servers",
                "--host",
                "node1.lab",
                "--max-age",
                "600",
                "--format",
                "json",
            ],
        );
        assert_eq!(ended.code, 0, "{}", ended.all());
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        let server = &report["servers"][0];
        assert_eq!(server["server"], id.as_str());
        server["cold"]["open"].as_array().unwrap().len()
    };
    assert_eq!(open(), 0);
    let checked = ground.run("operator", &["check", "--format", "json"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert_eq!(open(), 3);
    let missing = ground.run("operator", &["servers", "no-such-server"]);
    assert_eq!(missing.code, 2);
    assert!(
        missing
            .stderr
            .contains("no server is called `no-such-server`"),
        "{}",
        missing.stderr
    );
}

pub(crate) fn logins(ground: &Ground) {
    ground.cloud().boot_server("rights", "node1.lab").unwrap();
    for person in ["operator", "operator-app"] {
        let ended = ground.run(person, &["servers", "--format", "json"]);
        assert_eq!(ended.code, 0, "{person}: {}", ended.all());
    }
    for person in ["manager", "member", "reader", "member-app"] {
        let ended = ground.run(person, &["migrate", "rights", "--yes"]);
        assert_eq!(ended.code, 2, "{person}: {}", ended.all());
        assert!(
            ended
                .stderr
                .contains("the right `os_compute_api:servers:detail:get_all_tenants` is missing"),
            "{person}: {}",
            ended.stderr
        );
    }
    assert_eq!(
        ground
            .requests("migrate")
            .iter()
            .filter(|it| it.user.as_deref() != Some("operator"))
            .count(),
        0
    );
}
