//! What brings a server back that a failed move has left in ERROR.

use crate::domain::{HostName, MoveKind, Reason};
use crate::openstack::Call;
use crate::openstack::compute::{self, Server};

use super::diagnose::{Diagnosis, GUEST_OFF};

/// One request to Nova.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Nova's own record is put right; the guest is not touched.
    ResetState,
    /// The guest is powered on from the disks that its host has.
    HardReboot,
    /// It was off before the move, and is to stay so.
    Stop,
}

impl Step {
    /// Its name in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResetState => "reset-state",
            Self::HardReboot => "hard-reboot",
            Self::Stop => "stop",
        }
    }

    /// The request.
    #[must_use]
    pub fn call(self, server: &Server) -> Call {
        match self {
            Self::ResetState => compute::reset_state(&server.id),
            Self::HardReboot => compute::hard_reboot(&server.id),
            Self::Stop => compute::stop(&server.id),
        }
    }

    /// The same as a command of the `openstack` client.
    #[must_use]
    pub fn command(self, server: &Server) -> String {
        let id = &server.id;
        match self {
            Self::ResetState => format!("openstack server set --state active {id}"),
            Self::HardReboot => format!("openstack server reboot --hard {id}"),
            Self::Stop => format!("openstack server stop {id}"),
        }
    }

    /// Whether a server reads as it should when the step is done.
    #[must_use]
    pub fn is_done(self, server: &Server) -> bool {
        let wanted = match self {
            Self::ResetState | Self::HardReboot => "ACTIVE",
            Self::Stop => "SHUTOFF",
        };
        server.status.task.is_none()
            && server.status.status == wanted
            && (self != Self::HardReboot || server.status.power == RUNNING)
    }
}

/// Nova's number for a guest that runs (nova/objects/fields.py `InstancePowerState`).
const RUNNING: u8 = 1;

/// The way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// What the server and its guest are like now.
    pub state: String,
    /// What has to be seen to before, by hand.
    pub first: Option<String>,
    /// The requests, in order.
    pub steps: Vec<Step>,
}

/// A move as far as it matters for the way back.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// How it was moved.
    pub kind: MoveKind,
    /// From where.
    pub source: &'a HostName,
    /// To where.
    pub destination: &'a HostName,
    /// Nova's name of the action that failed.
    pub action: &'a str,
    /// Whether the server had been stopped before it.
    pub was_stopped: bool,
}

/// What brings a server out of ERROR (nova/compute/manager.py `_resize_instance`, `finish_resize`, `live_migration`). Nova's
/// power state is not asked: after a failure it is that of before the move.
///
/// # Errors
/// Why there is no way back that is certain.
pub fn recovery(
    server: &Server,
    failed: &Failed<'_>,
    known: &[Diagnosis],
) -> Result<Recovery, String> {
    let status = &server.status;
    if status.status != "ERROR" {
        return Err(format!("it is {}, not in ERROR", status.status));
    }
    if let Some(task) = &status.task {
        return Err(format!("Nova is at work on it: {task}"));
    }
    let Some(host) = &server.host else {
        return Err("its host is not known".to_owned());
    };
    if failed.action == "revertResize" {
        return Err(format!(
            "what failed is its being brought back: see first on which of {} and {} its disks are",
            failed.source, failed.destination
        ));
    }
    let only_reset = |state: &str| Recovery {
        state: state.to_owned(),
        first: None,
        steps: vec![Step::ResetState],
    };
    let power = if failed.was_stopped {
        Step::Stop
    } else {
        Step::HardReboot
    };
    let no_ssh = |it: &Diagnosis| it.code == Some(Reason::SshMissing.code());
    if host == failed.source {
        return Ok(match failed.kind {
            MoveKind::Live => {
                only_reset("the guest runs on where it was, only Nova's record says ERROR")
            }
            _ if known.iter().any(no_ssh) => only_reset(
                "the move failed before the guest was touched, only Nova's record says ERROR",
            ),
            _ if !known.iter().any(|it| it.server == Some(GUEST_OFF)) => {
                return Err(format!(
                    "nothing says whether its guest was powered off: see first whether it runs on {host} (`virsh list --all`)"
                ));
            }
            MoveKind::Cold | MoveKind::Resize => Recovery {
                state: "the guest was powered off for the copy; its disks are where they were"
                    .to_owned(),
                first: None,
                steps: vec![Step::ResetState, power],
            },
        });
    }
    if host != failed.destination {
        return Err(format!(
            "it is on {host}, which is neither end of the move from {} to {}",
            failed.source, failed.destination
        ));
    }
    match failed.kind {
        _ if failed.action == "confirmResize" => Ok(only_reset(
            "the server has arrived and its guest runs; what failed is the cleaning up of the source",
        )),
        MoveKind::Live => Err(format!(
            "a live move that failed after the server was {host}'s: see first on which host its guest runs (`virsh list`)"
        )),
        MoveKind::Cold | MoveKind::Resize => Ok(Recovery {
            state: format!("its disks have been copied to {host}, where it could not be started"),
            first: Some(format!(
                "what {host} could not do has to be mended first: see its reason; the source keeps a copy of the disks (`{}_resize` in its instances directory)",
                server.id
            )),
            steps: vec![Step::ResetState, power],
        }),
    }
}

