//! A node as the one that is logged in to.

use std::collections::BTreeSet;

use crate::domain::{Lane, Reason, SshdProfile};
use crate::openssh::key::{CertRole, PublicKey};
use crate::openssh::revoked::RevokedKeys;
use crate::openssh::server_config::ServerSettings;
use crate::repair::plan::{Answers, Attributes, Edit, FileState, SshdChange, Target, Text};
use crate::survey::{Answer, CheckedFile, FileFact, NodeFacts, ServerFacts};

use super::drop_in::{DropIn, is_set_elsewhere, set_elsewhere};
use super::entries::{before, parts, user_authority_entries, user_authority_line, with_lines};
use super::plan::{Drafts, put};
use super::policy::Policy;
use super::standing::LIST;
use super::told::Problem;
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
) -> Result<(), Problem> {
    let fail = |why: String| Problem::new(Reason::KeyNotAuthorized, why);
    let login = facts.server.accounts.iter().find(|it| it.name == account);
    let Some((login, entry)) = login.and_then(|it| Some((it, it.account.as_ref()?))) else {
        return Err(fail(format!("there is no account {account}")));
    };
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    if !account.chars().all(is_plain) {
        return Err(fail(format!("{account} cannot be written as a principal")));
    }
    let exists = |it: &&CheckedFile| matches!(before(&it.file), Ok(FileState::File { .. }));
    // Whoever is let in by a file of all accounts is let in as root.
    let base = facts.server.base_config.output();
    let settings = base.and_then(|it| ServerSettings::parse(&it.bytes).ok());
    let is_of_all = |it: &&CheckedFile| {
        let mut named = settings.iter().flat_map(|it| &it.authorized_keys_files);
        named.any(|path| *path == it.file.path)
    };
    let files = || login.authorized_keys.iter().filter(|it| !is_of_all(it));
    let Some(checked) = files().find(exists).or_else(|| files().next()) else {
        return Err(fail(match login.authorized_keys.first() {
            None => format!("sshd reads no authorized_keys for {account}"),
            Some(it) => format!(
                "sshd looks for keys of every account in {}: a certificate of {account} would let in as root as well",
                it.file.path
            ),
        }));
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

/// What becomes of an sshd, and what does not.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) change: Option<SshdChange>,
    pub(super) problem: Option<Problem>,
}

/// sshd's part: certificates beside its host keys, the list of revoked keys, and the directives that name them.
///
/// # Errors
/// Why nothing of it can be done, in words.
pub(super) fn server(
    drafts: &Drafts<'_>,
    (node, profile): (&str, &SshdProfile),
    facts: &NodeFacts,
    policy: &Policy,
    revoked: Option<&[u8]>,
) -> Result<Served, String> {
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
    if certified.is_empty() && revoked.is_none() {
        return Ok(Served::default());
    }
    if !profile.context.is_empty() {
        return Err("it runs in a container, whose sshd clearway does not reload".to_owned());
    }
    let drop_in = DropIn::find(&facts.server, profile)?;
    let mut directives: Vec<String> = certified
        .iter()
        .filter(|path| !is_set_elsewhere(&facts.server, &drop_in, "HostCertificate", path))
        .map(|path| format!("HostCertificate {path}"))
        .collect();
    let others = drop_in.directives().into_iter();
    directives.extend(others.filter(|line| !line.starts_with("HostCertificate ")));
    let mut reason = Reason::HostKeyUnknown;
    let mut problem = None;
    if let Some(list) = revoked {
        match refuse(&facts.server, &drop_in, list) {
            Ok(refusing) => {
                edits.extend(refusing.edit);
                if !directives.contains(&refusing.directive) {
                    directives.push(refusing.directive);
                    reason = Reason::KeyRevoked;
                }
            }
            Err(why) => problem = Some(why),
        }
    }
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
            answers: answers(reason),
        });
    }
    let change = (!edits.is_empty()).then(|| SshdChange {
        node: node.to_owned(),
        binary: profile.binary.clone(),
        config: profile.config.clone(),
        ports: ports(&facts.server, profile.port),
        edits,
    });
    Ok(Served { change, problem })
}

/// The list of revoked keys, and the directive that puts it in force.
pub(super) struct Refusing {
    /// Where the list that is there does not say the same.
    pub(super) edit: Option<Edit>,
    pub(super) directive: String,
}

/// What makes an sshd refuse the keys of a list. Its directive is only there once something is revoked: where the file
/// cannot be read, sshd refuses every key.
pub(super) fn refuse(
    server: &ServerFacts,
    drop_in: &DropIn,
    list: &[u8],
) -> Result<Refusing, Problem> {
    if let Some(own) = set_elsewhere(server, drop_in, "RevokedKeys") {
        return Err(Problem {
            reason: Reason::KeyRevoked,
            why: format!(
                "its sshd has a RevokedKeys of its own, {own}, which clearway's would replace"
            ),
            remedy: format!(
                "Add to {own} what the file `clearway-revoked` has: for a text file the keys of its `key:` lines, for a binary one all of it, with `ssh-keygen -k -u -f {own} clearway-revoked`."
            ),
        });
    }
    let problem = |why: String| Problem::new(Reason::KeyRevoked, why);
    let present = server.trust_files.iter().find(|it| it.path == LIST);
    let old = present
        .map_or(Ok(FileState::Absent), before)
        .map_err(problem)?;
    let root = Attributes {
        uid: 0,
        gid: 0,
        mode: 0o644,
    };
    let (bytes, attributes) = parts(&old, root);
    // Each time that it is made, a list has another number and date.
    let (was, becomes) = (RevokedKeys::parse(&bytes), RevokedKeys::parse(list));
    let says_the_same = old != FileState::Absent
        && was.lacks(&becomes).is_empty()
        && becomes.lacks(&was).is_empty();
    let edit = (!says_the_same).then(|| Edit {
        target: Target {
            context: Vec::new(),
            path: LIST.to_owned(),
        },
        before: old,
        after: FileState::File {
            attributes,
            text: Text::known(list),
        },
        label: None,
        answers: vec![Answers {
            reason: Reason::KeyRevoked.code().to_owned(),
            lane: Lane::ColdPush,
            client: None,
            server: None,
        }],
    });
    Ok(Refusing {
        edit,
        directive: format!("RevokedKeys {LIST}"),
    })
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
