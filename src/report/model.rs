//! The report of a check or a trace, as plain data. docs/report.schema.json describes its JSON form.

use serde::{Deserialize, Serialize};

use crate::domain::{Depth, Evidence, Lane, Severity, Step};

/// Version of the JSON form. Raised when a field changes its meaning or goes away; new fields may appear without.
pub const SCHEMA_VERSION: u32 = 1;

/// What one run found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`] of the clearway that wrote it.
    pub schema: u32,
    /// Version of the clearway that wrote it.
    pub clearway: String,
    /// The run's id.
    pub run: String,
    /// `check`, `trace`, `repair`, `repair undo`, `repair forget`, `keys`, `keys rotate` or `keys revoke`.
    pub command: String,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// When it ended, RFC 3339, UTC.
    pub finished: String,
    /// The inventory file or directory, as given.
    pub inventory: String,
    /// How it was asked to look.
    pub settings: Settings,
    /// Whether it was interrupted before its end; unproven legs then say `interrupted`.
    pub interrupted: bool,
    /// Counts, and the exit code that they mean.
    pub summary: Summary,
    /// Every node that was selected, in inventory order.
    pub nodes: Vec<NodeReport>,
    /// Every leg of the pairs that were chosen for proof, and of the other pairs those that the files break; in the
    /// order source, destination, lane.
    pub legs: Vec<LegReport>,
    /// Legs that were not proven in this run and that the files allow, folded.
    pub predicted_only: Vec<FoldedLegs>,
    /// Of the pairs that were not proven: those that an earlier run proved and that nothing has happened to since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_earlier: Option<ProvenEarlier>,
    /// What is worth knowing besides.
    pub findings: Vec<FindingReport>,
    /// What a repair did, or would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<RepairReport>,
}

impl Report {
    /// The earlier run that this one puts back, or whose way back it gives up.
    #[must_use]
    pub fn about(&self) -> Option<&str> {
        self.repair.as_ref()?.about.as_deref()
    }
}

/// Pairs that `--pairs changed` left out: earlier runs proved all their legs, at least as deep, and whatever the survey reads
/// is at both ends what it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenEarlier {
    /// How many.
    pub pairs: u64,
    /// When the oldest of these proofs was made, RFC 3339, UTC.
    pub since: String,
}

/// What a repair did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairReport {
    /// Whether it was carried out; if not, it was only planned.
    pub applied: bool,
    /// The earlier run that this one puts back, or whose way back it gives up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Whether every node has its end. If not, `clearway repair resume` goes on, and the same command again where the run
    /// is about an earlier one.
    pub complete: bool,
    /// The nodes that it concerns, in inventory order.
    pub nodes: Vec<RepairedNode>,
    /// What it leaves to a person.
    pub left: Vec<LeftReport>,
    /// Whether more can be repaired now: what could not be seen behind what was repaired.
    #[serde(default)]
    pub more: bool,
    /// The runs that this one goes on from, in their order: each is a repair of its own, and undone after those behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
}

/// A node of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairedNode {
    /// Inventory name.
    pub name: String,
    /// `planned`, `kept`, `undone`, `forgotten` (it cannot be put back any more), `refused` (its files are as they were),
    /// `stuck` (it could not be put back), or `unknown` (it did not answer: resume).
    pub outcome: String,
    /// Files, directories and accounts that it is about: changed, or planned to be. Nothing may have been left to change on a
    /// node that is `kept`.
    pub edits: u64,
    /// Keys that were made or brought there, or are planned to be.
    pub keys: u64,
    /// Why it is not kept.
    pub detail: Option<String>,
}

/// Something broken that a repair leaves to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftReport {
    /// Code of the reason (`clearway reasons`).
    pub code: String,
    /// How many legs it breaks.
    pub legs: u64,
    /// Why it is left alone.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// How a run was asked to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `--limit`, as given.
    pub limit: Option<String>,
    /// How far proof climbed.
    pub depth: Depth,
    /// `--pairs`, as given.
    pub pairs: String,
    /// Whether nothing was written on the far ends.
    pub no_write: bool,
    /// `--lanes`; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<Lane>,
}

