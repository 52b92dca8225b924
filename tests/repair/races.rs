//! What somebody else does to a file or its name while a program is at work.

use clearway::repair::{FileState, Operation, Said};

use crate::support::{
    KNOWN_HOSTS, RUN, apply, edit, file, left_beside, nova, now, one_node, plan, refusals, run, sh,
    undo,
};
use crate::undo::{both_ours, replaced};

/// Has a command of a node do something else first, once, when it is called with words that match.
fn race(node: &clearway_lab::Node, command: &str, words: &str, first: &str) {
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in {words})\n\t[ ! -e /run/race ] || {{ /usr/bin/rm /run/race; {first}; }}\nesac\n\
         [ \"$1\" != --exchange ] || [ ! -e /run/exchange ] || exec perl /run/exchange \"$4\" \"$5\"\n\
         exec /usr/bin/{command} \"$@\"\n"
    );
    std::fs::write(node.path(&format!("/usr/local/sbin/{command}")), script).unwrap();
    sh(
        node,
        &format!("chmod 755 /usr/local/sbin/{command}; : >/run/race"),
    );
}

/// What a mv that can exchange two files does.
const EXCHANGE: &str = "use POSIX; my %number = (x86_64 => 316, aarch64 => 276);\n\
    my $number = $number{(POSIX::uname())[4]} or exit 2;\n\
    exit(syscall($number, -100, $ARGV[0], -100, $ARGV[1], 2) == 0 ? 0 : 1);\n";

/// Writes to a file while it is told to keep its bytes, and while it is told to become another one.
const RACES: &[(&str, &str, &str, bool)] = &[
    ("another file", "sync", "*./u0*", false),
    (
        "another file, as late as can be",
        "mv",
        "--exchange*./u0*",
        true,
    ),
    ("more bytes", "sync", "*./u0*", false),
    ("more bytes, at the last moment", "mv", "-fT*./u0*", false),
];

#[test]
fn what_is_written_while_an_undo_is_at_work_stays() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    for (what, command, words, exchanges) in RACES {
        let plan = both_ours(node);
        apply(node, &plan);
        if *exchanges {
            std::fs::write(node.path("/run/exchange"), EXCHANGE).unwrap();
        }
        let (first, expected) = if what.starts_with("another") {
            let first = "echo theirs >/run/theirs; /usr/bin/mv /run/theirs ";
            (format!("{first}{KNOWN_HOSTS}"), "theirs")
        } else {
            (format!("echo theirs >>{KNOWN_HOSTS}"), "ours\ntheirs")
        };
        race(node, command, words, &first);
        let answer = undo(node, &plan);
        let raced = sh(node, "[ ! -e /run/race ] && echo yes || echo no");
        assert_eq!(raced, "yes", "{what} was never written");
        let said = sh(node, &format!("cat {KNOWN_HOSTS}"));
        assert_eq!(said, expected, "{what}: {answer:?}");
        assert_eq!(
            refusals(&answer),
            [format!(
                "`{KNOWN_HOSTS}` has changed since it was looked at"
            )],
            "{what}"
        );
        assert!(answer.said.contains(&Said::Back(1, true)), "{what}");
        sh(
            node,
            &format!("rm -f /usr/local/sbin/{command} /run/exchange {KNOWN_HOSTS}.clearway-*"),
        );
        assert_eq!(left_beside(node), [""; 0], "{what}");
    }
}

#[test]
fn a_file_that_takes_the_place_of_another_at_the_last_moment_stays() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = replaced(node);
    for (words, exchanges) in [("--exchange*./n0*", true), ("--exchange*./n0*", false)] {
        if exchanges {
            std::fs::write(node.path("/run/exchange"), EXCHANGE).unwrap();
        }
        let first = format!(
            "/usr/bin/cp {KNOWN_HOSTS} /run/old; echo theirs >/run/theirs; /usr/bin/mv /run/theirs {KNOWN_HOSTS}"
        );
        race(node, "mv", words, &first);
        let answer = run(node, &plan, Operation::Apply);
        let refused = refusals(&answer);
        assert_eq!(refused.len(), 1, "{answer:?}");
        assert!(refused[0].contains("has changed since"), "{refused:?}");
        assert_eq!(sh(node, &format!("cat {KNOWN_HOSTS}")), "theirs");
        assert_eq!(left_beside(node), [""; 0]);
        sh(
            node,
            &format!(
                "rm -f /usr/local/sbin/mv /run/exchange; cat /run/old >{KNOWN_HOSTS}; chown nova: {KNOWN_HOSTS}; chmod 644 {KNOWN_HOSTS}"
            ),
        );
    }
}

