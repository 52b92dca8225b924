//! Making a plan.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::cure::{Cure, cure};
use super::draft::Draft;
use super::gathered::ByNode;
use super::identities::{KeyRef, Made};
use super::input::{Policy, Situation};
use super::left::LeftAlone;
use super::names::Claims;
use super::places::target;
use super::problems::{Problem, problems};
use super::record::Recorder;
use super::sources::Sources;
use crate::domain::{Lane, LegId, NodeId, TrustBy};
use crate::openssh::key::KeyBlob;
use crate::repair::plan::{
    AccountCommand, KeyCopy, KeySource, NewKey, PLAN_SCHEMA, Piece, Plan, Target, Turnover,
};
use crate::trust::Way;

/// What to type where nodes trust each other by certificates and no authority was named.
pub const BY_CERTIFICATES: &str = "clearway repair --ca FILE";

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
    /// The key that all accounts of a name share.
    pub(super) shared: HashMap<String, (KeySource, KeyRef)>,
    /// Lines of authorized_keys, by client, key, and whether it is limited to the client's addresses.
    pub(super) lines: ByNode<(KeyRef, bool), Rc<[Piece]>>,
    /// New keys of a rotation, which their nodes do not offer yet.
    pub(super) renewing: HashSet<(NodeId, KeyBlob)>,
    /// Nodes that were selected, by name.
    pub(super) selected: HashMap<&'a str, NodeId>,
    desks: Desks<'a>,
    users: HashMap<&'a str, Arc<str>>,
}

/// The client sides of nodes, by lane and configuration.
type Desks<'a> = ByNode<(Lane, (u32, u32)), Option<Rc<Desk<'a>>>>;

/// A client side of a node, as it is worked at: what all legs with one configuration have in common.
pub(super) struct Desk<'a> {
    pub(super) way: Way<'a>,
    /// Words that lead to its files, as root.
    pub(super) context: Vec<String>,
    /// The account at the far end.
    pub(super) user: Arc<str>,
    /// Where host keys are recorded; `None` where ssh reads no file that may be written.
    pub(super) host_keys: Option<Rc<Target>>,
}

/// Plans what makes every leg in scope work, as far as files do, and lists what they do not.
///
/// Only legs that are broken, by their files or in truth, lead to edits; a fleet in which all is well has an empty plan.
/// The plan for the facts that it leads to is empty again, but for what is left.
#[must_use]
pub fn plan(situation: &Situation<'_>, policy: &Policy) -> Plan {
    let broken = problems(situation, policy);
    let mut planner = Planner::new(situation, policy);
    planner.leave_to_persons(&broken);
    planner.configurations(&broken);
    planner.accounts(&broken);
    let given = planner.identities(&broken);
    let by_keys = planner.leave_to_the_authority(broken);
    planner.admissions(&by_keys, &given);
    planner.records(&by_keys);
    planner.denied_by_labels(&by_keys);
    planner.finish()
}

impl<'a> Planner<'a> {
    pub(super) fn new(situation: &Situation<'a>, policy: &'a Policy) -> Self {
        Planner {
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
            shared: HashMap::new(),
            lines: ByNode::default(),
            renewing: HashSet::new(),
            selected: situation
                .scope
                .nodes()
                .iter()
                .map(|&id| (situation.fleet.node(id).name.as_str(), id))
                .collect(),
            desks: ByNode::default(),
            users: HashMap::new(),
        }
    }

    /// The plan of everything that was asked for.
    pub(super) fn finish(mut self) -> Plan {
        self.labels_on_the_way();
        let situation = self.situation;
        Plan {
            schema: PLAN_SCHEMA,
            inventory: situation.inventory.to_owned(),
            keys: self.keys,
            copies: self.copies,
            commands: self.commands,
            nodes: self.draft.finish(situation.fleet),
            sshd: Vec::new(),
            turnover: Turnover::default(),
            left: self.left.finish(&situation),
        }
    }

    /// How a leg's client gets to its server, and the name or address that it dials behind `HostName`.
    pub(super) fn desk(&mut self, id: LegId) -> Option<(Rc<Desk<'a>>, Arc<str>)> {
        let (host, configuration) = self.situation.prediction.configuration(id)?;
        let key = (id.lane, configuration);
        if let Some(known) = self.desks.get(id.client, &key) {
            return known.clone().map(|desk| (desk, host));
        }
        let made = self.new_desk(id).map(Rc::new);
        self.desks.or_insert_with(id.client, &key, || made.clone());
        made.map(|desk| (desk, host))
    }

    fn new_desk(&mut self, id: LegId) -> Option<Desk<'a>> {
        let way = self.situation.prediction.way(id)?;
        let context = self.files_context(id.client, &way.facts.context);
        let file = self.host_keys_file(&way, id.client);
        let user = self.users.entry(way.user);
        Some(Desk {
            host_keys: file.map(|file| Rc::new(target(&context, &file.path))),
            user: Arc::clone(user.or_insert_with(|| Arc::from(way.user))),
            context,
            way,
        })
    }

    /// Where both ends trust by certificates, nothing is recorded and no key that is there admitted: that is an authority's,
    /// and it is not here. Keys that are made are admitted as they are, until `keys retire`.
    fn leave_to_the_authority(&mut self, mut problems: Vec<Problem>) -> Vec<Problem> {
        let trust = |node| self.situation.fleet.node(node).profile.repair.trust;
        let is_by_certificates = |id: LegId| {
            trust(id.client) == TrustBy::Certificates && trust(id.server) == TrustBy::Certificates
        };
        for problem in &mut problems {
            if !is_by_certificates(problem.id) {
                continue;
            }
            let id = problem.id;
            problem.reasons.retain(|&mut reason| match cure(reason) {
                Cure::Record | Cure::Authorise => {
                    let why = "these nodes trust each other by certificates";
                    let remedy = BY_CERTIFICATES.to_owned();
                    self.left.add(reason, why, Some(remedy), id);
                    false
                }
                _ => true,
            });
        }
        problems
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
