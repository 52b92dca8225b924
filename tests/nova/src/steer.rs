//! What shall become of moves (`cloud/steering.py`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a cold move does one after the other. `Ssh` to `Copy` run on the source, `Finish` on the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColdPhase {
    /// `touch` and `mkdir -p` over ssh; the guest still runs.
    Ssh,
    /// `scp`; the guest is off.
    Copy,
    /// The destination builds the server, for which it may fetch the base image back from the source.
    Finish,
    /// After `confirmResize`, on the source.
    Confirm,
    /// After `revertResize`, on the source.
    Revert,
}

impl ColdPhase {
    fn word(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Copy => "copy",
            Self::Finish => "finish",
            Self::Confirm => "confirm",
            Self::Revert => "revert",
        }
    }
}

/// What a live move does one after the other. `Check` and `Prepare` run on the destination, the rest on the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LivePhase {
    /// Whether the destination could take the guest.
    Check,
    /// The destination gets ready.
    Prepare,
    /// libvirtd connects to its peer.
    Connect,
    /// Memory and disks are copied; progress shows.
    Run,
    /// How long a failed move reads ACTIVE before it reads ERROR (0.5 s unless told).
    Error,
    /// How often the progress is written (0.5 s unless told, Nova's own: 5 s).
    Progress,
}

impl LivePhase {
    fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Prepare => "prepare",
            Self::Connect => "connect",
            Self::Run => "run",
            Self::Error => "error",
            Self::Progress => "progress",
        }
    }
}

/// How a cold move fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColdFault {
    /// `Host key verification failed.`: the server goes back to ACTIVE.
    HostKey,
    /// The same, after ssh's banner about a changed key.
    HostKeyChanged,
    /// `Permission denied (publickey).`: back to ACTIVE.
    Denied,
    /// `Connection refused`: back to ACTIVE.
    Refused,
    /// `Connection timed out`: back to ACTIVE. For how long ssh tries, set [`ColdPhase::Ssh`].
    Timeout,
    /// `Could not resolve hostname`: back to ACTIVE.
    Unresolved,
    /// The source has no `ssh`: ERROR, though the guest still runs.
    NoSsh,
    /// `scp` fails: ERROR on the source, the guest is off.
    Copy,
    /// The destination cannot fetch the base image: ERROR on the destination.
    Finish,
    /// The source cannot be cleaned up at confirmation.
    Confirm,
    /// The phase does not end until the steering changes.
    Hang(ColdPhase),
}

impl ColdFault {
    fn word(self) -> String {
        match self {
            Self::HostKey => "hostkey".into(),
            Self::HostKeyChanged => "hostkey-changed".into(),
            Self::Denied => "denied".into(),
            Self::Refused => "refused".into(),
            Self::Timeout => "timeout".into(),
            Self::Unresolved => "unresolved".into(),
            Self::NoSsh => "no-ssh".into(),
            Self::Copy => "scp".into(),
            Self::Finish => "finish".into(),
            Self::Confirm => "confirm".into(),
            Self::Hang(phase) => format!("hang-{}", phase.word()),
        }
    }
}

/// How a live move fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiveFault {
    /// libvirtd's ssh says `Host key verification failed.`
    HostKey,
    /// The same, after ssh's banner about a changed key.
    HostKeyChanged,
    /// libvirtd's ssh says `Permission denied (publickey).`
    Denied,
    /// libvirtd's ssh says `Connection refused`.
    Refused,
    /// libvirtd's ssh says `Connection timed out`.
    Timeout,
    /// libvirtd's ssh says `Could not resolve hostname`.
    Unresolved,
    /// The destination refuses the guest before anything is changed.
    Check,
    /// The destination cannot get ready.
    Prepare,
    /// The copy breaks off half-way.
    Midway,
    /// The phase does not end until the steering changes.
    Hang(LivePhase),
}

