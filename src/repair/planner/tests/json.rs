//! The JSON form of plans, held against the schema that is published.

use std::collections::HashMap;

use super::world::*;
use crate::repair::plan::{
    AccountCommand, Attributes, Edit, FileState, KeyCopy, KeyId, KeySource, Plan, Relabel,
    RenewedKey, RetiredKey, Text, Turnover,
};
use crate::survey::{FileState as Found, IdentityState};

fn schema() -> jsonschema::Validator {
    let text = include_str!("../../../../docs/plan.schema.json");
    let schema = serde_json::from_str(text).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

fn full() -> Plan {
    let mut world = world(3);
    let facts = node(&mut world, 1);
    for it in &mut facts.clients[0].identities {
        (it.state, it.meta, it.public) = (IdentityState::Missing, None, None);
    }
    facts.clients[0].known_hosts[0].state = Found::Absent;
    facts.server.accounts[0]
        .account
        .as_mut()
        .expect("there")
        .shell = "/bin/false".into();
    let mut plan = plan_for(&world, &policy(), &HashMap::new());
    let answers = plan.keys[0].answers.clone();
    let key = plan.keys[0].clone();
    let sources = [
        KeySource::New(KeyId("x".into())),
        KeySource::Existing {
            node: "cmp00000".into(),
            target: key.target.clone(),
            owner: key.owner,
            public: "ssh-ed25519 AAAA".into(),
        },
    ];
    for of in sources {
        plan.copies.push(KeyCopy {
            of,
            node: key.node.clone(),
            target: key.target.clone(),
            owner: key.owner,
            answers: answers.clone(),
        });
    }
    plan.commands.push(AccountCommand {
        node: key.node.clone(),
        context: vec!["docker".into()],
        words: vec!["usermod".into()],
        undo: Vec::new(),
        answers: answers.clone(),
    });
    let attributes = Attributes {
        uid: 0,
        gid: 0,
        mode: 0o755,
    };
    let states = [
        FileState::Absent,
        FileState::Directory { attributes },
        FileState::Opaque { attributes },
        FileState::File {
            attributes,
            text: Text::known(&b"\xff\0"[..]),
        },
    ];
    for before in states {
        plan.nodes[0].edits.push(Edit {
            target: key.target.clone(),
            before,
            after: FileState::Absent,
            label: None,
            answers: answers.clone(),
        });
    }
    plan.nodes[0].edits[0].label = Some(Relabel {
        before: "unconfined_u:object_r:var_lib_t:s0-s0:c0.c1023".into(),
        after: "unconfined_u:object_r:ssh_home_t:s0-s0:c0.c1023".into(),
    });
    assert!(!plan.left.is_empty());
    plan.turnover = Turnover {
        rotation: Some("run".into()),
        without: vec!["cmp00001".into()],
        renewed: vec![RenewedKey {
            id: KeyId("x".into()),
            node: key.node.clone(),
            target: key.target.clone(),
            next: "/x.clearway-new".into(),
            owner: key.owner,
            was: "ssh-ed25519 AAAA".into(),
            public: Some("ssh-ed25519 BBBB".into()),
            takes_place: true,
            answers,
        }],
        retired: vec![RetiredKey {
            node: key.node,
            public: "ssh-ed25519 AAAA".into(),
            host: true,
        }],
    };
    plan
}

#[test]
fn every_part_of_a_plan_is_in_the_schema_and_comes_back() {
    let plan = full();
    let json = serde_json::to_value(&plan).expect("JSON");
    let errors: Vec<String> = schema()
        .iter_errors(&json)
        .map(|it| it.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let text = serde_json::to_string(&plan).expect("JSON");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
}

#[test]
fn what_is_no_plan_is_not_in_the_schema() {
    let good = serde_json::to_value(full()).expect("JSON");
    let schema = schema();
    assert!(schema.is_valid(&good));
    type Spoil = fn(&mut serde_json::Value);
    let spoils: &[Spoil] = &[
        |it| it["schema"] = 2.into(),
        |it| it["more"] = 1.into(),
        |it| it["nodes"][0]["edits"][0]["answers"] = serde_json::json!([]),
        |it| it["nodes"][0]["edits"][0]["target"]["path"] = "relative".into(),
        |it| it["nodes"][0]["edits"][0]["after"]["is"] = "gone".into(),
        |it| it["nodes"][0]["edits"][0]["label"]["after"] = "ssh_home_t".into(),
        |it| it["nodes"][0]["edits"][0]["label"]["after"] = "u:r:t:s0 x".into(),
        |it| it["keys"][0]["key_type"] = "dsa".into(),
        |it| it["keys"][0]["owner"]["mode"] = 0o10000.into(),
    ];
    for (at, spoil) in spoils.iter().enumerate() {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert!(!schema.is_valid(&bad), "{at}");
    }
}
