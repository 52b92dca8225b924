//! Nova's 400 to the request that moves a server.

use std::time::Duration;

use clearway_nova_lab::{ApiFault, Effect};

use crate::ground::{Ground, ended};

/// Somebody else moves a server to where it was to go, while the request is on its way.
pub(crate) fn already_there(ground: &Ground) {
    let cloud = ground.cloud();
    let ids = cloud.boot_servers("overtaken", 2, "node1.lab").unwrap();
    let (first, second) = (ids[0].as_str(), ids[1].as_str());
    // The first one is asked for the rights, so this holds the request itself.
    let held = ApiFault::new(Effect::Delay(Duration::from_secs(15)));
    let held = held.path(second).action("migrate").times(1);
    cloud.set_api_fault(held).unwrap();
    let running = ground.start_moves(&["migrate", first, second, "--to", "node2.lab"]);
    ground.until("the request", 60, || {
        let shown = ground.run("operator", &["show", "last", "--format", "jsonl"]);
        let mut lines = shown.stdout.lines();
        lines.any(|it| it.contains(second) && it.contains(r#""stage":"requested""#))
    });
    let theirs = r#"{"os-migrateLive": {"host": "node2.lab", "block_migration": "auto"}}"#;
    let answer = cloud.act("operator", second, theirs);
    answer.unwrap().expect_success("their move").unwrap();
    let there = ("ACTIVE".to_owned(), "node2.lab".to_owned());
    ground.until("their move", 12, || ground.server(second) == there);
    let ended = ended(&running.wait_with_output().unwrap());
    assert_eq!(ended.code, 1, "{}", ended.all());
    let moves = ended.report().moves;
    assert_eq!(moves[0].verdict, "done", "{}", ended.all());
    assert_eq!(moves[1].verdict, "failed", "{}", ended.all());
    let said = "Nova refuses: HTTP 400: Cannot migrate to the host where the server exists.";
    assert!(moves[1].why.contains(said), "{}", moves[1].why);
    assert_eq!(statuses(ground, second), [400]);
    assert_eq!(ground.server(second), there);
    assert_eq!(ground.server(first), there);
}

/// Nova shows nobody its cells: which host is in another one is known from its refusal only.
pub(crate) fn another_cell(ground: &Ground) {
    let ground = ground.second();
    let cloud = ground.cloud();
    let id = cloud.boot_server("at-home", "node1.lab").unwrap();
    // node4 is the roomier one, and is tried first.
    ground.boot("filling", "large", "node2.lab");
    let done = ground.moves(&["migrate", &id, "--to", "node2.lab,node4.lab"]);
    assert_eq!(done.code, 0, "{}", done.all());
    assert_eq!(done.only().destination.as_deref(), Some("node2.lab"));
    let asked = ground.requests_of("migrate", &id);
    assert_eq!(statuses(ground, &id), [400, 202], "{}", done.all());
    assert!(asked[0].body.contains("node4.lab"), "{}", asked[0].body);
    let words = "Compute host node4.lab could not be found.";
    assert!(done.stderr.contains(words), "{}", done.stderr);

    let alone = cloud.boot_server("alone", "node1.lab").unwrap();
    let refused = ground.moves(&["migrate", &alone, "--to", "node4.lab"]);
    assert_eq!(refused.code, 1, "{}", refused.all());
    let it = refused.only();
    assert_eq!(it.verdict, "failed", "{}", refused.all());
    for said in ["tried node4.lab", words, "it is in another cell"] {
        assert!(it.why.contains(said), "{said}: {}", it.why);
    }
    let here = ("ACTIVE".to_owned(), "node1.lab".to_owned());
    assert_eq!(ground.server(&alone), here);
}

/// Older Novas ask their scheduler before they answer.
pub(crate) fn no_valid_host(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("asked-at-once", "node1.lab").unwrap();
    let fault = ApiFault::new(Effect::Answer(400)).path(&id);
    let fault = fault.action("migrate").message("No valid host was found. ");
    // The question for the rights is the first one.
    cloud.set_api_fault(fault.times(2)).unwrap();
    let done = ground.moves(&["migrate", &id, "--to", "node2.lab,node3.lab"]);
    assert_eq!(done.code, 0, "{}", done.all());
    assert_eq!(statuses(ground, &id), [400, 202], "{}", done.all());
    assert_eq!(ground.asked_for(&id).len(), 2, "each host once");
}

fn statuses(ground: &Ground, id: &str) -> Vec<u16> {
    let asked = ground.requests_of("migrate", id);
    asked.iter().map(|it| it.status).collect()
}
