//! What clearway costs on a fleet of real sshd nodes, beside what it is compared with, in one run.
//!
//! `FLEET_NODES` (40) are surveyed, `FLEET_PROOF` (8) of them prove each other, `FLEET_MESH` (8) log in to each other
//! by bare ssh, each contender `FLEET_REPEATS` (3) times; a repair of the proven nodes finds nothing to do; `FLEET_CLEARWAY` measures another binary than the one built
//! along. Prints a Markdown table: medians, and the bar beside each figure that has one.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench reads clocks, waits, and prints what it measured"
)]

mod contenders;
mod cpu;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clearway_lab::{Kex, Lab, LabSupport};

use crate::contenders::{clearway, copies, files, find, help, mesh, pdsh, repair};
use crate::cpu::{Cost, Meter};
use crate::table::{Bar, Table};

/// How large and how often.
struct Plan {
    nodes: usize,
    proof: usize,
    mesh: usize,
    repeats: usize,
    program: PathBuf,
    pdsh: bool,
}

/// How clearway and pdsh log in to the nodes.
struct Conditions {
    name: &'static str,
    user: &'static str,
    pam: bool,
}

/// Those that the bars were set with, and those that a distribution's sshd and an operator's account make.
const CONDITIONS: [Conditions; 2] = [
    Conditions {
        name: "root, no PAM",
        user: "root",
        pam: false,
    },
    Conditions {
        name: "sudo, PAM",
        user: "deploy",
        pam: true,
    },
];

/// What a column is made of: one cost per repeat.
#[derive(Default)]
struct Costs {
    survey: Vec<Cost>,
    pdsh: Vec<Cost>,
    mesh: Vec<Cost>,
    few: Vec<Cost>,
    proof: Vec<Cost>,
    copies: Vec<Cost>,
    repair: Vec<Cost>,
}

