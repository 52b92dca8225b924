//! What goes wrong on the way, pair by pair.

use clearway_nova_lab::{ColdFault, LiveFault, Steer};

use crate::ground::Ground;

const NEXT: (&str, &str) = ("node1.lab", "node2.lab");

/// What becomes of a move with a fault: the status and host of its server, and what must be said.
type Case<F> = (F, &'static str, &'static str, &'static str);

pub(crate) fn cold(ground: &Ground) {
    let cases: &[Case<ColdFault>] = &[
        (
            ColdFault::HostKey,
            "ACTIVE",
            "node1.lab",
            "host-key-unknown",
        ),
        (ColdFault::Denied, "ACTIVE", "node1.lab", "login-refused"),
        (
            ColdFault::Refused,
            "ACTIVE",
            "node1.lab",
            "compute_resize_instance",
        ),
        (
            ColdFault::Unresolved,
            "ACTIVE",
            "node1.lab",
            "compute_resize_instance",
        ),
        (ColdFault::NoSsh, "ERROR", "node1.lab", "ssh-missing"),
        (ColdFault::Copy, "ERROR", "node1.lab", "powered off"),
        (ColdFault::Finish, "ERROR", "node2.lab", "fault"),
        (ColdFault::Confirm, "ERROR", "node2.lab", "ERROR"),
    ];
    let cloud = ground.cloud();
    for (number, (fault, status, host, said)) in cases.iter().enumerate() {
        let id = cloud
            .boot_server(&format!("cold-{number}"), NEXT.0)
            .unwrap();
        cloud.steer(NEXT.0, NEXT.1, Steer::cold(*fault)).unwrap();
        let ended = ground.moves(&["migrate", &id, "--to", NEXT.1]);
        let it = ended.only();
        assert_eq!(
            (ended.code, it.verdict.as_str()),
            (1, "failed"),
            "{fault:?}: {}",
            ended.all()
        );
        assert_eq!(
            ground.server(&id),
            ((*status).to_owned(), (*host).to_owned()),
            "{fault:?}"
        );
        let told = format!("{} {}", it.why, it.explained.join(" "));
        assert!(told.contains(said), "{fault:?}: {told}");
        assert_eq!(
            ground.requests_of("migrate", &id).len(),
            1,
            "{fault:?}: sent once"
        );
    }
}

pub(crate) fn live(ground: &Ground) {
    let cases: &[(&str, Steer, &str)] = &[
        ("host key", Steer::live(LiveFault::HostKey), "ERROR"),
        (
            "host key, Nova 32",
            Steer::live(LiveFault::HostKey).before_33(),
            "ACTIVE",
        ),
        ("midway", Steer::live(LiveFault::Midway), ""),
        ("check", Steer::live(LiveFault::Check), "ACTIVE"),
        ("prepare", Steer::live(LiveFault::Prepare), "ACTIVE"),
    ];
    let cloud = ground.cloud();
    for (number, (name, steer, status)) in cases.iter().enumerate() {
        let id = cloud
            .boot_server(&format!("live-{number}"), NEXT.0)
            .unwrap();
        cloud.steer(NEXT.0, NEXT.1, steer.clone()).unwrap();
        let ended = ground.moves(&["migrate", &id, "--live", "--to", NEXT.1]);
        let it = ended.only();
        assert_eq!(
            (ended.code, it.verdict.as_str()),
            (1, "failed"),
            "{name}: {}",
            ended.all()
        );
        let (now, host) = ground.server(&id);
        assert_eq!(host, NEXT.0, "{name}");
        assert!(status.is_empty() || now == *status, "{name}: {now}");
        assert!(!it.explained.is_empty(), "{name}");
    }
}

pub(crate) fn diagnosed(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("theirs", NEXT.0).unwrap();
    cloud
        .steer(NEXT.0, NEXT.1, Steer::cold(ColdFault::HostKey))
        .unwrap();
    cloud
        .act("operator", &id, r#"{"migrate": {"host": "node2.lab"}}"#)
        .unwrap();
    ground.until("the failure", 30, || {
        let rows = cloud
            .get(&format!("/os-migrations?instance_uuid={id}"))
            .unwrap();
        rows["migrations"][0]["status"] == "error"
    });
    let ended = ground.run("operator", &["diagnose", "theirs"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(
        ended.stdout.contains("reason host-key-unknown"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("lane cold-push"), "{}", ended.stdout);
}
