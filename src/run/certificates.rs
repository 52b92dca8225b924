//! Certificates: what is to be signed is signed, and planned; `run::repair` carries it out.

use super::error::RunError;
use super::request::Request;
use std::path::PathBuf;

use crate::domain::{Fleet, LegId, NodeId, Predicted, TrustBy, fold};
use crate::openssh::key::CertRole;
use crate::repair::certificates::{
    Outlook, Policy, Revocation, RevocationList, afterwards, other_authority, plan, retire, revoke,
    unlisted, wanted,
};
use crate::repair::{AuthorityRules, Left, Plan};
use crate::signer::{AuthorityKey, Signer};
use crate::survey::NodeFacts;
use crate::system;
use crate::trust::PairScope;
use crate::trust::legs::Legs;

/// How many lost legs an error names.
const SHOWN: usize = 10;

/// What is done with certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificatesTask {
    /// Everything that certificates need, whatever is there already.
    Certify,
    /// Certificates that end soon are made again; nothing else.
    Renew,
    /// Plain keys go, where certificates stand for them.
    Retire,
    /// A node goes out of everybody's trust.
    Revoke(NodeId),
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct CertificatesRequest {
    /// Who signs.
    pub signer: Signer,
    /// The authority for hosts.
    pub hosts: AuthorityKey,
    /// The authority for users; often the same.
    pub users: AuthorityKey,
    /// What the operator decides.
    pub policy: Policy,
    /// Where the operator keeps what was revoked.
    pub list_file: PathBuf,
    /// What is done.
    pub task: CertificatesTask,
}

/// What a plan of certificates means, beside its edits.
#[derive(Debug, Clone)]
pub struct PlannedCertificates {
    /// Certificates that it brings.
    pub certificates: usize,
    /// Certificates that are as they should be.
    pub fresh: usize,
    /// Whether something that was asked for is left to a person.
    pub is_unfinished: bool,
    /// What the files imply for the legs afterwards.
    pub outlook: Outlook,
    /// What was revoked up to now, with this run's: the operator keeps it.
    pub revoked: RevocationList,
}

impl CertificatesTask {
    /// Whether a leg is meant to be lost by it.
    pub(super) fn gives_up(self, leg: LegId) -> bool {
        match self {
            Self::Revoke(node) => leg.client == node || leg.server == node,
            Self::Certify | Self::Renew | Self::Retire => false,
        }
    }
}

impl CertificatesRequest {
    /// What an independent review allows the plan.
    pub(super) fn rules(&self) -> AuthorityRules {
        let policy = &self.policy;
        AuthorityRules {
            hosts: policy.authorities.hosts.clone(),
            users: policy.authorities.users.clone(),
            networks: policy.networks.clone(),
            source_address: policy.source_address,
            reported_addresses: policy.reported_addresses,
            revoked: policy.revoked.clone(),
            retires: self.task == CertificatesTask::Retire,
            revokes: match self.task {
                CertificatesTask::Revoke(node) => Some(node),
                _ => None,
            },
            now: policy.now,
        }
    }

    /// Whether list and authority are those of the fleet.
    fn fits(
        &self,
        fleet: &Fleet,
        facts: &[Option<NodeFacts>],
        scope: &PairScope,
    ) -> Result<(), RunError> {
        let unlisted = unlisted(fleet, facts, scope, &self.policy.revoked);
        if !unlisted.is_empty() {
            let entries = unlisted.into_iter();
            return Err(RunError::Unlisted {
                list: self.list_file.clone(),
                entries: entries
                    .map(|(entry, nodes)| format!("{}: {entry}", fold(nodes)))
                    .collect(),
            });
        }
        let adds = matches!(
            self.task,
            CertificatesTask::Certify | CertificatesTask::Revoke(_)
        );
        if adds && !self.policy.replace_others {
            let others = other_authority(fleet, facts, scope, &self.policy.authorities);
            if !others.is_empty() {
                return Err(RunError::OtherAuthority(fold(others)));
            }
        }
        Ok(())
    }

