//! Across a pair that is not proven no request is ever sent: Nova's own log says so.

use clearway::moves::machine::Record;
use clearway_lab::Lab;

use crate::ground::{Ended, Ground};

/// A node's known_hosts without another's entries, until it is dropped.
pub(crate) struct Forgotten {
    lab: &'static Lab,
    node: &'static str,
}

impl Forgotten {
    pub(crate) fn new(ground: &Ground, node: &'static str, address: &str) -> Self {
        let lab = ground.lab();
        let line = format!(
            "cd /var/lib/nova/.ssh && cp -p known_hosts known_hosts.kept && grep -v -F '{address}' known_hosts.kept > known_hosts; ! cmp -s known_hosts known_hosts.kept"
        );
        let done = lab.node(node).sh(&line).unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        Self { lab, node }
    }
}

impl Drop for Forgotten {
    fn drop(&mut self) {
        let line =
            "cd /var/lib/nova/.ssh && cat known_hosts.kept > known_hosts && rm known_hosts.kept";
        let _ = self.lab.node(self.node).sh(line);
    }
}

pub(crate) fn another(ground: &Ground) {
    let ids = ground
        .cloud()
        .boot_servers("elsewhere", 2, "node1.lab")
        .unwrap();
    let _broken = Forgotten::new(ground, "node1", "10.77.0.3");
    let ended = ground.moves(&[
        "drain",
        "node1.lab",
        "--cold",
        "--to",
        "node2.lab,node4.lab",
    ]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    for id in &ids {
        assert_eq!(ground.server(id).1, "node4.lab");
        let asked: Vec<String> = ground.asked_for(id).into_iter().collect();
        assert_eq!(
            asked,
            ["node4.lab"],
            "nothing was asked for across the broken pair"
        );
    }
}

pub(crate) fn shared(ground: &Ground) {
    let ids = ground
        .cloud()
        .boot_servers("shared", 4, "node1.lab")
        .unwrap();
    let logins = || {
        let log = ground.lab().read_log("node2");
        log.lines()
            .filter(|it| it.contains("Accepted publickey for nova from 10.77.0.2"))
            .count()
    };
    let before = logins();
    let words: Vec<&str> = ["migrate", "--to", "node2.lab", "--per-source", "4"]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .collect();
    let ended = ground.moves(&words);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.report().moves.len(), 4);
    // Nova's own copies are made up here, so that every login is a proof's: the directory, the copy, the end.
    assert_eq!(logins() - before, 3, "one climb for all four");
}

pub(crate) fn silent(ground: &Ground) {
    let ids = ground
        .cloud()
        .boot_servers("silent", 3, "node1.lab")
        .unwrap();
    let node = ground.lab().node("node2");
    let filter = "nft add table ip silent
        nft add chain ip silent ssh '{type filter hook input priority 0;}'
        nft add rule ip silent ssh ip saddr 10.77.0.2 tcp dport 22 counter drop";
    assert!(node.sh(filter).unwrap().status.success());
    let ended = ground.moves(&[
        "drain",
        "node1.lab",
        "--cold",
        "--per-source",
        "1",
        "--max-failures",
        "0",
        "--to",
        "node2.lab",
    ]);
    let counted = node.sh("nft list table ip silent; nft delete table ip silent");
    let counted = String::from_utf8(counted.unwrap().stdout).unwrap();
    assert_eq!(ended.code, 4, "{}", ended.all());
    let moves = ended.report().moves;
    assert_eq!(moves.len(), ids.len());
    for it in moves {
        assert!(
            it.why.contains("cold-push is broken(connection-timed-out)"),
            "{}",
            it.why
        );
    }
    // Within the deadline of a connection the kernel sends 4 SYNs, since Linux 6.5 some 7. One climb is one connection, not
    // one for each of three servers.
    let packets = counted.split("packets ").nth(1).unwrap();
    let packets: u32 = packets.split(' ').next().unwrap().parse().unwrap();
    assert!((1..=10).contains(&packets), "{counted}");
}

