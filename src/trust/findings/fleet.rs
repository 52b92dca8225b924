//! The surveyed nodes as the findings look at them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::{Dial, Fleet, Lane, LegId, NodeId, Predicted};
use crate::openssh::key::{KeyBlob, PublicKey};
use crate::openssh::known_hosts::HostName;
use crate::survey::{Answer, ClientFacts, NodeFacts};
use crate::trust::PairScope;
use crate::trust::legs::Legs;

/// What the findings look at.
pub(super) struct Seen<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) legs: &'a Legs,
    pub(super) scope: &'a PairScope,
    /// The surveyed nodes of the scope.
    pub(super) nodes: Vec<(NodeId, &'a str, &'a NodeFacts)>,
    /// Every name that is dialled in a lane that is used, with the node it should lead to.
    pub(super) names: BTreeMap<String, BTreeSet<NodeId>>,
    /// Ports other than 22 that any lane dials: known_hosts then has `[name]:port`.
    pub(super) ports: BTreeSet<u16>,
    /// The nodes of which it is not known by what names they are dialled in all ways.
    pub(super) unnamed: BTreeSet<NodeId>,
    /// Host keys on disk, and whose they are.
    pub(super) host_keys: HashMap<KeyBlob, NodeId>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(
        fleet: &'a Fleet,
        facts: &'a [Option<NodeFacts>],
        legs: &'a Legs,
        scope: &'a PairScope,
    ) -> Self {
        let nodes: Vec<_> = scope
            .nodes()
            .iter()
            .filter_map(|&id| {
                let facts = facts.get(id.index())?.as_ref()?;
                Some((id, fleet.node(id).name.as_str(), facts))
            })
            .collect();
        let mut names: BTreeMap<String, BTreeSet<NodeId>> = BTreeMap::new();
        let mut unnamed = BTreeSet::new();
        for &id in scope.nodes() {
            for dial in [Dial::MigrationAddress, Dial::ServiceHost, Dial::LiveAddress] {
                if let Some(name) = legs.address(id, &dial).name() {
                    let name = HostName::new(name, 22).first();
                    names.entry(name).or_default().insert(id);
                } else {
                    unnamed.insert(id);
                }
            }
        }
        let mut host_keys = HashMap::new();
        for (id, _, facts) in &nodes {
            for key in &facts.server.host_keys {
                if let Ok((key, _)) = PublicKey::read(key.public.as_bytes()) {
                    host_keys.insert(key.plain_blob().clone(), *id);
                }
            }
        }
        Self {
            fleet,
            legs,
            scope,
            names,
            unnamed,
            ports: ports(&nodes, legs, scope),
            host_keys,
            nodes,
        }
    }

    /// The lanes in which a node's client dials anybody, and the context's place in its facts.
    pub(super) fn lanes_of(&self, id: NodeId, client: &ClientFacts) -> Vec<Lane> {
        let profile = &self.fleet.node(id).profile;
        Lane::ALL
            .into_iter()
            .filter(|&lane| profile.lane(lane).context == client.context)
            .filter(|&lane| self.is_used(id, lane))
            .collect()
    }

    /// Whether a node dials anybody in a lane.
    pub(super) fn is_used(&self, client: NodeId, lane: Lane) -> bool {
        let other = self.scope.nodes().iter().find(|&&id| id != client);
        other.is_some_and(|&server| {
            let id = LegId {
                lane,
                client,
                server,
            };
            !matches!(self.legs.obstacle(id), Some(Predicted::NotNeeded(_)))
        })
    }
}

/// A value that `ssh -G` or `sshd -T` printed, the first of the keyword's.
pub(super) fn setting<'a>(answer: &'a Answer, keyword: &str) -> Option<&'a str> {
    let Answer::Output(content) = answer else {
        return None;
    };
    let text = std::str::from_utf8(&content.bytes).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        key.eq_ignore_ascii_case(keyword).then(|| value.trim())
    })
}

fn ports(nodes: &[(NodeId, &str, &NodeFacts)], legs: &Legs, scope: &PairScope) -> BTreeSet<u16> {
    let configured = nodes
        .iter()
        .flat_map(|(_, _, facts)| &facts.clients)
        .filter_map(|client| setting(&client.base_config, "port")?.parse().ok());
    let given = scope.nodes().iter().flat_map(|&client| {
        let server = scope.nodes().iter().copied().find(|&id| id != client);
        Lane::ALL.into_iter().filter_map(move |lane| {
            let server = server?;
            legs.leg(LegId {
                lane,
                client,
                server,
            })?
            .port
        })
    });
    configured.chain(given).filter(|&port| port != 22).collect()
}
