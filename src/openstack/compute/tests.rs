use serde_json::{Value, json};

use super::*;
use crate::openstack::{Answer, Microversion};

fn answer(body: &Value) -> Answer {
    Answer::new(200, None, body.to_string().into_bytes())
}

const ID: &str = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

/// As nova 34.0.0 answers in 2.96, shortened.
fn example() -> Value {
    json!({
        "id": ID, "name": "web-1", "tenant_id": "p1", "status": "VERIFY_RESIZE", "locked": false,
        "OS-EXT-STS:vm_state": "resized", "OS-EXT-STS:task_state": null, "OS-EXT-STS:power_state": 1,
        "OS-EXT-SRV-ATTR:host": "cmp002", "OS-EXT-SRV-ATTR:hypervisor_hostname": "cmp002.example",
        "OS-EXT-AZ:availability_zone": "nova", "pinned_availability_zone": null,
        "flavor": {"original_name": "tiny", "vcpus": 1, "ram": 64, "disk": 1, "ephemeral": 0, "swap": 0,
                   "extra_specs": {"hw:mem_page_size": "large"}},
        "image": {"id": "155d900f-4e14-4e4c-a73d-069cbf4541e6", "links": []},
        "config_drive": "True",
        "addresses": {"private": [{"addr": "10.0.0.3", "version": 4, "OS-EXT-IPS:type": "fixed",
                                   "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01"}]},
        "metadata": {"role": "web"}, "key_name": "ops", "tags": ["blue"],
        "os-extended-volumes:volumes_attached": [{"id": "v1", "delete_on_termination": false}],
        "security_groups": [{"name": "default"}],
        "some_field_of_the_future": {"x": 1}
    })
}

#[test]
fn a_server_is_read_with_everything_that_a_move_must_keep() {
    let server = read_server(&answer(&json!({"server": example()}))).unwrap();
    assert_eq!(server.id.as_str(), ID);
    assert_eq!(server.host.unwrap().as_str(), "cmp002");
    assert_eq!(server.status.vm_state, "resized");
    assert_eq!(server.flavor.ram_mib, 64);
    assert!(server.config_drive);
    assert_eq!(server.volumes.len(), 1);
    assert_eq!(server.addresses["private"].len(), 1);
    assert_eq!(server.pinned_zone, None);
    let mut volume = example();
    volume["image"] = json!("");
    volume["config_drive"] = json!("");
    let server = read_server(&answer(&json!({"server": volume}))).unwrap();
    assert_eq!((server.image, server.config_drive), (None, false));
}

#[test]
fn a_page_leads_to_the_next_by_its_last_row_and_never_by_its_link() {
    let page = read_servers(&answer(&json!({
        "servers": [example()],
        "servers_links": [{"rel": "next", "href": "http://evil.example/"}]
    })))
    .unwrap();
    assert_eq!(page.next.as_deref(), Some(ID));
    let last = read_servers(&answer(&json!({"servers": [example()]}))).unwrap();
    assert_eq!(last.next, None);
}

#[test]
fn a_server_of_a_cell_that_is_down_is_no_server() {
    let down = json!({"id": ID, "status": "UNKNOWN", "tenant_id": "p", "links": []});
    let page = read_servers(&answer(&json!({"servers": [down, example()]}))).unwrap();
    assert_eq!(page.rows.len(), 1);
    let error = read_server(&answer(&json!({"server": down}))).unwrap_err();
    assert_eq!(error.to_string(), "the answer has no usable server");
}

#[test]
fn what_would_become_part_of_a_path_is_refused() {
    let mut hostile = example();
    hostile["id"] = json!("../../os-services");
    assert!(read_servers(&answer(&json!({"servers": [hostile]}))).is_err());
    let service = json!({"services": [{"id": "../servers", "host": "a", "status": "enabled", "state": "up"}]});
    assert!(read_services(&answer(&service)).is_err());
    assert!(action(&ID.parse().unwrap(), "req-../x").is_none());
    let mut host = example();
    host["OS-EXT-SRV-ATTR:host"] = json!("a b");
    assert_eq!(
        read_servers(&answer(&json!({"servers": [host]})))
            .unwrap()
            .rows[0]
            .host,
        None
    );
}

