//! The catalogue of faults: each a file that says how it is planted and what it breaks.
//!
//! A *leg* is one ssh login: a lane, the node that runs ssh (`from`) and the node that answers (`to`). For
//! `cold-pull` that is the destination of a move towards its source. Every leg that a fault does not name must stay
//! healthy.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{During, LabError, Result};
use crate::openssh::OpenSsh;

/// One kind of ssh login that Nova or libvirt makes between computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// nova on the source of a cold move, to the destination's migration address.
    ColdPush,
    /// nova on the destination of a move, to the source's host name.
    ColdPull,
    /// root on the source of a live move, as nova to the destination's host name.
    Live,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ColdPush, Self::ColdPull, Self::Live];

    /// Its name in files and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ColdPush => "cold-push",
            Self::ColdPull => "cold-pull",
            Self::Live => "live",
        }
    }
}

/// One lane or several, as fault files name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Lanes {
    ColdPush,
    ColdPull,
    Live,
    /// Both lanes that nova itself uses.
    Cold,
    /// The lanes that dial a host name.
    ByName,
    All,
}

impl Lanes {
    fn lanes(self) -> &'static [Lane] {
        match self {
            Self::ColdPush => &[Lane::ColdPush],
            Self::ColdPull => &[Lane::ColdPull],
            Self::Live => &[Lane::Live],
            Self::Cold => &[Lane::ColdPush, Lane::ColdPull],
            Self::ByName => &[Lane::ColdPull, Lane::Live],
            Self::All => &Lane::ALL,
        }
    }
}

/// Where a part of a fault is planted. `source` is node1 and `target` node2.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// `node1`.
    Source,
    /// `node2`.
    Target,
    /// `node3`.
    Node3,
    /// Every node, one after the other.
    All,
    /// The router between the nodes, where node N's cable is called `vN`.
    Hub,
    /// The operator's machine, where `$INVENTORY` is.
    Operator,
}

impl Place {
    /// The node's name; None for all nodes or none.
    pub(crate) fn node(&self) -> Option<&'static str> {
        match self {
            Self::Source => Some("node1"),
            Self::Target => Some("node2"),
            Self::Node3 => Some("node3"),
            Self::All | Self::Hub | Self::Operator => None,
        }
    }

    fn covers(&self, name: &str) -> bool {
        *self == Self::All || self.node() == Some(name)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Hub => "hub",
            Self::Operator => "operator",
            other => other.node().unwrap_or_default(),
        })
    }
}

/// A part of a fault: a shell script, run as root with `set -eu`.
///
/// It finds these variables: `NOVA` (nova's home), `SSH` (nova's .ssh), `LAB` (the lab's helpers and certificate
/// authorities), `SOURCE`, `TARGET` and `NODE3` (addresses), `PREVIOUS` (what the part before it printed).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plant {
    /// Where it runs.
    pub on: Place,
    /// The script.
    pub run: String,
}

/// What a leg's verdict must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does not work.
    #[default]
    Broken,
    /// Nobody can know whether it works.
    Unproven,
    /// Nova does not use it.
    NotNeeded,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Break {
    lane: Lanes,
    from: Place,
    to: Place,
    step: Option<Step>,
    reason: Option<String>,
    proof: Option<String>,
    predictable: Option<bool>,
    #[serde(default)]
    verdict: Verdict,
    #[serde(default)]
    either: bool,
    /// The first OpenSSH of which this is not true any more; what is written further below may be.
    before: Option<OpenSsh>,
}

/// Healthy legs of which files cannot say that they are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unpredicted {
    lane: Lanes,
    from: Place,
    to: Place,
    because: String,
    /// The first OpenSSH on which it is so.
    since: Option<OpenSsh>,
}

/// The rungs of a leg, bottom first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The name becomes an address.
    Resolve,
    /// An SSH server answers.
    Connect,
    /// Its host key is accepted.
    HostKey,
    /// The login works.
    Login,
    /// Nova's commands work.
    Command,
    /// A copy arrives.
    Copy,
}

/// Who can set a fault right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cure {
    /// Files of the nodes, which `clearway repair` edits.
    Files,
    /// The account too, which `clearway repair --accounts` sets right.
    Accounts,
    /// Only a person: a repair lists it and touches nothing for it.
    Person,
}

/// How the lab differs from the default one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabOptions {
    /// How many nodes.
    pub nodes: usize,
    /// The account of the control connection: `root` where the fault keeps `deploy` out too.
    pub control_user: String,
    /// Write control_known_hosts again after planting: the operator has verified the new host keys.
    pub refresh_control: bool,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            nodes: 3,
            control_user: "deploy".into(),
            refresh_control: false,
        }
    }
}

