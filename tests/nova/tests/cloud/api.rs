//! Who may do what, faults in front of the API, and the log of requests.

use std::time::{Duration, Instant};

use clearway_nova_lab::{ApiFault, Cloud, Effect, Support};

use crate::shared::{cloud, look, node, watch};

#[test]
fn who_may_not_is_told_the_rule_that_forbids_it() {
    let Some(cloud) = cloud() else { return };
    let server = cloud.boot_server("rights", &node(13)).unwrap();
    let (with_host, without) = (
        r#"{"migrate": {"host": "node14.lab"}}"#,
        r#"{"migrate": null}"#,
    );
    let live = r#"{"os-migrateLive": {"host": "node14.lab", "block_migration": "auto"}}"#;
    for (person, body, rule) in [
        (
            "member",
            with_host,
            "os_compute_api:os-migrate-server:migrate:host",
        ),
        (
            "member",
            without,
            "os_compute_api:os-migrate-server:migrate",
        ),
        (
            "reader",
            live,
            "os_compute_api:os-migrate-server:migrate_live:host",
        ),
        (
            "manager",
            with_host,
            "os_compute_api:os-migrate-server:migrate:host",
        ),
    ] {
        let answer = cloud.act(person, &server, body).unwrap();
        assert_eq!(answer.status, 403, "{person}: {}", answer.body);
        assert_eq!(
            answer.body["forbidden"]["message"],
            format!("Policy doesn't allow {rule} to be performed."),
            "{person}"
        );
    }
    // Since 32.0.0 a manager may start moves without naming the host.
    assert_eq!(cloud.act("manager", &server, without).unwrap().status, 202);
    watch(cloud, &server, |seen| seen.status == "VERIFY_RESIZE");
    let hosts = cloud
        .request("manager", "GET", "/os-migrations", None)
        .unwrap();
    assert!(
        hosts.body["migrations"][0]["dest_compute"].is_null(),
        "{}",
        hosts.body
    );
}

#[test]
fn an_injected_fault_answers_in_novas_form_as_often_as_it_was_told() {
    let Some(cloud) = cloud() else { return };
    let server = cloud.boot_server("faults", &node(14)).unwrap();
    let path = format!("/servers/{server}");
    for (status, name) in [
        (400, "badRequest"),
        (403, "forbidden"),
        (404, "itemNotFound"),
        (409, "conflictingRequest"),
        (429, "overLimit"),
        (500, "computeFault"),
        (503, "serviceUnavailable"),
    ] {
        let fault = ApiFault::new(Effect::Answer(status))
            .path(&server)
            .times(1)
            .message("as told");
        let id = cloud.set_api_fault(fault).unwrap();
        let answer = cloud.request("operator", "GET", &path, None).unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.body[name]["message"], "as told", "{}", answer.body);
        assert_eq!(answer.body[name]["code"], status);
        assert_eq!(
            cloud
                .request("operator", "GET", &path, None)
                .unwrap()
                .status,
            200
        );
        let log = cloud.access_log().unwrap();
        let hits: Vec<_> = log
            .iter()
            .filter(|request| request.rule.as_ref() == Some(&id))
            .collect();
        assert_eq!(hits.len(), 1);
        assert_eq!(
            (hits[0].status, hits[0].path.ends_with(&server)),
            (status, true)
        );
    }
}

#[test]
fn a_write_can_be_done_though_its_answer_is_lost() {
    let Some(cloud) = cloud() else { return };
    let server = cloud.boot_server("lost-answer", &node(15)).unwrap();
    let fault = ApiFault::new(Effect::DropAfterwards)
        .path(&server)
        .action("migrate")
        .times(1);
    cloud.set_api_fault(fault).unwrap();
    let body = r#"{"migrate": {"host": "node14.lab"}}"#;
    assert!(
        cloud.act("operator", &server, body).is_err(),
        "the connection breaks"
    );
    watch(cloud, &server, |seen| seen.status == "VERIFY_RESIZE");
    let log = cloud.access_log().unwrap();
    let sent: Vec<_> = log
        .iter()
        .filter(|request| {
            request.path.contains(&server) && request.action.as_deref() == Some("migrate")
        })
        .collect();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].dropped && sent[0].status == 202 && sent[0].request_id.is_some());

    let fault = ApiFault::new(Effect::Drop)
        .path(&server)
        .action("revertResize")
        .times(1);
    cloud.set_api_fault(fault).unwrap();
    assert!(
        cloud
            .act("operator", &server, r#"{"revertResize": null}"#)
            .is_err()
    );
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(
        look(cloud, &server).status,
        "VERIFY_RESIZE",
        "Nova has not heard of it"
    );
}

#[test]
fn an_answer_can_be_slow() {
    let Some(cloud) = cloud() else { return };
    let server = cloud.boot_server("slow", &node(15)).unwrap();
    cloud
        .set_api_fault(
            ApiFault::new(Effect::Delay(Duration::from_secs(1)))
                .path(&server)
                .times(1),
        )
        .unwrap();
    let started = Instant::now();
    cloud.server(&server).unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_cloud_of_its_own_can_go_away_and_its_tokens_expire() {
    if Support::skips_test() {
        return;
    }
    let cloud = Cloud::builder()
        .computes(1)
        .token_seconds(20)
        .policy("os_compute_api:os-services:list", "!")
        .start()
        .unwrap();
    cloud.refuse_connections(Duration::from_secs(2)).unwrap();
    assert!(cloud.request("operator", "GET", "/servers", None).is_err());
    std::thread::sleep(Duration::from_millis(20_500));
    // By now the token that the cloud was started with is too old.
    assert_eq!(
        cloud
            .request("operator", "GET", "/servers", None)
            .unwrap()
            .status,
        200
    );
    let log = cloud.access_log().unwrap();
    let statuses: Vec<u16> = log
        .iter()
        .rev()
        .take(2)
        .map(|request| request.status)
        .collect();
    assert_eq!(statuses, [200, 401], "renewed after it was refused");
    let refused = cloud
        .request("operator", "GET", "/os-services", None)
        .unwrap();
    assert_eq!(
        refused.status, 403,
        "a policy that was changed: {}",
        refused.body
    );
    let server = cloud.boot_server("after", &node(1)).unwrap();
    assert_eq!(
        look(&cloud, &server).host,
        node(1),
        "Nova's own logins are renewed"
    );
}
