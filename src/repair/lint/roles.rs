//! What the survey says that a path is for.

use crate::domain::{Fleet, Lane, NodeId, Profile};
use crate::repair::plan::Target;
use crate::survey::{
    Account, ClientFacts, FileFact, FileKind, FileState, Identity, LoginAccount, Meta, NodeFacts,
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
    /// The certificate of a private key.
    Certificate(&'a Identity, &'a Account),
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
            // ssh can be told to take anything for a key, a directory above files of trust too.
            let is_directory =
                |it: &Identity| it.meta.is_some_and(|meta| meta.kind == FileKind::Directory);
            let mut keys = client.identities.iter().filter(|it| !is_directory(it));
            if let Some(key) = keys.find(|it| it.path == path) {
                return Some(Role::Identity(key, account));
            }
            let key = path.strip_suffix("-cert.pub");
            if let Some(key) = client.identities.iter().find(|it| Some(&*it.path) == key) {
                return Some(Role::Certificate(key, account));
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

/// Whether a file of that use may lie at a path.
pub(super) fn is_place_of(role: &Role<'_>, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let in_home = |home: &str| {
        let home = home.trim_end_matches('/');
        !home.is_empty() && path.starts_with(&format!("{home}/.ssh/"))
    };
    match role {
        Role::KnownHosts(_, account) => {
            let other = ["config", "environment", "rc"].contains(&name)
                || ["authorized_keys", "id_"]
                    .iter()
                    .any(|it| name.starts_with(it))
                || name.ends_with(".pub");
            let of_system = path.starts_with("/etc/ssh/") || path.starts_with("/etc/nova/");
            in_home(&account.home) && !other || of_system && name.contains("known_hosts")
        }
        Role::Config(_, account) => in_home(&account.home) || path.starts_with("/etc/ssh/"),
        Role::AuthorizedKeys(_, login) => {
            let own = login.account.as_ref().is_some_and(|it| in_home(&it.home));
            let of_sshd = path.strip_prefix("/etc/ssh/").is_some_and(|_| {
                let configures = name.ends_with(".conf") || name.starts_with("ssh");
                !configures && !["moduli", "shosts.equiv"].contains(&name)
            });
            own || of_sshd || path.contains("authorized_keys")
        }
        Role::Identity(_, account) | Role::Certificate(_, account) => {
            in_home(&account.home) || path.starts_with("/etc/nova/")
        }
        Role::Directory(_, account) => {
            let home = account.home.trim_end_matches('/');
            path == home
                || path == format!("{home}/.ssh")
                || in_home(home)
                || path.starts_with("/etc/ssh/")
                || path.contains("authorized_keys")
        }
    }
}

/// Every name and address by which a node might be dialled, as the inventory and the node say.
pub(super) fn names(fleet: &Fleet, facts: &[Option<NodeFacts>]) -> Vec<(String, NodeId)> {
    let mut all = Vec::new();
    for id in fleet.ids() {
        let node = fleet.node(id);
        let mut own: Vec<String> = vec![node.name.to_string(), node.control.address.clone()];
        own.extend(node.service_host.clone());
        own.extend(node.migration_address.clone());
        own.extend(node.live_address.clone());
        if let Some(facts) = &facts[id.index()] {
            own.push(facts.hostname.clone());
            own.extend(facts.addresses.iter().map(ToString::to_string));
            let nova = &facts.nova;
            own.extend(nova.host.clone());
            own.extend(nova.my_ip.clone());
            own.extend(nova.default_my_ip.clone());
            own.extend(nova.migration_inbound_addr.clone());
            own.extend(nova.live_migration_inbound_addr.clone());
        }
        let mut ports = vec![node.profile.sshd.port];
        for lane in Lane::ALL {
            ports.extend(node.profile.lane(lane).port);
        }
        own.sort_unstable();
        own.dedup();
        for name in own {
            let name = name.to_ascii_lowercase();
            for port in &ports {
                all.push((format!("[{name}]:{port}"), id));
            }
            all.push((name, id));
        }
    }
    all
}
