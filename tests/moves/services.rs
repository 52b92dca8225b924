//! Compute services of drained hosts, when Nova refuses, fails or does not answer.

use std::time::Duration;

use clearway_nova_lab::{ApiFault, Effect, Request};

use crate::ground::{Ground, ended};
use crate::midrun::{Changed, DISABLED, ENABLED};

/// What clearway has asked of compute services since so many requests ago.
fn changes(ground: &Ground, place: usize) -> Vec<Request> {
    let log = ground.cloud().access_log().unwrap();
    let of_clearway = |it: &&Request| {
        let agent = it.agent.as_deref();
        it.method == "PUT" && agent.is_some_and(|it| it.starts_with("clearway/"))
    };
    log[place..].iter().filter(of_clearway).cloned().collect()
}

fn place(ground: &Ground) -> usize {
    ground.cloud().access_log().unwrap().len()
}

pub(crate) fn disabled_before(ground: &Ground) {
    let id = ground.cloud().boot_server("theirs", "node1.lab").unwrap();
    let _theirs = Changed::new(ground, "node1.lab", DISABLED, ENABLED);
    let place = place(ground);
    let drained = ground.moves(&["drain", "node1.lab", "--cold"]);
    assert_eq!(drained.code, 0, "{}", drained.all());
    assert_ne!(ground.server(&id).1, "node1.lab");
    let theirs = ("disabled".to_owned(), Some("a disk is failing".to_owned()));
    assert_eq!(ground.service("node1.lab"), theirs);
    assert!(changes(ground, place).is_empty(), "it is not touched");
}

pub(crate) fn refused(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("stays", "node2.lab").unwrap();
    // The first of the two is disabled, and put back.
    let service = cloud.get("/os-services?binary=nova-compute").unwrap();
    let service = service["services"].as_array().unwrap().iter();
    let service = service.clone().find(|it| it["host"] == "node2.lab");
    let fault = ApiFault::new(Effect::Answer(409))
        .method("PUT")
        .path(service.unwrap()["id"].as_str().unwrap())
        .message("somebody works on it");
    cloud.set_api_fault(fault).unwrap();
    let drained = ground.moves(&["drain", "node1.lab", "node2.lab", "--cold"]);
    assert_eq!(drained.code, 1, "{}", drained.all());
    let it = drained.only();
    assert_eq!(it.verdict, "not-started");
    let told = "could not be disabled: HTTP 409";
    assert!(it.why.contains(told), "{}", it.why);
    assert!(ground.asked_for(&id).is_empty());
    let services = drained.report().services;
    let of = |host: &str| services.iter().find(|it| it.host == host).unwrap();
    assert!(of("node1.lab").settled, "{}", drained.all());
    assert!(!of("node2.lab").settled, "{}", drained.all());
    let what = &of("node2.lab").what;
    assert!(what.contains(told), "{what}");
    assert!(what.contains("`clearway drain node2.lab` again"), "{what}");
    for host in ["node1.lab", "node2.lab"] {
        assert_eq!(ground.service(host), ("enabled".to_owned(), None));
    }
}

/// What becomes of the first change of a service.
fn at_the_first_change(ground: &Ground, effect: Effect) {
    let fault = ApiFault::new(effect)
        .method("PUT")
        .path("os-services")
        .times(1);
    ground.cloud().set_api_fault(fault).unwrap();
}

pub(crate) fn failed_once(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("once", "node1.lab").unwrap();
    at_the_first_change(ground, Effect::Answer(500));
    let place = place(ground);
    let drained = ground.moves(&["drain", "node1.lab", "--cold"]);
    assert_eq!(drained.code, 0, "{}", drained.all());
    assert_ne!(ground.server(&id).1, "node1.lab");
    let statuses: Vec<u16> = changes(ground, place).iter().map(|it| it.status).collect();
    assert_eq!(statuses, [500, 200, 200], "disabled, and put back");
    assert_eq!(ground.service("node1.lab"), ("enabled".to_owned(), None));
}

/// nova-api disables the service only after clearway has stopped waiting for its answer.
pub(crate) fn late(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("late", "node1.lab").unwrap();
    at_the_first_change(ground, Effect::Delay(Duration::from_secs(75)));
    let place = place(ground);
    let drained = ground.moves(&["drain", "node1.lab", "--cold"]);
    assert_eq!(drained.code, 0, "{}", drained.all());
    let log = ground.cloud().access_log().unwrap();
    let asked: Vec<&Request> = log[place..].iter().filter(|it| it.writes()).collect();
    let at = |find: &dyn Fn(&Request) -> bool| asked.iter().position(|it| find(it)).unwrap();
    let disabled = at(&|it| it.method == "PUT" && it.seconds > 70.0);
    let moved = at(&|it| {
        it.path.contains(&id) && it.action.as_deref() == Some("migrate") && it.status == 202
    });
    assert!(disabled < moved, "it is not begun before");
    assert_eq!(changes(ground, place).len(), 2, "disabled, and put back");
    assert_eq!(ground.service("node1.lab"), ("enabled".to_owned(), None));
}

/// Nova does not say in the end which servers the host has.
pub(crate) fn unseen(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("gone", "node1.lab").unwrap();
    let running = ground.drain_under_way(&id, 4.0);
    let fault = ApiFault::new(Effect::Answer(500))
        .method("GET")
        .path("servers/detail.*[?&]host=node1");
    cloud.set_api_fault(fault).unwrap();
    let drained = ended(&running.wait_with_output().unwrap());
    assert_eq!(drained.code, 3, "{}", drained.all());
    assert_eq!(drained.only().verdict, "done");
    let report = drained.report();
    assert_eq!(report.unseen.len(), 1, "{}", drained.all());
    assert_eq!(report.unseen[0].host, "node1.lab");
    assert!(report.unseen[0].why.contains("500"), "{}", drained.all());
    assert_eq!(report.stopped, None);
    let told = "whether node1.lab is empty cannot be seen: ";
    assert!(drained.stderr.contains(told), "{}", drained.stderr);
    // Looked at again, in words.
    let again = ground.run("operator", &["resume", &report.run]);
    assert_eq!(again.code, 3, "{}", again.all());
    let way = format!(" resume {}   looks again", report.run);
    for said in ["not known whether it is empty\n  node1.lab: ", &way] {
        assert!(again.stdout.contains(said), "{said}: {}", again.stdout);
    }
    cloud.clear_api_faults().unwrap();
    let seen = ground.run("operator", &["resume", &report.run, "--format", "json"]);
    assert_eq!(seen.code, 0, "{}", seen.all());
    assert!(seen.report().unseen.is_empty());
}
