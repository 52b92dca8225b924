//! Whole repairs by the real binary: from broken to verified, and back.

use clearway_lab::{Lab, LabSupport};

use crate::binary::clearway;
use crate::support::{left_beside, picture, sh};

pub(crate) fn pictures(lab: &Lab) -> Vec<String> {
    lab.nodes().iter().map(picture).collect()
}

/// A lab whose nodes have no keys of Nova's and do not know each other.
pub(crate) fn bare(nodes: usize) -> Option<Lab> {
    if LabSupport::skips_test() {
        return None;
    }
    let lab = Lab::builder().nodes(nodes).start().unwrap();
    for node in lab.nodes() {
        sh(
            node,
            "rm -rf /var/lib/nova/.ssh; rm -f /etc/ssh/ssh_known_hosts",
        );
    }
    Some(lab)
}

#[test]
fn nodes_without_keys_become_a_verified_mesh_and_undo_gives_everything_back() {
    let Some(lab) = bare(3) else { return };
    let before = pictures(&lab);

    let shown = clearway(&lab, &["repair", "--diff"]);
    assert_eq!(shown.code(), 1, "{shown:?}");
    assert_eq!(pictures(&lab), before);
    let asked = clearway(&lab, &["repair"]);
    assert_eq!(asked.code(), 1, "{asked:?}");
    assert!(
        asked.err.contains("there is no terminal to ask on"),
        "{asked:?}"
    );
    assert_eq!(pictures(&lab), before);

    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    let report = repaired.report();
    assert_eq!(repaired.code(), 0, "{:#?}\n{}", report.repair, repaired.err);
    assert_eq!(report.summary.pairs.verified, 6);
    let repair = report.repair.as_ref().unwrap();
    assert!(repair.complete && repair.applied);
    assert!(
        repair.nodes.iter().all(|node| node.outcome == "kept"),
        "{repair:#?}"
    );

    let after = pictures(&lab);
    let again = clearway(&lab, &["repair", "--yes"]);
    assert_eq!(again.code(), 0, "{again:?}");
    assert!(
        again.err.contains("nothing to repair: 0 files written"),
        "{again:?}"
    );
    assert_eq!(pictures(&lab), after);
    // It was proven a moment ago, and no file has changed since: nobody logs in to another node to find that out.
    assert!(
        again
            .out
            .contains("proven by earlier runs, with nothing changed at either end since: 6 pairs"),
        "{again:?}"
    );
    let proven = clearway(
        &lab,
        &["repair", "--yes", "--pairs", "all", "--format", "json"],
    );
    assert_eq!(proven.code(), 0, "{proven:?}");
    assert_eq!(proven.report().summary.pairs.verified, 6);
    assert_eq!(pictures(&lab), after);

    let undone = clearway(&lab, &["repair", "undo", &report.run, "--yes"]);
    assert_eq!(undone.code(), 0, "{undone:?}");
    assert_eq!(pictures(&lab), before);
    for node in lab.nodes() {
        assert_eq!(left_beside(node), [""; 0]);
    }
    let twice = clearway(&lab, &["repair", "undo", &report.run, "--yes"]);
    assert_eq!(twice.code(), 2, "{twice:?}");
}

#[test]
fn only_what_has_changed_is_looked_at_until_something_must_be_done_and_then_everything() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(3).start().unwrap();
    let checked = clearway(&lab, &["check", "--format", "json"]);
    assert_eq!(checked.code(), 0, "{checked:?}");
    sh(lab.node("node2"), ": >/var/lib/nova/.ssh/known_hosts");
    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    let report = repaired.report();
    assert_eq!(repaired.code(), 0, "{repaired:?}");
    assert_eq!(report.summary.pairs.verified, 6, "{:#?}", report.summary);
    assert_eq!(report.settings.pairs, "all");
    assert_eq!(report.proven_earlier, None);
    let written = &report.repair.as_ref().unwrap().nodes;
    assert!(
        written.iter().all(|node| node.name == "node2"),
        "{written:#?}"
    );
}

