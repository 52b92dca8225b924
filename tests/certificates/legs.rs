//! From nothing, from keys, past the end, and out: what becomes of every leg.

use clearway::domain::NodeId;
use clearway::repair::certificates::{Revocation, revoke};
use clearway::trust::legs::Legs;
use clearway_lab::LabSupport;

use crate::fleet::{Cloud, DAY, now, sh};

#[test]
fn nodes_that_trust_nobody_come_to_trust_each_other_by_certificates_alone() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(3);
    for node in cloud.lab.nodes() {
        sh(
            node,
            "rm -r /root/.ssh/known_hosts /var/lib/nova/.ssh/known_hosts /var/lib/nova/.ssh/authorized_keys",
        );
    }
    assert!(cloud.check().legs.iter().all(|leg| leg.verdict == "broken"));
    let planned = cloud.plan(&cloud.policy());
    // Two host keys, nova's and root's, on each of three nodes.
    assert_eq!(planned.certificates, 12);
    cloud.apply(&planned.plan);
    cloud.all_verified("with certificates alone");
    let again = cloud.plan(&cloud.policy());
    assert_eq!(again.certificates, 0);
    assert_eq!((again.plan.nodes, again.plan.sshd), (vec![], vec![]));
}

#[test]
fn from_keys_to_certificates_every_leg_is_verified_after_every_step() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(3);
    cloud.all_verified("with keys");
    let policy = cloud.policy();
    let plan = cloud.plan(&policy).plan;
    assert_eq!((plan.nodes.len(), plan.sshd.len()), (3, 3));
    // One node is done with its sshd first, one with its files first.
    cloud.reload(&plan.sshd[1]);
    cloud.all_verified("one sshd has certificates");
    for node in &plan.nodes {
        cloud.edit(node);
        cloud.all_verified(&format!("{} has its files", node.node));
    }
    for change in [&plan.sshd[0], &plan.sshd[2]] {
        cloud.reload(change);
        cloud.all_verified(&format!("the sshd of {} has certificates", change.node));
    }
    let retired = cloud.retire(&policy);
    assert_eq!(retired.nodes.len(), 3);
    for node in &retired.nodes {
        cloud.edit(node);
        cloud.all_verified(&format!("{} trusts no plain key", node.node));
    }
    for node in cloud.lab.nodes() {
        let keys = sh(node, "cat /var/lib/nova/.ssh/authorized_keys");
        assert_eq!(keys.lines().count(), 1, "{keys}");
        assert!(
            keys.starts_with("cert-authority,principals=\"nova\",restrict "),
            "{keys}"
        );
        // The node's own short name is no name that is dialled: its line stays.
        let hosts = sh(node, "cat /var/lib/nova/.ssh/known_hosts");
        let plain = hosts
            .lines()
            .filter(|line| !line.starts_with("@cert-authority"));
        assert!(
            plain.into_iter().all(|line| line.starts_with("node")),
            "{hosts}"
        );
    }
}

#[test]
fn what_has_ended_breaks_and_is_renewed() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(3);
    let mut past = cloud.policy();
    past.now = now() - past.lifetime - DAY;
    cloud.apply(&cloud.plan(&past).plan);
    cloud.all_verified("keys carry what has ended");
    // A day in which everything was well: then the keys went.
    cloud.apply(&clearway::repair::certificates::retire(
        &cloud.fleet,
        &cloud.facts(),
        &cloud.scope(),
        &past,
        "/x",
    ));
    let report = cloud.check();
    let codes: Vec<_> = report.legs.iter().map(|leg| leg.code.as_deref()).collect();
    assert!(
        codes
            .iter()
            .all(|code| *code == Some("host-certificate-expired")),
        "{codes:?}"
    );
    let policy = cloud.policy();
    let renewed = cloud.plan(&policy);
    assert_eq!(renewed.certificates, 12);
    assert!(renewed.plan.nodes.iter().all(|node| {
        let mut edits = node.edits.iter();
        edits.all(|edit| edit.target.path.ends_with("-cert.pub"))
    }));
    cloud.apply(&renewed.plan);
    cloud.all_verified("renewed");

    // Near its end a check says so, for hosts and for users.
    let mut soon = cloud.policy();
    soon.lifetime = 10 * DAY;
    soon.renew_before = 200 * DAY;
    cloud.apply(&cloud.plan(&soon).plan);
    let report = cloud.check();
    let ending: Vec<_> = report
        .findings
        .iter()
        .filter(|it| it.code == "certificate-expiring")
        .map(|it| it.detail.as_str())
        .collect();
    for path in [
        "/etc/ssh/ssh_host_ed25519_key-cert.pub",
        "/etc/ssh/ssh_host_ecdsa_key-cert.pub",
        "/var/lib/nova/.ssh/id_ed25519-cert.pub",
        "/root/.ssh/id_ed25519-cert.pub",
    ] {
        assert!(
            ending
                .iter()
                .any(|detail| detail.starts_with(&format!("{path} ends in 9 days"))),
            "{path}: {ending:?}"
        );
    }
}

