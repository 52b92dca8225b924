//! ssh_config(5): `Host` and `Match`, first value wins (readconf.c).

use super::difference::{Difference, Settings, Undecidable};
use super::tree::{Files, Item};
use super::words::Directive;
use crate::openssh::address::parse_address;
use crate::openssh::pattern::{
    ListMatch, PatternCase, match_hostname, match_pattern, match_pattern_list,
};

/// Keywords whose values add up instead of the first one counting.
const ADDING: &[&str] = &["identityfile", "certificatefile"];
/// Lists of algorithms may change the default instead of replacing it (`+`, `-`, `^`); only ssh knows the result.
const ALGORITHMS: &[&str] = &[
    "casignaturealgorithms",
    "ciphers",
    "hostbasedacceptedalgorithms",
    "hostbasedkeytypes",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
];

/// Paths that `ssh -G` prints with their tokens replaced.
const EXPANDED: &[&str] = &[
    "controlpath",
    "forwardagent",
    "identityagent",
    "remotecommand",
    "revokedhostkeys",
    "setenv",
    "userknownhostsfile",
];
/// Commands, which are taken as written, with their quotes.
const COMMANDS: &[&str] = &[
    "knownhostscommand",
    "localcommand",
    "proxycommand",
    "remotecommand",
];
/// Tokens that differ from name to name (ssh_config(5), TOKENS).
const NAME_TOKENS: &[&str] = &["%h", "%n", "%k", "%C"];

/// The client configuration of one account: its own file and the system's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    account: Vec<Item>,
    system: Vec<Item>,
}

/// Whom ssh is asked to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientQuery<'a> {
    /// The name on the command line.
    pub name: &'a str,
    /// The account that runs ssh.
    pub local_user: &'a str,
    /// `-l`, when it is given.
    pub user: Option<&'a str>,
}

impl ClientConfig {
    /// Reads the files of an account: `home/.ssh/config`, `/etc/ssh/ssh_config`, and whatever they include, each with
    /// its absolute path. What is not among `files` is taken for absent.
    pub fn read<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a [u8])> + Clone,
        home: &str,
    ) -> Self {
        let own = format!("{home}/.ssh");
        Self {
            account: Files::new(files.clone(), &own, Some(home)).read(&format!("{own}/config")),
            system: Files::new(files, "/etc/ssh", None).read("/etc/ssh/ssh_config"),
        }
    }

    /// Whether any setting depends on what is dialled: without, every name has what `ssh -G` prints for any.
    #[must_use]
    pub fn has_conditions(&self) -> bool {
        fn any(items: &[Item]) -> bool {
            items.iter().any(|item| match item {
                Item::Included(items) => any(items),
                Item::Unknown(_) => true,
                Item::Directive(line) => match line.keyword.as_str() {
                    "host" => line.arguments.iter().any(|pattern| pattern != "*"),
                    "match" => line.arguments != ["all"],
                    _ => false,
                },
            })
        }
        any(&self.account) || any(&self.system)
    }

    /// How the settings for `query` differ from those for `base`, for which `ssh -G` was asked.
    ///
    /// # Errors
    /// A condition that hangs on more than the files: `Match exec`, `localnetwork`, canonical host names.
    pub fn difference(
        &self,
        query: &ClientQuery<'_>,
        base: &ClientQuery<'_>,
    ) -> Result<Difference, Undecidable> {
        let (wanted, known) = (self.settings(query)?, self.settings(base)?);
        let difference = Difference::between(&wanted, &known);
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

    /// What the files say for a name, in `ssh -G`'s words; keywords that they do not mention are absent.
    fn settings(&self, query: &ClientQuery<'_>) -> Result<Settings, Undecidable> {
        let mut reader = Reader {
            query,
            host: query.name.to_owned(),
            settings: Settings::new(),
            is_final: false,
            wants_final: false,
            may_want_final: false,
        };
        reader.read_all(self)?;
        if !reader.wants_final && !reader.may_want_final {
            return Ok(reader.settings);
        }
        let first = reader.settings.clone();
        reader.host = normal_host(reader.hostname());
        reader.is_final = true;
        reader.read_all(self)?;
        // Some releases read the files again for `!final` too, others do not (readconf.c of 9.2 and of 10.5).
        if !reader.wants_final && reader.settings != first {
            return Err(Undecidable("Match !final".to_owned()));
        }
        Ok(reader.settings)
    }
}

/// What ssh makes of a name before it reads the files again: lower case, addresses in their usual form (ssh.c).
fn normal_host(host: &str) -> String {
    match parse_address(host) {
        Some(address) => address.to_string(),
        None => host.to_ascii_lowercase(),
    }
}

struct Reader<'a> {
    query: &'a ClientQuery<'a>,
    /// What `Host` patterns are held against: the name, and when reading again what `HostName` made of it.
    host: String,
    settings: Settings,
    is_final: bool,
    wants_final: bool,
    may_want_final: bool,
}

