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
