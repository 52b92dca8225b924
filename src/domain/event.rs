//! What happens during a run. Terminal, plain log and JSON lines are folds over these.

use serde::{Deserialize, Serialize};

use super::lane::{Depth, Lane};

/// Something that happened and matters: kept in order, none may be lost but [`Event::MoveCopying`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// The run began.
    RunStarted {
        /// Its id.
        run: String,
        /// `check`, `trace` or `repair`.
        command: String,
        /// Nodes selected.
        nodes: u64,
        /// Ordered pairs in scope among them.
        pairs: u64,
        /// How far proof will climb.
        depth: Depth,
    },
    /// A node's facts are known.
    NodeSurveyed {
        /// Inventory name.
        node: String,
        /// Milliseconds from the first packet to the last byte.
        millis: u64,
    },
    /// A node could not be surveyed; it harms nothing but its own rows.
    NodeFailed {
        /// Inventory name.
        node: String,
        /// Code of why.
        why: String,
        /// The particulars.
        detail: String,
    },
    /// Every node answered or failed.
    SurveyFinished {
        /// Nodes surveyed.
        surveyed: u64,
        /// Nodes that failed.
        failed: u64,
    },
    /// The prediction is there.
    Predicted {
        /// Legs that the files allow.
        works: u64,
        /// Legs that the files break.
        breaks: u64,
        /// Legs that the files do not decide.
        unknown: u64,
        /// Legs that are not needed.
        not_needed: u64,
        /// Legs that will be proven.
        to_prove: u64,
    },
    /// A leg was climbed for real.
    LegProven {
        /// Which lane.
        lane: Lane,
        /// Where ssh ran.
        client: String,
        /// Who should have answered.
        server: String,
        /// `works`, `breaks`, `refused` or `unknown`.
        outcome: String,
        /// Code of the reason.
        code: Option<String>,
        /// Milliseconds on the client.
        millis: u64,
    },
    /// A node's proof program ended before all its legs were climbed.
    ProofFailed {
        /// Inventory name of the client node.
        node: String,
        /// Code of why.
        why: String,
        /// The particulars.
        detail: String,
    },
    /// A repair knows what it would do.
    RepairPlanned {
        /// Nodes that it changes.
        nodes: u64,
        /// Files and directories that it edits.
        edits: u64,
        /// Keys that it makes or brings.
        keys: u64,
        /// Reasons that it leaves to a person.
        left: u64,
    },
    /// A node was told to do a part of a repair.
    NodeRepaired {
        /// Inventory name.
        node: String,
        /// `keys`, `bring`, `edits`, `sshd`, `undo` or `forget`.
        stage: String,
        /// `done`, `refused` or `lost`.
        outcome: String,
        /// Files and directories that were written.
        written: u64,
        /// Why not, or why it was put back.
        detail: Option<String>,
    },
    /// What an earlier run did is about to be put back, or its way back to be given up.
    WayBackStarted {
        /// The run's id.
        run: String,
        /// `repair undo` or `repair forget`.
        command: String,
        /// The earlier run.
        about: String,
        /// Nodes concerned.
        nodes: u64,
    },
    /// Servers are about to be moved.
    MovesPlanned {
        /// The run's id.
        run: String,
        /// `migrate` or `drain`.
        command: String,
        /// Servers that will be moved.
        moves: u64,
        /// Servers that cannot be.
        stay: u64,
    },
    /// A move has come further.
    MoveChanged {
        /// The server's id.
        server: String,
        /// Its name.
        name: String,
        /// `cold`, `live` or `resize`.
        kind: String,
        /// Where it was.
        source: String,
        /// Where it goes, when that is known.
        destination: Option<String>,
        /// How far it is: `proving`, `moving`, …
        stage: String,
        /// Nova's word for it, or why.
        detail: String,
    },
    /// What was found out about the failure of a move.
    MoveExplained {
        /// The server's id.
        server: String,
        /// Its name.
        name: String,
        /// In the order in which it was looked at.
        lines: Vec<String>,
    },
    /// A live move copies: Nova's numbers, in bytes. Never stored.
    MoveCopying {
        /// The server's id.
        server: String,
        /// Its name.
        name: String,
        /// Memory in all.
        memory_total: Option<u64>,
        /// Memory still to copy; grows again when the guest writes.
        memory_remaining: Option<u64>,
        /// Disk in all.
        disk_total: Option<u64>,
        /// Disk still to copy.
        disk_remaining: Option<u64>,
        /// Bytes in a second by which the rest became less; none when it became more.
        rate: Option<u64>,
        /// Seconds until the rest is copied at this rate.
        seconds_left: Option<u64>,
    },
    /// A compute service was taken out of scheduling, or put back.
    ServiceChanged {
        /// Its host.
        host: String,
        /// `disabled`, `enabled`, or why it was left alone.
        what: String,
    },
    /// Whether a drained host is empty could not be seen.
    HostUnseen {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
    /// Nova cannot be asked how the moves go; they go on.
    CloudUnheard {
        /// Why.
        why: String,
    },
    /// Nova can be asked again.
    CloudHeard {
        /// Seconds in which it could not.
        seconds: u64,
    },
    /// The operator's command for a move that is over has ended.
    HookEnded {
        /// The server's id.
        server: String,
        /// Its name.
        name: String,
        /// Why it did not do its work; none when it did.
        failure: Option<String>,
    },
    /// Nova is about to be asked for something by hand: the intent, on the disk before the request.
    NovaAsking {
        /// The server's id.
        server: String,
        /// Its name.
        name: String,
        /// `abort`, `force-complete`, `reset-state`, `hard-reboot` or `stop`.
        what: String,
    },
    /// What came of it.
    NovaAsked {
        /// The server's id.
        server: String,
        /// Its name.
        name: String,
        /// As in the intent.
        what: String,
        /// `taken` and what became of it, `refused`, `failed` or `unknown`.
        outcome: String,
        /// Why; empty when there is nothing to say.
        detail: String,
    },
    /// Nothing new is started any more.
    MovesStopped {
        /// Why.
        why: String,
    },
    /// The first interrupt was seen: nothing new is started.
    Interrupted,
    /// The run ended.
    RunFinished {
        /// Its id.
        run: String,
        /// Broken legs.
        broken: u64,
        /// Unproven legs.
        unproven: u64,
        /// Its exit code.
        exit_code: u8,
    },
}

/// What is being waited for right now. May be dropped, never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// How much of it is done.
    pub done: u64,
    /// How much there is.
    pub total: u64,
    /// Nodes that are being waited for, a few of them.
    pub waiting_for: Vec<String>,
}

/// The phases of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nodes are surveyed.
    Survey,
    /// Verdicts are predicted.
    Predict,
    /// Legs are proven.
    Prove,
    /// Destinations are asked why they refused.
    Inquire,
    /// Keys are made and files are edited.
    Repair,
    /// Files are put back.
    Undo,
    /// Old files are removed.
    Forget,
    /// Servers are moved.
    Move,
}

impl Phase {
    /// A verb for the terminal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survey => "surveying",
            Self::Predict => "predicting",
            Self::Prove => "proving",
            Self::Inquire => "asking why",
            Self::Repair => "repairing",
            Self::Undo => "putting back",
            Self::Forget => "forgetting",
            Self::Move => "moving",
        }
    }
}

/// Where a run sends what happens.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);

    /// Something is being waited for.
    fn progress(&self, progress: &Progress);
}
