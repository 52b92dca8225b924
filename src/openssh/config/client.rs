//! ssh_config(5): `Host` and `Match`, first value wins (readconf.c).

use super::difference::{Difference, Settings, Undecidable};
use super::tree::{Files, Item};
use super::words::Directive;
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
            settings: Settings::new(),
            is_final: false,
            wants_final: false,
        };
        reader.read(&self.account, true)?;
        reader.read(&self.system, true)?;
        let canonicalizes = reader
            .settings
            .get("canonicalizehostname")
            .is_some_and(|values| values.iter().any(|value| value != "no"));
        if canonicalizes {
            return Err(Undecidable("CanonicalizeHostname".to_owned()));
        }
        if reader.wants_final {
            reader.is_final = true;
            reader.read(&self.account, true)?;
            reader.read(&self.system, true)?;
        }
        Ok(reader.settings)
    }
}

struct Reader<'a> {
    query: &'a ClientQuery<'a>,
    settings: Settings,
    is_final: bool,
    wants_final: bool,
}

impl Reader<'_> {
    /// Blocks opened in an included file end with it, so each call has a state of its own.
    fn read(&mut self, items: &[Item], active: bool) -> Result<(), Undecidable> {
        let mut active = active;
        let outside = active;
        for item in items {
            match item {
                Item::Included(items) => {
                    if active {
                        self.read(items, true)?;
                    }
                }
                Item::Directive(line) => match line.keyword.as_str() {
                    "host" => active = outside && self.host(line),
                    "match" => active = outside && self.matches(line)?,
                    _ if active => self.set(line),
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
            if match_pattern(self.query.name.as_bytes(), pattern.as_bytes()) {
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
                "all" => true,
                "canonical" => self.is_final,
                "final" => {
                    self.wants_final = true;
                    self.is_final
                }
                attribute => {
                    let list = match attached {
                        Some(value) => value,
                        None => words.next().ok_or_else(undecidable)?,
                    };
                    // An attribute after one that failed is not evaluated; it could not change the result.
                    if !matched {
                        continue;
                    }
                    self.criterion(attribute, list).ok_or_else(undecidable)?
                }
            };
            if hit == negated {
                matched = false;
            }
        }
        Ok(matched)
    }

    fn criterion(&self, attribute: &str, list: &str) -> Option<bool> {
        let is = |found: ListMatch| found == ListMatch::Matched;
        let first = |keyword: &str| self.settings.get(keyword).and_then(|it| it.first());
        Some(match attribute {
            "host" => {
                let host = first("hostname").map_or(self.query.name, String::as_str);
                is(match_hostname(host.as_bytes(), list.as_bytes()))
            }
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

    fn set(&mut self, line: &Directive) {
        if line.arguments.is_empty() {
            return;
        }
        let value = printed(line, self.query.name);
        if ADDING.contains(&line.keyword.as_str()) {
            let values = self.settings.entry(line.keyword.clone()).or_default();
            if !values.contains(&value) {
                values.push(value);
            }
        } else {
            self.settings
                .entry(line.keyword.clone())
                .or_insert_with(|| vec![value]);
        }
    }
}

/// The value as `ssh -G` prints it.
fn printed(line: &Directive, name: &str) -> String {
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
