//! Which servers can move, by Nova's own conditions.

use crate::domain::MoveKind;
use crate::openstack::compute::Server;

/// Whether a server can move in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Movable {
    /// It can.
    Yes,
    /// It cannot, and why.
    No(String),
}

impl Movable {
    /// Whether it can.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }
}

/// Whether Nova would take a move of this kind now (nova/compute/api.py `resize`, `live_migrate`: `check_instance_state`,
/// `reject_*`). What only the scheduler or a driver knows is not seen here.
#[must_use]
pub fn movable(server: &Server, kind: MoveKind) -> Movable {
    let status = &server.status;
    if let Some(task) = &status.task {
        return Movable::No(format!("something else is being done with it ({task})"));
    }
    if server.host.is_none() {
        return Movable::No(if status.vm_state.starts_with("shelved") {
            "it is shelved: it is on no host".to_owned()
        } else {
            "it is on no host, or the right to see its host is missing".to_owned()
        });
    }
    if let Some(spec) = forbidden_by_flavor(server) {
        return Movable::No(format!("its flavor has `{spec}`"));
    }
    let allowed: &[&str] = match kind {
        MoveKind::Cold | MoveKind::Resize => &["active", "stopped"],
        MoveKind::Live => &["active", "paused"],
    };
    if !allowed.contains(&status.vm_state.as_str()) {
        let what = match status.vm_state.as_str() {
            "resized" => "an earlier move waits to be confirmed or reverted",
            "error" => "it is in ERROR: `clearway diagnose` says why",
            "stopped" => "it is stopped: move it cold",
            "paused" => "it is paused: move it live, or unpause it",
            "suspended" => "it is suspended: resume it first",
            "rescued" => "it is in rescue: unrescue it first",
            _ => "",
        };
        let state = &status.vm_state;
        return Movable::No(if what.is_empty() {
            format!("its state is {state}")
        } else {
            what.to_owned()
        });
    }
    // nova/objects/fields.py: 1 running, 3 paused.
    if kind == MoveKind::Live && !matches!(status.power, 1 | 3) {
        return Movable::No("it does not run".to_owned());
    }
    Movable::Yes
}

/// What Nova refuses up front for every kind of move (`reject_accelerator_instances` and others).
fn forbidden_by_flavor(server: &Server) -> Option<&'static str> {
    ["accel:device_profile"]
        .into_iter()
        .find(|spec| server.flavor.extra.contains_key(*spec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moves::gate::fixtures::server;

    #[test]
    fn a_server_can_move_in_the_states_in_which_nova_would_take_it() {
        for (vm_state, task, power, cold, live) in [
            ("active", None, 1, true, true),
            ("stopped", None, 4, true, false),
            ("paused", None, 3, false, true),
            ("active", None, 4, true, false),
            ("active", Some("rebooting"), 1, false, false),
            ("resized", None, 1, false, false),
            ("error", None, 1, false, false),
            ("suspended", None, 4, false, false),
            ("rescued", None, 1, false, false),
            ("building", None, 0, false, false),
        ] {
            let mut it = server(1, "cmp001");
            it.status.vm_state = vm_state.to_owned();
            it.status.task = task.map(str::to_owned);
            it.status.power = power;
            assert_eq!(
                movable(&it, MoveKind::Cold).is_yes(),
                cold,
                "cold {vm_state}"
            );
            assert_eq!(
                movable(&it, MoveKind::Live).is_yes(),
                live,
                "live {vm_state}"
            );
        }
    }

    #[test]
    fn why_not_is_said_with_what_to_do() {
        let mut it = server(1, "cmp001");
        it.status.vm_state = "stopped".to_owned();
        assert_eq!(
            movable(&it, MoveKind::Live),
            Movable::No("it is stopped: move it cold".to_owned())
        );
        it.host = None;
        it.status.vm_state = "shelved_offloaded".to_owned();
        assert_eq!(
            movable(&it, MoveKind::Cold),
            Movable::No("it is shelved: it is on no host".to_owned())
        );
        let mut it = server(1, "cmp001");
        it.flavor
            .extra
            .insert("accel:device_profile".to_owned(), "gpu".to_owned());
        assert_eq!(
            movable(&it, MoveKind::Cold),
            Movable::No("its flavor has `accel:device_profile`".to_owned())
        );
    }
}
