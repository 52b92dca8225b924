//! Cold moves: each outcome as Nova 34 with its libvirt driver shows it.

use std::time::Duration;

use clearway_nova_lab::{Cloud, ColdFault, ColdPhase, Steer};

use crate::shared::{
    assert_in_order, cloud, event, failed_action, look, migration, migrations, node, states, watch,
};

/// Long enough for each phase to be seen.
fn visible(steer: Steer) -> Steer {
    [ColdPhase::Ssh, ColdPhase::Copy, ColdPhase::Finish]
        .into_iter()
        .fold(steer, |steer, phase| steer.cold_seconds(phase, 0.4))
}

fn migrate(cloud: &Cloud, server: &str, destination: &str) {
    let body = format!(r#"{{"migrate": {{"host": "{destination}"}}}}"#);
    assert_eq!(cloud.act("operator", server, &body).unwrap().status, 202);
}

#[test]
fn a_good_move_passes_every_phase_waits_for_its_confirmation_and_ends_active_on_the_destination() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(1), node(2));
    let server = cloud.boot_server("good", &source).unwrap();
    cloud
        .steer(
            &source,
            &destination,
            visible(Steer::well()).cold_seconds(ColdPhase::Confirm, 0.4),
        )
        .unwrap();
    migrate(cloud, &server, &destination);
    let seen = watch(cloud, &server, |seen| {
        seen.status == "VERIFY_RESIZE" && seen.migration == "finished"
    });
    assert_in_order(
        &states(&seen),
        &[
            "ACTIVE -",
            "RESIZE resize_prep",
            "RESIZE resize_migrating",
            "RESIZE resize_migrated",
            "RESIZE resize_finish",
            "VERIFY_RESIZE -",
        ],
    );
    assert!(
        states(&seen).contains(&"RESIZE resize_migrating".to_owned()),
        "{seen:#?}"
    );
    assert!(
        states(&seen).contains(&"RESIZE resize_finish".to_owned()),
        "{seen:#?}"
    );
    assert_in_order(
        &migrations(&seen),
        &[
            "-",
            "pre-migrating",
            "migrating",
            "post-migrating",
            "finished",
        ],
    );
    let row = migration(cloud, &server);
    assert_eq!(
        row["dest_host"], "10.77.0.3",
        "the destination's own address"
    );
    assert_eq!(row["source_compute"], source.as_str());
    assert_eq!(row["dest_compute"], destination.as_str());
    assert_eq!(row["migration_type"], "migration");

    let confirm = cloud
        .act("operator", &server, r#"{"confirmResize": null}"#)
        .unwrap();
    assert_eq!(confirm.status, 204);
    let seen = watch(cloud, &server, |seen| {
        seen.status == "ACTIVE" && seen.migration == "confirmed"
    });
    assert_in_order(&migrations(&seen), &["finished", "confirming", "confirmed"]);
    assert_eq!(seen.last().unwrap().host, destination);
}