impl Reader<'_> {
    fn read_all(&mut self, config: &ClientConfig) -> Result<(), Undecidable> {
        self.read(&config.account, true)?;
        self.read(&config.system, true)?;
        let is_on = |keyword: &str, off: &str| {
            let values = self.settings.get(keyword);
            values.is_some_and(|values| values.iter().any(|value| value != off))
        };
        if is_on("canonicalizehostname", "no") {
            return Err(Undecidable("CanonicalizeHostname".to_owned()));
        }
        if is_on("canonicalizepermittedcnames", "none") {
            return Err(Undecidable("CanonicalizePermittedCNAMEs".to_owned()));
        }
        Ok(())
    }

    /// Blocks opened in an included file end with it, so each call has a state of its own.
    ///
    /// A file that is included where nothing applies is still read: a `Match final` in it makes ssh read all files
    /// again.
    fn read(&mut self, items: &[Item], active: bool) -> Result<(), Undecidable> {
        let mut active = active;
        let outside = active;
        for item in items {
            match item {
                Item::Included(items) => self.read(items, active)?,
                Item::Unknown(why) if active => return Err(Undecidable(why.clone())),
                Item::Unknown(_) => {}
                Item::Directive(line) => match line.keyword.as_str() {
                    "host" => active = outside && self.host(line),
                    "match" => {
                        let matched = self.matches(line);
                        active = outside && matched?;
                    }
                    _ if active => self.set(line)?,
                    _ => {}
                },
            }
        }
        Ok(())
    }

    fn host(&self, line: &Directive) -> bool {
        let mut matched = false;
        for pattern in &line.arguments {
            let (negated, pattern) = match pattern.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, pattern.as_str()),
            };
            if match_pattern(self.host.as_bytes(), pattern.as_bytes()) {
                if negated {
                    return false;
                }
                matched = true;
            }
        }
        matched
    }

    fn matches(&mut self, line: &Directive) -> Result<bool, Undecidable> {
        let undecidable = || Undecidable(format!("Match {}", line.arguments.join(" ")));
        let mut matched = true;
        let mut unknown = false;
        let mut words = line.arguments.iter();
        while let Some(word) = words.next() {
            let (negated, attribute) = match word.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, word.as_str()),
            };
            // `attribute=value` is one word (match_cfg_line takes both forms since 9.9).
            let (attribute, attached) = match attribute.split_once('=') {
                Some((attribute, value)) => (attribute, Some(value)),
                None => (attribute, None),
            };
            let hit = match attribute.to_ascii_lowercase().as_str() {
                "all" => Some(true),
                "canonical" => Some(self.is_final),
                "final" => {
                    self.wants_final |= !negated;
                    self.may_want_final |= negated;
                    Some(self.is_final)
                }
                attribute => {
                    let list = match attached {
                        Some(value) => value,
                        None => words.next().ok_or_else(undecidable)?,
                    };
                    self.criterion(attribute, list)
                }
            };
            match hit {
                Some(hit) if hit == negated => matched = false,
                Some(_) => {}
                None => unknown = true,
            }
        }
        // Whatever an unknown criterion would say, a block that another one closes stays closed.
        if unknown && matched {
            Err(undecidable())
        } else {
            Ok(matched)
        }
    }

    /// What is connected to, as far as the lines up to here say.
    fn hostname(&self) -> &str {
        let written = self
            .settings
            .get("hostname")
            .and_then(|values| values.first());
        match written {
            _ if self.is_final => &self.host,
            Some(written) => written,
            None => self.query.name,
        }
    }

    fn criterion(&self, attribute: &str, list: &str) -> Option<bool> {
        let is = |found: ListMatch| found == ListMatch::Matched;
        let first = |keyword: &str| self.settings.get(keyword).and_then(|it| it.first());
        Some(match attribute {
            "host" => is(match_hostname(self.hostname().as_bytes(), list.as_bytes())),
            "originalhost" => is(match_hostname(self.query.name.as_bytes(), list.as_bytes())),
            "user" => {
                let user = self
                    .query
                    .user
                    .or_else(|| first("user").map(String::as_str))
                    .unwrap_or(self.query.local_user);
                is(match_pattern_list(
                    user.as_bytes(),
                    list.as_bytes(),
                    PatternCase::Sensitive,
                ))
            }
            "localuser" => is(match_pattern_list(
                self.query.local_user.as_bytes(),
                list.as_bytes(),
                PatternCase::Sensitive,
            )),
            _ => return None,
        })
    }

    /// Takes a line that applies.
    fn set(&mut self, line: &Directive) -> Result<(), Undecidable> {
        if line.arguments.is_empty() {
            return Ok(());
        }
        let value = printed(line, self.query.name);
        // `ssh -G` prints these expanded, for the name that it was asked for.
        if EXPANDED.contains(&line.keyword.as_str())
            && NAME_TOKENS.iter().any(|token| value.contains(token))
        {
            return Err(Undecidable(format!("{} {value}", line.keyword)));
        }
        // Whichever of the two stands first counts, and the other one does not.
        let rival = match line.keyword.as_str() {
            "proxyjump" => "proxycommand",
            "proxycommand" => "proxyjump",
            _ => "",
        };
        if self.settings.contains_key(rival) {
            return Ok(());
        }
        let values = self.settings.entry(line.keyword.clone()).or_default();
        let adds = ADDING.contains(&line.keyword.as_str());
        if values.is_empty() || (adds && !values.contains(&value)) {
            values.push(value);
        }
        Ok(())
    }
}
/// The value as `ssh -G` prints it.
fn printed(line: &Directive, name: &str) -> String {
    if COMMANDS.contains(&line.keyword.as_str()) {
        return line.rest.clone();
    }
    let text = line.arguments.join(" ");
    let lower = text.to_ascii_lowercase();
    match (line.keyword.as_str(), lower.as_str()) {
        ("stricthostkeychecking", "yes" | "true") => "true".to_owned(),
        ("stricthostkeychecking", "no" | "false" | "off") => "false".to_owned(),
        ("hostname", _) => text.replace("%h", name).replace("%%", "%"),
        (_, "true") => "yes".to_owned(),
        (_, "false") => "no".to_owned(),
        (_, "yes" | "no" | "ask" | "auto" | "none" | "always" | "accept-new") => lower,
        _ => text,
    }
}
