//! Where a repair writes, and where it does not: files of unusual names, links, homes that are not there.

use clearway_lab::{Lab, LabSupport};

use crate::binary::{Done, clearway};
use crate::support::sh;
use crate::whole::pictures;

fn healthy(nodes: usize) -> Option<Lab> {
    (!LabSupport::skips_test()).then(|| Lab::builder().nodes(nodes).start().unwrap())
}

fn repaired(lab: &Lab) -> Done {
    clearway(lab, &["repair", "--yes", "--format", "json"])
}

/// Repairs until all pairs are verified, in one run, and looks that the next one writes nothing.
fn becomes_verified(lab: &Lab, pairs: u64) {
    let done = repaired(lab);
    assert_eq!(done.code(), 0, "{done:?}");
    let report = done.report();
    assert_eq!(report.summary.pairs.verified, pairs, "{done:?}");
    assert_eq!(report.repair.unwrap().earlier, [""; 0], "in one round");
    let after = pictures(lab);
    let again = clearway(lab, &["repair", "--yes", "--pairs", "all"]);
    assert_eq!(again.code(), 0, "{again:?}");
    assert!(again.err.contains("0 files written"), "{again:?}");
    assert_eq!(pictures(lab), after);
}

#[test]
fn host_keys_go_into_the_file_that_the_account_has_named_and_into_no_other() {
    let Some(lab) = healthy(2) else { return };
    let node = lab.node("node1");
    sh(
        node,
        "printf 'Host *\\n UserKnownHostsFile ~/.ssh/hosts-of-nova\\n' >/var/lib/nova/.ssh/config; chown nova: /var/lib/nova/.ssh/config",
    );
    let global = "cat /etc/ssh/ssh_known_hosts 2>/dev/null; true";
    let before = sh(node, global);
    becomes_verified(&lab, 2);
    assert_eq!(sh(node, global), before);
    let written = sh(node, "cat /var/lib/nova/.ssh/hosts-of-nova");
    assert!(written.contains("node2"), "{written}");

    // Where it does not write, nobody else is made to trust the key in its place.
    sh(
        node,
        "sed -i 's,~/.ssh/hosts-of-nova,/var/lib/nova/hosts,' /var/lib/nova/.ssh/config",
    );
    let left = repaired(&lab);
    assert_eq!(left.code(), 1, "{left:?}");
    assert_eq!(sh(node, global), before);
    let said = "ssh reads host keys from /var/lib/nova/hosts, which repair does not write";
    let repair = left.report().repair.unwrap();
    assert!(repair.left.iter().any(|it| it.why == said), "{repair:#?}");
    let circular = |it: &clearway::report::LeftReport| it.remedy.contains("clearway repair");
    assert!(!repair.left.iter().any(circular), "{repair:#?}");
}

#[test]
fn keys_go_into_the_file_that_sshd_reads_for_the_node_that_comes() {
    let Some(lab) = healthy(3) else { return };
    let node = lab.node("node1");
    sh(
        node,
        "printf 'Match User nova Address 10.77.0.3\\n AuthorizedKeysFile .ssh/of-node2\\nMatch User nova\\n AuthorizedKeysFile /etc/ssh/keys/%%u\\n' >/etc/ssh/sshd_config.d/00-keys.conf
         kill -HUP $(cat /run/sshd.pid)",
    );
    let done = repaired(&lab);
    assert_eq!(done.code(), 0, "{done:?}");
    assert_eq!(done.report().summary.pairs.verified, 6, "{done:?}");
    let names = |path: &str| {
        let lines = sh(node, &format!("grep -o 'clearway:node.' {path} | sort -u"));
        lines.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("/var/lib/nova/.ssh/of-node2"), ["clearway:node2"]);
    assert_eq!(names("/etc/ssh/keys/nova"), ["clearway:node3"]);
    let owner = sh(node, "stat -c '%U %a' /etc/ssh/keys/nova");
    assert_eq!(owner, "root 644");
}

#[test]
fn a_link_on_the_way_is_left_to_a_person_and_nothing_is_begun() {
    let Some(lab) = healthy(2) else { return };
    let node = lab.node("node1");
    sh(
        node,
        "cd /var/lib/nova; : >.ssh/known_hosts; mv .ssh data; ln -s data .ssh; chown -h nova: .ssh",
    );
    let before = pictures(&lab);
    let left = repaired(&lab);
    assert_eq!(left.code(), 1, "{left:?}");
    assert_eq!(pictures(&lab), before);
    let repair = left.report().repair.unwrap();
    assert!(
        repair
            .left
            .iter()
            .any(|it| it.why.contains("symbolic link")),
        "{repair:#?}"
    );
    assert!(repair.nodes.iter().all(|it| it.outcome != "unknown"));
}

