//! How far a move is.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{HostName, MoveKind, ServerId};

/// A move and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// The server.
    pub server: ServerId,
    /// How it is moved.
    pub kind: MoveKind,
    /// Where it was when the move was planned.
    pub source: HostName,
    /// How far it is.
    pub stage: Stage,
    /// Where it goes; `None` before a destination is proven, and for a resize until Nova has chosen.
    pub destination: Option<HostName>,
    /// Destinations that were tried and are not tried again.
    pub tried: Vec<HostName>,
    /// The largest number of a row of os-migrations before the request: later ones are of this move or a later one.
    pub baseline: u64,
    /// Nova's ids of the server's actions of this kind before the request.
    pub known_actions: Vec<String>,
    /// Nova's id of the request.
    pub request_id: Option<String>,
    /// The number of its row.
    pub migration: Option<u64>,
    /// The hosts that a resize may go to: all of them were proven.
    pub proven: Vec<HostName>,
    /// Whether it was asked to go back: then it is well when the server is where it was.
    pub reverting: bool,
    /// Whether the move was requested with the gate overridden.
    pub overridden: bool,
    /// What looks like an end, and since when: it counts when it stays.
    pub settling: Option<(Verdict, String, Timestamp)>,
    /// Nova's word for the phase, for whoever watches.
    pub phase: String,
    /// Since when it is in this stage.
    pub since: Timestamp,
    /// How it ended.
    pub end: Option<End>,
    /// What was found out about its failure.
    pub explained: Vec<String>,
    /// How far the operator's command for it is.
    pub hook: Hook,
}

/// How far the command is that an operator has run after each move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Hook {
    /// It has not been started.
    #[default]
    Not,
    /// It is started, or about to be.
    Started,
    /// It has ended; with why it did not do its work, if it did not.
    Ended(Option<String>),
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing has been done.
    Planned,
    /// The legs to a destination are being proven.
    Proving,
    /// They are proven: the request may be sent.
    Passed,
    /// The request is sent, or about to be: its outcome is not known.
    Requested,
    /// Nova has taken it.
    Accepted,
    /// Nova works on it.
    Moving,
    /// It has arrived and waits to be confirmed.
    Waiting,
    /// The confirmation is sent, or about to be.
    Confirming,
    /// The request to bring it back is sent, or about to be.
    Reverting,
    /// The server is where it should be, for good.
    Arrived,
    /// It is over.
    Ended,
}

impl Stage {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Proving => "proving",
            Self::Passed => "passed",
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::Moving => "moving",
            Self::Waiting => "waiting",
            Self::Confirming => "confirming",
            Self::Reverting => "reverting",
            Self::Arrived => "arrived",
            Self::Ended => "ended",
        }
    }

    /// Whether Nova is, or may be, at work on it.
    #[must_use]
    pub fn is_in_flight(self) -> bool {
        matches!(
            self,
            Self::Requested
                | Self::Accepted
                | Self::Moving
                | Self::Waiting
                | Self::Confirming
                | Self::Reverting
        )
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a move ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in words; empty when there is nothing to say.
    pub why: String,
}

/// The verdict on a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The server is at its destination, confirmed, and the same as before.
    Done,
    /// It is at its destination, and was to be left unconfirmed.
    Unconfirmed,
    /// It was to be brought back, and is where it was, the same as before.
    Reverted,
    /// Nobody asked Nova: the run was stopped before.
    NotStarted,
    /// The gate let it through to no destination, so Nova was not asked.
    Refused,
    /// What became of it cannot be told.
    Unknown,
    /// It failed.
    Failed,
}

impl Verdict {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unconfirmed => "unconfirmed",
            Self::Reverted => "reverted",
            Self::NotStarted => "not-started",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Tracked {
    /// Why the operator's command did not do its work, if it did not.
    #[must_use]
    pub fn hook_failure(&self) -> Option<&str> {
        match &self.hook {
            Hook::Ended(failure) => failure.as_deref(),
            _ => None,
        }
    }

    /// A move that is planned.
    #[must_use]
    pub fn planned(server: ServerId, kind: MoveKind, source: HostName, at: Timestamp) -> Self {
        Self {
            server,
            kind,
            source,
            stage: Stage::Planned,
            destination: None,
            tried: Vec::new(),
            baseline: 0,
            known_actions: Vec::new(),
            request_id: None,
            migration: None,
            proven: Vec::new(),
            reverting: false,
            overridden: false,
            settling: None,
            phase: String::new(),
            since: at,
            end: None,
            explained: Vec::new(),
            hook: Hook::Not,
        }
    }
}
