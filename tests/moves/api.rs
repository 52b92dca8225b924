//! An API that is away, slow, or loses answers.

use std::time::Duration;

use clearway_nova_lab::{ApiFault, ColdPhase, Effect, Steer};

use crate::ground::{Ground, ended};

pub(crate) fn away(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("away", "node1.lab").unwrap();
    cloud
        .set_api_fault(ApiFault::new(Effect::Answer(503)).method("GET").times(3))
        .unwrap();
    cloud
        .set_api_fault(
            ApiFault::new(Effect::Answer(429))
                .method("GET")
                .path("os-services")
                .retry_after(1)
                .times(1),
        )
        .unwrap();
    cloud
        .set_api_fault(
            ApiFault::new(Effect::Drop)
                .method("GET")
                .path("os-migrations")
                .times(2),
        )
        .unwrap();
    cloud
        .steer(
            "node1.lab",
            "node2.lab",
            Steer::well().cold_seconds(ColdPhase::Copy, 6.0),
        )
        .unwrap();
    let running = ground.start_moves(&["migrate", &id, "--to", "node2.lab"]);
    ground.until("the request", 60, || {
        !ground.requests_of("migrate", &id).is_empty()
    });
    cloud.refuse_connections(Duration::from_secs(8)).unwrap();
    let ended = ended(&running.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ground.server(&id).1, "node2.lab");
    assert_eq!(ground.requests_of("migrate", &id).len(), 1);
}

pub(crate) fn lost(ground: &Ground) {
    let cloud = ground.cloud();
    for (name, effect) in [
        ("dropped", Effect::DropAfterwards),
        ("bad-gateway", Effect::AnswerAfterwards(502)),
        ("internal", Effect::AnswerAfterwards(500)),
    ] {
        let id = cloud.boot_server(name, "node1.lab").unwrap();
        cloud.clear_api_faults().unwrap();
        // The question for rights is the first `migrate`: it may be lost, too.
        let fault = ApiFault::new(effect).path(&id).action("migrate").times(2);
        cloud.set_api_fault(fault).unwrap();
        let ended = ground.moves(&["migrate", &id, "--to", "node2.lab"]);
        assert_eq!(ended.code, 0, "{name}: {}", ended.all());
        assert_eq!(ground.server(&id).1, "node2.lab", "{name}");
        assert_eq!(
            ground.requests_of("migrate", &id).len(),
            1,
            "{name}: sent once"
        );
    }
}

