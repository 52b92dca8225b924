//! What stands below the options in every help text: examples and exit codes.

use clap::{Command, CommandFactory};

use super::args::Arguments;
use crate::report::exit;

/// What is added to the help of one command: its path, examples with what they do, and the exit codes that it has.
struct More {
    path: &'static [&'static str],
    examples: &'static [(&'static str, &'static str)],
    codes: &'static [u8],
}

const LOCAL: &[u8] = &[exit::WELL, exit::USAGE];
const PROVING: &[u8] = &[
    exit::WELL,
    exit::BROKEN,
    exit::USAGE,
    exit::UNPROVEN,
    exit::INTERRUPTED,
];

const MOVING: &[u8] = &[
    exit::WELL,
    exit::BROKEN,
    exit::USAGE,
    exit::UNPROVEN,
    exit::REFUSED,
    exit::INTERRUPTED,
];

const MORE: &[More] = &[
    More {
        path: &[],
        examples: &[
            ("clearway inventory validate", "is clearway.yaml right?"),
            ("clearway check", "what is broken, why, what to do"),
            ("clearway trace cmp001 cmp017", "one pair, rung by rung"),
            (
                "clearway show last --format json",
                "the last report, for programs",
            ),
        ],
        codes: &[
            exit::WELL,
            exit::BROKEN,
            exit::USAGE,
            exit::UNPROVEN,
            exit::REFUSED,
            exit::INTERRUPTED,
        ],
    },
    More {
        path: &["check"],
        examples: &[
            ("clearway check", "everything in scope"),
            (
                "clearway check --limit 'cmp[001-040],@az1,!cmp017'",
                "some nodes",
            ),
            (
                "clearway check --predict-only",
                "read files, log in nowhere else",
            ),
            (
                "clearway check --pairs changed --quiet",
                "from cron: only what changed",
            ),
            ("clearway check --format junit > clearway.xml", "for CI"),
        ],
        codes: PROVING,
    },
    More {
        path: &["trace"],
        examples: &[
            ("clearway trace cmp001 cmp017", "every rung of every lane"),
            ("clearway trace cmp001 cmp017 --lanes cold-push", "one lane"),
            (
                "clearway trace cmp001 cmp017 --no-write",
                "without a file on cmp017",
            ),
        ],
        codes: PROVING,
    },
    More {
        path: &["repair"],
        examples: &[
            ("clearway repair", "plan, show, ask, apply, prove"),
            ("clearway repair --diff", "only show what would change"),
            (
                "clearway repair --limit '@az1' --yes",
                "some nodes, without asking",
            ),
            (
                "clearway repair --out plan.json",
                "a plan for somebody to review",
            ),
            ("clearway repair --plan plan.json", "apply just that"),
            ("clearway repair undo last", "put it all back"),
            ("clearway repair resume last", "go on after an interruption"),
        ],
        codes: PROVING,
    },
    More {
        path: &["repair", "undo"],
        examples: &[
            ("clearway repair undo last", "the latest run"),
            (
                "clearway repair undo 7f3a9c --yes",
                "by the end of its id, without asking",
            ),
        ],
        codes: PROVING,
    },
    More {
        path: &["repair", "resume"],
        examples: &[("clearway repair resume last", "the latest run")],
        codes: PROVING,
    },
    More {
        path: &["repair", "forget"],
        examples: &[("clearway repair forget last", "once nobody wants it undone")],
        codes: PROVING,
    },
    More {
        path: &["keys", "rotate"],
        examples: &[
            ("clearway keys rotate --diff", "only show the first step"),
            ("clearway keys rotate", "all nodes; told again, it goes on"),
            (
                "clearway keys rotate --limit cmp017 --without cmp003",
                "one node, while another is down",
            ),
        ],
        codes: PROVING,
    },
    More {
        path: &["keys"],
        examples: &[
            (
                "clearway keys certify --ca clearway_ca",
                "certificates for all, keys work on",
            ),
            (
                "clearway keys renew --ca clearway_ca --yes",
                "from cron: what ends soon",
            ),
            (
                "clearway keys retire --ca clearway_ca",
                "certificates alone",
            ),
            (
                "clearway keys revoke cmp017 --ca clearway_ca",
                "out of everybody's trust",
            ),
            ("clearway keys rotate", "new keys, without certificates"),
        ],
        codes: PROVING,
    },
    More {
        path: &["keys", "certify"],
        examples: &[
            (
                "clearway keys certify --ca clearway_ca --dry-run",
                "only show what would change",
            ),
            (
                "clearway keys certify --ca ca.pub --ca-agent",
                "signed by a key in the ssh-agent",
            ),
            (
                "clearway keys certify --ca new_ca --replace-others",
                "from one authority to another; retire then ends it",
            ),
        ],
        codes: PROVING,
    },
    More {
        path: &["keys", "renew"],
        examples: &[
            (
                "clearway keys renew --ca clearway_ca --yes --quiet",
                "from cron",
            ),
            (
                "clearway keys renew --ca clearway_ca --before 200",
                "all of them, now",
            ),
        ],
        codes: PROVING,
    },
    More {
        path: &["keys", "retire"],
        examples: &[(
            "clearway keys retire --ca clearway_ca --limit '@az1'",
            "some nodes first",
        )],
        codes: PROVING,
    },
    More {
        path: &["keys", "revoke"],
        examples: &[
            (
                "clearway keys revoke cmp017 --ca clearway_ca",
                "whether it answers or not",
            ),
            (
                "clearway keys revoke cmp017 --key id_ed25519.pub",
                "nodes that know each other by keys",
            ),
        ],
        codes: PROVING,
    },
    More {
        path: &["servers"],
        examples: &[
            ("clearway servers --host cmp001", "all on one host"),
            (
                "clearway servers web-1 --max-age 3600 --format json",
                "one, with proofs of the last hour",
            ),
        ],
        codes: LOCAL,
    },
    More {
        path: &["migrate"],
        examples: &[
            ("clearway migrate web-1", "cold, confirmed, compared"),
            (
                "clearway migrate web-1 --live --to cmp017",
                "while it runs, to one host",
            ),
            ("clearway migrate web-1 web-2 --dry-run", "only the plan"),
            (
                "clearway migrate web-1 --resize m1.large",
                "when every host that Nova could choose is proven",
            ),
        ],
        codes: MOVING,
    },
    More {
        path: &["moves"],
        examples: &[
            (
                "clearway moves confirm web-1",
                "what an earlier run left unconfirmed",
            ),
            (
                "clearway moves abort web-1",
                "a live move: it stays where it is",
            ),
        ],
        codes: MOVING,
    },
    More {
        path: &["moves", "confirm"],
        examples: &[(
            "clearway moves confirm web-1",
            "what an earlier run left unconfirmed",
        )],
        codes: MOVING,
    },
    More {
        path: &["moves", "revert"],
        examples: &[("clearway moves revert web-1", "back to where it was")],
        codes: MOVING,
    },
    More {
        path: &["moves", "abort"],
        examples: &[
            ("clearway moves abort web-1", "it stays where it is"),
            (
                "clearway moves abort --run last --yes",
                "all live moves of the latest run",
            ),
        ],
        codes: MOVING,
    },
    More {
        path: &["moves", "force-complete"],
        examples: &[(
            "clearway moves force-complete web-1",
            "at the price of a pause, or of post-copy",
        )],
        codes: MOVING,
    },
    More {
        path: &["drain"],
        examples: &[
            (
                "clearway drain cmp001 --dry-run",
                "what would go where, what cannot",
            ),
            (
                "clearway drain cmp001 cmp002 --yes",
                "neither is a destination",
            ),
            (
                "clearway drain cmp001 --yes --until 2026-11-25T22:00:00Z",
                "a maintenance window",
            ),
        ],
        codes: MOVING,
    },
    More {
        path: &["resume"],
        examples: &[
            ("clearway resume last", "the latest run"),
            ("clearway resume 7f3a9c", "by the end of its id"),
        ],
        codes: MOVING,
    },
    More {
        path: &["watch"],
        examples: &[("clearway watch", "the latest run, until it ends")],
        codes: LOCAL,
    },
    More {
        path: &["diagnose"],
        examples: &[
            ("clearway diagnose web-1", "why its last move failed"),
            (
                "clearway diagnose web-1 --recover",
                "and bring it out of ERROR",
            ),
            ("clearway diagnose --error -", "what a pasted text means"),
        ],
        codes: &[exit::WELL, exit::BROKEN, exit::USAGE, exit::UNPROVEN],
    },
    More {
        path: &["reasons"],
        examples: &[
            ("clearway reasons", "all codes"),
            ("clearway reasons host-key-changed", "one of them"),
        ],
        codes: LOCAL,
    },
    More {
        path: &["runs"],
        examples: &[
            ("clearway runs", "the last 20 runs"),
            (
                "clearway runs -n 1 --format json",
                "the last one, for programs",
            ),
            ("clearway runs --prune 100", "forget all but the last 100"),
        ],
        codes: LOCAL,
    },
    More {
        path: &["show"],
        examples: &[
            ("clearway show last", "the latest run"),
            (
                "clearway show 20261123 --format json",
                "the only run of that day",
            ),
            (
                "clearway show 7f3a9c --verbose",
                "by the end of its id, in full",
            ),
        ],
        codes: LOCAL,
    },
    More {
        path: &["inventory"],
        examples: &[
            ("clearway inventory validate", "is it right?"),
            ("clearway inventory show cmp017", "one node, resolved"),
        ],
        codes: LOCAL,
    },
    More {
        path: &["inventory", "show"],
        examples: &[
            ("clearway inventory show", "all nodes, alike ones folded"),
            (
                "clearway inventory show '@az1,!cmp017' --format json",
                "some, for programs",
            ),
        ],
        codes: LOCAL,
    },
    More {
        path: &["inventory", "validate"],
        examples: &[
            ("clearway inventory validate", "clearway.yaml here"),
            (
                "clearway inventory validate -i inventory/",
                "a directory of files",
            ),
        ],
        codes: LOCAL,
    },
    More {
        path: &["completions"],
        examples: &[(
            "clearway completions bash > /etc/bash_completion.d/clearway",
            "for all users of bash",
        )],
        codes: LOCAL,
    },
    More {
        path: &["man"],
        examples: &[(
            "clearway man /usr/local/share/man/man1",
            "clearway(1), clearway-check(1), …",
        )],
        codes: LOCAL,
    },
];