fn main() -> ExitCode {
    if !std::env::args().any(|word| word == "--bench") {
        println!("fleet: measures only in `cargo bench`");
        return ExitCode::SUCCESS;
    }
    if let LabSupport::None(why) = LabSupport::detect() {
        println!("fleet: SKIPPED: {why}");
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<Table, String> {
    let nodes = number("FLEET_NODES", 40)?.max(2);
    let plan = Plan {
        nodes,
        proof: number("FLEET_PROOF", 8)?.clamp(2, nodes),
        mesh: number("FLEET_MESH", 8)?.clamp(2, nodes),
        repeats: number("FLEET_REPEATS", 3)?.max(1),
        program: std::env::var_os("FLEET_CLEARWAY")
            .map_or_else(|| env!("CARGO_BIN_EXE_clearway").into(), PathBuf::from),
        pdsh: find("pdsh").is_some(),
    };
    println!(
        "fleet: {} nodes, {} of them proven, medians of {}",
        plan.nodes, plan.proof, plan.repeats
    );
    if !plan.pdsh {
        println!("fleet: pdsh is not installed: its rows are SKIPPED");
    }
    let start = start_cost(&plan)?;
    let mut columns = Vec::new();
    for conditions in &CONDITIONS {
        for kex in [Kex::Fast, Kex::Distribution] {
            let kex_name = match kex {
                Kex::Fast => "curve25519",
                Kex::Distribution => "distribution's",
            };
            let name = format!("{}, {kex_name}", conditions.name);
            columns.push((name.clone(), column(&plan, conditions, kex, &name)?));
        }
    }
    Ok(tabulate(&plan, start, &columns))
}

fn number(variable: &str, otherwise: usize) -> Result<usize, String> {
    std::env::var(variable).map_or(Ok(otherwise), |text| {
        text.parse()
            .map_err(|error| format!("{variable}={text}: {error}"))
    })
}

/// The median of 20, in milliseconds.
fn start_cost(plan: &Plan) -> Result<f64, String> {
    let mut costs = Vec::new();
    for _ in 0..20 {
        let before = cpu::children();
        help(&plan.program)?;
        costs.push(cpu::children() - before);
    }
    Ok(median(costs))
}

/// All contenders on one lab, in turns.
fn column(plan: &Plan, conditions: &Conditions, kex: Kex, name: &str) -> Result<Costs, String> {
    let lab = || {
        let lab = Lab::builder().nodes(plan.nodes).kex(kex);
        let lab = lab.control_user(conditions.user).pam(conditions.pam);
        lab.start()
    };
    let (lab, meter) =
        Meter::around(lab, Lab::guard_pid).map_err(|error| format!("starting the lab: {error}"))?;
    println!("fleet: {name}; CPU of the nodes: {}", meter.name());
    let mut costs = Costs::default();
    let lanes = ["--lanes", "cold-push,cold-pull"];
    let predict = ["--lanes", "cold-push,cold-pull", "--predict-only"];
    // What a repair does not prove again is in its ledger.
    repair(&lab, &plan.program, plan.proof, &lanes)?;
    for round in 1..=plan.repeats {
        let cost = |what: &str, run: &dyn Fn() -> contenders::Outcome| {
            let cost = meter.cost(run)?;
            println!(
                "fleet: {name}, {round}, {what}: started {:.0} ms, lab {:.0} ms, wall {:.0} ms",
                cost.started, cost.lab, cost.wall
            );
            Ok::<_, String>(cost)
        };
        costs.survey.push(cost("survey and prediction", &|| {
            clearway(&lab, &plan.program, plan.nodes, &["--predict-only"])
        })?);
        if plan.pdsh {
            costs
                .pdsh
                .push(cost("pdsh true", &|| pdsh(&lab, conditions.user, kex))?);
        }
        costs
            .mesh
            .push(cost("mesh of bare ssh", &|| mesh(&lab, plan.mesh))?);
        costs.few.push(cost("survey before the proof", &|| {
            clearway(&lab, &plan.program, plan.proof, &predict)
        })?);
        costs.proof.push(cost("proof", &|| {
            clearway(&lab, &plan.program, plan.proof, &lanes)
        })?);
        costs
            .copies
            .push(cost("bare ssh and scp", &|| copies(&lab, plan.proof))?);
        let before = files(&lab)?;
        costs.repair.push(cost("repair with nothing to do", &|| {
            repair(&lab, &plan.program, plan.proof, &lanes)
        })?);
        if files(&lab)? != before {
            return Err("a repair with nothing to do has changed files".to_owned());
        }
    }
    drop(lab);
    drop(meter);
    Ok(costs)
}

fn tabulate(plan: &Plan, start: f64, columns: &[(String, Costs)]) -> Table {
    let ordered = |count: usize| (count * (count - 1)) as f64;
    let (nodes, proven, pairs) = (plan.nodes as f64, plan.proof as f64, ordered(plan.proof));
    let of = |costs: &[Cost], part: fn(&Cost) -> f64| median(costs.iter().map(part).collect());
    let all: fn(&Cost) -> f64 = |it| it.started + it.lab;
    let names = columns.iter().map(|(name, _)| name.clone());
    let mut table = Table::new(names.collect());
    let mut row = |what: &str, bar: Bar, figure: &dyn Fn(&Costs) -> f64| {
        let figures = columns.iter().map(|(_, costs)| figure(costs));
        table.add(what, figures.collect(), bar);
    };

    row(
        "survey + prediction: controller CPU, ms/node",
        Bar::AtMost(2.0),
        &|it| of(&it.survey, |it| it.started) / nodes,
    );
    row(
        "survey + prediction: total CPU, ms/node",
        Bar::AtMost(45.0),
        &|it| of(&it.survey, all) / nodes,
    );
    row("survey + prediction: wall, ms", Bar::None, &|it| {
        of(&it.survey, |it| it.wall)
    });
    if plan.pdsh {
        row(
            "`pdsh -R ssh true`: controller CPU, ms/node",
            Bar::None,
            &|it| of(&it.pdsh, |it| it.started) / nodes,
        );
        row("`pdsh -R ssh true`: total CPU, ms/node", Bar::None, &|it| {
            of(&it.pdsh, all) / nodes
        });
        row("`pdsh -R ssh true`: wall, ms", Bar::None, &|it| {
            of(&it.pdsh, |it| it.wall)
        });
        row("wall: clearway / pdsh", Bar::AtMost(1.0), &|it| {
            of(&it.survey, |it| it.wall) / of(&it.pdsh, |it| it.wall)
        });
    }
    let from = ordered(plan.mesh);
    row(
        &format!("live mesh, `ssh b true`: CPU, ms/pair ({from} pairs measured)"),
        Bar::None,
        &|it| of(&it.mesh, all) / from,
    );
    let how = if plan.mesh == plan.nodes {
        "measured".to_owned()
    } else {
        format!("EXTRAPOLATED from {from} pairs")
    };
    row(
        &format!("CPU: live mesh of {} nodes ({how}) / clearway", plan.nodes),
        Bar::AtLeast(40.0),
        &|it| of(&it.mesh, all) / from * ordered(plan.nodes) / of(&it.survey, all),
    );
    row(
        "proof: node CPU, ms/pair, survey subtracted",
        Bar::None,
        &|it| (of(&it.proof, |it| it.lab) - of(&it.few, |it| it.lab)) / pairs,
    );
    row(
        "bare ssh, scp, ssh, scp: node CPU, ms/pair",
        Bar::None,
        &|it| of(&it.copies, all) / pairs,
    );
    row("node CPU: proof / bare", Bar::AtMost(1.15), &|it| {
        (of(&it.proof, |it| it.lab) - of(&it.few, |it| it.lab)) / of(&it.copies, all)
    });
    row(
        "proof: controller CPU, ms/pair, survey subtracted",
        Bar::AtMost(0.1),
        &|it| (of(&it.proof, |it| it.started) - of(&it.few, |it| it.started)) / pairs,
    );
    row(
        "repair with nothing to do: node CPU, ms/node",
        Bar::None,
        &|it| of(&it.repair, |it| it.lab) / proven,
    );
    row(
        "survey and prediction of the same nodes: node CPU, ms/node",
        Bar::None,
        &|it| of(&it.few, |it| it.lab) / proven,
    );
    row(
        "node CPU: repair with nothing to do / survey",
        Bar::AtMost(1.1),
        &|it| of(&it.repair, |it| it.lab) / of(&it.few, |it| it.lab),
    );
    row(
        "node CPU: repair with nothing to do / check",
        Bar::None,
        &|it| of(&it.repair, |it| it.lab) / of(&it.proof, |it| it.lab),
    );
    row(
        "controller CPU: repair with nothing to do / check",
        Bar::None,
        &|it| of(&it.repair, |it| it.started) / of(&it.proof, |it| it.started),
    );
    row("`clearway --help`: CPU, ms", Bar::AtMost(5.0), &|_| start);
    table
}

/// Of an even number the upper one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
