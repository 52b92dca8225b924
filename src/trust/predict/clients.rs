//! The client side of every node in a lane: what its configuration makes of each name.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::domain::{Evidence, Fleet, Lane, LegId, NodeId, Predicted, Reason, Transport, Why};
use crate::openssh::config::{ClientConfig, ClientQuery, Difference};
use crate::survey::{
    Account, Answer, BASE_NAME, ClientFacts, FileFact, FileKind, FileState, NodeFacts,
};
use crate::trust::legs::Legs;

use super::code::Code;
use super::config::{CommandLine, Effective, effective};
use super::dialing::{LoginConfig, PathConfig};
use super::notes::Notes;
use super::path::fact;
use super::settings::Settings;

/// What a client dials and as whom, for every server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Plan {
    /// The same for every name, but for the name itself.
    Same(Dialled),
    /// As the configuration says for each name; `None` where there is no name. One entry per node of the fleet.
    ByServer(Arc<[Row]>),
}

/// What is dialled to reach one server, and how.
pub(super) type Row = Option<(Arc<str>, Dialled)>;

/// The numbers of the configurations that hold for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Dialled {
    pub(super) path: u32,
    pub(super) login: u32,
}

/// Values that occur often, each once and by number.
#[derive(Debug)]
pub(super) struct Interned<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            values: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Interned<T> {
    pub(super) fn number(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = u32::try_from(self.values.len())
            .expect("fewer than 4 billion distinct values fit in memory");
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    pub(super) fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }
}

/// Reads the configurations of all clients, each distinct one once.
#[derive(Debug, Default)]
pub(super) struct Configurations {
    pub(super) paths: Interned<PathConfig>,
    pub(super) logins: Interned<LoginConfig>,
    plans: HashMap<PlanKey, Plan>,
    settings: HashMap<[u8; 32], Arc<Settings>>,
}

/// All that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PlanKey {
    lane: Lane,
    account: Account,
    line: CommandLine,
    base: [u8; 32],
    /// `HostKeyAlgorithms` as written, which `ssh -G` does not show.
    written: Option<String>,
    /// The files, where they say different things for different names: what they say, without comments.
    conditions: Option<String>,
    /// Plans that differ by name also differ by the names themselves; only a URI has a form of its own for them.
    form: Option<String>,
}

impl Configurations {
    /// The plan of a client whose base configuration could be read.
    pub(super) fn plan(
        &mut self,
        fleet: &Fleet,
        legs: &Legs,
        client: NodeId,
        lane: Lane,
        facts: &ClientFacts,
    ) -> Option<Plan> {
        let (Some(account), Answer::Output(content)) = (&facts.account, &facts.base_config) else {
            return None;
        };
        let used = legs.used(client, lane)?;
        let line = CommandLine {
            user: used.user.as_deref().map(str::to_owned),
            port: used.port,
            identity: used.identity.as_deref().map(str::to_owned),
            options: used.options.to_vec(),
        };
        let files = facts.config_files.iter().filter(|file| is_read(file));
        let files = files.filter_map(|file| {
            file.content()
                .map(|content| (file.path.as_str(), &*content.bytes))
        });
        let files: Vec<(&str, &[u8])> = files.collect();
        let config = ClientConfig::read(files.iter().copied(), &account.home);
        let conditional = config.has_conditions();
        let written = written_algorithms(files.iter().map(|(_, bytes)| *bytes));
        let key = PlanKey {
            lane,
            account: account.clone(),
            line: line.clone(),
            base: content.sha256,
            written: written.clone(),
            conditions: conditional.then(|| format!("{config:?}")),
            form: legs.form(client, lane),
        };
        if let Some(plan) = self.plans.get(&key) {
            return Some(plan.clone());
        }
        let settings = Arc::clone(self.settings.entry(content.sha256).or_insert_with(|| {
            Arc::new(Settings::parse(&String::from_utf8_lossy(&content.bytes)))
        }));
        let base = ClientQuery {
            name: BASE_NAME,
            local_user: &account.name,
            user: None,
        };
        let for_name = |name: &str| -> Effective {
            let query = ClientQuery {
                name,
                user: line.user.as_deref(),
                ..base
            };
            let read =
                |settings: &Settings| effective(settings, account, &line, name, written.as_deref());
            if !conditional {
                return read(&settings);
            }
            match config.difference(&query, &base) {
                Ok(Difference::Same) => read(&settings),
                Ok(Difference::Settings(changes)) => read(&settings.with(&changes)),
                Err(undecidable) => {
                    let mut effective = read(&settings);
                    effective.path.undecided = Some(undecidable.to_string());
                    effective
                }
            }
        };
        let same = if conditional {
            None
        } else {
            self.same_for_all(&for_name)
        };
        let plan = same.unwrap_or_else(|| {
            let rows: Vec<Row> = fleet
                .ids()
                .map(|server| {
                    let name = legs.dialled(LegId {
                        lane,
                        client,
                        server,
                    })?;
                    let Effective { host, path, login } = for_name(&name);
                    let host = if *host == *name {
                        name
                    } else {
                        Arc::from(host)
                    };
                    Some((host, self.dialled(path, login)))
                })
                .collect();
            Plan::ByServer(rows.into())
        });
        self.plans.insert(key, plan.clone());
        Some(plan)
    }

    fn dialled(&mut self, path: PathConfig, login: LoginConfig) -> Dialled {
        Dialled {
            path: self.paths.number(path),
            login: self.logins.number(login),
        }
    }

    /// Two names that no configuration is made for tell whether the name matters at all.
    fn same_for_all(&mut self, for_name: &impl Fn(&str) -> Effective) -> Option<Plan> {
        let (one, other) = (for_name("one.invalid"), for_name("other.invalid"));
        let is_same = one.path == other.path && one.login == other.login;
        let is_name = one.host == "one.invalid" && other.host == "other.invalid";
        (is_same && is_name).then(|| Plan::Same(self.dialled(one.path, one.login)))
    }
}

