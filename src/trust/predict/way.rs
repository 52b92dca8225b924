//! What a repair asks of a prediction: each rung by itself, and what the configurations of both ends say.

use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::{LegId, NodeId, Predicted};
use crate::openssh::Release;
use crate::openssh::authorized_keys::LoginContext;
use crate::openssh::key::{KeyKind, PublicKey};
use crate::openssh::known_hosts::{HostName, StrictHostKeyChecking};
use crate::survey::{Account, CheckedFile, ClientFacts, IdentityState};

use super::authorized::{Admission, Lists};
use super::code::Code;
use super::door::{Gate, written};
use super::keys_files::{self, KeysFile, algorithm_refused};
use super::notes::Silent;
use super::prediction::{Dialling, Prediction, Side, login_of};
use super::server::ServerSide;
use super::tail;

/// How a client gets to a server in a lane, as its configuration has it.
#[derive(Debug)]
pub struct Way<'a> {
    /// What the survey found where ssh runs.
    pub facts: &'a ClientFacts,
    /// `Port`.
    pub port: u16,
    /// `UserKnownHostsFile`, expanded.
    pub user_files: &'a [String],
    /// `GlobalKnownHostsFile`, expanded.
    pub global_files: &'a [String],
    /// `StrictHostKeyChecking`.
    pub strict: StrictHostKeyChecking,
    /// `CheckHostIP`.
    pub check_address: bool,
    /// Whether the connection goes through a jump host or a proxy command.
    pub proxied: bool,
    /// The account at the far end.
    pub user: &'a str,
    /// `IdentityFile`s in order, expanded.
    pub identities: &'a [String],
    /// The key that the lane's command line names, where it is not there.
    pub missing_given: Option<&'a str>,
    /// The keys that are offered, in that order, with their public halves where these are known.
    pub offers: Vec<(&'a str, IdentityState, Option<&'a PublicKey>)>,
    /// Equal for ways of one client that read the same configuration.
    pub configuration: (u32, u32),
}

/// What the files say of each part of a leg, each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rungs {
    /// What stops every leg of the client before any name is looked at.
    pub client: Predicted,
    /// From the name to an accepted host key.
    pub path: Predicted,
    /// The login.
    pub login: Predicted,
    /// What comes behind it.
    pub tail: Predicted,
}

/// A file in which an sshd looks for an account's keys.
#[derive(Debug)]
pub struct KeysPlace<'a> {
    /// Absolute path where the sshd runs; as configured where a token in it is not known.
    pub path: String,
    /// What is there; `None` where the survey did not look.
    pub file: Option<&'a CheckedFile>,
    /// Whether sshd reads it.
    pub is_read: bool,
    /// `StrictModes`.
    pub strict_modes: bool,
    /// Whether sshd looks there for keys of other accounts, too.
    pub is_of_all: bool,
}

/// How a leg begins.
enum Beginning<'p, 'a> {
    /// Something stops every leg of the client.
    Blocked(Predicted),
    /// The client dials: what comes of that up to an accepted host key, and both ends.
    Dials(Predicted, &'p ServerSide<'a>, &'p Dialling<'a>),
}

/// `PubkeyAcceptedAlgorithms` and `RequiredRSASize` of one end.
type Algorithms<'a> = (Option<&'a str>, u32);