/// The destination fetches an image from the source only when Glance does not have it any more.
pub(crate) fn image(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("image", "node1.lab").unwrap();
    // The other direction, by the name: node2 does not know node1.
    let _broken = Forgotten::new(ground, "node2", "node1.lab");
    let words = ["migrate", &id, "--to", "node2.lab"];
    cloud.lose_image(true).unwrap();
    let refused = ground.moves(&words);
    cloud.lose_image(false).unwrap();
    assert_eq!(refused.code, 4, "{}", refused.all());
    assert!(
        refused
            .only()
            .why
            .contains("cold-pull is broken(host-key-unknown)"),
        "{}",
        refused.all()
    );
    assert!(ground.asked_for(&id).is_empty());
    let moved = ground.moves(&words);
    assert_eq!(moved.code, 0, "{}", moved.all());
    assert_eq!(ground.server(&id).1, "node2.lab");
}

pub(crate) fn no_such_host(ground: &Ground) {
    let id = ground.cloud().boot_server("stays", "node1.lab").unwrap();
    for (words, hint) in [
        (
            &["migrate", &id, "--to", "node9.lab", "--yes"][..],
            "did you mean node1.lab, node2.lab, node3.lab?",
        ),
        (
            &["drain", "node1", "--yes"],
            "hint: did you mean node1.lab?",
        ),
        (
            &["servers", "--host", "elsewhere"],
            "`openstack compute service list` has the names",
        ),
    ] {
        let ended = ground.run("operator", words);
        assert_eq!(ended.code, 2, "{}", ended.all());
        assert!(ended.stderr.contains(hint), "{}", ended.all());
        assert!(ended.stderr.contains("Nova has no compute host"));
    }
    let ended = ground.moves(&["migrate", &id, "--to", "node1.lab"]);
    assert_eq!(ended.code, 1, "{}", ended.all());
    let stay = &ended.report().stay[0];
    assert_eq!(stay.why, "it is on node1.lab already");
    assert!(ground.asked_for(&id).is_empty());
}

pub(crate) fn refused(ground: &Ground) {
    let id = ground.cloud().boot_server("refused", "node1.lab").unwrap();
    let _broken = Forgotten::new(ground, "node1", "10.77.0.3");
    let ended = ground.moves(&["migrate", &id, "--to", "node2.lab"]);
    assert_eq!(ended.code, 4, "{}", ended.all());
    let it = ended.only();
    assert_eq!(it.verdict, "refused");
    assert!(
        it.why.contains("cold-push is broken(host-key-unknown)"),
        "{}",
        it.why
    );
    assert!(ground.asked_for(&id).is_empty());
    assert_eq!(
        ground.server(&id),
        ("ACTIVE".to_owned(), "node1.lab".to_owned())
    );
}