/// A file that ssh itself can read; it passes over its own main files silently when it cannot.
fn is_read(file: &FileFact) -> bool {
    matches!(file.state, FileState::Present { readable: true, .. })
}

/// `HostKeyAlgorithms` as the files have it: the first one counts.
fn written_algorithms<'a>(files: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    for bytes in files {
        let text = String::from_utf8_lossy(bytes);
        let found = text.lines().find_map(|line| {
            let (keyword, value) = line.trim().split_once([' ', '\t', '='])?;
            keyword
                .eq_ignore_ascii_case("hostkeyalgorithms")
                .then(|| value.trim_matches([' ', '\t', '=', '"']).to_owned())
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Paths, readability and content hashes of files: what they say is equal where these are equal.
pub(super) type FilesKey = Vec<(String, FileKey)>;

/// See [`FilesKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum FileKey {
    Absent,
    Unreadable,
    Present {
        readable: bool,
        is_file: bool,
        sha256: Option<[u8; 32]>,
    },
}

pub(super) fn files_key(files: &[FileFact]) -> FilesKey {
    let key = |file: &FileFact| match &file.state {
        FileState::Absent => FileKey::Absent,
        FileState::Unreadable(_) => FileKey::Unreadable,
        FileState::Present {
            meta,
            readable,
            content,
        } => FileKey::Present {
            readable: *readable,
            is_file: meta.kind == FileKind::File,
            sha256: content.as_ref().map(|content| content.sha256),
        },
    };
    files
        .iter()
        .map(|file| (file.path.clone(), key(file)))
        .collect()
}

/// The client side of a node in a lane.
pub(super) fn side<'a>(
    fleet: &Fleet,
    facts: &'a NodeFacts,
    client: NodeId,
    lane: Lane,
) -> Option<&'a ClientFacts> {
    let context = &fleet.node(client).profile.lane(lane).context;
    facts.clients.iter().find(|side| side.context == *context)
}

/// The program that a lane starts instead of ssh: all that a pull does is one copy.
pub(super) fn copier(legs: &Legs, client: NodeId, lane: Lane) -> Option<&'static str> {
    if lane != Lane::ColdPull {
        return None;
    }
    match legs.used(client, lane)?.transport {
        Transport::Scp => Some("scp"),
        Transport::Rsync => Some("rsync"),
        Transport::Libvirt => None,
    }
}

/// What stands in the way of every leg of a client, before any name is looked at.
///
/// `tool` is the program that makes the connection, where that is not ssh itself but one that starts ssh.
pub(super) fn block(
    node: &str,
    facts: Option<&ClientFacts>,
    tool: Option<&str>,
    notes: &mut impl Notes,
) -> Code {
    let breaks = |reason| Code::of(Predicted::Breaks(reason));
    let unknown = Code::of(Predicted::Unknown(Why::NotPredictable));
    let Some(facts) = facts else {
        notes.add(|| {
            fact(
                node,
                "the survey did not look at this lane's context".to_owned(),
            )
        });
        return unknown;
    };
    if let Some(account) = &facts.account {
        notes.value("client_user", || account.name.clone());
    }
    if let Some(failed) = &facts.failed {
        notes.add(|| fact(node, format!("`{}`: {failed}", facts.context.join(" "))));
        return if facts.unfinished {
            unknown
        } else {
            breaks(Reason::ContextFailed)
        };
    }
    let has_ssh = facts.programs.iter().any(|program| program == "ssh");
    if !has_ssh && facts.ssh_version.is_none() {
        notes.add(|| fact(node, "no ssh on the PATH of the context".to_owned()));
        return breaks(Reason::SshMissing);
    }
    // An empty list is one that was not read.
    if let Some(tool) = tool
        && !facts.programs.is_empty()
        && !facts.programs.iter().any(|program| program == tool)
    {
        notes.add(|| fact(node, format!("no {tool} on the PATH of the context")));
        return breaks(Reason::CopyToolMissing);
    }
    match &facts.base_config {
        Answer::Output(_) if facts.account.is_none() => {
            notes.add(|| {
                fact(
                    node,
                    "the account of the context has no passwd entry".to_owned(),
                )
            });
            // ssh itself says so: "No user exists for uid".
            breaks(Reason::ClientConfigInvalid)
        }
        Answer::Output(_) => Code::WORKS,
        Answer::Failed { status: 127, .. } if !has_ssh => breaks(Reason::SshMissing),
        Answer::Failed { status, stderr } => {
            notes.add(|| Evidence::Output {
                node: node.to_owned(),
                command: "ssh -G".to_owned(),
                status: Some(*status),
                text: stderr.clone(),
            });
            let file = named_file(stderr);
            if let Some(file) = file {
                notes.value("file", || file.to_owned());
            }
            if stderr.contains("Bad owner or permissions") {
                breaks(Reason::ClientConfigUnsafe)
            } else if *status == 255 {
                breaks(Reason::ClientConfigInvalid)
            } else {
                // A deadline, or a shell that could not run it: nothing about the configuration.
                unknown
            }
        }
    }
}

/// The file that ssh complains about: `Bad owner or permissions on FILE`, `FILE: line 3: Bad configuration option`.
fn named_file(stderr: &str) -> Option<&str> {
    let line = stderr.lines().find(|line| line.contains('/'))?;
    let start = line.find('/')?;
    let rest = &line[start..];
    let end = rest.find([':', ' ', '\t', '\r', '"']).unwrap_or(rest.len());
    Some(&rest[..end])
}
