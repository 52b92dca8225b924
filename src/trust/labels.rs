//! Where SELinux may keep sshd from an account's keys.

use super::Prediction;
use crate::domain::{Evidence, Fleet, LegId, Proof, Proven};
use crate::survey::{FileState, NodeFacts, ServerFacts};

/// The wrong labels on the way to the keys of a leg's account, where its server enforces its policy. Whether the policy lets
/// sshd read the keys all the same no file says: labels tell why only where a login was refused, else there are none.
#[must_use]
pub fn labels_on_the_way(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    prediction: &Prediction<'_>,
    (id, proof): (LegId, Option<&Proof>),
) -> Vec<Evidence> {
    let refused = proof.is_some_and(|it| it.outcome == Proven::Refused);
    match (&facts[id.server.index()], prediction.login_user(id)) {
        (Some(facts), Some(user)) if refused => {
            on_the_way(fleet.node(id.server).name.as_str(), &facts.server, user)
        }
        _ => Vec::new(),
    }
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
    use crate::survey::{Labels, WrongLabel};
    use crate::trust::simulate::Simulation;

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
