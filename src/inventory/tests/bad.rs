//! What is said of bad inventories, literally.

use super::{read, read_files};
use crate::inventory::{Context, Inventory, InventoryError, Source};

/// Bad inventories, one fault each unless the title says more.
const BAD: &[(&str, &str)] = &[
    ("an empty file", ""),
    ("only a comment", "# nothing yet\n"),
    ("not a mapping", "- cmp1\n- cmp2\n"),
    ("no version", "nodes: {cmp1: }\n"),
    ("another version", "clearway: 2\nnodes: {cmp1: }\n"),
    (
        "two documents",
        "clearway: 1\nnodes: {cmp1: }\n---\nclearway: 1\n",
    ),
    (
        "an unclosed quote",
        "clearway: 1\nnodes:\n  \"cmp1: {}\n  cmp2: {}\n",
    ),
    ("an unclosed brace", "clearway: 1\nnodes: {cmp1: {}\n"),
    (
        "a range without quotes in braces",
        "clearway: 1\nnodes: {cmp[1-2]: }\n",
    ),
    ("a tab", "clearway: 1\nnodes:\n\tcmp1: {}\n"),
    (
        "wrong indentation",
        "clearway: 1\nnodes:\n  cmp1: {}\n   cmp2: {}\n",
    ),
    (
        "an unknown tag",
        "clearway: 1\nnodes:\n  cmp1: !secret {}\n",
    ),
    ("an unknown anchor", "clearway: 1\nnodes:\n  cmp1: *base\n"),
    ("no nodes", "clearway: 1\ndefaults: {cell: cell1}\n"),
    ("an empty list of nodes", "clearway: 1\nnodes: {}\n"),
    ("nothing after a key", "clearway: 1\nnodes:\n"),
    (
        "nothing after a property",
        "clearway: 1\nnodes:\n  cmp1:\n    control:\n      user:\n",
    ),
    (
        "an unknown key, nearly right",
        "clearway: 1\nnode:\n  cmp1: {}\n",
    ),
    (
        "an unknown key, far from right",
        "clearway: 1\nnodes:\n  cmp1: {password: hunter2}\n",
    ),
    (
        "a key one level too high",
        "clearway: 1\nnodes:\n  cmp1: {address: 10.0.0.1}\n",
    ),
    (
        "a key of the defaults at the top",
        "clearway: 1\ncontrol: {user: root}\nnodes:\n  cmp1: {}\n",
    ),
    (
        "a key of a node in the defaults",
        "clearway: 1\ndefaults: {groups: [az1]}\nnodes:\n  cmp1: {}\n",
    ),
    (
        "an unknown key of a lane",
        "clearway: 1\nnodes:\n  cmp1: {lanes: {live: {prot: 22}}}\n",
    ),
    (
        "a repeated key",
        "clearway: 1\nnodes:\n  cmp1:\n    cell: a\n    control: {user: a}\n    cell: b\n",
    ),
    ("a list for a mapping", "clearway: 1\nnodes: [cmp1, cmp2]\n"),
    (
        "a text for a mapping",
        "clearway: 1\nnodes:\n  cmp1: 10.0.0.1\n",
    ),
    (
        "a mapping for a text",
        "clearway: 1\nnodes:\n  cmp1: {cell: {name: one}}\n",
    ),
    (
        "a brace without quotes",
        "clearway: 1\nnodes:\n  cmp1:\n    service_host: {name}.example.org\n",
    ),
    (
        "a text for a list",
        "clearway: 1\nnodes:\n  cmp1: {nova_context: docker exec nova_compute}\n",
    ),
    (
        "a number for a word",
        "clearway: 1\nnodes:\n  cmp1: {control: {jump: 7}}\n",
    ),
    (
        "a list as a key",
        "clearway: 1\nnodes:\n  [cmp1, cmp2]: {}\n",
    ),
    ("an empty name", "clearway: 1\nnodes:\n  \"\": {}\n"),
    ("a name with a space", "clearway: 1\nnodes:\n  cmp 1: {}\n"),
    (
        "a name like an option",
        "clearway: 1\nnodes:\n  -oProxyCommand=x: {}\n",
    ),
    (
        "a name with a terminal escape",
        "clearway: 1\nnodes:\n  \"cmp\\e[31m\": {}\n",
    ),
    (
        "a name with letters that turn the direction",
        "clearway: 1\nnodes:\n  \"cmp\\u202e1\": {}\n",
    ),
    (
        "a control character",
        "clearway: 1\nnodes:\n  \"cmp\\e]0;x\\a\": {}\n",
    ),
    ("a name that means all", "clearway: 1\nnodes:\n  all: {}\n"),
    ("an empty range", "clearway: 1\nnodes:\n  \"cmp[]\": {}\n"),
    ("a backward range", "clearway: 1\nnodes:\n  cmp[9-1]: {}\n"),
    (
        "an unclosed range",
        "clearway: 1\nnodes:\n  'cmp[1-9': {}\n",
    ),
    (
        "a range of changing width",
        "clearway: 1\nnodes:\n  cmp[001-1000]: {}\n",
    ),
    (
        "a million names",
        "clearway: 1\nnodes:\n  cmp[1-1000000]: {}\n",
    ),
    (
        "more nodes than allowed",
        "clearway: 1\nnodes:\n  a[1-15000]: {}\n  b[1-15000]: {}\n",
    ),
    (
        "a node twice in one mapping",
        "clearway: 1\nnodes:\n  cmp1: {}\n  cmp2: {}\n  cmp1: {}\n",
    ),
    (
        "a node in a range and by name",
        "clearway: 1\ngroups:\n  az1:\n    nodes:\n      cmp[1-9]: {}\nnodes:\n  cmp5: {}\n",
    ),
    (
        "overlapping ranges",
        "clearway: 1\nnodes:\n  cmp[1-9]: {}\n  cmp[7-12]: {}\n",
    ),
    (
        "one control address for two nodes",
        "clearway: 1\nnodes:\n  cmp1: {control: {address: 10.0.0.1}}\n  cmp2: {control: {address: 10.0.0.1}}\n",
    ),
    (
        "one control address in two spellings",
        "clearway: 1\nnodes:\n  cmp1: {control: {address: \"fd00::1\"}}\n  cmp2: {control: {address: \"fd00:0::1\"}}\n",
    ),
    (
        "a control address that is another node's name",
        "clearway: 1\nnodes:\n  cmp1: {}\n  cmp2: {control: {address: CMP1}}\n",
    ),
    (
        "overlapping ranges of addresses",
        "clearway: 1\nnodes:\n  a[1-3]: {migration_address: \"10.0.0.[1-3]\"}\n  b[1-3]: {migration_address: \"10.0.0.[2-4]\"}\n",
    ),
    (
        "one migration address for a group",
        "clearway: 1\ngroups:\n  az1:\n    migration_address: 10.0.0.1\n    nodes: {cmp1: , cmp2: }\n",
    ),
    (
        "one service host for two nodes",
        "clearway: 1\nnodes:\n  cmp1: {service_host: c.example.org}\n  cmp2: {service_host: C.example.org}\n",
    ),
    (
        "one address for a range",
        "clearway: 1\nnodes:\n  cmp[1-4]:\n    control: {address: 10.0.0.1}\n",
    ),
    (
        "too few addresses for a range",
        "clearway: 1\nnodes:\n  cmp[1-4]:\n    migration_address: 10.0.0.[1-3]\n",
    ),
    (
        "a range of addresses for a group",
        "clearway: 1\ngroups:\n  az1:\n    migration_address: 10.0.0.[1-2]\n    nodes: {cmp1: , cmp2: }\n",
    ),
    (
        "a bad range of addresses",
        "clearway: 1\nnodes:\n  cmp[1-4]:\n    migration_address: 10.0.0.[1-]\n",
    ),
    (
        "an address beyond its range",
        "clearway: 1\nnodes:\n  cmp[1-4]:\n    migration_address: 10.0.0.[253-256]\n",
    ),
    (
        "an unknown placeholder",
        "clearway: 1\nnodes:\n  cmp1:\n    service_host: \"{host}.example.org\"\n",
    ),
    (
        "a loopback migration address",
        "clearway: 1\nnodes:\n  cmp1: {migration_address: 127.0.0.1}\n",
    ),
    (
        "an address with a port",
        "clearway: 1\nnodes:\n  cmp1:\n    control: {address: \"10.0.0.1:2222\"}\n",
    ),
    (
        "an address with a user",
        "clearway: 1\nnodes:\n  cmp1:\n    control: {address: root@10.0.0.1}\n",
    ),
    (
        "not an address",
        "clearway: 1\nnodes:\n  cmp1:\n    control: {address: 10.0.0}\n",
    ),
    (
        "an address like an option",
        "clearway: 1\nnodes:\n  cmp1:\n    control: {address: -oProxyCommand=x}\n",
    ),
    (
        "a bad port",
        "clearway: 1\nnodes:\n  cmp1: {control: {port: 70000}}\n",
    ),
    (
        "a port that is no number",
        "clearway: 1\nnodes:\n  cmp1: {control: {port: ssh}}\n",
    ),
    (
        "a bad user",
        "clearway: 1\nnodes:\n  cmp1: {control: {user: -l}}\n",
    ),
    (
        "neither true nor false",
        "clearway: 1\nnodes:\n  cmp1: {control: {sudo: maybe}}\n",
    ),
    (
        "a bad fingerprint",
        "clearway: 1\nnodes:\n  cmp1: {control: {host_key: \"SHA256:abc\"}}\n",
    ),
    (
        "an MD5 fingerprint",
        "clearway: 1\nnodes:\n  cmp1: {control: {host_key: [\"MD5:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff\"]}}\n",
    ),
    (
        "another's home directory",
        "clearway: 1\nnodes:\n  cmp1: {control: {identity: ~root/.ssh/id_rsa}}\n",
    ),
    (
        "an unknown jump host",
        "clearway: 1\njump_hosts:\n  bastion: {address: 203.0.113.9}\nnodes:\n  cmp1: {control: {jump: bastoin}}\n",
    ),
    (
        "a jump host where there are none",
        "clearway: 1\nnodes:\n  cmp1: {control: {jump: bastion}}\n",
    ),
    (
        "jump hosts in a circle",
        "clearway: 1\njump_hosts:\n  b: {jump: c}\n  a: {jump: b}\n  c: {jump: b}\nnodes:\n  cmp1: {control: {jump: a}}\n",
    ),
    (
        "a jump host through itself",
        "clearway: 1\njump_hosts:\n  a: {jump: a}\nnodes:\n  cmp1: {}\n",
    ),
    (
        "jump hosts in another order",
        "clearway: 1\njump_hosts:\n  a: {}\n  b: {}\n  c: {jump: b}\nnodes:\n  cmp1: {control: {jump: [a, c]}}\n",
    ),
    (
        "a jump host twice",
        "clearway: 1\njump_hosts:\n  a: {address: 10.0.0.1}\n  a: {address: 10.0.0.2}\nnodes:\n  cmp1: {}\n",
    ),
    (
        "an unknown profile",
        "clearway: 1\nprofiles:\n  mine: {extends: nova}\nnodes:\n  cmp1: {profile: mnie}\n",
    ),
    (
        "an unknown profile to extend",
        "clearway: 1\nprofiles:\n  mine: {extends: nov}\nnodes:\n  cmp1: {profile: mine}\n",
    ),
    (
        "an incomplete profile",
        "clearway: 1\nprofiles:\n  mine:\n    nova_conf: [/etc/nova/nova.conf]\nnodes:\n  cmp1: {profile: mine}\n",
    ),
    (
        "a built-in profile redefined",
        "clearway: 1\nprofiles:\n  nova: {nova_context: []}\nnodes:\n  cmp1: {}\n",
    ),
    (
        "profiles in a circle",
        "clearway: 1\nprofiles:\n  a: {extends: b}\n  b: {extends: a}\nnodes:\n  cmp1: {profile: a}\n",
    ),
    (
        "an unknown lane",
        "clearway: 1\nnodes:\n  cmp1: {lanes: {cold_push: {port: 8022}}}\n",
    ),
    (
        "a lane twice",
        "clearway: 1\ndefaults:\n  lanes:\n    live: {used: no}\n    live: {port: 22}\nnodes:\n  cmp1: {}\n",
    ),
    (
        "an unknown choice",
        "clearway: 1\nnodes:\n  cmp1: {lanes: {live: {dial: live_address}}}\n",
    ),
    (
        "no way to trust",
        "clearway: 1\ndefaults: {trust: everybody}\nnodes:\n  cmp1: {}\n",
    ),
    (
        "keys of a kind that nobody should make",
        "clearway: 1\ngroups:\n  old: {key_type: dsa, keys: share, nodes: {cmp1: {}}}\n",
    ),
    (
        "a path where a kind of file is asked for",
        "clearway: 1\nnodes:\n  cmp1: {known_hosts: /etc/ssh/ssh_known_hosts}\n",
    ),
    (
        "neither used nor not",
        "clearway: 1\nnodes:\n  cmp1: {lanes: {live: {used: sometimes}}}\n",
    ),
    (
        "a relative path on a node",
        "clearway: 1\nnodes:\n  cmp1: {sshd: {config: sshd_config}}\n",
    ),
    (
        "no nova.conf",
        "clearway: 1\nnodes:\n  cmp1: {nova_conf: []}\n",
    ),
    (
        "an unknown group",
        "clearway: 1\ngroups:\n  az1: {nodes: {cmp1: }}\nnodes:\n  cmp2: {groups: [az2]}\n",
    ),
    (
        "a group without nodes",
        "clearway: 1\ngroups:\n  az1: {nodes: {cmp1: }}\n  az2: {cell: cell1}\n",
    ),
    (
        "a group twice",
        "clearway: 1\ngroups:\n  az1: {nodes: {cmp1: }}\n  az1: {nodes: {cmp2: }}\n",
    ),
    (
        "a bad group name",
        "clearway: 1\ngroups:\n  \"az:1\": {nodes: {cmp1: }}\n",
    ),
    (
        "a bad cell name",
        "clearway: 1\ndefaults: {cell: \"cell 1\"}\nnodes: {cmp1: }\n",
    ),
    (
        "an unknown scope",
        "clearway: 1\nnodes: {cmp1: }\nscope: per_cell\n",
    ),
    (
        "cells in scope but none stated",
        "clearway: 1\nnodes: {cmp1: }\nscope: per-cell\n",
    ),
    (
        "an unknown group in the scope",
        "clearway: 1\ngroups:\n  az1: {nodes: {cmp1: }}\nscope:\n  - {from: [az1], to: [az2]}\n",
    ),
    (
        "half a rule in the scope",
        "clearway: 1\ngroups:\n  az1: {nodes: {cmp1: }}\nscope:\n  - {from: [az1]}\n",
    ),
    (
        "an empty scope",
        "clearway: 1\nnodes: {cmp1: }\nscope: []\n",
    ),
    (
        "several problems at once",
        "clearway: 1\ndefaults:\n  profile: kola\n  control: {port: 0}\nnodes:\n  cmp[1-2]: {cell: \"a b\"}\n  cmp[2-3]: {control: {jump: x}}\n",
    ),
    (
        "a long line",
        "clearway: 1\nnodes: {a1: {cell: one}, a2: {cell: one}, a3: {cell: one}, a4: {cell: one}, a5: {cell: one}, a6: {control: {prot: 1}}, a7: {cell: one}, a8: {cell: one}}\n",
    ),
];

