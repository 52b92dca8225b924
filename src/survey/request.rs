//! What is asked of a node.

use crate::domain::{Lane, LaneUse, Profile, SshdProfile};
use crate::frame::{Limits, Nonce};

use super::answers::KnownAnswer;

/// What is asked of one node: everything of [`super::NodeFacts`], in the contexts of its profile.
#[derive(Debug, Clone)]
pub struct SurveyRequest {
    /// The secret of this survey of this node.
    pub nonce: Nonce,
    /// nova.conf files and directories, in order.
    pub nova_conf: Vec<String>,
    /// The contexts to enter; the first one is nova-compute's.
    pub contexts: Vec<ContextRequest>,
    /// The server side.
    pub sshd: SshdProfile,
    /// Accounts that lanes may log in to. Those that the node's own configuration names, and those that dial from it, are
    /// added on the node.
    pub accounts: Vec<String>,
    /// Answers of `ssh -G` and `sshd -T` that other nodes gave: a node with the very same program and files does not
    /// run it again.
    pub known: Vec<KnownAnswer>,
}

/// One context to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextRequest {
    /// The words that enter it; empty for root on the host.
    pub words: Vec<String>,
    /// Whether it is only entered when nova.conf lets live migration use SSH (or cannot be read).
    pub only_live: bool,
    /// Whether live migration's ssh runs there, so that a key that its URI names counts.
    pub live: bool,
    /// Key files that lanes give to `ssh` there (`-i`), as the profile states them.
    pub identities: Vec<String>,
}

/// Bytes of one file that are still read.
pub(super) const FILE_MAX: usize = 4 << 20;
/// Bytes of all files of one context that are still read.
pub(super) const TOTAL_MAX: usize = 8 << 20;

impl SurveyRequest {
    /// The request for a node with this profile.
    ///
    /// `accounts` are login names that lanes to the node may use, as far as they are known from elsewhere, for
    /// example from the client configuration of nodes surveyed before; the lanes' own and root are added.
    #[must_use]
    pub fn new(profile: &Profile, accounts: &[String], nonce: Nonce) -> Self {
        let mut contexts = vec![ContextRequest {
            words: profile.nova_context.clone(),
            only_live: false,
            live: false,
            identities: Vec::new(),
        }];
        for lane in Lane::ALL {
            let settings = profile.lane(lane);
            let only_live = lane == Lane::Live && settings.used == LaneUse::Auto;
            if settings.used == LaneUse::No {
                continue;
            }
            let known = contexts.iter().position(|c| c.words == settings.context);
            let place = known.unwrap_or_else(|| {
                contexts.push(ContextRequest {
                    words: settings.context.clone(),
                    only_live,
                    live: false,
                    identities: Vec::new(),
                });
                contexts.len() - 1
            });
            let context = &mut contexts[place];
            context.only_live &= only_live;
            context.live |= lane == Lane::Live;
            // What has a line break in it would be two on the node.
            let stated = settings.identity.iter().filter(|it| !it.contains('\n'));
            for path in stated {
                if !context.identities.contains(path) {
                    context.identities.push(path.clone());
                }
            }
        }
        let mut names: Vec<String> = Vec::new();
        let lanes = Lane::ALL
            .iter()
            .filter_map(|&l| profile.lane(l).user.clone());
        for name in lanes
            .chain(accounts.iter().cloned())
            .chain(["root".to_owned()])
        {
            // What a passwd entry cannot hold is no account, and it would break the lists that are sent.
            let possible = !name.is_empty() && !name.contains([':', '\n', '\t', '/', '\0']);
            if possible && !names.contains(&name) {
                names.push(name);
            }
        }
        Self {
            nonce,
            nova_conf: profile.nova_conf.clone(),
            contexts,
            sshd: profile.sshd.clone(),
            accounts: names,
            known: Vec::new(),
        }
    }