impl<'a> Prediction<'a> {
    /// How a leg's client gets to its server; `None` where its configuration is not known or nothing says what it dials.
    #[must_use]
    pub fn way(&self, id: LegId) -> Option<Way<'_>> {
        let dialling = self.dialling(id)?;
        let (_, path) = self.dialled(dialling, id)?;
        let login = login_of(&dialling.plan, id.server);
        let (path_config, login_config) = (
            self.configurations.paths.get(path),
            self.configurations.logins.get(login),
        );
        let (user_files, global_files) = path_config
            .known_hosts
            .split_at(path_config.user_files.min(path_config.known_hosts.len()));
        let ring = self.logins.ring(dialling.rings.get(login));
        Some(Way {
            facts: dialling.facts,
            port: path_config.port,
            user_files,
            global_files,
            strict: path_config.strict,
            check_address: path_config.check_address && path_config.alias.is_none(),
            proxied: path_config.proxy.is_some(),
            user: &login_config.user,
            identities: login_config.files(ring.is_given_missing),
            missing_given: login_config.given().filter(|_| ring.is_given_missing),
            offers: ring
                .keys
                .iter()
                .map(|key| (key.path, key.state, key.key.as_ref()))
                .collect(),
            configuration: (path, login),
        })
    }

    /// What a leg dials, behind `HostName`, and the number of the configuration by which it does: equal numbers of one
    /// client stand for the same [`Way`] but for the host. Costs next to nothing.
    #[must_use]
    pub fn configuration(&self, id: LegId) -> Option<(Arc<str>, (u32, u32))> {
        let dialling = self.dialling(id)?;
        let (host, path) = self.dialled(dialling, id)?;
        Some((host, (path, login_of(&dialling.plan, id.server))))
    }

    /// The name under which a host is looked up in known_hosts by a configuration, and whether that is an alias.
    #[must_use]
    pub fn known_as(&self, configuration: (u32, u32), host: &str) -> (HostName, bool) {
        let config = self.configurations.paths.get(configuration.0);
        (config.host_name(host), config.alias.is_some())
    }

    /// Where the leg's client seems to come from.
    #[must_use]
    pub fn source(&self, id: LegId) -> Option<IpAddr> {
        let dialling = self.dialling(id)?;
        let ring = dialling.rings.get(login_of(&dialling.plan, id.server));
        self.logins.door(self.visit(dialling, ring, id))?.source
    }

    /// What the files say of each part of a leg; `None` for a leg that is not needed, or where one end was not surveyed.
    #[must_use]
    pub fn rungs(&self, id: LegId) -> Option<Rungs> {
        let works = Predicted::Works;
        let (path, side, dialling) = match self.up_to_the_host_key(id)? {
            Beginning::Blocked(client) => {
                return Some(Rungs {
                    client,
                    path: works,
                    login: works,
                    tail: works,
                });
            }
            Beginning::Dials(path, side, dialling) => (path, side, dialling),
        };
        let ring = dialling.rings.get(login_of(&dialling.plan, id.server));
        let policy = self.logins.policy(id.server);
        let names = ("", "");
        Some(Rungs {
            client: works,
            path,
            login: self.logins.verdict(self.visit(dialling, ring, id)),
            tail: tail::judge(
                names,
                &dialling.baggage,
                self.user(dialling, id),
                side.facts,
                policy,
                &mut Silent,
            ),
        })
    }

    /// What the files say of a leg from the name to an accepted host key: [`Rungs::path`] without the price of the others.
    #[must_use]
    pub fn path(&self, id: LegId) -> Option<Predicted> {
        Some(match self.up_to_the_host_key(id)? {
            Beginning::Blocked(_) => Predicted::Works,
            Beginning::Dials(path, ..) => path,
        })
    }

    fn up_to_the_host_key(&self, id: LegId) -> Option<Beginning<'_, 'a>> {
        let obstacle = self.legs.obstacle(id);
        if matches!(obstacle, Some(Predicted::NotNeeded(_))) {
            return None;
        }
        let side = self.servers[id.server.index()].as_ref()?;
        let dialling = match &self.sides[id.lane as usize][id.client.index()] {
            Side::NotSurveyed => return None,
            Side::Blocked(code, _) => return Some(Beginning::Blocked(code.read()?)),
            Side::Dials(dialling) => dialling,
        };
        let path = match (obstacle, self.paths.get(dialling.class, id.server)) {
            (Some(settled), _) => settled,
            (None, Code::WORKS) => Predicted::Works,
            (None, code) => code.read()?,
        };
        Some(Beginning::Dials(path, side, dialling))
    }

    /// The plain host keys on a node's disk, in the order of its configuration.
    pub fn disk_keys(&self, node: NodeId) -> impl Iterator<Item = &PublicKey> {
        let keys = self.servers[node.index()].iter();
        keys.flat_map(|side| side.keys.iter())
            .filter(|key| key.certificate().is_none())
    }

    /// The addresses that the client's own `/etc/hosts` has for a name; empty where only the DNS knows.
    #[must_use]
    pub fn resolved(&self, client: &ClientFacts, name: &str) -> Vec<IpAddr> {
        let lines = self.hosts.get(&client.hosts).lookup(name);
        lines.iter().map(|line| line.address).collect()
    }

    /// Whether a server's settings depend on who comes from where (`Match`).
    #[must_use]
    pub fn asks_who_comes(&self, server: NodeId) -> bool {
        self.logins.asks_who_comes(server)
    }

    /// Where the leg's server looks for keys of the account that the leg logs in to, in order; `None` where its sshd
    /// did not say.
    #[must_use]
    pub fn keys_places(&self, id: LegId) -> Option<Vec<KeysPlace<'_>>> {
        let facts = self.facts[id.server.index()].as_ref()?;
        let dialling = self.dialling(id)?;
        let login = login_of(&dialling.plan, id.server);
        let user = &self.configurations.logins.get(login).user;
        let account = facts.server.accounts.iter().find(|it| it.name == *user)?;
        let entry = account.account.as_ref()?;
        let ring = dialling.rings.get(login);
        let view = self.logins.door(self.visit(dialling, ring, id))?;
        let files = keys_files::files(&view.policy, account, entry);
        let place = |file: KeysFile| KeysPlace {
            file: account
                .authorized_keys
                .iter()
                .find(|checked| checked.file.path == file.path),
            is_read: matches!(file.gate, Gate::Open(_)),
            strict_modes: view.policy.strict_modes,
            is_of_all: !is_of_one(&file.path, entry) && self.is_of_all(id.server, user, &file.path),
            path: file.path,
        };
        Some(files.into_iter().map(place).collect())
    }

    /// Whether a server's sshd looks for keys of other accounts in a file, too: `AuthorizedKeysFile` with a path that depends on
    /// no account, and not for this one alone (`Match`).
    fn is_of_all(&self, server: NodeId, user: &str, path: &str) -> bool {
        let Some(facts) = self.facts[server.index()].as_ref() else {
            return false;
        };
        let accounts = facts.server.accounts.iter();
        let mut others = accounts.filter(|it| it.name != user);
        others.any(|it| {
            let policy = self.logins.policy_of(server, &it.name);
            it.account.as_ref().is_some_and(|entry| {
                let files = policy.map(|policy| keys_files::files(&policy, it, entry));
                files.into_iter().flatten().any(|file| file.path == path)
            })
        })
    }

    /// Whether the leg's server would let this key in, were the owners and modes of its files right and the client able
    /// to use it.
    #[must_use]
    pub fn would_admit(&self, id: LegId, key: &PublicKey) -> bool {
        self.admits(id, key).unwrap_or(false)
    }

    fn admits(&self, id: LegId, key: &PublicKey) -> Option<bool> {
        let facts = self.facts[id.server.index()].as_ref()?;
        let dialling = self.dialling(id)?;
        let login = login_of(&dialling.plan, id.server);
        let config = self.configurations.logins.get(login);
        let ring = dialling.rings.get(login);
        let view = self.logins.door(self.visit(dialling, ring, id))?;
        let mut accounts = facts.server.accounts.iter();
        let account = accounts.find(|it| it.name == config.user)?;
        let entry: &Account = account.account.as_ref()?;
        let source = view.source.map(written).unwrap_or_default();
        let version = facts.server.sshd_version.as_deref();
        let lists = Lists {
            policy: &view.policy,
            account: entry,
            principals: &account.principals,
            trust_files: &facts.server.trust_files,
            library: view.library,
            context: LoginContext {
                account: &account.name,
                address: &source,
                host: &source,
                now: u64::try_from(facts.clock).unwrap_or(0),
                utc_offset: 0,
                release: version.and_then(Release::find).unwrap_or(Release::NEWEST),
            },
        };
        let mut files = keys_files::files(&view.policy, account, entry);
        for file in &mut files {
            let mut checked = account.authorized_keys.iter();
            let content = checked
                .find(|it| it.file.path == file.path)
                .and_then(|it| it.file.content());
            if let Some(content) = content {
                file.gate = Gate::Open(content.sha256);
            }
        }
        Some(matches!(
            lists.judge(&files, key),
            Admission::Admitted { .. }
        ))
    }

    /// Whether client and server of a leg agree on a signature algorithm for a key, and both find it long enough.
    #[must_use]
    pub fn agree_on(&self, id: LegId, key: &PublicKey) -> bool {
        self.algorithms(id, |client, server| {
            algorithm_refused(key, client, server).is_none()
        })
    }

    /// Whether client and server of a leg agree on a signature algorithm for plain keys of a kind.
    #[must_use]
    pub fn agree_on_kind(&self, id: LegId, kind: KeyKind) -> bool {
        let listed = |list: Option<&str>, algorithm: &str| {
            list.is_none_or(|list| list.split(',').any(|it| it == algorithm))
        };
        self.algorithms(id, |client, server| {
            let mut algorithms = kind.host_key_algorithms(false).iter();
            algorithms.any(|it| listed(client.0, it) && listed(server.0, it))
        })
    }

    fn algorithms(
        &self,
        id: LegId,
        judge: impl Fn(Algorithms<'_>, Algorithms<'_>) -> bool,
    ) -> bool {
        let Some(dialling) = self.dialling(id) else {
            return true;
        };
        let login = login_of(&dialling.plan, id.server);
        let config = self.configurations.logins.get(login);
        let ring = dialling.rings.get(login);
        let Some(view) = self.logins.door(self.visit(dialling, ring, id)) else {
            return true;
        };
        let client = (config.algorithms.as_deref(), config.rsa_bits);
        let server = (view.policy.algorithms.as_deref(), view.policy.rsa_bits);
        judge(client, server)
    }

    fn dialling(&self, id: LegId) -> Option<&Dialling<'a>> {
        match &self.sides[id.lane as usize][id.client.index()] {
            Side::Dials(dialling) => Some(dialling),
            Side::NotSurveyed | Side::Blocked(..) => None,
        }
    }
}

/// Whether a path is one account's alone: it lies in its home.
fn is_of_one(path: &str, account: &Account) -> bool {
    let home = account.home.trim_end_matches('/');
    let rest = path.strip_prefix(home);
    !home.is_empty() && rest.is_some_and(|rest| rest.starts_with('/'))
}
