//! What clients offer when they log in: keys, in order, from an address.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::domain::{Dial, Fleet, Lane, NodeId};
use crate::openssh::key::{KeyInterner, PublicKey};
use crate::openssh::parse_address;
use crate::survey::{Account, ClientFacts, Identity, IdentityState, NodeFacts};
use crate::trust::legs::Legs;

use super::clients::{Interned, Plan};
use super::dialing::LoginConfig;

/// One private key file that a client would try.
#[derive(Debug, Clone)]
pub(super) struct Offered<'a> {
    pub(super) path: &'a str,
    pub(super) state: IdentityState,
    /// Its public half, when it is known; where a stale `.pub` lies beside it, what that says.
    pub(super) key: Option<PublicKey>,
    /// Its own public half, where another is offered.
    pub(super) own: Option<PublicKey>,
    /// Its certificates, tried before the plain key.
    pub(super) certificates: Vec<(&'a str, PublicKey)>,
}

/// What one client offers under one configuration.
#[derive(Debug)]
pub(super) struct Ring<'a> {
    pub(super) node: NodeId,
    pub(super) config: u32,
    pub(super) keys: Vec<Offered<'a>>,
    /// Files that the configuration names and that the survey did not look at.
    pub(super) unseen: Vec<String>,
    /// Whether the key that the command line names is not there, or behind a directory that the client cannot search.
    pub(super) is_given_missing: bool,
    /// Number of its first offer; the others follow, one per address that the client may come from.
    first: u32,
}

/// All rings, and the addresses that clients may come from.
#[derive(Debug)]
pub(super) struct Offers<'a> {
    pub(super) rings: Vec<Ring<'a>>,
    numbers: HashMap<(NodeId, usize, u32), u32>,
    sources: Vec<Vec<IpAddr>>,
    /// The address by which each node is reached, as well as it is known, by lane.
    targets: [Vec<Option<IpAddr>>; Lane::ALL.len()],
    total: u32,
}

impl<'a> Offers<'a> {
    pub(super) fn new(fleet: &Fleet, facts: &[Option<NodeFacts>], legs: &Legs) -> Self {
        let literal = |id: NodeId, dial: &Dial| {
            legs.address(id, dial)
                .name()
                .and_then(|name| parse_address(name))
        };
        let targets = |dial: Dial| {
            fleet
                .ids()
                .map(|id| literal(id, &dial).or_else(|| literal(id, &Dial::MigrationAddress)))
                .collect()
        };
        Self {
            rings: Vec::new(),
            numbers: HashMap::new(),
            sources: facts.iter().map(|facts| sources(facts.as_ref())).collect(),
            targets: [
                targets(Dial::MigrationAddress),
                targets(Dial::ServiceHost),
                targets(Dial::LiveAddress),
            ],
            total: 0,
        }
    }

    /// The number of the ring of a client under a configuration, made when it is new. `side` is the client side's place in the
    /// facts of the node.
    pub(super) fn ring(
        &mut self,
        node: NodeId,
        side: usize,
        facts: &'a ClientFacts,
        number: u32,
        config: &LoginConfig,
        keys: &mut KeyInterner,
    ) -> u32 {
        if let Some(ring) = self.numbers.get(&(node, side, number)) {
            return *ring;
        }
        let mut unseen = Vec::new();
        let mut offered = Vec::new();
        let is_given_missing = config.given().is_some_and(|path| {
            let mut identities = facts.identities.iter();
            let found = identities.find(|it| it.path == path);
            found.is_some_and(|it| it.meta.is_none())
        });
        for path in config.files(is_given_missing) {
            match facts.identities.iter().find(|it| it.path == *path) {
                Some(identity) => offered.push(read(identity, facts, config, keys)),
                // The survey lists default files only where they exist.
                None if facts
                    .account
                    .as_ref()
                    .is_some_and(|it| is_default(path, it)) => {}
                None => unseen.push(path.clone()),
            }
        }
        let ring = u32::try_from(self.rings.len()).expect("rings fit in memory, and so are few");
        let first = self.total;
        let addresses = self.sources[node.index()].len().max(1);
        self.total += u32::try_from(addresses).unwrap_or(u32::MAX);
        self.rings.push(Ring {
            node,
            config: number,
            keys: offered,
            unseen,
            is_given_missing,
            first,
        });
        self.numbers.insert((node, side, number), ring);
        ring
    }

    /// How many offers there are.
    pub(super) fn len(&self) -> usize {
        self.total as usize
    }

    /// The offer with which a client comes to a server: its number and its address.
    pub(super) fn offer(
        &self,
        ring: &Ring<'_>,
        lane: Lane,
        server: NodeId,
    ) -> (u32, Option<IpAddr>) {
        let sources = &self.sources[ring.node.index()];
        let lane = match lane {
            Lane::ColdPush => 0,
            Lane::ColdPull => 1,
            Lane::Live => 2,
        };
        let own = || self.targets[0][ring.node.index()];
        let target = self.targets[lane][server.index()].or_else(own);
        let place = match target {
            Some(target) if sources.len() > 1 => nearest(sources, target),
            _ => 0,
        };
        let number = ring.first + u32::try_from(place).unwrap_or(0);
        (number, sources.get(place).copied())
    }

    /// The other addresses of the same family that a client might come from.
    pub(super) fn other_sources(
        &self,
        node: NodeId,
        than: IpAddr,
    ) -> impl Iterator<Item = IpAddr> + '_ {
        let sources = self.sources[node.index()].iter().copied();
        sources.filter(move |it| *it != than && it.is_ipv4() == than.is_ipv4())
    }
}

