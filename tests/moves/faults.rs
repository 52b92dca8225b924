//! What goes wrong on the way, pair by pair.

use std::sync::atomic::{AtomicBool, Ordering};

use clearway_nova_lab::{ColdFault, LiveFault, Steer};

use crate::gate::Forgotten;
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
        // Nova's API has cut it here.
        (
            ColdFault::Refused,
            "ACTIVE",
            "node1.lab",
            "Stderr: 'ssh: connect to host 10 ",
        ),
        (
            ColdFault::Unresolved,
            "ACTIVE",
            "node1.lab",
            "name-unresolvable",
        ),
        (ColdFault::NoSsh, "ERROR", "node1.lab", "ssh-missing"),
        (
            ColdFault::Copy,
            "ERROR",
            "node1.lab",
            "the source could not copy a disk to the destination",
        ),
        (
            ColdFault::Finish,
            "ERROR",
            "node2.lab",
            "the destination could not fetch a file from the source. The client has no host key",
        ),
        (
            ColdFault::Confirm,
            "ERROR",
            "node2.lab",
            "fault details: OSError: [Errno 39] Directory not empty: ",
        ),
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
        // Each has its own reason, and no other's.
        let is_missing = *fault == ColdFault::NoSsh;
        assert_eq!(
            told.contains("ssh-missing"),
            is_missing,
            "{fault:?}: {told}"
        );
        assert_eq!(
            ground.requests_of("migrate", &id).len(),
            1,
            "{fault:?}: sent once"
        );
    }
}