#[test]
fn a_link_to_a_directory_that_takes_a_new_name_at_the_last_moment_is_not_followed() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    sh(node, &format!("rm {KNOWN_HOSTS}; mkdir /etc/elsewhere"));
    let known = edit(
        KNOWN_HOSTS,
        FileState::Absent,
        file(nova(node, 0o644), b"ours\n"),
    );
    let plan = plan(node, vec![known], Vec::new());
    race(
        node,
        "ln",
        "*./n0*",
        &format!("/usr/bin/ln -s /etc/elsewhere {KNOWN_HOSTS}"),
    );
    let answer = run(node, &plan, Operation::Apply);
    assert_eq!(sh(node, "ls /etc/elsewhere"), "", "{answer:?}");
    assert_eq!(refusals(&answer).len(), 1, "{answer:?}");
    assert_eq!(
        sh(node, &format!("readlink {KNOWN_HOSTS}")),
        "/etc/elsewhere"
    );
    assert_eq!(left_beside(node), [""; 0]);
}

/// A plan that makes known_hosts where there is none.
fn made(node: &clearway_lab::Node) -> clearway::repair::Plan {
    sh(node, &format!("rm -f {KNOWN_HOSTS}"));
    let known = edit(
        KNOWN_HOSTS,
        FileState::Absent,
        file(nova(node, 0o644), b"ours\n"),
    );
    plan(node, vec![known], Vec::new())
}

#[test]
fn a_directory_that_takes_a_new_name_gets_nothing_put_into_it() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = made(node);
    race(
        node,
        "ln",
        "*./n0*",
        &format!("/usr/bin/mkdir {KNOWN_HOSTS}"),
    );
    let answer = run(node, &plan, Operation::Apply);
    assert_eq!(refusals(&answer).len(), 1, "{answer:?}");
    assert_eq!(sh(node, &format!("ls -A {KNOWN_HOSTS}")), "", "{answer:?}");
    assert_eq!(left_beside(node), [""; 0]);
}

#[test]
fn a_name_that_is_a_directory_first_and_then_a_link_to_one_leads_nowhere() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = replaced(node);
    let backup = format!("{KNOWN_HOSTS}.clearway-{RUN}");
    // The backup's name is a directory for as long as it takes to fail on that.
    let flip = format!(
        "#!/bin/sh\n/usr/bin/mkdir {backup} 2>/dev/null\n/usr/bin/mv \"$@\" && exit\n\
         /usr/bin/rmdir {backup} && /usr/bin/ln -s /etc/elsewhere {backup}\nexit 1\n"
    );
    sh(node, &format!("mkdir /etc/elsewhere {backup}"));
    std::fs::write(node.path("/usr/local/sbin/mv"), flip).unwrap();
    sh(node, "chmod 755 /usr/local/sbin/mv");
    let answer = run(node, &plan, Operation::Apply);
    assert_eq!(answer.written().count(), 0, "{answer:?}");
    assert_eq!(refusals(&answer).len(), 1, "{answer:?}");
    assert_eq!(sh(node, "ls -A /etc/elsewhere"), "", "{answer:?}");
    assert_eq!(now(node, KNOWN_HOSTS), plan.nodes[0].edits[0].before);
}

#[test]
fn a_directory_that_takes_the_place_of_a_file_while_it_is_taken_away_is_there_again_with_all_it_holds()
 {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = made(node);
    apply(node, &plan);
    race(
        node,
        "mv",
        "-fT*./u0*",
        &format!(
            "/usr/bin/rm {KNOWN_HOSTS}; /usr/bin/mkdir -p {KNOWN_HOSTS}/precious; echo theirs >{KNOWN_HOSTS}/precious/file"
        ),
    );
    let answer = undo(node, &plan);
    assert_eq!(refusals(&answer).len(), 1, "{answer:?}");
    assert_eq!(
        sh(node, &format!("cat {KNOWN_HOSTS}/precious/file")),
        "theirs"
    );
}

#[test]
fn a_directory_of_roots_in_the_place_of_the_private_one_is_not_touched() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = replaced(node);
    let private = format!("/var/lib/nova/.ssh/.clearway-{RUN}");
    sh(
        node,
        &format!("mkdir {private} && echo theirs >{private}/o0 && chmod 755 {private}"),
    );
    let answer = run(node, &plan, Operation::Apply);
    assert_eq!(answer.written().count(), 0, "{answer:?}");
    assert_eq!(refusals(&answer).len(), 1, "{answer:?}");
    assert_eq!(sh(node, &format!("cat {private}/o0")), "theirs");
}

#[test]
fn a_directory_with_access_lists_for_what_is_made_in_it_is_no_obstacle() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = made(node);
    // Read and write for the group, whatever the umask is (acl(5), linux/posix_acl_xattr.h).
    let list = "use POSIX; my %number = (x86_64 => 188, aarch64 => 5);\n\
         my $list = pack('V', 2) . pack('vvV', 1, 7, 0xffffffff) . pack('vvV', 4, 6, 0xffffffff) . pack('vvV', 32, 0, 0xffffffff);\n\
         my ($path, $name) = ('/var/lib/nova/.ssh', 'system.posix_acl_default');\n\
         exit(syscall($number{(POSIX::uname())[4]}, $path, $name, $list, length($list), 0) == 0 ? 0 : 1);\n";
    std::fs::write(node.path("/run/list"), list).unwrap();
    sh(node, "perl /run/list");
    let answer = run(node, &plan, Operation::Apply);
    assert_eq!(answer.said, [Said::Wrote(0)]);
    assert_eq!(now(node, KNOWN_HOSTS), plan.nodes[0].edits[0].after);
}

