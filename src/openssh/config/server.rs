//! sshd_config(5): `Match` blocks (servconf.c `match_cfg_line`).

use super::difference::{Difference, Settings, Undecidable};
use super::tree::{Files, Item};
use super::words::Directive;
use crate::openssh::address::match_address_list;
use crate::openssh::pattern::{ListMatch, PatternCase, match_hostname, match_pattern_list};

/// Keywords of which every line counts; `sshd -T` prints each value on a line of its own.
const ADDING: &[&str] = &[
    "acceptenv",
    "allowgroups",
    "allowusers",
    "denygroups",
    "denyusers",
];
/// Commands, which are taken as written, with their quotes.
const COMMANDS: &[&str] = &[
    "authorizedkeyscommand",
    "authorizedprincipalscommand",
    "forcecommand",
];
/// See the client's list: `+`, `-` and `^` change sshd's default.
const ALGORITHMS: &[&str] = &[
    "casignaturealgorithms",
    "hostbasedacceptedalgorithms",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
];

/// An sshd's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    items: Vec<Item>,
}

/// A connection, as `sshd -T -C` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerQuery<'a> {
    /// The account that is logged in to.
    pub user: &'a str,
    /// The account's groups; `None` when they are not known.
    pub groups: Option<&'a [String]>,
    /// The client's host name as sshd sees it: its address with `UseDNS no`; `None` when not known.
    pub host: Option<&'a str>,
    /// The client's address; `None` when not known.
    pub address: Option<&'a str>,
    /// The address that was dialled; `None` when not known.
    pub local_address: Option<&'a str>,
    /// The port that was dialled.
    pub local_port: Option<u16>,
}

impl ServerConfig {
    /// Reads the file `top` and whatever it includes, each with its absolute path.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>, top: &str) -> Self {
        Self {
            items: Files::new(files, "/etc/ssh", None).read(top),
        }
    }

    /// Whether any setting depends on the connection: without, every one has what `sshd -T` prints.
    #[must_use]
    pub fn has_conditions(&self) -> bool {
        fn any(items: &[Item]) -> bool {
            items.iter().any(|item| match item {
                Item::Included(items) => any(items),
                Item::Unknown(_) => true,
                Item::Directive(line) => line.keyword == "match" && line.arguments != ["all"],
            })
        }
        any(&self.items)
    }

    /// How the settings for `query` differ from those for `base`, for which `sshd -T -C` was asked.
    ///
    /// # Errors
    /// A condition that hangs on something that is not known of the connection, or that this does not know.
    pub fn difference(
        &self,
        query: &ServerQuery<'_>,
        base: &ServerQuery<'_>,
    ) -> Result<Difference, Undecidable> {
        let difference = Difference::between(&self.settings(query)?, &self.settings(base)?);
        if let Difference::Settings(changed) = &difference {
            for keyword in ALGORITHMS {
                if let Some(Some(values)) = changed.get(*keyword)
                    && values.iter().any(|list| list.starts_with(['+', '-', '^']))
                {
                    return Err(Undecidable(format!("{keyword} {}", values.join(" "))));
                }
            }
        }
        Ok(difference)
    }

    /// What holds for a connection: of the blocks that match, the first value of each keyword; else the global one.
    fn settings(&self, query: &ServerQuery<'_>) -> Result<Settings, Undecidable> {
        let mut reader = Reader {
            query,
            global: Settings::new(),
            matched: Settings::new(),
        };
        reader.read(&self.items, State::Global)?;
        let Reader {
            mut global,
            matched,
            ..
        } = reader;
        global.extend(matched);
        Ok(global)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Global,
    Matched,
    Skipped,
}

struct Reader<'a> {
    query: &'a ServerQuery<'a>,
    global: Settings,
    matched: Settings,
}

