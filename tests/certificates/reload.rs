//! Changes of sshd's configuration that go wrong, and what the node does about it by itself.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clearway::domain::Lane;
use clearway::repair::reload::{Changed, Settled, change};
use clearway::repair::{Answers, Attributes, Edit, FileState, SshdChange, Target, Text};
use clearway_lab::{LabSupport, Node};

use crate::fleet::{Cloud, nonce, settle, sh, start, start_in, taken_back};

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

/// How often sshd was told to read its configuration again.
fn times_told(node: &Node) -> usize {
    let log = sh(node, "cat /var/log/auth.log");
    log.matches("Received SIGHUP").count()
}

/// The shells that a node's `/bin/sh` may be, with their own awk where they have one.
fn shells(node: &Node) -> Vec<Vec<&'static str>> {
    let mut shells = vec![vec!["/bin/dash"], vec!["/bin/bash", "--posix"]];
    let busybox = std::path::Path::new("/usr/bin/busybox");
    if busybox.exists() {
        std::fs::copy(busybox, node.path("/usr/local/bin/busybox")).unwrap();
        sh(
            node,
            "mkdir /usr/local/busy && for tool in awk ls tr sed cut cat rm mkdir sha256sum base64; do
             ln -s /usr/local/bin/busybox /usr/local/busy/$tool; done",
        );
        let path = "PATH=/usr/local/busy:/usr/sbin:/usr/bin:/sbin:/bin";
        shells.push(vec!["/usr/bin/env", path, "/usr/local/bin/busybox", "sh"]);
    }
    shells
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
    assert_eq!(times_told(node), 0, "it was never told of the change");
    assert!(logs_in(&cloud, node));
}

#[test]
fn what_others_have_left_pending_and_a_reload_would_end_with_is_refused_before_anything_is_written()
{
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(2);
    let node = cloud.node("node1");
    let shells = shells(node);
    for (pending, step, words) in [
        ("Fooo bar", "config", vec!["Fooo"]),
        (
            "ListenAddress 192.0.2.1",
            "pending",
            vec!["0.0.0.0:22", "listen on nothing", "not have 192.0.2.1:22"],
        ),
        ("Port 2222", "pending", vec!["0.0.0.0:22", "0.0.0.0:2222"]),
        (
            "ListenAddress 10.77.0.2",
            "pending",
            vec!["0.0.0.0:22", "10.77.0.2:22"],
        ),
        ("AddressFamily inet", "pending", vec!["[::]:22"]),
    ] {
        sh(
            node,
            &format!("echo '{pending}' >/etc/ssh/sshd_config.d/50-pending.conf"),
        );
        let before = state(node);
        let change = drop_in("node1", "MaxSessions 11\n");
        for shell in &shells {
            let changed = start_in(node, shell, &change, &nonce(), Duration::from_secs(60));
            let Changed::Refused { step: at, said } = changed else {
                panic!("{shell:?}: {changed:?}");
            };
            assert_eq!(at, step, "{shell:?}: {said}");
            for word in &words {
                assert!(said.contains(word), "{shell:?}: {said}");
            }
            assert_eq!(state(node), before, "{shell:?}");
        }
        assert_eq!(times_told(node), 0, "{pending}");
        assert!(logs_in(&cloud, node), "{pending}");
    }
    sh(node, "rm /etc/ssh/sshd_config.d/50-pending.conf");
}

#[test]
fn what_is_in_force_and_cannot_be_bound_is_no_obstacle() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(2);
    let node = cloud.node("node1");
    sh(
        node,
        "printf 'ListenAddress 10.77.0.2\\nListenAddress 192.0.2.1\\nListenAddress ::1\\n' >/etc/ssh/sshd_config.d/50-some.conf
         rs",
    );
    for shell in shells(node) {
        let token = nonce();
        let change = drop_in("node1", "MaxSessions 11\n");
        let changed = start_in(node, &shell, &change, &token, Duration::from_secs(60));
        assert!(
            matches!(changed, Changed::Reloaded { .. }),
            "{shell:?}: {changed:?}"
        );
        assert_eq!(taken_back(node, &token), Settled::Gone);
        assert!(logs_in(&cloud, node), "{shell:?}");
    }
}

