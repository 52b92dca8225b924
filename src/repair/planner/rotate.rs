//! Renewing keys that are in use, one safe step after another: [`plan_rotation`] adds new keys beside old ones and
//! authorises both, [`plan_next`] gives new keys the names of the old ones once they are proven, and takes the old ones out
//! of every file after that. Each step is a plan of its own, made from what is found then.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::admit::{Requests, add_key};
use super::draft::{Because, answers};
use super::identities::KeyRef;
use super::input::{Policy, Situation};
use super::make::Planner;
use super::places::{may_hold_identity, parent, target};
use super::withdraw::withdraw;
use crate::domain::{COMMENT, Lane, LegId, NewKeyType, NodeId, Pair, Predicted, Reason};
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::{KeyKind, PublicKey};
use crate::repair::plan::{Attributes, KeyId, NewKey, Plan, RenewedKey, RetiredKey, Target};
use crate::survey::{IdentityState, NodeFacts};

/// Behind the name of a key, the new one that waits for it.
const NEXT: &str = ".clearway-new";

/// A rotation that has begun: the keys that were made, and are to replace others.
#[derive(Debug, Clone, Default)]
pub struct Rotation {
    /// The run that began it.
    pub of: String,
    /// The keys, each with its public half.
    pub keys: Vec<RenewedKey>,
    /// Nodes that are not waited for: they may lose keys that are renewed without them.
    pub without: HashSet<NodeId>,
    /// Nodes that have failed a step just now, and are not told again at once.
    pub given_up: HashSet<NodeId>,
}

/// A leg that a new key must be proven on, alone, before it takes the old one's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The leg.
    pub id: LegId,
    /// Where the new key waits on the client.
    pub next: String,
}

/// A key to renew, and for what.
struct Old {
    key: PublicKey,
    owner: Attributes,
    because: Vec<Because>,
    /// Where its successor is to be let in: the leg, the account, and whether `from=` may limit it.
    asked: Vec<(LegId, Arc<str>, bool)>,
}

/// Plans the first step: new keys for `nodes`, and their public halves wherever the old ones are let in. A key that could
/// not be renewed everywhere is left as it is, and told: `without` names nodes that it need not wait for.
#[must_use]
pub fn plan_rotation(
    situation: &Situation<'_>,
    policy: &Policy,
    nodes: &HashSet<NodeId>,
    without: &HashSet<NodeId>,
    run: &str,
) -> Plan {
    let mut planner = Planner::new(situation, policy);
    let renewed = planner.renew(nodes, without);
    let mut plan = planner.finish();
    plan.turnover.rotation = Some(run.to_owned());
    plan.turnover.renewed = renewed;
    let name = |id: &NodeId| situation.fleet.node(*id).name.to_string();
    plan.turnover.without = without.iter().map(name).collect();
    plan.turnover.without.sort_unstable();
    plan
}

/// Plans what comes next of a rotation: lines that a node still lacks, else the names of old keys for new ones that are
/// proven (`proven` says for which legs), else the end of the old ones. Empty when nothing is left that could be done.
#[must_use]
pub fn plan_next(
    situation: &Situation<'_>,
    policy: &Policy,
    rotation: &Rotation,
    proven: &HashSet<LegId>,
) -> Plan {
    let mut planner = Planner::new(situation, policy);
    let mut standings: Vec<(&RenewedKey, Standing)> = Vec::new();
    for key in &rotation.keys {
        if let Some(standing) = standing(situation, key) {
            standings.push((key, standing));
        }
    }
    planner.admit_again(rotation, &standings);
    let mut plan = planner.finish();
    if plan.nodes.is_empty() {
        plan.turnover.renewed = take_places(situation, rotation, &standings, proven, &mut plan);
        if plan.turnover.renewed.is_empty() {
            plan.turnover.retired = retire(situation, &standings);
            plan.nodes = withdraw(situation, &plan.turnover.retired, None);
            let given_up = |name: &str| {
                let id = situation.fleet.find(name);
                id.is_some_and(|id| rotation.given_up.contains(&id))
            };
            plan.nodes.retain(|it| !given_up(&it.node));
        }
    } else {
        plan.turnover.renewed = rotation.keys.clone();
    }
    plan.turnover.rotation = Some(rotation.of.clone());
    plan
}

