//! The sample inventories and the examples of docs/inventory.md load, and come to what their comments say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clearway::domain::{Lane, LaneUse, Node};
use clearway::files::load_inventory;
use clearway::inventory::{Context, Inventory, Source};

fn context() -> Context {
    Context {
        home: Some("/home/op".into()),
        user: Some("op".to_owned()),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn load(name: &str) -> Inventory {
    load_inventory(&root().join("inventory").join(name), &context())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn node<'i>(inventory: &'i Inventory, name: &str) -> &'i Node {
    let fleet = &inventory.fleet;
    fleet.node(
        fleet
            .find(name)
            .unwrap_or_else(|| panic!("{name} is in the sample")),
    )
}

#[test]
fn every_sample_loads_and_has_as_much_as_it_says() {
    let expected = BTreeMap::from([
        (
            "minimal.yaml",
            "3 nodes, 0 groups, 0 cells, 1 profile, 6 ordered pairs in scope",
        ),
        (
            "ranges-and-groups.yaml",
            "130 nodes, 3 groups, 0 cells, 1 profile, 16770 ordered pairs in scope",
        ),
        (
            "cells.yaml",
            "45 nodes, 3 groups, 2 cells, 1 profile, 1652 ordered pairs in scope",
        ),
        (
            "jump-hosts.yaml",
            "48 nodes, 3 groups, 0 cells, 1 profile, 2256 ordered pairs in scope",
        ),
        (
            "pinned-host-keys.yaml",
            "3 nodes, 0 groups, 0 cells, 1 profile, 6 ordered pairs in scope",
        ),
        (
            "containers.yaml",
            "34 nodes, 2 groups, 0 cells, 4 profiles, 1122 ordered pairs in scope",
        ),
        (
            "scope-by-groups.yaml",
            "28 nodes, 2 groups, 0 cells, 1 profile, 216 ordered pairs in scope",
        ),
        (
            "directory",
            "48 nodes, 3 groups, 1 cell, 1 profile, 2256 ordered pairs in scope",
        ),
    ]);
    let found: BTreeMap<String, String> = std::fs::read_dir(root().join("inventory"))
        .expect("the samples are part of the repository")
        .map(|entry| entry.expect("they can be listed").file_name())
        .map(|name| name.into_string().expect("their names are text"))
        .map(|name| (name.clone(), load(&name).summary().to_string()))
        .collect();
    let expected: BTreeMap<String, String> = expected
        .into_iter()
        .map(|(name, summary)| (name.to_owned(), summary.to_owned()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_range_sample_zips_addresses_with_names() {
    let inventory = load("ranges-and-groups.yaml");
    let last = node(&inventory, "cmp064");
    assert_eq!(last.migration_address.as_deref(), Some("10.20.0.74"));
    assert_eq!(last.control.address, "cmp064.mgmt.example.org");
    let spare = node(&inventory, "cmp200");
    assert_eq!(
        (spare.control.user.as_str(), spare.control.port),
        ("root", 22)
    );
    assert_eq!(node(&inventory, "cmp132-r2").control.port, 2222);
}

#[test]
fn the_jump_sample_goes_through_two_one_and_no_hop() {
    let inventory = load("jump-hosts.yaml");
    let hops = |name: &str| -> Vec<&str> {
        let jump = &node(&inventory, name).control.jump;
        jump.iter().map(|hop| hop.address.as_str()).collect()
    };
    assert_eq!(hops("edge6"), ["203.0.113.9", "gw.edge.example.org"]);
    assert_eq!(hops("cmp40"), ["203.0.113.9"]);
    assert!(hops("lab1").is_empty());
}

#[test]
fn the_container_sample_overrides_lane_by_lane() {
    let inventory = load("containers.yaml");
    let profile = |name: &str| &node(&inventory, name).profile;
    assert_eq!(profile("cmp01").lane(Lane::ColdPull).context[0], "docker");
    assert_eq!(profile("cmp17").lane(Lane::ColdPull).context[0], "podman");
    assert_eq!(profile("cmp17").sshd.port, 8022);
    assert_eq!(profile("cmp33").cold_push.user.as_deref(), Some("nova"));
    assert_eq!(profile("cmp17").live.used, LaneUse::No);
    assert_eq!(profile("cmp34").live.used, LaneUse::Yes);
    assert_eq!(profile("cmp34").live.context[3], "nova_libvirt");
}

#[test]
fn the_pin_sample_pins() {
    let inventory = load("pinned-host-keys.yaml");
    let trust = |name: &str| &node(&inventory, name).control.host_key;
    assert_eq!(trust("cmp2").pinned.len(), 2);
    assert_eq!(
        trust("cmp3").known_hosts[1],
        PathBuf::from("/home/op/.ssh/known_hosts")
    );
    assert_eq!(trust("cmp3").alias.as_deref(), Some("cmp3"));
}

#[test]
fn every_example_of_the_documentation_loads() {
    let text =
        std::fs::read_to_string(root().join("docs/inventory.md")).expect("the page is there");
    let mut count = 0;
    for (index, part) in text.split("```yaml\n").skip(1).enumerate() {
        let yaml = part.split("```").next().expect("a split has a first part");
        let source = Source {
            name: format!("docs/inventory.md example {}", index + 1),
            base: root().to_owned(),
            text: yaml.to_owned(),
        };
        Inventory::read(&[source], &context()).unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert!(count >= 7, "only {count} examples found");
}
