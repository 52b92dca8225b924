//! Keys that servers must let in: which, where, and with what limits.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;

use super::cure::{Cure, cure};
use super::draft::{Because, state_of};
use super::gathered::{ByNode, InTurn};
use super::identities::{Given, KeyRef};
use super::make::Planner;
use super::modes;
use super::places::{self, may_hold_keys, target};
use super::problems::Problem;
use crate::domain::{COMMENT, LegId, NodeId, Pair, Predicted, Reason};
use crate::openssh::key::{KeyBlob, PublicKey};
use crate::repair::edit::{Authorised, authorise};
use crate::repair::plan::{FileState, Piece};
use crate::survey::{Account, CheckedFile, FileKind, FileState as Found, IdentityState};
use crate::trust::{KeysPlace, Way};

/// What is asked of one account of one server.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// Any leg that logs in to it.
    pub(super) legs: Vec<Because>,
    /// For each client the keys to authorise, and whether each may be limited to its addresses.
    clients: InTurn<SmallVec<[(KeyRef, bool); 1]>>,
    /// Whether owners and modes are to be set right.
    modes: bool,
}

/// Why a key that was revoked stays out.
pub(super) const REVOKED: &str = "the key was revoked by `clearway keys revoke`";
/// What lets a node in again that was revoked.
pub(super) const BACK: &str = "Take the node out of the inventory. If it is to be trusted again, remove its old keys there and repair, or take them out of the file `clearway-revoked`.";

/// By server and account.
pub(super) type Requests = ByNode<Arc<str>, Request>;

