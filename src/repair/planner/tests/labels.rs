//! Labels: what is set, what for, and what is refused.

use std::collections::HashMap;

use super::world::*;
use crate::domain::{Lane, Reason, Verdict};
use crate::repair::lint::{ControlAccount, Rule, lint};
use crate::repair::plan::{FileState as Planned, Plan, Relabel};
use crate::repair::simulate::Hidden;
use crate::survey::{FileState, Labels, NodeFacts, WrongLabel};
use crate::trust::PairScope;
use crate::trust::simulate::World;

const HOME: &str = "/var/lib/nova";
const SSH: &str = "/var/lib/nova/.ssh";
const KEYS: &str = "/var/lib/nova/.ssh/authorized_keys";
const HOSTS: &str = "/var/lib/nova/.ssh/known_hosts";
const HAS: &str = "unconfined_u:object_r:var_lib_t:s0";
const POLICY: &str = "unconfined_u:object_r:ssh_home_t:s0";

/// SELinux on a node, where these paths have the label of where they were made.
fn mislabel(facts: &mut NodeFacts, paths: &[&str]) {
    let wrong = |path: &&str| WrongLabel {
        path: (*path).to_owned(),
        has: HAS.into(),
        policy: POLICY.into(),
    };
    let labels = Labels {
        enforcing: true,
        wrong: Some(paths.iter().map(wrong).collect()),
    };
    facts.server.labels = Some(labels.clone());
    for client in &mut facts.clients {
        client.labels = Some(labels.clone());
    }
}

/// The paths that get labels, and whether that is all.
fn labelled(plan: &Plan) -> Vec<(&str, bool)> {
    let edits = plan.nodes.iter().flat_map(|node| &node.edits);
    edits
        .filter_map(|edit| {
            let label = edit.label.as_ref()?;
            assert_eq!((&*label.before, &*label.after), (HAS, POLICY));
            assert!(!edit.answers.is_empty());
            Some((edit.target.path.as_str(), edit.before == edit.after))
        })
        .collect()
}

#[test]
fn a_wrong_label_alone_is_no_reason_to_change_anything() {
    let mut world = world(3);
    mislabel(node(&mut world, 1), &[SSH, KEYS, HOSTS]);
    assert_eq!(broken(&world), []);
    let plan = plan_of(&world);
    assert!(is_empty(&plan) && plan.left.is_empty(), "{plan:#?}");
}

#[test]
fn a_login_refused_for_labels_gets_them_right_up_the_path_and_nothing_else() {
    let mut world = world(3);
    mislabel(node(&mut world, 1), &["/var", HOME, SSH, KEYS, HOSTS]);
    let verdict = Verdict::Broken(Reason::AuthorizedKeysLabel);
    let seen: HashMap<_, _> = [0, 2]
        .map(|client| seen(Lane::ColdPush, client, 1, verdict))
        .into();
    let plan = plan_for(&world, &policy(), &seen);
    assert_eq!(
        labelled(&plan),
        [(HOME, true), (SSH, true), (KEYS, true)],
        "{plan:#?}"
    );
    assert_eq!(plan.nodes[0].edits.len(), 3);
    // The bytes of a file are none of its label's business.
    assert!(matches!(
        plan.nodes[0].edits[2].before,
        Planned::Opaque { .. }
    ));
    let reasons = plan.nodes[0].edits.iter().flat_map(|it| &it.answers);
    let expected = ("authorized-keys-label", Some("cmp00001"));
    assert!(
        reasons
            .into_iter()
            .all(|it| (&*it.reason, it.server.as_deref()) == expected)
    );
    assert_eq!(plan.left, []);
    let after = applied(&world, &plan, &Hidden::new());
    let again = plan_for(&after, &policy(), &seen);
    assert!(is_empty(&again), "{again:#?}");
    assert_eq!(again.left[0].reason, "authorized-keys-label");
}

