//! Edits on a node: made exactly, all or none, refused where they are not safe.

use std::collections::BTreeSet;

use clearway::repair::{
    AccountCommand, Attributes, Edit, FileState, Job, KeyCopy, KeySource, Operation, Said, Secrets,
    public_key,
};
use clearway_lab::Node;

use crate::support::{
    AUTHORIZED_KEYS, HOME, KNOWN_HOSTS, RUN, apply, edit, file, left_beside, new_key, nonce, nova,
    now, one_node, picture, plan, refusals, run, run_in, sh,
};

/// Bytes that shells and editors like to damage.
const AWKWARD: &[u8] =
    b"-n first\n\ttab, 100% \\n 'quoted' \"$HOME\" `id`\r\n\0\xff\xfe no newline";

fn both_files(node: &Node) -> Vec<Edit> {
    let known = now(node, KNOWN_HOSTS);
    let authorized = now(node, AUTHORIZED_KEYS);
    vec![
        edit(KNOWN_HOSTS, known, file(nova(node, 0o644), AWKWARD)),
        edit(
            AUTHORIZED_KEYS,
            authorized,
            file(nova(node, 0o600), b"new keys\n"),
        ),
    ]
}

#[test]
fn files_become_exactly_what_the_plan_says() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = plan(node, both_files(node), Vec::new());
    let answer = apply(node, &plan);
    assert_eq!(answer.said, [Said::Wrote(0), Said::Wrote(1)]);
    for planned in &plan.nodes[0].edits {
        assert_eq!(now(node, &planned.target.path), planned.after);
    }
    // The old files stay beside the new ones, and nothing else.
    let backups =
        [AUTHORIZED_KEYS, KNOWN_HOSTS].map(|it| format!("{it}.clearway-{}", crate::support::RUN));
    assert_eq!(left_beside(node), backups);
    for (backup, planned) in backups.iter().zip(plan.nodes[0].edits.iter().rev()) {
        assert_eq!(now(node, backup), planned.before);
    }
}

#[test]
fn a_second_time_nothing_is_written() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = plan(node, both_files(node), Vec::new());
    apply(node, &plan);
    let before = picture(node);
    let answer = apply(node, &plan);
    assert_eq!(answer.said, [Said::Same(0, true), Said::Same(1, true)]);
    assert_eq!(picture(node), before);
}

#[test]
fn every_shell_of_a_node_can_do_it() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    for shell in [
        &["/bin/dash"][..],
        &["/bin/bash"],
        &["/bin/bash", "--posix"],
    ] {
        let original = both_files(node);
        let plan = plan(node, original, Vec::new());
        let program = crate::support::program(&plan, node, Operation::Apply);
        let output = crate::support::run_in(node, shell, &program);
        let answer = program
            .read(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(answer.said, [Said::Wrote(0), Said::Wrote(1)], "{shell:?}");
        assert_eq!(now(node, KNOWN_HOSTS), plan.nodes[0].edits[0].after);
        crate::support::undo(node, &plan);
        assert_eq!(
            now(node, KNOWN_HOSTS),
            plan.nodes[0].edits[0].before,
            "{shell:?}"
        );
    }
}

#[test]
fn directories_and_files_in_them_are_made() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    sh(node, "rm -rf /var/lib/nova/.ssh");
    let ssh = format!("{HOME}/.ssh");
    let directory = FileState::Directory {
        attributes: nova(node, 0o700),
    };
    let key = new_key(node, &format!("{ssh}/id_ed25519"));
    let plan = plan(
        node,
        vec![
            edit(&ssh, FileState::Absent, directory.clone()),
            edit(
                KNOWN_HOSTS,
                FileState::Absent,
                file(nova(node, 0o600), b"line\n"),
            ),
        ],
        vec![key],
    );
    let answer = run(node, &plan, Operation::Keys);
    let [Said::Wrote(0), Said::Key(0, public)] = &answer.said[..] else {
        panic!("{answer:?}");
    };
    assert_eq!(
        apply(node, &plan).said,
        [Said::Same(0, true), Said::Wrote(1)]
    );
    assert_eq!(now(node, &ssh), directory);
    // The key is one, is the account's alone, and the account can use it.
    let usable = node
        .sh_as("nova", "ssh-keygen -y -P '' -f ~nova/.ssh/id_ed25519")
        .unwrap();
    let derived = String::from_utf8_lossy(&usable.stdout).into_owned();
    assert_eq!(derived.trim(), String::from_utf8_lossy(public));
    let modes = sh(
        node,
        "cd /var/lib/nova/.ssh && stat -c '%U:%G %a %n' id_ed25519 id_ed25519.pub known_hosts",
    );
    assert_eq!(
        modes,
        "nova:nova 600 id_ed25519\nnova:nova 644 id_ed25519.pub\nnova:nova 600 known_hosts"
    );
    // Asked again, it is the same key.
    let again = run(node, &plan, Operation::Keys);
    assert_eq!(
        again.said.last(),
        Some(&Said::Key(0, derived.trim().as_bytes().to_vec()))
    );
}

