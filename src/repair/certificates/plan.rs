//! From signed certificates to edits.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{Fleet, KnownHostsPlace, Reason};
use crate::repair::plan::{
    Answers, Attributes, Edit, FileState, Left, NodePlan, PLAN_SCHEMA, Plan, Target, Text,
};
use crate::survey::{FileFact, NodeFacts};
use crate::trust::PairScope;
use crate::trust::legs::Legs;

use super::entries::{before, host_authority_entries, host_authority_lines, parts, with_lines};
use super::names::owned_names;
use super::policy::Policy;
use super::request::Signed;
use super::server_side::{admit, server};
use super::sites::{ClientSite, accounts_of, client_sites};
use super::wanted::{certificate_path, surveyed};

/// A plan, and how many certificates it brings.
#[derive(Debug, Clone)]
pub struct CertificatePlan {
    /// What changes.
    pub plan: Plan,
    /// Certificates that it puts on nodes.
    pub certificates: usize,
}

/// What introduces certificates, or renews them: the signed ones beside their keys, and the lines and directives that
/// make the others trust them. Nothing that admits a plain key is taken away, so any part of it can be in place before
/// any other, on any node, while migrations go on.
#[must_use]
pub fn plan(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    legs: &Legs,
    scope: &PairScope,
    policy: &Policy,
    signed: &[Signed],
    inventory: &str,
) -> CertificatePlan {
    let owned = owned_names(fleet, facts, legs, policy.reported_addresses);
    let sites = client_sites(fleet, facts, legs, scope, &owned);
    let mut drafts = Drafts::new(signed);
    let mut left = Vec::new();
    let mut sshd = Vec::new();
    for site in &sites {
        let node = fleet.node(site.node).name.as_str();
        let place = fleet.node(site.node).profile.repair.known_hosts;
        if let Err(problem) = client(&mut drafts, node, site, place, policy) {
            left.push(problem);
        }
    }
    for (id, node, facts) in surveyed(fleet, facts, scope) {
        let context = fleet.node(id).profile.sshd.context.as_slice();
        for (account, lanes) in accounts_of(&sites, scope, id) {
            if policy.renew_only {
                break;
            }
            if let Err(problem) = admit(
                &mut drafts,
                node,
                (facts, context),
                &account,
                &lanes,
                policy,
            ) {
                left.push(problem);
            }
        }
        let profile = &fleet.node(id).profile;
        let served = server(&drafts, id, node, fleet, facts, policy);
        match served {
            Ok(change) => sshd.extend(change),
            Err(why) => left.push(Left {
                reason: Reason::HostKeyUnknown.code().to_owned(),
                legs: Vec::new(),
                why: format!("the sshd of {node} gets no host certificates: {why}"),
                remedy: format!(
                    "HostCertificate lines in {}, then reload that sshd",
                    profile.sshd.config
                ),
            }),
        }
    }
    let nodes = drafts.nodes(fleet, scope);
    CertificatePlan {
        certificates: signed.len(),
        plan: Plan {
            schema: PLAN_SCHEMA,
            inventory: inventory.to_owned(),
            keys: Vec::new(),
            copies: Vec::new(),
            commands: Vec::new(),
            nodes,
            sshd,
            turnover: crate::repair::plan::Turnover::default(),
            left,
        },
    }
}

/// Edits by node and place, and the certificates by theirs.
pub(super) struct Drafts<'a> {
    edits: BTreeMap<String, Vec<Edit>>,
    pub(super) signed: HashMap<(&'a str, &'a str), &'a Signed>,
}

impl<'a> Drafts<'a> {
    fn new(signed: &'a [Signed]) -> Self {
        let by_place = signed.iter().map(|it| {
            let request = &it.request;
            ((request.node.as_str(), request.target.path.as_str()), it)
        });
        Self {
            edits: BTreeMap::new(),
            signed: by_place.collect(),
        }
    }

    pub(super) fn add(&mut self, node: &str, edit: Edit) {
        let edits = self.edits.entry(node.to_owned()).or_default();
        // Two lanes may need the same directory.
        if !edits.iter().any(|known| known.target == edit.target) {
            edits.push(edit);
        }
    }

    fn nodes(mut self, fleet: &Fleet, scope: &PairScope) -> Vec<NodePlan> {
        let names = scope.nodes().iter().map(|&id| &fleet.node(id).name);
        names
            .filter_map(|name| {
                let edits = self.edits.remove(name.as_str())?;
                Some(NodePlan {
                    node: name.to_string(),
                    edits,
                })
            })
            .collect()
    }
}