/// Addresses that packets to another node may come from.
fn sources(facts: Option<&NodeFacts>) -> Vec<IpAddr> {
    let mut sources: Vec<IpAddr> = facts
        .into_iter()
        .flat_map(|facts| &facts.addresses)
        .map(IpAddr::to_canonical)
        .filter(|address| match address {
            IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
            IpAddr::V6(v6) => {
                !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified()
            }
        })
        .collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

/// The source whose network is most likely the target's: the one with which it has most leading bits in common. It is what the
/// kernel takes where the target is a neighbour (RFC 6724 rule 8; for IPv4 the address of the route's interface).
fn nearest(sources: &[IpAddr], target: IpAddr) -> usize {
    let common = |source: &IpAddr| match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            1 + (source.to_bits() ^ target.to_bits()).leading_zeros()
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            1 + (source.to_bits() ^ target.to_bits()).leading_zeros()
        }
        _ => 0,
    };
    let mut best = (0, 0);
    for (place, source) in sources.iter().enumerate() {
        let common = common(source);
        if common > best.1 {
            best = (place, common);
        }
    }
    best.0
}

fn read<'a>(
    identity: &'a Identity,
    facts: &'a ClientFacts,
    config: &LoginConfig,
    keys: &mut KeyInterner,
) -> Offered<'a> {
    let mut read = |line: &Option<String>| {
        let line = line.as_deref()?.trim_start();
        keys.read(line.as_bytes()).ok().map(|(key, _)| key)
    };
    let mut key = read(&identity.public);
    let mut own = None;
    if identity.state == IdentityState::OtherPublic
        && let Some(stale) = read(&identity.stale)
    {
        own = key.replace(stale);
    }
    let mut certificates: Vec<(&str, PublicKey)> = Vec::new();
    // A certificate that `CertificateFile` names may belong to any of the keys.
    let beside = identity.certificate.iter();
    let named = facts
        .identities
        .iter()
        .filter_map(|other| other.certificate.as_ref())
        .filter(|file| config.certificates.contains(&file.path));
    for file in beside.chain(named) {
        let Some(content) = file.content() else {
            continue;
        };
        if let Ok((certificate, _)) = PublicKey::read_file(&content.bytes) {
            let is_own = certificate.certificate().is_some()
                && key
                    .as_ref()
                    .is_none_or(|key| key.plain_blob() == certificate.plain_blob());
            if is_own && !certificates.iter().any(|(_, known)| *known == certificate) {
                certificates.push((&file.path, certificate));
            }
        }
    }
    Offered {
        path: &identity.path,
        state: identity.state,
        key,
        own,
        certificates,
    }
}

/// The rings of a client in a lane: one, or one for each server.
#[derive(Debug, Clone)]
pub(super) enum Rings {
    Same(u32),
    ByConfig(Vec<(u32, u32)>),
}

impl Rings {
    /// The ring for a login configuration.
    pub(super) fn get(&self, config: u32) -> u32 {
        match self {
            Self::Same(ring) => *ring,
            Self::ByConfig(rings) => rings
                .iter()
                .find(|(known, _)| *known == config)
                .map_or(0, |(_, ring)| *ring),
        }
    }

    /// Makes the rings that a plan needs.
    pub(super) fn of<'a>(
        plan: &Plan,
        offers: &mut Offers<'a>,
        logins: &Interned<LoginConfig>,
        (node, side, facts): (NodeId, usize, &'a ClientFacts),
        keys: &mut KeyInterner,
    ) -> Self {
        let mut make =
            |config: u32| offers.ring(node, side, facts, config, logins.get(config), keys);
        match plan {
            Plan::Same(dialled) => Self::Same(make(dialled.login)),
            Plan::ByServer(rows) => {
                let mut configs: Vec<u32> = rows.iter().flatten().map(|(_, it)| it.login).collect();
                configs.sort_unstable();
                configs.dedup();
                Self::ByConfig(configs.into_iter().map(|it| (it, make(it))).collect())
            }
        }
    }
}

/// Whether the file is one that ssh tries when none is configured (`fill_default_options` of readconf.c, all releases).
fn is_default(path: &str, account: &Account) -> bool {
    const NAMES: [&str; 7] = [
        "id_rsa",
        "id_ecdsa",
        "id_ecdsa_sk",
        "id_ed25519",
        "id_ed25519_sk",
        "id_xmss",
        "id_dsa",
    ];
    path.strip_prefix(account.home.trim_end_matches('/'))
        .and_then(|rest| rest.strip_prefix("/.ssh/"))
        .is_some_and(|name| NAMES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_comes_from_the_address_next_to_the_target() {
        let addresses = ["10.0.0.5", "172.17.0.1", "192.168.7.5", "fd00::5"];
        let sources: Vec<IpAddr> = addresses
            .iter()
            .map(|it| it.parse().expect("one"))
            .collect();
        for (target, expected) in [
            ("192.168.7.9", "192.168.7.5"),
            ("10.0.0.9", "10.0.0.5"),
            ("fd00::9", "fd00::5"),
            ("fe80::9", "fd00::5"),
        ] {
            let place = nearest(&sources, target.parse().expect("an address"));
            assert_eq!(addresses[place], expected, "{target}");
        }
    }
}
