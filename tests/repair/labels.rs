//! SELinux labels: seen, explained, set, put back, whatever happens meanwhile.

use std::collections::BTreeMap;

use clearway::domain::Severity;
use clearway::repair::{Edit, FileState, Job, Operation, Plan, Relabel, Said, Sighting, Standing};
use clearway_lab::{Lab, LabSupport, Node};

use crate::binary::clearway;
use crate::selinux::{NEW, OLD, add, enforce, label, labels, mislabel};
use crate::support::{
    AUTHORIZED_KEYS, KNOWN_HOSTS, RUN, apply, edit, file, left_beside, nonce, nova, now, one_node,
    picture, plan, program, refusals, run_in, sh, undo,
};
use crate::wrapped::{At, arm, disarm, wrap};

const SSH: &str = "/var/lib/nova/.ssh";

fn labelled(path: &str, before: FileState, after: FileState) -> Edit {
    Edit {
        label: Some(Relabel {
            before: OLD.to_owned(),
            after: NEW.to_owned(),
        }),
        ..edit(path, before, after)
    }
}

/// An edit of a label alone.
fn label_alone(node: &Node, path: &str) -> Edit {
    let is = now(node, path).without_text();
    labelled(path, is.clone(), is)
}

/// A directory and a file that are mislabelled, and one whose bytes change, too.
fn every_kind(node: &Node) -> Plan {
    mislabel(node, ".ssh .ssh/authorized_keys .ssh/known_hosts");
    let edits = vec![
        label_alone(node, SSH),
        labelled(
            AUTHORIZED_KEYS,
            now(node, AUTHORIZED_KEYS),
            file(nova(node, 0o600), b"ours\n"),
        ),
        label_alone(node, KNOWN_HOSTS),
    ];
    plan(node, edits, Vec::new())
}

fn lab_with_labels() -> Option<Lab> {
    one_node().filter(|lab| add(lab.node("node1")))
}

#[test]
fn labels_are_set_with_the_bytes_and_alone_and_put_back_with_them() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    let plan = every_kind(node);
    let (before, original) = (labels(node), picture(node));
    let answer = apply(node, &plan);
    assert_eq!(
        answer.said,
        [1, 0, 1, 2].map(Said::Wrote),
        "the file, then the labels: {answer:?}"
    );
    for path in [SSH, AUTHORIZED_KEYS, KNOWN_HOSTS] {
        assert_eq!(label(node, path), NEW, "{path}");
    }
    assert_eq!(
        now(node, AUTHORIZED_KEYS),
        file(nova(node, 0o600), b"ours\n")
    );
    assert_eq!(
        left_beside(node),
        [
            format!("{SSH}.clearway-{RUN}.label"),
            format!("{AUTHORIZED_KEYS}.clearway-{RUN}"),
            format!("{AUTHORIZED_KEYS}.clearway-{RUN}.label"),
            format!("{KNOWN_HOSTS}.clearway-{RUN}.label"),
        ]
    );
    let done = (labels(node), picture(node));
    let again = apply(node, &plan);
    assert_eq!(
        again.said,
        [1, 0, 1, 2].map(|it| Said::Same(it, true)),
        "{again:?}"
    );
    assert_eq!((labels(node), picture(node)), done);

    for _ in 0..2 {
        let answer = undo(node, &plan);
        assert_eq!(refusals(&answer), [""; 0]);
        assert_eq!(
            (labels(node), picture(node)),
            (before.clone(), original.clone())
        );
        assert_eq!(left_beside(node), [""; 0]);
    }
}

#[test]
fn every_shell_of_a_node_can_set_labels() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    let plan = every_kind(node);
    let before = labels(node);
    for shell in [
        &["/bin/dash"][..],
        &["/bin/bash"],
        &["/bin/bash", "--posix"],
    ] {
        let program = program(&plan, node, Operation::Apply);
        let output = run_in(node, shell, &program);
        let answer = program.read(&output.stdout).unwrap();
        assert_eq!(answer.said, [1, 0, 1, 2].map(Said::Wrote), "{shell:?}");
        assert_eq!(label(node, SSH), NEW, "{shell:?}");
        undo(node, &plan);
        assert_eq!(labels(node), before, "{shell:?}");
    }
}

