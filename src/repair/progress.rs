//! How far a run of a plan has come: what guards every write to its journal is what replays it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::plan::{KeyId, Plan};

/// What is done on a node, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Its keys are made.
    Keys,
    /// Keys from other nodes are brought there.
    Bring,
    /// Its accounts and files are edited.
    Edits,
    /// What its sshd reads is changed, and it is told to read that again.
    Sshd,
    /// All of it is put back.
    Undo,
    /// What it would be put back from is removed.
    Forget,
}

impl Stage {
    /// Its name in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Bring => "bring",
            Self::Edits => "edits",
            Self::Sshd => "sshd",
            Self::Undo => "undo",
            Self::Forget => "forget",
        }
    }
}

/// An entry of the journal. Intent is recorded before the effect, outcome after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "record")]
pub enum Record {
    /// A node will be told to do something.
    Begun {
        /// Inventory name.
        node: String,
        /// What.
        stage: Stage,
        /// Why it is put back, when it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// It has done it.
    Done {
        /// Inventory name.
        node: String,
        /// What.
        stage: Stage,
        /// Public halves of keys that exist there now, as `type base64`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        keys: BTreeMap<KeyId, String>,
        /// Numbers of the edits that were written; others were as they should be.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        wrote: BTreeSet<usize>,
    },
    /// It has refused it, and is as it was before.
    Refused {
        /// Inventory name.
        node: String,
        /// What.
        stage: Stage,
        /// Why.
        why: String,
    },
    /// It could not be told, or did not answer: nobody knows whether it was done.
    Lost {
        /// Inventory name.
        node: String,
        /// What.
        stage: Stage,
        /// Why.
        why: String,
    },
    /// Files are edited; affected legs are proven now.
    Proving,
    /// What was done on the node stays.
    Kept {
        /// Inventory name.
        node: String,
    },
    /// Every node has its end.
    Closed,
    /// Nothing is left to do of the rotation that the run began.
    Concluded,
}

/// A record that cannot follow on what the journal has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the journal of the repair cannot go on like this: {why}: {record:?}")]
pub struct IllegalRecord {
    /// The record.
    pub record: Box<Record>,
    /// What is wrong with it.
    pub why: &'static str,
}

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// What was done stays.
    Kept,
    /// What was done stays, and cannot be put back any more.
    Forgotten,
    /// Everything was put back.
    Undone(Option<String>),
    /// It refused, and its files are as they were.
    Refused(String),
    /// It could not be put back, or not all of it.
    Stuck(String),
    /// Nobody knows whether it made its keys; no file was edited.
    Lost(String),
}

/// How far one node has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeProgress {
    /// What was begun and has no outcome yet.
    pub doing: Option<Stage>,
    /// Why that is unknown, when it is known why.
    pub lost: Option<String>,
    /// What was done.
    pub done: BTreeSet<Stage>,
    /// Public halves of the keys that it made.
    pub keys: BTreeMap<KeyId, String>,
    /// Numbers of the edits that were written.
    pub wrote: BTreeSet<usize>,
    /// Whether editing was ever begun.
    pub edited: bool,
    /// Whether a change of its sshd was ever begun.
    pub reloaded: bool,
    /// Its end, when it has one.
    pub end: Option<End>,
    undo_why: Option<String>,
    /// The end that it had before it was told to forget.
    ended: Option<End>,
}

/// How far a run of a plan has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    nodes: BTreeMap<String, NodeProgress>,
    proving: bool,
    closed: bool,
    concluded: bool,
}