impl Planner<'_> {
    /// Authorises what must be authorised.
    pub(super) fn admissions(&mut self, problems: &[Problem], given: &Given) {
        let mut requests = Requests::default();
        for problem in problems {
            for &reason in &problem.reasons {
                match cure(reason) {
                    Cure::Authorise | Cure::AuthorizedModes => {
                        self.ask(&mut requests, reason, problem.id, given);
                    }
                    _ => {}
                }
            }
        }
        self.ask_for_given(&mut requests, problems, given);
        for (server, user, request) in requests.into_sorted() {
            self.admit(server, &user, request);
        }
    }

    fn ask(&mut self, requests: &mut Requests, reason: Reason, id: LegId, given: &Given) {
        let prediction = self.situation.prediction;
        let Some((desk, _)) = self.desk(id) else {
            let why = "the client's configuration is not known";
            return self.left.add(reason, why, None, id);
        };
        let way = &desk.way;
        let request = requests.entry(id.server, &desk.user);
        request.legs.push((reason, id));
        if cure(reason) == Cure::AuthorizedModes {
            request.modes = true;
        }
        if given.contains_key(&self.ring(id, way)) {
            // Its new keys are asked for below, for all of its legs.
            return;
        }
        let Some(key) = self.agreed(way, id) else {
            const UNKNOWN: &str = "the public half of the client's key could not be read";
            let mut offered = way.offers.iter().filter_map(|(_, _, key)| *key);
            if offered.any(|key| self.policy.revoked.has_key(key)) {
                self.left.add(reason, REVOKED, Some(BACK.to_owned()), id);
            } else {
                self.left.add(reason, UNKNOWN, None, id);
            }
            return;
        };
        if cure(reason) == Cure::AuthorizedModes && prediction.would_admit(id, &key) {
            return;
        }
        let limited = self.may_limit(way, id);
        add_key(request, id.client, &KeyRef::Known(key), limited);
    }

    /// A key that a client was given is authorised wherever the client goes.
    fn ask_for_given(&mut self, requests: &mut Requests, problems: &[Problem], given: &Given) {
        let mut reasons: HashMap<NodeId, Because> = HashMap::new();
        for problem in problems {
            for &reason in &problem.reasons {
                if cure(reason) == Cure::Identity {
                    reasons
                        .entry(problem.id.client)
                        .or_insert((reason, problem.id));
                }
            }
        }
        let clients: HashSet<NodeId> = given.keys().map(|(node, ..)| *node).collect();
        for &lane in &self.policy.lanes {
            for &source in self.situation.scope.nodes() {
                for destination in self.situation.scope.destinations(source) {
                    let id = Pair {
                        source,
                        destination,
                    }
                    .leg(lane);
                    if clients.contains(&id.client) {
                        self.ask_given(requests, id, given, &reasons);
                    }
                }
            }
        }
    }

    fn ask_given(
        &mut self,
        requests: &mut Requests,
        id: LegId,
        given: &Given,
        reasons: &HashMap<NodeId, Because>,
    ) {
        let prediction = self.situation.prediction;
        let is_needed = !matches!(
            self.situation.legs.obstacle(id),
            Some(Predicted::NotNeeded(_))
        );
        let surveyed = self.situation.facts[id.server.index()].is_some();
        let Some((desk, _)) = self.desk(id).filter(|_| is_needed && surveyed) else {
            return;
        };
        let way = &desk.way;
        let Some(keys) = given.get(&self.ring(id, way)) else {
            return;
        };
        // What it can use already and what is admitted already is enough.
        let already = way.offers.iter().any(|(_, state, key)| {
            *state == IdentityState::Usable
                && key.is_some_and(|key| prediction.would_admit(id, key))
        }) && prediction
            .rungs(id)
            .is_some_and(|it| it.login == Predicted::Works);
        let cured = keys
            .iter()
            .any(|key| matches!(key, KeyRef::Known(key) if prediction.would_admit(id, key)));
        if already || cured {
            return;
        }
        let limited = self.may_limit(way, id);
        let request = requests.entry(id.server, &desk.user);
        let reason = reasons
            .get(&id.client)
            .map_or(Reason::IdentityMissing, |(reason, _)| *reason);
        request.legs.push((reason, id));
        for key in keys {
            add_key(request, id.client, key, limited);
        }
    }

    /// Whether `from=` with the node's own addresses is sure to let this leg in.
    pub(super) fn may_limit(&self, way: &Way<'_>, id: LegId) -> bool {
        let prediction = self.situation.prediction;
        self.policy.from
            && !way.proxied
            && prediction
                .path(id)
                .is_some_and(|path| !matches!(path, Predicted::Unknown(_)))
            && prediction
                .source(id)
                .is_some_and(|source| self.sources.has(id.client, source))
    }

    pub(super) fn admit(&mut self, server: NodeId, user: &str, request: Request) {
        if self.situation.prediction.asks_who_comes(server) {
            for request in self.by_file(server, user, request) {
                self.admit_to_one(server, user, request);
            }
        } else {
            self.admit_to_one(server, user, request);
        }
    }

    /// Splits what is asked of a server that looks for keys in other files for other clients (`Match`): each part goes into a
    /// file that is read for all of its clients.
    fn by_file(&self, server: NodeId, user: &str, request: Request) -> Vec<Request> {
        let facts = self.situation.facts[server.index()].as_ref();
        let mut accounts = facts.into_iter().flat_map(|it| &it.server.accounts);
        let account = accounts
            .find(|it| it.name == *user)
            .and_then(|it| it.account.as_ref());
        let mut parts: BTreeMap<Option<String>, Request> = BTreeMap::new();
        for &(reason, id) in &request.legs {
            let places = self.situation.prediction.keys_places(id);
            let file = account.and_then(|account| choose(places.as_deref()?, account));
            let part = parts.entry(file.map(|it| it.path.clone())).or_default();
            part.modes = request.modes;
            part.legs.push((reason, id));
            for (key, limited) in request.clients.get(id.client).into_iter().flatten() {
                add_key(part, id.client, key, *limited);
            }
        }
        parts.into_values().collect()
    }

    fn admit_to_one(&mut self, server: NodeId, user: &str, request: Request) {
        let Some(&(_, id)) = request.legs.first() else {
            return;
        };
        let leave = |planner: &mut Self, why: &str| {
            for &(reason, id) in &request.legs {
                planner.left.add(reason, why, None, id);
            }
        };
        let prediction = self.situation.prediction;
        let Some(facts) = &self.situation.facts[server.index()] else {
            return leave(self, "the server was not surveyed");
        };
        let login = facts.server.accounts.iter().find(|it| it.name == *user);
        let Some(account) = login.and_then(|login| login.account.as_ref()) else {
            return leave(self, "the account does not exist there");
        };
        let Some(places) = prediction.keys_places(id) else {
            return leave(self, "its sshd did not say where it looks for keys");
        };
        let context = self
            .situation
            .fleet
            .node(server)
            .profile
            .sshd
            .context
            .clone();
        if request.modes {
            let spoilt = places.iter().filter(|place| !place.is_read);
            for place in spoilt {
                if let Some(checked) = place.file.filter(|it| is_there(it))
                    && may_hold_keys(&place.path, account)
                    && let Err(why) = modes::keys_file(
                        &mut self.draft,
                        (server, &context),
                        checked,
                        (account, place.strict_modes),
                        &request.legs,
                    )
                {
                    return leave(self, why);
                }
            }
        }
        if request.clients.is_empty() {
            return;
        }
        let Some(place) = choose(&places, account) else {
            let why = nowhere(&places);
            let remedy = places.is_empty().then(|| {
                let name = self.situation.fleet.node(server).name.as_str();
                format!(
                    "Take `AuthorizedKeysFile none` for {user} out of the sshd configuration of {name}, reload sshd, then `clearway repair`."
                )
            });
            for &(reason, id) in &request.legs {
                self.left.add(reason, &why, remedy.clone(), id);
            }
            return;
        };
        if let Err(why) = self.authorise((server, &context), place, account, &request) {
            leave(self, why);
        }
    }

    fn authorise(
        &mut self,
        (server, context): (NodeId, &[String]),
        place: &KeysPlace<'_>,
        account: &Account,
        request: &Request,
    ) -> Result<(), &'static str> {
        let Some(checked) = place.file else {
            return Err("the survey did not look at the file in which sshd looks for keys");
        };
        let home = account.home.trim_end_matches('/');
        let is_in_home = |path: &str| path == home || places::is_below(path, home);
        let nearest = checked.above.first();
        if is_in_home(&checked.file.path) && nearest.is_some_and(|(it, _)| !is_in_home(it)) {
            self.no_home(account, server, &request.legs);
            return Ok(());
        }
        let before = state_of(&checked.file).ok_or(modes::LINK)?;
        // With the new file, or for a file that is read already: what StrictModes refuses is set right on the way.
        modes::keys_file(
            &mut self.draft,
            (server, context),
            checked,
            (account, place.strict_modes),
            &request.legs,
        )?;
        let bytes: Arc<[u8]> = match (&before, checked.file.content()) {
            (FileState::Absent, _) => Arc::from(&[][..]),
            (_, Some(content)) => content.bytes.clone(),
            // It becomes readable; what is in it shows next time.
            _ => return Ok(()),
        };
        if before == FileState::Absent {
            self.directories((server, context), checked, account, &request.legs);
        }
        let text = self.keys_text(server, &bytes, account, request);
        if let Some(text) = text {
            let place = target(context, &place.path);
            let new = places::new_file(&place.path, account);
            let because = request.legs.iter().copied();
            self.draft
                .set_text((server, &place), &before, new, text, because);
        }
        Ok(())
    }

    fn keys_text(
        &mut self,
        server: NodeId,
        bytes: &Arc<[u8]>,
        account: &Account,
        request: &Request,
    ) -> Option<crate::repair::plan::Text> {
        let mut lines = Vec::with_capacity(request.clients.len());
        for (client, keys) in request.clients.iter() {
            for (key, limited) in keys {
                if matches!(key, KeyRef::Known(key) if self.policy.revoked.has_key(key)) {
                    continue;
                }
                lines.push(self.line(client, key, *limited));
            }
        }
        let mut current: HashMap<NodeId, HashSet<KeyBlob>> = HashMap::new();
        let goes = |node: &str, key: &PublicKey| {
            let Some(id) = self.selected.get(node) else {
                return false;
            };
            let current = current
                .entry(*id)
                .or_insert_with(|| self.current(*id, server, &account.name));
            let replaced = request.clients.get(*id).is_some_and(|keys| {
                let again = |it: &KeyRef| matches!(it, KeyRef::Known(new) if new == key);
                let stale = !current.contains(key.plain_blob())
                    && !self.renewing.contains(&(*id, key.plain_blob().clone()));
                stale || keys.iter().any(|(it, _)| again(it))
            });
            replaced || !self.situation.scope.joins(*id, server)
        };
        authorise(bytes, &lines, goes)
    }

    /// The keys with which a client logs in to an account of a server, in any lane.
    fn current(&self, client: NodeId, server: NodeId, user: &str) -> HashSet<KeyBlob> {
        let mut found = HashSet::new();
        for lane in crate::domain::Lane::ALL {
            let id = LegId {
                lane,
                client,
                server,
            };
            if let Some(way) = self.situation.prediction.way(id)
                && way.user == user
            {
                let keys = way.offers.iter().filter_map(|(_, _, key)| *key);
                found.extend(keys.map(|key| key.plain_blob().clone()));
            }
        }
        found
    }

    /// The line of a client's key, the same on every server.
    fn line(&mut self, client: NodeId, key: &KeyRef, limited: bool) -> Authorised {
        let known = (key.clone(), limited);
        if let Some(line) = self.lines.get(client, &known) {
            return Authorised { line: line.clone() };
        }
        let from = if limited {
            self.sources.from(client)
        } else {
            None
        };
        let options = match from {
            Some(from) => format!("restrict,from=\"{from}\" "),
            None => "restrict ".to_owned(),
        };
        let name = self.situation.fleet.node(client).name.as_str();
        let tail = format!(" {COMMENT}{name}\n");
        let line: Rc<[Piece]> = match key {
            KeyRef::Known(key) => {
                let line = format!("{options}{}{tail}", key.to_plain());
                Rc::new([Piece::Bytes(line.into_bytes().into())])
            }
            KeyRef::New(id) => Rc::new([
                Piece::Bytes(options.into_bytes().into()),
                Piece::PublicKey(id.clone()),
                Piece::Bytes(tail.into_bytes().into()),
            ]),
        };
        let line = self.lines.or_insert_with(client, &known, || line);
        Authorised { line: line.clone() }
    }

    /// Directories that a new keys file needs.
    fn directories(
        &mut self,
        (server, context): (NodeId, &[String]),
        checked: &CheckedFile,
        account: &Account,
        because: &[Because],
    ) {
        let Some((nearest, _)) = checked.above.first() else {
            return;
        };
        let mut missing = Vec::new();
        let mut path = checked.file.path.as_str();
        while let Some(parent) = places::parent(path) {
            if parent == nearest || !places::is_below(parent, nearest) {
                break;
            }
            missing.push(parent);
            path = parent;
        }
        for directory in missing {
            let place = target(context, directory);
            let new = places::new_directory(directory, account);
            self.draft
                .make_directory((server, &place), new, because.iter().copied());
        }
    }
}