/// The command line with its help texts complete.
pub(super) fn command() -> Command {
    MORE.iter().fold(Arguments::command(), |command, more| {
        add(command, more.path, &more.text())
    })
}

fn add(command: Command, path: &[&'static str], text: &str) -> Command {
    match path {
        [] => command.after_help(text.to_owned()),
        [first, rest @ ..] => command.mut_subcommand(first, |inner| add(inner, rest, text)),
    }
}

impl More {
    fn text(&self) -> String {
        let width = self
            .examples
            .iter()
            .map(|(typed, _)| typed.chars().count())
            .max()
            .unwrap_or(0);
        let mut lines = vec!["Examples:".to_owned()];
        for (typed, purpose) in self.examples {
            lines.push(format!("  {typed:width$}   {purpose}"));
        }
        lines.push(String::new());
        lines.push("Exit codes:".to_owned());
        for (code, meaning) in exit::TABLE
            .iter()
            .filter(|(code, _)| self.codes.contains(code))
        {
            lines.push(format!("  {code:>3}  {meaning}"));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_examples(command: &Command, path: &str, found: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        if command.get_after_help().is_none() {
            found.push(path.clone());
        }
        for inner in command.get_subcommands() {
            without_examples(inner, &path, found);
        }
    }

    #[test]
    fn every_command_has_examples_and_exit_codes() {
        let mut found = Vec::new();
        without_examples(&command(), "", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn every_example_can_be_typed() {
        for (typed, _) in MORE.iter().flat_map(|more| more.examples) {
            let words = typed
                .split(" > ")
                .next()
                .unwrap()
                .split_whitespace()
                .map(|word| word.trim_matches('\''));
            command().try_get_matches_from(words).unwrap();
        }
    }
}
