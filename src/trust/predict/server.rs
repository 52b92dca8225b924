//! The server side of a node as every client sees it: its keys, its ports, its algorithms.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::openssh::key::{KeyInterner, PublicKey};
use crate::openssh::known_hosts::server_host_key_algorithms;
use crate::survey::{FileFact, FileState, HostKeyFact, NodeFacts};

use super::settings::Settings;

/// What is known of a node's sshd before anybody logs in.
#[derive(Debug)]
pub(super) struct ServerSide<'a> {
    pub(super) facts: &'a NodeFacts,
    /// Its host keys in the order of the configuration, each followed by its certificate.
    pub(super) keys: Arc<[PublicKey]>,
    /// The file that each of `keys` was read from.
    pub(super) key_files: Vec<&'a str>,
    /// The private keys that it does not load.
    pub(super) left_out: Vec<&'a str>,
    /// The algorithms that it offers for the others.
    pub(super) offered: Vec<&'static str>,
    /// `sshd -T`, when it answered.
    pub(super) settings: Option<Settings>,
    /// The ports that this sshd is configured for.
    pub(super) ports: Vec<u16>,
}

impl<'a> ServerSide<'a> {
    pub(super) fn new(facts: &'a NodeFacts, keys: &mut KeyInterner) -> Self {
        let settings = Settings::of(&facts.server.base_config);
        let mut found = Vec::new();
        for fact in &facts.server.host_keys {
            found.extend(read_key(fact, keys));
        }
        let left_out = facts.server.host_keys.iter().filter(|it| it.left_out);
        let left_out: Vec<_> = left_out.map(|it| it.path.as_str()).collect();
        let served = found.iter().filter(|(_, path)| !left_out.contains(path));
        let served: Vec<PublicKey> = served.map(|(key, _)| key.clone()).collect();
        let (keys, key_files): (Vec<PublicKey>, Vec<&str>) = found.into_iter().unzip();
        let allowed = settings
            .as_ref()
            .and_then(|it| it.first("hostkeyalgorithms"));
        let ports = settings
            .iter()
            .flat_map(|settings| settings.all("port"))
            .filter_map(|port| port.parse().ok())
            .collect();
        Self {
            facts,
            offered: server_host_key_algorithms(&served, allowed),
            keys: keys.into(),
            key_files,
            left_out,
            settings,
            ports,
        }
    }

    /// Whether a port is one of this sshd's, as far as its configuration is known.
    pub(super) fn answers_at(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }

    /// Whether it logs at `INFO`, the level of what it says of connections that it drops, as far as its files say.
    /// `sshd -T` cannot tell: it prints the level of the survey's own `-d`.
    pub(super) fn logs_info(&self) -> bool {
        let logs = |file: &FileFact| match &file.state {
            FileState::Absent => true,
            FileState::Present {
                content: Some(content),
                ..
            } => !has_lower_level(&content.bytes),
            FileState::Present { .. } | FileState::Unreadable(_) => false,
        };
        self.facts.server.config_files.iter().all(logs)
    }

    /// Whether anything listens where a client dials; `None` when the survey could not see.
    ///
    /// Without an address, as for names from the DNS, a socket on any address but loopback will do.
    pub(super) fn listens(&self, address: Option<IpAddr>, port: u16) -> Option<bool> {
        let fits = |socket: &SocketAddr| {
            socket.port() == port
                && match address {
                    None => !socket.ip().is_loopback(),
                    // sshd's socket for all IPv6 addresses takes no IPv4 (`ssh_sock_set_v6only` of misc.c).
                    Some(address) if socket.ip().is_unspecified() => {
                        socket.is_ipv4() == address.to_canonical().is_ipv4()
                    }
                    Some(address) => socket.ip().to_canonical() == address.to_canonical(),
                }
        };
        let listeners = self.facts.listeners.as_ref()?;
        Some(listeners.iter().any(fits))
    }

    /// Whether the address is on one of its interfaces; `None` when the survey could not see.
    pub(super) fn owns(&self, address: IpAddr) -> Option<bool> {
        let addresses = &self.facts.addresses;
        let same = |own: &IpAddr| own.to_canonical() == address.to_canonical();
        (!addresses.is_empty()).then(|| addresses.iter().any(same))
    }
}

/// Whether any line of an sshd_config sets a `LogLevel` below `INFO`, under whatever condition.
fn has_lower_level(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.lines().any(|line| {
        let is_between = |c: char| c.is_ascii_whitespace() || "=\"".contains(c);
        let mut words = line.split(is_between).filter(|word| !word.is_empty());
        words
            .next()
            .is_some_and(|it| it.eq_ignore_ascii_case("loglevel"))
            && words.next().is_some_and(|level| {
                let below = ["quiet", "fatal", "error"];
                below.iter().any(|it| level.eq_ignore_ascii_case(it))
            })
    })
}

fn read_key<'a>(fact: &'a HostKeyFact, keys: &mut KeyInterner) -> Vec<(PublicKey, &'a str)> {
    let mut found = Vec::new();
    if let Ok((key, _)) = keys.read(fact.public.trim_start().as_bytes()) {
        found.push((key, fact.path.as_str()));
    }
    if let Some(file) = &fact.certificate
        && let Some(content) = file.content()
        && let Ok((certificate, _)) = PublicKey::read_file(&content.bytes)
    {
        // sshd shows it only beside its own key (`sshkey_equal_public` in sshd.c).
        let is_own = found.first().is_some_and(|(key, _)| {
            certificate.certificate().is_some() && certificate.plain_blob() == key.plain_blob()
        });
        if is_own {
            found.push((certificate, file.path.as_str()));
        }
    }
    found
}
