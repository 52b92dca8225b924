//! What it costs to have both files of a node edited, over real sshd: everything that the program starts there, fsync and
//! rename included, and this side's part.
//!
//! The conditions are those that the bar was set in: root logins, no PAM, curve25519. A repair logs in once, for its survey,
//! and tells the node over the same connection what to write; so both are measured, with that connection and with a login
//! for nothing but the files.
//!
//! The peer, measured on another occasion, are two template tasks of Ansible: 1,710 ms of CPU a node, with mitogen 1,065 ms.
//!
//! `REPAIR_FLEET` (40) is how many nodes the files are for, `REPAIR_NODES` (8) how many have them written, `REPAIR_REPEATS`
//! (9) how often.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures time, reads its sizes from the environment and prints"
)]

#[allow(
    dead_code,
    reason = "the other bench has clearway as a process of its own"
)]
#[path = "fleet/cpu.rs"]
mod cpu;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

use clearway::domain::Fleet;
use clearway::files::load_inventory;
use clearway::frame::Nonce;
use clearway::inventory::Context;
use clearway::remote::{Connection, Connector, Deadlines, Environment, Limits};
use clearway::repair::{
    Attributes, Edit, FileState, Job, NodePlan, Operation, PLAN_SCHEMA, Plan, Program, Said,
    Target, Text,
};
use clearway_lab::{Kex, Lab, LabSupport, Node};
use nix::sched::{CloneFlags, setns};

use crate::cpu::Meter;

/// The bar: milliseconds of CPU a node, both sides together.
const BAR: f64 = 55.0;
/// The files, and how many lines each of them has for every node of a fleet.
const FILES: [(&str, usize); 2] = [("known_hosts", 2), ("authorized_keys", 1)];
const LINE: &str =
    "10.77.0.2 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJpSdtQ0A8LgEs+NJTrtoVYF6x0hhAzcn4+DNKFGk\n";

/// The rows that the bar is for.
const BOTH: &str = "both files, over the survey's connection";
const LOGIN_AND_BOTH: &str = "a login of its own and both files";
const RUN: &str = "20261125-120000-abcdef";

type Outcome = Result<(), String>;

fn main() {
    if LabSupport::skips_test() {
        return;
    }
    let fleet = size("REPAIR_FLEET", 40);
    let (nodes, repeats) = (size("REPAIR_NODES", 8), size("REPAIR_REPEATS", 9));
    let lab = || {
        let lab = Lab::builder().nodes(nodes).kex(Kex::Fast);
        lab.control_user("root").pam(false).start()
    };
    let (lab, meter) = Meter::around(lab, Lab::guard_pid).expect("a lab");
    // From here on this thread, and what it connects, is where the nodes can be reached.
    let hub = File::open(format!("/proc/{}/ns/net", lab.hub_pid())).expect("the hub's network");
    if let Err(error) = setns(hub, CloneFlags::CLONE_NEWNET) {
        println!(
            "NOT MEASURED: a repair that writes: the lab's network cannot be entered: {error}"
        );
        return;
    }
    println!(
        "repair: {nodes} nodes, files of a fleet of {fleet}, medians of {repeats}; CPU of the nodes: {}",
        meter.name()
    );
    let controller = Controller::new(&lab);
    let jobs: Vec<Job> = lab.nodes().iter().map(|it| job(it, fleet)).collect();
    let mut figures: Vec<(&str, Vec<[f64; 3]>)> = Vec::new();
    for round in 0..repeats {
        let mut measure = |what, tell: &dyn Fn() -> Outcome| {
            let own = own_cpu();
            let cost = meter.cost(tell).expect("the work is done");
            let own = own_cpu() - own;
            let figure = [own, cost.lab, cost.wall].map(|it| it / nodes as f64);
            match figures.iter_mut().find(|(it, _)| *it == what) {
                Some((_, all)) => all.push(figure),
                None => figures.push((what, vec![figure])),
            }
        };
        let told = |open: &[Connection], operation: &Operation, expected: fn(&Said) -> bool| {
            let nonce = Nonce::new([u8::try_from(round % 200).unwrap_or(0); 16]);
            jobs.iter().zip(open).try_for_each(|(job, open)| {
                let program = job.program(operation.clone(), RUN, "the bench", nonce.clone());
                controller.tell(open, &program, expected)
            })
        };
        let undo = Operation::Undo {
            wrote: BTreeSet::new(),
            commands: false,
        };
        let back = |open: &[Connection]| told(open, &undo, |it| matches!(it, Said::Back(_, true)));
        let write =
            |open: &[Connection]| told(open, &Operation::Apply, |it| matches!(it, Said::Wrote(_)));
        let nothing = |open: &[Connection]| {
            told(open, &Operation::Apply, |it| {
                matches!(it, Said::Same(_, true))
            })
        };
        let open = controller.connect().expect("logins");
        measure(BOTH, &|| write(&open));
        measure("nothing to do", &|| nothing(&open));
        measure("both files put back", &|| back(&open));
        controller.close(open);
        measure("a login and `true`", &|| {
            let open = controller.connect()?;
            let ran = open
                .iter()
                .try_for_each(|it| controller.run(it, b"true").map(drop));
            controller.close(open);
            ran
        });
        measure(LOGIN_AND_BOTH, &|| {
            let open = controller.connect()?;
            let wrote = write(&open);
            controller.close(open);
            wrote
        });
        let open = controller.connect().expect("logins");
        back(&open).expect("the files are put back");
        controller.close(open);
    }
    println!("| what, ms a node | this side's CPU | the node's CPU | both | wall | bar | |");
    println!("|---|---:|---:|---:|---:|---|---|");
    for (what, figures) in figures {
        let of = |part: fn(&[f64; 3]) -> f64| median(figures.iter().map(part).collect());
        let both = of(|it| it[0] + it[1]);
        let (bar, verdict) = match what {
            BOTH | LOGIN_AND_BOTH if both <= BAR => (format!("≤ {BAR}"), "met"),
            BOTH | LOGIN_AND_BOTH => (format!("≤ {BAR}"), "NOT met"),
            _ => (String::new(), ""),
        };
        println!(
            "| {what} | {:.1} | {:.1} | {both:.1} | {:.0} | {bar} | {verdict} |",
            of(|it| it[0]),
            of(|it| it[1]),
            of(|it| it[2]),
        );
    }
}

