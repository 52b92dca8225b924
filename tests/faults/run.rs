//! Starts a pristine lab, plants, and runs the real clearway on it.

use std::process::Stdio;

use clearway::report::Report;
use clearway_lab::{Fault, Image, Lab};

/// What the nodes run: `CLEARWAY_LAB_IMAGE=newer` asks for the other OpenSSH.
#[expect(
    clippy::disallowed_methods,
    reason = "a test may be told by its environment which nodes to use"
)]
fn image() -> Image {
    match std::env::var("CLEARWAY_LAB_IMAGE").as_deref() {
        Ok("newer") => Image::Newer,
        _ => Image::Distribution,
    }
}

/// `clearway check --format json` on a lab with these faults; the report is held against the published schema.
pub(crate) fn check(faults: &[&Fault]) -> Result<Report, String> {
    let said = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let first = faults.first().ok_or("no fault to plant")?;
    let lab = Lab::for_fault(first)
        .image(image())
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
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        format!(
            "no report ({error}), {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    let schema = serde_json::from_str(include_str!("../../docs/report.schema.json"))
        .map_err(|error| said("reading the schema", &error))?;
    jsonschema::draft202012::validate(&schema, &value)
        .map_err(|error| said("the report is not what the schema says", &error))?;
    serde_json::from_value(value).map_err(|error| said("reading the report", &error))
}
