//! Files of trust whose SELinux labels are not the policy's.

use std::collections::BTreeSet;

use super::find::{file, on};
use super::fleet::Seen;
use crate::domain::{Finding, FindingCode};

pub(super) fn find(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    for (_, name, facts) in &seen.nodes {
        let clients = facts.clients.iter().filter_map(|it| it.labels.as_ref());
        let mut told = BTreeSet::new();
        for labels in clients.chain(&facts.server.labels) {
            for wrong in labels.wrong.iter().flatten() {
                if !told.insert((&wrong.path, &wrong.has)) {
                    continue;
                }
                let mode = if labels.enforcing {
                    ""
                } else {
                    ", which is not enforced now"
                };
                let detail = format!(
                    "{} has the label {}, the policy gives it {}{mode}",
                    wrong.path, wrong.has, wrong.policy
                );
                let note = format!("label {}", wrong.has);
                found.push(on(
                    name,
                    FindingCode::WrongLabel,
                    detail,
                    vec![file(name, &wrong.path, None, &note)],
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::{Labels, WrongLabel};
    use crate::trust::PairScope;
    use crate::trust::legs::Legs;
    use crate::trust::simulate::Simulation;

    #[test]
    fn a_wrong_label_is_told_once_however_many_look_at_it() {
        let mut world = Simulation::of(2).world();
        let labels = |enforcing| Labels {
            enforcing,
            wrong: Some(vec![WrongLabel {
                path: "/var/lib/nova/.ssh".into(),
                has: "u:r:var_lib_t:s0".into(),
                policy: "u:r:ssh_home_t:s0".into(),
            }]),
        };
        let facts = world.facts[0].as_mut().expect("surveyed");
        facts.server.labels = Some(labels(true));
        facts.clients[0].labels = Some(labels(true));
        let facts = world.facts[1].as_mut().expect("surveyed");
        facts.server.labels = Some(labels(false));
        let legs = Legs::new(&world.fleet, &world.facts);
        let scope = PairScope::all(&world.fleet);
        let seen = Seen::new(&world.fleet, &world.facts, &legs, &scope);
        let mut found = Vec::new();
        find(&seen, &mut found);
        let told: Vec<_> = found.into_iter().map(|it| (it.nodes, it.detail)).collect();
        let detail = "/var/lib/nova/.ssh has the label u:r:var_lib_t:s0, the policy gives it u:r:ssh_home_t:s0";
        let node = |place: usize| vec![world.fleet.nodes[place].name.to_string()];
        assert_eq!(
            told,
            [
                (node(0), detail.to_owned()),
                (node(1), format!("{detail}, which is not enforced now")),
            ]
        );
    }
}
