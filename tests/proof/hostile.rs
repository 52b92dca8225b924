//! Far ends that flood, stall, lie or drop, and shells that differ.

use std::time::{Duration, Instant};

use clearway::domain::{Evidence, Lane, Leg, Proof, Proven, Reason, Step, Why};
use clearway_lab::Lab;

use super::support::*;

/// Node 2 is hostile, node 3 is not; one worker climbs both.
fn beside_a_good_one(plant: &str) -> Proof {
    let lab = Lab::builder().nodes(3).start().unwrap();
    sh(&lab, 2, plant);
    let mut settings = settings();
    settings.workers = 1;
    settings.connection = Duration::from_secs(8);
    let begun = Instant::now();
    let legs = vec![
        leg(&lab, Lane::ColdPush, 1, 2),
        leg(&lab, Lane::ColdPush, 1, 3),
    ];
    let mut proofs = climb_with(&lab, &settings, legs);
    let seen = (proofs[1].reached, proofs[1].outcome);
    assert_eq!(seen, works(Step::Copy), "{plant}: {:#?}", proofs[1]);
    assert!(
        begun.elapsed() < Duration::from_secs(40),
        "{plant}: {:?}",
        begun.elapsed()
    );
    nothing_is_left(&lab, Duration::from_secs(15));
    proofs.remove(0)
}

fn shell(script: &str) -> String {
    format!(
        "printf '%s\\n' '#!/bin/sh' '{script}' >/bin/evil; chmod 755 /bin/evil; usermod -s /bin/evil nova"
    )
}

#[test]
fn a_far_end_harms_nothing_but_its_own_row() {
    for (plant, allowed) in [
        (shell("exec yes"), &[Reason::CommandFailed][..]),
        (shell("exec yes >&2"), &[Reason::CommandFailed]),
        (shell("exec cat /dev/zero"), &[Reason::CommandFailed]),
        (
            shell("exec tr \"\\\\000\" x </dev/zero >&2"),
            &[Reason::CommandFailed],
        ),
        (
            shell("printf \"#2\\n#.\\n\\033]0;x\\007\\377\\n\" >&2; exit 0"),
            &[Reason::ForcedCommandDenied],
        ),
        (
            shell("echo \"$2\" >&2; exit 0"),
            &[Reason::ForcedCommandDenied],
        ),
        (shell("kill -9 $$"), &[Reason::CommandFailed]),
        (shell("exit 255"), &[Reason::CommandFailed]),
    ] {
        let proof = beside_a_good_one(&plant);
        assert!(
            matches!(proof.outcome, Proven::Breaks(reason) if allowed.contains(&reason)),
            "{plant}: {proof:#?}"
        );
        for evidence in &proof.evidence {
            if let Evidence::Output { text, .. } = evidence {
                assert!(text.len() < 4096, "{} bytes", text.len());
            }
        }
    }
}

#[test]
fn a_far_end_that_hangs_or_floods_the_copy_is_cut() {
    let hangs = beside_a_good_one(&shell("exec sleep 9"));
    assert_eq!(
        hangs.outcome,
        Proven::Unknown(Why::ProbeTimedOut),
        "{hangs:#?}"
    );
    let sftp = "printf '#!/bin/sh\\nexec cat /dev/zero\\n' >/usr/lib/openssh/sftp-server";
    let floods = beside_a_good_one(sftp);
    assert!(
        matches!(floods.outcome, Proven::Breaks(_) | Proven::Unknown(_)),
        "{floods:#?}"
    );
    assert_eq!(floods.reached, Some(Step::Command), "{floods:#?}");
}

#[test]
fn a_directory_or_a_flood_in_place_of_the_file_fills_nothing() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    let pull = leg(&lab, Lane::ColdPull, 1, 2);
    sh(
        &lab,
        2,
        "mkdir /tmp/d; for i in 1 2 3; do head -c 1000000 /dev/zero >/tmp/d/$i; done; mount --bind /tmp/d /etc 2>/dev/null || exit 1; cp -a /proc/1/root/usr/share/base-passwd/passwd.master /etc/passwd 2>/dev/null; true",
    );
    sh(
        &lab,
        2,
        "umount /etc; rm /etc/machine-id; mkdir /etc/machine-id; cp /tmp/d/* /etc/machine-id",
    );
    let proof = climb(&lab, pull.clone());
    assert!(
        matches!(proof.outcome, Proven::Breaks(Reason::CopyFailed)),
        "{proof:#?}"
    );
    sh(
        &lab,
        2,
        "rm -r /etc/machine-id; head -c 200000000 /dev/zero | tr '\\000' 'f' >/etc/machine-id",
    );
    let proof = climb(&lab, pull);
    assert!(!matches!(proof.outcome, Proven::Works), "{proof:#?}");
    nothing_is_left(&lab, Duration::from_secs(8));
}

