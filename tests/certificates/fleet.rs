//! A lab seen as clearway sees it, and plans carried out on it.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use clearway::domain::{Fleet, NodeId, Reason, Why};
use clearway::files::load_inventory;
use clearway::frame::Nonce;
use clearway::inventory::Context;
use clearway::openssh::key::CertRole;
use clearway::repair::certificates::{
    Authorities, CertificatePlan, Outlook, Policy, Signed, afterwards, plan, retire, wanted,
};
use clearway::repair::reload::{
    Changed, Settled, change, keep, read_changed, read_settled, take_back,
};
use clearway::repair::{
    AuthorityRules, Complaint, ControlAccount, Edit, FileState, NodePlan, Plan, SshdChange,
    lint_with,
};
use clearway::report::{FindingReport, Report};
use clearway::signer::{AuthorityKey, KeySource, Signer};
use clearway::survey::{ContentPool, NodeFacts, SurveyRequest, parse};
use clearway::trust::PairScope;
use clearway::trust::legs::Legs;
use clearway_lab::{Lab, Node};

pub(crate) const DAY: u64 = 86_400;

/// A lab, its inventory and two authorities.
pub(crate) struct Cloud {
    pub(crate) lab: Lab,
    pub(crate) fleet: Fleet,
    pub(crate) signer: Signer,
    pub(crate) hosts: AuthorityKey,
    pub(crate) users: AuthorityKey,
    _keys: tempfile::TempDir,
}

pub(crate) fn nonce() -> Nonce {
    use std::io::Read as _;
    let mut random = [0; 16];
    let mut source = std::fs::File::open("/dev/urandom").unwrap();
    source.read_exact(&mut random).unwrap();
    Nonce::new(random)
}

pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
}

