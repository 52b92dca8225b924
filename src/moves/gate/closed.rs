//! Why the gate is closed.

use std::fmt;

use crate::domain::{Lane, Reason, Verdict};

/// One reason for which a move is not let through to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// A leg that the move needs was not proven at all.
    NotProven(Lane),
    /// A leg does not work, or it cannot be told whether it does.
    Leg(Lane, Verdict),
    /// The proof is too old.
    TooOld {
        /// The lane.
        lane: Lane,
        /// Its age in seconds.
        age: i64,
        /// The bound in seconds.
        bound: i64,
    },
    /// The proof copied no file.
    TooShallow(Lane),
    /// The proof is of other nodes.
    OtherPair(Lane),
    /// Nova would dial another address than the one that was proven.
    Address {
        /// What was proven.
        proven: String,
        /// What Nova reports.
        reported: String,
        /// Where Nova reports it.
        place: &'static str,
    },
    /// Nova's host has another address than the node that was surveyed.
    OtherNode {
        /// `my_ip` of the node.
        surveyed: String,
        /// `host_ip` of Nova's hypervisor.
        reported: String,
    },
}

impl Closed {
    /// Whether nothing is wrong but the time that it took since: a fresh proof may open the gate.
    #[must_use]
    pub fn is_age(&self) -> bool {
        matches!(self, Self::TooOld { .. })
    }

    /// Whether no reason of an operator's opens the gate: Nova would copy no disk and lose it.
    #[must_use]
    pub fn is_absolute(&self) -> bool {
        matches!(
            self,
            Self::Leg(
                _,
                Verdict::Broken(Reason::SharedAddress | Reason::AddressLoopback)
            )
        )
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProven(lane) => write!(f, "{lane} was not proven"),
            Self::Leg(lane, verdict) => write!(f, "{lane} is {verdict}"),
            Self::TooOld { lane, age, bound } => {
                write!(
                    f,
                    "the proof of {lane} is {age} s old, {bound} s are allowed"
                )
            }
            Self::TooShallow(lane) => write!(f, "the proof of {lane} copied no file"),
            Self::OtherPair(lane) => write!(f, "the proof of {lane} is of another pair"),
            Self::Address {
                proven,
                reported,
                place,
            } => write!(
                f,
                "Nova would dial `{reported}` ({place}), and `{proven}` was proven"
            ),
            Self::OtherNode { surveyed, reported } => write!(
                f,
                "Nova reports `{reported}` (host_ip of its hypervisor), and my_ip of the node that was proven is `{surveyed}`"
            ),
        }
    }
}