impl Recovery {
    /// All of it in lines, with the commands that do it.
    #[must_use]
    pub fn told(&self, server: &Server) -> Vec<String> {
        let mut lines = vec![format!("to bring it back: {}", self.state)];
        lines.extend(self.first.iter().map(|first| format!("first: {first}")));
        let commands = self.steps.iter().map(|step| step.command(server));
        lines.extend(commands.map(|command| format!("do: {command}")));
        lines.push(format!(
            "or: clearway diagnose {} --recover    asks, does it, and reads it back",
            server.id
        ));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moves::diagnose::diagnose;
    use crate::moves::gate::fixtures::server;

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    fn in_error(on: &str) -> Server {
        let mut server = server(1, on);
        "ERROR".clone_into(&mut server.status.status);
        "error".clone_into(&mut server.status.vm_state);
        server
    }

    fn steps(
        on: &str,
        kind: MoveKind,
        action: &str,
        stopped: bool,
        text: &str,
    ) -> Result<Vec<Step>, String> {
        let (source, destination) = (host("a"), host("b"));
        let failed = Failed {
            kind,
            source: &source,
            destination: &destination,
            action,
            was_stopped: stopped,
        };
        let known: Vec<Diagnosis> = diagnose(text).into_iter().collect();
        recovery(&in_error(on), &failed, &known).map(|it| it.steps)
    }

    #[test]
    fn the_way_back_follows_from_where_the_move_stopped() {
        use MoveKind::{Cold, Live};
        use Step::{HardReboot, ResetState, Stop};
        for (on, kind, action, stopped, text, expected) in [
            (
                "a",
                Cold,
                "migrate",
                false,
                "ProcessExecutionError",
                &[ResetState, HardReboot][..],
            ),
            (
                "a",
                Cold,
                "migrate",
                true,
                "ProcessExecutionError",
                &[ResetState, Stop],
            ),
            // Nothing was powered off: a reboot would be the only harm done.
            (
                "a",
                Cold,
                "migrate",
                false,
                "FileNotFoundError",
                &[ResetState],
            ),
            (
                "b",
                Cold,
                "migrate",
                false,
                "ProcessExecutionError",
                &[ResetState, HardReboot],
            ),
            ("b", Cold, "confirmResize", false, "", &[ResetState]),
            ("a", Live, "live-migration", false, "", &[ResetState]),
        ] {
            assert_eq!(
                steps(on, kind, action, stopped, text).as_deref(),
                Ok(expected),
                "{on} {kind} {action} {stopped} {text}"
            );
        }
        assert!(steps("b", Live, "live-migration", false, "").is_err());
        assert!(steps("c", Cold, "migrate", false, "").is_err());
        let unknown = steps("a", Cold, "migrate", false, "VolumeNotFound");
        assert!(
            unknown
                .unwrap_err()
                .contains("see first whether it runs on a")
        );
        assert!(steps("b", Cold, "revertResize", false, "").is_err());
    }

    #[test]
    fn what_is_not_in_error_or_is_worked_on_is_left_alone() {
        let (source, destination) = (host("a"), host("b"));
        let failed = Failed {
            kind: MoveKind::Cold,
            source: &source,
            destination: &destination,
            action: "migrate",
            was_stopped: false,
        };
        let active = server(1, "a");
        assert_eq!(
            recovery(&active, &failed, &[]),
            Err("it is ACTIVE, not in ERROR".to_owned())
        );
        let mut busy = in_error("a");
        busy.status.task = Some("powering-off".to_owned());
        assert_eq!(
            recovery(&busy, &failed, &[]),
            Err("Nova is at work on it: powering-off".to_owned())
        );
    }
}
