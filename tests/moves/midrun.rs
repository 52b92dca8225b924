//! A host that is taken away in the middle of a run, and phases that do not end.

use serde_json::Value;

use clearway_nova_lab::{ColdFault, ColdPhase, IMAGE, LiveFault, LivePhase, Steer};

use crate::ground::{Ended, Ground, ended};

/// The compute service of a host, changed by somebody else.
fn change_service(ground: &Ground, host: &str, body: &str) {
    let cloud = ground.cloud();
    let services = cloud.get("/os-services?binary=nova-compute").unwrap();
    let services = services["services"].as_array().unwrap();
    let service = services.iter().find(|it| it["host"] == host).unwrap();
    let path = format!("/os-services/{}", service["id"].as_str().unwrap());
    let answer = cloud.request("operator", "PUT", &path, Some(body)).unwrap();
    answer.expect_success(&path).unwrap();
}

/// A service that is changed until this is dropped.
pub(crate) struct Changed<'g> {
    ground: &'g Ground,
    host: &'static str,
    back: &'static str,
}

impl<'g> Changed<'g> {
    pub(crate) fn new(
        ground: &'g Ground,
        host: &'static str,
        body: &str,
        back: &'static str,
    ) -> Self {
        change_service(ground, host, body);
        Self { ground, host, back }
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        change_service(self.ground, self.host, self.back);
    }
}

pub(crate) const DISABLED: &str =
    r#"{"status": "disabled", "disabled_reason": "a disk is failing"}"#;
pub(crate) const ENABLED: &str = r#"{"status": "enabled"}"#;

fn asked_after(ground: &Ground, place: usize, host: &str) -> usize {
    ground.cloud().access_log().unwrap()[place..]
        .iter()
        .filter(|it| it.action.as_deref() == Some("migrate") && it.body.contains(host))
        .count()
}

/// Whether one of these servers is being copied to this host.
fn copied_to(ground: &Ground, ids: &[String], host: &str) -> bool {
    ids.iter().any(|id| {
        let server = ground.cloud().server(id).unwrap();
        ground.asked_for(id).contains(host) && server["OS-EXT-STS:task_state"] == "resize_migrating"
    })
}

pub(crate) fn disabled(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("disabled", 4, "node1.lab").unwrap();
    let steer = Steer::well().cold_seconds(ColdPhase::Copy, 2.0);
    cloud.steer("*", "*", steer).unwrap();
    let words = ["drain", "node1.lab", "--cold", "--per-source", "2"];
    let words = [&words[..], &["--to", "node2.lab,node3.lab"]].concat();
    let running = ground.start_moves(&words);
    ground.until("a copy to node2", 60, || {
        copied_to(ground, &ids, "node2.lab")
    });
    let place = cloud.access_log().unwrap().len();
    let _theirs = Changed::new(ground, "node2.lab", DISABLED, ENABLED);
    let ended = ended(&running.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.all());
    for it in ended.report().moves {
        assert_eq!(it.verdict, "done", "{it:?}");
        assert_eq!(ground.requests_of("migrate", &it.server).len(), 1);
    }
    assert_eq!(asked_after(ground, place, "node2.lab"), 0);
    let theirs = ("disabled".to_owned(), Some("a disk is failing".to_owned()));
    assert_eq!(ground.service("node2.lab"), theirs, "left as it was");
    assert_eq!(ground.service("node1.lab"), ("enabled".to_owned(), None));
}

