//! What good inventories come to.

use std::path::PathBuf;
use std::sync::Arc;

use super::{read, read_files};
use crate::domain::{Dial, Fleet, GroupRule, Lane, LaneUse, Node, Scope};

fn fleet(text: &str) -> Fleet {
    read(text).unwrap_or_else(|error| panic!("{error}")).fleet
}

fn node<'f>(fleet: &'f Fleet, name: &str) -> &'f Node {
    fleet.node(fleet.find(name).expect("a node of that name"))
}

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

#[test]
fn a_name_alone_is_dialled_by_that_name_as_ssh_would() {
    let fleet = fleet("clearway: 1\nnodes:\n  cmp[01-02]:\n");
    let node = node(&fleet, "cmp02");
    assert_eq!(node.control.address, "cmp02");
    assert_eq!(node.control.port, 22);
    assert_eq!(node.control.user, "op");
    assert!(node.control.sudo && node.control.agent);
    assert!(node.control.jump.is_empty() && node.control.identities.is_empty());
    assert_eq!(
        (
            &node.service_host,
            &node.migration_address,
            &node.live_address
        ),
        (&None, &None, &None)
    );
    assert_eq!(fleet.scope, Scope::All);
}

#[test]
fn the_embedded_profile_is_nova_from_distribution_packages() {
    let fleet = fleet("clearway: 1\nnodes: {cmp1: }\n");
    let profile = &fleet.nodes[0].profile;
    assert_eq!(profile.name, "nova");
    assert_eq!(
        profile.nova_conf,
        words("/etc/nova/nova.conf /etc/nova/nova-compute.conf /etc/nova/nova.conf.d")
    );
    assert_eq!(profile.nova_context, words("runuser -u nova --"));
    assert!(profile.sshd.context.is_empty());
    assert_eq!(profile.sshd.binary, "/usr/sbin/sshd");
    assert_eq!(profile.sshd.config, "/etc/ssh/sshd_config");
    assert_eq!(profile.sshd.port, 22);
    let dials = Lane::ALL.map(|lane| profile.lane(lane).dial);
    assert_eq!(
        dials,
        [Dial::MigrationAddress, Dial::ServiceHost, Dial::LiveAddress]
    );
    assert_eq!(profile.cold_push.context, profile.nova_context);
    assert_eq!(profile.cold_pull.context, profile.nova_context);
    assert!(profile.live.context.is_empty());
    for lane in Lane::ALL.map(|lane| profile.lane(lane)) {
        assert_eq!(lane.used, LaneUse::Auto);
        assert_eq!(
            (&lane.user, &lane.port, &lane.identity),
            (&None, &None, &None)
        );
    }
}

#[test]
fn the_node_beats_its_groups_and_these_the_defaults() {
    let fleet = fleet(
        "clearway: 1
defaults: {cell: one, control: {user: deploy, port: 2201, sudo: no, identity: ~/.ssh/id}}
groups:
  az1:
    control: {port: 2202}
    nodes:
      cmp1: {control: {port: 2203}}
      cmp2: {groups: [ssd]}
      cmp3: {groups: [ssd, ssd]}
  ssd: {cell: two, control: {port: 2204, identity: [keys/a, /keys/b]}}
nodes:
  cmp4: {control: {identity: []}}
",
    );
    let ports: Vec<u16> = fleet.nodes.iter().map(|node| node.control.port).collect();
    assert_eq!(ports, [2203, 2204, 2204, 2201]);
    let cells: Vec<_> = fleet
        .nodes
        .iter()
        .filter_map(|node| node.cell.as_deref())
        .collect();
    assert_eq!(cells, ["one", "two", "two", "one"]);
    assert_eq!(node(&fleet, "cmp3").groups, ["az1", "ssd"]);
    assert_eq!(fleet.groups["ssd"].len(), 2);
    assert!(
        fleet
            .nodes
            .iter()
            .all(|node| node.control.user == "deploy" && !node.control.sudo)
    );
    let home = [PathBuf::from("/home/op/.ssh/id")];
    let own = [
        PathBuf::from("/etc/clearway/keys/a"),
        PathBuf::from("/keys/b"),
    ];
    assert_eq!(node(&fleet, "cmp1").control.identities, home);
    assert_eq!(node(&fleet, "cmp2").control.identities, own);
    assert!(node(&fleet, "cmp4").control.identities.is_empty());
}