/// The legs on which keys of a rotation must be proven before they take the place of old ones.
#[must_use]
pub fn trials(situation: &Situation<'_>, rotation: &Rotation) -> Vec<Trial> {
    let mut trials = Vec::new();
    for key in &rotation.keys {
        if standing(situation, key) != Some(Standing::Waits) {
            continue;
        }
        for id in legs_with(situation, key) {
            if would_admit(situation, id, key.public.as_deref()) {
                let next = key.next.clone();
                trials.push(Trial { id, next });
            }
        }
    }
    trials
}

/// How far one key has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The old one is in its place.
    Waits,
    /// The new one is.
    InPlace,
}

/// `None` where the node was not surveyed, or something else is in the key's place.
fn standing(situation: &Situation<'_>, key: &RenewedKey) -> Option<Standing> {
    let id = situation.fleet.find(&key.node)?;
    let facts = situation.facts[id.index()].as_ref()?;
    let identities = facts.clients.iter().flat_map(|it| &it.identities);
    let mut here = identities.filter(|it| it.path == key.target.path);
    let public = here.find_map(|it| it.public.as_deref()).and_then(read)?;
    if Some(&public) == key.public.as_deref().and_then(read).as_ref() {
        Some(Standing::InPlace)
    } else if Some(&public) == read(&key.was).as_ref() {
        Some(Standing::Waits)
    } else {
        None
    }
}

fn read(public: &str) -> Option<PublicKey> {
    let (key, _) = PublicKey::read(public.trim().as_bytes()).ok()?;
    Some(key.to_plain())
}

fn would_admit(situation: &Situation<'_>, id: LegId, public: Option<&str>) -> bool {
    let key = public.and_then(read);
    key.is_some_and(|key| situation.prediction.would_admit(id, &key))
}

/// The legs from a node in scope that are needed at all.
fn legs_from(situation: &Situation<'_>, client: NodeId) -> Vec<LegId> {
    let mut legs = Vec::new();
    for lane in Lane::ALL {
        for &other in situation.scope.nodes() {
            let (source, destination) = match lane {
                Lane::ColdPush | Lane::Live => (client, other),
                Lane::ColdPull => (other, client),
            };
            let pair = Pair {
                source,
                destination,
            };
            let id = pair.leg(lane);
            let obstacle = situation.legs.obstacle(id);
            if situation.scope.contains(pair) && !matches!(obstacle, Some(Predicted::NotNeeded(_)))
            {
                legs.push(id);
            }
        }
    }
    legs
}

/// The legs that a key of a rotation, the old one, is let in on now.
fn legs_with(situation: &Situation<'_>, key: &RenewedKey) -> Vec<LegId> {
    let Some(client) = situation.fleet.find(&key.node) else {
        return Vec::new();
    };
    let mut legs = legs_from(situation, client);
    legs.retain(|&id| {
        let way = situation.prediction.way(id);
        way.is_some_and(|way| way.offers.iter().any(|(path, ..)| *path == key.target.path))
            && would_admit(situation, id, Some(&key.was))
    });
    legs
}

/// The first node that a key could be lost to, because it was not looked at.
fn unseen(situation: &Situation<'_>, client: NodeId, without: &HashSet<NodeId>) -> Option<NodeId> {
    let legs = legs_from(situation, client);
    let mut servers = legs.iter().map(|id| id.server);
    servers.find(|id| situation.facts[id.index()].is_none() && !without.contains(id))
}

