//! Host keys that clients must know: of whom, under which names, in which file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::cure::{Cure, cure};
use super::draft::{Because, state_of};
use super::make::Planner;
use super::modes;
use super::places::{self, may_hold_host_keys, target};
use super::problems::Problem;
use crate::domain::{KnownHostsPlace, LegId, NodeId, Predicted, Reason};
use crate::openssh::key::{KeyBlob, KeyKind, PublicKey};
use crate::openssh::known_hosts::HostName;
use crate::repair::edit::{Contribution, Host, KnownHostsEditor};
use crate::repair::plan::{FileState, Target};
use crate::survey::{FileFact, FileState as Found};
use crate::trust::Way;

/// What is to be recorded in one file of one client.
#[derive(Debug, Default)]
struct Job {
    /// Any leg that reads it.
    legs: Vec<Because>,
    servers: BTreeMap<NodeId, Names>,
}

#[derive(Debug, Default)]
struct Names {
    names: BTreeSet<String>,
    /// Names that many hosts share (`HostKeyAlias`).
    aliases: bool,
    because: Vec<Because>,
}

type Jobs = BTreeMap<(NodeId, Target), Job>;

/// What is shared between the files of a fleet.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    editors: HashMap<Option<[u8; 32]>, Arc<KnownHostsEditor>>,
    contributions: HashMap<(Option<[u8; 32]>, NodeId, Vec<String>), Arc<Contribution>>,
    keys: HashMap<NodeId, Arc<[PublicKey]>>,
    everybody: Option<Arc<HashSet<KeyBlob>>>,
}