#[test]
fn a_file_that_is_a_mount_point_gets_its_label_in_place() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    for (file, mounted) in [(KNOWN_HOSTS, "/root/a"), (AUTHORIZED_KEYS, "/root/b")] {
        sh(
            node,
            &format!("cp -p {file} {mounted} && mount --bind {mounted} {file}"),
        );
    }
    let plan = every_kind(node);
    let (before, original) = (labels(node), picture(node));
    assert_eq!(refusals(&apply(node, &plan)), [""; 0]);
    for path in [SSH, AUTHORIZED_KEYS, KNOWN_HOSTS, "/root/a", "/root/b"] {
        assert_eq!(label(node, path), NEW, "{path}");
    }
    assert_eq!(refusals(&undo(node, &plan)), [""; 0]);
    assert_eq!(labels(node), before);
    // What is written in place has another time.
    let without_times = |picture: &str| -> Vec<String> {
        let words = picture.split_whitespace();
        words
            .filter(|it| !it.contains(".0000") && it.parse::<f64>().is_err())
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(without_times(&picture(node)), without_times(&original));
    assert_eq!(left_beside(node), [""; 0]);
}

#[test]
fn a_look_at_a_node_tells_labels_from_each_other() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    mislabel(node, ".ssh");
    let plan = plan(node, vec![label_alone(node, SSH)], Vec::new());
    let seen = |standing, marked| [Said::Seen(0, Sighting { standing, marked })];
    let look = || crate::support::run(node, &plan, Operation::Observe).said;
    assert_eq!(look(), seen(Standing::Before, false));
    apply(node, &plan);
    assert_eq!(look(), seen(Standing::After, true));
    sh(node, &format!("chcon u:object_r:etc_t:s0 {SSH}"));
    assert_eq!(look(), seen(Standing::Other, true));
}

#[test]
fn a_label_that_somebody_has_changed_since_stays_and_so_does_that_of_a_file_that_stays() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    let plan = every_kind(node);
    apply(node, &plan);
    let theirs = "u:object_r:etc_t:s0";
    sh(
        node,
        &format!("chcon {theirs} {KNOWN_HOSTS} && echo theirs >>{AUTHORIZED_KEYS}"),
    );
    let answer = undo(node, &plan);
    assert_eq!(
        refusals(&answer),
        [AUTHORIZED_KEYS, KNOWN_HOSTS]
            .map(|path| format!("`{path}` has changed since it was looked at"))
    );
    assert_eq!(label(node, SSH), OLD);
    assert_eq!(label(node, AUTHORIZED_KEYS), NEW);
    assert_eq!(label(node, KNOWN_HOSTS), theirs);
}

#[test]
fn a_file_that_is_written_anew_by_an_undo_has_its_old_label() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    let plan = every_kind(node);
    let before = labels(node);
    apply(node, &plan);
    sh(node, &format!("rm {AUTHORIZED_KEYS}.clearway-{RUN}"));
    let wrote = [0, 1, 2].into();
    let operation = Operation::Undo {
        wrote,
        commands: false,
    };
    let answer = crate::support::run(node, &plan, operation);
    assert_eq!(refusals(&answer), [""; 0]);
    assert_eq!(labels(node), before);
    assert_eq!(left_beside(node), [""; 0]);
}

#[test]
fn a_label_comes_back_without_the_note_of_it_too() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    let plan = every_kind(node);
    let before = labels(node);
    apply(node, &plan);
    sh(
        node,
        "rm -r /var/lib/nova/.ssh*.label /var/lib/nova/.ssh/*.label",
    );
    let undo = |wrote| {
        let commands = false;
        crate::support::run(node, &plan, Operation::Undo { wrote, commands })
    };
    let answer = undo([0, 1, 2].into());
    assert_eq!(refusals(&answer), [""; 0]);
    assert_eq!(labels(node), before);
    // What this run has not set is none of its business.
    sh(node, &format!("chcon {NEW} {SSH}"));
    undo([1].into());
    assert_eq!(label(node, SSH), NEW);
}

