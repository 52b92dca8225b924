//! What clearway leaves to a person.

use std::collections::BTreeMap;

use super::draft::answers;
use super::input::Situation;
use crate::domain::{LegId, Placeholders, Reason};
use crate::repair::plan::Left;
use crate::trust::verdict::common_placeholders;

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

/// The reason's remedy, with what all legs have in common filled in.
fn remedy_of(situation: &Situation<'_>, reason: Reason, legs: &[LegId]) -> String {
    let Some(&first) = legs.first() else {
        return Placeholders::default().fill(reason.remedy());
    };
    if legs.len() == 1 {
        let explained = situation.prediction.explain(first).values;
        let common = common_placeholders(situation.fleet, situation.legs, first);
        return explained.or(&common).fill(reason.remedy());
    }
    let mut values = Placeholders::default();
    let name = |id| situation.fleet.node(id).name.as_str();
    if legs.iter().all(|leg| leg.client == first.client) {
        values = values.with("client", name(first.client));
    }
    if legs.iter().all(|leg| leg.server == first.server) {
        values = values.with("server", name(first.server));
    }
    values.fill(reason.remedy())
}
