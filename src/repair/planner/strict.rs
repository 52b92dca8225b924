//! Client configurations that defeat the checking of host keys.
//!
//! They are changed only where an operator asks for it, and only once everything that they would be checked against is in
//! place: where something is missing, this plan records it, and the next one changes the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::draft::state_of;
use super::make::{Desk, Planner};
use super::places::{is_own, may_hold_config, may_hold_host_keys, target};
use super::record::Jobs;
use crate::domain::{FindingCode, KnownHostsPlace, LegId, NodeId, Pair, Predicted, Reason};
use crate::openssh::known_hosts::{
    HostKeyContext, HostKeyStatus, HostName, KnownHosts, KnownHostsSet, StrictHostKeyChecking,
};
use crate::repair::edit::LineEdits;
use crate::repair::plan::{FileState, Target};
use crate::survey::{ClientFacts, FileFact, FileKind, FileState as Found};

/// What takes a line out of a configuration and leaves it to be read.
const TAKEN_OUT: &[u8] = b"#clearway: ";

/// A leg whose client does not insist on the host key.
type Lax<'a> = (LegId, Rc<Desk<'a>>, Arc<str>);

impl<'a> Planner<'a> {
    /// Plans what makes clients check host keys, where that is asked for.
    pub(super) fn strict_host_keys(&mut self, jobs: &mut Jobs) {
        if !self.policy.strict_host_keys {
            return;
        }
        let mut clients: BTreeMap<(NodeId, usize), Vec<Lax<'a>>> = BTreeMap::new();
        for id in self.needed() {
            if let Some((desk, host)) = self.desk(id)
                && !matches!(
                    desk.way.strict,
                    StrictHostKeyChecking::Yes | StrictHostKeyChecking::Ask
                )
            {
                let (node, place, _) = self.ring(id, &desk.way);
                clients
                    .entry((node, place))
                    .or_default()
                    .push((id, desk, host));
            }
        }
        let mut incomplete: BTreeSet<NodeId> = BTreeSet::new();
        let mut complete = Vec::new();
        for ((node, _), legs) in clients {
            let missing: Vec<&Lax<'a>> = {
                let known = legs.first().map(|(_, desk, _)| checked_against(desk));
                let known = known.unwrap_or_default();
                legs.iter()
                    .filter(|(id, desk, host)| !self.is_known(&known, *id, desk, host))
                    .collect()
            };
            if missing.is_empty() {
                complete.push((node, legs));
                continue;
            }
            incomplete.insert(node);
            for (id, desk, host) in missing {
                let file = self.strict_file(*id, desk);
                let because = (Reason::HostKeyUnknown, *id);
                self.want_in(jobs, because, (desk, host), file.as_ref());
            }
        }
        for (node, legs) in complete {
            self.insist(node, &legs, incomplete.contains(&node));
        }
    }

    fn needed(&self) -> Vec<LegId> {
        let scope = self.situation.scope;
        let mut all = Vec::new();
        for &lane in &self.policy.lanes {
            for &source in scope.nodes() {
                for destination in scope.destinations(source) {
                    let id = Pair {
                        source,
                        destination,
                    }
                    .leg(lane);
                    let works = |it: Predicted| !matches!(it, Predicted::NotNeeded(_));
                    if self.situation.legs.obstacle(id).is_none_or(works)
                        && self.situation.facts[id.server.index()].is_some()
                    {
                        all.push(id);
                    }
                }
            }
        }
        all
    }

    fn is_known(&self, known: &KnownHostsSet, id: LegId, desk: &Desk<'_>, host: &str) -> bool {
        let prediction = self.situation.prediction;
        let (name, _): (HostName, bool) = prediction.known_as(desk.way.configuration, host);
        let facts = self.situation.facts[id.client.index()].as_ref();
        let now = facts.map_or(0, |facts| u64::try_from(facts.clock).unwrap_or(0));
        let context = HostKeyContext::at(now);
        let mut keys = prediction.disk_keys(id.server).peekable();
        keys.peek().is_some()
            && keys.all(|key| {
                let status = known.check(&name, key, &context).status;
                matches!(status, HostKeyStatus::Known { .. })
            })
    }

    /// The file that will be read once `UserKnownHostsFile` is what it is by default.
    fn strict_file(&self, id: LegId, desk: &Desk<'_>) -> Option<Rc<Target>> {
        let account = desk.way.facts.account.as_ref()?;
        let user = user_file(desk.way.facts)?;
        let global = desk.way.global_files.first();
        let place = self
            .situation
            .fleet
            .node(id.client)
            .profile
            .repair
            .known_hosts;
        let path = match (place, global) {
            (KnownHostsPlace::Global, Some(path)) => path,
            _ => &user,
        };
        may_hold_host_keys(path, account).then(|| Rc::new(target(&desk.context, path)))
    }

    /// Takes the lines out that defeat the checking. Files of the whole machine only where every account is ready for it.
    fn insist(&mut self, node: NodeId, legs: &[Lax<'a>], only_own: bool) {
        let Some((_, desk, _)) = legs.first() else {
            return;
        };
        let Some(account) = &desk.way.facts.account else {
            return;
        };
        for fact in &desk.way.facts.config_files {
            let may =
                may_hold_config(&fact.path, account) && (!only_own || is_own(&fact.path, account));
            let (Some(content), Some(before)) = (fact.content(), state_of(fact)) else {
                continue;
            };
            if !may || !matches!(before, FileState::File { .. }) {
                continue;
            }
            let mut file = LineEdits::new(content.bytes.clone());
            for number in 1..=file.len() {
                let line = file.line(number);
                if defeats(line) {
                    let taken_out = [TAKEN_OUT, line].concat();
                    file.replace(number, taken_out);
                }
            }
            if !file.is_empty() {
                let place = target(&desk.context, &fact.path);
                let found = legs
                    .iter()
                    .map(|(id, ..)| (FindingCode::HostKeysNotChecked, *id));
                self.draft
                    .mend((node, &place), &before, file.finish(), found);
            }
        }
    }
}

