//! Nodes behind jump hosts.

use std::sync::Arc;

use clearway::domain::{Fleet, NodeName, Scope, Why};
use clearway::remote::run_on_all;

use crate::sshd::*;

#[tokio::test]
async fn a_chain_of_two_jump_hosts_leads_to_the_node() {
    if !can_run("a_chain_of_two_jump_hosts_leads_to_the_node") {
        return;
    }
    let (first, second, target) = (Sshd::start(), Sshd::start(), Sshd::start());
    let mut node = target.node();
    node.control.jump = vec![first.jump_host()];
    assert_logs_in(&connector(), &node).await;
    node.control.jump.push(second.jump_host());
    assert_logs_in(&connector(), &node).await;
    assert_eq!(first.logged("Accepted publickey"), 2);
    assert_eq!(second.logged("Accepted publickey"), 1);
}

#[tokio::test]
async fn nodes_behind_one_jump_host_share_its_connection() {
    if !can_run("nodes_behind_one_jump_host_share_its_connection") {
        return;
    }
    let (bastion, target) = (Sshd::start(), Sshd::start());
    let mut nodes = Vec::new();
    for number in 0..12 {
        let mut node = target.node();
        node.name = NodeName::new(&format!("cmp{number:03}")).unwrap();
        node.control.jump = vec![bastion.jump_host()];
        nodes.push(node);
    }
    let fleet = Arc::new(Fleet {
        nodes,
        groups: Default::default(),
        scope: Scope::All,
    });
    let ids = fleet.ids().collect();
    let mut results = run_on_all(
        Arc::new(connector()),
        fleet,
        ids,
        4,
        async |_, connection| connection.run_program(b"echo here", &limits()).await,
    );
    let mut done = 0;
    while let Some((_, result)) = results.next().await {
        assert_eq!(result.unwrap().stdout, b"here\n");
        done += 1;
    }
    assert_eq!(done, 12);
    assert_eq!(bastion.logged("Accepted publickey"), 1, "{}", bastion.log());
}

#[tokio::test]
async fn a_jump_host_that_fails_is_named_and_not_tried_again() {
    if !can_run("a_jump_host_that_fails_is_named_and_not_tried_again") {
        return;
    }
    let (bastion, target) = (Sshd::start(), Sshd::start());
    let mut node = target.node();
    let mut jump = bastion.jump_host();
    jump.identities = vec![keys().path("other_ed25519")];
    node.control.jump = vec![jump];
    let connector = connector();
    for _ in 0..3 {
        let error = connector.connect(&node).await.unwrap_err();
        assert_eq!(error.why, Why::ControlDenied);
        let hop = format!("{}@127.0.0.1:{}", me(), bastion.port);
        assert_eq!(error.hop.as_deref(), Some(hop.as_str()), "{error}");
    }
    assert_eq!(bastion.logged("Connection from"), 1, "{}", bastion.log());
    assert_eq!(target.logged("Connection from"), 0);
}

#[tokio::test]
async fn the_host_key_of_every_hop_is_checked() {
    if !can_run("the_host_key_of_every_hop_is_checked") {
        return;
    }
    let (bastion, target) = (Sshd::start(), Sshd::start());
    let mut node = target.node();
    node.control.jump = vec![bastion.jump_host()];
    node.control.jump[0].host_key = pinned("other_ed25519");
    let error = connector().connect(&node).await.unwrap_err();
    assert_eq!(
        (error.why, error.hop.is_some()),
        (Why::ControlHostKey, true),
        "{error}"
    );
    assert_eq!(target.logged("Connection from"), 0);
    let mut node = target.node();
    node.control.jump = vec![bastion.jump_host()];
    node.control.host_key = pinned("other_ed25519");
    let error = connector().connect(&node).await.unwrap_err();
    assert_eq!((error.why, error.hop), (Why::ControlHostKey, None));
}

#[tokio::test]
async fn a_node_that_a_jump_host_cannot_reach_is_unreachable() {
    if !can_run("a_node_that_a_jump_host_cannot_reach_is_unreachable") {
        return;
    }
    let bastion = Sshd::start();
    let strict = Sshd::with(&["host_ed25519"], "AllowTcpForwarding no");
    for (jump, what) in [
        (&bastion, "cannot connect to"),
        (&strict, "does not forward to"),
    ] {
        let mut node = node("127.0.0.1", 1);
        node.control.jump = vec![jump.jump_host()];
        let error = connector().connect(&node).await.unwrap_err();
        assert_eq!(error.why, Why::ControlUnreachable, "{error}");
        assert!(error.detail.contains(what), "{error}");
    }
}
