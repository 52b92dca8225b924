//! Plans made from the facts of real nodes, carried out there by hand, and judged by the nodes' own ssh.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use clearway::domain::{
    Control, Dial, Fleet, HostKeyTrust, Lane, LaneProfile, LaneUse, LegId, Node as FleetNode,
    NodeName, Pair, Profile, Scope, SshdProfile,
};
use clearway::frame::Nonce;
use clearway::repair::{
    Attributes, ControlAccount, FileState, KeyId, Plan, Policy, Situation, lint, plan,
};
use clearway::survey::{ContentPool, NodeFacts, SurveyRequest, parse};
use clearway::trust::{Legs, PairScope, Prediction};
use clearway_lab::{Lab, LabSupport, Node};

fn profile() -> Profile {
    let nova = ["runuser", "-u", "nova", "--"].map(str::to_owned).to_vec();
    let lane = |context: &[String], dial| LaneProfile {
        used: LaneUse::Auto,
        context: context.to_vec(),
        dial,
        user: None,
        port: None,
        identity: None,
    };
    Profile {
        name: "nova".to_owned(),
        repair: Default::default(),
        nova_conf: vec!["/etc/nova/nova.conf".to_owned()],
        nova_context: nova.clone(),
        sshd: SshdProfile {
            context: Vec::new(),
            binary: "/usr/sbin/sshd".to_owned(),
            config: "/etc/ssh/sshd_config".to_owned(),
            port: 22,
        },
        cold_push: lane(&nova, Dial::MigrationAddress),
        cold_pull: lane(&nova, Dial::ServiceHost),
        live: lane(&[], Dial::LiveAddress),
    }
}

fn fleet(lab: &Lab) -> Fleet {
    let profile = Arc::new(profile());
    let node = |node: &Node| FleetNode {
        name: NodeName::new(node.name()).expect("a name"),
        service_host: None,
        migration_address: None,
        live_address: None,
        cell: None,
        groups: Vec::new(),
        control: Control {
            address: node.address().to_string(),
            port: 22,
            user: "deploy".into(),
            sudo: true,
            identities: Vec::new(),
            agent: false,
            host_key: HostKeyTrust {
                known_hosts: Vec::new(),
                alias: None,
                pinned: Vec::new(),
            },
            jump: Vec::new(),
        },
        profile: Arc::clone(&profile),
    };
    Fleet {
        nodes: lab.nodes().iter().map(node).collect(),
        groups: BTreeMap::new(),
        scope: Scope::All,
    }
}

fn survey(node: &Node) -> NodeFacts {
    let request = SurveyRequest::new(&profile(), &["nova".to_owned()], Nonce::new([5; 16]));
    let mut child = node
        .command("sh")
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("shell starts");
    let mut stdin = child.stdin.take().expect("piped");
    let script = request.program();
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output().expect("shell ends");
    writer.join().expect("no panic").expect("script is read");
    let survey = parse(&request, &output.stdout, &ContentPool::new()).expect("an answer");
    survey.facts
}

/// What is planned from what is really there; reviewed.
fn planned(lab: &Lab, fleet: &Fleet) -> Plan {
    let facts: Vec<Option<NodeFacts>> = lab.nodes().iter().map(|node| Some(survey(node))).collect();
    let legs = Legs::new(fleet, &facts);
    let scope = PairScope::all(fleet);
    let prediction = Prediction::new(fleet, &facts, &legs, &scope);
    let seen = HashMap::new();
    let situation = Situation {
        fleet,
        facts: &facts,
        legs: &legs,
        prediction: &prediction,
        scope: &scope,
        seen: &seen,
        inventory: "/lab.yaml",
    };
    let plan = plan(&situation, &Policy::new([3; 32]));
    let control = ControlAccount::of(fleet);
    assert_eq!(
        lint(&plan, &facts, fleet, &scope, &control),
        [],
        "{plan:#?}"
    );
    plan
}

