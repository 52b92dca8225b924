//! From the name to an accepted host key: the rungs `resolve`, `connect` and `host-key`.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::domain::{Evidence, NodeId, Predicted, Reason, Why};
use crate::openssh::parse_address;
use crate::survey::ClientFacts;
use crate::trust::scope::PairScope;

use super::dialing::{Family, PathConfig, Transport};
use super::host_key::{self, Recorded};
use super::hosts::{HostsFile, HostsLine};
use super::notes::Notes;
use super::server::ServerSide;

/// Which nodes have an address, among those that were surveyed.
#[derive(Debug, Default)]
pub(super) struct Owners(HashMap<IpAddr, Vec<NodeId>>);

impl Owners {
    pub(super) fn new<'a>(nodes: impl Iterator<Item = (NodeId, &'a [IpAddr])>) -> Self {
        let mut owners: HashMap<IpAddr, Vec<NodeId>> = HashMap::new();
        for (id, addresses) in nodes {
            for address in addresses {
                owners.entry(address.to_canonical()).or_default().push(id);
            }
        }
        Self(owners)
    }

    /// Another node that has the address, in a network that the node's clients may be in.
    fn other(&self, address: IpAddr, than: NodeId, scope: &PairScope) -> Option<NodeId> {
        self.0
            .get(&address.to_canonical())?
            .iter()
            .copied()
            .find(|&id| id != than && (scope.joins(id, than) || scope.share_a_source(id, than)))
    }
}

/// A client as the path sees it.
pub(super) struct ClientPath<'a> {
    pub(super) node: &'a str,
    pub(super) facts: &'a ClientFacts,
    pub(super) hosts: &'a HostsFile,
    /// Its clock, seconds since the epoch.
    pub(super) clock: i64,
}

/// The far end of a path.
pub(super) struct ServerPath<'a> {
    pub(super) id: NodeId,
    pub(super) node: &'a str,
    pub(super) side: &'a ServerSide<'a>,
}

/// What all paths are judged against.
#[derive(Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) owners: &'a Owners,
    pub(super) scope: &'a PairScope,
    pub(super) name_of: &'a (dyn Fn(NodeId) -> &'a str + Sync),
}

/// Climbs the three rungs. `host` is the name behind `HostName`.
pub(super) fn judge(
    world: World<'_>,
    client: &ClientPath<'_>,
    server: &ServerPath<'_>,
    config: &PathConfig,
    host: &str,
    recorded: &Recorded<'_>,
    notes: &mut impl Notes,
) -> Predicted {
    notes.value("port", || config.port.to_string());
    if let Some(proxy) = &config.proxy {
        notes.add(|| {
            fact(
                client.node,
                format!("`{host}` is reached through `{proxy}`"),
            )
        });
        return Predicted::Unknown(Why::NotPredictable);
    }
    if let Some(undecided) = &config.undecided {
        notes.add(|| fact(client.node, undecided.clone()));
        return Predicted::Unknown(Why::NotPredictable);
    }
    if config.canonicalizes && parse_address(host).is_none() {
        notes.add(|| {
            fact(
                client.node,
                "CanonicalizeHostname may change the name".to_owned(),
            )
        });
        return Predicted::Unknown(Why::NotPredictable);
    }
    let address = match resolve(world, client, server, config.family, host, notes) {
        Ok(address) => address,
        Err(predicted) => return predicted,
    };
    if let Some(predicted) = connect(server, config, address, notes) {
        return predicted;
    }
    host_key::judge(client, server, config, host, address, recorded, notes)
}