impl Planner<'_> {
    /// Records what must be recorded.
    pub(super) fn records(&mut self, problems: &[Problem]) {
        let mut jobs = Jobs::new();
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
        for ((client, place), job) in jobs {
            self.record(client, &place, job);
        }
    }

    fn want(&mut self, jobs: &mut Jobs, reason: Reason, id: LegId) {
        let situation = self.situation;
        let prediction = situation.prediction;
        let Some(way) = self.way(id) else {
            let why = "the client's configuration is not known";
            return self.left.add(reason, why, None, id);
        };
        let Some(file) = self.host_keys_file(&way, id.client) else {
            let why = "ssh reads host keys only from files that repair does not write";
            return self.left.add(reason, why, None, id);
        };
        let Some((host, configuration)) = prediction.configuration(id) else {
            return;
        };
        let (name, is_alias) = prediction.known_as(configuration, &host);
        if !is_alias && let Err(why) = self.claims.check(&situation, id, way.facts, &host) {
            let server = situation.fleet.node(id.server).name.as_str();
            let remedy = format!(
                "If `{host}` is {server}, state it in the inventory (`service_host`, `migration_address` or `live_address`); if not, correct nova.conf on {server}."
            );
            return self.left.add(reason, &why, Some(remedy), id);
        }
        let context = self.files_context(id.client, &way.facts.context);
        let job = jobs
            .entry((id.client, target(&context, &file.path)))
            .or_default();
        job.legs.push((reason, id));
        let entry = job.servers.entry(id.server).or_default();
        entry.because.push((reason, id));
        entry.aliases |= is_alias;
        entry.names.insert(name.first());
        if way.check_address {
            let addresses = prediction.resolved(way.facts, &host);
            for address in addresses {
                if self.sources.has(id.server, address) {
                    let name = HostName::new(&address.to_string(), way.port);
                    entry.names.insert(name.first());
                }
            }
        }
        self.other_lanes(entry, id, &way, &file.path);
    }

    /// The names by which other lanes of the same account dial the same server, as far as they are not known either.
    fn other_lanes(&self, entry: &mut Names, id: LegId, way: &Way<'_>, file: &str) {
        for &lane in self.policy.lanes.iter().filter(|&&lane| lane != id.lane) {
            let other = LegId { lane, ..id };
            let is_open = |id: LegId| {
                let rungs = self.situation.prediction.rungs(id);
                rungs.is_some_and(|rungs| rungs.path != Predicted::Works)
            };
            if !self.situation.scope.contains(other.pair()) || !is_open(other) {
                continue;
            }
            if let Some(there) = self.way(other)
                && there.facts.context == way.facts.context
                && self
                    .host_keys_file(&there, id.client)
                    .is_some_and(|it| it.path == file)
                && let Some((host, configuration)) = self.situation.prediction.configuration(other)
            {
                let (name, is_alias) = self.situation.prediction.known_as(configuration, &host);
                let is_its = self
                    .claims
                    .check(&self.situation, other, way.facts, &host)
                    .is_ok();
                if is_alias || is_its {
                    entry.names.insert(name.first());
                    entry.aliases |= is_alias;
                }
            }
        }
    }

    /// The file in which host keys are recorded for a way: of the kind that the profile says, where ssh reads one.
    fn host_keys_file<'w>(&self, way: &Way<'w>, client: NodeId) -> Option<&'w FileFact> {
        let account = way.facts.account.as_ref()?;
        let fact = |path: &String| {
            let mut facts = way.facts.known_hosts.iter();
            let fact = facts.find(|fact| fact.path == *path)?;
            let fits = may_hold_host_keys(path, account) && state_of(fact).is_some();
            let is_file = !matches!(state_of(fact), Some(FileState::Directory { .. }));
            (fits && is_file).then_some(fact)
        };
        let place = self.situation.fleet.node(client).profile.repair.known_hosts;
        let (first, second) = match place {
            KnownHostsPlace::User => (way.user_files, way.global_files),
            KnownHostsPlace::Global => (way.global_files, way.user_files),
        };
        first.iter().chain(second).find_map(fact)
    }

    /// Files that the account cannot read.
    fn make_readable(&mut self, reason: Reason, id: LegId) {
        let Some(way) = self.way(id) else {
            return;
        };
        let Some(account) = &way.facts.account else {
            return;
        };
        let because = [(reason, id)];
        let context = self.files_context(id.client, &way.facts.context);
        let mut done = false;
        for path in way.user_files.iter().chain(way.global_files) {
            let mut facts = way.facts.known_hosts.iter();
            let Some(fact) = facts.find(|fact| fact.path == *path) else {
                continue;
            };
            if !modes::is_unreadable(fact) || !may_hold_host_keys(path, account) {
                continue;
            }
            let place = (id.client, &*context);
            modes::open_directories(&mut self.draft, place, way.facts, &because);
            done = true;
            if let Found::Present { meta, .. } = &fact.state
                && let Some(before) = state_of(fact)
            {
                let to = modes::readable(path, *meta, account);
                let place = target(&context, path);
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
        let Some(way) = self.way(id) else {
            return;
        };
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
        let editor = Arc::clone(
            self.recorder
                .editors
                .entry(hash)
                .or_insert_with(|| Arc::new(KnownHostsEditor::new(bytes))),
        );
        let mut contributions = Vec::with_capacity(job.servers.len());
        let mut because = Vec::new();
        for (server, names) in &job.servers {
            let contribution = self.contribution(hash, &editor, *server, names);
            if let Some(line) = contribution.revoked.first() {
                let why = format!(
                    "line {line} of {} revokes the key, and only a person knows why",
                    place.path
                );
                for &(_, id) in &names.because {
                    self.left.add(Reason::HostKeyRevoked, &why, None, id);
                }
            }
            if contribution.lines.is_empty() && contribution.stale.is_empty() {
                let why = "the keys on the server's disk are recorded already";
                for &(reason, id) in &names.because {
                    self.left.add(reason, why, None, id);
                }
                continue;
            }
            because.extend(names.because.iter().copied());
            contributions.push(contribution);
        }
        let text = editor.apply(contributions.iter().map(|it| &**it));
        if let Some(text) = text {
            if before == FileState::Absent {
                let context = place.context.clone();
                self.client_directory(&way, &place.path, (client, &context), &because);
            }
            let new = places::new_file(&place.path, account);
            self.draft
                .set_text((client, place), &before, new, text, because);
        }
    }

    fn contribution(
        &mut self,
        hash: Option<[u8; 32]>,
        editor: &KnownHostsEditor,
        server: NodeId,
        names: &Names,
    ) -> Arc<Contribution> {
        let listed: Vec<String> = names.names.iter().cloned().collect();
        let key = (hash, server, listed);
        if !names.aliases
            && let Some(known) = self.recorder.contributions.get(&key)
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
        let host = Host {
            node: self.situation.fleet.node(server).name.as_str(),
            names: &key.2,
            keys: &keys,
        };
        let made = Arc::new(editor.contribution(&host, rightful, &self.policy.seed));
        if !names.aliases {
            self.recorder.contributions.insert(key, Arc::clone(&made));
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
                .filter(|key| key.kind() != KeyKind::Dsa);
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