fn sh(node: &Node, line: &str) -> String {
    let output = node.sh(&format!("set -e; {line}")).expect("runs");
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn own(path: &str, it: Attributes) -> String {
    format!(
        "chown {}:{} '{path}'; chmod {:o} '{path}'",
        it.uid, it.gid, it.mode
    )
}

/// Carries a plan out, in the simplest way there is.
fn carry_out(lab: &Lab, plan: &Plan) {
    let mut made: HashMap<KeyId, String> = HashMap::new();
    for edits in &plan.nodes {
        for edit in &edits.edits {
            if let FileState::Directory { attributes } = &edit.after {
                let path = &edit.target.path;
                let line = format!("mkdir -p '{path}'; {}", own(path, *attributes));
                sh(lab.node(&edits.node), &line);
            }
        }
    }
    for key in &plan.keys {
        let (node, path) = (lab.node(&key.node), &key.target.path);
        let line = format!(
            "test ! -e '{path}'; ssh-keygen -q -t {} -N '' -C {} -f '{path}'; {}; chown {}:{} '{path}.pub'; cut -d' ' -f1,2 '{path}.pub'",
            key.key_type,
            key.comment,
            own(path, key.owner),
            key.owner.uid,
            key.owner.gid,
        );
        made.insert(key.id.clone(), sh(node, &line));
    }
    for edits in &plan.nodes {
        let node = lab.node(&edits.node);
        for edit in &edits.edits {
            let path = &edit.target.path;
            let line = match &edit.after {
                FileState::File { attributes, text } => {
                    let bytes = text.bytes(|id| made.get(id).map(String::as_bytes));
                    let data = base64::engine::general_purpose::STANDARD
                        .encode(bytes.expect("keys are made"));
                    format!(
                        "echo {data} | base64 -d > '{path}'; {}",
                        own(path, *attributes)
                    )
                }
                FileState::Opaque { attributes } => own(path, *attributes),
                FileState::Directory { .. } | FileState::Absent => continue,
            };
            sh(node, &line);
        }
    }
}

/// The legs that the nodes' own ssh does not get across, with what it says.
fn broken(lab: &Lab, fleet: &Fleet) -> Vec<(LegId, String)> {
    let facts: Vec<Option<NodeFacts>> = lab.nodes().iter().map(|node| Some(survey(node))).collect();
    let legs = Legs::new(fleet, &facts);
    let mut broken = Vec::new();
    for source in fleet.ids() {
        for destination in fleet.ids().filter(|&it| it != source) {
            for lane in Lane::ALL {
                let id = Pair {
                    source,
                    destination,
                }
                .leg(lane);
                let leg = legs.leg(id).expect("something to dial");
                let user = leg
                    .user
                    .as_deref()
                    .map_or(String::new(), |it| format!("-l {it}"));
                let context = leg.context.join(" ");
                let line = format!(
                    "{context} ssh -o BatchMode=yes -o KexAlgorithms=curve25519-sha256 {user} {} true",
                    leg.name
                );
                let output = lab.node(fleet.node(id.client).name.as_str()).sh(&line);
                let output = output.expect("runs");
                if !output.status.success() {
                    broken.push((id, String::from_utf8_lossy(&output.stderr).into_owned()));
                }
            }
        }
    }
    broken
}

/// A name, and on which node what is done.
type Fault = (&'static str, &'static [(&'static str, &'static str)]);

const SSH: &str = "cd /var/lib/nova/.ssh";

const FAULTS: &[Fault] = &[
    (
        "no trust at all",
        &[("all", "rm -rf /var/lib/nova/.ssh /root/.ssh")],
    ),
    (
        "a node made anew",
        &[(
            "node2",
            "rm -f /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null; kill -HUP $(pgrep -o -x sshd); sleep 1; rm -f id_* known_hosts",
        )],
    ),
    (
        "hashed names, a stale line among them",
        &[(
            "node1",
            "sed -n '/^node3,/s/^[^ ]*/node2,node2.lab,10.77.0.3/p' known_hosts > x; sed -i '/^node2,/d' known_hosts; cat x >> known_hosts; rm x; ssh-keygen -q -H -f known_hosts; rm known_hosts.old; chown nova: known_hosts",
        )],
    ),
    (
        "foreign lines with CRLF and no end, and no key of ours",
        &[(
            "node2",
            "printf '# ours\\r\\n\\trestrict ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDuF8TFA7zWGZEuqcpuN0ySO2qUZNPJbJcyXxEyMSCkP admin' > authorized_keys",
        )],
    ),
    (
        "keys limited to another network, and expired ones",
        &[
            (
                "node2",
                "sed -i 's/^/from=\"10.9.9.0\\/24\" /' authorized_keys",
            ),
            (
                "node3",
                "sed -i 's/^/expiry-time=\"20200101\" /' authorized_keys",
            ),
        ],
    ),
    (
        "a damaged key and one of root",
        &[
            ("node1", "truncate -s 200 id_ed25519"),
            ("node2", "chown root:root id_ed25519"),
            ("node3", "chmod 644 id_ed25519"),
        ],
    ),
    (
        "owners and modes up the path",
        &[
            (
                "node1",
                "chown deploy: /var/lib/nova; chmod 755 /var/lib/nova",
            ),
            ("node2", "chmod 777 ."),
            (
                "node3",
                "chown root:root authorized_keys known_hosts; chmod 600 authorized_keys known_hosts",
            ),
        ],
    ),
    (
        "a directory that the account cannot search",
        &[("node1", "chown root:root .; chmod 700 .")],
    ),
    (
        "a configuration that others may write",
        &[(
            "node1",
            "printf 'Host *\\n' > config; chown nova: config; chmod 666 config",
        )],
    ),
    (
        "keys are looked for elsewhere",
        &[(
            "node2",
            "printf 'Match User nova\\nAuthorizedKeysFile /etc/ssh/authorized_keys.d/%%u\\n' >> /etc/ssh/sshd_config; kill -HUP $(pgrep -o -x sshd); sleep 1",
        )],
    ),
    (
        "an identity of another name",
        &[(
            "node1",
            "printf 'Host *\\nIdentityFile ~/.ssh/nova_key\\nIdentitiesOnly yes\\n' > config; chown nova: config",
        )],
    ),
];

#[test]
fn what_is_planned_from_real_nodes_makes_their_own_ssh_work() {
    if LabSupport::skips_test() {
        return;
    }
    let mut wrong = Vec::new();
    for (name, plants) in FAULTS {
        let lab = Lab::builder().nodes(3).start().expect("lab");
        let fleet = fleet(&lab);
        assert_eq!(broken(&lab, &fleet), [], "before {name}");
        for (on, line) in *plants {
            for node in lab
                .nodes()
                .iter()
                .filter(|it| *on == "all" || it.name() == *on)
            {
                sh(node, &format!("{SSH}; {line}"));
            }
        }
        let before = broken(&lab, &fleet);
        if before.is_empty() {
            wrong.push(format!("{name}: nothing is broken"));
            continue;
        }
        let first = planned(&lab, &fleet);
        carry_out(&lab, &first);
        let after = broken(&lab, &fleet);
        if !after.is_empty() {
            wrong.push(format!(
                "{name}: {after:#?}\nleft: {:#?}\nby {first:#?}",
                first.left
            ));
            continue;
        }
        let again = planned(&lab, &fleet);
        if !(again.nodes.is_empty() && again.keys.is_empty()) {
            wrong.push(format!("{name}: planned again: {again:#?}"));
        }
        println!(
            "{name}: {} legs broken, {} edits",
            before.len(),
            first.nodes.iter().map(|it| it.edits.len()).sum::<usize>()
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
