//! A node as the one that is logged in to.

use std::collections::BTreeSet;

use crate::domain::{Fleet, Lane, NodeId, Reason};
use crate::openssh::key::{CertRole, PublicKey};
use crate::openssh::server_config::ServerSettings;
use crate::repair::plan::{Answers, Attributes, Edit, FileState, Left, SshdChange, Target, Text};
use crate::survey::{Answer, CheckedFile, FileFact, NodeFacts, ServerFacts};

use super::drop_in::{DropIn, is_set_elsewhere};
use super::entries::{before, parts, user_authority_entries, user_authority_line, with_lines};
use super::plan::{Drafts, left, put};
use super::policy::Policy;
use super::wanted::certificate_path;

/// The server's part that needs no sshd to be told: the authority's line for one account.
///
/// A line in the account's own file and not `TrustedUserCAKeys`: that would let the authority name any account of the
/// node, root too, and sshd would have to read its configuration again.
pub(super) fn admit(
    drafts: &mut Drafts<'_>,
    node: &str,
    (facts, context): (&NodeFacts, &[String]),
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
                    context: context.to_vec(),
                    path: directory.to_owned(),
                },
                before: FileState::Absent,
                after: FileState::Directory {
                    attributes: Attributes { mode: 0o700, ..own },
                },
                label: None,
                answers: answers.clone(),
            },
        );
    }
    drafts.add(
        node,
        Edit {
            target: Target {
                context: context.to_vec(),
                path: checked.file.path.clone(),
            },
            before: old,
            after: FileState::File {
                attributes,
                text: Text::known(new),
            },
            label: None,
            answers,
        },
    );
    Ok(())
}

/// sshd's part: certificates beside its host keys, and the directives that name them.
pub(super) fn server(
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
            label: None,
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