/// Holds the only place that `MaxStartups 1` leaves, for so many seconds.
fn held(seconds: u32) -> Proof {
    let lab = Lab::builder().nodes(2).start().unwrap();
    sh(
        &lab,
        2,
        &format!(
            "(echo MaxStartups 1; cat /etc/ssh/sshd_config) >/tmp/c; cat /tmp/c >/etc/ssh/sshd_config; {RESTART}"
        ),
    );
    // Held only once a second connection is turned away: before, sshd may not have read its configuration again.
    let hold = r#"
        sub dial { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => 22) }
        for (1 .. 100) {
            my $held = dial();
            if ($held && <$held> =~ /^SSH-/) {
                my $other = dial();
                my $said = $other ? <$other> : "";
                if (!defined $said || $said !~ /^SSH-/) {
                    open my $mark, ">", "/tmp/held";
                    close $mark;
                    sleep shift;
                    exit;
                }
            }
            select undef, undef, undef, 0.1;
        }
    "#;
    sh(
        &lab,
        2,
        &format!(
            "perl -MIO::Socket -e '{hold}' {seconds} >/dev/null 2>&1 & while ! [ -e /tmp/held ]; do sleep 0.05; done"
        ),
    );
    climb(&lab, leg(&lab, Lane::ColdPush, 1, 2))
}

#[test]
fn a_connection_dropped_once_is_tried_again_and_twice_says_nothing_about_trust() {
    let once = held(2);
    assert_eq!((once.reached, once.outcome), works(Step::Copy), "{once:#?}");
    let retried = |it: &Evidence| matches!(it, Evidence::Fact { text, .. } if text.contains("tried once more"));
    assert!(once.evidence.iter().any(retried), "{once:#?}");
    let twice = held(30);
    assert_eq!(
        (twice.reached, twice.outcome),
        (Some(Step::Resolve), Proven::Unknown(Why::Throttled)),
        "{twice:#?}"
    );
}

#[test]
fn every_posix_shell_runs_it() {
    for shell in ["dash", "bash", "busybox"] {
        let lab = Lab::builder().nodes(2).start().unwrap();
        if shell == "busybox" {
            // Not part of the image: taken from the machine where there is one (it must need no libraries).
            let path = std::env::var_os("PATH").unwrap_or_default();
            let mut places = std::env::split_paths(&path).map(|place| place.join("busybox"));
            let Some(busybox) = places.find(|place| place.exists()) else {
                continue;
            };
            std::fs::copy(busybox, lab.node("node1").path("/bin/busybox")).unwrap();
            // Its applets come before the programs of the same name.
            sh(
                &lab,
                1,
                "for d in sed head tail tr cmp timeout mkdir rm cat cksum; do ln -sf busybox /bin/$d; ln -sf ../../bin/busybox /usr/bin/$d; done",
            );
        }
        sh(
            &lab,
            1,
            &format!("ln -sf {shell} /bin/sh.new; mv /bin/sh.new /bin/sh"),
        );
        sh(&lab, 2, &format!("rm -rf {INSTANCES}/.clearway*"));
        for lane in [Lane::ColdPush, Lane::ColdPull] {
            let proof = climb(&lab, leg(&lab, lane, 1, 2));
            assert_eq!(
                (proof.reached, proof.outcome),
                works(Step::Copy),
                "{shell} {proof:#?}"
            );
        }
        let unknown = Leg {
            name: "nobody.invalid".into(),
            ..leg(&lab, Lane::ColdPull, 1, 2)
        };
        assert_eq!(
            climb(&lab, unknown).outcome,
            Proven::Breaks(Reason::NameUnresolvable),
            "{shell}"
        );
        nothing_is_left(&lab, Duration::from_secs(8));
    }
}

#[test]
fn programs_that_are_not_everywhere_are_not_needed() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    sh(&lab, 1, "rm /usr/bin/timeout /usr/bin/cmp");
    let proof = climb(&lab, leg(&lab, Lane::ColdPush, 1, 2));
    assert_eq!(
        (proof.reached, proof.outcome),
        works(Step::Copy),
        "{proof:#?}"
    );
    nothing_is_left(&lab, Duration::from_secs(15));
    sh(&lab, 2, "kill -STOP $(cat /run/sshd.pid)");
    let proof = climb(&lab, leg(&lab, Lane::ColdPush, 1, 2));
    assert_eq!(
        proof.outcome,
        Proven::Breaks(Reason::BannerTimeout),
        "{proof:#?}"
    );
    sh(&lab, 2, "kill -CONT $(cat /run/sshd.pid)");
}

#[test]
fn a_context_that_cannot_be_entered_breaks_the_leg() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    let mut leg = leg(&lab, Lane::ColdPush, 1, 2);
    for context in [
        &["runuser", "-u", "nobody-here", "--"][..],
        &["docker", "exec", "-i", "nova_compute"],
    ] {
        leg.context = context.iter().map(|&word| word.to_owned()).collect();
        assert_eq!(
            climb(&lab, leg.clone()).outcome,
            Proven::Breaks(Reason::ContextFailed)
        );
    }
}
