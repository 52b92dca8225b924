//! The `known_hosts` files that one `ssh` reads.

use std::sync::Arc;

use crate::openssh::key::PublicKey;

use super::algorithms::{self, KeyTypeOrder};
use super::check::{self, Found, HostKeyCheck, Lookup, Position};
use super::document::{Hosts, KnownHosts, Marker};
use super::query::{HostKeyContext, HostName};

/// Files in the order in which `ssh` reads them: `UserKnownHostsFile`, then `GlobalKnownHostsFile`. A file that does not exist
/// is an empty one; that keeps the indexes of the others.
#[derive(Clone, Debug, Default)]
pub struct KnownHostsSet {
    files: Vec<Arc<KnownHosts>>,
}

/// Another name under which a key is recorded (`ssh` shows these with an unknown host key).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherName {
    /// The line.
    pub at: Position,
    /// The hosts field as written; nothing for a hashed name.
    pub hosts: Option<Box<[u8]>>,
}

impl KnownHostsSet {
    /// A set of files.
    #[must_use]
    pub fn new(files: Vec<Arc<KnownHosts>>) -> Self {
        Self { files }
    }

    /// The files in order.
    #[must_use]
    pub fn files(&self) -> &[Arc<KnownHosts>] {
        &self.files
    }

    /// What `ssh` makes of this key when the host shows it. Reads every line; for many questions see
    /// [`super::KnownHostsIndex`].
    #[must_use]
    pub fn check(
        &self,
        host: &HostName,
        offered: &PublicKey,
        context: &HostKeyContext<'_>,
    ) -> HostKeyCheck {
        check::check(self, host, offered, context)
    }

    /// The host key algorithms that `ssh` proposes to this host, in order; `algorithms` is `HostKeyAlgorithms` as `ssh -G`
    /// prints it. Known types are looked up under the first name only, never without the port.
    #[must_use]
    pub fn proposed_algorithms<'a>(
        &self,
        host: &HostName,
        algorithms: &'a str,
        order: KeyTypeOrder,
        context: &HostKeyContext<'_>,
    ) -> Vec<&'a str> {
        match order {
            KeyTypeOrder::AsConfigured => algorithms.split(',').collect(),
            KeyTypeOrder::KnownFirst => algorithms::order(
                &check::relevant(self.find_all(&host.first()), context),
                algorithms,
                context,
            ),
        }
    }

    /// The lines that have this key, without a marker, for other names than this one.
    #[must_use]
    pub fn other_names(&self, host: &HostName, key: &PublicKey) -> Vec<OtherName> {
        let name = host.first();
        self.entries()
            .filter(|found| found.entry.marker == Marker::None && found.entry.key == *key)
            .filter(|found| !found.entry.hosts.matches(&name))
            .map(|found| OtherName {
                at: found.at,
                hosts: match &found.entry.hosts {
                    Hosts::List(list) => Some(list.clone()),
                    Hosts::Hashed(_) => None,
                },
            })
            .collect()
    }

    /// All lines with keys, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = Found<'_>> {
        (0..).zip(&self.files).flat_map(|(file, document)| {
            document.entries().map(move |(line, entry)| Found {
                at: Position { file, line },
                entry,
            })
        })
    }

    pub(super) fn find_all(&self, name: &str) -> Vec<Found<'_>> {
        self.entries()
            .filter(|found| found.entry.hosts.matches(name))
            .collect()
    }
}

impl Lookup for KnownHostsSet {
    fn find<'a>(&'a self, name: &str, _offered: &PublicKey) -> Vec<Found<'a>> {
        self.find_all(name)
    }
}