pub(crate) fn unseen(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("unseen", "node1.lab").unwrap();
    let fault = ApiFault::new(Effect::Answer(503))
        .path(&id)
        .action("migrate")
        .times(2);
    cloud.set_api_fault(fault).unwrap();
    let ended = ground.moves(&["migrate", &id, "--to", "node2.lab"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let asked = ground.requests_of("migrate", &id);
    let statuses: Vec<u16> = asked.iter().map(|it| it.status).collect();
    assert_eq!(
        statuses,
        [503, 202],
        "the second one only after Nova had nothing of the first"
    );
}

pub(crate) fn refusals(ground: &Ground) {
    let cloud = ground.cloud();
    for (status, message) in [
        (
            400,
            "Extended resource request is not supported by this compute.",
        ),
        (
            409,
            "Cannot 'migrate' instance while it is in task_state rebooting",
        ),
        (404, "Instance could not be found."),
        (
            403,
            "Policy doesn't allow os_compute_api:os-migrate-server:migrate:host to be performed.",
        ),
    ] {
        let ids = cloud
            .boot_servers(&format!("refusal-{status}"), 2, "node1.lab")
            .unwrap();
        cloud.clear_api_faults().unwrap();
        let fault = ApiFault::new(Effect::Answer(status))
            .path(&ids[1])
            .action("migrate")
            .message(message);
        cloud.set_api_fault(fault).unwrap();
        let (first, second) = (ids[0].as_str(), ids[1].as_str());
        let ended = ground.moves(&["migrate", first, second, "--max-failures", "0"]);
        assert_eq!(ended.code, 1, "{status}: {}", ended.all());
        let report = ended.report();
        // A missing right stops the run; whether the other one had been asked for by then is a matter of moments.
        if status != 403 {
            assert_eq!(report.moves[0].verdict, "done", "{status}: {}", ended.all());
        }
        assert_eq!(
            report.moves[1].verdict,
            "failed",
            "{status}: {}",
            ended.all()
        );
        assert!(
            report.moves[1].why.contains(message),
            "{status}: {}",
            report.moves[1].why
        );
        assert_eq!(ground.server(second).1, "node1.lab");
    }
}

pub(crate) fn token(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("token", "node1.lab").unwrap();
    // keystonemiddleware's answer to a token that has ended, once for reads and once for the request itself.
    cloud
        .set_api_fault(ApiFault::new(Effect::Answer(401)).method("GET").times(1))
        .unwrap();
    cloud
        .set_api_fault(
            ApiFault::new(Effect::Answer(401))
                .path(&id)
                .action("migrate")
                .times(1),
        )
        .unwrap();
    cloud
        .set_api_fault(
            ApiFault::new(Effect::Answer(401))
                .path(&id)
                .action("confirmResize")
                .times(1),
        )
        .unwrap();
    let ended = ground.moves(&["migrate", &id]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.only().verdict, "done");
}

pub(crate) fn confirmation(ground: &Ground) {
    let cloud = ground.cloud();
    for (name, effect) in [
        ("confirm-lost", Effect::DropAfterwards),
        ("confirm-unseen", Effect::Answer(503)),
    ] {
        let id = cloud.boot_server(name, "node1.lab").unwrap();
        cloud.clear_api_faults().unwrap();
        cloud
            .set_api_fault(
                ApiFault::new(effect)
                    .path(&id)
                    .action("confirmResize")
                    .times(1),
            )
            .unwrap();
        let ended = ground.moves(&["migrate", &id]);
        assert_eq!(ended.code, 0, "{name}: {}", ended.all());
        assert_eq!(ground.server(&id).0, "ACTIVE", "{name}");
    }
}

pub(crate) fn somebody_else(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud
        .boot_server("confirmed-by-another", "node1.lab")
        .unwrap();
    // clearway's own confirmations are refused until somebody else's has come.
    let fault = ApiFault::new(Effect::Answer(503))
        .path(&id)
        .action("confirmResize");
    cloud.set_api_fault(fault).unwrap();
    let running = ground.start_moves(&["migrate", &id]);
    ground.until("arrival", 60, || ground.server(&id).0 == "VERIFY_RESIZE");
    let signal = |which| {
        let pid = i32::try_from(running.id()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), which).unwrap();
    };
    // So that it is certain whose comes first: what it has sent before this is answered by then.
    signal(nix::sys::signal::Signal::SIGSTOP);
    std::thread::sleep(Duration::from_secs(1));
    cloud.clear_api_faults().unwrap();
    let theirs = cloud.act("operator", &id, r#"{"confirmResize": null}"#);
    signal(nix::sys::signal::Signal::SIGCONT);
    theirs
        .unwrap()
        .expect_success("their confirmation")
        .unwrap();
    let ended = ended(&running.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.only().verdict, "done");
    for it in ground.requests_of("confirmResize", &id) {
        assert!(it.status >= 400, "not this one: {it:?}");
    }
}

/// nova-api takes the request only after clearway has stopped waiting for its answer: it waits in a queue meanwhile.
pub(crate) fn queued(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("queued", "node1.lab").unwrap();
    let running = ground.start_moves(&["migrate", &id, "--to", "node2.lab"]);
    // The first `migrate` is the question for rights.
    ground.until("the question for rights", 60, || {
        let log = cloud.access_log().unwrap();
        log.iter()
            .any(|it| it.status == 400 && it.path.contains(&id))
    });
    let held = Effect::Delay(Duration::from_secs(75));
    let fault = ApiFault::new(held).path(&id).action("migrate").times(1);
    cloud.set_api_fault(fault).unwrap();
    let ended = ended(&running.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.only().verdict, "done");
    assert_eq!(ground.server(&id).1, "node2.lab");
    assert_eq!(ground.requests_of("migrate", &id).len(), 1, "sent once");
}

/// The right to list migrations is taken away while a server moves.
pub(crate) fn deaf(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("deaf", "node1.lab").unwrap();
    let slow = Steer::well().cold_seconds(ColdPhase::Copy, 8.0);
    cloud.steer("*", "*", slow).unwrap();
    let running = ground.start_moves(&["migrate", &id, "--to", "node2.lab"]);
    ground.until("the request", 60, || {
        !ground.requests_of("migrate", &id).is_empty()
    });
    let refused = ApiFault::new(Effect::Answer(403))
        .method("GET")
        .path("os-migrations")
        .message("Policy doesn't allow os_compute_api:os-migrations:index to be performed.");
    cloud.set_api_fault(refused).unwrap();
    let left = ended(&running.wait_with_output().unwrap());
    assert_eq!(left.code, 1, "{}", left.all());
    for said in [
        "could not go on",
        "os_compute_api:os-migrations:index",
        "hint: `clearway resume ",
    ] {
        assert!(left.stderr.contains(said), "{said}: {}", left.stderr);
    }
    cloud.clear_api_faults().unwrap();
    let resumed = ground.run("operator", &["resume", "last", "--format", "json"]);
    assert_eq!(resumed.code, 0, "{}", resumed.all());
    assert_eq!(resumed.only().verdict, "done");
    assert_eq!(ground.requests_of("migrate", &id).len(), 1);
}

pub(crate) fn still_disabled(ground: &Ground) {
    let cloud = ground.cloud();
    cloud.boot_server("drained", "node1.lab").unwrap();
    let running = ground.start_moves(&["drain", "node1.lab", "--live"]);
    ground.until("the service to be disabled", 60, || {
        ground.service("node1.lab").0 == "disabled"
    });
    let away = ApiFault::new(Effect::Answer(500))
        .method("PUT")
        .path("os-services");
    cloud.set_api_fault(away).unwrap();
    let drained = ended(&running.wait_with_output().unwrap());
    assert_eq!(drained.code, 1, "{}", drained.all());
    assert_eq!(drained.only().verdict, "done");
    let report = drained.report();
    let service = &report.services[0];
    assert!(!service.settled);
    let way = format!("`clearway resume {}` puts it back", report.run);
    assert!(service.what.contains(&way), "{service:?}");
    // What has to be put back is known from the ledger alone.
    ground.run("operator", &["runs", "--prune", "0"]);
    cloud.clear_api_faults().unwrap();
    let resumed = ground.run("operator", &["resume", &report.run, "--format", "json"]);
    assert_eq!(resumed.code, 0, "{}", resumed.all());
    assert_eq!(ground.service("node1.lab"), ("enabled".to_owned(), None));
}

pub(crate) fn latecomer(ground: &Ground) {
    let cloud = ground.cloud();
    let first = cloud.boot_server("first", "node1.lab").unwrap();
    let running = ground.drain_under_way(&first, 12.0);
    let enable = [
        "compute",
        "service",
        "set",
        "--enable",
        "node1.lab",
        "nova-compute",
    ];
    assert!(
        cloud
            .openstack("operator", &enable)
            .unwrap()
            .status
            .success()
    );
    let late = cloud.boot_server("late", "node1.lab").unwrap();
    let drained = ended(&running.wait_with_output().unwrap());
    assert_eq!(drained.code, 1, "{}", drained.all());
    let stay = &drained.report().stay;
    assert_eq!(stay.len(), 1, "{}", drained.all());
    assert_eq!(stay[0].server, late);
    assert!(stay[0].why.contains("`clearway drain node1.lab` again"));
}
