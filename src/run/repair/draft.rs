//! The plan of a repair, made of what is asked for and what is known.

use std::collections::{BTreeMap, HashSet};

use crate::domain::{Fleet, LegId, NodeId, Verdict};
use crate::ledger::WorkedLegs;
use crate::repair::{
    self, AuthorityRules, BY_CERTIFICATES, ControlAccount, Plan, Policy, Progress, Revocation,
    Rotation, Situation,
};
use crate::run::certificates::CertificatesRequest;

/// A change of keys that work.
#[derive(Debug, Clone)]
pub enum KeyChange {
    /// The first step of a rotation.
    Rotate {
        /// The nodes whose keys are renewed.
        nodes: HashSet<NodeId>,
        /// Nodes that are not waited for.
        without: HashSet<NodeId>,
    },
    /// The next step of one.
    GoOn(Rotation),
    /// A node goes out of everybody's trust.
    Revoke(Revocation),
}

impl KeyChange {
    /// The node whose legs are to be lost.
    fn revokes(&self, fleet: &Fleet) -> Option<NodeId> {
        match self {
            Self::Revoke(revocation) => fleet.find(&revocation.node),
            Self::Rotate { .. } | Self::GoOn(_) => None,
        }
    }
}

/// A plan, and what goes with it.
pub(super) struct Drafted {
    pub(super) plan: Plan,
    pub(super) worked: WorkedLegs,
    pub(super) complaints: Vec<String>,
    pub(super) certificates_wait: bool,
}

/// What a plan is made of, besides what is known of the fleet.
pub(super) struct Draft<'a> {
    pub(super) run: &'a str,
    pub(super) policy: &'a Policy,
    /// A plan that is carried out as it is.
    pub(super) given: Option<Plan>,
    /// What certificates need, once nothing else is left to do.
    pub(super) certified: Option<Plan>,
    pub(super) change: Option<&'a KeyChange>,
    /// What was proven with new keys alone.
    pub(super) proven: HashSet<LegId>,
    pub(super) certificates: Option<&'a CertificatesRequest>,
}

impl Draft<'_> {
    /// The plan for a situation.
    pub(super) fn make(&self, situation: &Situation<'_>) -> Drafted {
        let policy = self.policy;
        let mut certificates_wait = false;
        let plan = match (&self.given, self.change) {
            (Some(given), _) => given.clone(),
            (None, None) => {
                let made = repair::plan(situation, policy);
                match &self.certified {
                    Some(certified) => {
                        certificates_wait = !is_empty(&made) && !is_empty(certified);
                        with_certificates(made, certified)
                    }
                    None => made,
                }
            }
            (None, Some(KeyChange::Rotate { nodes, without })) => {
                repair::plan_rotation(situation, policy, nodes, without, self.run)
            }
            (None, Some(KeyChange::GoOn(rotation))) => {
                repair::plan_next(situation, policy, rotation, &self.proven)
            }
            (None, Some(KeyChange::Revoke(revocation))) => {
                repair::plan_revocation(situation, revocation, &policy.revoked)
            }
        };
        let rules = self.certificates.map(CertificatesRequest::rules);
        let complaints = review(&plan, situation, rules.as_ref());
        let lost = self.change.and_then(|it| it.revokes(situation.fleet));
        let gives_up = |id: LegId| {
            let task = self.certificates.map(|it| it.task);
            task.is_some_and(|it| it.gives_up(id))
                || lost.is_some_and(|lost| id.client == lost || id.server == lost)
        };
        Drafted {
            worked: worked(situation, gives_up),
            plan,
            complaints,
            certificates_wait,
        }
    }
}

/// Whether a plan does nothing.
pub(super) fn is_empty(plan: &Plan) -> bool {
    Progress::new(plan).nodes().next().is_none()
}

/// What is repaired where nodes trust by certificates: first what a certificate stands on, its key before all. Nothing is
/// signed for a key that does not exist yet.
fn with_certificates(mut made: Plan, certified: &Plan) -> Plan {
    if !is_empty(&made) {
        return made;
    }
    let mut certified = certified.clone();
    // What these certificates do not reach is said by those who planned them.
    made.left.retain(|it| it.remedy != BY_CERTIFICATES);
    certified.left.append(&mut made.left);
    certified
}

/// What an independent review of the plan complains of. A plan that it complains of is not carried out, whoever made it.
fn review(plan: &Plan, situation: &Situation<'_>, rules: Option<&AuthorityRules>) -> Vec<String> {
    let control = ControlAccount::of(situation.fleet);
    let complaints = repair::lint_with(
        plan,
        situation.facts,
        situation.fleet,
        situation.scope,
        &control,
        rules,
    );
    complaints.iter().map(ToString::to_string).collect()
}

/// The legs that were verified, and are not given up.
fn worked(situation: &Situation<'_>, gives_up: impl Fn(LegId) -> bool) -> WorkedLegs {
    let name = |id| situation.fleet.node(id).name.to_string();
    let mut legs: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, seen) in situation.seen {
        if !gives_up(*id) && seen.verdict == Verdict::Verified {
            let servers = legs.entry((id.lane, id.client)).or_default();
            servers.push(id.server);
        }
    }
    let in_order = legs.into_iter().map(|((lane, client), mut servers)| {
        servers.sort_unstable();
        (lane, name(client), servers.into_iter().map(name).collect())
    });
    in_order.collect()
}
