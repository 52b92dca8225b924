//! What `clearway inventory show` and `validate` say.

use super::read;
use crate::inventory::{Inventory, select};

const LAB: &str = "clearway: 1
defaults:
  control: {user: deploy, identity: ~/.ssh/id_ed25519}
jump_hosts:
  bastion: {address: \"2001:db8::9\", user: ops}
groups:
  az1:
    cell: cell1
    control: {jump: bastion}
    nodes:
      cmp[001-003]:
        migration_address: 10.0.0.[11-13]
        control: {address: \"{name}.mgmt\"}
      cmp007: {lanes: {live: {used: no}, cold-push: {port: 8022}}}
  az2: {cell: cell2, nodes: {\"cmp[101-102]\": }}
scope:
  - {from: [az1], to: [az1, az2]}
";

fn lab() -> Inventory {
    read(LAB).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn nodes_that_differ_only_in_their_addresses_are_shown_once() {
    let inventory = lab();
    let all = select(&inventory.fleet, "all").unwrap();
    insta::assert_snapshot!("show", inventory.show(&all).to_string());
}

#[test]
fn entries_that_differ_only_in_their_addresses_are_shown_once() {
    let inventory = read(
        "clearway: 1
nodes:
  cmp1: {control: {address: 10.0.0.1, port: 2222}}
  cmp2: {control: {address: 10.0.0.2, port: 2222}}
  cmp3: {control: {address: 10.0.0.3}}
",
    );
    let inventory = inventory.unwrap_or_else(|error| panic!("{error}"));
    let all = select(&inventory.fleet, "all").unwrap();
    let text = inventory.show(&all).to_string();
    let lines = text.lines().filter(|line| {
        !line.starts_with("  ") || line.contains("control.address") || line.contains("control.port")
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    cmp[1-2] (2 nodes)
      control.address          10.0.0.[1-2]                             each node's own entry
      control.port             2222                                     each node's own entry

    cmp3
      control.address          10.0.0.3                                 nodes cmp3, lab.yaml:5
      control.port             22

    scope: every node to every other
    ");
}

#[test]
fn json_has_the_keys_of_the_inventory_and_says_where_values_come_from() {
    let inventory = lab();
    let one = select(&inventory.fleet, "cmp007").unwrap();
    let json = serde_json::to_string_pretty(&inventory.show(&one)).unwrap();
    insta::assert_snapshot!("show_json", json);
}

#[test]
fn the_summary_counts_pairs_as_the_scope_says() {
    let summary = lab().summary();
    assert_eq!(
        summary.to_string(),
        "6 nodes, 2 groups, 2 cells, 2 profiles, 20 ordered pairs in scope"
    );
    for (scope, pairs) in [("all", 30), ("per-cell", 14), ("[{from: az2, to: az1}]", 8)] {
        let rules = LAB.find("scope:").expect("a scope");
        let text = format!("{}scope: {scope}\n", &LAB[..rules]);
        let inventory = read(&text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(inventory.summary().pairs, pairs, "{scope}");
        let fleet = &inventory.fleet;
        let counted = fleet
            .ids()
            .flat_map(|from| fleet.ids().map(move |to| (from, to)));
        let counted = counted
            .filter(|&(from, to)| fleet.in_scope(from, to))
            .count();
        assert_eq!(counted as u64, pairs, "{scope}");
    }
}
