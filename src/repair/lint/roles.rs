//! What the survey says that a path is for.

use crate::domain::{NodeId, Profile};
use crate::repair::plan::Target;
use crate::survey::{
    Account, ClientFacts, FileFact, FileState, Identity, LoginAccount, Meta, NodeFacts,
};

/// What a place on a node is, as the survey knows it.
pub(super) enum Role<'a> {
    /// A known_hosts file that some account reads.
    KnownHosts(&'a FileFact, &'a Account),
    /// The keys of an account that is logged in to.
    AuthorizedKeys(&'a FileFact, &'a LoginAccount),
    /// ssh's configuration.
    Config(&'a FileFact, &'a Account),
    /// A private key.
    Identity(&'a Identity, &'a Account),
    /// A directory on the way to one of these, if it is there.
    Directory(Option<Meta>, &'a Account),
}

/// Who and where.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) node: NodeId,
    pub(super) profile: &'a Profile,
    pub(super) facts: &'a NodeFacts,
}

impl<'a> Place<'a> {
    pub(super) fn clients(
        &self,
        target: &Target,
    ) -> impl Iterator<Item = (&'a ClientFacts, &'a Account)> {
        let profile = self.profile;
        let context = target.context.clone();
        self.facts
            .clients
            .iter()
            .filter(move |client| profile.files_context(&client.context) == context)
            .filter_map(|client| Some((client, client.account.as_ref()?)))
    }

    /// What a target is; `None` if the survey knows of no use for it.
    pub(super) fn role(&self, target: &Target) -> Option<Role<'a>> {
        let path = target.path.as_str();
        for (client, account) in self.clients(target) {
            if let Some(fact) = client.known_hosts.iter().find(|it| it.path == path) {
                return Some(Role::KnownHosts(fact, account));
            }
            if let Some(fact) = client.config_files.iter().find(|it| it.path == path) {
                return Some(Role::Config(fact, account));
            }
            if let Some(key) = client.identities.iter().find(|it| it.path == path) {
                return Some(Role::Identity(key, account));
            }
        }
        if target.context == self.profile.sshd.context {
            for login in &self.facts.server.accounts {
                let mut files = login.authorized_keys.iter();
                if let Some(checked) = files.find(|it| it.file.path == path) {
                    return Some(Role::AuthorizedKeys(&checked.file, login));
                }
            }
        }
        self.directory(target)
    }

    fn directory(&self, target: &Target) -> Option<Role<'a>> {
        let path = target.path.as_str();
        for (client, account) in self.clients(target) {
            if let Some(fact) = client.directories.iter().find(|it| it.path == path) {
                let meta = match &fact.state {
                    FileState::Present { meta, .. } => Some(*meta),
                    _ => None,
                };
                return Some(Role::Directory(meta, account));
            }
        }
        if target.context != self.profile.sshd.context {
            return None;
        }
        for login in &self.facts.server.accounts {
            let account = login.account.as_ref()?;
            for checked in &login.authorized_keys {
                if let Some((_, meta)) = checked.above.iter().find(|(it, _)| it == path) {
                    return Some(Role::Directory(Some(*meta), account));
                }
                let below = format!("{path}/");
                if checked.file.path.starts_with(&below) {
                    return Some(Role::Directory(None, account));
                }
            }
        }
        None
    }
}
