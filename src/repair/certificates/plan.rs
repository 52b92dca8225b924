//! From signed certificates to edits.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{Fleet, KnownHostsPlace, NodeId, Reason};
use crate::repair::plan::{
    Answers, Attributes, Edit, FileState, NodePlan, PLAN_SCHEMA, Plan, Target, Text,
};
use crate::survey::{FileFact, NodeFacts};
use crate::trust::PairScope;
use crate::trust::legs::Legs;

use super::entries::{
    before, host_authority_entries, host_authority_lines, parts, with_lines, with_revoked,
};
use super::policy::Policy;
use super::request::Signed;
use super::server_side::{admit, server};
use super::sites::{ClientSite, accounts_of, client_sites};
use super::standing::{is_out, trusted_names};
use super::told::{Problem, Told};
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
///
/// `revoked` is the binary list that is made of [`super::RevocationList::text`], where anything was revoked: every node
/// that trusts the authority has it. A node that is out as a whole is left as it is.
#[must_use]
pub fn plan(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    legs: &Legs,
    scope: &PairScope,
    policy: &Policy,
    (signed, revoked): (&[Signed], Option<&[u8]>),
    inventory: &str,
) -> CertificatePlan {
    let owned = trusted_names(fleet, facts, legs, policy);
    let sites = client_sites(fleet, facts, legs, scope, &owned);
    let mut drafts = Drafts::new(signed);
    let mut told = Told::default();
    let mut sshd = Vec::new();
    let stays = |id: NodeId| {
        let facts = facts[id.index()].as_ref();
        facts.is_none_or(|facts| is_out(facts, &policy.revoked))
    };
    let revoked = revoked.filter(|_| !policy.renew_only);
    for site in sites.iter().filter(|site| !stays(site.node)) {
        let node = fleet.node(site.node).name.as_str();
        let place = fleet.node(site.node).profile.repair.known_hosts;
        if let Err(problem) = client(&mut drafts, node, site, place, policy) {
            told.problem(node, &problem);
        }
    }
    let surveyed = surveyed(fleet, facts, scope).filter(|(id, ..)| !stays(*id));
    for (id, node, facts) in surveyed {
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
                told.problem(node, &problem);
            }
        }
        let profile = &fleet.node(id).profile;
        match server(&drafts, (node, &profile.sshd), facts, policy, revoked) {
            Ok(served) => {
                sshd.extend(served.change);
                if let Some(problem) = served.problem {
                    told.problem(node, &problem);
                }
            }
            Err(why) => {
                let after = format!(" gets no host certificates: {why}");
                let remedy = format!(
                    "HostCertificate lines in {}, then reload that sshd",
                    profile.sshd.config
                );
                let why = ("the sshd of ", after.as_str());
                told.add(node, Reason::HostKeyUnknown, why, &remedy, []);
            }
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
            left: told.left().collect(),
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
) -> Result<(), Problem> {
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
        let edit = edit.map_err(|why| Problem::new(Reason::KeyNotAuthorized, why))?;
        drafts.add(node, edit);
    }
    if site.names.all.is_empty() || policy.renew_only {
        return Ok(());
    }
    let Some(account) = &site.facts.account else {
        return Ok(());
    };
    let Some(file) = known_hosts_file(site, place) else {
        let why = "its ssh reads no known_hosts file";
        return Err(Problem::new(Reason::HostKeyUnknown, why));
    };
    let old = before(file).map_err(|why| Problem::new(Reason::HostKeyUnknown, why))?;
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
    let present = host_authority_entries(&bytes, Some(authority));
    let lines = host_authority_lines(&site.names.beside(&bytes, &present), authority);
    let new = with_lines(&bytes, &present, &lines);
    let new = with_revoked(&new, policy.revoked.keys());
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
