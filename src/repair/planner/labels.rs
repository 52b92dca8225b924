//! SELinux labels that are not the policy's: of what is edited and of the directories above it, and of all on the way to an
//! authorized_keys file that sshd may not read for them.

use super::cure::{Cure, cure};
use super::draft::{Because, state_of};
use super::make::Planner;
use super::places::{is_own, is_plain, may_hold_keys, parent, target};
use super::problems::Problem;
use crate::domain::NodeId;
use crate::repair::plan::{FileState, Relabel, Target};
use crate::survey::{Account, ClientFacts, FileFact, FileKind, Labels, Meta, NodeFacts};

/// What was surveyed where a target is.
struct Around<'a> {
    clients: Vec<(&'a ClientFacts, &'a Account)>,
    server: Option<&'a NodeFacts>,
}

impl<'a> Planner<'a> {
    /// Plans labels where sshd refuses a login for them.
    pub(super) fn denied_by_labels(&mut self, problems: &[Problem]) {
        for problem in problems {
            let id = problem.id;
            for &reason in &problem.reasons {
                if cure(reason) == Cure::Labels && !self.relabel_keys_files(problem, reason) {
                    let why = "the labels on the way to the keys are none that repair sets";
                    self.left.add(reason, why, None, id);
                }
            }
        }
    }

    /// Whether there is a wrong label on the way to the keys of a leg's account that may be set right.
    fn relabel_keys_files(&mut self, problem: &Problem, reason: crate::domain::Reason) -> bool {
        let id = problem.id;
        let Some((desk, _)) = self.desk(id) else {
            return false;
        };
        let facts = self.situation.facts[id.server.index()].iter();
        let mut logins = facts.flat_map(|facts| &facts.server.accounts);
        let login = logins.find(|it| *it.name == *desk.user);
        let account = login.and_then(|login| login.account.as_ref());
        let places = self.situation.prediction.keys_places(id);
        let (Some(account), Some(places)) = (account, places) else {
            return false;
        };
        let sshd = &self.situation.fleet.node(id.server).profile.sshd;
        let mut done = false;
        for place in places.iter().filter(|it| may_hold_keys(&it.path, account)) {
            let place = target(&sshd.context, &place.path);
            done |= self.relabel_up(id.server, &place, &[(reason, id)]);
        }
        done
    }

    /// What is edited gets the policy's label, too, and so do the directories above it.
    pub(super) fn labels_on_the_way(&mut self) {
        let edited: Vec<(NodeId, Target, Vec<Because>)> = self
            .draft
            .edited()
            .filter(|(node, _, because)| !because.is_empty() && self.has_wrong_labels(*node))
            .map(|(node, target, because)| (node, target.clone(), because.to_vec()))
            .collect();
        for (node, place, because) in edited {
            self.relabel_up(node, &place, &because);
        }
    }

    fn has_wrong_labels(&self, node: NodeId) -> bool {
        self.situation.facts[node.index()]
            .iter()
            .flat_map(|facts| {
                let clients = facts.clients.iter().filter_map(|it| it.labels.as_ref());
                clients.chain(&facts.server.labels)
            })
            .any(|labels| labels.wrong.iter().flatten().next().is_some())
    }

    /// Whether something was wrong at a place, or above it as far as a repair sets owners and modes, and is set right.
    fn relabel_up(&mut self, node: NodeId, place: &Target, because: &[Because]) -> bool {
        let profile = &self.situation.fleet.node(node).profile;
        let Some(facts) = &self.situation.facts[node.index()] else {
            return false;
        };
        let around = Around {
            clients: facts
                .clients
                .iter()
                .filter(|client| profile.files_context(&client.context) == place.context)
                .filter_map(|client| Some((client, client.account.as_ref()?)))
                .collect(),
            server: (profile.sshd.context == place.context).then_some(facts),
        };
        let mut done = false;
        let mut next = Some(place.path.as_str());
        while let Some(path) = next {
            next = parent(path);
            if path != place.path && !around.may_relabel(path) {
                continue;
            }
            if let (Some(label), Some(before)) = (around.wrong(path), around.state(path)) {
                let at = target(&place.context, path);
                self.draft
                    .relabel((node, &at), &before, label, because.iter().copied());
                done = true;
            }
        }
        done
    }
}

impl<'a> Around<'a> {
    fn wrong(&self, path: &str) -> Option<Relabel> {
        let clients = self.clients.iter();
        let clients = clients.filter_map(|(client, _)| client.labels.as_ref());
        let server = self.server.and_then(|facts| facts.server.labels.as_ref());
        let mut all = clients.chain(server);
        let wrong = all.find_map(|labels: &Labels| labels.wrong_at(path))?;
        Some(Relabel {
            before: wrong.has.clone(),
            after: wrong.policy.clone(),
        })
    }

    /// Whether a directory is one whose owner and mode a repair sets.
    fn may_relabel(&self, path: &str) -> bool {
        let server = self.server.iter();
        let logins = server.flat_map(|facts| &facts.server.accounts);
        let logins = logins.filter_map(|login| login.account.as_ref());
        let clients = self.clients.iter().map(|(_, account)| *account);
        let mut accounts = clients.chain(logins);
        let of_account = accounts.any(|account| {
            let home = account.home.trim_end_matches('/');
            path == home || path == format!("{home}/.ssh") || is_own(path, account)
        });
        is_plain(path) && (of_account || path.contains("authorized_keys"))
    }

    /// What the survey found at a path, if it is no link.
    fn state(&self, path: &str) -> Option<FileState> {
        let of_meta = |meta: Meta| {
            let attributes = super::draft::attributes(meta);
            match meta.kind {
                _ if meta.symlink => None,
                FileKind::File => Some(FileState::Opaque { attributes }),
                FileKind::Directory => Some(FileState::Directory { attributes }),
                FileKind::Other => None,
            }
        };
        let is_it = |fact: &&FileFact| fact.path == path;
        for (client, _) in &self.clients {
            let files = client.known_hosts.iter().chain(&client.config_files);
            if let Some(fact) = files.chain(&client.directories).find(is_it) {
                return state_of(fact).filter(|it| *it != FileState::Absent);
            }
            if let Some(key) = client.identities.iter().find(|it| it.path == path) {
                return key.meta.and_then(of_meta);
            }
        }
        let logins = self.server.iter().flat_map(|it| &it.server.accounts);
        for checked in logins.flat_map(|login| &login.authorized_keys) {
            if checked.file.path == path {
                return state_of(&checked.file).filter(|it| *it != FileState::Absent);
            }
            if let Some((_, meta)) = checked.above.iter().find(|(it, _)| it == path) {
                return of_meta(*meta);
            }
        }
        None
    }
}
