//! The computes: machines of their own, in cells, alive or dead.

use std::time::{Duration, Instant};

use clearway_nova_lab::{Cloud, ColdFault, ColdPhase, Compute, Steer, Support};
use serde_json::Value;

use crate::shared::{PATIENCE, cloud, look, migration, node, watch};

fn hypervisors(cloud: &Cloud) -> Vec<Value> {
    let mut found = cloud.get("/os-hypervisors/detail").unwrap();
    found["hypervisors"]
        .as_array_mut()
        .unwrap()
        .drain(..)
        .collect()
}

#[test]
fn every_compute_has_its_own_name_address_and_log() {
    let Some(cloud) = cloud() else { return };
    let found = hypervisors(cloud);
    assert_eq!(found.len(), cloud.computes().len());
    for compute in cloud.computes() {
        let hypervisor = found
            .iter()
            .find(|hypervisor| hypervisor["hypervisor_hostname"] == compute.host.as_str())
            .unwrap();
        assert_eq!(hypervisor["host_ip"], compute.address.as_str());
        assert_eq!(hypervisor["service"]["host"], compute.host.as_str());
        assert_eq!(hypervisor["state"], "up");
        let log = cloud.compute_log(&compute.host);
        for other in cloud.computes() {
            let line = format!("Compute node record created for {}:", other.host);
            assert_eq!(log.contains(&line), other.host == compute.host);
        }
    }
}

#[test]
fn the_events_of_a_move_name_the_computes_on_which_they_happened() {
    let Some(cloud) = cloud() else { return };
    let server = cloud.boot_server("events", &node(4)).unwrap();
    let body = r#"{"migrate": {"host": "node5.lab"}}"#;
    cloud.act("operator", &server, body).unwrap();
    watch(cloud, &server, |seen| seen.status == "VERIFY_RESIZE");
    let action = crate::shared::action(cloud, &server, "migrate");
    for (name, host) in [
        ("compute_prep_resize", node(5)),
        ("compute_resize_instance", node(4)),
        ("compute_finish_resize", node(5)),
    ] {
        assert_eq!(
            crate::shared::event(&action, name)["host"],
            host.as_str(),
            "{name}"
        );
    }
}

#[test]
fn two_cells_do_not_move_into_each_other_and_addresses_can_differ_and_computes_can_die() {
    if Support::skips_test() {
        return;
    }
    let mut computes: Vec<Compute> = (1..=4).map(Compute::of_lab).collect();
    computes[1].migration_address = "172.16.0.3".into();
    computes[1].hypervisor = "hypervisor-two.example".into();
    computes[0].memory_mb = 1024;
    let cloud = Cloud::builder()
        .with_computes(computes)
        .two_cells()
        .down_seconds(20)
        .start()
        .unwrap();
    assert_eq!(hypervisors(&cloud).len(), 4, "both cells are seen");

    let server = cloud.boot_server("celled", &node(1)).unwrap();
    let answer = cloud
        .act("operator", &server, r#"{"migrate": {"host": "node3.lab"}}"#)
        .unwrap();
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(
        answer.body["badRequest"]["message"],
        "Compute host node3.lab could not be found."
    );

    let answer = cloud
        .act("operator", &server, r#"{"migrate": {"host": "node2.lab"}}"#)
        .unwrap();
    assert_eq!(answer.status, 202);
    watch(&cloud, &server, |seen| seen.status == "VERIFY_RESIZE");
    let row = migration(&cloud, &server);
    assert_eq!(row["dest_host"], "172.16.0.3");
    assert_eq!(row["dest_node"], "hypervisor-two.example");
    assert_eq!(row["dest_compute"], "node2.lab");
    let other = cloud.boot_server("other-cell", &node(3)).unwrap();
    assert_eq!(look(&cloud, &other).host, node(3));

    // 1024 MiB, 512 of them reserved, half as much again allowed: no room for 4096.
    let big = serde_json::json!({
        "name": "big", "imageRef": "155d900f-4e14-4e4c-a73d-069cbf4541e6", "flavorRef": "large",
        "networks": "none", "host": node(1),
    });
    let big = cloud.request_server(&big).unwrap();
    let no_room = cloud.wait_for_status(&big, "ACTIVE", PATIENCE).unwrap_err();
    assert!(
        no_room.to_string().contains("No valid host was found"),
        "{no_room}"
    );

    // A compute that dies in the middle of a move.
    cloud
        .steer(
            &node(3),
            &node(4),
            Steer::cold(ColdFault::Hang(ColdPhase::Copy)),
        )
        .unwrap();
    cloud
        .act("operator", &other, r#"{"migrate": {"host": "node4.lab"}}"#)
        .unwrap();
    watch(&cloud, &other, |seen| seen.task == "resize_migrating");
    cloud.kill_compute(&node(3)).unwrap();
    wait_for_state(&cloud, &node(3), "down");
    cloud.steer_all_well().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(
        look(&cloud, &other).task,
        "resize_migrating",
        "nobody goes on with it"
    );
    cloud.revive_compute(&node(3)).unwrap();
    wait_for_state(&cloud, &node(3), "up");
    // Nova forgets the task when the compute comes back, and leaves the migration as it was.
    let seen = watch(&cloud, &other, |seen| seen.task == "-");
    assert_eq!(seen.last().unwrap().line(), "ACTIVE - @node3.lab migrating");
}

fn wait_for_state(cloud: &Cloud, host: &str, state: &str) {
    let started = Instant::now();
    loop {
        let found = cloud
            .get(&format!("/os-services?binary=nova-compute&host={host}"))
            .unwrap();
        if found["services"][0]["state"] == state {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