fn size(name: &str, otherwise: usize) -> usize {
    let value = std::env::var(name).ok();
    value.map_or(otherwise, |it| it.parse().expect("a number"))
}

/// Speaks to the nodes as a repair does.
struct Controller {
    runtime: tokio::runtime::Runtime,
    connector: Connector,
    fleet: Fleet,
}

impl Controller {
    fn new(lab: &Lab) -> Self {
        let context = Context {
            home: Some(lab.dir().into()),
            user: Some("root".to_owned()),
        };
        let inventory = load_inventory(lab.inventory(), &context).expect("the lab's inventory");
        let environment = Environment {
            home: lab.dir().into(),
            agent_socket: None,
            now: || {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                since.map_or(0, |it| it.as_secs())
            },
        };
        // On this thread: threads made before were in another network.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Self {
            runtime: runtime.expect("a runtime"),
            connector: Connector::new(environment, Deadlines::default()),
            fleet: inventory.fleet,
        }
    }

    /// Logs in to every node, one after the other.
    fn connect(&self) -> Result<Vec<Connection>, String> {
        self.runtime.block_on(async {
            let mut open = Vec::new();
            for id in self.fleet.ids() {
                let connection = self.connector.connect(self.fleet.node(id)).await;
                open.push(connection.map_err(|error| error.to_string())?);
            }
            Ok(open)
        })
    }

    fn close(&self, open: Vec<Connection>) {
        self.runtime.block_on(async {
            for connection in open {
                connection.close().await;
            }
        });
    }

    fn run(&self, open: &Connection, script: &[u8]) -> Result<Vec<u8>, String> {
        let limits = Limits::default();
        let output = self.runtime.block_on(open.run_program(script, &limits));
        Ok(output.map_err(|error| error.to_string())?.stdout)
    }

    fn tell(&self, open: &Connection, program: &Program, expected: fn(&Said) -> bool) -> Outcome {
        let stdout = self.run(open, program.script().as_bytes())?;
        let answer = program.read(&stdout).map_err(|error| error.to_string())?;
        let as_expected = answer.said.len() == FILES.len() && answer.said.iter().all(expected);
        as_expected.then_some(()).ok_or(format!("{answer:?}"))
    }
}

/// What a node is to do: both files of Nova's account get as many lines as a fleet has nodes.
fn job(node: &Node, fleet: usize) -> Job {
    let number = |flag: &str| -> u32 {
        let id = node.sh(&format!("id {flag} nova")).expect("id runs");
        let id = String::from_utf8_lossy(&id.stdout).trim().parse();
        id.expect("a number")
    };
    let attributes = Attributes {
        uid: number("-u"),
        gid: number("-g"),
        mode: 0o600,
    };
    let edit = |(name, lines): (&str, usize)| {
        let path = format!("/var/lib/nova/.ssh/{name}");
        let before = std::fs::read(node.path(&path)).expect("the lab's own file");
        let mode = format!("chmod 600 {path}");
        assert!(node.sh(&mode).expect("chmod runs").status.success());
        let state = |bytes: Vec<u8>| FileState::File {
            attributes,
            text: Text::known(bytes),
        };
        Edit {
            target: Target {
                context: Vec::new(),
                path,
            },
            before: state(before),
            after: state(LINE.repeat(lines * fleet).into_bytes()),
            label: None,
            answers: Vec::new(),
        }
    };
    let plan = Plan {
        schema: PLAN_SCHEMA,
        inventory: "/etc/clearway.yaml".to_owned(),
        keys: Vec::new(),
        copies: Vec::new(),
        commands: Vec::new(),
        nodes: vec![NodePlan {
            node: node.name().to_owned(),
            edits: FILES.into_iter().map(edit).collect(),
        }],
        sshd: Vec::new(),
        turnover: clearway::repair::Turnover::default(),
        left: Vec::new(),
    };
    Job::new(&plan, node.name(), &BTreeMap::new()).expect("a plan")
}

/// CPU of this process, in milliseconds.
fn own_cpu() -> f64 {
    cpu::usage(nix::sys::resource::UsageWho::RUSAGE_SELF)
}

/// Of an even number the upper one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