    async fn list(&self, revoked: &RevocationList) -> Result<Vec<u8>, RunError> {
        let number = system::now_unix();
        Ok(self.signer.revocation_list(&revoked.text(), number).await?)
    }

    /// Signs what must be signed, and plans. No node is changed.
    ///
    /// # Errors
    /// Something was not signed, or the plan would lose legs.
    pub(super) async fn plan(
        &self,
        request: &Request,
        facts: &[Option<NodeFacts>],
    ) -> Result<(Plan, PlannedCertificates), RunError> {
        let fleet = &request.fleet;
        let inventory = &request.inventory_path;
        // A command about keys is for all nodes that it names, a repair for those that are meant to have certificates.
        let is_meant = |id: &NodeId| {
            let trust = fleet.node(*id).profile.repair.trust;
            request.is_about_keys() || trust == TrustBy::Certificates
        };
        let selected = request.selected.iter().copied().filter(is_meant);
        let scope = PairScope::among(fleet, selected);
        let legs = Legs::new(fleet, facts);
        self.fits(fleet, facts, &scope)?;
        let mut policy = self.policy.clone();
        let (mut certificates, mut fresh, mut left) = (0, 0, Vec::<Left>::new());
        let mut revoked = Vec::new();
        let mut planned = match self.task {
            CertificatesTask::Certify | CertificatesTask::Renew => {
                policy.renew_only = self.task == CertificatesTask::Renew;
                let found = wanted(fleet, facts, &legs, &scope, &policy, serial);
                (fresh, left, revoked) = (found.fresh, found.left, found.revoked);
                let (hosts, users): (Vec<_>, Vec<_>) = found
                    .requests
                    .into_iter()
                    .partition(|it| it.role == CertRole::Host);
                let mut signed = self.signer.sign(&self.hosts, hosts).await?;
                signed.extend(self.signer.sign(&self.users, users).await?);
                let list = match policy.revoked.is_empty() {
                    true => None,
                    false => Some(self.list(&policy.revoked).await?),
                };
                let means = (signed.as_slice(), list.as_deref());
                let made = plan(fleet, facts, &legs, &scope, &policy, means, inventory);
                certificates = made.certificates;
                made.plan
            }
            CertificatesTask::Retire => retire(fleet, facts, &scope, &policy, inventory),
            CertificatesTask::Revoke(node) => {
                let revocation = Revocation::of(fleet, facts, &legs, node, &policy.revoked);
                policy.revoked.add(&revocation);
                let list = self.list(&policy.revoked).await?;
                revoke(fleet, facts, &scope, &revocation, &policy, &list, inventory)
            }
        };
        planned.left.extend(left);
        let is_unfinished = !planned.left.is_empty();
        planned.left.extend(revoked);
        let after = afterwards(fleet, facts, &planned);
        let outlook = Outlook::of(fleet, facts, &after, &scope);
        let lost = outlook
            .lost
            .iter()
            .filter(|(id, _)| !self.task.gives_up(*id));
        let lost: Vec<String> = lost
            .take(SHOWN)
            .map(|(id, why)| lost_leg(fleet, *id, *why))
            .collect();
        if !lost.is_empty() {
            return Err(RunError::Loses(lost));
        }
        let about = PlannedCertificates {
            certificates,
            fresh,
            is_unfinished,
            outlook,
            revoked: policy.revoked,
        };
        Ok((planned, about))
    }
}

fn lost_leg(fleet: &Fleet, id: LegId, why: Predicted) -> String {
    let code = match why {
        Predicted::Breaks(reason) => reason.code(),
        Predicted::Unknown(why) => why.code(),
        _ => "unknown",
    };
    let (client, server) = (&fleet.node(id.client).name, &fleet.node(id.server).name);
    format!("{} {client} → {server}: {code}", id.lane)
}

/// Serial numbers that nobody gave before: 63 random bits, never 0, which a revocation list cannot name.
fn serial() -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = system::random_bytes();
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1).max(1)
}
