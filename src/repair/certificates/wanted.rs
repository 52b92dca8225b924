//! Which certificates must be made.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::domain::{Fleet, Lane, NodeId, Reason};
use crate::openssh::key::{CertRole, KeyKind, PublicKey};
use crate::repair::plan::{Answers, Attributes, Left, Target};
use crate::survey::{FileFact, HostKeyFact, NodeFacts};
use crate::trust::PairScope;
use crate::trust::legs::Legs;

use super::names::{OwnedNames, owned_names};
use super::policy::Policy;
use super::request::CertificateRequest;
use super::sites::{ClientSite, client_sites};
use super::standing::is_revoked;
use super::told::Told;

/// How an authority takes the place of another.
pub const REPLACE_OTHERS: &str = "clearway keys certify --ca FILE --replace-others";
/// What lets a node in again that was revoked.
const BACK: &str =
    "Take the node out of the inventory, or give it new keys if it is to be trusted again.";

/// The certificates that must be made, and what cannot be certified.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// To be signed.
    pub requests: Vec<CertificateRequest>,
    /// What was asked for and clearway cannot do by itself.
    pub left: Vec<Left>,
    /// Keys that get no certificate because they were revoked.
    pub revoked: Vec<Left>,
    /// How many certificates are as they should be.
    pub fresh: usize,
}

/// Works out which certificates of the nodes in scope are missing, ending soon, or say something else than they should;
/// none of a key that was revoked. `facts` has one entry per node of the fleet; `serial` gives serial numbers that were never given before.
pub fn wanted(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    legs: &Legs,
    scope: &PairScope,
    policy: &Policy,
    mut serial: impl FnMut() -> u64,
) -> Wanted {
    let owned = owned_names(fleet, facts, legs, policy.reported_addresses);
    let sites = client_sites(fleet, facts, legs, scope, &owned);
    let mut wanted = Wanted::default();
    let (mut told, mut revoked) = (Told::default(), Told::default());
    let mut refused = |node: &str| {
        let why = ("keys of ", " were revoked, and nothing is signed for them");
        revoked.add(node, Reason::KeyRevoked, why, BACK, []);
    };
    for &id in scope.nodes() {
        let Some(facts) = &facts[id.index()] else {
            continue;
        };
        let node = fleet.node(id).name.as_str();
        // What has no certificate is not renewed.
        if !policy.renew_only {
            wanted.left.extend(disowned(node, &owned[id.index()]));
        }
        let names = &owned[id.index()].names;
        if !names.is_empty() {
            for key in &facts.server.host_keys {
                let Some(request) = host(node, key, names, policy, &mut serial) else {
                    continue;
                };
                let present = key.certificate.as_ref();
                if is_revoked(&request.key, present, &policy.revoked) {
                    refused(node);
                } else {
                    wanted.consider(request, present, policy, &mut told);
                }
            }
        }
    }
    for site in &sites {
        let node = fleet.node(site.node).name.as_str();
        if !policy.renew_only {
            keyless(node, site, &mut told);
        }
        let addresses = match &facts[site.node.index()] {
            Some(facts) if policy.source_address => addresses(facts),
            _ => Vec::new(),
        };
        for (path, accounts) in &site.logins {
            let identity = site.facts.identities.iter().find(|it| it.path == *path);
            let request = user(node, site, path, accounts, &addresses, policy, &mut serial);
            let (Some(identity), Some(request)) = (identity, request) else {
                continue;
            };
            let present = identity.certificate.as_ref();
            if is_revoked(&request.key, present, &policy.revoked) {
                refused(node);
            } else {
                wanted.consider(request, present, policy, &mut told);
            }
        }
    }
    wanted.left.extend(told.left());
    wanted.revoked.extend(revoked.left());
    wanted
}