/// The address that a name leads to, `None` where only the DNS knows; or why it leads nowhere good.
pub(super) fn resolve(
    world: World<'_>,
    client: &ClientPath<'_>,
    server: &ServerPath<'_>,
    family: Family,
    host: &str,
    notes: &mut impl Notes,
) -> Result<Option<IpAddr>, Predicted> {
    let is_wanted = |address: &IpAddr| match family {
        Family::Any => true,
        Family::Inet => address.is_ipv4(),
        Family::Inet6 => address.is_ipv6(),
    };
    let literal = parse_address(host);
    let lines: Vec<HostsLine> = match literal {
        Some(address) => vec![HostsLine { address, line: 0 }],
        None => client.hosts.lookup(host).to_vec(),
    };
    let lines: Vec<HostsLine> = lines
        .into_iter()
        .filter(|it| literal.is_some() || is_wanted(&it.address))
        .collect();
    let Some(first) = lines.first() else {
        return Ok(None);
    };
    let mut note = |line: &HostsLine, text: String| {
        if literal.is_some() {
            notes.add(|| fact(client.node, text));
        } else {
            notes.add(|| Evidence::FileLine {
                node: client.node.to_owned(),
                path: client.facts.hosts.path.clone(),
                line: Some(line.line),
                note: text,
            });
            notes.value("file", || client.facts.hosts.path.clone());
        }
    };
    if lines.iter().all(|it| leads_back(it.address)) {
        note(
            first,
            format!("`{host}` is {}, the dialling node itself", first.address),
        );
        return Err(Predicted::Breaks(Reason::AddressLoopback));
    }
    let owned = |line: &HostsLine| server.side.owns(line.address);
    if lines.iter().all(|line| owned(line) != Some(false)) {
        return Ok(Some(first.address));
    }
    let others: Vec<Option<NodeId>> = lines
        .iter()
        .map(|it| world.owners.other(it.address, server.id, world.scope))
        .collect();
    for (line, other) in lines.iter().zip(&others) {
        if owned(line) == Some(false) {
            let owner = match other {
                Some(id) => format!("an address of {}", (world.name_of)(*id)),
                None => format!("no address of {}", server.node),
            };
            note(line, format!("`{host}` is {}, {owner}", line.address));
        }
    }
    let all_elsewhere = lines.iter().zip(&others).all(|(line, other)| {
        owned(line) == Some(false) && (other.is_some() || leads_back(line.address))
    });
    Err(if all_elsewhere {
        Predicted::Breaks(Reason::NameResolvesElsewhere)
    } else {
        // Address translation may still lead there, and of several addresses ssh takes the first that answers.
        Predicted::Unknown(Why::NotPredictable)
    })
}

fn leads_back(address: IpAddr) -> bool {
    address.to_canonical().is_loopback() || address.is_unspecified()
}

fn connect(
    server: &ServerPath<'_>,
    config: &PathConfig,
    address: Option<IpAddr>,
    notes: &mut impl Notes,
) -> Option<Predicted> {
    let port = config.port;
    let is_its_own = server.side.answers_at(port);
    // Another port's listener is another program; then any address says as much as this one.
    let listens = server.side.listens(address.filter(|_| is_its_own), port);
    if listens == Some(false) {
        notes.add(|| fact(server.node, format!("nothing listens on port {port}")));
        return Some(Predicted::Breaks(Reason::ConnectionRefused));
    }
    if !is_its_own {
        notes.add(|| {
            let text = format!("port {port} is not one of the surveyed sshd");
            fact(server.node, text)
        });
        return Some(Predicted::Unknown(Why::NotPredictable));
    }
    let settings = server.side.settings.as_ref()?;
    let text = |keyword| settings.first(keyword).unwrap_or_default().to_owned();
    let far = Transport {
        kex: text("kexalgorithms"),
        ciphers: text("ciphers"),
        macs: text("macs"),
    };
    let list = Transport::mismatch(&config.transport, &far)?;
    notes.add(|| fact(server.node, format!("no common entry in {list}")));
    Some(Predicted::Breaks(Reason::NoCommonAlgorithm))
}

pub(super) fn fact(node: &str, text: String) -> Evidence {
    Evidence::Fact {
        node: Some(node.to_owned()),
        text,
    }
}
