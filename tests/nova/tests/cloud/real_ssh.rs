//! Moves that real sshd nodes decide about: Nova's own `ssh` and `scp`, run on them.

use clearway_lab::{Lab, LabSupport};
use clearway_nova_lab::{Cloud, Compute, Steer, Support};

use crate::shared::{event, failed_action, node, watch};

#[test]
fn novas_own_ssh_on_real_nodes_decides_about_moves() {
    if Support::skips_test() || LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().start().unwrap();
    // node1's nova forgets node3's address, node1's root forgets node2's name, node3 forgets node2's name.
    for (on, file, what) in [
        (
            "node1",
            "/var/lib/nova/.ssh/known_hosts",
            lab.node("node3").address().to_string(),
        ),
        ("node1", "/root/.ssh/known_hosts", "node2.lab".to_owned()),
        (
            "node3",
            "/var/lib/nova/.ssh/known_hosts",
            "node2.lab".to_owned(),
        ),
    ] {
        let forget = format!(
            "cp -p {file} /tmp/k && grep -vwF '{what}' /tmp/k > {file}; ! grep -qwF '{what}' {file}"
        );
        assert!(
            lab.node(on).sh(&forget).unwrap().status.success(),
            "{on}: {what}"
        );
    }
    let computes = lab.nodes().iter().enumerate().map(|(index, real)| {
        let compute = Compute::of_lab(index + 1).on_node(real.pid());
        assert_eq!(
            (compute.host.as_str(), &compute.address),
            (real.host(), &real.address().to_string())
        );
        compute
    });
    let cloud = Cloud::builder().with_computes(computes).start().unwrap();
    let server = cloud.boot_server("real", &node(1)).unwrap();
    let cold = |to: usize| {
        let body = format!(r#"{{"migrate": {{"host": "{}"}}}}"#, node(to));
        assert_eq!(cloud.act("operator", &server, &body).unwrap().status, 202);
    };

    cold(3);
    watch(&cloud, &server, |seen| {
        seen.status == "ACTIVE" && seen.migration == "error"
    });
    let action = failed_action(&cloud, &server, "migrate");
    let details = event(&action, "compute_resize_instance")["details"]
        .as_str()
        .unwrap();
    let expected = format!(
        "Command: ssh -o BatchMode=yes 10.77.0.4 mkdir -p /var/lib/nova/instances/{server}"
    );
    assert!(details.contains(&expected), "{details}");
    assert!(
        cloud
            .compute_log(&node(1))
            .contains("Host key verification failed.")
    );

    let live = r#"{"os-migrateLive": {"host": "node2.lab", "block_migration": "auto"}}"#;
    assert_eq!(cloud.act("operator", &server, live).unwrap().status, 202);
    watch(&cloud, &server, |seen| seen.status == "ERROR");
    assert!(
        cloud
            .compute_log(&node(1))
            .contains("Cannot recv data: Host key verification failed.")
    );
    let reset = r#"{"os-resetState": {"state": "active"}}"#;
    assert_eq!(cloud.act("operator", &server, reset).unwrap().status, 202);

    cold(2);
    watch(&cloud, &server, |seen| seen.status == "VERIFY_RESIZE");
    let disk = lab
        .node("node2")
        .path(&format!("/var/lib/nova/instances/{server}/disk"));
    assert_eq!(
        std::fs::read_to_string(disk).unwrap().trim(),
        server,
        "scp has really copied it"
    );
    cloud
        .act("operator", &server, r#"{"confirmResize": null}"#)
        .unwrap();
    watch(&cloud, &server, |seen| seen.status == "ACTIVE");

    cloud
        .steer(&node(2), &node(3), Steer::well().image_gone())
        .unwrap();
    cold(3);
    watch(&cloud, &server, |seen| {
        seen.status == "ERROR" && seen.task == "-"
    });
    let action = failed_action(&cloud, &server, "migrate");
    assert_eq!(event(&action, "compute_finish_resize")["result"], "Error");
    assert!(
        cloud
            .compute_log(&node(3))
            .contains("Host key verification failed."),
        "dialled back by name"
    );
}
