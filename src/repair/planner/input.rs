//! What a plan is made from.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{Evidence, Fleet, KeySeen, Lane, LegId, Verdict};
use crate::repair::certificates::RevocationList;
use crate::survey::NodeFacts;
use crate::trust::{LegResult, Legs, PairScope, Prediction};

/// Everything that is known when a plan is made.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The fleet.
    pub fleet: &'a Fleet,
    /// What the survey found, one entry per node of the fleet; `None` for a node that was not surveyed.
    pub facts: &'a [Option<NodeFacts>],
    /// Who dials whom.
    pub legs: &'a Legs,
    /// What the facts imply; made for the same facts and at least the same pairs.
    pub prediction: &'a Prediction<'a>,
    /// The pairs that are to work.
    pub scope: &'a PairScope,
    /// What is known of legs beyond the prediction: those that were proven, or tried.
    pub seen: &'a HashMap<LegId, Seen>,
    /// The inventory's absolute path, for the plan to say.
    pub inventory: &'a str,
}

/// What is known of one leg beyond the prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its verdict.
    pub verdict: Verdict,
    /// `SHA256:…` of the host keys that the far end showed to this client.
    pub served: Vec<String>,
}

impl Seen {
    /// What a result says.
    #[must_use]
    pub fn of(result: &LegResult) -> Self {
        let proof = result.proof.iter().flat_map(|proof| &proof.evidence);
        let served = proof
            .chain(&result.evidence)
            .filter_map(|evidence| match evidence {
                Evidence::Key {
                    seen: KeySeen::Served,
                    fingerprint,
                    ..
                } => Some(fingerprint.clone()),
                _ => None,
            });
        Self {
            verdict: result.verdict,
            served: served.collect(),
        }
    }
}

/// What an operator decides about a repair.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Lanes whose legs are to work.
    pub lanes: BTreeSet<Lane>,
    /// Whether authorised keys are limited to their node's own addresses where that cannot break anything.
    pub from: bool,
    /// Whether accounts may be set right: a shell that runs no commands, a lock.
    pub accounts: bool,
    /// Whether client configurations that defeat the checking of host keys are changed, where all keys are in place.
    pub strict_host_keys: bool,
    /// What was revoked: none of these keys is let in or recorded anywhere.
    pub revoked: RevocationList,
    /// A secret from which the salts of hashed names are made; new for every plan.
    pub seed: [u8; 32],
}

impl Policy {
    /// What holds when an operator says nothing.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            lanes: Lane::ALL.into(),
            from: true,
            accounts: false,
            strict_host_keys: false,
            revoked: RevocationList::default(),
            seed,
        }
    }
}
