//! Files and directories in facts, wherever they are told.

use super::apply::{Hidden, is_place, meta};
use crate::domain::{NodeId, Profile};
use crate::repair::plan::{Attributes, FileState, Relabel, Target};
use crate::survey::{
    Account, Content, FileFact, FileKind, FileState as Found, IdentityState, Meta, NodeFacts,
};

fn may(meta: Meta, account: Option<&Account>, bit: u32) -> bool {
    let Some(account) = account else {
        return true;
    };
    let shift = match () {
        () if account.uid == 0 => return true,
        () if meta.uid == account.uid => 6,
        () if meta.gid == account.gid => 3,
        () => 0,
    };
    meta.mode >> shift & bit != 0
}

fn is_before(fact: &FileFact, before: &FileState) -> bool {
    match (&fact.state, before) {
        (Found::Absent, FileState::Absent) => true,
        (Found::Present { meta, content, .. }, FileState::File { attributes, text }) => {
            let bytes = text.bytes(|_| None).unwrap_or_default();
            meta.mode == attributes.mode
                && meta.uid == attributes.uid
                && content.as_ref().is_some_and(|it| *it.bytes == *bytes)
        }
        (
            Found::Present { meta, .. },
            FileState::Opaque { attributes } | FileState::Directory { attributes },
        ) => meta.mode == attributes.mode && meta.uid == attributes.uid,
        _ => false,
    }
}

/// Puts a file where the facts tell of it. A private key's content is never told.
pub(super) fn set_file(
    profile: &Profile,
    facts: &mut NodeFacts,
    target: &Target,
    (attributes, content): (Attributes, Option<Content>),
    before: &FileState,
) {
    let found = std::cell::Cell::new(false);
    let put = |fact: &mut FileFact, account: Option<&Account>| {
        if fact.path == target.path {
            assert!(is_before(fact, before), "{} is not as planned", target.path);
            let old = fact.content().cloned();
            let meta = meta(FileKind::File, attributes);
            let readable = may(meta, account, 4);
            fact.state = Found::Present {
                meta,
                readable,
                content: content.clone().or(old).filter(|_| readable),
            };
            found.set(true);
        }
    };
    for client in &mut facts.clients {
        if is_place(profile, &client.context, target) {
            let account = client.account.clone();
            let files = client.known_hosts.iter_mut();
            for fact in files.chain(&mut client.config_files) {
                put(fact, account.as_ref());
            }
            for identity in &mut client.identities {
                if identity.path == target.path {
                    identity.meta = Some(meta(FileKind::File, attributes));
                    found.set(true);
                }
            }
        }
    }
    if target.context == profile.sshd.context {
        for login in &mut facts.server.accounts {
            let account = login.account.clone();
            for checked in &mut login.authorized_keys {
                put(&mut checked.file, account.as_ref());
            }
        }
    }
    assert!(found.get(), "no survey tells of {}", target.path);
}

/// Makes a directory, or sets its owner and mode.
pub(super) fn set_directory(
    profile: &Profile,
    facts: &mut NodeFacts,
    target: &Target,
    attributes: Attributes,
) {
    let new = meta(FileKind::Directory, attributes);
    for client in &mut facts.clients {
        if is_place(profile, &client.context, target) {
            let account = client.account.clone();
            for fact in &mut client.directories {
                if fact.path == target.path {
                    fact.state = Found::Present {
                        meta: new,
                        readable: may(new, account.as_ref(), 1),
                        content: None,
                    };
                }
            }
        }
    }
    if target.context == profile.sshd.context {
        for login in &mut facts.server.accounts {
            for checked in &mut login.authorized_keys {
                let above = checked.above.iter_mut();
                match above.into_iter().find(|(path, _)| *path == target.path) {
                    Some((_, old)) => *old = new,
                    None => {
                        let parent = checked.file.path.rsplit_once('/');
                        if parent.is_some_and(|(parent, _)| parent == target.path) {
                            checked.above.insert(0, (target.path.clone(), new));
                            checked.private_group.insert(0, false);
                        }
                    }
                }
            }
        }
    }
}

/// Gives something the label that the policy gives it.
pub(super) fn set_label(
    profile: &Profile,
    facts: &mut NodeFacts,
    target: &Target,
    label: &Relabel,
) {
    let clients = facts.clients.iter_mut();
    let clients = clients.filter(|client| is_place(profile, &client.context, target));
    let of_clients = clients.filter_map(|client| client.labels.as_mut());
    let server = facts.server.labels.as_mut();
    let server = server.filter(|_| target.context == profile.sshd.context);
    let mut found = false;
    for wrong in of_clients.chain(server).filter_map(|it| it.wrong.as_mut()) {
        wrong.retain(|it| {
            let is_it = it.path == target.path;
            assert!(!is_it || it.has == label.before, "{it:?} is not as planned");
            assert!(!is_it || it.policy == label.after, "{it:?}");
            found |= is_it;
            !is_it
        });
    }
    assert!(found, "the label of {} is not wrong", target.path);
}

/// Makes a directory unless it is there.
pub(super) fn make_directory(
    profile: &Profile,
    facts: &mut NodeFacts,
    target: &Target,
    attributes: Attributes,
) {
    let is_there = facts.clients.iter().any(|client| {
        is_place(profile, &client.context, target)
            && client
                .directories
                .iter()
                .any(|fact| fact.path == target.path && matches!(fact.state, Found::Present { .. }))
    });
    if !is_there {
        set_directory(profile, facts, target, attributes);
    }
}

/// What an account can read and use once owners and modes have changed.
pub(super) fn look_again(node: NodeId, facts: &mut NodeFacts, hidden: &Hidden) {
    let shown = |path: &str| hidden.get(&(node, path.to_owned())).cloned();
    for client in &mut facts.clients {
        let account = client.account.clone();
        let searched = client.directories.iter().all(|fact| match fact.state {
            Found::Present { readable, .. } => readable,
            _ => true,
        });
        for fact in client.known_hosts.iter_mut() {
            if let Found::Unreadable(_) = fact.state
                && searched
            {
                fact.state = match shown(&fact.path) {
                    None => Found::Absent,
                    Some(content) => Found::Present {
                        meta: meta(
                            FileKind::File,
                            Attributes {
                                uid: account.as_ref().map_or(0, |it| it.uid),
                                gid: 0,
                                mode: 0o600,
                            },
                        ),
                        readable: true,
                        content: Some(content),
                    },
                };
            }
        }
        for identity in &mut client.identities {
            let spoilt = matches!(
                identity.state,
                IdentityState::TooOpen | IdentityState::Unreadable
            );
            if !spoilt || !searched {
                continue;
            }
            if let Some(meta) = identity.meta {
                let own = account.as_ref().is_some_and(|it| it.uid == meta.uid);
                if may(meta, account.as_ref(), 4) && !(own && meta.mode & 0o077 != 0) {
                    identity.state = IdentityState::Usable;
                }
            }
        }
    }
    for login in &mut facts.server.accounts {
        let account = login.account.clone();
        for checked in &mut login.authorized_keys {
            let searched = checked
                .above
                .iter()
                .all(|(_, meta)| may(*meta, account.as_ref(), 1));
            if let Found::Present {
                meta,
                readable,
                content,
            } = &mut checked.file.state
            {
                *readable = searched && may(*meta, account.as_ref(), 4);
                if *readable && content.is_none() {
                    *content = shown(&checked.file.path);
                }
            }
        }
    }
}
