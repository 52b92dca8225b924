//! What a node is dialled by, and who says so.

use std::fmt;
use std::sync::Arc;

use crate::domain::{Dial, Node};
use crate::openssh::known_hosts::HostName;
use crate::survey::{NodeFacts, NovaSettings};

/// Who says what a node is dialled by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The inventory.
    Inventory,
    /// An option of nova.conf, named as Nova's documentation names it.
    Setting(&'static str),
    /// The address of the default route, which `my_ip` defaults to.
    DefaultRoute,
    /// The host name, which `[DEFAULT]host` defaults to.
    HostName,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inventory => "the inventory",
            Self::Setting(name) => name,
            Self::DefaultRoute => "the default route, as my_ip is not set",
            Self::HostName => "the host name, as [DEFAULT]host is not set",
        })
    }
}

/// What a node is dialled by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// This name or literal address.
    Known {
        /// As it is dialled: never empty, no blanks, never starting with `-`.
        name: Arc<str>,
        /// Who says so.
        origin: Origin,
    },
    /// The value cannot be dialled: it is empty, has blanks, or would be read as an option.
    Unusable {
        /// The value, as it stands.
        value: String,
        /// Where it stands.
        origin: Origin,
    },
    /// It may be one or another, and nobody has seen which one nova-compute was started with.
    Undecided {
        /// Those that it may be, in words.
        values: String,
        /// Where they stand.
        origin: Origin,
    },
    /// Neither the inventory nor nova.conf says it.
    Unstated {
        /// What there is instead, in words.
        instead: String,
    },
    /// nova.conf would say it, but the node was not surveyed.
    NotSurveyed,
}

impl Address {
    /// The name, when there is one.
    #[must_use]
    pub fn name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Known { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whether the operator states it, in the inventory.
    pub(super) fn is_stated(&self) -> bool {
        matches!(
            self,
            Self::Known {
                origin: Origin::Inventory,
                ..
            }
        )
    }

    fn new(value: &str, origin: Origin) -> Self {
        if is_dialable(value) {
            Self::Known {
                name: value.into(),
                origin,
            }
        } else {
            Self::Unusable {
                value: value.to_owned(),
                origin,
            }
        }
    }
}

/// Whether ssh and libvirt take it for a host name or an address and for nothing else.
pub(super) fn is_dialable(name: &str) -> bool {
    /// The longest DNS name; longer ones resolve nowhere.
    const LONGEST: usize = 253;
    !name.is_empty()
        && name.len() <= LONGEST
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-:%".contains(&byte))
}

/// What the inventory states.
fn stated<'a>(node: &'a Node, dial: &Dial) -> Option<&'a str> {
    let stated = match dial {
        Dial::MigrationAddress => &node.migration_address,
        Dial::ServiceHost => &node.service_host,
        Dial::LiveAddress => &node.live_address,
    };
    stated.as_deref()
}

/// What a node is dialled by in one way, as the inventory states it or else nova.conf.
pub(super) fn address(node: &Node, facts: Option<&NodeFacts>, dial: &Dial) -> Address {
    match stated(node, dial) {
        Some(stated) => Address::new(stated, Origin::Inventory),
        None => by_nova_conf(facts, dial, node.service_host.as_deref()),
    }
}

/// What a node announces, where that is known and is not what the inventory states: Nova reads no inventory.
pub(super) fn announced(node: &Node, facts: Option<&NodeFacts>, dial: &Dial) -> Option<Address> {
    let stated = stated(node, dial)?;
    let told = by_nova_conf(facts, dial, None);
    let is_same = HostName::new(stated, 22) == HostName::new(told.name()?, 22);
    (!is_same).then_some(told)
}

/// What nova.conf says. `service_host` is what the inventory says of the host.
fn by_nova_conf(facts: Option<&NodeFacts>, dial: &Dial, service_host: Option<&str>) -> Address {
    let nova = match facts {
        // For live moves too, whatever the inventory says of the service host: nova.conf may name another address.
        None => return Address::NotSurveyed,
        // nova.conf is read in nova-compute's context: where that cannot be entered, nobody has looked.
        Some(facts)
            if !facts.nova.read && facts.clients.first().is_some_and(|it| it.failed.is_some()) =>
        {
            return Address::NotSurveyed;
        }
        Some(facts) if !facts.nova.read => {
            return Address::Unstated {
                instead: unread(&facts.nova),
            };
        }
        Some(facts) => &facts.nova,
    };
    let setting = |value: &Option<String>, name| match nova.undecided(&[name]) {
        Some(it) => Some(Address::Undecided {
            values: it.values.clone(),
            origin: Origin::Setting(name),
        }),
        None => value
            .as_deref()
            .map(|value| Address::new(value, Origin::Setting(name))),
    };
    let service_host = || {
        service_host
            .map(|host| Address::new(host, Origin::Inventory))
            .or_else(|| setting(&nova.host, "[DEFAULT]host"))
            .or_else(|| facts.map(|facts| Address::new(&facts.hostname, Origin::HostName)))
    };
    let found = match dial {
        Dial::MigrationAddress => setting(
            &nova.migration_inbound_addr,
            "[libvirt]migration_inbound_addr",
        )
        .or_else(|| setting(&nova.my_ip, "[DEFAULT]my_ip"))
        .or_else(|| {
            nova.default_my_ip
                .as_deref()
                .map(|address| Address::new(address, Origin::DefaultRoute))
        }),
        Dial::ServiceHost => service_host(),
        Dial::LiveAddress => setting(
            &nova.live_migration_inbound_addr,
            "[libvirt]live_migration_inbound_addr",
        )
        .or_else(service_host),
    };
    found.unwrap_or_else(|| Address::Unstated {
        instead: "neither my_ip nor a default route whose address it would be".to_owned(),
    })
}

/// Why nothing of nova.conf is known.
pub(super) fn unread(nova: &NovaSettings) -> String {
    if nova.problems.is_empty() {
        "no nova.conf".to_owned()
    } else {
        nova.problems.join("; ")
    }
}