#[test]
fn a_key_makes_the_directory_that_it_needs_and_undo_removes_it() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    sh(node, "rm -rf /var/lib/nova/.ssh");
    let before = picture(node);
    let key = new_key(node, &format!("{HOME}/.ssh/id_ed25519"));
    let known = edit(
        KNOWN_HOSTS,
        FileState::Absent,
        file(nova(node, 0o600), b"line\n"),
    );
    let plan = plan(node, vec![known], vec![key]);
    let answer = run(node, &plan, Operation::Keys);
    assert!(matches!(answer.said[..], [Said::Key(0, _)]), "{answer:?}");
    let ssh = format!("{HOME}/.ssh");
    let directory = FileState::Directory {
        attributes: nova(node, 0o700),
    };
    assert_eq!(now(node, &ssh), directory);
    assert_eq!(apply(node, &plan).said, [Said::Wrote(0)]);
    crate::support::undo(node, &plan);
    assert_eq!(picture(node), before);
    // One that is there is left as it is, also by undo.
    sh(
        node,
        "mkdir -m 755 /var/lib/nova/.ssh; chown nova /var/lib/nova/.ssh",
    );
    let before = picture(node);
    run(node, &plan, Operation::Keys);
    assert_eq!(apply(node, &plan).said, [Said::Wrote(0)]);
    crate::support::undo(node, &plan);
    assert_eq!(picture(node), before);
}

#[test]
fn modes_and_owners_are_set_right() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    sh(
        node,
        "chmod 777 /var/lib/nova/.ssh; chown root:root /var/lib/nova/.ssh/known_hosts; chmod 666 /var/lib/nova/.ssh/authorized_keys",
    );
    let ssh = format!("{HOME}/.ssh");
    let bytes = |path| match now(node, path) {
        FileState::File { text, .. } => text.bytes(|_| None).unwrap(),
        other => panic!("{other:?}"),
    };
    let edits = vec![
        edit(
            &ssh,
            now(node, &ssh),
            FileState::Directory {
                attributes: nova(node, 0o700),
            },
        ),
        edit(
            KNOWN_HOSTS,
            now(node, KNOWN_HOSTS),
            file(nova(node, 0o644), &bytes(KNOWN_HOSTS)),
        ),
        edit(
            AUTHORIZED_KEYS,
            now(node, AUTHORIZED_KEYS),
            file(nova(node, 0o600), &bytes(AUTHORIZED_KEYS)),
        ),
    ];
    let plan = plan(node, edits, Vec::new());
    assert_eq!(
        apply(node, &plan).said,
        [Said::Wrote(0), Said::Wrote(1), Said::Wrote(2)]
    );
    for planned in &plan.nodes[0].edits {
        assert_eq!(now(node, &planned.target.path), planned.after);
    }
}

/// Plants something, applies both files, and expects a refusal in these words with everything as it was.
fn refused(plant: &str, words: &str) {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = plan(node, both_files(node), Vec::new());
    sh(node, plant);
    let before = picture(node);
    let answer = apply(node, &plan);
    let said = refusals(&answer);
    assert!(
        said.iter().any(|it| it.contains(words)),
        "{said:?}, {answer:?}"
    );
    assert_eq!(answer.written().count(), 0, "{answer:?}");
    assert_eq!(picture(node), before, "{answer:?}");
    sh(node, "chattr -R -i /var/lib/nova 2>/dev/null; true");
}

#[test]
fn a_file_that_has_changed_since_is_refused() {
    refused(
        &format!("echo more >>{AUTHORIZED_KEYS}"),
        "authorized_keys` has changed since it was looked at",
    );
}

#[test]
fn a_mode_that_has_changed_since_is_refused() {
    refused(
        &format!("chmod 640 {KNOWN_HOSTS}"),
        "known_hosts` has changed since",
    );
}

#[test]
fn a_link_in_the_place_of_a_file_is_refused() {
    refused(
        &format!("mv {KNOWN_HOSTS} {KNOWN_HOSTS}.real && ln -s {KNOWN_HOSTS}.real {KNOWN_HOSTS}"),
        "known_hosts` is a symbolic link",
    );
}