#[test]
fn a_forgotten_run_leaves_no_notes_of_labels() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    let plan = every_kind(node);
    apply(node, &plan);
    let done = labels(node);
    crate::support::run(node, &plan, Operation::Forget);
    assert_eq!(left_beside(node), [""; 0]);
    assert_eq!(labels(node), done);
}

#[test]
fn a_label_that_is_not_the_planned_one_any_more_refuses_the_node() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    let plan = every_kind(node);
    let moved = format!("mv {SSH} /root/moved && ln -s /root/moved {SSH}");
    let (links, back) = (
        format!("rm {SSH} && mv /root/moved {SSH}"),
        format!("chcon {OLD} {SSH}"),
    );
    for (what, spoil, mend) in [
        (
            "another label",
            "chcon u:object_r:etc_t:s0 /var/lib/nova/.ssh",
            &*back,
        ),
        ("a link", &*moved, &*links),
        (
            "another policy than was told",
            "sed -i s/ssh_home_t/other_t/ /etc/selinux/file_contexts",
            "sed -i s/other_t/ssh_home_t/ /etc/selinux/file_contexts",
        ),
        (
            "another mode",
            "chmod 640 /var/lib/nova/.ssh/known_hosts",
            "chmod 644 /var/lib/nova/.ssh/known_hosts",
        ),
        (
            "another's file",
            "cd /var/lib/nova/.ssh && mv known_hosts /root/k && cp -p /etc/shadow known_hosts && chcon unconfined_u:object_r:var_lib_t:s0 known_hosts",
            "mv /root/k /var/lib/nova/.ssh/known_hosts",
        ),
    ] {
        sh(node, spoil);
        let before = (labels(node), picture(node));
        let answer = apply(node, &plan);
        assert!(!refusals(&answer).is_empty(), "{what}: {answer:?}");
        assert_eq!((labels(node), picture(node)), before, "{what}");
        assert_eq!(left_beside(node), [""; 0], "{what}");
        sh(node, mend);
    }
    assert_eq!(refusals(&apply(node, &plan)), [""; 0]);
}

#[test]
fn a_file_that_takes_the_place_of_another_as_it_gets_its_label_keeps_its_own() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    mislabel(node, ".ssh/known_hosts");
    let plan = plan(node, vec![label_alone(node, KNOWN_HOSTS)], Vec::new());
    sh(
        node,
        "echo theirs >/run/theirs && chcon u:object_r:shadow_t:s0 /run/theirs",
    );
    let script = format!(
        "#!/bin/sh\n/usr/bin/cp -a /run/theirs {KNOWN_HOSTS}.x && /usr/bin/mv {KNOWN_HOSTS}.x {KNOWN_HOSTS}\nexec /usr/bin/chcon \"$@\"\n"
    );
    std::fs::write(node.path("/usr/local/sbin/chcon"), script).unwrap();
    sh(node, "chmod 755 /usr/local/sbin/chcon");
    let answer = apply(node, &plan);
    assert_eq!(
        refusals(&answer)[..1],
        [format!(
            "`{KNOWN_HOSTS}` has changed since it was looked at"
        )]
    );
    assert_eq!(sh(node, &format!("cat {KNOWN_HOSTS}")), "theirs");
    assert_eq!(label(node, KNOWN_HOSTS), "u:object_r:shadow_t:s0");
}

/// Everything that a program with labels runs.
const COMMANDS: &[&str] = &[
    "stat",
    "mkdir",
    "ln",
    "cp",
    "mv",
    "rm",
    "rmdir",
    "sync",
    "sha256sum",
    "chown",
    "chmod",
    "chcon",
    "awk",
];

