//! Starts a pristine lab, plants, and runs the real clearway on it.

use std::process::{Output, Stdio};

use clearway::report::Report;
use clearway_lab::{Fault, Image, Lab, LabError, LabSupport, OpenSsh};

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

/// Whether the image that was asked for is there, or can be made; says why not.
pub(crate) fn has_image() -> bool {
    match image() {
        Image::Distribution => true,
        other => !LabSupport::skips_test_on(other),
    }
}

/// The OpenSSH that the nodes run.
pub(crate) fn openssh() -> Result<OpenSsh, LabError> {
    let lab = Lab::builder().nodes(1).image(image()).start()?;
    lab.node("node1").openssh()
}

/// A lab with these faults in force.
pub(crate) fn planted(faults: &[&Fault]) -> Result<Lab, String> {
    let first = faults.first().ok_or("no fault to plant")?;
    let lab = Lab::for_fault(first)
        .image(image())
        .start()
        .map_err(|error| format!("starting the lab: {error}"))?;
    for fault in faults {
        lab.plant(fault)
            .map_err(|error| format!("planting: {error}"))?;
    }
    Ok(lab)
}

/// `clearway check` on a lab with these faults.
pub(crate) fn check(faults: &[&Fault]) -> Result<Report, String> {
    report(&planted(faults)?, &["check"])
}

/// What `clearway WORDS --format json` reports; held against the published schema.
pub(crate) fn report(lab: &Lab, words: &[&str]) -> Result<Report, String> {
    let output = clearway(lab, &[words, &["--format", "json"]].concat())?;
    let value: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("no report ({error}), {}", said(&output)))?;
    let schema = serde_json::from_str(include_str!("../../docs/report.schema.json"))
        .map_err(|error| format!("reading the schema: {error}"))?;
    jsonschema::draft202012::validate(&schema, &value)
        .map_err(|error| format!("the report is not what the schema says: {error}"))?;
    serde_json::from_value(value).map_err(|error| format!("reading the report: {error}"))
}

/// Runs `clearway WORDS`, with a ledger in the lab's directory.
pub(crate) fn clearway(lab: &Lab, words: &[&str]) -> Result<Output, String> {
    lab.command(env!("CARGO_BIN_EXE_clearway"))
        .args(words)
        .arg("--inventory")
        .arg(lab.inventory())
        .arg("--ledger")
        .arg(lab.dir().join("ledger.sqlite"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("running clearway: {error}"))
}

/// How a command ended and what it said.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
