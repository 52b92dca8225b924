//! The reviewer finds what is planted in good plans.

use super::{ControlAccount, Rule, lint};
use crate::domain::NodeId;
use crate::repair::plan::{Attributes, FileState, Plan, Text};
use crate::repair::planner::tests::world::{broken, node, plan_of, world};
use crate::survey::FileState as Found;
use crate::trust::PairScope;
use crate::trust::simulate::World;

fn rules(plan: &Plan, world: &World) -> Vec<Rule> {
    let scope = PairScope::all(&world.fleet);
    let control = ControlAccount::of(&world.fleet);
    let complaints = lint(plan, &world.facts, &world.fleet, &scope, &control);
    let mut rules: Vec<Rule> = complaints.into_iter().map(|it| it.rule).collect();
    rules.dedup();
    rules
}

/// A fleet of three in which the second knows nobody and lets nobody in.
fn lonely() -> (World, Plan) {
    let mut world = world(3);
    let facts = node(&mut world, 1);
    facts.clients[0].known_hosts[0].state = Found::Absent;
    let file = &mut facts.server.accounts[0].authorized_keys[0].file.state;
    crate::repair::planner::tests::world::write(
        file,
        "# ours\r\nfrom=\"10.0.0.9\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDuF8TFA7zWGZEuqcpuN0ySO2qUZNPJbJcyXxEyMSCkP admin",
    );
    assert!(!broken(&world).is_empty());
    let plan = plan_of(&world);
    assert_eq!(rules(&plan, &world), []);
    (world, plan)
}

fn text_of<'p>(plan: &'p mut Plan, name: &str) -> &'p mut Text {
    let edits = plan.nodes.iter_mut().flat_map(|node| &mut node.edits);
    let found = edits
        .filter(|edit| edit.target.path.ends_with(name))
        .find_map(|edit| match &mut edit.after {
            FileState::File { text, .. } => Some(text),
            _ => None,
        });
    found.expect("an edit of that file")
}

fn change(plan: &mut Plan, name: &str, from: &str, to: &str) {
    let text = text_of(plan, name);
    let bytes = text.bytes(|_| None).expect("no new keys");
    let old = String::from_utf8(bytes).expect("text");
    assert!(old.contains(from), "{old}");
    *text = Text::known(old.replace(from, to).into_bytes());
}

#[test]
fn what_is_planted_in_a_good_plan_is_found() {
    type Plant = fn(&mut Plan);
    let table: &[(&str, Rule, Plant)] = &[
        ("a dropped comment", Rule::Unmanaged, |plan| {
            change(plan, "/authorized_keys", "# ours\r\n", "");
        }),
        ("a changed line end", Rule::Unmanaged, |plan| {
            change(plan, "/authorized_keys", "\r\n", "\n");
        }),
        ("a widened option", Rule::Unmanaged, |plan| {
            change(plan, "/authorized_keys", "from=\"10.0.0.9\"", "from=\"*\"");
        }),
        ("no restrict", Rule::Wide, |plan| {
            change(plan, "/authorized_keys", "restrict,from=\"10.0.0.1\" ", "");
        }),
        ("a pty", Rule::Wide, |plan| {
            change(plan, "/authorized_keys", "restrict,", "restrict,pty,");
        }),
        ("from= of everybody", Rule::Wide, |plan| {
            change(plan, "/authorized_keys", "10.0.0.1", "0.0.0.0");
        }),
        ("a foreign key", Rule::Scope, |plan| {
            let text = text_of(plan, "/authorized_keys");
            let bytes = text.bytes(|_| None).expect("known");
            let old = String::from_utf8(bytes).expect("text");
            let line = old
                .lines()
                .find(|it| it.contains("clearway:cmp00000"))
                .expect("one");
            let key = line.split(' ').nth(2).expect("a key");
            let new = old.replace(
                key,
                "AAAAC3NzaC1lZDI1NTE5AAAAIDuF8TFA7zWGZEuqcpuN0ySO2qUZNPJbJcyXxEyMSCkP",
            );
            *text = Text::known(new.into_bytes());
        }),
        ("its own key", Rule::Scope, |plan| {
            change(
                plan,
                "/authorized_keys",
                "clearway:cmp00000",
                "clearway:cmp00001",
            );
        }),
        ("a node that nobody knows", Rule::Scope, |plan| {
            change(plan, "/known_hosts", "clearway:cmp00000", "clearway:cmp99");
        }),
        ("a pattern", Rule::Wide, |plan| {
            change(plan, "/known_hosts", "10.0.0.1,", "10.0.0.*,");
        }),
        ("the name of another", Rule::Scope, |plan| {
            change(
                plan,
                "/known_hosts",
                "10.0.0.1,cmp00000",
                "10.0.0.3,cmp00000",
            );
        }),
        (
            "a line of its own outside the block",
            Rule::Unmanaged,
            |plan| {
                change(
                    plan,
                    "/authorized_keys",
                    "# clearway: end\n",
                    "# clearway: end\nssh-rsa AAAA x\n",
                );
            },
        ),
        ("no reason", Rule::Unanswered, |plan| {
            plan.nodes[0].edits[0].answers.clear();
        }),
        ("another beginning", Rule::Before, |plan| {
            let edits = plan.nodes.iter_mut().flat_map(|node| &mut node.edits);
            for edit in edits {
                if let FileState::File { text, .. } = &mut edit.before {
                    *text = Text::known(&b"else\n"[..]);
                }
            }
        }),
        ("another place", Rule::Place, |plan| {
            plan.nodes[0].edits[0].target.path = "/etc/cron.d/known_hosts".into();
        }),
        ("a mode for all", Rule::Modes, |plan| {
            let edits = plan.nodes.iter_mut().flat_map(|node| &mut node.edits);
            for edit in edits {
                if let FileState::File { attributes, .. } = &mut edit.after {
                    attributes.mode = 0o666;
                }
            }
        }),
        ("somebody else's", Rule::Modes, |plan| {
            for edit in plan.nodes.iter_mut().flat_map(|node| &mut node.edits) {
                if let FileState::File { attributes, .. } = &mut edit.after {
                    attributes.uid = 1000;
                }
            }
        }),
        ("the same twice", Rule::Shape, |plan| {
            let edit = plan.nodes[0].edits[0].clone();
            plan.nodes[0].edits.push(edit);
        }),
    ];
    for (name, rule, plant) in table {
        let (world, mut plan) = lonely();
        plant(&mut plan);
        let found = rules(&plan, &world);
        assert!(found.contains(rule), "{name}: {found:?}");
    }
}

#[test]
fn an_empty_keys_file_and_a_lost_control_account_are_found() {
    let (mut world, plan) = lonely();
    let mut emptied = plan.clone();
    *text_of(&mut emptied, "/authorized_keys") = Text::known(&b"# ours\r\n"[..]);
    assert!(rules(&emptied, &world).contains(&Rule::Emptied));

    // Clearway logs in as nova itself: the same edit with a mode that sshd refuses.
    world.fleet.nodes[1].control.user = "nova".into();
    assert_eq!(rules(&plan, &world), []);
    let mut shut = plan.clone();
    for edit in shut.nodes.iter_mut().flat_map(|node| &mut node.edits) {
        if let FileState::File { attributes, .. } = &mut edit.after {
            *attributes = Attributes {
                uid: 0,
                gid: 0,
                mode: 0o600,
            };
        }
    }
    assert!(rules(&shut, &world).contains(&Rule::Control));
    assert!(world.facts[NodeId(1).index()].is_some());
}
