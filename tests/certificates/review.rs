//! The reviewer finds what is planted in good plans of certificates. Every plan that another test here makes was reviewed
//! without a complaint.

use clearway::repair::{ControlAccount, Edit, FileState, Plan, Rule, Text, lint};
use clearway_lab::LabSupport;

use crate::fleet::{Cloud, DAY};

fn edit<'p>(plan: &'p mut Plan, node: &str, path: &str) -> &'p mut Edit {
    let files = plan.nodes.iter_mut().filter(|it| it.node == node);
    let files = files.flat_map(|it| &mut it.edits);
    let sshd = plan.sshd.iter_mut().filter(|it| it.node == node);
    let sshd = sshd.flat_map(|it| &mut it.edits);
    let mut all = files.chain(sshd);
    all.find(|it| it.target.path == path).unwrap()
}

fn text(plan: &mut Plan, node: &str, path: &str) -> String {
    let state = &edit(plan, node, path).after;
    let bytes = state.text().unwrap().bytes(|_| None).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn put(plan: &mut Plan, node: &str, path: &str, new: &str) {
    let FileState::File { text, .. } = &mut edit(plan, node, path).after else {
        panic!("no file");
    };
    *text = Text::known(new.as_bytes());
}

fn change(plan: &mut Plan, path: &str, from: &str, to: &str) {
    let old = text(plan, "node1", path);
    assert!(old.contains(from), "{from}: {old}");
    put(plan, "node1", path, &old.replacen(from, to, 1));
}

const HOSTS: &str = "/var/lib/nova/.ssh/known_hosts";
const KEYS: &str = "/var/lib/nova/.ssh/authorized_keys";
const USER: &str = "/var/lib/nova/.ssh/id_ed25519-cert.pub";
const HOST: &str = "/etc/ssh/ssh_host_ed25519_key-cert.pub";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/10-clearway.conf";

#[test]
fn what_is_planted_in_a_good_plan_of_certificates_is_found() {
    type Plant = fn(&mut Plan);
    if LabSupport::skips_test() {
        return;
    }
    let cloud = Cloud::start(2);
    let policy = cloud.policy();
    let good = cloud.plan(&policy).plan;
    let table: &[(&str, Rule, Plant)] = &[
        ("an authority for everybody", Rule::Wide, |plan| {
            change(plan, HOSTS, "@cert-authority ", "@cert-authority *,");
        }),
        ("an authority for a stranger's name", Rule::Scope, |plan| {
            change(
                plan,
                HOSTS,
                "@cert-authority ",
                "@cert-authority bank.example,",
            );
        }),
        ("a lost line of somebody's", Rule::Unmanaged, |plan| {
            let old = text(plan, "node1", HOSTS);
            let line = old.split_inclusive('\n').next().unwrap();
            change(plan, HOSTS, line, "");
        }),
        ("root for nova's certificates", Rule::Wide, |plan| {
            change(plan, KEYS, "principals=\"nova\"", "principals=\"root\"");
        }),
        ("more than commands", Rule::Wide, |plan| {
            change(plan, KEYS, "\",restrict ", "\" ");
        }),
        ("another node's user certificate", Rule::Scope, |plan| {
            let other = text(plan, "node2", USER);
            put(plan, "node1", USER, &other);
        }),
        ("another node's host certificate", Rule::Scope, |plan| {
            let other = text(plan, "node2", HOST);
            put(plan, "node1", HOST, &other);
        }),
        ("a user's certificate for a host", Rule::Scope, |plan| {
            let other = text(plan, "node1", USER);
            put(plan, "node1", HOST, &other);
        }),
        ("nobody gets in any more", Rule::Control, |plan| {
            change(
                plan,
                DROP_IN,
                "HostCertificate",
                "AllowUsers nobody\nHostCertificate",
            );
        }),
        ("another list of revoked keys", Rule::Control, |plan| {
            change(
                plan,
                DROP_IN,
                "HostCertificate",
                "RevokedKeys /tmp/x\nHostCertificate",
            );
        }),
        ("another sshd", Rule::Place, |plan| {
            plan.sshd[0].binary = "/tmp/sshd".to_owned();
        }),
        ("any file as sshd's", Rule::Place, |plan| {
            edit(plan, "node1", DROP_IN).target.path = "/etc/shadow".to_owned();
        }),
        (
            "a certificate that others may change",
            Rule::Modes,
            |plan| {
                let FileState::File { attributes, .. } = &mut edit(plan, "node1", USER).after
                else {
                    panic!("no file");
                };
                attributes.mode = 0o666;
            },
        ),
        ("no reason", Rule::Unanswered, |plan| {
            edit(plan, "node1", DROP_IN).answers.clear();
        }),
    ];
    for (what, rule, plant) in table {
        let mut plan = good.clone();
        plant(&mut plan);
        let complaints = cloud.complaints(&plan, &policy, |_| {});
        let found = complaints.iter().any(|it| it.rule == *rule);
        assert!(found, "{what}: {complaints:#?}");
    }

    // The plan is the same, and what is allowed is less.
    let wide = |complaints: Vec<clearway::repair::Complaint>| {
        complaints.iter().any(|it| it.rule == Rule::Wide)
    };
    let other = cloud.hosts.public.clone();
    assert!(wide(
        cloud.complaints(&good, &policy, |it| it.users = other)
    ));
    assert!(wide(cloud.complaints(&good, &policy, |it| {
        it.now += 400 * DAY;
    })));
    let mut anywhere = cloud.policy();
    anywhere.source_address = false;
    let plan = cloud.plan(&anywhere).plan;
    assert!(wide(cloud.complaints(&plan, &policy, |_| {})));

    // Who has no authority gets none.
    let control = ControlAccount::of(&cloud.fleet);
    let complaints = lint(
        &good,
        &cloud.facts(),
        &cloud.fleet,
        &cloud.scope(),
        &control,
    );
    assert!(complaints.iter().any(|it| it.rule == Rule::Place));

    // Plain keys go only where that was asked for.
    cloud.apply(&good);
    let retired = cloud.retire(&policy);
    let complaints = cloud.complaints(&retired, &policy, |_| {});
    assert!(complaints.iter().any(|it| it.rule == Rule::Unmanaged));
}