#[test]
fn a_reverted_move_ends_active_on_the_source() {
    let Some(cloud) = cloud() else { return };
    let server = cloud.boot_server("reverted", &node(1)).unwrap();
    migrate(cloud, &server, &node(3));
    watch(cloud, &server, |seen| seen.status == "VERIFY_RESIZE");
    let revert = cloud
        .act("operator", &server, r#"{"revertResize": null}"#)
        .unwrap();
    assert_eq!(revert.status, 202);
    let seen = watch(cloud, &server, |seen| {
        seen.status == "ACTIVE" && seen.migration == "reverted"
    });
    assert_eq!(seen.last().unwrap().host, node(1));
}

#[test]
fn a_stopped_server_moves_too_and_stays_stopped() {
    let Some(cloud) = cloud() else { return };
    let server = cloud.boot_server("stopped", &node(1)).unwrap();
    assert_eq!(
        cloud
            .act("operator", &server, r#"{"os-stop": null}"#)
            .unwrap()
            .status,
        202
    );
    watch(cloud, &server, |seen| {
        seen.status == "SHUTOFF" && seen.task == "-"
    });
    migrate(cloud, &server, &node(4));
    watch(cloud, &server, |seen| seen.status == "VERIFY_RESIZE");
    cloud
        .act("operator", &server, r#"{"confirmResize": null}"#)
        .unwrap();
    let seen = watch(cloud, &server, |seen| {
        seen.migration == "confirmed" && seen.status != "VERIFY_RESIZE"
    });
    assert_eq!(
        seen.last().unwrap().line(),
        format!("SHUTOFF - @{} confirmed", node(4))
    );
}

#[test]
fn a_move_without_ssh_falls_back_to_active_and_only_the_action_says_why() {
    let Some(cloud) = cloud() else { return };
    let faults = [
        (ColdFault::HostKey, "Host key verification failed."),
        (ColdFault::HostKeyChanged, "@@@@@@@@@@@@@@@@@@@@@@@@@@"),
        (
            ColdFault::Denied,
            "nova@10.77.0.6: Permission denied (publickey).",
        ),
        (
            ColdFault::Refused,
            "ssh: connect to host 10.77.0.6 port 22: Connection refused",
        ),
        (
            ColdFault::Timeout,
            "ssh: connect to host 10.77.0.6 port 22: Connection timed out",
        ),
        (
            ColdFault::Unresolved,
            "ssh: Could not resolve hostname 10.77.0.6: Name or service not known",
        ),
    ];
    let (source, destination) = (node(1), node(5));
    let server = cloud.boot_server("without-ssh", &source).unwrap();
    for (fault, stderr) in faults {
        cloud
            .steer(&source, &destination, visible(Steer::cold(fault)))
            .unwrap();
        migrate(cloud, &server, &destination);
        let seen = watch(cloud, &server, |seen| {
            seen.migration == "error" && seen.task == "-"
        });
        assert_in_order(
            &states(&seen),
            &[
                "ACTIVE -",
                "RESIZE resize_prep",
                "RESIZE resize_migrating",
                "ACTIVE -",
            ],
        );
        // The newest row of the round before reads `error` until this one's is there; a listing right after one that has it
        // was seen without it once.
        let rows = [
            "-",
            "error",
            "pre-migrating",
            "error",
            "pre-migrating",
            "migrating",
            "error",
        ];
        assert_in_order(&migrations(&seen), &rows);
        assert_eq!(
            seen.last().unwrap().line(),
            format!("ACTIVE - @{source} error"),
            "{fault:?}"
        );
        assert!(
            cloud.server(&server).unwrap().get("fault").is_none(),
            "{fault:?}"
        );

        let action = failed_action(cloud, &server, "migrate");
        let event_of = event(&action, "compute_resize_instance");
        assert_eq!(event_of["result"], "Error");
        let details = event_of["details"].as_str().unwrap();
        let whole = format!(
            "Resize error: not able to execute ssh command: Unexpected error while running command.\n\
             Command: ssh -o BatchMode=yes 10.77.0.6 mkdir -p /var/lib/nova/instances/{server}\n\
             Exit code: 255\nStdout: ''\nStderr: '{stderr}"
        );
        assert_eq!(details.len(), 255, "{details}");
        assert!(whole.starts_with(details), "{details}");
        let log = cloud.compute_log(&source);
        assert!(
            log.contains(stderr),
            "the source's own log has all of it: {fault:?}"
        );
        assert!(!cloud.compute_log(&destination).contains(stderr));
    }
}

#[test]
fn a_move_whose_copy_fails_leaves_the_server_in_error_on_the_source() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(1), node(6));
    let server = cloud.boot_server("copy", &source).unwrap();
    cloud
        .steer(&source, &destination, visible(Steer::cold(ColdFault::Copy)))
        .unwrap();
    migrate(cloud, &server, &destination);
    let seen = watch(cloud, &server, |seen| {
        seen.status == "ERROR" && seen.task == "-" && seen.migration == "error"
    });
    assert_eq!(
        seen.last().unwrap().line(),
        format!("ERROR - @{source} error")
    );
    let fault = cloud.server(&server).unwrap()["fault"].take();
    assert_eq!(fault["message"], "ProcessExecutionError");
    assert!(
        fault["details"]
            .as_str()
            .unwrap()
            .contains("migrate_disk_and_power_off")
    );
}

#[test]
fn a_move_that_cannot_be_finished_leaves_the_server_in_error_on_the_destination() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(1), node(7));
    let server = cloud.boot_server("finish", &source).unwrap();
    cloud
        .steer(
            &source,
            &destination,
            visible(Steer::cold(ColdFault::Finish)),
        )
        .unwrap();
    migrate(cloud, &server, &destination);
    let seen = watch(cloud, &server, |seen| {
        seen.status == "ERROR" && seen.task == "-" && seen.migration == "error"
    });
    assert_eq!(
        seen.last().unwrap().line(),
        format!("ERROR - @{destination} error")
    );
    let action = failed_action(cloud, &server, "migrate");
    assert_eq!(event(&action, "compute_finish_resize")["result"], "Error");
}

