//! Who is who: nodes that cannot be told apart, and answers that nothing vouches for.

use std::collections::BTreeMap;

use super::find::on;
use super::fleet::Seen;
use crate::domain::{Evidence, Finding, FindingCode, KeySeen, NodeId};
use crate::openssh::key::PublicKey;
use crate::trust::identity::{VerifiedKeys, is_elsewhere};

/// How many nodes' evidence a finding of many nodes carries.
const SHOWN: usize = 3;

pub(super) fn find(seen: &Seen<'_>, verified: &VerifiedKeys, found: &mut Vec<Finding>) {
    host_keys(seen, found);
    machine_ids(seen, found);
    for (id, name, facts) in &seen.nodes {
        if let Some(key) = verified.get(id)
            && is_elsewhere(facts, Some(key))
        {
            found.push(on(
                name,
                FindingCode::ControlHostKeyElsewhere,
                "the control connection leads to another sshd than the one that was surveyed"
                    .to_owned(),
                vec![evidence(name, KeySeen::Served, key, None)],
            ));
        }
    }
}

fn host_keys(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    let mut holders: BTreeMap<String, BTreeMap<NodeId, Evidence>> = BTreeMap::new();
    for (id, name, facts) in &seen.nodes {
        for file in &facts.server.host_keys {
            if let Ok((key, _)) = PublicKey::read(file.public.as_bytes()) {
                let shown = evidence(name, KeySeen::OnDisk, &key, Some(file.path.clone()));
                let holders = holders.entry(key.fingerprint().to_string()).or_default();
                holders.entry(*id).or_insert(shown);
            }
        }
    }
    for (fingerprint, nodes) in holders.into_iter().filter(|(_, it)| it.len() > 1) {
        found.push(Finding {
            code: FindingCode::HostKeyShared,
            nodes: names(seen, nodes.keys()),
            detail: format!("{fingerprint} is the host key of {} nodes", nodes.len()),
            evidence: nodes.into_values().take(SHOWN).collect(),
        });
    }
}

fn machine_ids(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    let mut holders: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
    for (id, _, facts) in &seen.nodes {
        if let Some(machine) = &facts.machine_id {
            holders.entry(machine).or_default().push(*id);
        }
    }
    for (machine, nodes) in holders.into_iter().filter(|(_, it)| it.len() > 1) {
        found.push(Finding {
            code: FindingCode::MachineIdShared,
            nodes: names(seen, nodes.iter()),
            detail: format!("{machine} is the machine-id of {} nodes", nodes.len()),
            evidence: Vec::new(),
        });
    }
}

fn names<'a>(seen: &Seen<'_>, ids: impl Iterator<Item = &'a NodeId>) -> Vec<String> {
    ids.map(|&id| seen.fleet.node(id).name.to_string())
        .collect()
}

fn evidence(node: &str, seen: KeySeen, key: &PublicKey, path: Option<String>) -> Evidence {
    Evidence::Key {
        seen,
        node: node.to_owned(),
        key_type: key.type_name().to_owned(),
        fingerprint: key.fingerprint().to_string(),
        path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openssh::fixtures::ed25519;
    use crate::trust::PairScope;
    use crate::trust::legs::Legs;
    use crate::trust::simulate::{Simulation, World};

    fn found(world: &World, verified: &VerifiedKeys) -> Vec<(FindingCode, Vec<String>)> {
        let legs = Legs::new(&world.fleet, &world.facts);
        let scope = PairScope::all(&world.fleet);
        let seen = Seen::new(&world.fleet, &world.facts, &legs, &scope);
        let mut found = Vec::new();
        find(&seen, verified, &mut found);
        let told = found.into_iter().map(|it| (it.code, it.nodes));
        told.collect()
    }

    #[test]
    fn nodes_that_cannot_be_told_apart_are_named() {
        let mut world = Simulation::of(3).world();
        let none = VerifiedKeys::new();
        assert_eq!(found(&world, &none), []);
        let names = [0, 2].map(|place| world.fleet.nodes[place].name.to_string());
        let first = world.facts[0].clone().expect("surveyed");
        let clone = world.facts[2].as_mut().expect("surveyed");
        clone.server.host_keys.truncate(1);
        clone.server.host_keys[0] = first.server.host_keys[0].clone();
        assert_eq!(
            found(&world, &none),
            [(FindingCode::HostKeyShared, names.to_vec())]
        );
    }

    #[test]
    fn a_control_connection_to_another_sshd_is_said_so() {
        let world = Simulation::of(2).world();
        let key = |place: usize| {
            let facts = world.facts[place].as_ref().expect("surveyed");
            let line = facts.server.host_keys[0].public.as_bytes();
            PublicKey::read(line).expect("a key").0
        };
        let mut verified: VerifiedKeys = [(NodeId(0), key(0)), (NodeId(1), key(1))].into();
        assert_eq!(found(&world, &verified), []);
        verified.insert(NodeId(1), ed25519(99));
        let name = world.fleet.nodes[1].name.to_string();
        assert_eq!(
            found(&world, &verified),
            [(FindingCode::ControlHostKeyElsewhere, vec![name])]
        );
    }
}