#[test]
fn a_link_in_the_place_of_a_directory_is_refused() {
    refused(
        "mv /var/lib/nova/.ssh /var/lib/nova/.real && ln -s .real /var/lib/nova/.ssh",
        "is a symbolic link, or lies behind one",
    );
}

#[test]
fn a_directory_of_another_account_is_refused() {
    refused(
        "chown deploy /var/lib/nova/.ssh",
        "lies in a directory of another account",
    );
}

#[test]
fn an_immutable_file_is_refused() {
    refused(
        &format!("chattr +i {AUTHORIZED_KEYS}"),
        "authorized_keys` is immutable",
    );
}

#[test]
fn an_immutable_directory_is_refused() {
    refused("chattr +i /var/lib/nova/.ssh", "is immutable");
}

#[test]
fn a_read_only_file_system_is_refused() {
    refused(
        "mount --bind /var/lib/nova/.ssh /var/lib/nova/.ssh && mount -o remount,ro,bind /var/lib/nova/.ssh",
        "mounted read-only",
    );
}

#[test]
fn a_full_disk_is_refused() {
    refused(
        "cp -a /var/lib/nova/.ssh /tmp/ssh && mount -t tmpfs -o size=64k,uid=$(id -u nova),gid=$(id -g nova),mode=700 none /var/lib/nova/.ssh \
         && cp -a /tmp/ssh/. /var/lib/nova/.ssh/ && dd if=/dev/zero of=/var/lib/nova/.ssh/fill bs=4k 2>/dev/null; rm -rf /tmp/ssh; true",
        "file system that is full",
    );
}

#[test]
fn a_full_disk_of_inodes_is_refused() {
    refused(
        "cp -a /var/lib/nova/.ssh /tmp/ssh && mount -t tmpfs -o nr_inodes=8,uid=$(id -u nova),gid=$(id -g nova),mode=700 none /var/lib/nova/.ssh \
         && cp -a /tmp/ssh/. /var/lib/nova/.ssh/ && for i in 1 2 3 4 5 6 7 8; do touch /var/lib/nova/.ssh/fill$i; done 2>/dev/null; rm -rf /tmp/ssh; true",
        "file system that is full",
    );
}

#[test]
fn a_directory_that_hands_its_group_down_is_no_obstacle() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    sh(
        node,
        "chgrp games /var/lib/nova/.ssh && chmod 2700 /var/lib/nova/.ssh",
    );
    let before = picture(node);
    let plan = plan(node, both_files(node), Vec::new());
    let answer = apply(node, &plan);
    assert_eq!(answer.said, [Said::Wrote(0), Said::Wrote(1)]);
    for planned in &plan.nodes[0].edits {
        assert_eq!(now(node, &planned.target.path), planned.after);
    }
    crate::support::undo(node, &plan);
    assert_eq!(picture(node), before);
    assert_eq!(left_beside(node), [""; 0]);
}

#[test]
fn what_the_disk_does_not_take_is_refused() {
    refused(
        "printf '#!/bin/sh\\necho \"sync: error syncing $1: Input/output error\" >&2\\nexit 1\\n' >/usr/local/sbin/sync && chmod 755 /usr/local/sbin/sync",
        "Input/output error",
    );
}

#[test]
fn a_file_whose_bytes_nobody_knows_gets_another_mode_and_owner() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    sh(
        node,
        "cd /var/lib/nova/.ssh && printf 'pri\\0vate' >id_x && chmod 666 id_x && touch -d 2001-02-03 id_x",
    );
    let path = format!("{HOME}/.ssh/id_x");
    let opaque = |attributes| FileState::Opaque { attributes };
    let root = Attributes {
        uid: 0,
        gid: 0,
        mode: 0o666,
    };
    let change = edit(&path, opaque(root), opaque(nova(node, 0o600)));
    let plan = plan(node, vec![change], Vec::new());
    let before = picture(node);
    assert_eq!(apply(node, &plan).said, [Said::Wrote(0)]);
    assert_eq!(now(node, &path), file(nova(node, 0o600), b"pri\0vate"));
    assert_eq!(apply(node, &plan).said, [Said::Same(0, true)]);
    // No copy of it is made, only a note of how it was.
    let beside = sh(node, "cat /var/lib/nova/.ssh/*.clearway-*");
    assert_eq!(beside, "81b6:0:0:any");
    assert_eq!(
        crate::support::undo(node, &plan).said,
        [Said::Back(0, true)]
    );
    assert_eq!(picture(node), before);
}

