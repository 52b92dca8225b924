//! From assignments to settings: which one wins, `$` substitution, defaults.

use std::collections::HashMap;

use super::ini::IniFile;

/// The settings of nova-compute on one node that matter for moves, after `$` substitution and defaults.
///
/// A setting that is absent from every file has Nova's default; [`NovaSettings::read`] says whether there was
/// any file at all. What nova-compute is given by environment variables (oslo.config's `OS_DEFAULT__MY_IP` and the
/// like) cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NovaSettings {
    /// Whether at least one nova.conf was there and readable.
    pub read: bool,
    /// `[DEFAULT]host`; defaults to the host name of the context (socket.gethostname()).
    pub host: Option<String>,
    /// `[DEFAULT]my_ip`; `None` when unset, which means the address of the default route.
    pub my_ip: Option<String>,
    /// The address of the default route as the node sees it, what `my_ip` defaults to
    /// (oslo_utils.netutils.get_my_ipv4). Only asked for when `my_ip` is unset.
    pub default_my_ip: Option<String>,
    /// `[DEFAULT]instances_path`; `$state_path/instances` by default. Empty when it could not be worked out.
    pub instances_path: String,
    /// `[libvirt]migration_inbound_addr`; `$my_ip` by default (2024.1 on). `%s` already replaced by the host name.
    pub migration_inbound_addr: Option<String>,
    /// `[libvirt]live_migration_inbound_addr`.
    pub live_migration_inbound_addr: Option<String>,
    /// `[libvirt]live_migration_scheme`.
    pub live_migration_scheme: Option<String>,
    /// `[libvirt]live_migration_uri`, deprecated but honoured first.
    pub live_migration_uri: Option<String>,
    /// `[libvirt]remote_filesystem_transport`: `ssh` by default.
    pub remote_filesystem_transport: String,
    /// `[libvirt]virt_type`.
    pub virt_type: Option<String>,
    /// `[libvirt]live_migration_tunnelled`.
    pub live_migration_tunnelled: bool,
    /// `[DEFAULT]max_concurrent_live_migrations`, away from this node; `None` when unset, 0 for no bound.
    pub max_concurrent_live_migrations: Option<u32>,
    /// nova-compute's log file by `[DEFAULT]log_file` and `log_dir` (oslo_log/log.py `_get_log_file_path`); `None` when
    /// neither is set: then its command line, or the journal, decides.
    pub log_file: Option<String>,
    /// Options whose value depends on an order of files that is not known; above, they have what the order of the profile
    /// makes of them.
    pub undecided: Vec<Undecided>,
    /// Options whose value could not be worked out (unknown `$name`, unreadable file), with why.
    pub problems: Vec<String>,
}

/// An option that has one value or another: files of a directory count before or after others, as nova-compute was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// The option, as Nova's documentation names it.
    pub option: &'static str,
    /// Both values, in words.
    pub values: String,
}

impl NovaSettings {
    /// The first of these options whose value is not known, with both that it may have.
    #[must_use]
    pub fn undecided(&self, options: &[&str]) -> Option<&Undecided> {
        let mut all = self.undecided.iter();
        all.find(|it| options.contains(&it.option))
    }

    /// Why the value of an option, named as Nova's documentation names it, could not be worked out.
    #[must_use]
    pub fn problem(&self, option: &str) -> Option<&str> {
        let is_of = |problem: &&String| {
            let rest = problem.strip_prefix(option);
            rest.is_some_and(|rest| rest.starts_with(": "))
        };
        self.problems.iter().find(is_of).map(String::as_str)
    }
}

/// What Nova's defaults take from the node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// `socket.gethostname()` in the context.
    pub(crate) hostname: String,
    /// The name that libvirt gives the host: the canonical name of the host name when it resolves.
    pub(crate) libvirt_hostname: Option<String>,
    /// `oslo_utils.netutils.get_my_ipv4()`.
    pub(crate) default_my_ip: Option<String>,
}