#[test]
fn killed_at_any_command_each_label_is_old_or_new_and_either_way_ends_well() {
    let Some(lab) = lab_with_labels() else { return };
    let node = lab.node("node1");
    let plan = every_kind(node);
    let original = (labels(node), picture(node));
    let made = {
        apply(node, &plan);
        let made = labels(node);
        undo(node, &plan);
        made
    };
    wrap(node, COMMANDS);
    let back = || Operation::Undo {
        wrote: [].into(),
        commands: false,
    };
    let mut kills = 0;
    for operation in [Operation::Apply, back()] {
        for how in [At::Before, At::After] {
            for at in 1.. {
                let when = format!("{operation:?} killed {how:?} command {at}");
                if operation == back() {
                    apply(node, &plan);
                }
                let job = Job::new(&plan, node.name(), &BTreeMap::new()).unwrap();
                let killed = job.program(operation.clone(), RUN, "killed", nonce());
                arm(node, at, how);
                let output = run_in(node, &["/usr/bin/setsid", "-w", "/bin/sh"], &killed);
                disarm(node);
                sh(
                    node,
                    "[ ! -e /run/clearway.lock ] || flock -w 10 /run/clearway.lock true",
                );
                for planned in &plan.nodes[0].edits {
                    let path = &planned.target.path;
                    let found = label(node, path);
                    assert!([OLD, NEW].contains(&&*found), "{when}: {path} {found}");
                    let note = format!("{path}.clearway-{RUN}.label");
                    assert!(
                        found == OLD || node.path(&note).exists(),
                        "{when}: {path} has no way back"
                    );
                }
                if at % 2 == 0 && operation == Operation::Apply {
                    assert_eq!(refusals(&apply(node, &plan)), [""; 0], "{when}");
                    assert_eq!(labels(node), made, "{when}");
                }
                assert_eq!(refusals(&undo(node, &plan)), [""; 0], "{when}");
                assert_eq!((labels(node), picture(node)), original, "{when}");
                assert_eq!(left_beside(node), [""; 0], "{when}");
                if killed.read(&output.stdout).is_ok() {
                    break;
                }
                kills += 1;
            }
        }
    }
    println!("{kills} kills");
    assert!(kills > 60, "{kills}");
}

#[test]
fn a_node_without_planned_labels_is_not_asked_for_any() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let known = edit(
        KNOWN_HOSTS,
        now(node, KNOWN_HOSTS),
        file(nova(node, 0o644), b"ours\n"),
    );
    let plan = plan(node, vec![known], Vec::new());
    let script = program(&plan, node, Operation::Apply).script();
    assert!(script.contains("labels() {\n:\n}"), "{script}");
    assert!(!script.contains("\nL "), "{script}");
}

fn two_nodes() -> Option<Lab> {
    if LabSupport::skips_test() {
        return None;
    }
    let lab = Lab::builder().nodes(2).start().unwrap();
    lab.nodes().iter().all(add).then_some(lab)
}

#[test]
fn wrong_labels_are_told_and_break_nothing_by_themselves() {
    let Some(lab) = two_nodes() else { return };
    let checked = clearway(&lab, &["check", "--format", "json"]);
    assert_eq!(checked.code(), 0, "{checked:?}");
    assert_eq!(checked.report().findings, []);

    let node = lab.node("node2");
    mislabel(node, ".ssh .ssh/authorized_keys");
    sh(node, "printf 0 >/sys/fs/selinux/enforce");
    let checked = clearway(&lab, &["check", "--format", "json"]);
    assert_eq!(checked.code(), 0, "{checked:?}");
    let report = checked.report();
    let told: Vec<_> = report
        .findings
        .iter()
        .map(|it| {
            (
                it.code.as_str(),
                it.severity,
                it.nodes.as_str(),
                it.detail.clone(),
            )
        })
        .collect();
    let detail = |path: &str| {
        format!("{path} has the label {OLD}, the policy gives it {NEW}, which is not enforced now")
    };
    assert_eq!(
        told,
        [SSH, AUTHORIZED_KEYS].map(|path| (
            "wrong-label",
            Severity::Warning,
            "node2",
            detail(path)
        ))
    );
    let shown = clearway(&lab, &["repair", "--diff"]);
    assert_eq!(shown.code(), 0, "{shown:?}");

    // Without the program that knows the policy, labels are neither right nor wrong.
    sh(node, "rm /usr/local/sbin/restorecon");
    let checked = clearway(&lab, &["check", "--format", "json"]);
    let report = checked.report();
    assert_eq!(report.findings, []);
    let gaps = &report.nodes[1].gaps;
    assert!(gaps.iter().any(|it| it.contains("SELinux")), "{gaps:?}");
}