impl Reader<'_> {
    /// A block opened in an included file ends with it.
    fn read(&mut self, items: &[Item], state: State) -> Result<(), Undecidable> {
        let outside = state;
        let mut state = state;
        for item in items {
            match item {
                Item::Included(items) => {
                    if state != State::Skipped {
                        self.read(items, state)?;
                    }
                }
                Item::Unknown(why) if state != State::Skipped => {
                    return Err(Undecidable(why.clone()));
                }
                Item::Unknown(_) => {}
                Item::Directive(line) if line.keyword == "match" => {
                    state = if outside != State::Skipped && self.matches(line)? {
                        State::Matched
                    } else {
                        State::Skipped
                    };
                }
                Item::Directive(line) => self.set(line, state),
            }
        }
        Ok(())
    }

    fn matches(&self, line: &Directive) -> Result<bool, Undecidable> {
        let undecidable = || Undecidable(format!("Match {}", line.arguments.join(" ")));
        let mut matched = true;
        let mut words = line.arguments.iter();
        while let Some(word) = words.next() {
            let (attribute, attached) = match word.split_once('=') {
                Some((attribute, value)) => (attribute, Some(value)),
                None => (word.as_str(), None),
            };
            let attribute = attribute.to_ascii_lowercase();
            if attribute == "all" {
                continue;
            }
            let list = match attached {
                Some(value) => value,
                None => words.next().ok_or_else(undecidable)?,
            };
            match self.criterion(&attribute, list) {
                Some(true) => {}
                Some(false) => matched = false,
                // Whatever it is, a block that another criterion closes stays closed.
                None if !matched => {}
                None => return Err(undecidable()),
            }
        }
        Ok(matched)
    }

    /// `None` when it is not known.
    fn criterion(&self, attribute: &str, list: &str) -> Option<bool> {
        let names = |text: &str| {
            match_pattern_list(text.as_bytes(), list.as_bytes(), PatternCase::Sensitive)
                == ListMatch::Matched
        };
        let address = |address: &str| {
            match_address_list(address, list).map(|found| found == ListMatch::Matched)
        };
        match attribute {
            "user" => Some(names(self.query.user)),
            // groupaccess.c `ga_match_pattern_list`: any group; a negated match of any group closes it.
            "group" => {
                let groups = self.query.groups?;
                let found = groups.iter().map(|group| {
                    match_pattern_list(group.as_bytes(), list.as_bytes(), PatternCase::Sensitive)
                });
                let found: Vec<ListMatch> = found.collect();
                Some(!found.contains(&ListMatch::Negated) && found.contains(&ListMatch::Matched))
            }
            "host" => {
                let host = self.query.host?;
                Some(match_hostname(host.as_bytes(), list.as_bytes()) == ListMatch::Matched)
            }
            "address" => address(self.query.address?).ok(),
            "localaddress" => address(self.query.local_address?).ok(),
            "localport" => Some(list.parse::<u16>().ok()? == self.query.local_port?),
            _ => None,
        }
    }

    fn set(&mut self, line: &Directive, state: State) {
        let settings = match state {
            State::Global => &mut self.global,
            State::Matched => &mut self.matched,
            State::Skipped => return,
        };
        if line.arguments.is_empty() {
            return;
        }
        if ADDING.contains(&line.keyword.as_str()) {
            settings
                .entry(line.keyword.clone())
                .or_default()
                .extend(line.arguments.iter().cloned());
        } else if line.keyword == "subsystem" {
            settings
                .entry(line.keyword.clone())
                .or_default()
                .push(line.arguments.join(" "));
        } else {
            settings
                .entry(line.keyword.clone())
                .or_insert_with(|| vec![printed(line)]);
        }
    }
}

/// The value as `sshd -T` prints it.
fn printed(line: &Directive) -> String {
    if COMMANDS.contains(&line.keyword.as_str()) {
        return line.rest.clone();
    }
    let text = line.arguments.join(" ");
    let lower = text.to_ascii_lowercase();
    match (line.keyword.as_str(), lower.as_str()) {
        ("permitrootlogin", "prohibit-password") => "without-password".to_owned(),
        (_, "true") => "yes".to_owned(),
        (_, "false") => "no".to_owned(),
        (_, "yes" | "no" | "none" | "any") => lower,
        _ => text,
    }
}
