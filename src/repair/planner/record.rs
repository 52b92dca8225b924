//! Host keys that clients must know: of whom, under which names, in which file.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;

use super::admit::{BACK, REVOKED};
use super::cure::{Cure, cure};
use super::draft::{Because, state_of};
use super::gathered::{ByNode, InTurn};
use super::make::{Desk, Planner};
use super::modes;
use super::places::{self, may_hold_host_keys, target};
use super::problems::Problem;
use crate::domain::{KnownHostsPlace, LegId, NodeId, Predicted, Reason};
use crate::openssh::key::{KeyBlob, KeyKind, PublicKey};
use crate::openssh::known_hosts::HostName;
use crate::repair::edit::{Contribution, Host, KnownHostsEditor};
use crate::repair::plan::{FileState, Target, Text};
use crate::survey::{FileFact, FileState as Found};
use crate::trust::Way;

/// What is to be recorded in one file of one client.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// The legs that read it.
    legs: Vec<Because>,
    servers: InTurn<Names>,
}

#[derive(Debug, Default)]
pub(super) struct Names {
    /// Numbers of names, in the order in which they came up.
    names: SmallVec<[u32; 4]>,
    /// Names that many hosts share (`HostKeyAlias`).
    aliases: bool,
}

impl Names {
    fn add(&mut self, name: u32) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}

pub(super) type Jobs = ByNode<Rc<Target>, Job>;

/// A content (by number) and a server: what recording the server there changes, by the names that it is recorded under.
type Contributions = HashMap<(u32, NodeId), Vec<(SmallVec<[u32; 4]>, Arc<Contribution>)>>;

/// What is recorded in a file, and the file that comes of it; `None` where nothing changes.
type Outcome = (Vec<Arc<Contribution>>, Option<Text>);

/// What is shared between the files of a fleet.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// By what is in a file: its number, and what edits it.
    editors: HashMap<Option<[u8; 32]>, (u32, Arc<KnownHostsEditor>)>,
    contributions: Contributions,
    /// By content, what was recorded last in a file of it, and what came of that.
    last: HashMap<u32, Outcome>,
    keys: HashMap<NodeId, Arc<[PublicKey]>>,
    everybody: Option<Arc<HashSet<KeyBlob>>>,
    /// Names as they are looked up, and their numbers by server, configuration and host.
    names: Vec<String>,
    numbers: ByNode<(u32, Arc<str>), (u32, bool)>,
    by_text: HashMap<String, u32>,
}

impl Recorder {
    /// A file with all contributions. Clients with the same file and the same to record in it share the outcome.
    fn apply(
        &mut self,
        content: u32,
        editor: &KnownHostsEditor,
        contributions: Vec<Arc<Contribution>>,
    ) -> Option<Text> {
        if let Some((known, text)) = self.last.get(&content)
            && known.len() == contributions.len()
            && known
                .iter()
                .zip(&contributions)
                .all(|(one, other)| Arc::ptr_eq(one, other))
        {
            return text.clone();
        }
        let text = editor.apply(contributions.iter().map(|it| &**it));
        self.last.insert(content, (contributions, text.clone()));
        text
    }

    fn number(&mut self, text: String) -> u32 {
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        match self.by_text.entry(text) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.names.push(new.key().clone());
                *new.insert(next)
            }
        }
    }
}