impl Wanted {
    fn consider(
        &mut self,
        request: CertificateRequest,
        present: Option<&FileFact>,
        policy: &Policy,
        told: &mut Told,
    ) {
        let authority = policy.authority(request.role);
        match standing(&request, present, authority, policy) {
            Standing::Fresh => self.fresh += 1,
            Standing::Missing if policy.renew_only => {}
            Standing::Missing | Standing::Due => self.requests.push(request),
            Standing::Foreign(path) if !policy.replace_others => {
                let reason = match request.role {
                    CertRole::Host => Reason::HostCertificateUnknownAuthority,
                    CertRole::User => Reason::UserCertificateUnknownAuthority,
                };
                let (before, after) = (
                    format!("{path} of "),
                    " is a certificate of another authority",
                );
                let why = (before.as_str(), after);
                told.add(&request.node, reason, why, REPLACE_OTHERS, []);
            }
            Standing::Foreign(_) => self.requests.push(request),
        }
    }
}

/// How a certificate that is there compares with the one that should be.
enum Standing {
    /// As it should be.
    Fresh,
    /// There is none.
    Missing,
    /// Ending, damaged, or of other words.
    Due,
    /// Another authority's; its path.
    Foreign(String),
}

fn standing(
    request: &CertificateRequest,
    present: Option<&FileFact>,
    authority: &PublicKey,
    policy: &Policy,
) -> Standing {
    let Some(file) = present else {
        return Standing::Missing;
    };
    let key = file
        .content()
        .and_then(|content| PublicKey::read_file(&content.bytes).ok());
    let Some((key, _)) = key else {
        return Standing::Due;
    };
    let Some(certificate) = key.certificate() else {
        return Standing::Due;
    };
    if certificate.authority != *authority {
        return Standing::Foreign(file.path.clone());
    }
    let lasts = certificate.valid_after <= policy.now
        && certificate.valid_before > policy.now.saturating_add(policy.renew_before);
    if lasts
        && file.path == request.target.path
        && key.plain_blob() == request.key.plain_blob()
        && request.agrees_with(certificate).is_none()
    {
        Standing::Fresh
    } else {
        Standing::Due
    }
}

impl Policy {
    /// The key that signs certificates of this role.
    pub(super) fn authority(&self, role: CertRole) -> &PublicKey {
        match role {
            CertRole::Host => &self.authorities.hosts,
            CertRole::User => &self.authorities.users,
        }
    }
}

fn host(
    node: &str,
    key: &HostKeyFact,
    names: &[String],
    policy: &Policy,
    serial: &mut impl FnMut() -> u64,
) -> Option<CertificateRequest> {
    let (public, _) = PublicKey::read(key.public.as_bytes()).ok()?;
    // DSA is in no release's default algorithms any more, and refused as a certificate's key since 7.0.
    if public.kind() == KeyKind::Dsa || public.certificate().is_some() {
        return None;
    }
    let owner = key.meta.map_or((0, 0), |meta| (meta.uid, meta.gid));
    Some(CertificateRequest {
        node: node.to_owned(),
        role: CertRole::Host,
        target: Target {
            context: Vec::new(),
            path: certificate_path(&key.path),
        },
        attributes: Attributes {
            uid: owner.0,
            gid: owner.1,
            mode: 0o644,
        },
        key: public,
        key_id: policy.revoked.next_id(&format!("clearway:host:{node}")),
        serial: serial(),
        principals: names.to_vec(),
        valid_after: policy.now.saturating_sub(policy.backdate),
        valid_before: policy.now.saturating_add(policy.lifetime),
        source_addresses: Vec::new(),
    })
}