#[test]
fn an_sshd_that_its_way_back_would_end_is_left_as_it_is_until_somebody_comes() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(2);
    let node = cloud.node("node1");
    let before = state(node);
    let token = nonce();
    let change = drop_in("node1", "MaxSessions 11\n");
    let changed = start(node, &change, &token, Duration::from_secs(60));
    assert!(matches!(changed, Changed::Reloaded { .. }), "{changed:?}");
    let told = times_told(node);
    sh(
        node,
        "cp -p /etc/ssh/sshd_config /root/kept; echo 'Fooo bar' >>/etc/ssh/sshd_config",
    );
    let Settled::Stuck(stuck) = taken_back(node, &token) else {
        panic!("it says that all is as it was");
    };
    assert!(stuck.contains("Fooo"), "{stuck}");
    assert_eq!(times_told(node), told);
    assert!(logs_in(&cloud, node));
    assert_eq!(
        sh(node, &format!("ls {DROP_IN} 2>/dev/null || echo none")),
        "none\n"
    );
    // Whoever comes next tries again, and gets no further either.
    let next = start(node, &change, &nonce(), Duration::from_secs(60));
    let Changed::Stuck { step, stuck, .. } = next else {
        panic!("{next:?}");
    };
    assert_eq!(step, "lock");
    assert!(stuck.contains("Fooo"), "{stuck}");
    assert_eq!(times_told(node), told);
    sh(node, "mv /root/kept /etc/ssh/sshd_config");
    let token = nonce();
    let next = start(node, &change, &token, Duration::from_secs(60));
    assert!(matches!(next, Changed::Reloaded { .. }), "{next:?}");
    assert_eq!(taken_back(node, &token), Settled::Gone);
    comes_to(node, &before, Duration::from_secs(3));
    assert!(logs_in(&cloud, node));
}

#[test]
fn an_sshd_that_is_gone_and_does_not_start_again_is_told_as_gone() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(2);
    let node = cloud.node("node1");
    let before = sh(node, "find /etc/ssh -type f -exec sha256sum {} + | sort");
    // It tests configurations, and does not start.
    let binary = "/usr/local/sbin/sshd-here";
    sh(
        node,
        &format!(
            "printf '#!/bin/sh\\ncase $1 in -[tT]) exec /usr/sbin/sshd \"$@\" ;; esac\\nexit 1\\n' >{binary}
             chmod 755 {binary}"
        ),
    );
    let change = SshdChange {
        binary: binary.to_owned(),
        ..drop_in("node1", "ListenAddress 192.0.2.1\n")
    };
    let changed = start(node, &change, &nonce(), Duration::from_secs(60));
    let Changed::Stuck { step, stuck, .. } = changed else {
        panic!("{changed:?}");
    };
    assert_eq!(step, "listen");
    assert!(stuck.contains("sshd is gone"), "{stuck}");
    let after = sh(node, "find /etc/ssh -type f -exec sha256sum {} + | sort");
    assert_eq!(after, before);
    sh(node, "/usr/sbin/sshd");
    let token = nonce();
    let change = drop_in("node1", "MaxSessions 11\n");
    let changed = start(node, &change, &token, Duration::from_secs(60));
    assert!(matches!(changed, Changed::Reloaded { .. }), "{changed:?}");
    assert_eq!(settle(node, &token), Settled::Kept);
    assert!(logs_in(&cloud, node));
}

#[test]
fn an_sshd_whose_unit_does_not_reload_is_not_told_by_a_signal() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(2);
    let node = cloud.node("node1");
    let systemctl = |can: &str, main: &str| {
        let lines = [
            "#!/bin/sh",
            "case \"$*\" in",
            &format!("*MainPID*) echo MainPID={main} ;;"),
            &format!("*CanReload*) echo CanReload={can} ;;"),
            "*) exit 1 ;;",
            "esac",
        ];
        std::fs::write(node.path("/usr/local/bin/systemctl"), lines.join("\n")).unwrap();
        sh(
            node,
            "chmod 755 /usr/local/bin/systemctl; mkdir -p /run/systemd/system",
        );
    };
    let its_own = "$(cat /run/sshd.pid)";
    let change = drop_in("node1", "MaxSessions 11\n");
    systemctl("yes", its_own);
    let changed = start(node, &change, &nonce(), Duration::from_secs(60));
    let Changed::Stuck { step, said, stuck } = changed else {
        panic!("{changed:?}");
    };
    assert_eq!(step, "reload");
    assert!(said.contains("systemctl reload ssh"), "{said}");
    assert!(stuck.contains("cannot be told"), "{stuck}");
    assert_eq!(times_told(node), 0);
    assert!(logs_in(&cloud, node));
    // A unit of another sshd, or one that can only be restarted, is not asked.
    for (times, can, main) in [(1, "no", its_own), (2, "yes", "1")] {
        systemctl(can, main);
        let token = nonce();
        let changed = start(node, &change, &token, Duration::from_secs(60));
        let Changed::Reloaded { how } = changed else {
            panic!("{changed:?}");
        };
        assert!(how.starts_with("SIGHUP"), "{how}");
        assert!(times_told(node) >= times);
        assert_eq!(taken_back(node, &token), Settled::Gone);
    }
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