#[test]
fn what_came_at_the_last_moment_and_cannot_be_put_back_is_not_lost_nor_is_the_old_file() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = replaced(node);
    std::fs::write(node.path("/run/exchange"), EXCHANGE).unwrap();
    // Before the first exchange somebody puts a file there, before the second a directory.
    let busy = format!(
        "#!/bin/sh\ncase \"$*\" in --exchange*./n0*)\n\
         if [ ! -e /run/first ]; then : >/run/first; echo theirs >/run/theirs; /usr/bin/mv /run/theirs {KNOWN_HOSTS}\n\
         else /usr/bin/rm {KNOWN_HOSTS}; /usr/bin/mkdir -p {KNOWN_HOSTS}/full; exit 1; fi\nesac\n\
         [ \"$1\" != --exchange ] || exec perl /run/exchange \"$4\" \"$5\"\nexec /usr/bin/mv \"$@\"\n"
    );
    std::fs::write(node.path("/usr/local/sbin/mv"), busy).unwrap();
    sh(node, "chmod 755 /usr/local/sbin/mv");
    let before = sh(node, &format!("sha256sum <{KNOWN_HOSTS}"));
    let answer = run(node, &plan, Operation::Apply);
    assert_eq!(answer.written().count(), 0, "{answer:?}");
    let kept = format!("/var/lib/nova/.ssh/.clearway-{RUN}");
    assert!(
        refusals(&answer).iter().any(|it| it.contains(&kept)),
        "{answer:?}"
    );
    assert_eq!(sh(node, &format!("cat {kept}/Kept.n0")), "theirs");
    let backup = format!("{KNOWN_HOSTS}.clearway-{RUN}");
    assert_eq!(sh(node, &format!("sha256sum <{backup}")), before);
}

#[test]
fn what_comes_while_an_undo_is_at_work_and_cannot_be_put_back_is_not_lost() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = replaced(node);
    apply(node, &plan);
    std::fs::write(node.path("/run/exchange"), EXCHANGE).unwrap();
    let busy = format!(
        "#!/bin/sh\ncase \"$*\" in --exchange*./u0*)\n\
         if [ ! -e /run/first ]; then : >/run/first; echo theirs >/run/theirs; /usr/bin/mv /run/theirs {KNOWN_HOSTS}\n\
         else /usr/bin/rm {KNOWN_HOSTS}; /usr/bin/mkdir -p {KNOWN_HOSTS}/full; exit 1; fi\nesac\n\
         [ \"$1\" != --exchange ] || exec perl /run/exchange \"$4\" \"$5\"\nexec /usr/bin/mv \"$@\"\n"
    );
    std::fs::write(node.path("/usr/local/sbin/mv"), busy).unwrap();
    sh(node, "chmod 755 /usr/local/sbin/mv");
    let answer = undo(node, &plan);
    let kept = format!("/var/lib/nova/.ssh/.clearway-{RUN}");
    assert!(
        refusals(&answer).iter().any(|it| it.contains(&kept)),
        "{answer:?}"
    );
    assert_eq!(sh(node, &format!("cat {kept}/Kept.u0")), "theirs");
}

#[test]
fn a_link_to_the_file_itself_is_no_backup_of_it() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = replaced(node);
    let backup = format!("{KNOWN_HOSTS}.clearway-{RUN}");
    sh(node, &format!("ln -s known_hosts {backup}"));
    let answer = run(node, &plan, Operation::Apply);
    assert_eq!(answer.said, [Said::Wrote(0)]);
    assert_eq!(now(node, &backup), plan.nodes[0].edits[0].before);
    undo(node, &plan);
    assert_eq!(now(node, KNOWN_HOSTS), plan.nodes[0].edits[0].before);
    assert_eq!(left_beside(node), [""; 0]);
}

#[test]
fn a_fifo_in_the_place_of_a_key_holds_nobody_up() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let key = "/var/lib/nova/.ssh/id_new";
    let plan = plan(node, Vec::new(), vec![crate::support::new_key(node, key)]);
    sh(node, &format!("mkfifo {key}"));
    let since = std::time::Instant::now();
    for operation in [Operation::Observe, Operation::Keys] {
        run(node, &plan, operation);
    }
    undo(node, &plan);
    assert!(since.elapsed() < std::time::Duration::from_secs(20));
    assert_eq!(sh(node, &format!("stat -c %F {key}")), "fifo");
}