/// A fault, or a variant of a healthy lab that must not be taken for one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The file's name without `.yaml`.
    pub id: String,
    /// What is wrong, in a few words.
    pub title: String,
    /// How it comes about in the field.
    pub story: String,
    /// How it is made.
    pub plant: Vec<Plant>,
    #[serde(default)]
    breaks: Vec<Break>,
    step: Option<Step>,
    reason: Option<String>,
    proof: Option<String>,
    #[serde(default)]
    unpredicted: Vec<Unpredicted>,
    /// Whether the fault can be seen in the files that a survey reads.
    #[serde(default)]
    pub predictable: bool,
    /// Who can set it right; None where no leg is broken.
    pub cure: Option<Cure>,
    /// Codes of findings that must be reported; no other warning may be.
    #[serde(default)]
    pub findings: Vec<String>,
    /// Words that OpenSSH itself says on every broken leg, on either stream, for the lab's own test.
    pub says: Option<String>,
    /// Words that the answering node's auth.log then holds.
    pub logs: Option<String>,
    /// How the lab differs from the default one.
    #[serde(default)]
    pub lab: LabOptions,
}

/// What the proof of a broken leg must come to by itself, whatever the files say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExpectedProof {
    /// It fails with this code: the leg's reason, or one of the client's who cannot know better.
    Fails(String),
    /// The login is refused, and not even the far end says why.
    RefusedInSilence,
    /// It is not tried.
    NotTried,
}

/// What is expected of one leg under a fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExpectedLeg {
    /// Which login.
    pub lane: Lane,
    /// The node that runs ssh.
    pub from: String,
    /// The node that answers.
    pub to: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The step at which it breaks; None for a leg that is unproven or not needed.
    pub step: Option<Step>,
    /// The reason's code.
    pub reason: String,
    /// What the proof alone must come to.
    pub proof: ExpectedProof,
    /// Whether files alone tell it.
    pub predictable: bool,
    /// Nova's own behaviour does not decide this leg: `verified` is as right as the verdict given.
    pub either: bool,
}