#[test]
fn rows_of_os_migrations_are_read_in_every_status_that_nova_has() {
    let row = json!({
        "id": 7, "uuid": "u7", "instance_uuid": ID, "migration_type": "live-migration", "status": "running (post-copy)",
        "source_compute": "cmp001", "source_node": "n1", "dest_compute": "cmp002", "dest_node": "n2",
        "dest_host": null, "created_at": "2026-11-25T18:00:00.000000", "updated_at": null,
        "old_instance_type_id": 1, "new_instance_type_id": 1
    });
    let page = read_migrations(&answer(&json!({"migrations": [row]}))).unwrap();
    let migration = &page.rows[0];
    assert_eq!(migration.status, MigrationStatus::PostCopy);
    assert_eq!(
        migration.created_at,
        "2026-11-25T18:00:00Z".parse().unwrap()
    );
    for (word, over) in [
        ("accepted", false),
        ("queued", false),
        ("preparing", false),
        ("running", false),
        ("pre-migrating", false),
        ("migrating", false),
        ("post-migrating", false),
        ("finished", false),
        ("confirming", false),
        ("reverting", false),
        ("confirmed", true),
        ("reverted", true),
        ("completed", true),
        ("done", true),
        ("failed", true),
        ("error", true),
        ("cancelled", true),
        ("a later one", false),
    ] {
        assert_eq!(MigrationStatus::read(word).is_over(), over, "{word}");
    }
}

#[test]
fn an_action_and_what_failed_in_it_are_read() {
    let body = json!({"instanceAction": {
        "action": "migrate", "instance_uuid": ID, "request_id": "req-1", "start_time": "2026-11-25T18:00:00.000000",
        "message": "Error", "updated_at": "2026-11-25T18:00:09.000000",
        "events": [{"event": "compute_resize_instance", "start_time": "2026-11-25T18:00:00.000000", "finish_time": null,
            "result": "Error", "traceback": "  File …", "host": "cmp001", "hostId": "h", "details": "Resize error: …"}]}});
    let action = read_action(&answer(&body)).unwrap();
    assert_eq!(action.events[0].details.as_deref(), Some("Resize error: …"));
    let list = json!({"instanceActions": [{"action": "create", "request_id": "req-2", "start_time": "2026-11-25T18:00:00.000000", "message": null}]});
    assert_eq!(read_actions(&answer(&list)).unwrap().len(), 1);
}

#[test]
fn a_cloud_that_is_too_old_is_told_so_and_a_new_one_is_spoken_to_in_a_version_that_is_known() {
    let range = |newest: &str| {
        let body = json!({"version": {"id": "v2.1", "version": newest, "min_version": "2.1"}});
        read_versions(&answer(&body)).unwrap().used()
    };
    assert_eq!(range("2.104"), Ok(Microversion(96)));
    assert_eq!(range("2.87"), Ok(Microversion(87)));
    assert_eq!(
        range("2.79").unwrap_err().to_string(),
        "this cloud's Nova speaks microversions up to 2.79 (Train), clearway's moves need 2.84 (Ussuri, 21.0.0)"
    );
    assert_eq!(range(""), Err(TooOld(Microversion(1))));
}

#[test]
fn a_service_goes_back_to_what_it_was_and_not_simply_to_enabled() {
    let service = |enabled, reason: Option<&str>| ComputeService {
        id: ID.to_owned(),
        host: "cmp001".parse().unwrap(),
        zone: "nova".to_owned(),
        enabled,
        disabled_reason: reason.map(str::to_owned),
        up: true,
        forced_down: false,
    };
    let now = service(false, Some("clearway run"));
    for (before, body) in [
        (service(true, None), json!({"status": "enabled"})),
        (
            service(false, Some("disk swap")),
            json!({"status": "disabled", "disabled_reason": "disk swap"}),
        ),
        (service(false, None), json!({"status": "disabled"})),
    ] {
        assert_eq!(restore_service(&now, &before).body, Some(body));
    }
}
