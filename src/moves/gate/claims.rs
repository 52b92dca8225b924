//! Which node of the inventory each service host is, and why some are none.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::domain::{HostName, NodeId};
use crate::openstack::compute::Hypervisor;

/// A node and the service host that it is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The host, `CONF.host`.
    pub host: HostName,
    /// The node.
    pub node: NodeId,
    /// Its name in the inventory.
    pub name: String,
    /// Whether the inventory says so. Else it is the node's own word, which may be wrong: a nova.conf that was copied from
    /// another node, or a lie.
    pub stated: bool,
    /// The node's addresses, without what its nova.conf says they are; empty where none is known.
    pub addresses: Vec<IpAddr>,
}

impl Claim {
    /// What Nova reports as the host's address, where that is none of the node's own. Nova shows it to few, and it may be a
    /// name: then nothing is known.
    fn contradicted(&self, hypervisors: &[Hypervisor]) -> Option<IpAddr> {
        if self.stated || self.addresses.is_empty() {
            return None;
        }
        let hypervisor = hypervisors.iter().find(|it| it.host == self.host)?;
        let reported: IpAddr = hypervisor.host_ip.as_deref()?.parse().ok()?;
        let own = |it: &IpAddr| it.to_canonical() == reported.to_canonical();
        (!self.addresses.iter().any(own)).then_some(reported)
    }
}

/// The nodes by service host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched {
    /// The node that each service host is.
    pub nodes: HashMap<HostName, NodeId>,
    /// Why a host that nodes say they are is none of them.
    pub doubtful: HashMap<HostName, String>,
}

impl Matched {
    /// Settles which claims hold. The inventory's word is taken; a node's own only where no other node says the same, and
    /// where Nova does not report the host at an address that is not the node's.
    #[must_use]
    pub fn new(claims: &[Claim], hypervisors: &[Hypervisor]) -> Self {
        let mut by_host: BTreeMap<&HostName, Vec<&Claim>> = BTreeMap::new();
        for claim in claims {
            by_host.entry(&claim.host).or_default().push(claim);
        }
        let mut matched = Self::default();
        for (host, mut claims) in by_host {
            if claims.iter().any(|it| it.stated) {
                claims.retain(|it| it.stated);
            }
            let mut why = String::new();
            claims.retain(|it| match it.contradicted(hypervisors) {
                None => true,
                Some(reported) => {
                    why = format!(
                        "{} says that it is this host, which Nova reports at {reported}, no address of that node: if it \
                         is, state its `service_host`",
                        it.name
                    );
                    false
                }
            });
            match claims.as_slice() {
                [] => {
                    matched.doubtful.insert(host.clone(), why);
                }
                [one] => {
                    matched.nodes.insert(host.clone(), one.node);
                }
                several => {
                    let names: Vec<&str> = several.iter().map(|it| it.name.as_str()).collect();
                    let why = format!(
                        "{} say that they are this host: state the `service_host` of the one that is",
                        names.join(" and ")
                    );
                    matched.doubtful.insert(host.clone(), why);
                }
            }
        }
        matched
    }

    /// The node that a service host is.
    ///
    /// # Errors
    /// Why it is none.
    pub fn node(&self, host: &HostName) -> Result<NodeId, String> {
        match (self.nodes.get(host), self.doubtful.get(host)) {
            (Some(&node), _) => Ok(node),
            (None, Some(why)) => Err(format!("{host} is no node that is known: {why}")),
            (None, None) => Err(format!("the inventory does not have {host}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    fn claim(node: u32, name: &str, stated: bool) -> Claim {
        Claim {
            host: host(name),
            node: NodeId(node),
            name: format!("node{node}"),
            stated,
            addresses: vec![[10, 0, 0, u8::try_from(node).unwrap()].into()],
        }
    }

    fn at(name: &str, host_ip: Option<&str>) -> Hypervisor {
        Hypervisor {
            id: String::new(),
            host: host(name),
            name: name.to_owned(),
            host_ip: host_ip.map(str::to_owned),
            free_ram_mib: 0,
            servers: 0,
        }
    }

    #[test]
    fn of_two_nodes_that_say_they_are_one_host_neither_is() {
        for order in [[1, 2], [2, 1]] {
            let claims = order.map(|node| claim(node, "a", false));
            let matched = Matched::new(&claims, &[]);
            assert_eq!(matched.nodes, HashMap::new());
            let why = matched.node(&host("a")).unwrap_err();
            assert!(why.contains("node1") && why.contains("node2"), "{why}");
        }
        let why = Matched::default().node(&host("a")).unwrap_err();
        assert_eq!(why, "the inventory does not have a");
    }

    #[test]
    fn what_the_inventory_states_is_not_a_nodes_to_claim() {
        for claims in [
            [claim(1, "a", true), claim(2, "a", false)],
            [claim(2, "a", false), claim(1, "a", true)],
        ] {
            // Nor does an address matter: the operator has said which it is.
            let matched = Matched::new(&claims, &[at("a", Some("10.0.0.2"))]);
            assert_eq!(matched.node(&host("a")), Ok(NodeId(1)));
            assert!(matched.doubtful.is_empty());
        }
    }

    #[test]
    fn a_node_is_no_host_that_nova_reports_at_an_address_of_another() {
        let matched = |host_ip, claims: &[Claim]| Matched::new(claims, &[at("a", host_ip)]);
        let liar = claim(2, "a", false);
        let why = matched(Some("10.0.0.1"), std::slice::from_ref(&liar))
            .node(&host("a"))
            .unwrap_err();
        assert!(why.contains("node2") && why.contains("10.0.0.1"), "{why}");
        // The one that it is remains.
        let both = [claim(1, "a", false), liar.clone()];
        assert_eq!(
            matched(Some("10.0.0.1"), &both).node(&host("a")),
            Ok(NodeId(1))
        );
        // Its own, however it is written.
        for own in ["10.0.0.2", "::ffff:10.0.0.2"] {
            let found = matched(Some(own), std::slice::from_ref(&liar)).node(&host("a"));
            assert_eq!(found, Ok(NodeId(2)), "{own}");
        }
    }

    #[test]
    fn where_nova_shows_no_address_or_none_of_the_node_is_known_its_word_is_taken() {
        let mut unseen = claim(2, "a", false);
        for host_ip in [None, Some("cmp001.example.org"), Some("")] {
            let matched = Matched::new(std::slice::from_ref(&unseen), &[at("a", host_ip)]);
            assert_eq!(matched.node(&host("a")), Ok(NodeId(2)), "{host_ip:?}");
        }
        unseen.addresses.clear();
        let matched = Matched::new(&[unseen], &[at("a", Some("10.0.0.1"))]);
        assert_eq!(matched.node(&host("a")), Ok(NodeId(2)));
    }
}
