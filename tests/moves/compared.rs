//! The server before and after: everything that its owner would miss.

use std::time::Duration;

use clearway_nova_lab::{ColdPhase, IMAGE, LivePhase, Steer};
use serde_json::{Value, json};

use crate::ground::{Ground, ended};

/// A server with everything that an owner gives it.
fn dressed(ground: &Ground, name: &str) -> String {
    let cloud = ground.cloud();
    let pair = "ops";
    let public = ground
        .lab()
        .node("node1")
        .sh("cat /etc/ssh/ssh_host_ed25519_key.pub");
    let public = String::from_utf8(public.unwrap().stdout).unwrap();
    let key = json!({"keypair": {"name": pair, "type": "ssh", "public_key": public.trim()}});
    // It is there already for the second server.
    let made = cloud.request("operator", "POST", "/os-keypairs", Some(&key.to_string()));
    let made = made.unwrap();
    assert!(matches!(made.status, 200 | 201 | 409), "{made:?}");
    let asked = json!({
        "name": name, "imageRef": IMAGE, "flavorRef": "tiny",
        "networks": "none", "host": "node1.lab", "key_name": pair,
        "metadata": {"role": "web", "owner": "shop"}, "tags": ["blue", "gold"],
    });
    let id = cloud.request_server(&asked).unwrap();
    let patience = Duration::from_secs(240);
    let server = cloud.wait_for_status(&id, "ACTIVE", patience).unwrap();
    assert_eq!(server["key_name"], pair, "{server}");
    assert_eq!(server["metadata"]["role"], "web", "{server}");
    assert_eq!(server["tags"], json!(["blue", "gold"]), "{server}");
    id
}

/// What an owner would miss.
fn look(ground: &Ground, id: &str) -> Value {
    let server = ground.cloud().server(id).unwrap();
    let of = |part: &str| server[part].clone();
    json!([
        of("name"),
        of("metadata"),
        of("tags"),
        of("key_name"),
        of("flavor")
    ])
}

pub(crate) fn same(ground: &Ground) {
    for (name, words) in [("dressed-cold", &[][..]), ("dressed-live", &["--live"])] {
        let id = dressed(ground, name);
        let before = look(ground, &id);
        let moved = ground.moves(&[&["migrate", &id, "--to", "node2.lab"], words].concat());
        assert_eq!(moved.code, 0, "{name}: {}", moved.all());
        assert_eq!(moved.only().verdict, "done", "{name}");
        assert_eq!(look(ground, &id), before, "{name}");
        // It was there to be compared.
        let kept = &ground.kept()[0].moves[0].planned.portrait;
        for said in [
            "metadata role",
            "metadata owner",
            "tag blue",
            "tag gold",
            "key pair",
        ] {
            assert!(kept.contains(said), "{name}: {said}: {kept}");
        }
    }
}

/// Somebody else changes the server while it moves.
pub(crate) fn changed(ground: &Ground) {
    let cloud = ground.cloud();
    let slow = Steer::well()
        .cold_seconds(ColdPhase::Copy, 4.0)
        .live_seconds(LivePhase::Run, 4.0);
    cloud.steer("*", "*", slow).unwrap();
    let role = r#"{"metadata": {"role": "db"}}"#;
    for (name, words, action, method, path, body, told) in [
        (
            "changed-cold",
            &[][..],
            "migrate",
            "POST",
            "metadata",
            Some(role),
            "metadata role was web, is db",
        ),
        (
            "changed-live",
            &["--live"],
            "os-migrateLive",
            "DELETE",
            "tags/blue",
            None,
            "tag blue was set, is nothing",
        ),
    ] {
        let id = dressed(ground, name);
        let words = [&["migrate", &id, "--to", "node2.lab"], words].concat();
        let running = ground.start_moves(&words);
        ground.until("the request", 60, || {
            !ground.requests_of(action, &id).is_empty()
        });
        let path = format!("/servers/{id}/{path}");
        let done = cloud.request("operator", method, &path, body).unwrap();
        done.expect_success(&path).unwrap();
        let ended = ended(&running.wait_with_output().unwrap());
        assert_eq!(ended.code, 1, "{name}: {}", ended.all());
        let it = ended.only();
        assert_eq!(it.verdict, "failed", "{name}");
        assert!(it.why.contains(told), "{name}: {}", it.why);
        assert_eq!(it.why.matches(" was ").count(), 1, "{name}: {}", it.why);
        // The move itself has not failed.
        let there = ("ACTIVE".to_owned(), "node2.lab".to_owned());
        assert_eq!(ground.server(&id), there, "{name}");
    }
}