/// A server that the filters of Nova's scheduler keep from a host: clearway cannot see them, and learns it afterwards.
pub(crate) fn unfit(ground: &Ground) {
    let cloud = ground.cloud();
    let body = r#"{"server_group": {"name": "apart", "policy": "anti-affinity"}}"#;
    let made = cloud.request("operator", "POST", "/os-server-groups", Some(body));
    let made = made.unwrap().expect_success("a server group").unwrap();
    let group = made.body["server_group"]["id"].as_str().unwrap();
    let boot = |name: &str, host: &str| {
        let body = serde_json::json!({
            "server": {"name": name, "imageRef": IMAGE, "flavorRef": "tiny",
                       "networks": "none", "host": host},
            "os:scheduler_hints": {"group": group},
        });
        let answer = cloud.request("operator", "POST", "/servers", Some(&body.to_string()));
        let answer = answer.unwrap().expect_success("a server").unwrap();
        let id = answer.body["server"]["id"].as_str().unwrap().to_owned();
        let patience = std::time::Duration::from_secs(60);
        cloud.wait_for_status(&id, "ACTIVE", patience).unwrap();
        id
    };
    let id = boot("apart-1", "node1.lab");
    boot("apart-2", "node2.lab");
    // node2 is the roomier one, and is tried first.
    ground.boot("filling", "large", "node3.lab");
    let ended = ground.moves(&["migrate", &id, "--to", "node2.lab,node3.lab"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.only().destination.as_deref(), Some("node3.lab"));
    let asked = ground.requests_of("migrate", &id);
    assert_eq!(asked.len(), 2, "{}", ended.all());
    assert!(asked[0].body.contains("node2.lab") && asked[1].body.contains("node3.lab"));
    assert!(ended.stderr.contains("No valid host"), "{}", ended.stderr);
}

const GONE: &str = r#"{"forced_down": true}"#;
const BACK: &str = r#"{"forced_down": false}"#;

/// A nova-compute that is killed until this is dropped. Nova would take a minute to see it; an operator says so.
struct Killed<'g> {
    ground: &'g Ground,
    _down: Changed<'g>,
    host: &'static str,
}

impl<'g> Killed<'g> {
    pub(crate) fn new(ground: &'g Ground, host: &'static str) -> Self {
        ground.cloud().kill_compute(host).unwrap();
        let _down = Changed::new(ground, host, GONE, BACK);
        Self {
            ground,
            _down,
            host,
        }
    }
}

impl Drop for Killed<'_> {
    fn drop(&mut self) {
        self.ground.cloud().revive_compute(self.host).unwrap();
    }
}

fn resumed(ground: &Ground, run: &str) -> Ended {
    ground.run("operator", &["resume", run, "--format", "json"])
}

pub(crate) fn destination_killed(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("orphan", 3, "node1.lab").unwrap();
    let steer = Steer::well().cold_seconds(ColdPhase::Copy, 2.0);
    cloud.steer("*", "*", steer).unwrap();
    let words = ["drain", "node1.lab", "--cold", "--per-source", "2"];
    let more = [
        "--to",
        "node2.lab,node3.lab",
        "--max-failures",
        "0",
        "--longest",
        "0.25",
    ];
    let running = ground.start_moves(&[&words[..], &more].concat());
    ground.until("a copy to node2", 60, || {
        copied_to(ground, &ids, "node2.lab")
    });
    let killed = Killed::new(ground, "node2.lab");
    let first = ended(&running.wait_with_output().unwrap());
    assert_eq!(first.code, 3, "{}", first.all());
    let report = first.report();
    for it in &report.moves {
        let there = it.destination.as_deref() == Some("node2.lab");
        assert_eq!(
            it.verdict,
            if there { "unknown" } else { "done" },
            "{}",
            first.all()
        );
        if there {
            for said in [
                "nova-compute on node2.lab is down",
                "after 15 seconds",
                "post-migrating",
                "clearway resume",
            ] {
                assert!(it.why.contains(said), "{said}: {}", it.why);
            }
        }
    }
    assert!(
        report.moves.iter().any(|it| it.verdict == "unknown"),
        "{}",
        first.all()
    );
    assert_eq!(ground.service("node1.lab"), ("enabled".to_owned(), None));
    drop(killed);
    let again = resumed(ground, &report.run);
    assert_eq!(again.code, 0, "{}", again.all());
    for id in &ids {
        assert_eq!(ground.requests_of("migrate", id).len(), 1, "moved once");
        assert_eq!(ground.server(id).0, "ACTIVE");
        assert_ne!(ground.server(id).1, "node1.lab");
    }
}

