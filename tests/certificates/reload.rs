//! Changes of sshd's configuration that go wrong, and what the node does about it by itself.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clearway::domain::Lane;
use clearway::repair::reload::{Changed, Settled, change};
use clearway::repair::{Answers, Attributes, Edit, FileState, SshdChange, Target, Text};
use clearway_lab::{LabSupport, Node};

use crate::fleet::{Cloud, nonce, settle, sh, start};

const DROP_IN: &str = "/etc/ssh/sshd_config.d/10-clearway.conf";

fn drop_in(node: &str, text: &str) -> SshdChange {
    SshdChange {
        node: node.to_owned(),
        binary: "/usr/sbin/sshd".to_owned(),
        config: "/etc/ssh/sshd_config".to_owned(),
        ports: vec![22],
        edits: vec![Edit {
            target: Target {
                context: Vec::new(),
                path: DROP_IN.to_owned(),
            },
            before: FileState::Absent,
            after: FileState::File {
                attributes: Attributes {
                    uid: 0,
                    gid: 0,
                    mode: 0o644,
                },
                text: Text::known(text.as_bytes()),
            },
            label: None,
            answers: vec![Answers {
                reason: "host-key-unknown".to_owned(),
                lane: Lane::ColdPush,
                client: None,
                server: None,
            }],
        }],
    }
}

/// What a change may leave, and what it works with.
fn state(node: &Node) -> String {
    sh(
        node,
        "find /etc/ssh ! -type d -printf '%p %y %m %U:%G %T@ %l\\n' | sort
         find /etc/ssh -type d -printf '%p %m %U:%G\\n' | sort
         find /etc/ssh -type f -exec sha256sum {} + | sort
         ls -d /run/clearway* 2>/dev/null || true
         ps -e -o args | grep '[/]run/clearway' | grep -v 'ls -d' || true",
    )
}

fn comes_to(node: &Node, wanted: &str, within: Duration) {
    let began = Instant::now();
    loop {
        let now = state(node);
        if now == wanted {
            return;
        }
        assert!(began.elapsed() < within, "now {now}\nwanted {wanted}");
        sleep(Duration::from_millis(100));
    }
}

fn logs_in(cloud: &Cloud, to: &Node) -> bool {
    let line = format!(
        "ssh -o BatchMode=yes -o ConnectTimeout=5 {} true",
        to.host()
    );
    let other = cloud.lab.nodes().iter().find(|it| it.name() != to.name());
    other
        .unwrap()
        .sh_as("nova", &line)
        .unwrap()
        .status
        .success()
}

#[test]
fn what_breaks_logins_goes_back_by_itself_and_leaves_nothing() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(2);
    let node = cloud.node("node1");
    let before = state(node);
    assert!(logs_in(&cloud, node));
    let token = nonce();
    let change = drop_in("node1", "AllowUsers nobody\n");
    let changed = start(node, &change, &token, Duration::from_secs(3));
    assert!(matches!(changed, Changed::Reloaded { .. }), "{changed:?}");
    assert!(!logs_in(&cloud, node));
    // Nobody keeps it.
    comes_to(node, &before, Duration::from_secs(10));
    assert!(logs_in(&cloud, node));
    assert_eq!(settle(node, &token), Settled::Gone);
}

#[test]
fn what_sshd_does_not_take_is_refused_with_its_own_words_and_goes_back_at_once() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(2);
    let node = cloud.node("node1");
    let before = state(node);
    let change = drop_in("node1", "HostCertificate\n");
    let changed = start(node, &change, &nonce(), Duration::from_secs(60));
    let Changed::Refused { step, said } = changed else {
        panic!("{changed:?}");
    };
    assert_eq!(step, "test");
    assert!(said.contains("10-clearway.conf"), "{said}");
    comes_to(node, &before, Duration::from_secs(3));
    assert!(logs_in(&cloud, node));
}

#[test]
fn a_file_that_is_not_as_planned_stops_everything_before_it_begins() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(1);
    let node = cloud.node("node1");
    for planted in [
        format!("echo '# mine' >{DROP_IN}"),
        format!("ln -sf /dev/null {DROP_IN}"),
    ] {
        sh(node, &planted);
        let before = state(node);
        let change = drop_in("node1", "MaxSessions 11\n");
        let changed = start(node, &change, &nonce(), Duration::from_secs(60));
        let Changed::Differs { path, .. } = changed else {
            panic!("{changed:?}");
        };
        assert_eq!(path, DROP_IN);
        assert_eq!(state(node), before);
    }
}

