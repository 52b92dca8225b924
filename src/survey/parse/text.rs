//! The lines that the node's awk printed of everything that it read as text.

use std::collections::BTreeMap;

use super::stream::{SurveyError, text_number};

/// What awk read, line by line taken apart.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// Account, path, by role, in the order of the configuration.
    roles: BTreeMap<String, Vec<(String, String)>>,
    /// Who ran this; without a name when that is nobody's user id.
    pub(super) own: Option<Passwd>,
    /// Accounts that may be logged in to.
    pub(super) accounts: Vec<Passwd>,
    /// Accounts that do not exist.
    pub(super) missing: Vec<String>,
    /// Groups of those accounts by their id.
    pub(super) groups: BTreeMap<u32, Group>,
    /// Shadow entries, reduced.
    pub(super) shadow: BTreeMap<String, Shadow>,
    /// Public halves of ed25519 keys, by path of the private key.
    pub(super) keys: BTreeMap<String, [u8; 32]>,
    /// How many bytes such a file has if its last line ends in a newline, by path.
    pub(super) key_bytes: BTreeMap<String, u64>,
    /// nova.conf files: whether they could be read (`r`, `u` no, `-` not there), and the path.
    pub(super) nova_files: Vec<(char, String)>,
    /// Number of the file (from 1), section, line as it is written.
    pub(super) nova_lines: Vec<(usize, String, String)>,
    /// Number of the file and what is wrong with it.
    pub(super) nova_bad: Vec<(usize, String)>,
    pub(super) os: Option<String>,
    pub(super) clock: Option<i64>,
    /// IPv4 in dotted form.
    pub(super) addresses: Vec<String>,
    /// IPv6 as 32 hexadecimal digits.
    pub(super) addresses6: Vec<String>,
    /// What could not be worked out: its kind and the text.
    pub(super) odd: Vec<(String, String)>,
}

/// A passwd entry with the names of its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passwd {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
    pub(super) shell: String,
    pub(super) groups: Vec<String>,
}

impl Passwd {
    /// `uid:gid:home:shell`.
    fn parse(name: &str, entry: &str) -> Option<Self> {
        let mut fields = entry.splitn(4, ':');
        Some(Self {
            name: name.to_owned(),
            uid: text_number(fields.next()?.as_bytes())?,
            gid: text_number(fields.next()?.as_bytes())?,
            home: fields.next()?.to_owned(),
            shell: fields.next()?.to_owned(),
            groups: Vec::new(),
        })
    }
}

/// A group and who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) members: Vec<String>,
    /// Users whose primary group it is.
    pub(super) primary: Vec<u32>,
}

/// A shadow entry without its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shadow {
    pub(super) locked: bool,
    /// Day of the last change of the password.
    pub(super) changed: Option<i64>,
    /// Days after which it must be changed.
    pub(super) max: Option<i64>,
    /// Day on which the account expires.
    pub(super) expires: Option<i64>,
}

impl Text {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, SurveyError> {
        let text = String::from_utf8_lossy(bytes);
        let Some(text) = text.strip_suffix("done") else {
            return Err(SurveyError::Missing("last line of the text"));
        };
        let mut read = Self::default();
        for line in text.lines() {
            read.line(line)
                .ok_or_else(|| SurveyError::Unexpected(line.chars().take(80).collect()))?;
        }
        Ok(read)
    }