pub(crate) fn source_killed(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("left", 2, "node1.lab").unwrap();
    let steer = Steer::well().cold_seconds(ColdPhase::Copy, 3.0);
    cloud.steer("*", "*", steer).unwrap();
    let words = ["drain", "node1.lab", "--cold", "--per-source", "1"];
    let running = ground.start_moves(&[&words[..], &["--longest", "0.15"]].concat());
    let copied = || copied_to(ground, &ids[..1], "node2.lab");
    ground.until("the copy", 60, copied);
    let killed = Killed::new(ground, "node1.lab");
    let first = ended(&running.wait_with_output().unwrap());
    assert_eq!(first.code, 3, "{}", first.all());
    let report = first.report();
    let (hangs, waits) = (&report.moves[0], &report.moves[1]);
    assert_eq!(
        (hangs.verdict.as_str(), waits.verdict.as_str()),
        ("unknown", "not-started")
    );
    for said in [
        "nova-compute on node1.lab is down",
        "migrating (resize_migrating)",
    ] {
        assert!(hangs.why.contains(said), "{said}: {}", hangs.why);
    }
    assert!(ground.asked_for(&ids[1]).is_empty());
    // As long as it is away Nova refuses to move anything from it.
    let refused = ground.moves(&["migrate", &ids[1]]);
    assert_eq!(refused.code, 1, "{}", refused.all());
    drop(killed);
    let again = resumed(ground, &report.run);
    // nova-compute has put the server back, and nobody ends the row.
    assert_eq!(again.code, 1, "{}", again.all());
    let it = &again.report().moves[0];
    assert_eq!(it.verdict, "failed", "{}", again.all());
    for said in [
        "Nova does not go on with it: the server is ACTIVE on node1.lab",
        "left migrating",
    ] {
        assert!(it.why.contains(said), "{said}: {}", it.why);
    }
    for id in &ids {
        let here = ("ACTIVE".to_owned(), "node1.lab".to_owned());
        assert_eq!(ground.server(id), here);
    }
    assert_eq!(ground.requests_of("migrate", &ids[0]).len(), 1);
}

pub(crate) fn hanging(ground: &Ground) {
    let cloud = ground.cloud();
    let cold = cloud.boot_server("hang-cold", "node1.lab").unwrap();
    let live = cloud.boot_server("hang-live", "node1.lab").unwrap();
    cloud
        .act("operator", &cold, r#"{"os-stop": null}"#)
        .unwrap();
    let patience = std::time::Duration::from_secs(30);
    cloud.wait_for_status(&cold, "SHUTOFF", patience).unwrap();
    let steer = Steer::cold(ColdFault::Hang(ColdPhase::Copy));
    let steer = steer.and_live(LiveFault::Hang(LivePhase::Run));
    cloud.steer("*", "*", steer).unwrap();
    let first = ground.moves(&["drain", "node1.lab", "--longest", "0.1"]);
    assert_eq!(first.code, 3, "{}", first.all());
    let report = first.report();
    for (it, said) in report.moves.iter().zip([
        ["migrating (resize_migrating)", "nova-compute on node1.lab"],
        ["running (migrating)", "clearway moves abort"],
    ]) {
        assert_eq!(it.verdict, "unknown", "{}", first.all());
        let always = [
            "after 6 seconds it is still",
            "nothing was cancelled",
            "`clearway resume ",
        ];
        for said in said.iter().chain(&always) {
            assert!(it.why.contains(said), "{said}: {}", it.why);
        }
    }
    let shown = ground.run("operator", &["runs", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(
        shown[0]["exit_code"], 3,
        "nothing is said to be done: {shown}"
    );
    // The ledger alone has it, too.
    for (format, said) in [
        ("table", "hang-live"),
        ("table", " resume "),
        ("json", r#""verdict": "unknown""#),
        ("jsonl", r#""verdict":"unknown""#),
    ] {
        let shown = ground.run("operator", &["show", "last", "--format", format]);
        assert_eq!(shown.code, 0, "{}", shown.all());
        assert!(shown.stdout.contains(said), "{format}: {}", shown.all());
    }
    let shown = ground.run("operator", &["show", "last", "--format", "json"]);
    let kept = shown.report();
    assert_eq!((kept.exit_code, kept.moves.len()), (3, 2));
    let none = ground.run("operator", &["show", "last", "--format", "junit"]);
    assert_eq!(none.code, 2, "{}", none.all());
    cloud.steer_all_well().unwrap();
    let again = resumed(ground, &report.run);
    assert_eq!(again.code, 0, "{}", again.all());
    assert_eq!(ground.server(&cold).0, "SHUTOFF");
    assert_eq!(ground.server(&live).0, "ACTIVE");
    for (id, action) in [(&cold, "migrate"), (&live, "os-migrateLive")] {
        assert_ne!(ground.server(id).1, "node1.lab");
        assert_eq!(ground.requests_of(action, id).len(), 1, "asked for once");
    }
    assert_eq!(ground.requests_of("confirmResize", &cold).len(), 1);
    assert_eq!(ground.service("node1.lab"), ("enabled".to_owned(), None));
}
