//! Where a node's side of trust stands: as a client, the keys it logs in with and the names it dials; as a server, the
//! accounts that are logged in to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::domain::{Fleet, Lane, LegId, NodeId, Pair};
use crate::openssh::client_config::ClientSettings;
use crate::openssh::known_hosts::{HostName, KnownHosts};
use crate::survey::{Answer, ClientFacts, Identity, IdentityState, NodeFacts};
use crate::trust::PairScope;
use crate::trust::legs::Legs;

use super::names::OwnedNames;

/// A context of a node in which ssh runs for some lanes.
#[derive(Debug)]
pub(super) struct ClientSite<'a> {
    pub(super) node: NodeId,
    pub(super) facts: &'a ClientFacts,
    /// Words that enter the place of its files as root.
    pub(super) files: Vec<String>,
    pub(super) lanes: Vec<Lane>,
    /// The accounts that it logs in to, by the private key file with which it does so.
    pub(super) logins: BTreeMap<&'a str, BTreeSet<String>>,
    /// The lanes for which it has no key to be certified, with the account that runs ssh.
    pub(super) keyless: Vec<Lane>,
    ports: BTreeSet<u16>,
    /// The names that known_hosts is searched for, of the nodes in scope and its own, in inventory order.
    pub(super) names: Arc<Names>,
}

/// Names that are dialled.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) all: Vec<String>,
    /// Those that stay where they are, and come nowhere ([`OwnedNames::is_uncertain`]).
    uncertain: HashSet<String>,
}

impl Names {
    /// The names for the authority's lines in a file that has these lines of the authority now.
    pub(super) fn beside(&self, bytes: &[u8], present: &[usize]) -> Vec<&str> {
        let file = KnownHosts::parse(bytes.to_vec());
        let stands = |name: &str| {
            let mut entries = present.iter().filter_map(|&number| file.entry(number));
            entries.any(|entry| entry.hosts.matches(name))
        };
        let all = self.all.iter().map(String::as_str);
        all.filter(|&name| !self.uncertain.contains(name) || stands(name))
            .collect()
    }
}

impl ClientSite<'_> {
    /// What its ssh would do for a name that no `Host` pattern is made for.
    pub(super) fn settings(&self) -> Option<ClientSettings> {
        settings(self.facts)
    }
}

/// The nodes whose names a client looks up, and the ports on which it does: what makes its names.
type Dialled = (Vec<NodeId>, BTreeSet<u16>);

/// Every context of every node in scope that dials.
pub(super) fn client_sites<'a>(
    fleet: &Fleet,
    facts: &'a [Option<NodeFacts>],
    legs: &Legs,
    scope: &PairScope,
    owned: &[OwnedNames],
) -> Vec<ClientSite<'a>> {
    let mut sites: Vec<ClientSite<'a>> = Vec::new();
    for &node in scope.nodes() {
        let Some(facts) = &facts[node.index()] else {
            continue;
        };
        for lane in Lane::ALL {
            let Some(id) = any_leg(scope, legs, node, lane) else {
                continue;
            };
            let profile = &fleet.node(node).profile;
            let context = &profile.lane(lane).context;
            let side = facts.clients.iter().find(|it| it.context == *context);
            let (Some(side), Some(leg)) = (side, legs.leg(id)) else {
                continue;
            };
            if side.failed.is_some() {
                continue;
            }
            let at = sites
                .iter()
                .position(|site| std::ptr::eq(site.facts, side))
                .unwrap_or_else(|| {
                    sites.push(ClientSite {
                        node,
                        facts: side,
                        files: profile.files_context(context),
                        lanes: Vec::new(),
                        logins: BTreeMap::new(),
                        keyless: Vec::new(),
                        ports: BTreeSet::new(),
                        names: Arc::default(),
                    });
                    sites.len() - 1
                });
            let site = &mut sites[at];
            site.lanes.push(lane);
            let settings = settings(side);
            let user = leg.user.as_deref().map(str::to_owned);
            let user = user.or_else(|| settings.as_ref().map(|it| it.user.clone()));
            let user = user.or_else(|| side.account.as_ref().map(|it| it.name.clone()));
            match (offered(side, leg.identity.as_deref()), user) {
                (Some(identity), Some(user)) => {
                    site.logins.entry(&identity.path).or_default().insert(user);
                }
                _ => site.keyless.push(lane),
            }
            site.ports.insert(22);
            let port = leg.port.or_else(|| settings.as_ref().map(|it| it.port));
            site.ports.extend(port);
        }
    }
    let mut known: HashMap<Dialled, Arc<Names>> = HashMap::new();
    for site in &mut sites {
        // Its own names too: nodes of one scope then have one and the same text.
        let node = site.node;
        let dialled = scope.nodes().iter().copied();
        let dialled: Vec<NodeId> = dialled
            .filter(|&other| other == node || scope.joins(node, other))
            .collect();
        let names = known.entry((dialled, site.ports.clone()));
        site.names = Arc::clone(names.or_insert_with_key(|(dialled, ports)| {
            let mut names = Names::default();
            for &other in dialled {
                let served = fleet.node(other).profile.sshd.port;
                let ports: BTreeSet<u16> = ports.iter().copied().chain([served]).collect();
                let owned = &owned[other.index()];
                let forms = owned.names.iter().flat_map(|name| {
                    let ports = ports.iter();
                    ports.map(move |&port| HostName::new(name, port).first())
                });
                let forms: Vec<String> = forms.collect();
                if owned.is_uncertain {
                    names.uncertain.extend(forms.iter().cloned());
                }
                names.all.extend(forms);
            }
            Arc::new(names)
        }));
    }
    sites
}

/// The accounts of a server that its clients in scope log in to, each with the lanes.
pub(super) fn accounts_of(
    sites: &[ClientSite<'_>],
    scope: &PairScope,
    server: NodeId,
) -> BTreeMap<String, BTreeSet<Lane>> {
    let mut accounts: BTreeMap<String, BTreeSet<Lane>> = BTreeMap::new();
    for site in sites {
        if site.node == server || !scope.joins(site.node, server) {
            continue;
        }
        for account in site.logins.values().flatten() {
            let lanes = accounts.entry(account.clone()).or_default();
            lanes.extend(site.lanes.iter().copied());
        }
    }
    accounts
}

/// Any leg of a client in a lane: what it logs in with, and as whom, is the same for all.
fn any_leg(scope: &PairScope, legs: &Legs, client: NodeId, lane: Lane) -> Option<LegId> {
    let mut ids = scope.nodes().iter().map(|&server| LegId {
        lane,
        client,
        server,
    });
    ids.find(|&id| {
        let Pair {
            source,
            destination,
        } = id.pair();
        source != destination && scope.contains(id.pair()) && legs.leg(id).is_some()
    })
}

fn settings(side: &ClientFacts) -> Option<ClientSettings> {
    match &side.base_config {
        Answer::Output(content) => ClientSettings::parse(&content.bytes).ok(),
        Answer::Failed { .. } => None,
    }
}

/// The key that is certified: the one that the lane names, else the first that ssh can use.
fn offered<'a>(side: &'a ClientFacts, named: Option<&str>) -> Option<&'a Identity> {
    let mut usable = side
        .identities
        .iter()
        .filter(|it| it.state == IdentityState::Usable && it.public.is_some());
    match named {
        Some(path) => usable.find(|it| it.path == path),
        None => usable.next(),
    }
}
