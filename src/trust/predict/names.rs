//! Which names of the fleet the clients' `/etc/hosts` know, and what is odd about that.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::{Fleet, Lane, LegId, NodeId};
use crate::openssh::parse_address;
use crate::survey::{ClientFacts, FileFact};
use crate::trust::legs::Legs;

use super::hosts::HostsFile;

/// The names that are dialled, and whose they are.
#[derive(Debug, Default)]
pub(super) struct DialledNames {
    owners: HashMap<Box<str>, Vec<NodeId>>,
}

impl DialledNames {
    /// Literal addresses are left out: nobody looks them up.
    pub(super) fn new(fleet: &Fleet, legs: &Legs) -> Self {
        use crate::domain::Dial;
        let mut owners: HashMap<Box<str>, Vec<NodeId>> = HashMap::new();
        let mut add = |name: &str, id: NodeId| {
            if parse_address(name).is_none() {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let owners = owners.entry(name.into()).or_default();
                if owners.last() != Some(&id) {
                    owners.push(id);
                }
            }
        };
        // Text that a `qemu+ssh` URI puts around names is the same for many clients.
        let mut forms: HashSet<String> = HashSet::new();
        for id in fleet.ids() {
            for dial in [Dial::MigrationAddress, Dial::ServiceHost, Dial::LiveAddress] {
                if let Some(name) = legs.address(id, &dial).name() {
                    add(name, id);
                }
            }
        }
        for client in fleet.ids() {
            let Some(form) = legs.form(client, Lane::Live) else {
                continue;
            };
            if forms.insert(form) {
                for server in fleet.ids().filter(|&server| server != client) {
                    let leg = LegId {
                        lane: Lane::Live,
                        client,
                        server,
                    };
                    if let Some(name) = legs.dialled(leg) {
                        add(&name, server);
                    }
                }
            }
        }
        Self { owners }
    }

    pub(super) fn owners(&self, name: &str) -> &[NodeId] {
        self.owners.get(name).map_or(&[], Vec::as_slice)
    }

    fn parse(&self, bytes: &[u8], more: &HashSet<String>) -> HostsFile {
        HostsFile::parse(bytes, |name| {
            self.owners.contains_key(name) || more.contains(name)
        })
    }
}

/// `/etc/hosts` files, each distinct one parsed once.
#[derive(Debug, Default)]
pub(super) struct HostsFiles {
    parsed: HashMap<[u8; 32], Arc<HostsFile>>,
    empty: Arc<HostsFile>,
}

impl HostsFiles {
    /// Parses the files of these clients for all names that may be looked up: those that are dialled, and those that
    /// client configurations put in their place (`more`, lower case).
    pub(super) fn new<'a>(
        clients: impl Iterator<Item = &'a ClientFacts>,
        names: &DialledNames,
        more: &HashSet<String>,
    ) -> Self {
        let mut parsed: HashMap<[u8; 32], Arc<HostsFile>> = HashMap::new();
        for content in clients.filter_map(|client| client.hosts.content()) {
            parsed
                .entry(content.sha256)
                .or_insert_with(|| Arc::new(names.parse(&content.bytes, more)));
        }
        Self {
            parsed,
            empty: Arc::default(),
        }
    }

    pub(super) fn get(&self, file: &FileFact) -> &Arc<HostsFile> {
        file.content()
            .and_then(|content| self.parsed.get(&content.sha256))
            .unwrap_or(&self.empty)
    }
}