fn user(
    node: &str,
    site: &ClientSite<'_>,
    path: &str,
    accounts: &BTreeSet<String>,
    addresses: &[IpAddr],
    policy: &Policy,
    serial: &mut impl FnMut() -> u64,
) -> Option<CertificateRequest> {
    let account = site.facts.account.as_ref()?;
    let identity = site.facts.identities.iter().find(|it| it.path == path)?;
    let (public, _) = PublicKey::read(identity.public.as_deref()?.as_bytes()).ok()?;
    if public.kind() == KeyKind::Dsa || public.certificate().is_some() {
        return None;
    }
    let id = format!("clearway:user:{}@{node}", account.name);
    Some(CertificateRequest {
        node: node.to_owned(),
        role: CertRole::User,
        target: Target {
            context: site.files.clone(),
            path: certificate_path(path),
        },
        attributes: Attributes {
            uid: account.uid,
            gid: account.gid,
            mode: 0o644,
        },
        key: public,
        key_id: policy.revoked.next_id(&id),
        serial: serial(),
        principals: accounts.iter().cloned().collect(),
        valid_after: policy.now.saturating_sub(policy.backdate),
        valid_before: policy.now.saturating_add(policy.lifetime),
        source_addresses: addresses.to_vec(),
    })
}

/// Where ssh and ssh-keygen look for the certificate of a key (sshconnect2.c, `load_public_identity_files`).
pub(super) fn certificate_path(key: &str) -> String {
    format!("{key}-cert.pub")
}

/// The addresses that the node's logins can come from, for `source-address`.
fn addresses(facts: &NodeFacts) -> Vec<IpAddr> {
    /// A node with more is a router, or says what it likes; its certificate is then good from anywhere.
    const MOST: usize = 64;
    let is_local = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    };
    let addresses: BTreeSet<IpAddr> = facts
        .addresses
        .iter()
        .copied()
        .filter(|it| !is_local(it))
        .collect();
    if addresses.len() > MOST {
        return Vec::new();
    }
    addresses.into_iter().collect()
}

fn disowned<'a>(node: &'a str, owned: &'a OwnedNames) -> impl Iterator<Item = Left> + 'a {
    owned.disowned.iter().map(move |name| {
        let property = name.property;
        let (why, remedy) = match &name.owner {
            Some(other) => (
                format!(
                    "{node} is dialled as {}, which the inventory gives to {other}: it is not certified for another node's name",
                    name.name
                ),
                format!("compare {property} of {node} and {other} in the inventory and in nova.conf"),
            ),
            None => (
                format!(
                    "{node} says that it is dialled as {}; a name is certified only where the inventory says it too",
                    name.name
                ),
                format!("nodes: {{{node}: {{{property}: {}}}}}", name.name),
            ),
        };
        Left {
            reason: Reason::HostCertificateWrongPrincipal.code().to_owned(),
            legs: vec![Answers {
                reason: Reason::HostCertificateWrongPrincipal.code().to_owned(),
                lane: lane_of(property),
                client: None,
                server: Some(node.to_owned()),
            }],
            why,
            remedy,
        }
    })
}

fn lane_of(property: &str) -> Lane {
    match property {
        "migration_address" => Lane::ColdPush,
        "service_host" => Lane::ColdPull,
        _ => Lane::Live,
    }
}

fn keyless(node: &str, site: &ClientSite<'_>, told: &mut Told) {
    let account = site.facts.account.as_ref();
    let account = account.map_or("its account", |it| it.name.as_str());
    let before = format!("{account} on ");
    for &lane in &site.keyless {
        let reason = Reason::IdentityMissing;
        let answers = Answers {
            reason: reason.code().to_owned(),
            lane,
            client: Some(node.to_owned()),
            server: None,
        };
        let why = (before.as_str(), " has no key that could be certified");
        told.add(node, reason, why, "clearway repair", [answers]);
    }
}

/// Every node in scope for which something is known.
pub(super) fn surveyed<'a>(
    fleet: &'a Fleet,
    facts: &'a [Option<NodeFacts>],
    scope: &'a PairScope,
) -> impl Iterator<Item = (NodeId, &'a str, &'a NodeFacts)> {
    scope.nodes().iter().filter_map(move |&id| {
        let facts = facts[id.index()].as_ref()?;
        Some((id, fleet.node(id).name.as_str(), facts))
    })
}
