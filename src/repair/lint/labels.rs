//! SELinux labels that a plan gives.

use super::check::Review;
use super::complaint::Rule;
use super::roles::Place;
use crate::repair::plan::{Edit, FileState};

impl Review<'_> {
    /// A label is one that the node itself has said its policy gives to just this path, in the place of the one that it has.
    pub(super) fn label(&mut self, place: Place<'_>, edit: &Edit) {
        let Some(label) = &edit.label else {
            return;
        };
        let node = self.fleet.node(place.node).name.as_str();
        let path = edit.target.path.as_str();
        let clients = place.clients(&edit.target);
        let clients = clients.filter_map(|(client, _)| client.labels.as_ref());
        let server = place.facts.server.labels.iter();
        let server = server.filter(|_| place.profile.sshd.context == edit.target.context);
        let mut reported = clients
            .chain(server)
            .flat_map(|it| it.wrong.iter().flatten());
        let is_reported = reported
            .any(|it| (&*it.path, &it.has, &it.policy) == (path, &label.before, &label.after));
        let mut complain = |detail: &str| {
            self.complain(Rule::Label, node, Some(&edit.target), detail);
        };
        if !is_reported {
            complain("not what the survey found");
        }
        if edit.before == FileState::Absent || edit.after == FileState::Absent {
            complain("the label of nothing");
        }
        if !differs_in_type(&label.before, &label.after) {
            complain("more than the type of a label");
        }
    }
}

/// Whether both are labels, with the same user, role and level, and another type.
fn differs_in_type(one: &str, other: &str) -> bool {
    let fields = |text: &str| -> Option<Vec<String>> {
        let good = |field: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_.,-".contains(c);
            !field.is_empty() && field.chars().all(plain)
        };
        let fields: Vec<&str> = text.splitn(4, ':').collect();
        let level = fields.get(3).copied().unwrap_or("s0");
        let good = fields.len() >= 3
            && text.len() < 256
            && fields[..3].iter().all(good)
            && level.split(':').all(|part| good(&part));
        good.then(|| fields.into_iter().map(str::to_owned).collect())
    };
    let (Some(mut one), Some(mut other)) = (fields(one), fields(other)) else {
        return false;
    };
    one.remove(2) != other.remove(2) && one == other
}

#[cfg(test)]
mod tests {
    use super::differs_in_type;

    #[test]
    fn only_the_type_of_a_label_may_change() {
        let has = "unconfined_u:object_r:var_lib_t:s0:c1,c2";
        for (other, may) in [
            ("unconfined_u:object_r:ssh_home_t:s0:c1,c2", true),
            (has, false),
            ("system_u:object_r:ssh_home_t:s0:c1,c2", false),
            ("unconfined_u:system_r:ssh_home_t:s0:c1,c2", false),
            ("unconfined_u:object_r:ssh_home_t:s0", false),
            ("unconfined_u:object_r:ssh_home_t:s0:c1,c2;id", false),
            ("unconfined_u:object_r:ssh home_t:s0:c1,c2", false),
            ("unconfined_u:object_r::s0:c1,c2", false),
            ("ssh_home_t", false),
        ] {
            assert_eq!(differs_in_type(has, other), may, "{other}");
        }
        assert!(differs_in_type("u:r:a", "u:r:b"));
    }
}