    /// How much a node may answer.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            bytes: 20 << 20,
            noise: 64 << 10,
            records: 2_000,
            fields: 8,
            field: 2 << 20,
        }
    }

    /// The parts of the program, in the order in which they run: nova-compute's context first, since what it tells
    /// is used by the others, the host itself last. A context is entered once, whatever there is to do in it.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for (i, context) in self.contexts.iter().enumerate() {
            let tasks = match (i, context.only_live) {
                (0, _) => "nc",
                (_, false) => "c",
                (_, true) => "l",
            };
            let part = add(&mut parts, &context.words, tasks);
            if context.live && !context.only_live {
                part.tasks.push('k');
            }
            part.identities.extend(context.identities.iter().cloned());
        }
        add(&mut parts, &self.sshd.context, "s");
        add(&mut parts, &[], "h");
        if let Some(at) = parts.iter().skip(1).position(|part| part.words.is_empty()) {
            let host = parts.remove(at + 1);
            parts.push(host);
        }
        parts
    }
}

fn add<'p>(parts: &'p mut Vec<Part>, words: &[String], tasks: &str) -> &'p mut Part {
    let known = parts.iter().position(|part| part.words == words);
    let place = known.unwrap_or_else(|| {
        parts.push(Part {
            words: words.to_vec(),
            tasks: String::new(),
            identities: Vec::new(),
        });
        parts.len() - 1
    });
    let part = &mut parts[place];
    part.tasks.push_str(tasks);
    part
}

/// One context with what is done there: `n` nova.conf, `c` the client side, `l` the client side if live migration may
/// use SSH, `k` the key that live migration's URI names (`l` goes with it by itself), `s` the server side, `h` the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) words: Vec<String>,
    pub(super) tasks: String,
    /// Key files that lanes name there.
    pub(super) identities: Vec<String>,
}

impl Part {
    /// Whether there is nothing to do unless live migration may use SSH.
    pub(super) fn only_live(&self) -> bool {
        self.tasks == "l"
    }

    pub(super) fn has(&self, task: char) -> bool {
        self.tasks.contains(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(nova: &[&str], live: &[&str], sshd: &[&str]) -> SurveyRequest {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        SurveyRequest {
            nonce: Nonce::new([0; 16]),
            nova_conf: Vec::new(),
            contexts: vec![
                ContextRequest {
                    words: words(nova),
                    only_live: false,
                    live: false,
                    identities: Vec::new(),
                },
                ContextRequest {
                    words: words(live),
                    only_live: true,
                    live: true,
                    identities: Vec::new(),
                },
            ],
            sshd: SshdProfile {
                context: words(sshd),
                binary: String::new(),
                config: String::new(),
                port: 22,
            },
            accounts: Vec::new(),
            known: Vec::new(),
        }
    }

    #[test]
    fn a_context_is_entered_once_and_the_host_last() {
        let tasks = |nova: &[&str], live: &[&str], sshd: &[&str]| {
            let parts = request(nova, live, sshd).parts();
            let shown = parts
                .iter()
                .map(|p| format!("{}:{}", p.words.join(" "), p.tasks));
            shown.collect::<Vec<_>>()
        };
        assert_eq!(tasks(&["n"], &[], &[]), ["n:nc", ":lsh"]);
        assert_eq!(tasks(&["n"], &[], &["d"]), ["n:nc", "d:s", ":lh"]);
        assert_eq!(tasks(&["n"], &["v"], &["d"]), ["n:nc", "v:l", "d:s", ":h"]);
        assert_eq!(tasks(&["n"], &["v"], &["n"]), ["n:ncs", "v:l", ":h"]);
        assert_eq!(tasks(&[], &["v"], &["d"]), [":nch", "v:l", "d:s"]);
    }

    #[test]
    fn a_key_that_the_uri_names_is_looked_at_where_live_migration_runs_ssh() {
        let mut together = request(&["n"], &[], &[]);
        together.contexts.truncate(1);
        together.contexts[0].live = true;
        together.contexts[0].identities = vec!["/k".into()];
        let parts = together.parts();
        assert_eq!(parts[0].tasks, "nck");
        assert_eq!(parts[0].identities, ["/k"]);
        assert!(parts[1].identities.is_empty());
        let mut apart = request(&["n"], &["v"], &[]);
        assert_eq!(apart.parts()[1].tasks, "l", "it comes with the client side");
        apart.contexts[1].only_live = false;
        assert_eq!(apart.parts()[1].tasks, "ck");
    }
}