/// The settings that files make, the last one winning.
pub(crate) fn settings(files: &[(String, IniFile)], around: &Surroundings) -> NovaSettings {
    let mut values = HashMap::new();
    let mut places = HashMap::new();
    let mut problems = Vec::new();
    for (path, file) in files {
        if let Some(what) = &file.refused {
            problems.push(format!(
                "{path}: {what}: nova-compute does not start with this"
            ));
        }
        for (section, option, value) in &file.assignments {
            values.insert((section.as_str(), option.as_str()), value.as_str());
            places.insert((section.as_str(), option.as_str()), path.as_str());
        }
    }
    let mut options = Options {
        values,
        places,
        around,
        problems,
    };
    // What is set to nothing is as good as not set for these: Nova tests them for truth.
    let some = |options: &mut Options<'_>, section, option| {
        let value = options.get(section, option);
        value.filter(|value| !value.is_empty())
    };
    let is_set = |options: &Options<'_>, option| options.values.contains_key(&("DEFAULT", option));
    let my_ip = match is_set(&options, "my_ip") {
        true => options.needed("DEFAULT", "my_ip"),
        false => None,
    };
    let migration_inbound_addr = options
        .needed("libvirt", "migration_inbound_addr")
        .and_then(|address| options.with_host_name(&address));
    let tunnelled = some(&mut options, "libvirt", "live_migration_tunnelled");
    let log_file = some(&mut options, "DEFAULT", "log_file")
        .or_else(|| some(&mut options, "DEFAULT", "logfile"));
    let log_dir = some(&mut options, "DEFAULT", "log_dir")
        .or_else(|| some(&mut options, "DEFAULT", "logdir"));
    NovaSettings {
        read: !files.is_empty(),
        host: options
            .needed("DEFAULT", "host")
            .and_then(|name| options.host_name("[DEFAULT]host", name)),
        my_ip,
        default_my_ip: around.default_my_ip.clone(),
        instances_path: options
            .needed("DEFAULT", "instances_path")
            .unwrap_or_default(),
        migration_inbound_addr,
        live_migration_inbound_addr: some(&mut options, "libvirt", "live_migration_inbound_addr")
            .and_then(|name| options.host_name("[libvirt]live_migration_inbound_addr", name)),
        live_migration_scheme: some(&mut options, "libvirt", "live_migration_scheme"),
        live_migration_uri: some(&mut options, "libvirt", "live_migration_uri"),
        remote_filesystem_transport: options
            .needed("libvirt", "remote_filesystem_transport")
            .unwrap_or_default(),
        virt_type: some(&mut options, "libvirt", "virt_type"),
        live_migration_tunnelled: tunnelled.is_some_and(|value| options.boolean(&value)),
        max_concurrent_live_migrations: some(
            &mut options,
            "DEFAULT",
            "max_concurrent_live_migrations",
        )
        .and_then(|value| options.number("[DEFAULT]max_concurrent_live_migrations", &value)),
        log_file: match (log_dir, log_file) {
            (_, Some(file)) if file.starts_with('/') => Some(file),
            (Some(dir), Some(file)) => Some(format!("{}/{file}", dir.trim_end_matches('/'))),
            (Some(dir), None) => Some(format!("{}/nova-compute.log", dir.trim_end_matches('/'))),
            // Relative to nowhere that is known.
            (None, _) => None,
        },
        undecided: Vec::new(),
        problems: options.problems,
    }
}

struct Options<'a> {
    values: HashMap<(&'a str, &'a str), &'a str>,
    /// The file that each of them is from.
    places: HashMap<(&'a str, &'a str), &'a str>,
    around: &'a Surroundings,
    problems: Vec<String>,
}

/// Options of `[libvirt]` that have no default: a reference to them is then empty.
const UNSET: [&str; 3] = [
    "live_migration_inbound_addr",
    "live_migration_scheme",
    "live_migration_uri",
];

/// How deep `$` may refer to what refers to something else.
const DEPTH_MAX: usize = 16;