#[test]
fn a_file_that_is_written_gets_its_label_and_so_do_the_directories_above_it() {
    let mut world = world(3);
    let facts = node(&mut world, 1);
    mislabel(facts, &["/var", SSH, KEYS, HOSTS]);
    write(
        &mut facts.server.accounts[0].authorized_keys[0].file.state,
        "# ours\n",
    );
    let (plan, after) = repair(&world, &Hidden::new());
    assert_eq!(labelled(&plan), [(SSH, true), (KEYS, false)], "{plan:#?}");
    let facts = after.facts[1].as_ref().expect("surveyed");
    let left = facts.server.labels.as_ref().and_then(|it| it.wrong.clone());
    let left: Vec<String> = left.into_iter().flatten().map(|it| it.path).collect();
    assert_eq!(left, ["/var", HOSTS]);
}

#[test]
fn a_new_file_gets_no_planned_label_but_the_directory_that_it_comes_to_does() {
    let mut world = world(3);
    let facts = node(&mut world, 1);
    mislabel(facts, &[SSH]);
    facts.clients[0].known_hosts[0].state = FileState::Absent;
    let (plan, _) = repair(&world, &Hidden::new());
    assert_eq!(labelled(&plan), [(SSH, true)], "{plan:#?}");
}

#[test]
fn a_link_gets_no_label() {
    let mut world = world(2);
    let facts = node(&mut world, 1);
    mislabel(facts, &[KEYS]);
    let file = &mut facts.server.accounts[0].authorized_keys[0].file;
    if let FileState::Present { meta, .. } = &mut file.state {
        meta.symlink = true;
    }
    let verdict = Verdict::Broken(Reason::AuthorizedKeysLabel);
    let seen = [seen(Lane::ColdPush, 0, 1, verdict)].into();
    let plan = plan_for(&world, &policy(), &seen);
    assert!(is_empty(&plan), "{plan:#?}");
    assert_eq!(plan.left[0].reason, "authorized-keys-label");
}

fn rules(plan: &Plan, world: &World) -> Vec<Rule> {
    let scope = PairScope::all(&world.fleet);
    let control = ControlAccount::of(&world.fleet);
    let complaints = lint(plan, &world.facts, &world.fleet, &scope, &control);
    let mut rules: Vec<Rule> = complaints.into_iter().map(|it| it.rule).collect();
    rules.dedup();
    rules
}

#[test]
fn the_review_takes_no_label_but_the_one_that_the_node_has_told_of_the_path() {
    let mut world = world(3);
    let facts = node(&mut world, 1);
    mislabel(facts, &[SSH, KEYS]);
    write(
        &mut facts.server.accounts[0].authorized_keys[0].file.state,
        "# ours\n",
    );
    // The same was told of another node, and of another path.
    mislabel(node(&mut world, 0), &[HOSTS]);
    let good = plan_of(&world);
    assert_eq!(labelled(&good), [(SSH, true), (KEYS, false)]);
    type Spoil = fn(&mut Plan);
    let table: &[(&str, Rule, Spoil)] = &[
        ("another label", Rule::Label, |plan| {
            label(plan, 1).after = "unconfined_u:object_r:shadow_t:s0".into();
        }),
        ("from another label", Rule::Label, |plan| {
            label(plan, 0).before = "unconfined_u:object_r:etc_t:s0".into();
        }),
        ("another level", Rule::Label, |plan| {
            label(plan, 0).after.push_str("-s15");
        }),
        ("what a shell reads", Rule::Label, |plan| {
            label(plan, 0).after.push_str(";id");
        }),
        ("a path of which nothing was told", Rule::Label, |plan| {
            let edit = &mut plan.nodes[0].edits[0];
            edit.target.path = HOME.into();
        }),
        ("no file of trust", Rule::Place, |plan| {
            plan.nodes[0].edits[0].target.path = "/etc/shadow".into();
        }),
        ("other bytes under a label", Rule::Before, |plan| {
            let edit = &mut plan.nodes[0].edits[1];
            edit.before = edit.after.clone();
        }),
        ("a label of nothing", Rule::Label, |plan| {
            let edit = &mut plan.nodes[0].edits[1];
            edit.after = Planned::Absent;
        }),
    ];
    for (name, rule, spoil) in table {
        let mut plan = good.clone();
        spoil(&mut plan);
        let found = rules(&plan, &world);
        assert!(found.contains(rule), "{name}: {found:?}");
    }
}

fn label(plan: &mut Plan, edit: usize) -> &mut Relabel {
    plan.nodes[0].edits[edit].label.as_mut().expect("a label")
}
