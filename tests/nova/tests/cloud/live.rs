//! Live moves: each outcome as Nova 34 with its libvirt driver shows it.

use std::collections::BTreeSet;

use clearway_nova_lab::{Cloud, LiveFault, LivePhase, Steer};
use serde_json::Value;

use crate::shared::{
    action, assert_in_order, cloud, event, migration, migrations, node, states, watch,
};

/// Memory of flavor `tiny`.
const MEMORY: u64 = 64 << 20;

fn migrate(cloud: &Cloud, server: &str, destination: &str) {
    let body =
        format!(r#"{{"os-migrateLive": {{"host": "{destination}", "block_migration": "auto"}}}}"#);
    let answer = cloud.act("operator", server, &body).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
}

/// The live moves of a server that are under way.
fn under_way(cloud: &Cloud, server: &str) -> Vec<Value> {
    let found = cloud.get(&format!("/servers/{server}/migrations")).unwrap();
    found["migrations"].as_array().unwrap().clone()
}

#[test]
fn a_good_move_shows_its_progress_and_ends_active_on_the_destination() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(10), node(11));
    let server = cloud.boot_server("live-good", &source).unwrap();
    let steer = Steer::well()
        .live_seconds(LivePhase::Prepare, 0.3)
        .live_seconds(LivePhase::Run, 4.0)
        .live_seconds(LivePhase::Progress, 0.2);
    cloud.steer(&source, &destination, steer).unwrap();
    migrate(cloud, &server, &destination);
    let mut remaining = BTreeSet::new();
    let seen = watch(cloud, &server, |seen| {
        for row in under_way(cloud, &server) {
            if row["memory_total_bytes"] == MEMORY {
                assert!(row["disk_remaining_bytes"].as_u64() <= row["disk_total_bytes"].as_u64());
                remaining.insert(row["memory_remaining_bytes"].as_u64());
            }
        }
        seen.migration == "completed" && seen.task == "-"
    });
    assert!(remaining.len() >= 4, "the numbers move: {remaining:?}");
    assert_in_order(
        &states(&seen),
        &["ACTIVE -", "MIGRATING migrating", "ACTIVE -"],
    );
    assert_in_order(
        &migrations(&seen),
        &[
            "-",
            "accepted",
            "queued",
            "preparing",
            "running",
            "post-migrating",
            "completed",
        ],
    );
    assert!(migrations(&seen).contains(&"running".to_owned()));
    assert_eq!(seen.last().unwrap().host, destination);
    assert!(
        migration(cloud, &server)["dest_host"].is_null(),
        "live rows have none"
    );
    assert!(under_way(cloud, &server).is_empty(), "the entry vanishes");
}

#[test]
fn a_move_without_ssh_reads_active_and_then_error_and_no_event_says_why() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(10), node(12));
    for (fault, text) in [
        (
            LiveFault::HostKey,
            "Cannot recv data: Host key verification failed.: Connection reset by peer",
        ),
        (
            LiveFault::Denied,
            "Cannot recv data: nova@node12.lab: Permission denied (publickey).: Connection reset by peer",
        ),
        (
            LiveFault::Midway,
            "Unable to write to socket: Connection reset by peer",
        ),
    ] {
        let server = cloud.boot_server("live-without-ssh", &source).unwrap();
        let steer = Steer::live(fault)
            .live_seconds(LivePhase::Connect, 0.3)
            .live_seconds(LivePhase::Run, 1.0)
            .live_seconds(LivePhase::Error, 1.0);
        cloud.steer(&source, &destination, steer).unwrap();
        migrate(cloud, &server, &destination);
        let seen = watch(cloud, &server, |seen| seen.status == "ERROR");
        assert_in_order(
            &states(&seen),
            &["ACTIVE -", "MIGRATING migrating", "ACTIVE -", "ERROR -"],
        );
        assert!(
            seen.iter()
                .any(|seen| seen.line() == format!("ACTIVE - @{source} failed")),
            "rolled back first: {seen:#?}"
        );
        assert_eq!(
            seen.last().unwrap().line(),
            format!("ERROR - @{source} error"),
            "{fault:?}"
        );

        let action = action(cloud, &server, "live-migration");
        assert!(action["message"].is_null(), "{action:#}");
        assert_eq!(
            event(&action, "compute_live_migration")["result"],
            "Success"
        );
        let shown = cloud.server(&server).unwrap();
        assert!(shown.get("fault").is_none(), "{shown:#}");
        assert_eq!(
            shown["OS-EXT-STS:power_state"], 1,
            "the guest keeps running"
        );
        assert!(cloud.compute_log(&source).contains(text), "{fault:?}");
    }
}