#[test]
fn addresses_come_from_templates_and_from_ranges_beside_the_names() {
    let fleet = fleet(
        "clearway: 1
defaults: {service_host: \"{name}.example.org\"}
nodes:
  cmp[01-03]-az[1-2]:
    migration_address: 10.0.[1-3].[11-12]
    live_address: \"{name}-live\"
    control: {address: \"fd00::[1-6]\", host_key_alias: \"{name}.mgmt\"}
  spare: {service_host: spare}
",
    );
    let last = node(&fleet, "cmp02-az1");
    assert_eq!(last.service_host.as_deref(), Some("cmp02-az1.example.org"));
    assert_eq!(last.migration_address.as_deref(), Some("10.0.2.11"));
    assert_eq!(last.live_address.as_deref(), Some("cmp02-az1-live"));
    assert_eq!(last.control.address, "fd00::3");
    assert_eq!(
        last.control.host_key.alias.as_deref(),
        Some("cmp02-az1.mgmt")
    );
    assert_eq!(node(&fleet, "spare").service_host.as_deref(), Some("spare"));
}

#[test]
fn jump_hosts_chain_and_inherit_from_the_defaults() {
    let pin = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let fleet = fleet(&format!(
        "clearway: 1
defaults: {{control: {{user: deploy, known_hosts: [hosts], jump: inner}}}}
jump_hosts:
  outer: {{address: 203.0.113.9, port: 2222, user: ops, host_key: \"{pin}\"}}
  inner: {{jump: outer, identity: ~/inner, known_hosts: []}}
  side:
    address: 198.51.100.1
nodes:
  cmp1:
  cmp2: {{control: {{jump: [outer, side]}}}}
  cmp3: {{control: {{jump: []}}}}
  cmp4: {{control: {{jump: [outer, inner]}}}}
"
    ));
    let way = |name: &str| -> Vec<String> {
        let jump = &node(&fleet, name).control.jump;
        jump.iter()
            .map(|hop| format!("{}@{}:{}", hop.user, hop.address, hop.port))
            .collect()
    };
    assert_eq!(way("cmp1"), ["ops@203.0.113.9:2222", "deploy@inner:22"]);
    assert_eq!(
        way("cmp2"),
        ["ops@203.0.113.9:2222", "deploy@198.51.100.1:22"]
    );
    assert_eq!(way("cmp3"), [""; 0]);
    assert_eq!(way("cmp4"), way("cmp1"));
    let jump = &node(&fleet, "cmp1").control.jump;
    assert_eq!(jump[0].host_key.pinned, [pin]);
    assert_eq!(
        jump[0].host_key.known_hosts,
        [PathBuf::from("/etc/clearway/hosts")]
    );
    assert!(jump[1].host_key.known_hosts.is_empty());
    assert_eq!(jump[1].identities, [PathBuf::from("/home/op/inner")]);
}

#[test]
fn a_profile_is_extended_and_every_property_overridden_at_every_level() {
    let fleet = fleet(
        "clearway: 1
profiles:
  containers:
    extends: nova
    nova_context: [docker, exec, -i, -u, nova, nova_compute]
    sshd: {context: [docker, exec, -i, nova_ssh], port: 8022}
    lanes:
      cold-push: {port: 8022, user: nova}
      live: {used: no}
  quiet: {extends: containers, lanes: {cold-push: {port: null}}}
defaults: {profile: containers}
groups:
  az1:
    lanes: {cold-pull: {port: 2022}}
    nodes:
      cmp1:
      cmp2: {lanes: {cold-pull: {port: ~, identity: /id}}, nova_conf: [/etc/kolla/nova.conf]}
      cmp3: {profile: quiet, nova_context: []}
",
    );
    let [one, two, three] = ["cmp1", "cmp2", "cmp3"].map(|name| &node(&fleet, name).profile);
    assert_eq!(one.name, "containers");
    assert_eq!(
        one.cold_push.context,
        words("docker exec -i -u nova nova_compute")
    );
    assert_eq!(one.sshd.context, words("docker exec -i nova_ssh"));
    assert_eq!(one.sshd.binary, "/usr/sbin/sshd");
    assert_eq!(
        (one.cold_push.port, one.cold_push.user.as_deref()),
        (Some(8022), Some("nova"))
    );
    assert_eq!(one.cold_pull.port, Some(2022));
    assert_eq!(one.live.used, LaneUse::No);
    assert_eq!(
        (two.cold_pull.port, two.cold_pull.identity.as_deref()),
        (None, Some("/id"))
    );
    assert_eq!(two.nova_conf, ["/etc/kolla/nova.conf"]);
    assert_eq!((three.name.as_str(), three.cold_push.port), ("quiet", None));
    assert!(three.nova_context.is_empty() && three.cold_push.context.is_empty());
}

#[test]
fn nodes_with_the_same_profile_share_it() {
    let fleet = fleet(
        "clearway: 1
groups:
  a: {lanes: {live: {port: 22}}, nodes: {a1: , a2: {control: {user: x}}}}
  b: {nodes: {b1: {lanes: {live: {port: 022}}}}}
nodes: {c1: }
",
    );
    let profile = |name: &str| &node(&fleet, name).profile;
    assert!(Arc::ptr_eq(profile("a1"), profile("a2")));
    assert!(Arc::ptr_eq(profile("a1"), profile("b1")));
    assert!(!Arc::ptr_eq(profile("a1"), profile("c1")));
}

#[test]
fn scopes_are_understood() {
    let head = "clearway: 1\ngroups: {a: {cell: x, nodes: {a1: , a2: }}, b: {nodes: {b1: }}}\n";
    let scope = |text: &str| fleet(&format!("{head}{text}"));
    assert_eq!(scope("scope: all\n").scope, Scope::All);
    assert_eq!(scope("scope: per-cell\n").scope, Scope::PerCell);
    let fleet = scope("scope:\n  - from: a\n    to: [a, b]\n");
    let rule = GroupRule {
        from: vec!["a".to_owned()],
        to: vec!["a".to_owned(), "b".to_owned()],
    };
    assert_eq!(fleet.scope, Scope::Groups(vec![rule]));
    let id = |name: &str| fleet.find(name).expect("a node");
    assert!(fleet.in_scope(id("a1"), id("a2")) && fleet.in_scope(id("a1"), id("b1")));
    assert!(!fleet.in_scope(id("b1"), id("a1")));
}

#[test]
fn several_files_are_one_inventory() {
    let inventory = read_files(&[
        (
            "10.yaml",
            "clearway: 1\ndefaults: {profile: mine}\ngroups: {rack1: {cell: c}}\n",
        ),
        (
            "20.yaml",
            "clearway: 1\nprofiles: {mine: {extends: nova}}\njump_hosts: {b: {}}\n",
        ),
        (
            "30.yaml",
            "clearway: 1\nnodes: {cmp1: {groups: rack1, control: {jump: b}}}\nscope: per-cell\n",
        ),
    ]);
    let fleet = inventory.unwrap_or_else(|error| panic!("{error}")).fleet;
    assert_eq!(fleet.nodes[0].profile.name, "mine");
    assert_eq!(fleet.nodes[0].cell.as_deref(), Some("c"));
    assert_eq!(fleet.nodes[0].control.jump.len(), 1);
    assert_eq!(fleet.scope, Scope::PerCell);
}

#[test]
fn the_same_control_address_is_fine_on_another_port_or_behind_another_jump_host() {
    let fleet = fleet(
        "clearway: 1
jump_hosts: {a: {}, b: {}}
nodes:
  n1: {control: {address: 127.0.0.1, port: 2201}}
  n2: {control: {address: 127.0.0.1, port: 2202}}
  n3: {control: {address: 10.0.0.1, jump: a}}
  n4: {control: {address: 10.0.0.1, jump: b}}
",
    );
    assert_eq!(fleet.nodes.len(), 4);
}

#[test]
fn aliases_and_merge_keys_are_understood() {
    let fleet = fleet(
        "clearway: 1
groups:
  a: {control: &control {user: x, port: 2022}, nodes: {a1: }}
  b: {control: {<<: *control, port: 2023}, nodes: {b1: }}
",
    );
    assert_eq!(node(&fleet, "b1").control.user, "x");
    assert_eq!(node(&fleet, "b1").control.port, 2023);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let text = "\u{feff}clearway: 1\r\nnodes:\r\n  cmp[1-2]:\r\n    cell: one\r\n";
    assert_eq!(
        fleet(text),
        fleet("clearway: 1\nnodes:\n  cmp[1-2]:\n    cell: one\n")
    );
}