impl Options<'_> {
    /// The value of an option, or Nova's default; `None` when it has none or cannot be worked out.
    fn get(&mut self, section: &str, option: &str) -> Option<String> {
        match self.value(section, option, 0) {
            Ok(value) => value,
            Err(why) => {
                let place = match self.places.get(&(section, option)) {
                    Some(path) => format!(" ({path})"),
                    None => String::new(),
                };
                self.problems
                    .push(format!("[{section}]{option}: {why}{place}"));
                None
            }
        }
    }

    /// The same for an option that must not be empty.
    fn needed(&mut self, section: &str, option: &str) -> Option<String> {
        let value = self.get(section, option)?;
        if value.is_empty() {
            self.problems.push(format!("[{section}]{option}: is empty"));
            return None;
        }
        Some(value)
    }

    /// `oslo_config.types.HostDomain`, roughly: what can be a name or an address.
    fn host_name(&mut self, option: &str, name: String) -> Option<String> {
        let possible = |c: char| c.is_ascii_alphanumeric() || "-_.:%".contains(c);
        if name.starts_with('-') || !name.chars().all(possible) {
            self.problems
                .push(format!("{option}: `{name}` is no host name"));
            return None;
        }
        Some(name)
    }

    fn value(&self, section: &str, option: &str, depth: usize) -> Result<Option<String>, String> {
        if depth > DEPTH_MAX {
            return Err("refers to itself".to_owned());
        }
        let written = match self.values.get(&(section, option)) {
            Some(value) => (*value).to_owned(),
            None => match self.default(section, option)? {
                Some(value) => value,
                None => return Ok(None),
            },
        };
        self.substitute(&written, section, depth).map(Some)
    }

    /// The defaults of nova/conf/{netconf,compute,paths,libvirt}.py.
    fn default(&self, section: &str, option: &str) -> Result<Option<String>, String> {
        Ok(match (section, option) {
            ("DEFAULT", "my_ip") => Some(self.around.default_my_ip.clone().ok_or(
                "[DEFAULT]my_ip is not set, and the address of the default route is not known",
            )?),
            ("DEFAULT", "host") => Some(self.around.hostname.clone()),
            ("DEFAULT", "instances_path") => Some("$state_path/instances".to_owned()),
            ("DEFAULT", "state_path") => {
                return Err(
                    "[DEFAULT]state_path is not set, and its default depends on where Nova is installed"
                        .to_owned(),
                );
            }
            ("libvirt", "migration_inbound_addr") => Some("$my_ip".to_owned()),
            ("libvirt", "remote_filesystem_transport") => Some("ssh".to_owned()),
            ("libvirt", "virt_type") => Some("kvm".to_owned()),
            _ => None,
        })
    }

    /// `ConfigOpts._substitute`: Python's string.Template with dots in names; what is no name stays as it is.
    fn substitute(&self, written: &str, section: &str, depth: usize) -> Result<String, String> {
        let written = written.replace(r"\$", "$$");
        let mut value = String::new();
        let mut rest = written.as_str();
        while let Some(at) = rest.find('$') {
            value.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix('$') {
                value.push('$');
                rest = behind;
            } else if let Some((name, behind)) = name(rest) {
                value.push_str(&self.reference(name, section, depth)?);
                rest = behind;
            } else {
                value.push('$');
            }
        }
        value.push_str(rest);
        Ok(value)
    }

    /// `StrSubWrapper.__getitem__`: the option of the same section, else of `DEFAULT`; `section.option` as it says.
    fn reference(&self, name: &str, section: &str, depth: usize) -> Result<String, String> {
        let places = match name.split_once('.') {
            // Options of DEFAULT cannot be named with their section.
            Some(("DEFAULT", _)) => Vec::new(),
            Some((section, option)) => vec![(section.to_lowercase(), option)],
            None => vec![(section.to_owned(), name), ("DEFAULT".to_owned(), name)],
        };
        for (section, option) in &places {
            if let Some(value) = self.value(section, option, depth + 1)? {
                return Ok(value);
            }
            if section == "libvirt" && UNSET.contains(option) {
                return Ok(String::new());
            }
        }
        Err(format!("refers to `${name}`, which no file sets"))
    }

    /// `LibvirtDriver.get_host_ip_addr`: Python's `%` with the host name as its one argument.
    fn with_host_name(&mut self, address: &str) -> Option<String> {
        if !address.contains("%s") {
            return Some(address.to_owned());
        }
        let others = address.replace("%%", "").replacen("%s", "", 1);
        if others.contains('%') {
            self.problems.push(format!(
                "[libvirt]migration_inbound_addr: `{address}` has more in it that Python's % would replace"
            ));
            return None;
        }
        let name = self.around.libvirt_hostname.as_ref();
        let name = name.unwrap_or(&self.around.hostname);
        // The one %s is replaced first: a name has no % in it.
        Some(address.replacen("%s", name, 1).replace("%%", "%"))
    }

    /// `oslo_config.types.Integer`, from 0 on: digits, with blanks around them.
    fn number(&mut self, option: &str, value: &str) -> Option<u32> {
        let number = value.trim().parse().ok();
        if number.is_none() {
            self.problems
                .push(format!("{option}: `{value}` is no number from 0 on"));
        }
        number
    }

    /// `oslo_config.types.Boolean`.
    fn boolean(&mut self, value: &str) -> bool {
        match value.to_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => true,
            "false" | "0" | "off" | "no" => false,
            _ => {
                self.problems.push(format!(
                    "[libvirt]live_migration_tunnelled: `{value}` is no truth value"
                ));
                false
            }
        }
    }
}

/// The name behind a `$`, with or without braces, and what comes after it.
fn name(rest: &str) -> Option<(&str, &str)> {
    let (inner, braced) = match rest.strip_prefix('{') {
        Some(inner) => (inner, true),
        None => (rest, false),
    };
    if !inner.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic()) {
        return None;
    }
    let end = inner
        .find(|c: char| !(c == '_' || c == '.' || c.is_ascii_alphanumeric()))
        .unwrap_or(inner.len());
    let (name, behind) = inner.split_at(end);
    if braced {
        behind.strip_prefix('}').map(|behind| (name, behind))
    } else {
        Some((name, behind))
    }
}
