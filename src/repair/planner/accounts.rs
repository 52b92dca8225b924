//! Accounts that let nobody in: commands where the operator allows them, else words.

use std::collections::BTreeMap;

use super::cure::{Cure, cure};
use super::draft::{Because, answers};
use super::make::Planner;
use super::problems::Problem;
use crate::domain::{NodeId, Reason};
use crate::repair::plan::AccountCommand;

impl Planner<'_> {
    /// Plans commands for accounts.
    pub(super) fn accounts(&mut self, problems: &[Problem]) {
        let mut wanted: BTreeMap<(NodeId, String, Reason), Vec<Because>> = BTreeMap::new();
        for problem in problems {
            for &reason in &problem.reasons {
                if cure(reason) != Cure::Account {
                    continue;
                }
                if !self.policy.accounts {
                    let why = "accounts are changed only with `--accounts`";
                    self.left.add(reason, why, None, problem.id);
                    continue;
                }
                if let Some((desk, _)) = self.desk(problem.id) {
                    let key = (problem.id.server, desk.user.to_string(), reason);
                    wanted.entry(key).or_default().push((reason, problem.id));
                }
            }
        }
        for ((server, user, reason), because) in wanted {
            match self.command(server, &user, reason) {
                Some((words, undo)) => self.commands.push(AccountCommand {
                    node: self.situation.fleet.node(server).name.to_string(),
                    context: self
                        .situation
                        .fleet
                        .node(server)
                        .profile
                        .sshd
                        .context
                        .clone(),
                    words,
                    undo,
                    answers: answers(self.situation.fleet, because),
                }),
                None => {
                    for (reason, id) in because {
                        let why = "root's account and accounts of other services are left alone";
                        self.left.add(reason, why, None, id);
                    }
                }
            }
        }
    }

    fn command(
        &self,
        server: NodeId,
        user: &str,
        reason: Reason,
    ) -> Option<(Vec<String>, Vec<String>)> {
        let facts = self.situation.facts[server.index()].as_ref()?;
        let login = facts.server.accounts.iter().find(|it| it.name == user)?;
        let account = login.account.as_ref()?;
        let is_plain = |text: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
        };
        if account.uid == 0 || !is_plain(&account.name) {
            return None;
        }
        let words = |words: [&str; 3]| -> Vec<String> {
            let all = std::iter::once("usermod").chain(words);
            all.map(str::to_owned).collect()
        };
        match reason {
            Reason::AccountLocked => Some((
                words(["-p", "*", &account.name]),
                vec!["usermod".into(), "-L".into(), account.name.clone()],
            )),
            Reason::AccountNologin | Reason::AccountShellMissing if is_plain(&account.shell) => {
                Some((
                    // The one shell that every node has.
                    words(["-s", "/bin/sh", &account.name]),
                    words(["-s", &account.shell, &account.name]),
                ))
            }
            _ => None,
        }
    }
}