impl Settings {
    /// Those of a run that proves nothing.
    #[must_use]
    pub fn without_proof() -> Self {
        Self {
            limit: None,
            depth: Depth::Copy,
            pairs: "none".to_owned(),
            no_write: true,
            lanes: Vec::new(),
        }
    }
}

/// Numbers of verdicts of one kind of thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All of them.
    pub total: u64,
    /// Proven to work.
    pub verified: u64,
    /// Known not to work.
    pub broken: u64,
    /// Not known.
    pub unproven: u64,
    /// Not used here.
    pub not_needed: u64,
    /// Allowed by the files and not asked to be proven, or not to the top, in this run (`--pairs`, `--depth`,
    /// `--no-write`). Not counted as unproven: nobody tried and failed.
    pub predicted_only: u64,
}

/// Counts, and what they mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Nodes selected.
    pub nodes: u64,
    /// Nodes surveyed.
    pub surveyed: u64,
    /// Ordered pairs in scope.
    pub pairs: Counts,
    /// Legs of these pairs.
    pub legs: Counts,
    /// The exit code: 0 all well, 1 something is broken, 3 something could not be checked and nothing is known to
    /// be broken, 130 interrupted.
    pub exit_code: u8,
}

/// A node and whether it could be surveyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Inventory name.
    pub name: String,
    /// Whether its facts are known.
    pub surveyed: bool,
    /// Code of the reason why not (`clearway reasons`).
    pub why: Option<String>,
    /// The particulars of that.
    pub detail: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Nova's service host name, when known.
    pub service_host: Option<String>,
    /// The address that others dial for cold moves, when known.
    pub migration_address: Option<String>,
    /// Hash of the facts that matter for trust; `--pairs changed` compares it.
    pub facts_digest: Option<String>,
    /// Parts of its survey that could not be done.
    pub gaps: Vec<String>,
}

/// One leg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegReport {
    /// Which lane.
    pub lane: Lane,
    /// The move's source: inventory name.
    pub source: String,
    /// The move's destination: inventory name.
    pub destination: String,
    /// The node on which ssh runs: the source, for `cold-pull` the destination.
    pub client: String,
    /// The node that answers.
    pub server: String,
    /// The literal name dialled; `None` when nothing says what it would be.
    pub dialled: Option<String>,
    /// `verified`, `broken`, `unproven` or `not-needed`.
    pub verdict: String,
    /// Code of the reason, for all but `verified`.
    pub code: Option<String>,
    /// The rung on which it breaks.
    pub step: Option<Step>,
    /// What the files imply: `works`, `breaks`, `unknown` or `not-needed`.
    pub predicted: String,
    /// Code of what they imply.
    pub predicted_code: Option<String>,
    /// What really happened: `works`, `breaks`, `refused`, `unknown`; `None` when it was not tried.
    pub proven: Option<String>,
    /// Code of what the proof alone came to, whatever the files imply; for `refused` what the far end's own log and files
    /// say of it, `None` when they say nothing.
    pub proven_code: Option<String>,
    /// The last rung that was climbed for real.
    pub reached: Option<Step>,
    /// Milliseconds that the proof took on the client.
    pub millis: Option<u64>,
    /// What the verdict rests on; empty for verified legs.
    pub evidence: Vec<Evidence>,
    /// What to type.
    pub remedy: Option<String>,
}

/// Legs with one outcome, folded into node ranges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldedLegs {
    /// Which lane.
    pub lane: Lane,
    /// Sources, folded: `cmp[001-016]`.
    pub sources: String,
    /// Destinations, folded.
    pub destinations: String,
    /// How many legs.
    pub count: u64,
}

/// Something worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingReport {
    /// Its code (`clearway reasons`).
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// The nodes concerned, folded: `cmp[001-016]`.
    pub nodes: String,
    /// The particulars.
    pub detail: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub remedy: String,
}
