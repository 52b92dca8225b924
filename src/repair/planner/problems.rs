//! What is broken: for each leg, every part of it that does not work.

use rayon::prelude::*;
use smallvec::SmallVec;

use super::input::{Policy, Situation};
use crate::domain::{LegId, NodeId, Pair, Predicted, Reason, Verdict};

/// A leg that does not work, with all reasons that are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) id: LegId,
    /// In the order in which the leg meets them.
    pub(super) reasons: SmallVec<[Reason; 8]>,
    /// Another machine than the one meant may be answering.
    pub(super) wrong_machine: bool,
}

/// All legs in scope that do not work, in the order of lanes and clients.
pub(super) fn problems(situation: &Situation<'_>, policy: &Policy) -> Vec<Problem> {
    let nodes = situation.scope.nodes();
    let mut all = Vec::new();
    for &lane in &policy.lanes {
        let of_source = |&source: &NodeId| -> Vec<Problem> {
            situation
                .scope
                .destinations(source)
                .filter_map(|destination| {
                    let pair = Pair {
                        source,
                        destination,
                    };
                    problem(situation, pair.leg(lane))
                })
                .collect()
        };
        let found: Vec<Vec<Problem>> = nodes.par_iter().map(of_source).collect();
        all.extend(found.into_iter().flatten());
    }
    all
}

fn problem(situation: &Situation<'_>, id: LegId) -> Option<Problem> {
    let seen = situation.seen.get(&id).map(|seen| seen.verdict);
    match seen {
        Some(Verdict::Verified | Verdict::NotNeeded(_)) => return None,
        Some(Verdict::Broken(_) | Verdict::Unproven(_)) | None => {}
    }
    let mut reasons = SmallVec::new();
    let mut add = |predicted| {
        if let Predicted::Breaks(reason) = predicted
            && !reasons.contains(&reason)
        {
            reasons.push(reason);
        }
    };
    if let Some(rungs) = situation.prediction.rungs(id) {
        add(rungs.client);
        add(rungs.path);
        add(rungs.login);
        add(rungs.tail);
    }
    if let Some(Verdict::Broken(reason)) = seen {
        add(Predicted::Breaks(reason));
    }
    reasons.sort_by_key(|reason| reason.step());
    let wrong_machine = matches!(
        seen,
        Some(Verdict::Broken(
            Reason::HostKeyNotOnDisk | Reason::WrongMachine
        ))
    );
    (!reasons.is_empty()).then_some(Problem {
        id,
        reasons,
        wrong_machine,
    })
}
