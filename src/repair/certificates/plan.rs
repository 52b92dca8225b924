//! From signed certificates to edits.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::{Fleet, KnownHostsPlace, Lane, NodeId, Reason};
use crate::openssh::key::{CertRole, PublicKey};
use crate::openssh::server_config::ServerSettings;
use crate::repair::plan::{
    Answers, Attributes, Edit, FileState, Left, NodePlan, PLAN_SCHEMA, Plan, SshdChange, Target,
    Text,
};
use crate::survey::{Answer, CheckedFile, FileFact, NodeFacts, ServerFacts};
use crate::trust::PairScope;
use crate::trust::legs::Legs;

use super::drop_in::{DropIn, is_set_elsewhere};
use super::entries::{
    before, host_authority_entries, host_authority_lines, parts, user_authority_entries,
    user_authority_line, with_lines,
};
use super::names::owned_names;
use super::policy::Policy;
use super::request::Signed;
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
        for (account, lanes) in accounts_of(&sites, scope, id) {
            if policy.renew_only {
                break;
            }
            if let Err(problem) = admit(&mut drafts, node, facts, &account, &lanes, policy) {
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
            left,
        },
    }
}

/// Edits by node and place, and the certificates by theirs.
struct Drafts<'a> {
    edits: BTreeMap<String, Vec<Edit>>,
    signed: HashMap<(&'a str, &'a str), &'a Signed>,
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

    fn add(&mut self, node: &str, edit: Edit) {
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
fn put(present: Option<&FileFact>, signed: &Signed, answers: Vec<Answers>) -> Result<Edit, String> {
    let old = present.map_or(Ok(FileState::Absent), before)?;
    let (_, attributes) = parts(&old, signed.request.attributes);
    Ok(Edit {
        target: signed.request.target.clone(),
        before: old,
        after: FileState::File {
            attributes,
            text: Text::known(signed.line.as_bytes()),
        },
        answers,
    })
}

/// The server's part that needs no sshd to be told: the authority's line for one account.
///
/// A line in the account's own file and not `TrustedUserCAKeys`: that would let the authority name any account of the
/// node, root too, and sshd would have to read its configuration again.
fn admit(
    drafts: &mut Drafts<'_>,
    node: &str,
    facts: &NodeFacts,
    account: &str,
    lanes: &BTreeSet<Lane>,
    policy: &Policy,
) -> Result<(), Left> {
    let fail = |why: String| left(Reason::KeyNotAuthorized, node, why);
    let login = facts.server.accounts.iter().find(|it| it.name == account);
    let Some((login, entry)) = login.and_then(|it| Some((it, it.account.as_ref()?))) else {
        return Err(fail(format!("there is no account {account}")));
    };
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    if !account.chars().all(is_plain) {
        return Err(fail(format!("{account} cannot be written as a principal")));
    }
    let exists = |it: &&CheckedFile| matches!(before(&it.file), Ok(FileState::File { .. }));
    let files = &login.authorized_keys;
    let Some(checked) = files.iter().find(exists).or_else(|| files.first()) else {
        return Err(fail(format!("sshd reads no authorized_keys for {account}")));
    };
    let old = before(&checked.file).map_err(fail)?;
    let own = Attributes {
        uid: entry.uid,
        gid: entry.gid,
        mode: 0o600,
    };
    let (bytes, attributes) = parts(&old, own);
    let authority = &policy.authorities.users;
    let line = user_authority_line(account, &policy.networks, authority);
    let present = user_authority_entries(&bytes, authority);
    let new = with_lines(&bytes, &present, &[line]);
    if new == bytes {
        return Ok(());
    }
    let answers: Vec<Answers> = lanes
        .iter()
        .map(|&lane| Answers {
            reason: Reason::KeyNotAuthorized.code().to_owned(),
            lane,
            client: None,
            server: Some(node.to_owned()),
        })
        .collect();
    let directory = checked.file.path.rsplit_once('/').map(|(it, _)| it);
    if let Some(directory) = directory
        && old == FileState::Absent
        && !checked.above.iter().any(|(path, _)| path == directory)
    {
        drafts.add(
            node,
            Edit {
                target: Target {
                    context: Vec::new(),
                    path: directory.to_owned(),
                },
                before: FileState::Absent,
                after: FileState::Directory {
                    attributes: Attributes { mode: 0o700, ..own },
                },
                answers: answers.clone(),
            },
        );
    }
    drafts.add(
        node,
        Edit {
            target: Target {
                context: Vec::new(),
                path: checked.file.path.clone(),
            },
            before: old,
            after: FileState::File {
                attributes,
                text: Text::known(new),
            },
            answers,
        },
    );
    Ok(())
}

/// sshd's part: certificates beside its host keys, and the directives that name them.
fn server(
    drafts: &Drafts<'_>,
    id: NodeId,
    node: &str,
    fleet: &Fleet,
    facts: &NodeFacts,
    policy: &Policy,
) -> Result<Option<SshdChange>, String> {
    let profile = &fleet.node(id).profile.sshd;
    let answers = |reason: Reason| {
        vec![Answers {
            reason: reason.code().to_owned(),
            lane: Lane::ColdPush,
            client: None,
            server: Some(node.to_owned()),
        }]
    };
    let mut edits = Vec::new();
    let mut certified = Vec::new();
    for key in &facts.server.host_keys {
        let path = certificate_path(&key.path);
        let present = key.certificate.as_ref();
        let signed = drafts.signed.get(&(node, path.as_str())).copied();
        if let Some(signed) = signed {
            let here = present.filter(|it| it.path == path);
            let reason = match here {
                Some(_) => Reason::HostCertificateExpired,
                None => Reason::HostKeyUnknown,
            };
            edits.push(put(here, signed, answers(reason))?);
        }
        if signed.is_some() || is_certified(present, &path, &policy.authorities.hosts) {
            certified.push(path);
        }
    }
    if certified.is_empty() {
        return Ok(None);
    }
    if !profile.context.is_empty() {
        return Err("it runs in a container, whose sshd clearway does not reload".to_owned());
    }
    let drop_in = DropIn::find(&facts.server, profile)?;
    let mut directives: Vec<String> = certified
        .iter()
        .filter(|path| !is_set_elsewhere(&facts.server, &drop_in, "HostCertificate", Some(path)))
        .map(|path| format!("HostCertificate {path}"))
        .collect();
    let others = drop_in.directives().into_iter();
    directives.extend(others.filter(|line| !line.starts_with("HostCertificate ")));
    if let Some(after) = drop_in.with(&directives)
        && !policy.renew_only
    {
        edits.push(Edit {
            target: Target {
                context: Vec::new(),
                path: drop_in.path.clone(),
            },
            before: drop_in.before.clone(),
            after,
            answers: answers(Reason::HostKeyUnknown),
        });
    }
    if edits.is_empty() {
        return Ok(None);
    }
    Ok(Some(SshdChange {
        node: node.to_owned(),
        binary: profile.binary.clone(),
        config: profile.config.clone(),
        ports: ports(&facts.server, profile.port),
        edits,
    }))
}

/// The ports that an sshd listens on, as it says itself.
pub(super) fn ports(server: &ServerFacts, otherwise: u16) -> Vec<u16> {
    match &server.base_config {
        Answer::Output(content) => ServerSettings::parse(&content.bytes).ok(),
        Answer::Failed { .. } => None,
    }
    .map_or_else(|| vec![otherwise], |settings| settings.ports)
}

fn is_certified(present: Option<&FileFact>, path: &str, authority: &PublicKey) -> bool {
    let content = present
        .filter(|it| it.path == path)
        .and_then(FileFact::content);
    let key = content.and_then(|it| PublicKey::read_file(&it.bytes).ok());
    let is_ours = |key: &PublicKey| {
        let certificate = key.certificate();
        certificate.is_some_and(|it| it.role == CertRole::Host && it.authority == *authority)
    };
    key.is_some_and(|(key, _)| is_ours(&key))
}

fn left(reason: Reason, node: &str, why: String) -> Left {
    Left {
        reason: reason.code().to_owned(),
        legs: Vec::new(),
        why: format!("{node}: {why}"),
        remedy: format!("clearway reasons {}", reason.code()),
    }
}