#[test]
fn a_revoked_node_logs_in_nowhere_and_is_believed_by_nobody() {
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(3);
    let mut policy = cloud.policy();
    cloud.apply(&cloud.plan(&policy).plan);
    cloud.apply(&cloud.retire(&policy));
    cloud.all_verified("with certificates");
    let facts = cloud.facts();
    let legs = Legs::new(&cloud.fleet, &facts);
    let revocation = Revocation::of(&cloud.fleet, &facts, &legs, NodeId(2), &policy.revoked);
    assert_eq!(revocation.node, "node3");
    policy.revoked.add(&revocation);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let text = policy.revoked.text();
    let list = runtime
        .block_on(cloud.signer.revocation_list(&text, 1))
        .unwrap();
    let plan = revoke(
        &cloud.fleet,
        &facts,
        &cloud.scope(),
        &revocation,
        &policy,
        &list,
        "/x",
    );
    assert_eq!(plan.left, []);
    let complaints = cloud.complaints(&plan, &policy, |it| it.revokes = Some(NodeId(2)));
    assert_eq!(complaints, []);
    let logins = |from: &str, to: &str| {
        let line = format!("ssh -o BatchMode=yes -o ConnectTimeout=5 {to} true");
        let output = cloud.node(from).sh_as("nova", &line).unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert!(logins("node3", "node1.lab").0);
    cloud.apply(&plan);
    for to in ["node1.lab", "node2.lab"] {
        let (works, said) = logins("node3", to);
        assert!(!works && said.contains("Permission denied"), "{to}: {said}");
    }
    for from in ["node1", "node2"] {
        let (works, said) = logins(from, "node3.lab");
        assert!(
            !works && said.contains("Host key verification failed"),
            "{from}: {said}"
        );
    }
    // As its own authority's log has it, and not only because lines went.
    assert!(
        cloud
            .lab
            .read_log("node1")
            .contains("revoked by file /etc/ssh/clearway-revoked.krl")
    );
    let report = cloud.check();
    for leg in &report.legs {
        let concerned = leg.client == "node3" || leg.server == "node3";
        assert_eq!(leg.verdict == "verified", !concerned, "{leg:#?}");
    }

    // It is made anew, with keys of its own, and taken in again.
    let node = cloud.node("node3");
    sh(
        node,
        "rm /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d/10-clearway.conf
         ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
         rs
         cd /var/lib/nova/.ssh; rm id_*; ssh-keygen -q -t ed25519 -N '' -f id_ed25519; chown nova:nova id_*
         cd /root/.ssh; rm id_*; ssh-keygen -q -t ed25519 -N '' -f id_ed25519",
    );
    let control = sh(node, "cat /etc/ssh/ssh_host_ed25519_key.pub");
    let file = cloud.lab.control_known_hosts();
    let known = std::fs::read_to_string(file).unwrap();
    let address = node.address().to_string();
    let kept: String = known
        .lines()
        .filter(|line| !line.starts_with(&format!("{address} ")))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(file, format!("{kept}{address} {control}")).unwrap();
    cloud.apply(&cloud.plan(&policy).plan);
    cloud.all_verified("taken in again");
}