fn user_file(facts: &ClientFacts) -> Option<String> {
    let home = facts.account.as_ref()?.home.trim_end_matches('/');
    Some(format!("{home}/.ssh/known_hosts"))
}

/// The files that ssh reads by default, and the global ones.
fn checked_against(desk: &Desk<'_>) -> KnownHostsSet {
    let facts = desk.way.facts;
    let user = user_file(facts).into_iter();
    let paths = user.chain(desk.way.global_files.iter().cloned());
    let read = |path: String| {
        let fact = facts.known_hosts.iter().find(|it| it.path == path);
        let content = fact
            .filter(|it| is_readable(it))
            .and_then(FileFact::content);
        Arc::new(content.map_or_else(KnownHosts::default, |it| KnownHosts::parse(&*it.bytes)))
    };
    KnownHostsSet::new(paths.map(read).collect())
}

fn is_readable(fact: &FileFact) -> bool {
    matches!(&fact.state, Found::Present { meta, readable: true, .. } if meta.kind == FileKind::File)
}

/// Whether a line of ssh_config keeps ssh from insisting on a host key.
fn defeats(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line).to_ascii_lowercase();
    let mut words = text
        .split(|it: char| it.is_ascii_whitespace() || it == '=' || it == '"')
        .filter(|word| !word.is_empty());
    match (words.next(), words.next()) {
        (Some("stricthostkeychecking"), Some(value)) => {
            matches!(value, "no" | "off" | "false" | "accept-new")
        }
        (Some("userknownhostsfile"), Some(value)) => value == "/dev/null",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::defeats;

    #[test]
    fn only_lines_that_defeat_the_checking_are_taken_out() {
        for (line, expected) in [
            ("StrictHostKeyChecking no", true),
            ("\tstricthostkeychecking=off\r", true),
            ("  StrictHostKeyChecking = \"accept-new\"", true),
            ("StrictHostKeyChecking ask", false),
            ("StrictHostKeyChecking yes", false),
            ("UserKnownHostsFile /dev/null", true),
            ("UserKnownHostsFile ~/.ssh/known_hosts", false),
            ("#StrictHostKeyChecking no", false),
            ("Host *", false),
        ] {
            assert_eq!(defeats(line.as_bytes()), expected, "{line}");
        }
    }
}
