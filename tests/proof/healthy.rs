//! Legs that work.

use std::sync::Arc;
use std::time::Duration;

use clearway::domain::{Depth, Evidence, Lane, Leg, Proven, Step, Transport};
use clearway::proof::Settings;
use clearway_lab::Lab;

use super::support::*;

#[test]
fn healthy_legs_work_in_every_lane_and_leave_nothing() {
    let lab = Lab::builder().nodes(3).start().unwrap();
    let lanes = [Lane::ColdPush, Lane::ColdPull];
    let legs: Vec<_> = [2, 3]
        .into_iter()
        .flat_map(|server| lanes.map(|lane| leg(&lab, lane, 1, server)))
        .collect();
    let proofs = climb_with(&lab, &settings(), legs.clone());
    for (leg, proof) in legs.iter().zip(&proofs) {
        assert_eq!(
            (proof.reached, proof.outcome),
            works(Step::Copy),
            "{:?} {proof:#?}",
            leg.id
        );
        assert!(proof.millis > 0);
        assert!(
            matches!(proof.evidence[0], Evidence::Key { .. }),
            "{proof:#?}"
        );
    }
    nothing_is_left(&lab, Duration::from_secs(8));
}

#[test]
fn an_ssh_that_accepts_new_keys_writes_none_down_in_a_probe() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    let accepting = |leg: Leg| Leg {
        may_record: true,
        ..leg
    };
    let over_rsync = |leg: Leg| Leg {
        transport: Transport::Rsync,
        ..leg
    };
    sh(
        &lab,
        1,
        "printf 'Host *\\n  StrictHostKeyChecking accept-new\\n' >/etc/ssh/ssh_config.d/50-learn.conf
         rm -f /var/lib/nova/.ssh/known_hosts /root/.ssh/known_hosts",
    );
    let push = accepting(leg(&lab, Lane::ColdPush, 1, 2));
    let pull = accepting(leg(&lab, Lane::ColdPull, 1, 2));
    // libvirt's `no_verify=1`, which wins over the files.
    let live = Leg {
        options: Arc::from(["StrictHostKeyChecking=no".to_owned()]),
        ..accepting(leg(&lab, Lane::Live, 1, 2))
    };
    for (leg, reached) in [
        (push.clone(), Step::Copy),
        (pull.clone(), Step::Copy),
        (over_rsync(push), Step::Copy),
        (over_rsync(pull), Step::Copy),
        (live, Step::Command),
    ] {
        let proof = climb(&lab, leg.clone());
        let seen = (proof.reached, proof.outcome);
        assert_eq!(seen, works(reached), "{leg:?} {proof:#?}");
        let left = "ls /var/lib/nova/.ssh/known_hosts /root/.ssh/known_hosts 2>/dev/null";
        let left = lab.node("node1").sh(left).unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "", "{leg:?}");
    }
}

#[test]
fn every_lane_transport_and_depth_works_on_healthy_nodes() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    let rsync = Leg {
        transport: Transport::Rsync,
        ..leg(&lab, Lane::ColdPush, 1, 2)
    };
    let push = leg(&lab, Lane::ColdPush, 1, 2);
    let pull = leg(&lab, Lane::ColdPull, 1, 2);
    let live = leg(&lab, Lane::Live, 1, 2);
    let at = |depth, write| Settings {
        depth,
        write,
        ..settings()
    };
    // Where the far end has no machine id that could be compared, something else is copied.
    let unknown = |leg: &Leg| Leg {
        machine_id: None,
        ..leg.clone()
    };
    let (unknown_pull, unknown_rsync) = (unknown(&pull), unknown(&rsync));
    let pull_rsync = Leg {
        transport: Transport::Rsync,
        ..unknown(&pull)
    };
    for (leg, settings, reached) in [
        (&live, at(Depth::Copy, true), Step::Command),
        (&rsync, at(Depth::Copy, true), Step::Copy),
        (&push, at(Depth::Copy, false), Step::Login),
        (&rsync, at(Depth::Copy, false), Step::Login),
        (&pull, at(Depth::Copy, false), Step::Copy),
        (&unknown_pull, at(Depth::Copy, true), Step::Copy),
        (&pull_rsync, at(Depth::Copy, true), Step::Copy),
        (&unknown_rsync, at(Depth::Copy, false), Step::Login),
        (&push, at(Depth::Login, true), Step::Login),
        (&pull, at(Depth::Login, true), Step::Login),
        (&live, at(Depth::Login, true), Step::Login),
        (&push, at(Depth::Connect, true), Step::HostKey),
        (&live, at(Depth::Connect, true), Step::HostKey),
    ] {
        let proof = climb_with(&lab, &settings, vec![leg.clone()]).remove(0);
        let seen = (proof.reached, proof.outcome);
        assert_eq!(seen, works(reached), "{leg:?} {settings:?} {proof:#?}");
    }
    // Nothing of Nova's directory was touched but what was made for the probe.
    let mode = lab
        .node("node2")
        .sh(&format!("stat -c %a {INSTANCES}"))
        .unwrap();
    assert_eq!(mode.stdout, b"755\n");
    nothing_is_left(&lab, Duration::from_secs(15));
}

#[test]
fn a_far_end_that_tells_no_machine_id_is_not_taken_for_another_machine() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    let legs = [Lane::ColdPush, Lane::ColdPull, Lane::Live].map(|lane| leg(&lab, lane, 1, 2));
    for id in ["uninitialized", ""] {
        sh(&lab, 2, &format!("cd /etc; echo '{id}' >machine-id"));
        for leg in &legs {
            let proof = climb_with(&lab, &settings(), vec![leg.clone()]).remove(0);
            assert_eq!(proof.outcome, Proven::Works, "{id:?} {proof:#?}");
            let says_so = |it: &Evidence| matches!(it, Evidence::Fact { text, .. } if text.contains("rests on its host key"));
            assert!(proof.evidence.iter().any(says_so), "{id:?} {proof:#?}");
        }
    }
}

#[test]
fn a_probe_leaves_the_clients_files_and_shared_connections_alone() {
    let lab = Lab::builder().nodes(2).start().unwrap();
    // A name with one key only is what UpdateHostKeys would add to.
    sh(
        &lab,
        1,
        "cd /var/lib/nova/.ssh; sed -i '/ecdsa/d; s/^[^ ]*,10/10/' known_hosts; printf 'ControlMaster auto\nControlPath ~/.ssh/cm-%%h\nControlPersist 60\n' >config; chown nova: config known_hosts",
    );
    let state = || {
        let list =
            "cd /var/lib/nova/.ssh; ls -la --time-style=full-iso . | tail -n +4; sha256sum *";
        String::from_utf8(lab.node("node1").sh(list).unwrap().stdout).unwrap()
    };
    let before = state();
    let legs = vec![leg(&lab, Lane::ColdPush, 1, 2)];
    let proof = climb_with(&lab, &settings(), legs).remove(0);
    assert_eq!(
        (proof.reached, proof.outcome),
        works(Step::Copy),
        "{proof:#?}"
    );
    assert_eq!(state(), before);
    nothing_is_left(&lab, Duration::from_secs(8));
}