/// The keys whose place the new ones take now: proven alone on every leg that the old one is let in on.
fn take_places(
    situation: &Situation<'_>,
    rotation: &Rotation,
    standings: &[(&RenewedKey, Standing)],
    proven: &HashSet<LegId>,
    plan: &mut Plan,
) -> Vec<RenewedKey> {
    let mut ready = Vec::new();
    for &(key, standing) in standings {
        let Some(client) = situation.fleet.find(&key.node) else {
            continue;
        };
        if standing != Standing::Waits || rotation.given_up.contains(&client) {
            continue;
        }
        let legs = legs_with(situation, key);
        // What does not work with the old key is not lost with the new one.
        let works = |id: &LegId| {
            let seen = situation.seen.get(id).map(|it| it.verdict);
            !matches!(seen, Some(crate::domain::Verdict::Broken(_)))
        };
        let missing: Vec<LegId> = legs
            .iter()
            .copied()
            .filter(|id| works(id) && !proven.contains(id))
            .filter(|id| !rotation.without.contains(&id.server))
            .collect();
        let why = if let Some(&id) = missing.first() {
            let server = &situation.fleet.node(id.server).name;
            Some(format!(
                "the new key waits beside the old one: it was not proven to log in to {server} by itself"
            ))
        } else {
            unseen(situation, client, &rotation.without).map(|id| {
                let server = &situation.fleet.node(id).name;
                format!("the new key waits beside the old one: {server} could not be looked at")
            })
        };
        match why {
            None => ready.push(RenewedKey {
                takes_place: true,
                ..key.clone()
            }),
            Some(why) => plan.left.push(crate::repair::plan::Left {
                reason: Reason::KeyNotAuthorized.code().to_owned(),
                legs: answers(
                    situation.fleet,
                    missing
                        .iter()
                        .map(|&id| (Reason::KeyNotAuthorized, id))
                        .collect(),
                ),
                why: format!("{}: {why}", key.node),
                remedy: format!("clearway repair resume {}", rotation.of),
            }),
        }
    }
    ready
}

/// Old keys that no node has any more.
fn retire(situation: &Situation<'_>, standings: &[(&RenewedKey, Standing)]) -> Vec<RetiredKey> {
    let everybody: HashSet<PublicKey> = (situation.facts.iter().flatten())
        .flat_map(user_keys)
        .collect();
    let mut retired: Vec<RetiredKey> = standings
        .iter()
        .filter(|(_, standing)| *standing == Standing::InPlace)
        .filter(|(key, _)| read(&key.was).is_some_and(|was| !everybody.contains(&was)))
        // One that several nodes had may be that of a node which does not answer.
        .filter(|(key, _)| {
            let shared = standings
                .iter()
                .filter(|(other, _)| other.was == key.was && other.node != key.node);
            shared.count() == 0 || situation.facts.iter().all(Option::is_some)
        })
        .map(|(key, _)| RetiredKey {
            node: key.node.clone(),
            public: key.was.clone(),
            host: false,
        })
        .collect();
    retired.sort_unstable();
    retired.dedup_by(|one, other| one.public == other.public);
    retired
}

/// The public halves of the keys that accounts of a node can log in with.
pub(super) fn user_keys(facts: &NodeFacts) -> impl Iterator<Item = PublicKey> {
    let identities = facts.clients.iter().flat_map(|it| &it.identities);
    identities.filter_map(|it| it.public.as_deref().and_then(read))
}

