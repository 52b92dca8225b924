//! Going through a plan.

use std::collections::{BTreeSet, HashMap};

use super::authority::AuthorityRules;
use super::complaint::{Complaint, Rule};
use super::hosts_file::disk_keys;
use super::known::Known;
use super::lines::lines;
use super::roles::{Place, Role, is_place_of, names};
use super::shape::is_straight;
use crate::domain::{Fleet, NodeId};
use crate::openssh::key::PublicKey;
use crate::repair::plan::{Edit, FileState, KeyId, KeySource, NewKey, Piece, Plan, Target, Text};
use crate::survey::{FileFact, FileState as Found, NodeFacts};
use crate::trust::PairScope;

/// The account by which clearway itself logs in to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlAccount {
    /// The node.
    pub node: NodeId,
    /// The login name.
    pub user: String,
}

impl ControlAccount {
    /// Those of a fleet.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Vec<Self> {
        let account = |node: NodeId| Self {
            node,
            user: fleet.node(node).control.user.clone(),
        };
        fleet.ids().map(account).collect()
    }
}

/// Reviews a plan of keys; no complaint means that it may be applied.
#[must_use]
pub fn lint(
    plan: &Plan,
    facts: &[Option<NodeFacts>],
    fleet: &Fleet,
    scope: &PairScope,
    control: &[ControlAccount],
) -> Vec<Complaint> {
    lint_with(plan, facts, fleet, scope, control, None)
}

/// The same for a plan that may have certificates, as far as `rules` allow.
#[must_use]
pub fn lint_with(
    plan: &Plan,
    facts: &[Option<NodeFacts>],
    fleet: &Fleet,
    scope: &PairScope,
    control: &[ControlAccount],
    rules: Option<&AuthorityRules>,
) -> Vec<Complaint> {
    let names = names(fleet, facts);
    let mut owners: HashMap<String, Vec<NodeId>> = HashMap::new();
    for (name, id) in &names {
        owners.entry(name.clone()).or_default().push(*id);
    }
    let mut review = Review {
        plan,
        known: rules.map(|rules| Known::new(rules, fleet, facts)),
        facts,
        fleet,
        scope,
        control,
        names,
        owners,
        new_keys: plan.keys.iter().map(|it| (stand_in(&it.id), it)).collect(),
        disk_keys: facts.iter().map(|it| disk_keys(it.as_ref())).collect(),
        complaints: Vec::new(),
    };
    review.shape();
    review.keys();
    review.copies();
    review.renewed();
    review.commands();
    review.sshd();
    for node in &plan.nodes {
        let Some(id) = fleet.find(&node.node) else {
            continue;
        };
        let Some(found) = &facts[id.index()] else {
            review.complain(Rule::Before, &node.node, None, "the node was not surveyed");
            continue;
        };
        let place = Place {
            node: id,
            profile: &fleet.node(id).profile,
            facts: found,
        };
        for edit in &node.edits {
            review.edit(place, edit);
        }
    }
    review.complaints
}

pub(super) struct Review<'a> {
    pub(super) plan: &'a Plan,
    pub(super) facts: &'a [Option<NodeFacts>],
    pub(super) fleet: &'a Fleet,
    pub(super) scope: &'a PairScope,
    pub(super) control: &'a [ControlAccount],
    pub(super) known: Option<Known<'a>>,
    /// Every name and address that may be a node's.
    pub(super) names: Vec<(String, NodeId)>,
    /// The same, by name.
    pub(super) owners: HashMap<String, Vec<NodeId>>,
    /// The keys that the plan makes, by what stands for them in texts.
    pub(super) new_keys: HashMap<Vec<u8>, &'a NewKey>,
    /// The host keys on each node's disk.
    pub(super) disk_keys: Vec<BTreeSet<Vec<u8>>>,
    complaints: Vec<Complaint>,
}

/// Stands in the place of a key that does not exist yet.
fn stand_in(id: &KeyId) -> Vec<u8> {
    let hex: String = id.0.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("new-key {hex}").into_bytes()
}

/// The bytes of a text, with stand-ins for keys that do not exist yet.
pub(super) fn bytes_of(text: &Text) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in &text.0 {
        match piece {
            Piece::Bytes(bytes) => all.extend_from_slice(&bytes.0),
            Piece::PublicKey(id) => all.extend(stand_in(id)),
        }
    }
    all
}

