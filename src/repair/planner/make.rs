//! Making a plan.

use std::collections::{HashMap, HashSet};

use super::cure::{Cure, cure};
use super::draft::Draft;
use super::identities::{KeyRef, Made};
use super::input::{Policy, Situation};
use super::left::LeftAlone;
use super::names::Claims;
use super::problems::{Problem, problems};
use super::record::Recorder;
use super::sources::Sources;
use crate::domain::{LegId, NodeId};
use crate::repair::plan::{
    AccountCommand, KeyCopy, KeySource, NewKey, PLAN_SCHEMA, Piece, Plan, Target,
};
use crate::trust::Way;

/// A plan in the making.
pub(super) struct Planner<'a> {
    pub(super) situation: Situation<'a>,
    pub(super) policy: &'a Policy,
    pub(super) draft: Draft,
    pub(super) left: LeftAlone,
    pub(super) claims: Claims,
    pub(super) sources: Sources,
    pub(super) recorder: Recorder,
    pub(super) keys: Vec<NewKey>,
    pub(super) copies: Vec<KeyCopy>,
    pub(super) commands: Vec<AccountCommand>,
    pub(super) made: Made,
    /// Directories that come to be with a new key in them.
    pub(super) made_directories: HashSet<(NodeId, Target)>,
    /// The key that all accounts of a name share.
    pub(super) shared: HashMap<String, (KeySource, KeyRef)>,
    pub(super) lines: HashMap<(NodeId, KeyRef, bool), Vec<Piece>>,
}

/// Plans what makes every leg in scope work, as far as files do, and lists what they do not.
///
/// Only legs that are broken, by their files or in truth, lead to edits; a fleet in which all is well has an empty plan.
/// The plan for the facts that it leads to is empty again, but for what is left.
#[must_use]
pub fn plan(situation: &Situation<'_>, policy: &Policy) -> Plan {
    let broken = problems(situation, policy);
    let mut planner = Planner {
        situation: *situation,
        policy,
        draft: Draft::default(),
        left: LeftAlone::default(),
        claims: Claims::new(situation),
        sources: Sources::new(situation.facts),
        recorder: Recorder::default(),
        keys: Vec::new(),
        copies: Vec::new(),
        commands: Vec::new(),
        made: Made::new(),
        made_directories: HashSet::new(),
        shared: HashMap::new(),
        lines: HashMap::new(),
    };
    planner.leave_to_persons(&broken);
    planner.configurations(&broken);
    planner.accounts(&broken);
    let given = planner.identities(&broken);
    planner.admissions(&broken, &given);
    planner.records(&broken);
    Plan {
        schema: PLAN_SCHEMA,
        inventory: situation.inventory.to_owned(),
        keys: planner.keys,
        copies: planner.copies,
        commands: planner.commands,
        nodes: planner.draft.finish(situation.fleet),
        sshd: Vec::new(),
        left: planner.left.finish(situation),
    }
}

impl<'a> Planner<'a> {
    /// How a leg's client gets to its server.
    pub(super) fn way(&self, id: LegId) -> Option<Way<'a>> {
        self.situation.prediction.way(id)
    }

    fn leave_to_persons(&mut self, problems: &[Problem]) {
        for problem in problems {
            for &reason in &problem.reasons {
                if let Cure::Person(why) = cure(reason) {
                    self.left.add(reason, why, None, problem.id);
                }
            }
        }
    }
}