impl Planner<'_> {
    fn renew(&mut self, nodes: &HashSet<NodeId>, without: &HashSet<NodeId>) -> Vec<RenewedKey> {
        let situation = self.situation;
        let mut old: BTreeMap<(NodeId, Target), Old> = BTreeMap::new();
        for &client in situation.scope.nodes() {
            if !nodes.contains(&client) || situation.facts[client.index()].is_none() {
                continue;
            }
            for id in legs_from(&situation, client) {
                self.gather(id, &mut old);
            }
        }
        let mut waits: HashMap<NodeId, Option<NodeId>> = HashMap::new();
        let mut requests = Requests::default();
        let mut renewed = Vec::new();
        for ((client, place), old) in old {
            let unseen = *waits
                .entry(client)
                .or_insert_with(|| unseen(&situation, client, without));
            let key = match unseen {
                Some(server) => Err(format!(
                    "{} could not be looked at, and would not know the new key: `--without {0}` goes ahead, and `clearway repair` tells it later",
                    situation.fleet.node(server).name
                )),
                None => self.successor(client, &place, &old),
            };
            match key {
                Ok((new, renewal)) => {
                    for (id, user, limited) in old.asked {
                        let request = requests.entry(id.server, &user);
                        request.legs.push((Reason::KeyNotAuthorized, id));
                        add_key(request, client, &KeyRef::New(new.id.clone()), limited);
                    }
                    self.keys.push(new);
                    renewed.push(renewal);
                }
                Err(why) => {
                    let node = &situation.fleet.node(client).name;
                    let why = format!("the key {} of {node} is not renewed: {why}", place.path);
                    let remedy = "clearway keys rotate".to_owned();
                    for &(reason, id) in &old.because {
                        self.left.add(reason, &why, Some(remedy.clone()), id);
                    }
                }
            }
        }
        for (server, user, request) in requests.into_sorted() {
            self.admit(server, &user, request);
        }
        renewed
    }

    /// The keys with which a leg's client is let in.
    fn gather(&mut self, id: LegId, old: &mut BTreeMap<(NodeId, Target), Old>) {
        if self.situation.facts[id.server.index()].is_none() {
            return;
        }
        let Some((desk, _)) = self.desk(id) else {
            return;
        };
        let Some(account) = &desk.way.facts.account else {
            return;
        };
        let limited = self.may_limit(&desk.way, id);
        for &(path, state, public) in &desk.way.offers {
            let Some(key) = public.filter(|key| {
                state == IdentityState::Usable
                    && key.certificate().is_none()
                    && self.situation.prediction.would_admit(id, key)
            }) else {
                continue;
            };
            let place = target(&desk.context, path);
            let known = old.entry((id.client, place)).or_insert_with(|| Old {
                key: key.to_plain(),
                owner: Attributes {
                    uid: account.uid,
                    gid: account.gid,
                    mode: 0o600,
                },
                because: Vec::new(),
                asked: Vec::new(),
            });
            known.because.push((Reason::KeyNotAuthorized, id));
            known.asked.push((id, Arc::clone(&desk.user), limited));
        }
    }

    /// The key that replaces an old one.
    ///
    /// # Errors
    /// Why none does, in words.
    fn successor(
        &self,
        client: NodeId,
        place: &Target,
        old: &Old,
    ) -> Result<(NewKey, RenewedKey), String> {
        let situation = self.situation;
        let node = situation.fleet.node(client);
        let next = format!("{}{NEXT}", place.path);
        let facts = situation.facts[client.index()].iter();
        let clients = || facts.clone().flat_map(|it| &it.clients);
        let mut identities = clients().flat_map(|it| &it.identities);
        let identity = identities.find(|it| it.path == place.path);
        let meta = identity.and_then(|it| it.meta);
        if !meta.is_some_and(|it| !it.symlink && it.uid == old.owner.uid) {
            return Err("it is a symbolic link, or belongs to somebody else".to_owned());
        }
        let certified = identity.and_then(|it| it.certificate.as_ref());
        if certified.is_some_and(|it| it.content().is_some()) {
            return Err("it has a certificate, which would not fit a new key".to_owned());
        }
        let may = clients()
            .filter_map(|it| it.account.as_ref())
            .any(|it| it.uid == old.owner.uid && may_hold_identity(&place.path, it));
        if !may || parent(&place.path).is_none() {
            return Err("it is where repair does not write".to_owned());
        }
        if clients().any(|it| it.key_copies.iter().any(|it| it.path == next)) {
            return Err(format!(
                "`{next}` is there already, of a rotation that was given up: remove it"
            ));
        }
        for &(_, id) in &old.because {
            if self.is_forced(id, &old.key) {
                return Err(format!(
                    "{} lets it in with options of its own (such as `command=`), which a new key would not have",
                    situation.fleet.node(id.server).name
                ));
            }
        }
        let wanted = node.profile.repair.key_type;
        let had = match old.key.kind() {
            KeyKind::Ed25519 => Some(NewKeyType::Ed25519),
            KeyKind::Rsa => Some(NewKeyType::Rsa),
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 => Some(NewKeyType::Ecdsa),
            _ => None,
        };
        let agreed = |kind: &NewKeyType| {
            let kind = match kind {
                NewKeyType::Ed25519 => KeyKind::Ed25519,
                NewKeyType::Ecdsa => KeyKind::EcdsaP256,
                NewKeyType::Rsa => KeyKind::Rsa,
            };
            let mut legs = old.because.iter();
            legs.all(|(_, id)| situation.prediction.agree_on_kind(*id, kind))
        };
        // A file whose name tells a type keeps it: others choose by the name.
        let all = [NewKeyType::Ed25519, NewKeyType::Ecdsa, NewKeyType::Rsa];
        let is_named = |kind: &NewKeyType| place.path.ends_with(&format!("/id_{}", kind.as_str()));
        let named = all.into_iter().find(is_named);
        let mut kinds = named.into_iter().chain([wanted]).chain(had);
        let Some(kind) = kinds.find(agreed) else {
            return Err("no type of key that is made here is taken at both ends".to_owned());
        };
        let id = KeyId(format!("{}:{next}", node.name).into());
        let answers = answers(situation.fleet, old.because.clone());
        let new = NewKey {
            id: id.clone(),
            node: node.name.to_string(),
            target: Target {
                context: place.context.clone(),
                path: next.clone(),
            },
            owner: old.owner,
            key_type: kind.as_str().to_owned(),
            comment: format!("{COMMENT}{}", node.name),
            answers: answers.clone(),
        };
        let renewed = RenewedKey {
            id,
            node: node.name.to_string(),
            target: place.clone(),
            next,
            owner: old.owner,
            was: old.key.to_string(),
            public: None,
            takes_place: false,
            answers,
        };
        Ok((new, renewed))
    }

    /// Whether a server lets a key in only with options that narrow it, and that a line of clearway's would not have.
    fn is_forced(&self, id: LegId, key: &PublicKey) -> bool {
        let places = self.situation.prediction.keys_places(id);
        let files = places.into_iter().flatten().filter_map(|it| it.file);
        files.filter_map(|it| it.file.content()).any(|content| {
            // Cheap enough to be asked of every leg: most files do not have the word at all.
            let text = content.bytes.to_ascii_lowercase();
            let narrow: [&[u8]; 2] = [b"command=", b"expiry-time="];
            narrow
                .iter()
                .any(|it| text.windows(it.len()).any(|at| at == *it))
                && AuthorizedKeys::parse(&*content.bytes)
                    .keys()
                    .any(|(_, line)| {
                        line.key == *key
                            && line.options.as_ref().is_ok_and(|options| {
                                options.command.is_some() || !options.expiry.is_empty()
                            })
                    })
        })
    }

    /// Lines of new keys that a server does not have, though it lets in the old ones.
    fn admit_again(&mut self, rotation: &Rotation, standings: &[(&RenewedKey, Standing)]) {
        let situation = self.situation;
        let mut requests = Requests::default();
        for &(key, standing) in standings {
            let Some(public) = key.public.as_deref().and_then(read) else {
                continue;
            };
            self.renewing.extend(
                situation
                    .fleet
                    .find(&key.node)
                    .map(|id| (id, public.plain_blob().clone())),
            );
            if standing != Standing::Waits {
                continue;
            }
            for id in legs_with(&situation, key) {
                let known = situation.prediction.would_admit(id, &public);
                let leaves = |it: &HashSet<NodeId>| it.contains(&id.server);
                if known || leaves(&rotation.without) || leaves(&rotation.given_up) {
                    continue;
                }
                let Some((desk, _)) = self.desk(id) else {
                    continue;
                };
                let limited = self.may_limit(&desk.way, id);
                let user = Arc::clone(&desk.user);
                let request = requests.entry(id.server, &user);
                request.legs.push((Reason::KeyNotAuthorized, id));
                add_key(request, id.client, &KeyRef::Known(public.clone()), limited);
            }
        }
        for (server, user, request) in requests.into_sorted() {
            self.admit(server, &user, request);
        }
    }
}