/// Bad inventories of several files.
const BAD_FILES: &[(&str, &[(&str, &str)])] = &[
    (
        "a node in two files",
        &[
            ("a.yaml", "clearway: 1\nnodes:\n  cmp[1-9]: {}\n"),
            ("b.yaml", "clearway: 1\nnodes:\n  cmp9: {}\n"),
        ],
    ),
    (
        "defaults in two files",
        &[
            (
                "a.yaml",
                "clearway: 1\ndefaults: {cell: one}\nnodes: {cmp1: }\n",
            ),
            (
                "b.yaml",
                "clearway: 1\ndefaults: {cell: two}\nnodes: {cmp2: }\n",
            ),
        ],
    ),
    (
        "the scope in two files",
        &[
            ("a.yaml", "clearway: 1\nnodes: {cmp1: }\nscope: all\n"),
            ("b.yaml", "clearway: 1\nnodes: {cmp2: }\nscope: all\n"),
        ],
    ),
    (
        "a group in two files",
        &[
            ("a.yaml", "clearway: 1\ngroups: {az1: {nodes: {cmp1: }}}\n"),
            ("b.yaml", "clearway: 1\ngroups: {az1: {nodes: {cmp2: }}}\n"),
        ],
    ),
    (
        "one file of two without a version",
        &[
            ("a.yaml", "clearway: 1\nnodes: {cmp1: }\n"),
            ("b.yaml", "nodes: {cmp2: }\n"),
        ],
    ),
    (
        "both files broken",
        &[
            ("a.yaml", "clearway: 1\nnodes: [cmp1]\n"),
            ("b.yaml", "clearway: 1\nnode: {cmp2: }\n"),
        ],
    ),
];

