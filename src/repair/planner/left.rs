//! What clearway leaves to a person.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::answers;
use super::input::Situation;
use crate::domain::{LegId, NodeId, Placeholders, Predicted, Reason, Verdict, fold};
use crate::repair::plan::Left;
use crate::trust::verdict::{common_placeholders, with_usual_file};

/// What is left, gathered by reason and by why.
#[derive(Debug, Default)]
pub(super) struct LeftAlone {
    found: BTreeMap<(Reason, String, Option<String>), Vec<LegId>>,
}

impl LeftAlone {
    /// Leaves a leg's reason alone. `remedy` stands instead of the reason's own.
    pub(super) fn add(&mut self, reason: Reason, why: &str, remedy: Option<String>, id: LegId) {
        let legs = self.found.entry((reason, why.to_owned(), remedy));
        legs.or_default().push(id);
    }

    pub(super) fn finish(self, situation: &Situation<'_>) -> Vec<Left> {
        let left =
            |((reason, why, remedy), mut legs): ((Reason, String, Option<String>), Vec<LegId>)| {
                legs.sort_unstable();
                legs.dedup();
                let remedy = remedy.unwrap_or_else(|| remedy_of(situation, reason, &legs));
                Left {
                    reason: reason.code().to_owned(),
                    legs: answers(
                        situation.fleet,
                        legs.into_iter().map(|id| (reason, id)).collect(),
                    ),
                    why,
                    remedy,
                }
            };
        self.found.into_iter().map(left).collect()
    }
}

/// More legs than this are not looked at one by one for what they have in common.
const COMPARED: usize = 64;

/// The reason's remedy for a person, with what all legs have in common filled in, and their nodes. Where they have too little in common, it is
/// that of the first one, and says so.
fn remedy_of(situation: &Situation<'_>, reason: Reason, legs: &[LegId]) -> String {
    let name = |id| situation.fleet.node(id).name.as_str();
    let all = |end: fn(&LegId) -> NodeId| {
        let nodes: BTreeSet<NodeId> = legs.iter().map(end).collect();
        fold(nodes.into_iter().map(name))
    };
    let mut values = Placeholders::default();
    if legs.len() <= COMPARED {
        let each = legs.iter().map(|&id| values_of(situation, reason, id));
        values = each
            .reduce(|one, other| one.in_common(&other))
            .unwrap_or_default();
    }
    let nodes = Placeholders::default()
        .with("client", all(|leg| leg.client))
        .with("server", all(|leg| leg.server));
    let values = values.or(&nodes);
    let remedy = reason.remedy_by_hand();
    let exact = values.fill(&remedy);
    let Some(&first) = legs.first() else {
        return exact;
    };
    let as_first = values
        .or(&values_of(situation, reason, first))
        .fill(&remedy);
    if as_first == exact {
        exact
    } else {
        format!("{as_first} The other legs likewise, each with what it dials.")
    }
}

fn values_of(situation: &Situation<'_>, reason: Reason, id: LegId) -> Placeholders {
    let prediction = &situation.prediction;
    let common = common_placeholders(situation.fleet, situation.legs, prediction, id);
    let mut explained = prediction.explain(id).values;
    if prediction.verdict(id) != Predicted::Breaks(reason) {
        // The file of what breaks the leg first is not that of what is behind it.
        explained = explained.without("file");
    }
    let explained = explained.or(&common);
    with_usual_file(explained, Verdict::Broken(reason))
}
