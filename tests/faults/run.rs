//! Starts a pristine lab, plants, and runs the real clearway on it.

use std::process::Stdio;

use clearway::report::Report;
use clearway_lab::{Fault, Lab};

/// `clearway check --format json` on a lab with these faults.
pub(crate) fn check(faults: &[&Fault]) -> Result<Report, String> {
    let said = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let first = faults.first().ok_or("no fault to plant")?;
    let lab = Lab::for_fault(first)
        .start()
        .map_err(|error| said("starting the lab", &error))?;
    for fault in faults {
        lab.plant(fault).map_err(|error| said("planting", &error))?;
    }
    let output = lab
        .command(env!("CARGO_BIN_EXE_clearway"))
        .args(["check", "--no-ledger", "--format", "json", "--inventory"])
        .arg(lab.inventory())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| said("running clearway", &error))?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        format!(
            "no report ({error}), {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    })
}