impl Cloud {
    pub(crate) fn start(nodes: usize) -> Self {
        let lab = Lab::builder().nodes(nodes).start().unwrap();
        let context = Context {
            home: None,
            user: None,
        };
        let fleet = load_inventory(lab.inventory(), &context).unwrap().fleet;
        let keys = tempfile::tempdir().unwrap();
        let signer = Signer::new(None, keys.path().to_owned());
        let authority = |name: &str| {
            let path: PathBuf = keys.path().join(name);
            let mut keygen = Command::new("ssh-keygen");
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(&path);
            assert!(keygen.status().unwrap().success());
            signer.authority(KeySource::File(path)).unwrap()
        };
        let (hosts, users) = (authority("hosts"), authority("users"));
        Self {
            lab,
            fleet,
            hosts,
            users,
            signer,
            _keys: keys,
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        let authorities = Authorities {
            hosts: self.hosts.public.clone(),
            users: self.users.public.clone(),
        };
        Policy::new(authorities, now())
    }

    pub(crate) fn scope(&self) -> PairScope {
        PairScope::all(&self.fleet)
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        self.lab.node(name)
    }

    /// What a survey finds.
    pub(crate) fn facts(&self) -> Vec<Option<NodeFacts>> {
        let facts = self.fleet.ids().map(|id| Some(self.survey(id)));
        facts.collect()
    }

    fn survey(&self, id: NodeId) -> NodeFacts {
        let node = self.fleet.node(id);
        let request = SurveyRequest::new(&node.profile, &[], nonce());
        let stdout = run(self.node(node.name.as_str()), &request.program());
        parse(&request, &stdout, &ContentPool::new()).unwrap().facts
    }

    pub(crate) fn sign(&self, policy: &Policy) -> Vec<Signed> {
        let facts = self.facts();
        let legs = Legs::new(&self.fleet, &facts);
        let mut serial = 1_000;
        let wanted = wanted(&self.fleet, &facts, &legs, &self.scope(), policy, || {
            serial += 1;
            serial
        });
        assert_eq!(wanted.left, []);
        let (hosts, users) = wanted
            .requests
            .into_iter()
            .partition(|it| it.role == CertRole::Host);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut signed = self.signer.sign(&self.hosts, hosts).await.unwrap();
            signed.extend(self.signer.sign(&self.users, users).await.unwrap());
            signed
        })
    }

    pub(crate) fn plan(&self, policy: &Policy) -> CertificatePlan {
        let signed = self.sign(policy);
        let facts = self.facts();
        let legs = Legs::new(&self.fleet, &facts);
        let planned = plan(
            &self.fleet,
            &facts,
            &legs,
            &self.scope(),
            policy,
            (&signed, None),
            "/x",
        );
        assert_eq!(planned.plan.left, []);
        assert_eq!(self.complaints(&planned.plan, policy, |_| {}), []);
        planned
    }

    /// What the reviewer says of a plan for the nodes as they are.
    pub(crate) fn complaints(
        &self,
        plan: &Plan,
        policy: &Policy,
        adjust: impl FnOnce(&mut AuthorityRules),
    ) -> Vec<Complaint> {
        let mut rules = AuthorityRules {
            hosts: policy.authorities.hosts.clone(),
            users: policy.authorities.users.clone(),
            networks: policy.networks.clone(),
            source_address: policy.source_address,
            reported_addresses: policy.reported_addresses,
            retires: false,
            revokes: None,
            revoked: policy.revoked.clone(),
            now: policy.now,
        };
        adjust(&mut rules);
        let control = ControlAccount::of(&self.fleet);
        lint_with(
            plan,
            &self.facts(),
            &self.fleet,
            &self.scope(),
            &control,
            Some(&rules),
        )
    }

    pub(crate) fn retire(&self, policy: &Policy) -> Plan {
        let facts = self.facts();
        let plan = retire(&self.fleet, &facts, &self.scope(), policy, "/x");
        let after = afterwards(&self.fleet, &facts, &plan);
        let outlook = Outlook::of(&self.fleet, &facts, &after, &self.scope());
        assert_eq!((outlook.lost, outlook.broken), (vec![], vec![]));
        assert_eq!(self.complaints(&plan, policy, |it| it.retires = true), []);
        plan
    }

    /// Carries a whole plan out.
    pub(crate) fn apply(&self, plan: &Plan) {
        plan.nodes.iter().for_each(|node| self.edit(node));
        plan.sshd.iter().for_each(|change| self.reload(change));
    }

    pub(crate) fn edit(&self, plan: &NodePlan) {
        let node = self.node(&plan.node);
        plan.edits.iter().for_each(|edit| put(node, edit));
    }

    pub(crate) fn reload(&self, planned: &SshdChange) {
        let node = self.node(&planned.node);
        let token = nonce();
        let changed = start(node, planned, &token, Duration::from_secs(20));
        assert!(matches!(changed, Changed::Reloaded { .. }), "{changed:?}");
        assert_eq!(settle(node, &token), Settled::Kept);
    }

    /// The report of a real check, with the legs that are not as wanted.
    pub(crate) fn check(&self) -> Report {
        let output = self
            .lab
            .command(env!("CARGO_BIN_EXE_clearway"))
            .args(["check", "--no-ledger", "--format", "json", "--inventory"])
            .arg(self.lab.inventory())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Looks again where a port was closed: sshd that is told to read its configuration again closes it and opens it
    /// anew (sshd.c, sighup_restart), and the commands under test tell it so; on a busy machine that takes a while.
    pub(crate) fn all_verified(&self, when: &str) {
        let mut report = self.check();
        for seconds in [1, 2, 4] {
            if is_refused_somewhere(&report) {
                sleep(Duration::from_secs(seconds));
                report = self.check();
            }
        }
        let others: Vec<_> = report
            .legs
            .iter()
            .filter(|leg| leg.verdict != "verified")
            .collect();
        assert!(others.is_empty(), "{when}: {others:#?}");
        let nodes = self.fleet.nodes.len();
        assert_eq!(report.legs.len(), nodes * (nodes - 1) * 3, "{when}");
        // What was predicted is what came.
        let differs: Vec<_> = differing(&report).collect();
        assert!(differs.is_empty(), "{when}: {differs:#?}");
    }
}