pub(crate) fn live(ground: &Ground) {
    // Of what libvirt has said Nova's API has nothing: it stands in nova-compute's log.
    let cases: &[(&str, Steer, &str, &str)] = &[
        (
            "host key",
            Steer::live(LiveFault::HostKey),
            "ERROR",
            "Cannot recv data: Host key verification failed.",
        ),
        (
            "host key, Nova 32",
            Steer::live(LiveFault::HostKey).before_33(),
            "ACTIVE",
            "Cannot recv data: Host key verification failed.",
        ),
        (
            "midway",
            Steer::live(LiveFault::Midway),
            "",
            "Unable to write to socket: Connection reset by peer",
        ),
        (
            "check",
            Steer::live(LiveFault::Check),
            "ACTIVE",
            "Unacceptable CPU info: CPU doesn't have compatibility.",
        ),
        (
            "prepare",
            Steer::live(LiveFault::Prepare),
            "ACTIVE",
            "the destination could not fetch a file from the source. The client has no host key",
        ),
    ];
    let cloud = ground.cloud();
    for (number, (name, steer, status, said)) in cases.iter().enumerate() {
        let id = cloud
            .boot_server(&format!("live-{number}"), NEXT.0)
            .unwrap();
        cloud.steer(NEXT.0, NEXT.1, steer.clone()).unwrap();
        let words = ["migrate", &id, "--live", "--to", NEXT.1];
        let ended = logging(ground, || ground.moves(&words));
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
        let told = it.explained.join("\n");
        assert!(told.contains(said), "{name}: {told}");
        // A live move powers no guest off.
        assert!(!told.contains("powered off"), "{name}: {told}");
    }
    forget_logs(ground);
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

/// nova-compute's log on the nodes is the one that Nova itself writes for each of its computes.
pub(crate) fn explained_by_the_log(ground: &Ground) {
    let _broken = Forgotten::new(ground, "node1", "10.77.0.3");
    let cloud = ground.cloud();
    let id = cloud.boot_server("explained", NEXT.0).unwrap();
    cloud
        .steer(NEXT.0, NEXT.1, Steer::cold(ColdFault::HostKey))
        .unwrap();
    let words = ["migrate", &id, "--to", NEXT.1, "--override-gate", "a test"];
    let ended = logging(ground, || ground.moves(&words));
    let it = ended.only();
    assert_eq!(
        (ended.code, it.verdict.as_str()),
        (1, "failed"),
        "{}",
        ended.all()
    );
    let told = it.explained.join("\n");
    // The API has cut this text; the log has all of it.
    assert!(
        told.contains("/var/log/nova/nova-compute.log on node1:"),
        "{told}"
    );
    assert!(
        told.contains("Stderr: 'Host key verification failed."),
        "{told}"
    );
    assert!(
        told.contains(
            "traced now: cold-push node1 → node2, dialled `10.77.0.3`: broken, host-key-unknown: "
        ),
        "{told}"
    );
    assert!(!told.contains("traced now: cold-pull"), "{told}");
    kept(ground, &it);

    // The same of a move that somebody else has made.
    let ended = ground.run("operator", &["diagnose", &id]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    for text in [
        "/var/log/nova/nova-compute.log on node1:",
        "lane cold-push",
        "traced now: cold-push node1 → node2, dialled `10.77.0.3`: broken, host-key-unknown: ",
    ] {
        assert!(ended.stdout.contains(text), "{text}: {}", ended.stdout);
    }
    forget_logs(ground);
    let ended = ground.run("operator", &["diagnose", &id]);
    assert!(
        ended.stdout.contains(
            "nova-compute's log on node1 was not found: /var/log/nova/nova-compute.log is not there"
        ),
        "{}",
        ended.stdout
    );
}

/// What was found out is in the ledger, for whoever was not there.
fn kept(ground: &Ground, it: &clearway::report::MoveRow) {
    let show = |format| ground.run("operator", &["show", "last", "--format", format]);
    assert_eq!(show("json").only(), *it);
    let line = "Stderr: 'Host key verification failed.";
    let watch = |format| ground.run("operator", &["watch", "last", "--format", format]);
    for told in [show("table"), show("jsonl"), watch("table"), watch("jsonl")] {
        assert_eq!(told.code, 0, "{}", told.all());
        assert!(told.stdout.contains(line), "{}", told.all());
    }
    let watched = watch("table").stdout;
    assert!(watched.contains("explained: why it failed:"), "{watched}");
}

/// The API says nothing of a live move that could not log in: every step of it is a success.
pub(crate) fn live_explained_by_the_log(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("silent", NEXT.0).unwrap();
    cloud
        .steer(NEXT.0, NEXT.1, Steer::live(LiveFault::HostKey))
        .unwrap();
    let words = ["migrate", &id, "--live", "--to", NEXT.1];
    let ended = logging(ground, || ground.moves(&words));
    let it = ended.only();
    assert_eq!(
        (ended.code, it.verdict.as_str()),
        (1, "failed"),
        "{}",
        ended.all()
    );
    let told = it.explained.join("\n");
    assert!(told.contains("Host key verification failed."), "{told}");
    assert!(told.contains("(host-key-unknown)"), "{told}");
    // What was steered is not so on the nodes: the leg itself is well, and that is said.
    assert!(told.contains("traced now: live node1 → node2"), "{told}");
    assert!(!told.contains("broken"), "{told}");
    forget_logs(ground);
}

/// Out of ERROR by what is printed, on Nova itself.
pub(crate) fn recovered(ground: &Ground) {
    let cloud = ground.cloud();
    for (name, stopped, words, steer, done) in [
        (
            "copied",
            false,
            &[][..],
            Steer::cold(ColdFault::Copy),
            "hard-reboot",
        ),
        (
            "copied-stopped",
            true,
            &[],
            Steer::cold(ColdFault::Copy),
            "stop",
        ),
        (
            "no-ssh",
            false,
            &[],
            Steer::cold(ColdFault::NoSsh),
            "reset-state",
        ),
        (
            "live",
            false,
            &["--live"],
            Steer::live(LiveFault::HostKey),
            "reset-state",
        ),
        (
            "confirmed",
            false,
            &[],
            Steer::cold(ColdFault::Confirm),
            "reset-state",
        ),
    ] {
        let id = cloud.boot_server(name, NEXT.0).unwrap();
        if stopped {
            cloud.act("operator", &id, r#"{"os-stop": null}"#).unwrap();
            ground.until("it is stopped", 30, || ground.server(&id).0 == "SHUTOFF");
        }
        cloud.steer(NEXT.0, NEXT.1, steer).unwrap();
        let moved = ground.moves(&[&["migrate", &id, "--to", NEXT.1], words].concat());
        assert_eq!(moved.code, 1, "{name}: {}", moved.all());
        ground.until("it is in ERROR", 30, || ground.server(&id).0 == "ERROR");
        let told = moved.only().explained.join("\n");
        assert!(
            told.contains(&format!("do: openstack server set --state active {id}")),
            "{name}: {told}"
        );
        // Nothing happens without a word.
        let asked = ground.run("operator", &["diagnose", &id, "--recover"]);
        assert_eq!(asked.code, 2, "{name}: {}", asked.all());
        assert_eq!(ground.server(&id).0, "ERROR", "{name}");

        let back = ground.run("operator", &["diagnose", &id, "--recover", "--yes"]);
        assert_eq!(back.code, 0, "{name}: {}", back.all());
        let status = if stopped { "SHUTOFF" } else { "ACTIVE" };
        assert_eq!(ground.server(&id).0, status, "{name}");
        assert!(
            back.stderr.contains(&format!("{done}: done")),
            "{name}: {}",
            back.all()
        );
        let reboots = ground.requests_of("reboot", &id).len();
        assert_eq!(reboots, usize::from(done == "hard-reboot"), "{name}");

        // Both the intent and what came of it are kept.
        let shown = ground.run("operator", &["show", "last", "--format", "jsonl"]);
        for text in ["nova-asking", "nova-asked", done] {
            assert!(
                shown.stdout.contains(text),
                "{name}: {text}: {}",
                shown.all()
            );
        }
        let again = ground.run("operator", &["diagnose", &id, "--recover", "--yes"]);
        assert_eq!(again.code, 2, "{name}: {}", again.all());
    }
}

/// Lets the nodes have their computes' logs while something is done.
fn logging<T>(ground: &Ground, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    let (lab, cloud) = (ground.lab(), ground.cloud());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for node in lab.nodes() {
                    let path = node.path("/var/log/nova");
                    std::fs::create_dir_all(&path).unwrap();
                    let text = cloud.compute_log(node.host());
                    // Never half of it.
                    std::fs::write(path.join("next"), text).unwrap();
                    std::fs::rename(path.join("next"), path.join("nova-compute.log")).unwrap();
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        done
    })
}

fn forget_logs(ground: &Ground) {
    for node in ground.lab().nodes() {
        std::fs::remove_dir_all(node.path("/var/log/nova")).unwrap();
    }
}