impl LiveFault {
    fn word(self) -> String {
        match self {
            Self::HostKey => "hostkey".into(),
            Self::HostKeyChanged => "hostkey-changed".into(),
            Self::Denied => "denied".into(),
            Self::Refused => "refused".into(),
            Self::Timeout => "timeout".into(),
            Self::Unresolved => "unresolved".into(),
            Self::Check => "check".into(),
            Self::Prepare => "prepare".into(),
            Self::Midway => "midway".into(),
            Self::Hang(phase) => format!("hang-{}", phase.word()),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Behaviour {
    fault: Option<String>,
    #[serde(default)]
    seconds: BTreeMap<String, f64>,
    #[serde(default)]
    before_33: bool,
}

/// What shall become of the moves across a pair. Moves of the kind that is not mentioned succeed at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steer {
    cold: Behaviour,
    live: Behaviour,
}

impl Steer {
    /// Every move succeeds at once.
    #[must_use]
    pub fn well() -> Self {
        Self::default()
    }

    /// Cold moves fail so.
    #[must_use]
    pub fn cold(fault: ColdFault) -> Self {
        Self::default().and_cold(fault)
    }

    /// Live moves fail so.
    #[must_use]
    pub fn live(fault: LiveFault) -> Self {
        Self::default().and_live(fault)
    }

    /// Cold moves fail so, too.
    #[must_use]
    pub fn and_cold(mut self, fault: ColdFault) -> Self {
        self.cold.fault = Some(fault.word());
        self
    }

    /// Live moves fail so, too.
    #[must_use]
    pub fn and_live(mut self, fault: LiveFault) -> Self {
        self.live.fault = Some(fault.word());
        self
    }

    /// This phase of cold moves takes so many seconds.
    #[must_use]
    pub fn cold_seconds(mut self, phase: ColdPhase, seconds: f64) -> Self {
        self.cold.seconds.insert(phase.word().into(), seconds);
        self
    }

    /// This phase of live moves takes so many seconds.
    #[must_use]
    pub fn live_seconds(mut self, phase: LivePhase, seconds: f64) -> Self {
        self.live.seconds.insert(phase.word().into(), seconds);
        self
    }

    /// Failed live moves end as in Nova before 33.0.0: rolled back, `failed`, and never ERROR.
    #[must_use]
    pub fn before_33(mut self) -> Self {
        self.live.before_33 = true;
        self
    }
}

/// One line of the steering file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) source: String,
    pub(crate) destination: String,
    #[serde(flatten)]
    pub(crate) steer: Steer,
}

/// What is asked of a compute itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Demand {
    #[serde(default)]
    pub(crate) down: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) migration_address: Option<String>,
}

/// The steering file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SteeringFile {
    #[serde(default)]
    pub(crate) moves: Vec<Line>,
    #[serde(default)]
    pub(crate) computes: BTreeMap<String, Demand>,
}

impl SteeringFile {
    /// Puts a pair's line where it counts: exact pairs before those with `*`.
    pub(crate) fn steer(&mut self, source: &str, destination: &str, steer: Steer) {
        self.moves
            .retain(|line| line.source != source || line.destination != destination);
        self.moves.push(Line {
            source: source.into(),
            destination: destination.into(),
            steer,
        });
        self.moves.sort_by_key(|line| {
            usize::from(line.source == "*") + usize::from(line.destination == "*")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_pair_counts_before_one_with_a_star_and_a_pair_has_one_line() {
        let mut file = SteeringFile::default();
        file.steer("*", "*", Steer::cold(ColdFault::Denied));
        file.steer("a", "*", Steer::cold(ColdFault::Refused));
        file.steer("a", "b", Steer::cold(ColdFault::HostKey));
        file.steer("a", "b", Steer::cold(ColdFault::Hang(ColdPhase::Copy)));
        let faults: Vec<_> = file
            .moves
            .iter()
            .map(|line| line.steer.cold.fault.as_deref())
            .collect();
        assert_eq!(faults, [Some("hang-copy"), Some("refused"), Some("denied")]);
    }
}
