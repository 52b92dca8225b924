//! The private key of a client: the one that it has, made usable, or a new one.

use std::collections::HashMap;

use super::cure::{Cure, cure};
use super::draft::{Because, attributes, state_of};
use super::gathered::ByNode;
use super::make::Planner;
use super::modes;
use super::places::{self, may_hold_identity, target};
use super::problems::Problem;
use crate::domain::{COMMENT, KeySharing, LegId, NewKeyType, NodeId, Reason};
use crate::openssh::key::{KeyKind, PublicKey};
use crate::repair::plan::{Attributes, FileState, KeyCopy, KeyId, KeySource, NewKey, Target};
use crate::survey::{Account, FileState as Found, Identity, IdentityState};
use crate::trust::Way;

/// A public key that is known, or will be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum KeyRef {
    Known(PublicKey),
    New(KeyId),
}

/// Clients whose keys are one: a node, the place of its client side among its facts, the configuration of its logins.
pub(super) type Ring = (NodeId, usize, u32);

/// The keys that clients will offer besides those that they can use now.
pub(super) type Given = HashMap<Ring, Vec<KeyRef>>;

impl Planner<'_> {
    /// Sees to it that every client that is broken for want of a key has one.
    pub(super) fn identities(&mut self, problems: &[Problem]) -> Given {
        let mut rings: ByNode<Ring, Vec<Because>> = ByNode::default();
        for problem in problems {
            for &reason in &problem.reasons {
                if cure(reason) == Cure::Identity
                    && let Some((desk, _)) = self.desk(problem.id)
                {
                    let ring = self.ring(problem.id, &desk.way);
                    let because = rings.entry(problem.id.client, &ring);
                    because.push((reason, problem.id));
                }
            }
        }
        let mut given = Given::new();
        for (_, ring, because) in rings.into_sorted() {
            if let Some(&(_, id)) = because.first()
                && let Some((desk, _)) = self.desk(id)
            {
                let keys = self.identity(&desk.way, id, &because);
                given.insert(ring, keys);
            }
        }
        given
    }

    /// Whose keys a way offers.
    pub(super) fn ring(&self, id: LegId, way: &Way<'_>) -> Ring {
        let facts = self.situation.facts[id.client.index()].iter();
        let mut clients = facts.flat_map(|facts| &facts.clients);
        let place = clients.position(|client| std::ptr::eq(client, way.facts));
        (id.client, place.unwrap_or(0), way.configuration.1)
    }

    fn identity(&mut self, way: &Way<'_>, id: LegId, because: &[Because]) -> Vec<KeyRef> {
        let mut keys = Vec::new();
        let Some(account) = &way.facts.account else {
            return keys;
        };
        let usable = |state: IdentityState| state == IdentityState::Usable;
        let mut has_one = way.offers.iter().any(|(_, state, _)| usable(*state));
        let context = self.files_context(id.client, &way.facts.context);
        // What lies behind a directory that the account cannot search was not seen, and must not be taken for missing.
        if !has_one && way.facts.directories.iter().any(modes::is_unreadable) {
            let place = (id.client, &*context);
            if !modes::open_directories(&mut self.draft, place, way.facts, because) {
                for &(reason, id) in because {
                    self.left.add(reason, modes::LINK, None, id);
                }
            }
            return keys;
        }
        let is_spoilt = |&(reason, _): &Because| {
            matches!(reason, Reason::IdentityModes | Reason::IdentityUnreadable)
        };
        let sets_right = !has_one || because.iter().any(is_spoilt);
        // A key that is good for something else may still be authorised for this.
        let unused = because
            .iter()
            .filter(|it| it.0 != Reason::KeyAlgorithmRefused && !is_spoilt(it));
        for (_, id) in unused {
            if let Some(key) = self.agreed(way, *id).map(KeyRef::Known)
                && !keys.contains(&key)
            {
                keys.push(key);
            }
        }
        for &(path, state, public) in &way.offers {
            if !sets_right
                || !matches!(state, IdentityState::TooOpen | IdentityState::Unreadable)
                || !may_hold_identity(path, account)
            {
                continue;
            }
            if self.make_usable(way, path, (id.client, &context), because) {
                has_one = true;
                keys.extend(public.cloned().map(KeyRef::Known));
            }
        }
        let refused: Vec<Because> = because
            .iter()
            .copied()
            .filter(|(reason, _)| *reason == Reason::KeyAlgorithmRefused)
            .filter(|(_, id)| self.agreed(way, *id).is_none())
            .collect();
        if has_one && refused.is_empty() {
            return keys;
        }
        let because = if has_one { &refused } else { because };
        keys.extend(self.new_identity(way, account, (id.client, &context), because));
        keys
    }

    /// The first key that the client can use and that both ends accept the kind of.
    pub(super) fn agreed(&self, way: &Way<'_>, id: LegId) -> Option<PublicKey> {
        way.offers
            .iter()
            .filter(|(_, state, _)| *state == IdentityState::Usable)
            .filter_map(|(_, _, key)| *key)
            .filter(|key| !self.policy.revoked.has_key(key))
            .find(|key| self.situation.prediction.agree_on(id, key))
            .cloned()
    }

    /// Sets owner and mode of a private key right. Whether it can be used then.
    fn make_usable(
        &mut self,
        way: &Way<'_>,
        path: &str,
        (node, context): (NodeId, &[String]),
        because: &[Because],
    ) -> bool {
        modes::open_directories(&mut self.draft, (node, context), way.facts, because);
        let mut identities = way.facts.identities.iter();
        let (Some(identity), Some(account)) =
            (identities.find(|it| it.path == path), &way.facts.account)
        else {
            return false;
        };
        let Some(meta) = identity.meta else {
            // It is behind a directory that the account could not search.
            return way.facts.directories.iter().any(modes::is_unreadable);
        };
        if meta.symlink || meta.kind != crate::survey::FileKind::File {
            return false;
        }
        let before = FileState::Opaque {
            attributes: attributes(meta),
        };
        let to = modes::private_key(meta, account);
        let place = target(context, path);
        self.draft
            .set_attributes((node, &place), &before, to, because.iter().copied());
        true
    }

    fn new_identity(
        &mut self,
        way: &Way<'_>,
        account: &Account,
        (node, context): (NodeId, &[String]),
        because: &[Because],
    ) -> Option<KeyRef> {
        const TAKEN: &str = "every file that ssh would offer is there already, and repair overwrites no private key";
        const NAMED: &str = "the key that the lane's command line names is not there, and whoever named it knows which one it is to be";
        if way.missing_given.is_some() {
            for &(reason, id) in because {
                self.left.add(reason, NAMED, None, id);
            }
            return None;
        }
        if places::has_no_home(way.facts) {
            self.no_home(account, node, because);
            return None;
        }
        let repair = &self.situation.fleet.node(node).profile.repair;
        let agreed = |kind: NewKeyType| {
            let kind = match kind {
                NewKeyType::Ed25519 => KeyKind::Ed25519,
                NewKeyType::Ecdsa => KeyKind::EcdsaP256,
                NewKeyType::Rsa => KeyKind::Rsa,
            };
            because
                .iter()
                .all(|(_, id)| self.situation.prediction.agree_on_kind(*id, kind))
        };
        let Some((path, kind)) = free_path(way, account, repair.key_type, agreed) else {
            let elsewhere = way.identities.iter();
            let elsewhere = elsewhere.filter(|it| !may_hold_identity(it, account));
            let elsewhere: Vec<_> = elsewhere.filter(|it| is_free(way, it)).collect();
            let why = match elsewhere.first() {
                Some(path) => {
                    format!(
                        "ssh would offer {path}, and repair makes keys in .ssh and below /etc/nova only"
                    )
                }
                None => TAKEN.to_owned(),
            };
            for &(reason, id) in because {
                self.left.add(reason, &why, None, id);
            }
            return None;
        };
        let answers = super::draft::answers(self.situation.fleet, because.to_vec());
        let place = target(context, &path);
        let owner = Attributes {
            uid: account.uid,
            gid: account.gid,
            mode: 0o600,
        };
        if let Some(known) = self.made.get(&(node, place.clone())) {
            return Some(known.clone());
        }
        if places::is_behind_link(way.facts, &path) {
            for &(reason, id) in because {
                self.left.add(reason, modes::LINK, None, id);
            }
            return None;
        }
        let name = self.situation.fleet.node(node).name.to_string();
        let key = match repair.keys {
            KeySharing::Shared => self.shared_source(way, account),
            KeySharing::PerNode => None,
        };
        let known = if let Some((of, key)) = key {
            self.copies.push(KeyCopy {
                of,
                node: name,
                target: place.clone(),
                owner,
                answers,
            });
            key
        } else {
            let id = KeyId(format!("{name}:{path}").into());
            self.keys.push(NewKey {
                id: id.clone(),
                node: name.clone(),
                target: place.clone(),
                owner,
                key_type: kind.as_str().to_owned(),
                comment: format!("{COMMENT}{name}"),
                answers,
            });
            if repair.keys == KeySharing::Shared {
                let source = (KeySource::New(id.clone()), KeyRef::New(id.clone()));
                self.shared.insert(account.name.clone(), source);
            }
            KeyRef::New(id)
        };
        self.made.insert((node, place), known.clone());
        self.client_directory(way, &path, (node, context), because);
        Some(known)
    }

    /// Leaves an account without a home alone.
    pub(super) fn no_home(&mut self, account: &Account, node: NodeId, because: &[Because]) {
        let name = self.situation.fleet.node(node).name.as_str();
        let (user, home) = (&account.name, account.home.trim_end_matches('/'));
        let why = format!("the home of {user} on {name}, {home}, is not there");
        let remedy = format!(
            "On {name}: `install -d -m 755 -o {} -g {} {home}`, then `clearway repair`.",
            account.uid, account.gid
        );
        for &(reason, id) in because {
            self.left.add(reason, &why, Some(remedy.clone()), id);
        }
    }

    /// The key that all accounts of a name share, if there is one already: the one that most nodes have.
    fn shared_source(&mut self, way: &Way<'_>, account: &Account) -> Option<(KeySource, KeyRef)> {
        if let Some(known) = self.shared.get(&account.name) {
            return Some(known.clone());
        }
        let mut counts: HashMap<&str, (usize, NodeId, &Identity)> = HashMap::new();
        for &node in self.situation.scope.nodes() {
            let facts = self.situation.facts[node.index()].iter();
            let clients = facts.flat_map(|facts| &facts.clients);
            for client in clients.filter(|it| it.context == way.facts.context) {
                for identity in &client.identities {
                    if identity.state == IdentityState::Usable
                        && let Some(public) = &identity.public
                    {
                        counts.entry(public).or_insert((0, node, identity)).0 += 1;
                    }
                }
            }
        }
        let best = counts
            .into_iter()
            .max_by_key(|(_, (count, node, _))| (*count, std::cmp::Reverse(*node)));
        let (public, (_, node, identity)) = best?;
        let (key, _) = PublicKey::read(public.as_bytes()).ok()?;
        let context = self.files_context(node, &way.facts.context);
        let source = KeySource::Existing {
            node: self.situation.fleet.node(node).name.to_string(),
            target: target(&context, &identity.path),
            owner: attributes(identity.meta?),
            public: key.to_plain().to_string(),
        };
        let found = (source, KeyRef::Known(key.to_plain()));
        self.shared.insert(account.name.clone(), found.clone());
        Some(found)
    }

    /// Where files of a client's context lie.
    pub(super) fn files_context(&self, node: NodeId, context: &[String]) -> Vec<String> {
        let profile = &self.situation.fleet.node(node).profile;
        profile.files_context(context)
    }

    /// Makes the directory that a new file of a client lies in, unless it is there.
    pub(super) fn client_directory(
        &mut self,
        way: &Way<'_>,
        path: &str,
        (node, context): (NodeId, &[String]),
        because: &[Because],
    ) {
        let (Some(account), Some(directory)) = (&way.facts.account, places::parent(path)) else {
            return;
        };
        let place = target(context, directory);
        let fact = places::client_directory(way.facts, path);
        match fact.map(|fact| (&fact.state, state_of(fact))) {
            Some((Found::Absent, _)) => {
                let new = places::new_directory(directory, account);
                self.draft
                    .make_directory((node, &place), new, because.iter().copied());
            }
            _ => {
                modes::open_directories(&mut self.draft, (node, context), way.facts, because);
            }
        }
    }
}