pub(crate) fn address(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("address", "node1.lab").unwrap();
    let other = cloud.boot_server("address-other", "node3.lab").unwrap();
    // Nova's compute on node2 has another migration address than the node's nova.conf says: its next row shows it.
    cloud
        .set_migration_address("node2.lab", "10.77.9.9")
        .unwrap();
    cloud
        .act("operator", &other, r#"{"migrate": {"host": "node2.lab"}}"#)
        .unwrap();
    ground.until("the row", 30, || ground.server(&other).0 == "VERIFY_RESIZE");
    let ended = ground.moves(&["migrate", &id, "--to", "node2.lab"]);
    cloud
        .set_migration_address("node2.lab", "10.77.0.3")
        .unwrap();
    assert_eq!(ended.code, 4, "{}", ended.all());
    assert!(
        ended.only().why.contains("Nova would dial `10.77.9.9` (dest_host of its newest migration), and `10.77.0.3` was proven"),
        "{}",
        ended.only().why
    );
    assert!(ground.asked_for(&id).is_empty());
    // The newest row counts: the right address opens the gate again.
    let third = cloud.boot_server("address-third", "node3.lab").unwrap();
    cloud
        .act("operator", &third, r#"{"migrate": {"host": "node2.lab"}}"#)
        .unwrap();
    ground.until("the row", 30, || ground.server(&third).0 == "VERIFY_RESIZE");
    let ended = ground.moves(&["migrate", &id, "--to", "node2.lab"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
}

/// A move to node2.lab with an inventory that does not have node2.
fn without_node2(ground: &Ground, server: &str) -> Ended {
    let text = std::fs::read_to_string(ground.lab().inventory()).unwrap();
    let text: String = text
        .lines()
        .filter(|it| !it.contains("node2:"))
        .fold(String::new(), |text, it| text + it + "\n");
    let path = ground.scratch().join("without-node2.yaml");
    std::fs::write(&path, text).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_clearway"))
        .args([
            "migrate",
            server,
            "--to",
            "node2.lab",
            "--yes",
            "--format",
            "json",
            "--inventory",
        ])
        .arg(&path)
        .arg("--ledger")
        .arg(ground.ledger())
        .env_clear()
        .env("HOME", ground.scratch())
        .env("OS_CLIENT_CONFIG_FILE", ground.cloud().clouds_yaml())
        .env("OS_CLOUD", "operator")
        .output()
        .unwrap();
    crate::ground::ended(&output)
}

pub(crate) fn stranger(ground: &Ground) {
    let id = ground.cloud().boot_server("stranger", "node1.lab").unwrap();
    let ended = without_node2(ground, &id);
    assert_eq!(ended.code, 4, "{}", ended.all());
    assert!(
        ended.only().why.contains("node2.lab: not in the inventory"),
        "{}",
        ended.only().why
    );
    assert!(ground.asked_for(&id).is_empty());
}

/// A node whose nova.conf is another one, until it is dropped.
pub(crate) struct Copied(&'static Lab, &'static str);

impl Copied {
    pub(crate) fn new(ground: &Ground, node: &'static str, change: &str) -> Self {
        let file = "/etc/nova/nova.conf";
        let line = format!(
            "cp -p {file} {file}.kept && sed -i '{change}' {file} && ! cmp -s {file} {file}.kept"
        );
        let done = ground.lab().node(node).sh(&line).unwrap();
        assert!(done.status.success(), "{done:?}");
        Self(ground.lab(), node)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let line = "mv /etc/nova/nova.conf.kept /etc/nova/nova.conf";
        let _ = self.0.node(self.1).sh(line);
    }
}

pub(crate) fn claimed(ground: &Ground) {
    let id = ground.cloud().boot_server("claimed", "node1.lab").unwrap();
    let _broken = Forgotten::new(ground, "node1", "10.77.0.3");
    let copied = "s/^host = .*/host = node2.lab/; s/^my_ip = .*/my_ip = 10.77.0.3/";
    let _copied = Copied::new(ground, "node3", copied);
    // Nobody else says that it is node2.lab, and Nova knows where that is.
    let ended = without_node2(ground, &id);
    assert_eq!(ended.code, 4, "{}", ended.all());
    let why = ended.only().why;
    let told =
        "node3 says that it is this host, which Nova reports at 10.77.0.3, no address of that node";
    assert!(why.contains(told), "{why}");
    // Where the true one is known, it is the one that is proven.
    let ended = ground.moves(&["migrate", &id, "--to", "node2.lab"]);
    assert_eq!(ended.code, 4, "{}", ended.all());
    let why = ended.only().why;
    assert!(
        why.contains("cold-push is broken(host-key-unknown)"),
        "{why}"
    );
    assert!(ground.asked_for(&id).is_empty());
}

pub(crate) fn overridden(ground: &Ground) {
    let id = ground
        .cloud()
        .boot_server("overridden", "node1.lab")
        .unwrap();
    let _broken = Forgotten::new(ground, "node1", "10.77.0.3");
    let reason = "fire in the room";
    let words = [
        "migrate",
        &id,
        "--to",
        "node2.lab",
        "--override-gate",
        reason,
    ];
    // It asks, and there is no terminal to ask at.
    let unasked = ground.run("operator", &words);
    assert_eq!(unasked.code, 2, "{}", unasked.all());
    assert!(ground.asked_for(&id).is_empty());
    let ended = ground.moves(&words);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ground.server(&id).1, "node2.lab");
    let kept = ground.kept();
    let passed = kept[0].moves[0]
        .records
        .iter()
        .find_map(|(_, it)| match it {
            Record::Passed { overridden, .. } => Some(overridden.as_deref()),
            _ => None,
        });
    assert_eq!(passed, Some(Some(reason)), "it stands in the ledger");
    let several = ground.moves(&[
        "migrate",
        &id,
        "x",
        "--to",
        "node2.lab",
        "--override-gate",
        "because",
    ]);
    assert_eq!(several.code, 2, "{}", several.all());
}