#[test]
fn before_33_a_failed_move_reads_active_and_failed_for_good() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(10), node(13));
    let server = cloud.boot_server("live-old", &source).unwrap();
    cloud
        .steer(
            &source,
            &destination,
            Steer::live(LiveFault::HostKey).before_33(),
        )
        .unwrap();
    migrate(cloud, &server, &destination);
    watch(cloud, &server, |seen| {
        seen.migration == "failed" && seen.task == "-"
    });
    std::thread::sleep(std::time::Duration::from_secs(2));
    let seen = crate::shared::look(cloud, &server);
    assert_eq!(seen.line(), format!("ACTIVE - @{source} failed"));
}

#[test]
fn a_move_that_the_destination_refuses_never_starts() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(10), node(14));
    let server = cloud.boot_server("live-refused", &source).unwrap();
    cloud
        .steer(&source, &destination, Steer::live(LiveFault::Check))
        .unwrap();
    migrate(cloud, &server, &destination);
    let seen = watch(cloud, &server, |seen| {
        seen.migration == "error" && seen.task == "-"
    });
    assert_eq!(
        seen.last().unwrap().line(),
        format!("ACTIVE - @{source} error")
    );
    cloud
        .steer(&source, &destination, Steer::live(LiveFault::Prepare))
        .unwrap();
    migrate(cloud, &server, &destination);
    let seen = watch(cloud, &server, |seen| {
        seen.migration == "failed" && seen.task == "-"
    });
    assert_eq!(
        seen.last().unwrap().line(),
        format!("ACTIVE - @{source} failed")
    );
}

#[test]
fn a_hanging_move_can_be_aborted_or_forced_and_the_next_one_waits_its_turn() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(15), node(16));
    let servers = cloud.boot_servers("live-hanging", 2, &source).unwrap();
    cloud
        .steer(
            &source,
            &destination,
            Steer::live(LiveFault::Hang(LivePhase::Run)),
        )
        .unwrap();
    migrate(cloud, &servers[0], &destination);
    watch(cloud, &servers[0], |seen| seen.migration == "running");
    migrate(cloud, &servers[1], &destination);
    watch(cloud, &servers[1], |seen| seen.migration == "queued");

    let id = under_way(cloud, &servers[0])[0]["id"].clone();
    let path = format!("/servers/{}/migrations/{id}", servers[0]);
    assert_eq!(
        cloud
            .request("operator", "DELETE", &path, None)
            .unwrap()
            .status,
        202
    );
    let seen = watch(cloud, &servers[0], |seen| {
        seen.migration == "cancelled" && seen.task == "-"
    });
    assert_eq!(
        seen.last().unwrap().line(),
        format!("ACTIVE - @{source} cancelled")
    );

    watch(cloud, &servers[1], |seen| seen.migration == "running");
    let id = under_way(cloud, &servers[1])[0]["id"].clone();
    let path = format!("/servers/{}/migrations/{id}/action", servers[1]);
    let force = cloud
        .request(
            "operator",
            "POST",
            &path,
            Some(r#"{"force_complete": null}"#),
        )
        .unwrap();
    assert_eq!(force.status, 202, "{}", force.body);
    let seen = watch(cloud, &servers[1], |seen| {
        seen.migration == "completed" && seen.task == "-"
    });
    assert_eq!(
        seen.last().unwrap().line(),
        format!("ACTIVE - @{destination} completed")
    );
}
