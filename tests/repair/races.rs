//! What somebody else does to a file or its name while a program is at work.

use clearway::repair::{FileState, Operation, Said};

use crate::support::{
    KNOWN_HOSTS, apply, edit, file, left_beside, nova, now, one_node, plan, refusals, run, sh, undo,
};
use crate::undo::both_ours;

/// Has a command of a node do something else first, once, when it is called with words that match.
fn race(node: &clearway_lab::Node, command: &str, words: &str, first: &str) {
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in {words})\n\t[ ! -e /run/race ] || {{ /usr/bin/rm /run/race; {first}; }}\nesac\n\
         [ \"$1\" != --exchange ] || [ ! -e /run/exchange ] || exec python3 /run/exchange \"$4\" \"$5\"\n\
         exec /usr/bin/{command} \"$@\"\n"
    );
    std::fs::write(node.path(&format!("/usr/local/sbin/{command}")), script).unwrap();
    sh(
        node,
        &format!("chmod 755 /usr/local/sbin/{command}; : >/run/race"),
    );
}

/// What a mv that can exchange two files does.
const EXCHANGE: &str = "import ctypes, os, sys\n\
    two = [os.fsencode(name) for name in sys.argv[1:]]\n\
    sys.exit(-ctypes.CDLL(None).renameat2(-100, two[0], -100, two[1], 2))\n";

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
    let known = edit(
        KNOWN_HOSTS,
        now(node, KNOWN_HOSTS),
        file(nova(node, 0o644), b"ours\n"),
    );
    let plan = plan(node, vec![known], Vec::new());
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
