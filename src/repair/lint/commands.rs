//! Commands: they run as root, as do the words that lead to them and those that take them back.

use super::check::Review;
use super::complaint::Rule;
use crate::repair::plan::AccountCommand;
use crate::survey::LockState;

impl Review<'_> {
    pub(super) fn commands(&mut self) {
        let plan = self.plan;
        for command in &plan.commands {
            if let Err((rule, detail)) = self.command(command) {
                self.complain(rule, &command.node, None, &detail);
            }
        }
    }

    /// A command is one of two, word by word: a password that nobody has, and the shell that every node has, each with the
    /// one command that takes it back. Its account is one that a lane logs in to, and is in the state that it mends.
    fn command(&self, command: &AccountCommand) -> Result<(), (Rule, String)> {
        let wrong = |rule, detail: &str| Err((rule, detail.to_owned()));
        let Some(id) = self.fleet.find(&command.node) else {
            return wrong(Rule::Shape, "no node of the inventory");
        };
        if !self.scope.nodes().contains(&id) {
            return wrong(Rule::Scope, "a command on a node out of scope");
        }
        let Some(facts) = &self.facts[id.index()] else {
            return wrong(Rule::Before, "the node was not surveyed");
        };
        let words = words(&command.words);
        if command.context != self.fleet.node(id).profile.sshd.context {
            let context = self::words(&command.context);
            let detail = format!("{words} in {context}, which does not lead to its accounts");
            return Err((Rule::Command, detail));
        }
        let user = command.words.last().map_or("", String::as_str);
        let mut control = self.control.iter();
        if user == "root" || control.any(|it| it.node == id && it.user == user) {
            return wrong(Rule::Control, "the account of root, or of clearway itself");
        }
        let mut logins = facts.server.accounts.iter();
        let login = logins.find_map(|it| {
            let account = it.account.as_ref()?;
            (it.name == user && account.name == user && account.uid != 0).then_some((it, account))
        });
        let Some((login, account)) = login.filter(|_| !user.starts_with('-')) else {
            let detail = format!("{words} is for no account that a lane logs in to");
            return Err((Rule::Command, detail));
        };
        let shell = account.shell.as_str();
        let undo: &[&str] = match command.words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["usermod", "-p", "*", _] if login.lock != LockState::Open => &["usermod", "-L", user],
            ["usermod", "-s", "/bin/sh", _] if !shell.is_empty() && !shell.starts_with('-') => {
                &["usermod", "-s", shell, user]
            }
            _ => {
                let detail = format!("{words} is no command that sets this account right");
                return Err((Rule::Command, detail));
            }
        };
        if command.undo != undo {
            let back = self::words(&command.undo);
            let detail = format!("{back} is not what takes {words} back");
            return Err((Rule::Command, detail));
        }
        Ok(())
    }
}

/// Words as a complaint shows them.
fn words(words: &[String]) -> String {
    format!("`{}`", words.join(" ").escape_debug())
}