#[test]
fn where_nothing_can_be_written_it_says_that_something_is_broken_all_the_same() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(2).start().unwrap();
    sh(lab.node("node2"), "chage -E 0 nova");
    let before = pictures(&lab);
    let repaired = clearway(&lab, &["repair", "--yes"]);
    assert_eq!(repaired.code(), 1, "{repaired:?}");
    assert!(
        repaired.err.contains(
            "nothing that a repair could write: 0 files written; what is broken or not known is below"
        ),
        "{}",
        repaired.err
    );
    assert!(!repaired.err.contains("nothing to repair"), "{repaired:?}");
    assert!(repaired.out.contains("account-expired"), "{repaired:?}");
    assert_eq!(pictures(&lab), before);
}

#[test]
fn a_plan_is_applied_as_it_was_reviewed_or_not_at_all() {
    let Some(lab) = bare(2) else { return };
    let plan = lab.dir().join("plan.json");
    let plan = plan.to_str().unwrap();
    let made = clearway(&lab, &["repair", "--out", plan]);
    assert_eq!(made.code(), 1, "{made:?}");
    sh(
        lab.node("node2"),
        "mkdir -m 700 /var/lib/nova/.ssh; echo x >/var/lib/nova/.ssh/known_hosts; chown -R nova /var/lib/nova/.ssh",
    );
    let before = pictures(&lab);
    let refused = clearway(&lab, &["repair", "--plan", plan, "--yes"]);
    assert_eq!(refused.code(), 2, "{refused:?}");
    assert!(refused.err.contains("known_hosts"), "{}", refused.err);
    assert_eq!(pictures(&lab), before);
    sh(lab.node("node2"), "rm -r /var/lib/nova/.ssh");
    let applied = clearway(&lab, &["repair", "--plan", plan, "--yes"]);
    assert_eq!(applied.code(), 0, "{applied:?}");

    // Told again, there is nothing left of it; and where a part is missing, that part alone.
    let after = pictures(&lab);
    let again = clearway(&lab, &["repair", "--plan", plan, "--yes"]);
    assert_eq!(again.code(), 0, "{again:?}");
    let said = "every file is as the plan leaves it: 0 files written";
    assert!(again.err.contains(said), "{again:?}");
    assert_eq!(pictures(&lab), after);
    let keys = "cat /var/lib/nova/.ssh/authorized_keys";
    let admitted = sh(lab.node("node2"), keys);
    sh(lab.node("node2"), "rm /var/lib/nova/.ssh/authorized_keys");
    let rest = clearway(
        &lab,
        &["repair", "--plan", plan, "--yes", "--format", "json"],
    );
    assert_eq!(rest.code(), 0, "{rest:?}");
    let nodes = rest.report().repair.unwrap().nodes;
    let written: Vec<_> = nodes
        .iter()
        .map(|it| (&*it.name, it.edits, it.keys))
        .collect();
    assert_eq!(written, [("node2", 1, 0)]);
    assert_eq!(sh(lab.node("node2"), keys), admitted);

    let taken = clearway(&lab, &["repair", "--out", plan]);
    assert_eq!(taken.code(), 2, "{taken:?}");
    assert!(
        !taken.err.contains("surveyed"),
        "before anything is looked at: {taken:?}"
    );
}

#[test]
fn what_a_later_repair_rests_on_is_not_put_back_before_it() {
    let Some(lab) = bare(3) else { return };
    let before = pictures(&lab);
    let run = |words: &[&str]| {
        let done = clearway(&lab, &[words, &["--yes", "--format", "json"]].concat());
        let report = done.report();
        assert!(report.repair.as_ref().unwrap().complete, "{done:?}");
        report.run
    };
    let first = run(&["repair", "--limit", "node[1-2]"]);
    let second = run(&["repair"]);
    let after = pictures(&lab);
    let refused = clearway(&lab, &["repair", "undo", &first, "--yes"]);
    assert_eq!(refused.code(), 2, "{refused:?}");
    for said in [&second, "came after run", &first, " first"] {
        assert!(refused.err.contains(said), "{said}: {}", refused.err);
    }
    assert_eq!(pictures(&lab), after);
    for one in [&second, &first] {
        let undone = clearway(&lab, &["repair", "undo", one, "--yes"]);
        assert_eq!(undone.code(), 0, "{undone:?}");
    }
    assert_eq!(pictures(&lab), before);
}

