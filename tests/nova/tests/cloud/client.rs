//! The unmodified `openstack` client.

use serde_json::Value;

use crate::shared::{cloud, look, node, watch};

#[test]
fn the_openstack_client_lists_moves_and_confirms() {
    let Some(cloud) = cloud() else { return };
    let run = |person: &str, arguments: &[&str]| -> String {
        let output = cloud.openstack(person, arguments).unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let name = "client-server";
    let server = cloud.boot_server(name, &node(12)).unwrap();
    let list = run("operator", &["server", "list", "--long", "-f", "json"]);
    let list: Vec<Value> = serde_json::from_str(&list).unwrap();
    let row = list.iter().find(|row| row["Name"] == name).unwrap();
    assert_eq!(
        (&row["Host"], &row["Status"]),
        (&node(12).into(), &"ACTIVE".into())
    );

    run(
        "operator-app",
        &[
            "server",
            "migrate",
            "--host",
            "node13.lab",
            "--wait",
            &server,
        ],
    );
    let seen = watch(cloud, &server, |seen| seen.status == "VERIFY_RESIZE");
    assert_eq!(seen.last().unwrap().host, node(13));
    run("operator", &["server", "migration", "confirm", &server]);
    watch(cloud, &server, |seen| {
        seen.migration == "confirmed" && seen.status == "ACTIVE"
    });
    run(
        "operator",
        &[
            "server",
            "migrate",
            "--live-migration",
            "--host",
            "node12.lab",
            "--wait",
            &server,
        ],
    );
    assert_eq!(look(cloud, &server).host, node(12));

    let refused = cloud
        .openstack("member-app", &["server", "migrate", &server])
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(
        said.contains("os_compute_api:os-migrate-server:migrate to be performed"),
        "{said}"
    );
}