#[test]
fn commands_set_an_account_right_and_are_taken_back() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let shell = || sh(node, "getent passwd nova | cut -d: -f7");
    let usual = shell();
    let words = |shell: &str| ["usermod", "-s", shell, "nova"].map(str::to_owned).to_vec();
    let mut plan = plan(node, both_files(node), Vec::new());
    plan.commands.push(AccountCommand {
        node: "node1".to_owned(),
        context: Vec::new(),
        words: words("/bin/dash"),
        undo: words(&usual),
        answers: Vec::new(),
    });
    let answer = apply(node, &plan);
    assert_eq!(answer.said, [Said::Ran(0), Said::Wrote(0), Said::Wrote(1)]);
    assert_eq!(shell(), "/bin/dash");
    let undo = Operation::Undo {
        wrote: BTreeSet::new(),
        commands: true,
    };
    let answer = run(node, &plan, undo);
    assert_eq!(
        answer.said,
        [Said::Back(1, true), Said::Back(0, true), Said::Unran(0)]
    );
    assert_eq!(shell(), usual);
    // A command that fails leaves files alone.
    plan.commands[0].words[3] = "nobody-here".to_owned();
    let before = picture(node);
    let answer = apply(node, &plan);
    assert_eq!(answer.written().count(), 0);
    assert!(refusals(&answer)[0].contains("usermod"), "{answer:?}");
    assert_eq!(picture(node), before);
    assert_eq!(shell(), usual);
}

#[test]
fn a_key_is_brought_from_one_node_to_another_and_shown_to_nobody() {
    if clearway_lab::LabSupport::skips_test() {
        return;
    }
    let lab = clearway_lab::Lab::builder().nodes(2).start().unwrap();
    let (one, two) = (lab.node("node1"), lab.node("node2"));
    let path = format!("{HOME}/.ssh/id_shared");
    let key = new_key(one, &path);
    let copy = KeyCopy {
        of: KeySource::New(key.id.clone()),
        node: "node2".to_owned(),
        target: key.target.clone(),
        owner: nova(two, 0o600),
        answers: Vec::new(),
    };
    let mut plan = plan(one, Vec::new(), vec![key.clone()]);
    plan.copies.push(copy);
    let answer = run(one, &plan, Operation::Keys);
    let [Said::Key(0, public)] = &answer.said[..] else {
        panic!("{answer:?}")
    };
    let public = public_key(public, "ed25519").unwrap();
    let made = [(key.id.clone(), public.clone())].into_iter().collect();

    let source = Job::source(&plan, &KeySource::New(key.id), &made).unwrap();
    let fetch = source.program(Operation::Fetch, RUN, "", nonce());
    let answer = fetch
        .read(&run_in(one, &["/bin/sh"], &fetch).stdout)
        .unwrap();
    let private = std::fs::read(one.path(&path)).unwrap();
    let shown = format!("{answer:?}");
    let [Said::Secret(0, secret)] = &answer.said[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(secret.0, private);

    let job = Job::new(&plan, "node2", &made).unwrap();
    let mut secrets = Secrets::default();
    secrets.insert(0, secret.0.clone());
    let bring = job.program_with(Operation::Bring, RUN, "", nonce(), secrets);
    let shown = format!("{shown}{bring:?}");
    let answer = bring
        .read(&run_in(two, &["/bin/sh"], &bring).stdout)
        .unwrap();
    assert!(matches!(answer.said[..], [Said::Key(0, _)]), "{answer:?}");
    assert_eq!(now(two, &path), file(nova(two, 0o600), &private));
    let halves = [&path, &format!("{path}.pub")]
        .map(|it| sh(two, &format!("ssh-keygen -l -f {it} | cut -d' ' -f2")));
    assert_eq!(halves[0], halves[1]);
    let body = String::from_utf8_lossy(&private);
    assert!(
        body.lines().all(|line| !shown.contains(line)),
        "a private key is shown"
    );
    // Another key than the one that is meant is not placed.
    sh(two, &format!("rm {path} {path}.pub {path}.clearway-*"));
    let mut secrets = Secrets::default();
    sh(one, "ssh-keygen -q -t ed25519 -N '' -f /root/other");
    secrets.insert(0, std::fs::read(one.path("/root/other")).unwrap());
    let bring = job.program_with(Operation::Bring, RUN, "", nonce(), secrets);
    let answer = bring
        .read(&run_in(two, &["/bin/sh"], &bring).stdout)
        .unwrap();
    assert_eq!(answer.refusals().count(), 1, "{answer:?}");
    assert_eq!(now(two, &path), FileState::Absent);
    assert_eq!(crate::support::left_beside(two), [""; 0]);
}

#[test]
fn a_file_that_is_a_mount_point_is_written_in_place_and_put_back() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    sh(
        node,
        &format!("cp -p {KNOWN_HOSTS} /root/mounted && mount --bind /root/mounted {KNOWN_HOSTS}"),
    );
    let plan = plan(node, both_files(node), Vec::new());
    let before = now(node, KNOWN_HOSTS);
    let answer = apply(node, &plan);
    assert_eq!(answer.said, [Said::Wrote(0), Said::Wrote(1)]);
    assert_eq!(now(node, KNOWN_HOSTS), plan.nodes[0].edits[0].after);
    assert_eq!(now(node, "/root/mounted"), plan.nodes[0].edits[0].after);
    // Half written, it is put back all the same.
    sh(node, &format!("echo torn >{KNOWN_HOSTS}"));
    crate::support::undo(node, &plan);
    assert_eq!(now(node, KNOWN_HOSTS), before);
    assert_eq!(now(node, "/root/mounted"), before);
    assert_eq!(left_beside(node), [""; 0]);
}