impl Progress {
    /// Before anything was done.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let names = (plan.nodes.iter().map(|it| &it.node))
            .chain(plan.keys.iter().map(|it| &it.node))
            .chain(plan.copies.iter().map(|it| &it.node))
            .chain(plan.commands.iter().map(|it| &it.node))
            .chain(plan.sshd.iter().map(|it| &it.node))
            .chain(
                plan.turnover
                    .renewed
                    .iter()
                    .filter(|it| it.takes_place)
                    .map(|it| &it.node),
            );
        Self {
            nodes: names
                .map(|it| (it.clone(), NodeProgress::default()))
                .collect(),
            proving: false,
            closed: false,
            concluded: false,
        }
    }

    /// The state that a journal leads to.
    ///
    /// # Errors
    /// A record cannot follow on those before it: the journal was not written by this function.
    pub fn replay<'r>(
        plan: &Plan,
        records: impl IntoIterator<Item = &'r Record>,
    ) -> Result<Self, IllegalRecord> {
        let mut progress = Self::new(plan);
        for record in records {
            progress.advance(record)?;
        }
        Ok(progress)
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// It cannot follow; nothing is changed then.
    pub fn advance(&mut self, record: &Record) -> Result<(), IllegalRecord> {
        self.may_follow(record)?;
        match record {
            Record::Begun { node, stage, why } => {
                let node = self.node_mut(node);
                node.doing = Some(*stage);
                node.lost = None;
                match stage {
                    Stage::Edits => node.edited = true,
                    Stage::Sshd => node.reloaded = true,
                    Stage::Undo => {
                        node.end = None;
                        node.undo_why.clone_from(why);
                        self.closed = false;
                    }
                    Stage::Forget => {
                        node.ended = node.end.take().or(node.ended.take());
                        self.closed = false;
                    }
                    Stage::Keys | Stage::Bring => {}
                }
            }
            Record::Done {
                node,
                stage,
                keys,
                wrote,
            } => {
                let node = self.node_mut(node);
                node.doing = None;
                if *stage == Stage::Undo {
                    node.end = Some(End::Undone(node.undo_why.take()));
                } else if *stage == Stage::Forget {
                    node.end = Some(End::Forgotten);
                } else {
                    node.done.insert(*stage);
                    node.keys.extend(keys.clone());
                    node.wrote.extend(wrote);
                }
            }
            Record::Refused { node, stage, why } => {
                let node = self.node_mut(node);
                node.doing = None;
                node.end = Some(match stage {
                    Stage::Undo => End::Stuck(why.clone()),
                    // It is as it was before it was told.
                    Stage::Forget => node.ended.take().unwrap_or(End::Kept),
                    _ => End::Refused(why.clone()),
                });
            }
            Record::Lost { node, stage, why } => {
                let node = self.node_mut(node);
                if matches!(stage, Stage::Keys | Stage::Bring) {
                    node.doing = None;
                    node.end = Some(End::Lost(why.clone()));
                } else {
                    node.lost = Some(why.clone());
                }
            }
            Record::Proving => self.proving = true,
            Record::Kept { node } => self.node_mut(node).end = Some(End::Kept),
            Record::Closed => self.closed = true,
            Record::Concluded => self.concluded = true,
        }
        Ok(())
    }

    /// Whether [`Self::advance`] would take a record.
    ///
    /// # Errors
    /// It cannot follow.
    pub fn may_follow(&self, record: &Record) -> Result<(), IllegalRecord> {
        self.check(record).map_err(|why| IllegalRecord {
            record: Box::new(record.clone()),
            why,
        })
    }

    /// What is wrong with a record here.
    fn check(&self, record: &Record) -> Result<(), &'static str> {
        match record {
            Record::Begun { node, stage, .. } => self.check_begun(node, *stage),
            Record::Done { node, stage, .. }
            | Record::Refused { node, stage, .. }
            | Record::Lost { node, stage, .. } => {
                if self.known(node)?.doing == Some(*stage) {
                    Ok(())
                } else {
                    Err("the node was not told to do that")
                }
            }
            Record::Proving if self.closed => Err("the run is closed"),
            Record::Proving => Ok(()),
            Record::Kept { node } => {
                let node = self.known(node)?;
                match (node.doing, &node.end) {
                    _ if !self.proving => Err("nothing was proven yet"),
                    (Some(_), _) => Err("nobody knows what the node has done"),
                    (None, Some(_)) => Err("the node has its end already"),
                    (None, None) => Ok(()),
                }
            }
            Record::Concluded if self.closed => Ok(()),
            Record::Concluded => Err("the run is not closed"),
            Record::Closed => {
                let settled = |node: &NodeProgress| {
                    node.doing.is_none() && !matches!(node.end, None | Some(End::Lost(_)))
                };
                if self.nodes.values().all(settled) {
                    Ok(())
                } else {
                    Err("a node has no end yet")
                }
            }
        }
    }

    fn check_begun(&self, name: &str, stage: Stage) -> Result<(), &'static str> {
        let node = self.known(name)?;
        let others = |busy: &[Stage]| {
            self.nodes
                .iter()
                .any(|(other, it)| other != name && it.doing.is_some_and(|it| busy.contains(&it)))
        };
        if stage == Stage::Undo {
            return match node.end {
                Some(End::Undone(_)) => Err("the node was put back already"),
                Some(End::Forgotten) => Err("what it would be put back from was removed"),
                _ if node.doing == Some(Stage::Forget) => Err("it is being forgotten"),
                _ => Ok(()),
            };
        }
        if stage == Stage::Forget {
            return match (&node.end, node.doing) {
                (Some(End::Kept), None) | (None, Some(Stage::Forget)) => Ok(()),
                _ => Err("there is nothing to forget"),
            };
        }
        if node.end.is_some() {
            return Err("the node has its end already");
        }
        if node.doing.is_some_and(|doing| doing != stage) {
            return Err("the node is at something else");
        }
        if node.done.contains(&stage) {
            return Err("the node has done that");
        }
        match stage {
            // The bytes of files depend on which keys there are.
            Stage::Keys | Stage::Bring if self.has_edited() => Err("files were edited already"),
            Stage::Bring if others(&[Stage::Keys]) => Err("keys are still being made"),
            Stage::Edits | Stage::Sshd if others(&[Stage::Keys, Stage::Bring]) => {
                Err("keys are still being made")
            }
            // Its sshd is told last: what it then reads is all there.
            Stage::Edits if node.reloaded => Err("its sshd was told already"),
            _ => Ok(()),
        }
    }

    fn known(&self, node: &str) -> Result<&NodeProgress, &'static str> {
        self.nodes.get(node).ok_or("the plan has no such node")
    }

    fn node_mut(&mut self, node: &str) -> &mut NodeProgress {
        self.nodes.entry(node.to_owned()).or_default()
    }

    /// Every node of the plan and how far it has come, by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &NodeProgress)> {
        self.nodes.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// How far a node has come; `None` for one that the plan does not touch.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeProgress> {
        self.nodes.get(name)
    }

    /// Public halves of all keys that were made. Settled once files are edited.
    #[must_use]
    pub fn made(&self) -> BTreeMap<KeyId, String> {
        self.nodes.values().flat_map(|it| it.keys.clone()).collect()
    }

    /// Whether any file was, or may have been, edited.
    #[must_use]
    pub fn has_edited(&self) -> bool {
        self.nodes.values().any(|it| it.edited || it.reloaded)
    }

    /// Whether every node has its end and that was recorded.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the rotation that the run began is at its end.
    #[must_use]
    pub fn is_concluded(&self) -> bool {
        self.concluded
    }

    /// Whether [`Record::Closed`] may follow.
    #[must_use]
    pub fn can_close(&self) -> bool {
        self.check(&Record::Closed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::repair::{NodePlan, PLAN_SCHEMA};

    fn plan() -> Plan {
        let node = |node: &str| NodePlan {
            node: node.to_owned(),
            edits: Vec::new(),
        };
        Plan {
            schema: PLAN_SCHEMA,
            inventory: "/i".to_owned(),
            keys: Vec::new(),
            copies: Vec::new(),
            commands: Vec::new(),
            nodes: vec![node("a"), node("b")],
            sshd: Vec::new(),
            turnover: crate::repair::plan::Turnover::default(),
            left: Vec::new(),
        }
    }

    fn begun(node: &str, stage: Stage) -> Record {
        Record::Begun {
            node: node.to_owned(),
            stage,
            why: None,
        }
    }

    fn done(node: &str, stage: Stage) -> Record {
        Record::Done {
            node: node.to_owned(),
            stage,
            keys: BTreeMap::new(),
            wrote: BTreeSet::new(),
        }
    }

    fn lost(node: &str, stage: Stage) -> Record {
        Record::Lost {
            node: node.to_owned(),
            stage,
            why: "gone".to_owned(),
        }
    }

    fn refused(node: &str, stage: Stage) -> Record {
        Record::Refused {
            node: node.to_owned(),
            stage,
            why: "no".to_owned(),
        }
    }

    fn kept(node: &str) -> Record {
        Record::Kept {
            node: node.to_owned(),
        }
    }

    /// Why the last record cannot follow on the others.
    fn wrong(records: &[Record]) -> &'static str {
        let (last, before) = records.split_last().unwrap();
        let mut progress = Progress::replay(&plan(), before).unwrap();
        let unchanged = progress.clone();
        let error = progress.advance(last).unwrap_err();
        assert_eq!(progress, unchanged);
        error.why
    }

    #[test]
    fn what_is_kept_can_be_forgotten_and_then_not_put_back() {
        use Stage::{Edits, Forget, Undo};
        let kept = [
            begun("a", Edits),
            done("a", Edits),
            begun("b", Edits),
            refused("b", Edits),
            Record::Proving,
            kept("a"),
        ];
        let open = [&kept[..5], &[begun("a", Forget)]].concat();
        assert_eq!(wrong(&open), "there is nothing to forget");
        let forgotten = [&kept[..], &[Record::Closed, begun("a", Forget)]].concat();
        let back = [&forgotten[..], &[begun("a", Undo)]].concat();
        assert_eq!(wrong(&back), "it is being forgotten");
        // A node that cannot be told is as it was, and can be told again.
        let mut again = forgotten.clone();
        again.extend([lost("a", Forget), begun("a", Forget), done("a", Forget)]);
        again.push(Record::Closed);
        let progress = Progress::replay(&plan(), &again).unwrap();
        assert_eq!(progress.node("a").unwrap().end, Some(End::Forgotten));
        assert!(progress.is_closed());
        again.push(begun("a", Undo));
        assert_eq!(wrong(&again), "what it would be put back from was removed");
        let mut held = forgotten;
        held.push(refused("a", Forget));
        let progress = Progress::replay(&plan(), &held).unwrap();
        assert_eq!(progress.node("a").unwrap().end, Some(End::Kept));
    }

    #[test]
    fn a_rotation_is_at_its_end_only_after_its_first_run_is() {
        use Stage::Edits;
        let records = [
            begun("a", Edits),
            done("a", Edits),
            begun("b", Edits),
            done("b", Edits),
            Record::Proving,
            kept("a"),
            kept("b"),
            Record::Closed,
            Record::Concluded,
        ];
        assert!(Progress::replay(&plan(), &records).unwrap().is_concluded());
        let early = [&records[..7], &[Record::Concluded]].concat();
        assert_eq!(wrong(&early), "the run is not closed");
    }

    #[test]
    fn a_run_goes_from_keys_over_edits_and_proof_to_its_close() {
        use Stage::{Edits, Keys, Sshd};
        let records = [
            begun("a", Keys),
            begun("b", Keys),
            done("b", Keys),
            done("a", Keys),
            begun("a", Edits),
            begun("b", Edits),
            done("a", Edits),
            refused("b", Edits),
            begun("a", Sshd),
            done("a", Sshd),
            Record::Proving,
            kept("a"),
            Record::Closed,
        ];
        let progress = Progress::replay(&plan(), &records).unwrap();
        assert!(progress.is_closed());
        assert_eq!(progress.node("a").unwrap().end, Some(End::Kept));
        assert_eq!(
            progress.node("b").unwrap().end,
            Some(End::Refused("no".to_owned()))
        );
        let again = [
            &records[..],
            &[begun("a", Stage::Undo), done("a", Stage::Undo)],
        ]
        .concat();
        let progress = Progress::replay(&plan(), &again).unwrap();
        assert!(!progress.is_closed() && progress.can_close());
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        use Stage::{Bring, Edits, Keys, Sshd, Undo};
        for (records, why) in [
            (&[done("a", Keys)][..], "the node was not told to do that"),
            (
                &[begun("a", Keys), done("a", Edits)],
                "the node was not told to do that",
            ),
            (
                &[begun("a", Keys), begun("b", Edits)],
                "keys are still being made",
            ),
            (
                &[begun("a", Keys), begun("b", Bring)],
                "keys are still being made",
            ),
            (
                &[begun("a", Edits), begun("b", Keys)],
                "files were edited already",
            ),
            (
                &[begun("a", Edits), done("a", Edits), begun("a", Edits)],
                "the node has done that",
            ),
            (
                &[begun("a", Sshd), done("a", Sshd), begun("a", Edits)],
                "its sshd was told already",
            ),
            (
                &[begun("a", Sshd), begun("b", Keys)],
                "files were edited already",
            ),
            (&[begun("a", Edits), kept("a")], "nothing was proven yet"),
            (
                &[begun("a", Edits), Record::Proving, kept("a")],
                "nobody knows what the node has done",
            ),
            (&[Record::Closed], "a node has no end yet"),
            (
                &[begun("a", Keys), lost("a", Keys), begun("a", Edits)],
                "the node has its end already",
            ),
            (
                &[begun("a", Undo), done("a", Undo), begun("a", Undo)],
                "the node was put back already",
            ),
            (&[begun("c", Edits)], "the plan has no such node"),
        ] {
            assert_eq!(wrong(records), why, "{records:?}");
        }
    }

    #[test]
    fn what_was_lost_may_be_begun_again_or_taken_back() {
        use Stage::{Edits, Sshd, Undo};
        for stage in [Edits, Sshd] {
            for next in [begun("a", stage), begun("a", Undo)] {
                let records = [begun("a", stage), lost("a", stage), next];
                assert!(Progress::replay(&plan(), &records).is_ok());
            }
        }
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let stage = prop_oneof![
            Just(Stage::Keys),
            Just(Stage::Bring),
            Just(Stage::Edits),
            Just(Stage::Sshd),
            Just(Stage::Undo)
        ];
        ("[ab]", stage, 0..7).prop_map(|(node, stage, kind)| match kind {
            0 => begun(&node, stage),
            1 => done(&node, stage),
            2 => refused(&node, stage),
            3 => lost(&node, stage),
            4 => Record::Proving,
            5 => kept(&node),
            _ => Record::Closed,
        })
    }

    proptest! {
        /// Whatever is accepted: a closed run has an end for every node, nobody who may have been changed counts as
        /// refused before its undo, and the JSON of each record is read back as it is.
        #[test]
        fn a_journal_replays_to_what_was_written(records in proptest::collection::vec(any_record(), 0..40)) {
            let mut live = Progress::new(&plan());
            let mut written = Vec::new();
            for record in records {
                if live.advance(&record).is_ok() {
                    let json = serde_json::to_string(&record).unwrap();
                    written.push(serde_json::from_str(&json).unwrap());
                }
                if live.is_closed() {
                    prop_assert!(live.nodes().all(|(_, node)| node.doing.is_none() && node.end.is_some()));
                }
                for (_, node) in live.nodes() {
                    if node.doing == Some(Stage::Edits) {
                        prop_assert!(node.edited && node.end.is_none());
                    }
                }
            }
            prop_assert_eq!(Progress::replay(&plan(), &written).unwrap(), live);
        }
    }
}
