//! What is written to the journal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::state::Verdict;
use crate::domain::HostName;

/// One record of a move. An intent is written before its effect, an outcome after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "record", deny_unknown_fields)]
pub enum Record {
    /// The legs to a destination are about to be proven.
    Proving {
        /// Where to; `None` for a resize, whose every possible destination is proven.
        destination: Option<HostName>,
    },
    /// They are proven.
    Passed {
        /// Where to; `None` for a resize.
        destination: Option<HostName>,
        /// Every host that a resize may go to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        proven: Vec<HostName>,
        /// Until when the proof is young enough.
        until: Timestamp,
        /// The reason for which an operator overrode the gate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overridden: Option<String>,
    },
    /// The gate is closed for this destination.
    Closed {
        /// Where to.
        destination: HostName,
        /// Why.
        why: String,
    },
    /// Intent: the request is about to be sent.
    Requesting {
        /// Where to; `None` for a resize.
        destination: Option<HostName>,
        /// The largest number of a row of os-migrations until now.
        baseline: u64,
        /// Nova's ids of the actions of this kind that the server has had until now.
        #[serde(default)]
        actions: Vec<String>,
    },
    /// Nova has taken the request.
    Accepted {
        /// Nova's id of it.
        request_id: Option<String>,
    },
    /// Nova has refused the request; another destination may be tried.
    Rejected {
        /// What it said.
        why: String,
        /// Whether another destination could help.
        elsewhere: bool,
    },
    /// The outcome of the request is not known.
    Uncertain {
        /// Why.
        why: String,
        /// Whether the request is over. If not, it may be carried out later.
        #[serde(default)]
        over: bool,
    },
    /// It is certain that the request was not carried out.
    NotSent {
        /// How that is known.
        why: String,
    },
    /// Nova was looked at, and something has changed.
    Seen(Seen),
    /// Intent: the confirmation is about to be sent.
    ConfirmRequesting,
    /// Nova has taken the confirmation.
    ConfirmAccepted {
        /// Nova's id of it.
        request_id: Option<String>,
    },
    /// Nova has refused it; what that means is seen next.
    ConfirmRejected {
        /// What it said.
        why: String,
    },
    /// A move of an earlier run, or of somebody else, that waits to be confirmed or reverted.
    Adopted {
        /// The number of its row.
        migration: u64,
        /// Where it went.
        destination: HostName,
    },
    /// Intent: the request to bring the server back is about to be sent.
    RevertRequesting,
    /// Nova has taken it.
    RevertAccepted {
        /// Nova's id of it.
        request_id: Option<String>,
    },
    /// Nova has refused it; what that means is seen next.
    RevertRejected {
        /// What it said.
        why: String,
    },
    /// The server was compared with what it was before.
    Compared {
        /// What differs, one line each.
        differences: Vec<String>,
    },
    /// Intent: the operator's command is about to be run for a move that is over.
    HookStarting,
    /// It has ended.
    HookEnded {
        /// Why it did not do its work; none when it did.
        failure: Option<String>,
    },
    /// What was found out about its failure; made by [`Record::explained`], which bounds it.
    Explained {
        /// In the order in which it was looked at.
        lines: Vec<String>,
    },
    /// What became of the move could not be told, and it is looked at again.
    Reopened,
    /// The move is over without Nova's saying so: its time is up, or it never began.
    GivenUp {
        /// The verdict: unknown, refused, failed or not started.
        verdict: Verdict,
        /// Why.
        why: String,
    },
}

/// What was seen of a move at one moment, in all places together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The server; `None` when Nova does not have it any more.
    pub server: Option<SeenServer>,
    /// Its row; `None` when there is none yet.
    pub migration: Option<SeenMigration>,
}

/// What was seen of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenServer {
    /// `ACTIVE`, …
    pub status: String,
    /// Nova's task state.
    pub task: Option<String>,
    /// Where it is.
    pub host: Option<HostName>,
}

/// What was seen of its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenMigration {
    /// Its number.
    pub id: u64,
    /// Nova's word.
    pub status: String,
    /// Where it goes.
    pub destination: Option<HostName>,
}