pub(super) fn add_key(request: &mut Request, client: NodeId, key: &KeyRef, limited: bool) {
    let keys = request.clients.entry(client);
    match keys.iter_mut().find(|(known, _)| known == key) {
        // One way that cannot be limited leaves the key without limits.
        Some((_, known)) => *known &= limited,
        None => keys.push((key.clone(), limited)),
    }
}

/// Why none of the files in which sshd looks for keys is written.
fn nowhere(places: &[KeysPlace<'_>]) -> String {
    if let Some(odd) = places.iter().find(|it| is_odd(it)) {
        return format!("{}, where sshd looks for keys, is no file", odd.path);
    }
    let paths = |of_all: bool| {
        let places = places.iter().filter(|it| it.is_of_all == of_all);
        let paths: Vec<_> = places.map(|it| it.path.as_str()).collect();
        paths.join(" and ")
    };
    if places.is_empty() {
        return "sshd looks for keys in no file: `AuthorizedKeysFile none`".to_owned();
    }
    let (own, of_all) = (paths(false), paths(true));
    match (own.is_empty(), of_all.is_empty()) {
        (true, _) => format!(
            "sshd looks for keys of every account in {of_all}: a key there lets its owner in as root as well"
        ),
        (false, true) => format!("sshd looks for keys in {own}, where repair does not write"),
        (false, false) => format!(
            "sshd looks for keys in {own}, where repair does not write, and for those of every account in {of_all}"
        ),
    }
}

/// Whether something else than a file is at the place.
fn is_odd(place: &KeysPlace<'_>) -> bool {
    place.file.is_some_and(|checked| {
        matches!(&checked.file.state, Found::Present { meta, .. } if meta.kind != FileKind::File && !meta.symlink)
    })
}

fn is_there(checked: &CheckedFile) -> bool {
    matches!(checked.file.state, Found::Present { .. })
}

/// The file that sshd reads first, as it is or once its mode is right; where there is none, the first that it names.
/// None in which sshd looks for keys of other accounts, too: whoever is let in as Nova would be let in as root.
fn choose<'a, 'p>(places: &'a [KeysPlace<'p>], account: &Account) -> Option<&'a KeysPlace<'p>> {
    let may = |place: &&KeysPlace<'_>| {
        !place.is_of_all && !is_odd(place) && may_hold_keys(&place.path, account)
    };
    let mut allowed = places.iter().filter(may);
    let there = |place: &&KeysPlace<'_>| place.file.is_some_and(is_there);
    let read = places.iter().filter(may).find(|place| place.is_read);
    read.or_else(|| places.iter().filter(may).find(there))
        .or_else(|| allowed.next())
}
