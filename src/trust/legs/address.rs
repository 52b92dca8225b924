//! What a node is dialled by, and who says so.

use std::fmt;
use std::sync::Arc;

use crate::domain::{Dial, Node};
use crate::survey::{NodeFacts, NovaSettings};

use super::sharing::is_same;

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
    /// nova.conf would say it, but the context that it is read in cannot be entered.
    NotEntered {
        /// The context and why, in words.
        failure: String,
        /// Whether no more is known than that no whole answer came out of it.
        unfinished: bool,
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

/// What a node is dialled by in one way.
///
/// Nova never reads the inventory: it dials what nova.conf of the destination announces. So the inventory's word is taken
/// where nobody knows what that is, and where both are the same; where they are not, nova.conf's counts.
pub(super) fn address(node: &Node, facts: Option<&NodeFacts>, dial: &Dial) -> Address {
    let announced = announced(node, facts, dial);
    match (stated(node, dial), &announced) {
        (None, _) => announced,
        (Some(stated), Address::Known { name, .. }) if !is_same(stated, name) => announced,
        (Some(_), Address::Unusable { .. }) => announced,
        (Some(stated), _) => Address::new(stated, Origin::Inventory),
    }
}

/// What the inventory states.
pub(super) fn stated<'a>(node: &'a Node, dial: &Dial) -> Option<&'a str> {
    match dial {
        Dial::MigrationAddress => node.migration_address.as_deref(),
        Dial::ServiceHost => node.service_host.as_deref(),
        Dial::LiveAddress => node.live_address.as_deref(),
    }
}

/// What nova.conf announces, with Nova's defaults.
fn announced(node: &Node, facts: Option<&NodeFacts>, dial: &Dial) -> Address {
    let facts = match facts {
        // For live moves too, whatever the inventory says of the service host: nova.conf may name another address.
        None => return Address::NotSurveyed,
        Some(facts) => facts,
    };
    let nova = &facts.nova;
    if !nova.read {
        // nova.conf is read in nova-compute's context: where that cannot be entered, nobody has looked.
        return match context_failure(facts) {
            Some(failure) => Address::NotEntered {
                failure,
                unfinished: facts.clients.first().is_some_and(|it| it.unfinished),
            },
            None => Address::Unstated {
                instead: unread(nova),
            },
        };
    }
    let setting = |value: &Option<String>, name| {
        let undecided = nova.undecided(&[name]).map(|it| Address::Undecided {
            values: it.values.clone(),
            origin: Origin::Setting(name),
        });
        undecided
            .or_else(|| {
                value
                    .as_deref()
                    .map(|value| Address::new(value, Origin::Setting(name)))
            })
            .or_else(|| {
                nova.problem(name).map(|problem| Address::Unstated {
                    instead: problem.to_owned(),
                })
            })
    };
    let found = match dial {
        Dial::MigrationAddress => setting(
            &nova.migration_inbound_addr,
            "[libvirt]migration_inbound_addr",
        )
        // What it defaults to has the same problem, and says it in fewer steps.
        .filter(|it| !matches!(it, Address::Unstated { .. }) || nova.problem(MY_IP).is_none())
        .or_else(|| setting(&nova.my_ip, MY_IP))
        .or_else(|| {
            nova.default_my_ip
                .as_deref()
                .map(|address| Address::new(address, Origin::DefaultRoute))
        }),
        Dial::ServiceHost => setting(&nova.host, "[DEFAULT]host")
            .or_else(|| Some(Address::new(&facts.hostname, Origin::HostName))),
        Dial::LiveAddress => setting(
            &nova.live_migration_inbound_addr,
            "[libvirt]live_migration_inbound_addr",
        )
        .or_else(|| Some(address(node, Some(facts), &Dial::ServiceHost))),
    };
    found.unwrap_or_else(|| Address::Unstated {
        instead: "neither my_ip nor a default route whose address it would be".to_owned(),
    })
}

const MY_IP: &str = "[DEFAULT]my_ip";

/// Why the context in which nova.conf is read could not be entered.
pub(super) fn context_failure(facts: &NodeFacts) -> Option<String> {
    // The first one is nova-compute's.
    let client = facts.clients.first()?;
    let failed = client.failed.as_ref()?;
    Some(format!("`{}`: {failed}", client.context.join(" ")))
}

/// Why nothing of nova.conf is known.
pub(super) fn unread(nova: &NovaSettings) -> String {
    if nova.problems.is_empty() {
        "no nova.conf".to_owned()
    } else {
        nova.problems.join("; ")
    }
}