#[test]
fn a_pair_that_worked_and_fails_afterwards_puts_back_the_files_of_both_ends() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(3).start().unwrap();
    let node = lab.node("node2");
    // Neither node1 nor node2 knows node3 any more, and node2 does not know node1; but node1 can still log in to node2.
    for name in ["node1", "node2"] {
        let forget = "sed -i '/10.77.0.4/d;/node3/d' /var/lib/nova/.ssh/known_hosts";
        sh(lab.node(name), forget);
    }
    sh(node, ": >/var/lib/nova/.ssh/known_hosts");
    // As soon as a file of node2 is edited, node2 lets nobody in: not what clearway did, but what it sees.
    let sabotage = "#!/bin/sh\n/usr/bin/mv \"$@\" || exit\ncase $* in *./n*known_hosts) echo DenyUsers nova >/etc/ssh/sshd_config.d/00-deny.conf; kill -HUP $(cat /run/sshd.pid);; esac\n";
    std::fs::write(node.path("/usr/local/sbin/mv"), sabotage).unwrap();
    sh(node, "chmod 755 /usr/local/sbin/mv");
    let of = |name: &str| {
        let files =
            "cat /var/lib/nova/.ssh/known_hosts; stat -c '%a %U' /var/lib/nova/.ssh/known_hosts";
        sh(lab.node(name), files)
    };
    let before = [of("node1"), of("node2")];
    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    let report = repaired.report();
    assert_eq!(repaired.code(), 1, "{}", repaired.err);
    let repair = report.repair.as_ref().unwrap();
    for name in ["node1", "node2"] {
        let put_back = repair.nodes.iter().find(|node| node.name == name);
        let put_back = put_back.unwrap();
        assert_eq!(put_back.outcome, "undone", "{name}: {repair:#?}");
        let why = put_back.detail.as_deref().unwrap();
        assert!(
            why.contains("to node2 worked before and does not any more"),
            "{name}: {why}"
        );
    }
    assert!(repair.complete);
    assert_eq!([of("node1"), of("node2")], before);
}

#[test]
fn a_node_that_lies_has_nothing_written_elsewhere_but_its_own_keys_under_its_own_names() {
    let Some(lab) = bare(3) else { return };
    let liar = lab.node("node2");
    sh(
        liar,
        "install -d -m 700 -o nova -g nova /var/lib/nova/.ssh
         ssh-keygen -q -t ed25519 -N '' -C root@evil -f /var/lib/nova/.ssh/id_ed25519
         printf 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJpSdtQ0A8LgEs+NJTrtoVYF6x0hhAzcn4+DNKFGkAbc injected\n' >>/var/lib/nova/.ssh/id_ed25519.pub
         chown nova: /var/lib/nova/.ssh/*
         for p in /etc/ssh/ssh_host_*_key.pub; do
             sed -i 's/$/ * evil/' $p
             printf '@cert-authority * ' >>$p
             head -n 1 $p >>$p
             printf '10.77.0.4,node3 ' >>$p
             head -n 1 $p >>$p
         done
         printf '10.77.0.3 node2\n* evil\n' >>/etc/hosts",
    );
    let public = sh(liar, "ssh-keygen -y -f /var/lib/nova/.ssh/id_ed25519");
    let public = public.split(' ').nth(1).unwrap();
    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    assert_eq!(repaired.code(), 0, "{repaired:?}");
    assert_eq!(repaired.report().summary.pairs.verified, 6);
    let host_key = sh(
        liar,
        "ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key | cut -d' ' -f2",
    );
    for name in ["node1", "node3"] {
        let node = lab.node(name);
        let admitted = sh(node, "cat /var/lib/nova/.ssh/authorized_keys");
        let known = sh(
            node,
            "cat /var/lib/nova/.ssh/known_hosts /etc/ssh/ssh_known_hosts 2>/dev/null; true",
        );
        assert!(admitted.contains(public), "{name}: {admitted}");
        assert!(known.contains(&host_key), "{name}: {known}");
        for word in ["evil", "injected", "cert-authority", "*"] {
            assert!(!admitted.contains(word), "{name}: {word}: {admitted}");
            assert!(!known.contains(word), "{name}: {word}: {known}");
        }
        for line in known.lines().filter(|line| line.contains(&host_key)) {
            assert!(!line.contains("node3"), "{name}: {line}");
            assert!(!line.contains("10.77.0.4"), "{name}: {line}");
        }
    }
}