impl Review<'_> {
    pub(super) fn complain(
        &mut self,
        rule: Rule,
        node: &str,
        target: Option<&Target>,
        detail: &str,
    ) {
        self.complaints.push(Complaint {
            rule,
            node: node.to_owned(),
            path: target.map(|target| target.path.clone()),
            detail: detail.to_owned(),
        });
    }

    /// Whether the inventory itself gives a name to a node.
    pub(super) fn is_stated(&self, name: &str, node: NodeId) -> bool {
        let node = self.fleet.node(node);
        let stated = [
            node.service_host.as_deref(),
            node.migration_address.as_deref(),
            node.live_address.as_deref(),
            Some(node.name.as_str()),
            Some(&node.control.address),
        ];
        stated
            .into_iter()
            .flatten()
            .any(|it| it.eq_ignore_ascii_case(name))
    }

    pub(super) fn is_new_key(&self, node: NodeId, text: &[u8]) -> bool {
        let name = self.fleet.node(node).name.as_str();
        let Some(key) = self.new_keys.get(text) else {
            return false;
        };
        key.node == name
            || self.plan.copies.iter().any(|copy| {
                copy.node == name && matches!(&copy.of, KeySource::New(id) if *id == key.id)
            })
    }

    pub(super) fn is_copied_key(&self, node: NodeId, key: &PublicKey) -> bool {
        let name = self.fleet.node(node).name.as_str();
        let text = key.to_string();
        self.plan.copies.iter().any(|copy| {
            copy.node == name
                && matches!(&copy.of, KeySource::Existing { public, .. } if *public == text)
        })
    }

    /// Whether a key is the new one of a node, beside a key that it has.
    pub(super) fn is_renewed_key(&self, node: NodeId, key: &PublicKey) -> bool {
        let name = self.fleet.node(node).name.as_str();
        let text = key.to_string();
        let facts = self.facts[node.index()].iter();
        let has = |path: &str| {
            let clients = facts.clone().flat_map(|facts| &facts.clients);
            let mut identities = clients.flat_map(|client| &client.identities);
            identities.any(|it| it.path == path && it.meta.is_some())
        };
        self.plan
            .turnover
            .renewed
            .iter()
            .any(|it| it.node == name && it.public.as_ref() == Some(&text) && has(&it.target.path))
    }

    /// Whether the plan retires a key, and may: no other node has it, and in a rotation none at all.
    pub(super) fn is_retired(&self, key: &PublicKey, host: bool) -> bool {
        let text = key.to_string();
        let turnover = &self.plan.turnover;
        let mut retired = turnover.retired.iter();
        let Some(retired) = retired.find(|it| it.host == host && it.public == text) else {
            return false;
        };
        let has = |id: NodeId| {
            let facts = self.facts[id.index()].iter();
            let mut publics: Vec<&str> = Vec::new();
            for facts in facts {
                if host {
                    publics.extend(facts.server.host_keys.iter().map(|it| it.public.as_str()));
                } else {
                    let clients = facts.clients.iter().flat_map(|it| &it.identities);
                    publics.extend(clients.filter_map(|it| it.public.as_deref()));
                }
            }
            publics.into_iter().any(|public| {
                PublicKey::read(public.trim_start().as_bytes())
                    .is_ok_and(|(own, _)| own.plain_blob() == key.plain_blob())
            })
        };
        let own = self.fleet.find(&retired.node);
        let but_own = turnover.rotation.is_none();
        !self
            .fleet
            .ids()
            .any(|id| has(id) && !(but_own && Some(id) == own))
    }

    fn renewed(&mut self) {
        let plan = self.plan;
        for key in plan.turnover.renewed.iter().filter(|it| it.takes_place) {
            let (node, target) = (key.node.as_str(), Some(&key.target));
            let known = self.fleet.find(node).and_then(|id| {
                let place = Place {
                    node: id,
                    profile: &self.fleet.node(id).profile,
                    facts: self.facts[id.index()].as_ref()?,
                };
                let mut clients = place.clients(&key.target);
                clients.find_map(|(client, account)| {
                    let mut identities = client.identities.iter();
                    let identity = identities.find(|it| it.path == key.target.path)?;
                    let public = identity.public.as_deref()?;
                    let (was, _) = PublicKey::read(public.trim().as_bytes()).ok()?;
                    let meta = identity.meta?;
                    Some(
                        !meta.symlink
                            && meta.uid == account.uid
                            && account.uid == key.owner.uid
                            && was.to_string() == key.was,
                    )
                })
            });
            let beside = format!("{}.clearway-new", key.target.path);
            if known != Some(true) || key.next != beside || key.public.is_none() {
                let problem = "another key, or not a place of the account";
                self.complain(Rule::PrivateKey, node, target, problem);
            }
            self.told(node, target, key.answers.is_empty());
        }
    }

    fn keys(&mut self) {
        let plan = self.plan;
        let keys = plan.keys.iter().map(|it| (&it.node, &it.target, it.owner));
        let copies = plan.copies.iter();
        let copies = copies.map(|it| (&it.node, &it.target, it.owner));
        for (node, target, owner) in keys.chain(copies) {
            let mut problem = None;
            match self.fleet.find(node) {
                None => problem = Some("no node of the inventory"),
                Some(id) => {
                    let others = self.scope.nodes().iter();
                    if !others.copied().any(|other| self.scope.joins(id, other)) {
                        problem = Some("a node out of scope");
                    }
                    if self.facts[id.index()].is_none() {
                        problem = Some("the node was not surveyed");
                    }
                    if let Some(facts) = &self.facts[id.index()] {
                        let place = Place {
                            node: id,
                            profile: &self.fleet.node(id).profile,
                            facts,
                        };
                        let mut clients = place.clients(target);
                        let owned = clients.any(|(client, account)| {
                            let home = format!("{}/", account.home.trim_end_matches('/'));
                            let taken = client
                                .identities
                                .iter()
                                .any(|it| it.path == target.path && it.meta.is_some());
                            let place = target.path.starts_with(&home)
                                || target.path.starts_with("/etc/nova/");
                            account.uid == owner.uid && !taken && place
                        });
                        if !owned {
                            problem = Some("taken, or not a place of the account");
                        }
                    }
                }
            }
            if owner.mode != 0o600 || !is_straight(&target.path) {
                problem = Some("mode or path");
            }
            if let Some(problem) = problem {
                self.complain(Rule::PrivateKey, node, Some(target), problem);
            }
        }
        for key in &plan.keys {
            let expected = format!("clearway:{}", key.node);
            let known = matches!(&*key.key_type, "ed25519" | "ecdsa" | "rsa");
            if key.comment != expected || !known {
                self.complain(
                    Rule::PrivateKey,
                    &key.node,
                    Some(&key.target),
                    "kind or comment",
                );
            }
        }
    }

    fn edit(&mut self, place: Place<'_>, edit: &Edit) {
        let node = self.fleet.node(place.node).name.as_str();
        let Some(role) = place.role(&edit.target) else {
            return self.complain(Rule::Place, node, Some(&edit.target), "no file of trust");
        };
        let is_label_alone = edit.label.is_some() && edit.before == edit.after;
        let as_found = match &role {
            Role::KnownHosts(fact, _) | Role::AuthorizedKeys(fact, _) | Role::Config(fact, _)
                if is_label_alone =>
            {
                is_found_without_text(fact, &edit.before)
            }
            Role::KnownHosts(fact, _) | Role::AuthorizedKeys(fact, _) | Role::Config(fact, _) => {
                is_found(fact, &edit.before)
            }
            Role::Identity(identity, _) => {
                let meta = identity.meta.map(|it| (it.mode, it.uid, it.symlink));
                let before = edit.before.attributes().map(|it| (it.mode, it.uid, false));
                meta == before && matches!(edit.after, FileState::Opaque { .. })
            }
            Role::Certificate(identity, _) => {
                let path = edit.target.path.as_str();
                match identity.certificate.as_ref().filter(|it| it.path == path) {
                    Some(file) => is_found(file, &edit.before),
                    None => edit.before == FileState::Absent,
                }
            }
            Role::Directory(meta, _) => {
                let is = meta.map(|it| (it.mode, it.uid));
                let before = edit.before.attributes().map(|it| (it.mode, it.uid));
                is == before && matches!(edit.after, FileState::Directory { .. })
            }
        };
        if !as_found {
            self.complain(
                Rule::Before,
                node,
                Some(&edit.target),
                "it is not there as the plan expects it",
            );
        }
        if !is_place_of(&role, &edit.target.path) {
            self.complain(
                Rule::Place,
                node,
                Some(&edit.target),
                "no place for such a file",
            );
        }
        self.label(place, edit);
        if is_label_alone {
            return;
        }
        self.modes(node, edit, &role);
        let text = |state: &FileState| state.text().map(bytes_of);
        let before = text(&edit.before).unwrap_or_default();
        if let Some(after) = text(&edit.after) {
            match &role {
                Role::KnownHosts(..) => self.hosts_file(place, edit, (&before, &after)),
                Role::AuthorizedKeys(..) => self.keys_file(place, edit, (&before, &after)),
                Role::Certificate(identity, _) => {
                    self.user_certificate(place, edit, (identity, &after));
                }
                Role::Config(..) => self.config_file(node, edit, (&before, &after)),
                Role::Identity(..) | Role::Directory(..) => {
                    self.complain(Rule::Place, node, Some(&edit.target), "no text goes there");
                }
            }
        }
        self.control_of(place, edit);
    }

    /// Of a configuration nothing may change but lines that defeat the checking of host keys, and these only become
    /// comments.
    fn config_file(&mut self, node: &str, edit: &Edit, (before, after): (&[u8], &[u8])) {
        let (before, after) = (lines(before), lines(after));
        let is_same = before.len() == after.len()
            && before.iter().zip(&after).all(|(old, new)| {
                if old == new {
                    return true;
                }
                let text = String::from_utf8_lossy(old.visible()).to_ascii_lowercase();
                let defeats = text.contains("stricthostkeychecking")
                    || (text.contains("userknownhostsfile") && text.contains("/dev/null"));
                let commented = [b"#clearway: ", old.bytes].concat();
                defeats && new.bytes == commented
            });
        if !is_same {
            let detail = "the configuration says something else";
            self.complain(Rule::Unmanaged, node, Some(&edit.target), detail);
        }
    }

    fn control_of(&mut self, place: Place<'_>, edit: &Edit) {
        let mut control = self.control.iter().filter(|it| it.node == place.node);
        let Some(control) = control.next() else {
            return;
        };
        let node = self.fleet.node(place.node).name.as_str();
        let mut accounts = place.facts.server.accounts.iter();
        let account = accounts
            .find(|it| it.name == control.user)
            .and_then(|it| it.account.as_ref());
        let (home, account) = match account {
            Some(account) => (account.home.trim_end_matches('/').to_owned(), Some(account)),
            None => (format!("/home/{}", control.user), None),
        };
        let concerned =
            edit.target.path == home || edit.target.path.starts_with(&format!("{home}/"));
        if !concerned || home.is_empty() || edit.target.context != place.profile.sshd.context {
            return;
        }
        match (account, edit.after.attributes()) {
            (Some(account), Some(after)) => self.keeps_control(node, edit, (account, after)),
            _ => {
                let detail = "the home of the control account, which was not surveyed";
                self.complain(Rule::Control, node, Some(&edit.target), detail);
            }
        }
    }
}

/// Whether a file whose bytes stay is there, with this owner and mode.
fn is_found_without_text(fact: &FileFact, before: &FileState) -> bool {
    let Found::Present { meta, .. } = &fact.state else {
        return false;
    };
    let found = (meta.mode, meta.uid, meta.gid);
    let attributes = before.attributes().map(|it| (it.mode, it.uid, it.gid));
    matches!(before, FileState::Opaque { .. }) && !meta.symlink && attributes == Some(found)
}

pub(super) fn is_found(fact: &FileFact, before: &FileState) -> bool {
    match (&fact.state, before) {
        (Found::Absent, FileState::Absent) => true,
        (Found::Present { meta, content, .. }, state) => {
            let Some(attributes) = state.attributes() else {
                return false;
            };
            let same_bytes = match (content, state.text()) {
                (Some(content), Some(text)) => bytes_of(text) == *content.bytes,
                (None, None) => true,
                _ => false,
            };
            !meta.symlink
                && same_bytes
                && (meta.mode, meta.uid, meta.gid)
                    == (attributes.mode, attributes.uid, attributes.gid)
        }
        _ => false,
    }
}