fn section(title: &str, result: Result<Inventory, InventoryError>) -> String {
    let error = result
        .err()
        .unwrap_or_else(|| panic!("{title} is accepted"));
    for problem in &error.problems {
        assert!(
            problem.expected.is_some(),
            "{title} does not say what was expected"
        );
        assert!(
            problem.place.line > 0 && problem.place.column > 0,
            "{title} has no place"
        );
    }
    let text = error.to_string();
    assert!(
        !text
            .chars()
            .any(|character| character.is_control() && character != '\n'),
        "{title} would reach the terminal raw"
    );
    format!("### {title}\n{text}\n\n")
}

#[test]
fn every_bad_inventory_is_refused_with_place_line_and_advice() {
    let alone = BAD.iter().map(|(title, yaml)| section(title, read(yaml)));
    let several = BAD_FILES
        .iter()
        .map(|(title, files)| section(title, read_files(files)));
    let text: String = alone.chain(several).collect();
    insta::assert_snapshot!("bad", text);
}

#[test]
fn an_operator_without_home_or_name_must_say_more() {
    let text = "clearway: 1\nnodes:\n  cmp[1-2]: {control: {identity: ~/.ssh/id_rsa}}\n";
    let source = Source {
        name: "lab.yaml".to_owned(),
        base: "/etc/clearway".into(),
        text: text.to_owned(),
    };
    let nobody = Context::default();
    let error = Inventory::read(&[source], &nobody).expect_err("no login name");
    insta::assert_snapshot!(error, @r"
    lab.yaml:3:3: no login name
      3 |   cmp[1-2]: {control: {identity: ~/.ssh/id_rsa}}
        |   ^^^^^^^^
      expected `user:` in `control:`, here or in the defaults

    lab.yaml:3:34: `~/.ssh/id_rsa` needs a home directory, and there is none
      3 |   cmp[1-2]: {control: {identity: ~/.ssh/id_rsa}}
        |                                  ^^^^^^^^^^^^^
      expected a path, absolute or from `~/` or from this file
    ");
}

#[test]
fn many_problems_are_counted_but_not_all_shown() {
    let mut text = "clearway: 1\nnodes:\n".to_owned();
    for number in 1..=100 {
        text.push_str(&format!(
            "  cmp{number}: {{control: {{port: x{number}}}}}\n"
        ));
    }
    let error = read(&text).expect_err("a hundred bad ports");
    assert_eq!((error.problems.len(), error.more), (20, 80));
    assert!(error.to_string().ends_with("\n\nand 80 more"));
}

/// Files that unfold into far more than is written in them are refused before they do.
#[test]
fn a_bomb_is_refused() {
    let mut aliases =
        "clearway: 1\ndefaults:\n  nova_conf: &a [/x, /x, /x, /x, /x, /x, /x, /x]\nnodes:\n"
            .to_owned();
    for number in 0..21_000 {
        aliases.push_str(&format!("  n{number}: {{nova_conf: *a}}\n"));
    }
    let mut laughs = "clearway: 1\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        let row = [below.as_str(); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{row}]\n"));
    }
    let deep = format!(
        "clearway: 1\nnodes: {}{}\n",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let keys = format!("clearway: 1\nnodes: {{{}}}\n", "? ".repeat(5_000));
    let product = "clearway: 1\nnodes:\n  a[0-9][0-9][0-9][0-9][0-9][0-9][0-9]: {}\n".to_owned();
    let wide = format!(
        "clearway: 1\nnodes:\n{}",
        (0..21_000)
            .map(|n| format!("  n{n}:\n"))
            .collect::<String>()
    );
    for (title, text) in [
        ("aliases", aliases),
        ("laughs", laughs),
        ("deep", deep),
        ("keys", keys),
        ("product", product),
        ("wide", wide),
    ] {
        assert!(read(&text).is_err(), "{title} is accepted");
    }
}
