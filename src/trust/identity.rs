//! Whether a survey's answer is that of the machine that the control connection has verified.
//!
//! Who answers a survey says himself which host keys he has. What he cannot make up is the key that his side of the
//! control connection has proven: a node that hands the survey on to another one gives an answer with that one's keys,
//! and not with its own.

use std::collections::{HashMap, HashSet};

use crate::domain::NodeId;
use crate::openssh::key::{KeyBlob, PublicKey};
use crate::survey::NodeFacts;

/// The host keys that the control connections have verified, by node.
pub type VerifiedKeys = HashMap<NodeId, PublicKey>;

/// An answer that is another node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misled {
    /// Who gave it.
    pub node: NodeId,
    /// Whose it is.
    pub owner: NodeId,
}

/// Finds the answers that are certainly another node's: the key that the connection has verified is not among their
/// host keys, the key that another node's connection has verified is, and the machine-id does not say otherwise.
///
/// A control connection may well lead to another sshd than the one that is surveyed. So a key that is merely missing
/// contradicts nothing ([`is_elsewhere`]); neither do host keys that images were cloned with, for then each of the
/// nodes proves to have them.
#[must_use]
pub fn misled(facts: &[Option<NodeFacts>], verified: &VerifiedKeys) -> Vec<Misled> {
    let mut owners: HashMap<&KeyBlob, Vec<NodeId>> = HashMap::new();
    for (&id, key) in verified {
        owners.entry(key.plain_blob()).or_default().push(id);
    }
    let mut found: Vec<Misled> = facts
        .iter()
        .zip(0..)
        .filter_map(|(facts, place)| Some((NodeId(place), facts.as_ref()?)))
        .filter(|(id, facts)| is_elsewhere(facts, verified.get(id)))
        .filter_map(|(node, answer)| {
            let is_owner = |&id: &NodeId| {
                let theirs = facts[id.index()].as_ref();
                let theirs = theirs.and_then(|it| it.machine_id.as_ref());
                id != node
                    && theirs
                        .zip(answer.machine_id.as_ref())
                        .is_none_or(|(a, b)| a == b)
            };
            let keys = on_disk(answer);
            let owner = keys
                .iter()
                .filter_map(|key| owners.get(key))
                .flatten()
                .copied()
                .filter(is_owner)
                .min()?;
            Some(Misled { node, owner })
        })
        .collect();
    found.sort_unstable_by_key(|it| it.node);
    found
}

/// Whether the key that the control connection verified is none of the host keys in the answer.
pub(super) fn is_elsewhere(facts: &NodeFacts, verified: Option<&PublicKey>) -> bool {
    let keys = on_disk(facts);
    // An answer without keys is one of a survey that could not read them.
    !keys.is_empty() && verified.is_some_and(|key| !keys.contains(key.plain_blob()))
}

/// The host keys in an answer.
pub(super) fn on_disk(facts: &NodeFacts) -> HashSet<KeyBlob> {
    facts
        .server
        .host_keys
        .iter()
        .filter_map(|key| PublicKey::read(key.public.as_bytes()).ok())
        .map(|(key, _)| key.plain_blob().clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openssh::fixtures::ed25519;
    use crate::trust::simulate::Simulation;

    /// Four surveyed nodes, each with the key that its control connection has verified.
    fn fleet() -> (Vec<Option<NodeFacts>>, VerifiedKeys) {
        let facts = Simulation::of(4).world().facts;
        let key = |facts: &NodeFacts| {
            let line = &facts.server.host_keys[0].public;
            PublicKey::read(line.as_bytes()).expect("a key").0
        };
        let verified = facts
            .iter()
            .zip(0..)
            .map(|(facts, id)| (NodeId(id), key(facts.as_ref().expect("surveyed"))))
            .collect();
        (facts, verified)
    }

    #[test]
    fn an_answer_handed_on_to_another_node_is_that_nodes() {
        let (mut facts, verified) = fleet();
        assert_eq!(misled(&facts, &verified), []);
        facts[3] = facts[1].clone();
        let expected = Misled {
            node: NodeId(3),
            owner: NodeId(1),
        };
        assert_eq!(misled(&facts, &verified), [expected]);
    }

    #[test]
    fn an_sshd_of_its_own_for_the_control_connection_contradicts_nothing() {
        let (facts, mut verified) = fleet();
        verified.insert(NodeId(3), ed25519(99));
        assert_eq!(misled(&facts, &verified), []);
        assert!(is_elsewhere(
            facts[3].as_ref().expect("surveyed"),
            verified.get(&NodeId(3))
        ));
    }

    #[test]
    fn cloned_host_keys_contradict_nothing() {
        let (mut facts, mut verified) = fleet();
        let keys = facts[1]
            .as_ref()
            .expect("surveyed")
            .server
            .host_keys
            .clone();
        facts[3].as_mut().expect("surveyed").server.host_keys = keys;
        verified.insert(NodeId(3), verified[&NodeId(1)].clone());
        assert_eq!(misled(&facts, &verified), [], "both have proven to have it");
        // Another machine-id: a clone whose control connection leads to an sshd of its own.
        verified.insert(NodeId(3), ed25519(99));
        assert_eq!(misled(&facts, &verified), []);
    }
}
