//! Client configurations: owners and modes that ssh refuses.

use super::cure::{Cure, cure};
use super::draft::state_of;
use super::make::Planner;
use super::modes;
use super::places::{may_hold_config, target};
use super::problems::Problem;
use crate::domain::Reason;
use crate::survey::{Answer, ClientFacts, FileState as Found};

impl Planner<'_> {
    /// Sets owners and modes of client configurations right.
    pub(super) fn configurations(&mut self, problems: &[Problem]) {
        for problem in problems {
            for &reason in &problem.reasons {
                if cure(reason) == Cure::ConfigModes {
                    self.config_modes(reason, problem);
                }
            }
        }
    }

    fn config_modes(&mut self, reason: Reason, problem: &Problem) {
        let id = problem.id;
        let node = self.situation.fleet.node(id.client);
        let context = &node.profile.lane(id.lane).context;
        let facts = self.situation.facts[id.client.index()].iter();
        let mut clients = facts.flat_map(|facts| &facts.clients);
        let Some(client) = clients.find(|client| client.context == *context) else {
            return;
        };
        let files = self.files_context(id.client, context);
        let mut done = false;
        for path in named_files(client) {
            let mut config = client.config_files.iter();
            let (Some(fact), Some(account)) =
                (config.find(|fact| fact.path == path), &client.account)
            else {
                continue;
            };
            let Found::Present { meta, .. } = &fact.state else {
                continue;
            };
            if let Some(before) = state_of(fact)
                && may_hold_config(path, account)
            {
                let to = modes::safe(*meta, account, false);
                let place = target(&files, path);
                self.draft
                    .set_attributes((id.client, &place), &before, to, [(reason, id)]);
                done = true;
            }
        }
        if !done {
            let why = "the file is a symbolic link, or none that repair sets right";
            self.left.add(reason, why, None, id);
        }
    }
}

/// The files that ssh complains about: `Bad owner or permissions on FILE`.
fn named_files(client: &ClientFacts) -> impl Iterator<Item = &str> {
    let stderr = match &client.base_config {
        Answer::Failed { stderr, .. } => stderr.as_str(),
        Answer::Output(_) => "",
    };
    stderr.lines().filter_map(|line| {
        let (_, path) = line.split_once("Bad owner or permissions on ")?;
        Some(path.trim_end())
    })
}