#[test]
fn a_source_without_ssh_at_all_leaves_the_server_in_error_though_it_still_runs() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(1), node(8));
    let server = cloud.boot_server("no-ssh", &source).unwrap();
    cloud
        .steer(&source, &destination, Steer::cold(ColdFault::NoSsh))
        .unwrap();
    migrate(cloud, &server, &destination);
    watch(cloud, &server, |seen| {
        seen.status == "ERROR" && seen.task == "-" && seen.migration == "error"
    });
    let shown = cloud.server(&server).unwrap();
    assert_eq!(shown["fault"]["message"], "FileNotFoundError");
    assert_eq!(shown["OS-EXT-STS:power_state"], 1);
}

#[test]
fn a_confirmation_that_fails_leaves_the_server_in_error() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(2), node(8));
    let server = cloud.boot_server("confirmation", &source).unwrap();
    cloud
        .steer(&source, &destination, Steer::cold(ColdFault::Confirm))
        .unwrap();
    migrate(cloud, &server, &destination);
    watch(cloud, &server, |seen| seen.status == "VERIFY_RESIZE");
    cloud
        .act("operator", &server, r#"{"confirmResize": null}"#)
        .unwrap();
    let seen = watch(cloud, &server, |seen| seen.status == "ERROR");
    assert_eq!(seen.last().unwrap().host, destination);
}

#[test]
fn a_move_that_hangs_goes_on_when_it_is_let_and_disturbs_nobody() {
    let Some(cloud) = cloud() else { return };
    let (source, destination) = (node(2), node(9));
    let hanging = cloud.boot_server("hanging", &source).unwrap();
    let other = cloud.boot_server("other", &source).unwrap();
    cloud
        .steer(
            &source,
            &destination,
            Steer::cold(ColdFault::Hang(ColdPhase::Copy)),
        )
        .unwrap();
    migrate(cloud, &hanging, &destination);
    watch(cloud, &hanging, |seen| seen.task == "resize_migrating");
    // From the same source to another host.
    migrate(cloud, &other, &node(3));
    watch(cloud, &other, |seen| seen.status == "VERIFY_RESIZE");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(look(cloud, &hanging).task, "resize_migrating");
    cloud.steer(&source, &destination, Steer::well()).unwrap();
    watch(cloud, &hanging, |seen| seen.status == "VERIFY_RESIZE");
}

#[test]
fn a_resize_is_a_move_to_another_flavor() {
    let Some(cloud) = cloud() else { return };
    let server = cloud.boot_server("resized", &node(3)).unwrap();
    let answer = cloud
        .act("operator", &server, r#"{"resize": {"flavorRef": "small"}}"#)
        .unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    watch(cloud, &server, |seen| seen.status == "VERIFY_RESIZE");
    assert_eq!(migration(cloud, &server)["migration_type"], "resize");
    assert_eq!(
        cloud.server(&server).unwrap()["flavor"]["original_name"],
        "small"
    );
    cloud
        .act("operator", &server, r#"{"revertResize": null}"#)
        .unwrap();
    watch(cloud, &server, |seen| {
        seen.migration == "reverted" && seen.status == "ACTIVE"
    });
}
