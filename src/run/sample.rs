//! Which nodes answer for themselves before others may be spared the question ([`crate::survey::agreed`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::domain::{Fleet, NodeId, Profile};
use crate::survey::{KnownAnswer, QUORUM, agreed};
use crate::system;

/// Nodes picked from those of a profile: one of them may fail, and the others are still enough.
const PICKED: usize = QUORUM + 1;
/// Fewer nodes of a profile are all asked: there is little to spare.
const WORTH: usize = 3 * PICKED;
/// How long a node that is connected waits for the picked ones.
const PATIENCE: Duration = Duration::from_secs(2);

type Answers = Arc<Vec<KnownAnswer>>;

/// The nodes picked from a fleet, and what they have answered so far.
pub(super) struct Samples {
    samples: Vec<Sample>,
    /// Each node that belongs to a profile of which some were picked.
    of: HashMap<NodeId, (usize, Part)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Picked,
    Other,
}

struct Sample {
    answers: Vec<Vec<KnownAnswer>>,
    outstanding: usize,
    decided: watch::Sender<Option<Answers>>,
}

/// Where a node's survey learns what need not be asked.
#[derive(Clone)]
pub(super) struct Waiter(HashMap<NodeId, watch::Receiver<Option<Answers>>>);

impl Samples {
    /// Picks from the selected nodes, at random so that no node can count on it.
    pub(super) fn pick(fleet: &Fleet, selected: &[NodeId]) -> Self {
        let mut profiles: HashMap<&Profile, Vec<NodeId>> = HashMap::new();
        for &id in selected {
            profiles
                .entry(&fleet.node(id).profile)
                .or_default()
                .push(id);
        }
        let mut picked = Self {
            samples: Vec::new(),
            of: HashMap::new(),
        };
        for mut nodes in profiles.into_values().filter(|nodes| nodes.len() >= WORTH) {
            for at in 0..PICKED {
                let left = (nodes.len() - at) as u64;
                let ahead = usize::try_from(system::random_seed() % left).unwrap_or(0);
                nodes.swap(at, at + ahead);
            }
            let number = picked.samples.len();
            for (at, id) in nodes.into_iter().enumerate() {
                let part = if at < PICKED {
                    Part::Picked
                } else {
                    Part::Other
                };
                picked.of.insert(id, (number, part));
            }
            picked.samples.push(Sample {
                answers: Vec::new(),
                outstanding: PICKED,
                decided: watch::Sender::new(None),
            });
        }
        picked
    }

    /// The selected nodes in the order in which they are asked: those first that others wait for.
    pub(super) fn order(&self, selected: &[NodeId]) -> Vec<NodeId> {
        let picked = |id: &NodeId| matches!(self.of.get(id), Some((_, Part::Picked)));
        let (mut first, rest): (Vec<_>, Vec<_>) = selected.iter().partition(|id| picked(id));
        first.extend(rest);
        first
    }

    /// What the surveys of the other nodes wait with.
    pub(super) fn waiter(&self) -> Waiter {
        let others = self.of.iter().filter(|(_, (_, part))| *part == Part::Other);
        let receivers = others.filter_map(|(&id, &(number, _))| {
            Some((id, self.samples.get(number)?.decided.subscribe()))
        });
        Waiter(receivers.collect())
    }

    /// A node has been surveyed, or could not be.
    pub(super) fn learn(&mut self, id: NodeId, learnt: Option<Vec<KnownAnswer>>) {
        let Some(&(number, Part::Picked)) = self.of.get(&id) else {
            return;
        };
        let Some(sample) = self.samples.get_mut(number) else {
            return;
        };
        sample.outstanding = sample.outstanding.saturating_sub(1);
        sample.answers.extend(learnt);
        // Enough is enough: the last one may be a node that does not answer.
        if sample.answers.len() >= QUORUM || sample.outstanding == 0 {
            sample
                .decided
                .send_replace(Some(Arc::new(agreed(&sample.answers))));
        }
    }
}

impl Waiter {
    /// What this node need not be asked. Nothing when the picked ones did not agree, or take long.
    pub(super) async fn known(&self, id: NodeId) -> Vec<KnownAnswer> {
        let Some(receiver) = self.0.get(&id) else {
            return Vec::new();
        };
        let mut receiver = receiver.clone();
        let decided = timeout(PATIENCE, receiver.wait_for(Option::is_some)).await;
        match decided {
            Ok(Ok(answers)) => answers.as_deref().cloned().unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}