#[test]
fn two_changes_do_not_meet_and_one_that_lost_its_guard_is_taken_back_first() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(1);
    let node = cloud.node("node1");
    let before = state(node);
    let first = drop_in("node1", "MaxSessions 11\n");
    let token = nonce();
    let changed = start(node, &first, &token, Duration::from_secs(60));
    assert!(matches!(changed, Changed::Reloaded { .. }), "{changed:?}");
    let changed = start(node, &first, &nonce(), Duration::from_secs(60));
    assert!(matches!(changed, Changed::Busy(_)), "{changed:?}");

    sh(
        node,
        "pid=$(cat /run/clearway-sshd/pid); kill -9 $pid; while kill -0 $pid 2>/dev/null; do sleep 0.01; done",
    );
    let second = drop_in("node1", "MaxSessions 12\n");
    let token = nonce();
    let changed = start(node, &second, &token, Duration::from_secs(60));
    assert!(matches!(changed, Changed::Reloaded { .. }), "{changed:?}");
    assert_eq!(sh(node, "sshd -T | grep maxsessions"), "maxsessions 12\n");
    assert_eq!(settle(node, &token), Settled::Kept);
    assert_eq!(
        sh(
            node,
            &format!("rm {DROP_IN}; ls -d /run/clearway* 2>/dev/null || echo none")
        ),
        "none\n"
    );
    sh(node, "kill -HUP $(cat /run/sshd.pid)");
    comes_to(node, &before, Duration::from_secs(5));
}

#[test]
fn killed_at_any_moment_the_node_goes_back_by_itself() {
    if LabSupport::skips_test() {
        return;
    }
    const MOMENTS: u32 = 16;
    let cloud = Cloud::start(2);
    let node = cloud.node("node1");
    let before = state(node);
    let planned = drop_in("node1", "AllowUsers nobody\n");
    let whole = {
        let began = Instant::now();
        let token = nonce();
        start(node, &planned, &token, Duration::from_secs(1));
        let took = began.elapsed();
        comes_to(node, &before, Duration::from_secs(10));
        took
    };
    for moment in 0..MOMENTS {
        let nonce_of = nonce();
        let program = change(&nonce_of, &nonce(), &planned, Duration::from_secs(1)).unwrap();
        let mut child = node
            .command("/usr/bin/setsid")
            .args(["/bin/sh", "-s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        {
            use std::io::Write as _;
            let mut stdin = child.stdin.take().unwrap();
            stdin
                .write_all(format!("{{ {program}\n}}\n").as_bytes())
                .unwrap();
        }
        sleep(whole * moment / MOMENTS);
        // SIGKILL for the program, as when its connection's last process dies; the guard has a session of its own.
        sh(
            node,
            "for p in $(ps -e -o pid,args | awk '/[s]h -s$/ { print $1 }'); do kill -9 $p || true; done",
        );
        child.wait().unwrap();
        // A directory without a guard is what can be left: it holds nothing that was changed.
        let began = Instant::now();
        loop {
            sh(
                node,
                "[ -e /run/clearway-sshd/pid ] || rm -rf /run/clearway-sshd",
            );
            let now = state(node);
            if now == before {
                break;
            }
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "moment {moment}: {now}\nat first {before}"
            );
            sleep(Duration::from_millis(100));
        }
        assert!(logs_in(&cloud, node), "moment {moment}");
    }
}

#[test]
fn a_main_file_without_a_directory_gets_a_block_at_its_top() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(2);
    for node in cloud.lab.nodes() {
        sh(
            node,
            "sed -i '/^Include/d' /etc/ssh/sshd_config; printf 'Match User nobody\\n  X11Forwarding no' >>/etc/ssh/sshd_config; rs",
        );
        sh(
            node,
            "rm /var/lib/nova/.ssh/known_hosts /root/.ssh/known_hosts",
        );
    }
    let before = sh(cloud.node("node1"), "cat /etc/ssh/sshd_config");
    cloud.apply(&cloud.plan(&cloud.policy()).plan);
    cloud.all_verified("by the main file");
    let after = sh(cloud.node("node1"), "cat /etc/ssh/sshd_config");
    assert!(after.starts_with("# clearway begin"), "{after}");
    assert!(after.ends_with(&before), "{after}");
    assert_eq!(cloud.plan(&cloud.policy()).plan.sshd, []);
}