#[test]
fn a_home_that_is_not_there_is_named_with_what_to_type_and_the_others_are_left_alone() {
    let Some(lab) = healthy(3) else { return };
    sh(lab.node("node1"), "mv /var/lib/nova /var/lib/gone");
    let before = pictures(&lab);
    let left = repaired(&lab);
    assert_eq!(left.code(), 1, "{left:?}");
    assert_eq!(pictures(&lab), before);
    let repair = left.report().repair.unwrap();
    let home = "the home of nova on node1, /var/lib/nova, is not there";
    let said = repair.left.iter().find(|it| it.why == home);
    let said = said.unwrap_or_else(|| panic!("{repair:#?}"));
    let typed = said.remedy.split('`').nth(1).unwrap();
    assert!(typed.starts_with("install -d "), "{typed}");
    sh(lab.node("node1"), typed);
    let owner = sh(lab.node("node1"), "stat -c %U /var/lib/nova");
    assert_eq!(owner, "nova");
    let done = repaired(&lab);
    let made = done.report().repair.unwrap().nodes;
    assert!(
        made.iter().any(|it| it.name == "node1" && it.keys == 1),
        "{made:#?}"
    );
}

#[test]
fn where_a_key_cannot_be_made_no_other_node_is_written_for_it() {
    let Some(lab) = healthy(3) else { return };
    let node = lab.node("node1");
    // No key, and no place for one: the directory that it would go to is full.
    sh(
        node,
        "cd /var/lib/nova/.ssh; cp -a . /root/kept; rm -f id_*; mount -t tmpfs -o size=4k,mode=700,uid=$(id -u nova),gid=$(id -g nova) none . && cp -p /root/kept/authorized_keys . 2>/dev/null; dd if=/dev/zero of=full bs=4k count=9 2>/dev/null; true",
    );
    for name in ["node2", "node3"] {
        sh(
            lab.node(name),
            "sed -i '/nova@node1/d' /var/lib/nova/.ssh/authorized_keys",
        );
    }
    let picture = |name: &str| {
        sh(
            lab.node(name),
            "stat -c '%i %Z %s' /var/lib/nova/.ssh/authorized_keys",
        )
    };
    let before = [picture("node2"), picture("node3")];
    let done = repaired(&lab);
    assert_eq!(done.code(), 1, "{done:?}");
    assert_eq!([picture("node2"), picture("node3")], before, "{done:?}");
    let repair = done.report().repair.unwrap();
    for it in repair.nodes.iter().filter(|it| it.name != "node1") {
        assert_eq!(
            (it.outcome.as_str(), it.edits, it.keys),
            ("kept", 0, 0),
            "{it:?}"
        );
    }
}

#[test]
fn no_key_goes_into_a_file_that_sshd_reads_for_root_as_well() {
    let Some(lab) = healthy(2) else { return };
    let node = lab.node("node1");
    let of_all = "/etc/ssh/authorized_keys";
    let configure = |files: &str| {
        sh(
            node,
            &format!(
                "echo AuthorizedKeysFile {files} >/etc/ssh/sshd_config.d/00-keys.conf; kill -HUP $(cat /run/sshd.pid)"
            ),
        )
    };
    // Clearway's own account, and nobody of the other node.
    sh(
        node,
        &format!(
            "cat ~deploy/.ssh/authorized_keys >{of_all}; : >/var/lib/nova/.ssh/authorized_keys"
        ),
    );
    let before = sh(node, &format!("cat {of_all}"));
    configure(&format!("{of_all} %h/.ssh/authorized_keys"));
    becomes_verified(&lab, 2);
    assert_eq!(sh(node, &format!("cat {of_all}")), before);

    configure(of_all);
    let left = repaired(&lab);
    assert_eq!(left.code(), 1, "{left:?}");
    assert_eq!(sh(node, &format!("cat {of_all}")), before);
    let repair = left.report().repair.unwrap();
    let said =
        |it: &clearway::report::LeftReport| it.why.contains("lets its owner in as root as well");
    assert!(repair.left.iter().any(said), "{repair:#?}");
}