impl Fault {
    /// The directory of the catalogue.
    #[must_use]
    pub fn directory() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("faults")
    }

    /// Every fault of the catalogue, by id.
    ///
    /// # Errors
    /// Names the first file that cannot be read or does not make sense.
    pub fn load_all() -> Result<Vec<Self>> {
        let dir = Self::directory();
        let mut paths = fs::read_dir(&dir)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.path()))
                    .collect::<std::io::Result<Vec<_>>>()
            })
            .during(|| format!("listing {}", dir.display()))?;
        paths.retain(|path| path.extension().is_some_and(|it| it == "yaml"));
        paths.sort();
        paths.iter().map(|path| Self::load(path)).collect()
    }

    /// The fault of this id.
    ///
    /// # Errors
    /// If there is none, or its file does not make sense.
    pub fn find(id: &str) -> Result<Self> {
        Self::load(&Self::directory().join(id).with_extension("yaml"))
    }

    /// Reads one file.
    ///
    /// # Errors
    /// If it cannot be read or does not make sense.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).during(|| format!("reading {}", path.display()))?;
        let wrong = |why: String| LabError::Fault {
            path: path.to_owned(),
            why,
        };
        let fault: Self =
            serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if path
            .file_stem()
            .is_none_or(|stem| stem != fault.id.as_str())
        {
            return Err(wrong(format!("its id is {}", fault.id)));
        }
        for broken in &fault.breaks {
            if broken.reason.is_none() && fault.reason.is_none() {
                return Err(wrong("a broken leg without a reason".into()));
            }
            let stepless = broken.step.is_none() && fault.step.is_none();
            if broken.verdict == Verdict::Broken && stepless {
                return Err(wrong("a broken leg without a step".into()));
            }
        }
        if fault.unpredicted.iter().any(|it| it.because.is_empty()) {
            return Err(wrong("legs that are not predicted, and no word why".into()));
        }
        match (fault.breaks_a_leg(), fault.cure) {
            (true, None) => Err(wrong("it does not say who can set it right (cure)".into())),
            (false, Some(_)) => Err(wrong("a cure, and no leg is broken".into())),
            _ => Ok(fault),
        }
    }

    /// Whether nothing may be reported as broken.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.breaks.is_empty()
    }

    /// Whether any leg is broken, rather than unproven or not needed.
    fn breaks_a_leg(&self) -> bool {
        let mut verdicts = self.breaks.iter().map(|broken| broken.verdict);
        verdicts.any(|verdict| verdict == Verdict::Broken)
    }

    /// The fault as it is with this OpenSSH on the nodes.
    #[must_use]
    pub fn on(mut self, openssh: OpenSsh) -> Self {
        self.breaks
            .retain(|legs| legs.before.is_none_or(|fixed| openssh < fixed));
        self.unpredicted
            .retain(|legs| legs.since.is_none_or(|since| openssh >= since));
        self
    }

    /// The legs that the fault changes, in a lab with nodes of these names. All others must be healthy.
    #[must_use]
    pub fn expected_legs(&self, names: &[&str]) -> Vec<ExpectedLeg> {
        let mut legs: Vec<ExpectedLeg> = Vec::new();
        let mut seen = BTreeSet::new();
        for broken in &self.breaks {
            for &lane in broken.lane.lanes() {
                for from in names.iter().filter(|name| broken.from.covers(name)) {
                    for to in names.iter().filter(|name| broken.to.covers(name)) {
                        // What is written first counts.
                        if from != to && seen.insert((lane, *from, *to)) {
                            legs.push(self.expected_leg(broken, lane, from, to));
                        }
                    }
                }
            }
        }
        legs
    }

    /// Whether the files cannot say of this leg that it works, should it be healthy.
    #[must_use]
    pub fn is_unpredicted(&self, lane: &str, from: &str, to: &str) -> bool {
        self.unpredicted.iter().any(|legs| {
            let mut lanes = legs.lane.lanes().iter();
            lanes.any(|it| it.as_str() == lane) && legs.from.covers(from) && legs.to.covers(to)
        })
    }

    /// Whether a leg breaks for the reason that the file names first, rather than for one of its own.
    pub(crate) fn is_main_reason(&self, leg: &ExpectedLeg) -> bool {
        self.reason.as_ref() == Some(&leg.reason)
    }

    fn expected_leg(&self, broken: &Break, lane: Lane, from: &str, to: &str) -> ExpectedLeg {
        let reason = broken.reason.as_ref().or(self.reason.as_ref());
        let step = broken.step.or(self.step);
        let proof = broken.proof.as_ref().or(self.proof.as_ref());
        ExpectedLeg {
            lane,
            from: from.to_owned(),
            to: to.to_owned(),
            verdict: broken.verdict,
            step: step.filter(|_| broken.verdict == Verdict::Broken),
            reason: reason.cloned().unwrap_or_default(),
            proof: match proof.map(String::as_str) {
                Some("silence") => ExpectedProof::RefusedInSilence,
                Some("none") => ExpectedProof::NotTried,
                Some(code) => ExpectedProof::Fails(code.to_owned()),
                None => ExpectedProof::Fails(reason.cloned().unwrap_or_default()),
            },
            predictable: broken.predictable.unwrap_or(self.predictable),
            either: broken.either,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["node1", "node2", "node3"];

    fn fault(breaks: &str) -> Fault {
        let text = format!(
            "id: x\ntitle: t\nstory: s\nplant: []\nstep: login\nreason: account-missing\nbreaks:\n{breaks}"
        );
        serde_saphyr::from_str(&text).unwrap()
    }

    #[test]
    fn a_wildcard_covers_every_other_node_once() {
        let legs = fault("  - {lane: all, from: all, to: target}\n").expected_legs(&NAMES);
        assert_eq!(legs.len(), 6);
        assert!(
            legs.iter()
                .all(|leg| leg.to == "node2" && leg.from != "node2")
        );
    }

    #[test]
    fn what_is_written_first_counts() {
        let legs = fault(
            "  - {lane: live, from: source, to: target, step: command, reason: shell-noisy}\n  \
             - {lane: all, from: source, to: all}\n",
        )
        .expected_legs(&NAMES);
        assert_eq!(legs.len(), 6);
        assert_eq!(legs[0].reason, "shell-noisy");
        assert_eq!(legs[1].reason, "account-missing");
    }

    #[test]
    fn legs_may_be_broken_up_to_a_release_of_openssh() {
        let fault = fault(
            "  - {lane: cold-push, from: source, to: target}\n  \
             - {lane: cold-pull, from: source, to: target, before: '10.0'}\n",
        );
        let legs = |told| {
            let openssh = OpenSsh::told(told).unwrap();
            fault.clone().on(openssh).expected_legs(&NAMES).len()
        };
        assert_eq!(legs("OpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.17"), 2);
        assert_eq!(legs("OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1"), 1);
    }

    #[test]
    fn the_whole_catalogue_can_be_read() {
        let faults = Fault::load_all().unwrap();
        let broken = faults.iter().filter(|fault| !fault.is_healthy()).count();
        assert!(broken >= 60, "{broken} faults");
        assert!(faults.len() - broken >= 10, "healthy variants");
    }
}