/// The file for a new key: one that ssh offers by itself and at which nothing is. The default file of the wanted type
/// comes first, then those of other types, whose keys are then made. Both ends must take the type.
fn free_path(
    way: &Way<'_>,
    account: &Account,
    wanted: NewKeyType,
    agreed: impl Fn(NewKeyType) -> bool,
) -> Option<(String, NewKeyType)> {
    let is_free = |path: &str| is_free(way, path);
    let home = account.home.trim_end_matches('/');
    let default = |kind: NewKeyType| format!("{home}/.ssh/id_{}", kind.as_str());
    let offered = |path: &str| way.identities.iter().any(|it| it == path);
    let all = [NewKeyType::Ed25519, NewKeyType::Ecdsa, NewKeyType::Rsa];
    let kinds = || {
        let others = all.into_iter().filter(|kind| *kind != wanted);
        std::iter::once(wanted)
            .chain(others)
            .filter(|it| agreed(*it))
    };
    for kind in kinds() {
        let path = default(kind);
        if offered(&path) && is_free(&path) && may_hold_identity(&path, account) {
            return Some((path, kind));
        }
    }
    // A file of another name may hold any type.
    let is_default = |path: &str| all.iter().any(|kind| path == default(*kind));
    let special = ["_sk", "id_xmss", "id_dsa"];
    let kind = kinds().next()?;
    way.identities
        .iter()
        .filter(|path| !is_default(path) && !special.iter().any(|it| path.contains(it)))
        .find(|path| is_free(path) && may_hold_identity(path, account))
        .map(|path| (path.clone(), kind))
}

/// Whether nothing is at a path, or at that of its public half.
fn is_free(way: &Way<'_>, path: &str) -> bool {
    let mut identities = way.facts.identities.iter();
    let known = identities.find(|it| it.path == path);
    let is_copy = way.facts.key_copies.iter().any(|it| it.path == path);
    let half = format!("{path}.pub");
    let is_missing = |it: &Identity| {
        it.state == IdentityState::Missing && it.meta.is_none() && it.public.is_none()
    };
    !is_copy && !way.facts.public_halves.contains(&half) && known.is_none_or(is_missing)
}

/// A target that a key is made at.
pub(super) type Made = HashMap<(NodeId, Target), KeyRef>;
