//! Where SELinux may keep sshd from an account's keys.

use super::Prediction;
use crate::domain::{Evidence, Fleet, LegId, Proof, Proven, Step};
use crate::survey::{FileState, NodeFacts, ServerFacts};

/// The wrong labels on the way to the keys of a leg's account, where its server enforces its policy. Whether the policy lets
/// sshd read the keys all the same no file says: labels tell why only where a login was refused, and no other of `proofs` came in
/// by the same keys; else there are none.
#[must_use]
pub fn labels_on_the_way<'p>(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    prediction: &Prediction<'_>,
    (id, proof): (LegId, Option<&Proof>),
    proofs: impl IntoIterator<Item = (&'p LegId, &'p Proof)>,
) -> Vec<Evidence> {
    if proof.is_none_or(|it| it.outcome != Proven::Refused) {
        return Vec::new();
    }
    let (Some(facts), Some(user)) = (&facts[id.server.index()], prediction.login_user(id)) else {
        return Vec::new();
    };
    let found = on_the_way(fleet.node(id.server).name.as_str(), &facts.server, user);
    let came_in = |(other, proof): (&LegId, &Proof)| {
        other.server == id.server
            && proof.reached >= Some(Step::Login)
            && prediction.login_user(*other) == Some(user)
    };
    if found.is_empty() || proofs.into_iter().any(came_in) {
        return Vec::new();
    }
    found
}

fn on_the_way(node: &str, server: &ServerFacts, user: &str) -> Vec<Evidence> {
    let Some(labels) = server.labels.as_ref().filter(|it| it.enforcing) else {
        return Vec::new();
    };
    let login = server.accounts.iter().find(|it| it.name == user);
    let files = login.iter().flat_map(|login| &login.authorized_keys);
    let mut found = Vec::new();
    for checked in files.filter(|it| matches!(it.file.state, FileState::Present { .. })) {
        let above = checked.above.iter().map(|(path, _)| path.as_str());
        for path in above.chain([checked.file.path.as_str()]) {
            let Some(wrong) = labels.wrong_at(path) else {
                continue;
            };
            let evidence = Evidence::FileLine {
                node: node.to_owned(),
                path: path.to_owned(),
                line: None,
                note: format!(
                    "SELinux enforces; has the label {}, its policy gives {}",
                    wrong.has, wrong.policy
                ),
            };
            if !found.contains(&evidence) {
                found.push(evidence);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Lane, NodeId};
    use crate::survey::{Labels, WrongLabel};
    use crate::trust::simulate::Simulation;
    use crate::trust::{Legs, PairScope};

    #[test]
    fn where_another_client_comes_in_labels_are_not_why_one_is_refused() {
        let mut world = Simulation::of(3).world();
        world.facts[1].as_mut().expect("surveyed").server.labels = Some(Labels {
            enforcing: true,
            wrong: Some(vec![WrongLabel {
                path: "/var/lib/nova/.ssh".into(),
                has: "u:r:var_lib_t:s0".into(),
                policy: "u:r:ssh_home_t:s0".into(),
            }]),
        });
        let legs = Legs::new(&world.fleet, &world.facts);
        let scope = PairScope::all(&world.fleet);
        let prediction = Prediction::new(&world.fleet, &world.facts, &legs, &scope);
        let leg = |client, server| LegId {
            lane: Lane::ColdPush,
            client: NodeId(client),
            server: NodeId(server),
        };
        let proof = |reached, outcome| Proof {
            reached,
            outcome,
            evidence: Vec::new(),
            millis: 1,
            address: None,
            throttled: false,
        };
        let refused = proof(Some(Step::HostKey), Proven::Refused);
        let works = proof(Some(Step::Copy), Proven::Works);
        let told = |proof: &Proof, others: &[(LegId, &Proof)]| {
            let others = others.iter().map(|(id, proof)| (id, *proof));
            let of = (leg(0, 1), Some(proof));
            labels_on_the_way(&world.fleet, &world.facts, &prediction, of, others).len()
        };
        let elsewhere = (leg(2, 0), &works);
        assert_eq!(told(&refused, &[elsewhere, (leg(2, 1), &refused)]), 1);
        assert_eq!(told(&refused, &[elsewhere, (leg(2, 1), &works)]), 0);
        assert_eq!(told(&works, &[]), 0);
    }

    #[test]
    fn only_what_is_enforced_on_the_way_to_the_keys_can_be_why() {
        let mut world = Simulation::of(1).world();
        let server = &mut world.facts[0].as_mut().expect("surveyed").server;
        let wrong = |path: &str| WrongLabel {
            path: path.into(),
            has: "u:r:var_lib_t:s0".into(),
            policy: "u:r:ssh_home_t:s0".into(),
        };
        let paths = [
            "/etc/ssh/sshd_config",
            "/var/lib/nova/.ssh",
            "/var/lib/nova/.ssh/authorized_keys",
            "/var/lib/nova/.ssh/known_hosts",
        ];
        let mut labels = Labels {
            enforcing: true,
            wrong: Some(paths.map(wrong).into()),
        };
        server.labels = Some(labels.clone());
        let told = |server: &ServerFacts, user| -> Vec<String> {
            let path = |it| match it {
                Evidence::FileLine { path, .. } => path,
                other => panic!("{other:?}"),
            };
            on_the_way("n", server, user)
                .into_iter()
                .map(path)
                .collect()
        };
        assert_eq!(told(server, "nova"), paths[1..3]);
        assert_eq!(told(server, "root"), [""; 0]);
        labels.enforcing = false;
        server.labels = Some(labels);
        assert_eq!(told(server, "nova"), [""; 0]);
    }
}