#[test]
fn a_container_that_refuses_takes_the_host_back() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let mut plan = plan(node, both_files(node), Vec::new());
    // Not root, and nothing that clearway knows: what a container's entry looks like.
    let nova = ["setpriv-like", "--", "x"];
    std::fs::write(
        node.path("/usr/local/sbin/setpriv-like"),
        "#!/bin/sh\nshift 2\nexec setpriv --reuid=nova --regid=nova --clear-groups \"$@\"\n",
    )
    .unwrap();
    sh(node, "chmod 755 /usr/local/sbin/setpriv-like");
    plan.nodes[0].edits[1].target.context = nova.map(str::to_owned).to_vec();
    // As nova, nova's own file can be edited.
    let answer = apply(node, &plan);
    assert_eq!(answer.said, [Said::Wrote(0), Said::Wrote(1)], "{answer:?}");
    assert_eq!(now(node, AUTHORIZED_KEYS), plan.nodes[0].edits[1].after);
    crate::support::undo(node, &plan);
    let before = picture(node);
    // Giving it to somebody else is root's alone: nothing stays of what was done on the host.
    plan.nodes[0].edits[1].after = file(
        Attributes {
            uid: 0,
            gid: 0,
            mode: 0o600,
        },
        b"x",
    );
    let answer = apply(node, &plan);
    assert!(
        refusals(&answer)[0].contains("belongs to another account"),
        "{answer:?}"
    );
    assert!(answer.said.contains(&Said::Back(0, true)), "{answer:?}");
    assert_eq!(picture(node), before);
    // One that cannot be entered is an error that names it, and nothing stays either.
    plan.nodes[0].edits[1].target.context = vec!["no-such-container".to_owned()];
    let program = crate::support::program(&plan, node, Operation::Apply);
    let output = run_in(node, &["/bin/sh"], &program);
    let error = program.read(&output.stdout).unwrap_err().to_string();
    assert!(error.contains("no-such-container"), "{error}");
    assert_eq!(picture(node), before);
}

#[test]
fn busybox_can_do_it() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let busybox = std::path::Path::new("/usr/bin/busybox");
    if !busybox.exists() {
        println!("skipped: this machine has no busybox to bring along");
        return;
    }
    std::fs::copy(busybox, node.path("/usr/local/bin/busybox")).unwrap();
    // The program's own search path comes behind what it is given.
    sh(
        node,
        "mkdir /usr/local/busy && cd /usr/local/busy && for c in $(/usr/local/bin/busybox --list | grep -Ex 'stat|mkdir|ln|cp|mv|rm|rmdir|sync|sha256sum|chown|chmod|id|awk|cat|head|df|dd|flock|grep'); do ln -s /usr/local/bin/busybox $c; done",
    );
    let plan = plan(node, both_files(node), Vec::new());
    let shell = [
        "/usr/bin/env",
        "PATH=/usr/local/busy",
        "/usr/local/bin/busybox",
        "ash",
    ];
    for (operation, state) in [
        (Operation::Apply, true),
        (
            Operation::Undo {
                wrote: BTreeSet::new(),
                commands: false,
            },
            false,
        ),
    ] {
        let program = crate::support::program(&plan, node, operation);
        let output = run_in(node, &shell, &program);
        let answer = program
            .read(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(answer.refusals().count(), 0, "{answer:?}");
        for planned in &plan.nodes[0].edits {
            let expected = if state {
                &planned.after
            } else {
                &planned.before
            };
            assert_eq!(now(node, &planned.target.path), *expected, "{answer:?}");
        }
    }
    assert!(left_beside(node).is_empty());
}