    /// Account and path of everything in a role.
    pub(super) fn role(&self, role: &str) -> impl Iterator<Item = (&str, &str)> {
        let found = self.roles.get(role).map(Vec::as_slice).unwrap_or_default();
        found.iter().map(|(of, path)| (of.as_str(), path.as_str()))
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let (tag, rest) = line.split_once('\t')?;
        let two = || rest.split_once('\t');
        match tag {
            // These speak to the shell, which has acted on them.
            "want" | "include" | "user" | "hint" | "known-ssh" | "known-sshd" => {}
            "role" => {
                let (role, rest) = two()?;
                let (of, path) = rest.split_once('\t')?;
                let role = self.roles.entry(role.to_owned()).or_default();
                role.push((of.to_owned(), path.to_owned()));
            }
            "self" => {
                let (entry, name) = two()?;
                self.own = Some(Passwd::parse(name, entry)?);
            }
            "self-groups" => {
                let (groups, _) = two()?;
                self.own.as_mut()?.groups = list(groups, ',');
            }
            "account" => {
                let (name, entry) = two()?;
                self.accounts.push(Passwd::parse(name, entry)?);
            }
            "groups" => {
                let (name, groups) = two()?;
                let account = self.accounts.iter_mut().find(|a| a.name == name)?;
                account.groups = list(groups, ',');
            }
            "missing" => self.missing.push(rest.to_owned()),
            "group" => {
                let mut fields = rest.splitn(4, '\t');
                let id = text_number(fields.next()?.as_bytes())?;
                let (name, members, primary) = (fields.next()?, fields.next()?, fields.next()?);
                let primary = list(primary, ' ');
                let primary = primary.iter().map(|uid| text_number(uid.as_bytes()));
                let group = Group {
                    name: name.to_owned(),
                    members: list(members, ','),
                    primary: primary.collect::<Option<_>>()?,
                };
                self.groups.insert(id, group);
            }
            "shadow" => {
                let (name, entry) = two()?;
                let fields: Vec<&str> = entry.split(':').collect();
                let [lock, changed, max, _inactive, expires] = fields.as_slice() else {
                    return None;
                };
                let shadow = Shadow {
                    locked: *lock == "locked",
                    changed: days(changed),
                    max: days(max),
                    expires: days(expires),
                };
                self.shadow.insert(name.to_owned(), shadow);
            }
            "key" => {
                let (public, path) = two()?;
                self.keys.insert(path.to_owned(), hex32(public)?);
            }
            "key-bytes" => {
                let (bytes, path) = two()?;
                let bytes = text_number(bytes.as_bytes())?;
                self.key_bytes.insert(path.to_owned(), bytes);
            }
            "nova-file" => {
                let (state, path) = two()?;
                let state = state.chars().next().filter(|c| "ru-".contains(*c))?;
                self.nova_files.push((state, path.to_owned()));
            }
            "nova" => {
                let (section, rest) = two()?;
                let (number, line) = rest.split_once('\t')?;
                let number = self.file_number(number)?;
                self.nova_lines
                    .push((number, section.to_owned(), line.to_owned()));
            }
            "nova-bad" => {
                let (what, number) = two()?;
                let number = self.file_number(number)?;
                self.nova_bad.push((number, what.to_owned()));
            }
            "os" => self.os = Some(rest.to_owned()),
            "clock" => self.clock = Some(text_number(rest.as_bytes())?),
            "address" => self.addresses.push(rest.to_owned()),
            "address6" => self.addresses6.push(rest.to_owned()),
            "odd" => {
                let (kind, text) = two()?;
                self.odd.push((kind.to_owned(), text.to_owned()));
            }
            _ => return None,
        }
        Some(())
    }

    fn file_number(&self, text: &str) -> Option<usize> {
        let number = text_number(text.as_bytes())?;
        (1..=self.nova_files.len())
            .contains(&number)
            .then_some(number)
    }
}

fn list(text: &str, separator: char) -> Vec<String> {
    let items = text.split(separator).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

/// A field of shadow: empty and -1 both mean that there is none.
fn days(text: &str) -> Option<i64> {
    text_number(text.as_bytes())
}

fn hex32(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        let digits = text[2 * i..2 * i + 2].to_ascii_lowercase();
        *byte = u8::from_str_radix(&digits, 16)
            .ok()
            .filter(|_| !digits.contains('+'))?;
    }
    Some(bytes)
}