fn differing(report: &Report) -> impl Iterator<Item = &FindingReport> {
    let findings = report.findings.iter();
    findings.filter(|it| it.code == "prediction-differs")
}

/// On a leg, on the way to a node, or when its sockets were listed.
fn is_refused_somewhere(report: &Report) -> bool {
    let refused = Reason::ConnectionRefused.code();
    let closed = [
        refused,
        Why::ControlUnreachable.code(),
        Why::NotSurveyed.code(),
    ];
    let mut codes = report.legs.iter().filter_map(|leg| leg.code.as_deref());
    codes.any(|code| closed.contains(&code))
        || differing(report).any(|it| it.detail.contains(refused))
}

/// Runs a program as root on a node, sent over standard input.
pub(crate) fn run(node: &Node, program: &str) -> Vec<u8> {
    run_in(node, &["/bin/sh"], program)
}

/// The same in a shell that a node's `/bin/sh` may be.
fn run_in(node: &Node, shell: &[&str], program: &str) -> Vec<u8> {
    let mut child = node
        .command(shell[0])
        .args(&shell[1..])
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // As the control connection sends it: whole, or not at all.
    stdin
        .write_all(format!("{{ {program}\n}}\n").as_bytes())
        .unwrap();
    drop(stdin);
    child.wait_with_output().unwrap().stdout
}

pub(crate) fn start(node: &Node, planned: &SshdChange, token: &Nonce, wait: Duration) -> Changed {
    start_in(node, &["/bin/sh"], planned, token, wait)
}

pub(crate) fn start_in(
    node: &Node,
    shell: &[&str],
    planned: &SshdChange,
    token: &Nonce,
    wait: Duration,
) -> Changed {
    let nonce = nonce();
    let program = change(&nonce, token, planned, wait).unwrap();
    let stdout = run_in(node, shell, &program);
    read_changed(&stdout, &nonce)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stdout)))
}

pub(crate) fn settle(node: &Node, token: &Nonce) -> Settled {
    let nonce = nonce();
    let stdout = run(node, &keep(&nonce, token));
    read_settled(&stdout, &nonce).unwrap()
}

pub(crate) fn taken_back(node: &Node, token: &Nonce) -> Settled {
    let nonce = nonce();
    let stdout = run(node, &take_back(&nonce, token));
    read_settled(&stdout, &nonce).unwrap()
}

fn put(node: &Node, edit: &Edit) {
    assert_eq!(edit.target.context, [""; 0]);
    let path = node.path(&edit.target.path);
    if let FileState::File { text, .. } = &edit.before {
        assert_eq!(
            std::fs::read(&path).ok(),
            text.bytes(|_| None),
            "{}",
            path.display()
        );
    } else {
        assert!(!path.exists(), "{}", path.display());
    }
    match &edit.after {
        FileState::Absent => std::fs::remove_file(&path).unwrap(),
        FileState::Directory { .. } => std::fs::create_dir(&path).unwrap(),
        FileState::File { text, .. } => {
            std::fs::write(&path, text.bytes(|_| None).unwrap()).unwrap();
        }
        FileState::Opaque { .. } => unreachable!("no certificate plan has one"),
    }
    if let Some(attributes) = edit.after.attributes() {
        chown(&path, Some(attributes.uid), Some(attributes.gid)).unwrap();
        let mode = std::fs::Permissions::from_mode(attributes.mode);
        std::fs::set_permissions(&path, mode).unwrap();
    }
}

/// A shell line that must succeed.
pub(crate) fn sh(node: &Node, line: &str) -> String {
    let output = node.sh(&format!("set -e\n{line}")).unwrap();
    assert!(
        output.status.success(),
        "{}: {line}: {output:?}",
        node.name()
    );
    String::from_utf8(output.stdout).unwrap()
}