#[test]
fn a_login_that_is_refused_for_labels_is_explained_repaired_and_undone() {
    let Some(lab) = two_nodes() else { return };
    let node = lab.node("node2");
    mislabel(node, ".ssh .ssh/authorized_keys .ssh/known_hosts");
    enforce(node);
    let (before, original) = (labels(node), picture(node));
    let checked = clearway(&lab, &["check", "--format", "json"]);
    let report = checked.report();
    assert_eq!(checked.code(), 1, "{checked:?}");
    let codes = |report: &clearway::report::Report| -> Vec<_> {
        let broken = report.legs.iter().filter(|it| it.verdict == "broken");
        broken
            .map(|it| (it.server.clone(), it.code.clone().unwrap_or_default()))
            .collect()
    };
    let broken = codes(&report);
    let expected = ("node2".to_owned(), "authorized-keys-label".to_owned());
    assert!(!broken.is_empty(), "{report:#?}");
    assert!(broken.iter().all(|it| *it == expected), "{broken:?}");
    let leg = report
        .legs
        .iter()
        .find(|it| it.verdict == "broken")
        .unwrap();
    let evidence = format!("{:?}", leg.evidence);
    assert!(evidence.contains(OLD) && evidence.contains(NEW), "{leg:#?}");

    let shown = clearway(&lab, &["repair", "--diff"]);
    let said = format!("node2: label of {SSH}: {OLD} becomes {NEW}  authorized-keys-label");
    assert!(shown.out.contains(&said), "{}", shown.out);
    assert_eq!(labels(node), before);

    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    let report = repaired.report();
    assert_eq!(repaired.code(), 0, "{:#?}\n{}", report.repair, repaired.err);
    assert_eq!(codes(&report), []);
    for path in [SSH, AUTHORIZED_KEYS] {
        assert_eq!(label(node, path), NEW, "{path}");
    }
    // Nobody was refused for that one.
    assert_eq!(label(node, KNOWN_HOSTS), OLD);

    let again = clearway(&lab, &["repair", "--yes", "--pairs", "all"]);
    assert_eq!(again.code(), 0, "{again:?}");
    assert!(
        again.err.contains("nothing to repair: 0 files written"),
        "{again:?}"
    );
    let undone = clearway(&lab, &["repair", "undo", &report.run, "--yes"]);
    assert_eq!(undone.code(), 0, "{undone:?}");
    assert_eq!((labels(node), picture(node)), (before, original));
    assert_eq!(left_beside(node), [""; 0]);
}

#[test]
fn what_a_repair_writes_gets_its_label_on_the_way() {
    let Some(lab) = two_nodes() else { return };
    let node = lab.node("node2");
    sh(node, &format!(": >{AUTHORIZED_KEYS}; rm {KNOWN_HOSTS}"));
    mislabel(node, ".ssh .ssh/authorized_keys");
    let (before, original) = (labels(node), picture(node));
    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    let report = repaired.report();
    assert_eq!(repaired.code(), 0, "{:#?}\n{}", report.repair, repaired.err);
    for path in [SSH, AUTHORIZED_KEYS] {
        assert_eq!(label(node, path), NEW, "{path}");
    }
    let of_policy = "system_u:object_r:ssh_home_t:s0";
    assert_eq!(label(node, KNOWN_HOSTS), of_policy, "a new file");
    let undone = clearway(&lab, &["repair", "undo", &report.run, "--yes"]);
    assert_eq!(undone.code(), 0, "{undone:?}");
    assert_eq!((labels(node), picture(node)), (before, original));
}
