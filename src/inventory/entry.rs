//! One entry of `nodes:`, a name or a range of names, and the nodes that it stands for.

use std::sync::Arc;

use super::jump::{JumpHosts, SSH_PORT, no_user};
use super::layer::{Found, Layer, Lookup, Origins, Shared, words};
use super::problem::{Fault, Faults, Mark};
use super::profiles::{Effective, Pool, Profiles};
use super::range::NameRange;
use super::values::{self, NAME_RULE, fingerprint, name, path, port, truth, user};
use crate::domain::{Control, HostKeyTrust, Node, NodeName};

/// What entries refer to.
pub(super) struct Tables<'a, 'd> {
    pub(super) shared: &'a Shared,
    pub(super) profiles: &'a Profiles<'d>,
    pub(super) jumps: &'a JumpHosts<'d>,
}

/// One key of a `nodes:` mapping.
pub(super) struct Entry<'d> {
    /// The place of the key.
    pub(super) mark: Mark,
    pub(super) range: NameRange,
    /// Defaults, groups and the entry itself, outermost first.
    pub(super) layers: Vec<Layer<'d>>,
    /// The groups that its nodes belong to.
    pub(super) groups: Vec<&'d str>,
}

/// A node, and where what must be unique about it is written.
pub(super) struct Resolved {
    pub(super) node: Node,
    pub(super) control: Mark,
    pub(super) service_host: Option<Mark>,
    pub(super) migration_address: Option<Mark>,
    pub(super) live_address: Option<Mark>,
}

/// A text for each node of an entry, and where it is written.
struct Spread {
    mark: Mark,
    texts: Vec<String>,
}

impl Entry<'_> {
    /// The nodes of the entry, and where their properties come from. Nodes with faults are left out.
    pub(super) fn resolve(
        &self,
        tables: &Tables<'_, '_>,
        pool: &mut Pool,
        faults: &mut Faults,
    ) -> (Vec<Resolved>, Origins) {
        let texts = self.range.expand();
        let names: Option<Vec<NodeName>> = texts
            .iter()
            .map(|text| faults.keep(self.name(text)))
            .collect();
        let mut lookup = Lookup {
            shared: tables.shared,
            layers: &self.layers,
            faults,
            origins: Vec::new(),
        };
        let cell = lookup.read(("", "cell"), |p| p.cell, name);
        let service = lookup.find(("", "service_host"), |p| p.service_host);
        let service = spread(&mut lookup, service, &texts, values::address);
        let migration = lookup.find(("", "migration_address"), |p| p.migration_address);
        let migration = spread(&mut lookup, migration, &texts, values::reachable_address);
        let live = lookup.find(("", "live_address"), |p| p.live_address);
        let live = spread(&mut lookup, live, &texts, values::reachable_address);
        let address = lookup.find(("control", "address"), |p| p.control?.address.as_ref());
        let address = match address {
            // What is wrong with the name has been said.
            None if names.is_none() => None,
            None => spread(&mut lookup, Some(self.own_name()), &texts, values::address),
            found => spread(&mut lookup, found, &texts, values::address),
        };
        let alias = lookup.find(("control", "host_key_alias"), |p| {
            p.control?.host_key_alias.as_ref()
        });
        let alias = spread(&mut lookup, alias, &texts, name);
        let control = self.control(&mut lookup, tables.jumps);
        let profile = self.profile(&mut lookup, tables, pool);
        let own = lookup.origins;
        let (Some(names), Some(control), Some(profile), Some(address)) =
            (names, control, profile, address)
        else {
            return (Vec::new(), Origins::default());
        };
        let text_of = |spread: &Option<Spread>, index: usize| -> Option<String> {
            spread.as_ref().map(|spread| spread.texts[index].clone())
        };
        let mark_of = |spread: &Option<Spread>| spread.as_ref().map(|spread| spread.mark);
        let nodes = names.into_iter().enumerate().map(|(index, name)| Resolved {
            control: address.mark,
            service_host: mark_of(&service),
            migration_address: mark_of(&migration),
            live_address: mark_of(&live),
            node: Node {
                name,
                service_host: text_of(&service, index),
                migration_address: text_of(&migration, index),
                live_address: text_of(&live, index),
                cell: cell.clone(),
                groups: self
                    .groups
                    .iter()
                    .map(|group| (*group).to_owned())
                    .collect(),
                control: Control {
                    address: address.texts[index].clone(),
                    host_key: HostKeyTrust {
                        alias: text_of(&alias, index),
                        ..control.host_key.clone()
                    },
                    ..control.clone()
                },
                profile: Arc::clone(&profile.profile),
            },
        });
        let origins = Origins {
            own,
            profile: Arc::clone(&profile.origins),
        };
        (nodes.collect(), origins)
    }

    fn name(&self, text: &str) -> Result<NodeName, Fault> {
        if text == "all" {
            return Err(Fault::new(self.mark, "a node cannot be called `all`")
                .expected("another name: `all` selects every node"));
        }
        NodeName::new(text).map_err(|rule| {
            Fault::new(self.mark, format!("`{text}` is not a node: {rule}")).expected(NAME_RULE)
        })
    }

    /// The template that stands for a node's own name, at the place where the name is written.
    fn own_name(&self) -> Found<'static, String> {
        static NAME: std::sync::LazyLock<String> =
            std::sync::LazyLock::new(|| NAME_PLACEHOLDER.to_owned());
        Found {
            value: &NAME,
            mark: self.mark,
            in_entry: true,
        }
    }

    /// The control connection, still without an address of its own.
    fn control(&self, lookup: &mut Lookup<'_, '_>, jumps: &JumpHosts<'_>) -> Option<Control> {
        let shared = lookup.shared;
        let file = |mark: Mark, text: &str| path(mark, text, &shared.context, shared.base(mark));
        let port = lookup.read(("control", "port"), |p| p.control?.port.as_ref(), port);
        let stated = lookup.find(("control", "user"), |p| p.control?.user.as_ref());
        let user = match (stated, &shared.context.user) {
            (Some(found), _) => lookup.faults.keep(user(found.mark, found.value)),
            (None, Some(user)) => Some(user.clone()),
            (None, None) => lookup.faults.keep(Err(no_user(self.mark))),
        };
        let sudo = lookup.read(("control", "sudo"), |p| p.control?.sudo.as_ref(), truth);
        let agent = lookup.read(("control", "agent"), |p| p.control?.agent.as_ref(), truth);
        let identities = lookup.read_all(
            ("control", "identity"),
            |p| p.control?.identity.as_ref(),
            file,
        );
        let known_hosts = lookup.read_all(
            ("control", "known_hosts"),
            |p| p.control?.known_hosts.as_ref(),
            file,
        );
        let pinned = lookup.read_all(
            ("control", "host_key"),
            |p| p.control?.host_key.as_ref(),
            fingerprint,
        );
        let jump = lookup.find(("control", "jump"), |p| p.control?.jump.as_ref());
        let jump = match jump {
            None => Vec::new(),
            Some(found) => lookup
                .faults
                .keep(jumps.route(&words(found.mark, found.value)))?,
        };
        let user = user?;
        Some(Control {
            address: String::new(),
            port: port.unwrap_or(SSH_PORT),
            sudo: sudo.unwrap_or(user != "root"),
            user,
            identities,
            agent: agent.unwrap_or(true),
            host_key: HostKeyTrust {
                known_hosts,
                alias: None,
                pinned,
            },
            jump,
        })
    }

    /// The profile with the overrides of every layer.
    fn profile(
        &self,
        lookup: &mut Lookup<'_, '_>,
        tables: &Tables<'_, '_>,
        pool: &mut Pool,
    ) -> Option<Effective> {
        let profiles = tables.profiles;
        let name = match lookup.find(("", "profile"), |p| p.profile) {
            None => profiles.default,
            Some(found) => {
                let known = profiles.check(found.mark, found.value);
                lookup.faults.keep(known)?;
                found.value
            }
        };
        pool.effective(name, &self.layers, (profiles, lookup.shared), lookup.faults)
    }
}