impl Planner<'_> {
    /// Records what must be recorded.
    pub(super) fn records(&mut self, problems: &[Problem]) {
        let mut jobs = Jobs::default();
        for problem in problems {
            if problem.wrong_machine {
                continue;
            }
            for &reason in &problem.reasons {
                match cure(reason) {
                    Cure::Record => self.want(&mut jobs, reason, problem.id),
                    Cure::KnownHostsModes => self.make_readable(reason, problem.id),
                    _ => {}
                }
            }
        }
        self.strict_host_keys(&mut jobs);
        for (client, place, job) in jobs.into_sorted() {
            self.record(client, &place, job);
        }
    }

    fn want(&mut self, jobs: &mut Jobs, reason: Reason, id: LegId) {
        let Some((desk, host)) = self.desk(id) else {
            let why = "the client's configuration is not known";
            return self.left.add(reason, why, None, id);
        };
        self.want_in(jobs, (reason, id), (&desk, &host), desk.host_keys.as_ref());
    }

    /// Wants a leg's host keys in a file.
    pub(super) fn want_in(
        &mut self,
        jobs: &mut Jobs,
        (reason, id): Because,
        (desk, host): (&Desk<'_>, &Arc<str>),
        file: Option<&Rc<Target>>,
    ) {
        let situation = self.situation;
        let Some(file) = file else {
            let kind = self.files_wanted(&desk.way, id.client);
            let why = match kind {
                [] => "ssh reads no known_hosts file".to_owned(),
                files => format!(
                    "ssh reads host keys from {}, which repair does not write",
                    files.join(" and ")
                ),
            };
            return self.left.add(reason, &why, None, id);
        };
        if let Some(account) = &desk.way.facts.account
            && places::is_own(&file.path, account)
            && places::has_no_home(desk.way.facts)
        {
            return self.no_home(account, id.client, &[(reason, id)]);
        }
        if places::is_behind_link(desk.way.facts, &file.path) {
            return self.left.add(reason, modes::LINK, None, id);
        }
        let (name, is_alias) = self.name(id.server, desk.way.configuration, host);
        if !is_alias && let Err(why) = self.claims.check(&situation, id, desk.way.facts, host) {
            let server = situation.fleet.node(id.server).name.as_str();
            let remedy = format!(
                "If `{host}` is {server}, state it in the inventory (`service_host`, `migration_address` or `live_address`); if not, correct nova.conf on {server}."
            );
            return self.left.add(reason, &why, Some(remedy), id);
        }
        if self.host_keys(id.server).is_empty()
            && situation.prediction.disk_keys(id.server).next().is_some()
        {
            return self.left.add(reason, REVOKED, Some(BACK.to_owned()), id);
        }
        let job = jobs.entry(id.client, file);
        job.legs.push((reason, id));
        let entry = job.servers.entry(id.server);
        entry.aliases |= is_alias;
        entry.add(name);
        if desk.way.check_address {
            for address in situation.prediction.resolved(desk.way.facts, host) {
                if self.sources.has(id.server, address) {
                    let name = HostName::new(&address.to_string(), desk.way.port);
                    entry.add(self.recorder.number(name.first()));
                }
            }
        }
        self.other_lanes(entry, id, desk);
    }

    /// The number of the name that is looked up for a host, and whether it is an alias.
    fn name(&mut self, server: NodeId, configuration: (u32, u32), host: &Arc<str>) -> (u32, bool) {
        let key = (configuration.0, Arc::clone(host));
        if let Some(known) = self.recorder.numbers.get(server, &key) {
            return *known;
        }
        let prediction = self.situation.prediction;
        let (name, is_alias) = prediction.known_as(configuration, host);
        let number = (self.recorder.number(name.first()), is_alias);
        *self
            .recorder
            .numbers
            .or_insert_with(server, &key, || number)
    }

    /// The names by which other lanes of the same account dial the same server, where nobody can tell whether they are
    /// known. Those that are not known are a problem of their own.
    fn other_lanes(&mut self, entry: &mut Names, id: LegId, desk: &Desk<'_>) {
        let lanes = self.policy.lanes.iter();
        let lanes: Vec<LegId> = lanes
            .filter(|&&lane| lane != id.lane)
            .map(|&lane| LegId { lane, ..id })
            .filter(|other| {
                let path = self.situation.prediction.path(*other);
                matches!(path, Some(Predicted::Unknown(_)))
                    && self.situation.scope.contains(other.pair())
            })
            .collect();
        for other in lanes {
            let Some((there, host)) = self.desk(other) else {
                continue;
            };
            if there.host_keys != desk.host_keys {
                continue;
            }
            let (name, is_alias) = self.name(other.server, there.way.configuration, &host);
            let situation = self.situation;
            let facts = there.way.facts;
            if is_alias || self.claims.check(&situation, other, facts, &host).is_ok() {
                entry.add(name);
                entry.aliases |= is_alias;
            }
        }
    }

    /// The file in which host keys are recorded for a way: of the kind that the profile says, where ssh reads one.
    pub(super) fn host_keys_file<'w>(&self, way: &Way<'w>, client: NodeId) -> Option<&'w FileFact> {
        let account = way.facts.account.as_ref()?;
        let fact = |path: &String| {
            let mut facts = way.facts.known_hosts.iter();
            let fact = facts.find(|fact| fact.path == *path)?;
            let fits = may_hold_host_keys(path, account) && state_of(fact).is_some();
            let is_file = !matches!(state_of(fact), Some(FileState::Directory { .. }));
            // A directory below `.ssh` that the survey has not looked at.
            let is_deep = state_of(fact) == Some(FileState::Absent)
                && places::is_own(path, account)
                && places::client_directory(way.facts, path).is_none();
            (fits && is_file && !is_deep).then_some(fact)
        };
        self.files_wanted(way, client).iter().find_map(fact)
    }

    /// The known_hosts files of the kind that the profile says, or of the other kind where ssh reads none of that. Where it
    /// reads some and none can be written, those of the other kind would be trusted by more than was asked for.
    fn files_wanted<'w>(&self, way: &Way<'w>, client: NodeId) -> &'w [String] {
        let place = self.situation.fleet.node(client).profile.repair.known_hosts;
        let (first, second) = match place {
            KnownHostsPlace::User => (way.user_files, way.global_files),
            KnownHostsPlace::Global => (way.global_files, way.user_files),
        };
        if first.iter().any(|path| path != "/dev/null") {
            first
        } else {
            second
        }
    }

    /// Files that the account cannot read.
    fn make_readable(&mut self, reason: Reason, id: LegId) {
        let Some((desk, _)) = self.desk(id) else {
            return;
        };
        let (way, context) = (&desk.way, &desk.context);
        let Some(account) = &way.facts.account else {
            return;
        };
        let because = [(reason, id)];
        let mut done = false;
        for path in way.user_files.iter().chain(way.global_files) {
            let mut facts = way.facts.known_hosts.iter();
            let Some(fact) = facts.find(|fact| fact.path == *path) else {
                continue;
            };
            // What a directory hides, the directory shows again.
            let is_hidden = matches!(fact.state, Found::Unreadable(_))
                && way.facts.directories.iter().any(modes::is_unreadable);
            let is_its = modes::is_unreadable(fact) || is_hidden;
            if !is_its || !may_hold_host_keys(path, account) {
                continue;
            }
            let place = (id.client, &**context);
            modes::open_directories(&mut self.draft, place, way.facts, &because);
            done = true;
            if let Found::Present { meta, .. } = &fact.state
                && let Some(before) = state_of(fact)
            {
                let to = modes::readable(path, *meta, account);
                let place = target(context, path);
                self.draft
                    .set_attributes((id.client, &place), &before, to, because);
            }
        }
        if !done {
            self.left.add(reason, modes::LINK, None, id);
        }
    }

    fn record(&mut self, client: NodeId, place: &Target, job: Job) {
        let Some(&(reason, id)) = job.legs.first() else {
            return;
        };
        let Some((desk, _)) = self.desk(id) else {
            return;
        };
        let way = &desk.way;
        let mut facts = way.facts.known_hosts.iter();
        let Some(fact) = facts.find(|fact| fact.path == place.path) else {
            return;
        };
        let (Some(before), Some(account)) = (state_of(fact), &way.facts.account) else {
            return;
        };
        if matches!(before, FileState::Opaque { .. }) {
            // It must become readable first; what is in it shows next time.
            return self.make_readable(reason, id);
        }
        let content = fact.content();
        let hash = content.map(|content| content.sha256);
        let bytes = content.map_or_else(|| Arc::from(&[][..]), |content| content.bytes.clone());
        let next = u32::try_from(self.recorder.editors.len()).unwrap_or(u32::MAX);
        let (number, editor) = self
            .recorder
            .editors
            .entry(hash)
            .or_insert_with(|| (next, Arc::new(KnownHostsEditor::new(bytes))));
        let (number, editor) = (*number, Arc::clone(editor));
        let mut contributions = Vec::with_capacity(job.servers.len());
        let mut revoked: HashMap<NodeId, String> = HashMap::new();
        let mut recorded: HashSet<NodeId> = HashSet::new();
        for (server, names) in job.servers.iter() {
            let contribution = self.contribution(number, &editor, server, names);
            if let Some(line) = contribution.revoked.first() {
                let why = format!(
                    "line {line} of {} revokes the key, and only a person knows why",
                    place.path
                );
                revoked.insert(server, why);
            }
            if contribution.lines.is_empty() && contribution.stale.is_empty() {
                recorded.insert(server);
                continue;
            }
            contributions.push(contribution);
        }
        let mut because = job.legs;
        if !revoked.is_empty() || !recorded.is_empty() {
            because.retain(|&(reason, id)| {
                if let Some(why) = revoked.get(&id.server) {
                    self.left.add(Reason::HostKeyRevoked, why, None, id);
                }
                if recorded.contains(&id.server) {
                    let why = "the keys on the server's disk are recorded already";
                    self.left.add(reason, why, None, id);
                }
                !recorded.contains(&id.server)
            });
        }
        if let Some(text) = self.recorder.apply(number, &editor, contributions) {
            if before == FileState::Absent {
                let context = place.context.clone();
                self.client_directory(way, &place.path, (client, &context), &because);
            }
            let new = places::new_file(&place.path, account);
            self.draft
                .set_text((client, place), &before, new, text, because);
        }
    }

    fn contribution(
        &mut self,
        content: u32,
        editor: &KnownHostsEditor,
        server: NodeId,
        names: &Names,
    ) -> Arc<Contribution> {
        if !names.aliases
            && let Some(known) = self.recorder.contributions.get(&(content, server))
            && let Some((_, known)) = known.iter().find(|(it, _)| *it == names.names)
        {
            return Arc::clone(known);
        }
        let keys = self.host_keys(server);
        let everybody = names.aliases.then(|| self.everybody());
        let rightful = |_: &str, key: &PublicKey| {
            keys.iter().any(|own| own.plain_blob() == key.plain_blob())
                || everybody
                    .as_ref()
                    .is_some_and(|all| all.contains(key.plain_blob()))
        };
        let listed: Vec<String> = names
            .names
            .iter()
            .map(|&number| self.recorder.names[number as usize].clone())
            .collect();
        let node = self.situation.fleet.node(server);
        let port = node.profile.sshd.port;
        let stated = node
            .stated_names()
            .map(|name| HostName::new(name, port).first());
        let others: Vec<String> = stated.filter(|name| !listed.contains(name)).collect();
        let host = Host {
            node: node.name.as_str(),
            names: &listed,
            others: &others,
            keys: &keys,
        };
        let made = Arc::new(editor.contribution(&host, rightful, &self.policy.seed));
        if !names.aliases {
            let known = self.recorder.contributions.entry((content, server));
            known
                .or_default()
                .push((names.names.clone(), Arc::clone(&made)));
        }
        made
    }

    /// The keys that are recorded of a host, made anew from what was read on its disk.
    fn host_keys(&mut self, server: NodeId) -> Arc<[PublicKey]> {
        /// A host has one of each kind; what names more is up to something.
        const MOST: usize = 8;
        let prediction = self.situation.prediction;
        let keys = self.recorder.keys.entry(server).or_insert_with(|| {
            let mut keys: Vec<PublicKey> = Vec::new();
            let current = prediction
                .disk_keys(server)
                .filter(|key| key.kind() != KeyKind::Dsa && !self.policy.revoked.has_key(key));
            for key in current {
                if !keys.contains(key) && keys.len() < MOST {
                    keys.push(key.clone());
                }
            }
            keys.into()
        });
        Arc::clone(keys)
    }

    fn everybody(&mut self) -> Arc<HashSet<KeyBlob>> {
        let prediction = self.situation.prediction;
        let ids = self.situation.fleet.ids();
        let all = self.recorder.everybody.get_or_insert_with(|| {
            let keys = ids.flat_map(|id| prediction.disk_keys(id));
            Arc::new(keys.map(|key| key.plain_blob().clone()).collect())
        });
        Arc::clone(all)
    }
}