/// The client's part: its certificates, and whom it believes.
fn client(
    drafts: &mut Drafts<'_>,
    node: &str,
    site: &ClientSite<'_>,
    place: KnownHostsPlace,
    policy: &Policy,
) -> Result<(), Left> {
    let context = &site.files;
    let answers = |reason: Reason| -> Vec<Answers> {
        let answers = site.lanes.iter().map(|&lane| Answers {
            reason: reason.code().to_owned(),
            lane,
            client: Some(node.to_owned()),
            server: None,
        });
        answers.collect()
    };
    for path in site.logins.keys() {
        let path = certificate_path(path);
        let Some(signed) = drafts.signed.get(&(node, path.as_str())).copied() else {
            continue;
        };
        let mut present = site.facts.identities.iter();
        let present = present.find_map(|it| it.certificate.as_ref().filter(|it| it.path == path));
        let reason = match present {
            Some(_) => Reason::UserCertificateExpired,
            None => Reason::KeyNotAuthorized,
        };
        let edit = put(present, signed, answers(reason));
        let edit = edit.map_err(|why| left(Reason::KeyNotAuthorized, node, why))?;
        drafts.add(node, edit);
    }
    if site.names.is_empty() || policy.renew_only {
        return Ok(());
    }
    let Some(account) = &site.facts.account else {
        return Ok(());
    };
    let Some(file) = known_hosts_file(site, place) else {
        let why = "its ssh reads no known_hosts file".to_owned();
        return Err(left(Reason::HostKeyUnknown, node, why));
    };
    let old = before(file).map_err(|why| left(Reason::HostKeyUnknown, node, why))?;
    // As ssh itself makes them; everybody must read the machine's.
    let own = match place {
        KnownHostsPlace::User => Attributes {
            uid: account.uid,
            gid: account.gid,
            mode: 0o600,
        },
        KnownHostsPlace::Global => Attributes {
            uid: 0,
            gid: 0,
            mode: 0o644,
        },
    };
    let (bytes, attributes) = parts(&old, own);
    let authority = &policy.authorities.hosts;
    let names: Vec<&str> = site.names.iter().map(String::as_str).collect();
    let lines = host_authority_lines(&names, authority);
    let present = host_authority_entries(&bytes, Some(authority));
    let new = with_lines(&bytes, &present, &lines);
    if new == bytes {
        return Ok(());
    }
    if old == FileState::Absent
        && let Some(directory) = missing_directory(&file.path, site)
    {
        drafts.add(
            node,
            Edit {
                target: Target {
                    context: context.clone(),
                    path: directory,
                },
                before: FileState::Absent,
                after: FileState::Directory {
                    attributes: Attributes { mode: 0o700, ..own },
                },
                label: None,
                answers: answers(Reason::HostKeyUnknown),
            },
        );
    }
    drafts.add(
        node,
        Edit {
            target: Target {
                context: context.clone(),
                path: file.path.clone(),
            },
            before: old,
            after: FileState::File {
                attributes,
                text: Text::known(new),
            },
            label: None,
            answers: answers(Reason::HostKeyUnknown),
        },
    );
    Ok(())
}

/// The first file of the account, or of the machine, as the deployment has it.
fn known_hosts_file<'a>(site: &ClientSite<'a>, place: KnownHostsPlace) -> Option<&'a FileFact> {
    let files = &site.facts.known_hosts;
    let named = match (place, site.settings()) {
        (KnownHostsPlace::Global, Some(settings)) => settings.global_known_hosts.first().cloned(),
        (KnownHostsPlace::User, Some(settings)) => settings.user_known_hosts.first().cloned(),
        (_, None) => None,
    };
    match named {
        Some(path) => files.iter().find(|file| file.path == path),
        None => files.first(),
    }
}

/// `~/.ssh`, where it is not there.
fn missing_directory(path: &str, site: &ClientSite<'_>) -> Option<String> {
    let (directory, _) = path.rsplit_once('/')?;
    let mut known = site.facts.directories.iter();
    let is_missing = |it: &FileFact| it.state == crate::survey::FileState::Absent;
    known
        .any(|it| it.path == directory && is_missing(it))
        .then(|| directory.to_owned())
}

/// A certificate in its place.
pub(super) fn put(
    present: Option<&FileFact>,
    signed: &Signed,
    answers: Vec<Answers>,
) -> Result<Edit, String> {
    let old = present.map_or(Ok(FileState::Absent), before)?;
    let (_, attributes) = parts(&old, signed.request.attributes);
    Ok(Edit {
        target: signed.request.target.clone(),
        before: old,
        after: FileState::File {
            attributes,
            text: Text::known(signed.line.as_bytes()),
        },
        label: None,
        answers,
    })
}

pub(super) fn left(reason: Reason, node: &str, why: String) -> Left {
    Left {
        reason: reason.code().to_owned(),
        legs: Vec::new(),
        why: format!("{node}: {why}"),
        remedy: format!("clearway reasons {}", reason.code()),
    }
}