/// Stands for the node's name in addresses.
const NAME_PLACEHOLDER: &str = "{name}";

/// A text for each name: one with `{name}` in it, or a range of as many texts as there are names.
fn spread(
    lookup: &mut Lookup<'_, '_>,
    found: Option<Found<'_, String>>,
    names: &[String],
    read: impl Fn(Mark, &str) -> Result<String, Fault>,
) -> Option<Spread> {
    let found = found?;
    let patterns = lookup
        .faults
        .keep(patterns(lookup.faults, &found, names.len()))?;
    let texts = names
        .iter()
        .zip(patterns.iter().cycle())
        .map(|(name, pattern)| {
            lookup
                .faults
                .keep(read(found.mark, &pattern.replace(NAME_PLACEHOLDER, name)))
        })
        .collect::<Option<Vec<String>>>()?;
    Some(Spread {
        mark: found.mark,
        texts,
    })
}

/// One pattern for all names, or one for each.
fn patterns(
    faults: &Faults,
    found: &Found<'_, String>,
    count: usize,
) -> Result<Vec<String>, Fault> {
    let text = found.value;
    if text.replace(NAME_PLACEHOLDER, "").contains(['{', '}']) {
        return Err(
            Fault::new(found.mark, format!("unknown placeholder in `{text}`"))
                .expected("only `{name}`, which stands for the name of the node"),
        );
    }
    if text.contains(['[', ']']) {
        if !found.in_entry {
            return Err(
                Fault::new(found.mark, "a range that belongs to no range of nodes")
                    .expected("`{name}` here, or the range beside the names of the nodes"),
            );
        }
        let range = NameRange::parse(text).map_err(|error| {
            Fault::new(
                faults.part(found.mark, error.column, error.length),
                error.message,
            )
            .expected(error.expected)
        })?;
        if range.count() != count {
            return Err(Fault::new(
                found.mark,
                format!(
                    "{} for {count} node{}",
                    counted(range.count()),
                    plural(count)
                ),
            )
            .expected("as many as there are nodes"));
        }
        return Ok(range.expand());
    }
    if found.in_entry && count > 1 && !text.contains(NAME_PLACEHOLDER) {
        return Err(
            Fault::new(found.mark, format!("one value for {count} nodes"))
                .expected(format!("a range of {count}, or `{NAME_PLACEHOLDER}` in it")),
        );
    }
    Ok(vec![text.clone()])
}

fn counted(count: usize) -> String {
    format!("{count} value{}", plural(count))
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
