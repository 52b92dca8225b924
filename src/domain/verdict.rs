//! Verdicts on legs and pairs, and what they rest on.

use std::net::IpAddr;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::lane::Step;
use super::reason::{FindingCode, NotNeeded, Reason, Why};

/// What is known of a leg. The four kinds never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Nova's own commands were run across it, and did what they should.
    Verified,
    /// It does not work.
    Broken(Reason),
    /// Nobody knows.
    Unproven(Why),
    /// Nova does not use it here.
    NotNeeded(NotNeeded),
}

impl Verdict {
    /// `verified`, `broken`, `unproven` or `not-needed`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Broken(_) => "broken",
            Self::Unproven(_) => "unproven",
            Self::NotNeeded(_) => "not-needed",
        }
    }

    /// The reason's code, when there is one.
    #[must_use]
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::Verified => None,
            Self::Broken(reason) => Some(reason.code()),
            Self::Unproven(why) => Some(why.code()),
            Self::NotNeeded(why) => Some(why.code()),
        }
    }

    /// The verdict on a pair, from the verdicts on its legs: broken if any leg is, else unproven if any is, else
    /// verified; not needed only if every leg is. `None` without legs.
    #[must_use]
    pub fn of_pair(legs: impl IntoIterator<Item = Self>) -> Option<Self> {
        fn rank(verdict: Verdict) -> u8 {
            match verdict {
                Verdict::Broken(_) => 3,
                Verdict::Unproven(_) => 2,
                Verdict::Verified => 1,
                Verdict::NotNeeded(_) => 0,
            }
        }
        // On a tie the leg listed first speaks for the pair.
        legs.into_iter().reduce(|worst, next| {
            if rank(next) > rank(worst) {
                next
            } else {
                worst
            }
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            None => f.write_str(self.kind()),
            Some(code) => write!(f, "{}({code})", self.kind()),
        }
    }
}

/// What the surveyed facts imply for a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Predicted {
    /// Nothing in the files stands in its way.
    Works,
    /// The files break it.
    Breaks(Reason),
    /// The files do not decide, for example because one end was not surveyed.
    Unknown(Why),
    /// Nova does not use it here.
    NotNeeded(NotNeeded),
}

/// One thing that was observed and that a verdict rests on. Text from nodes is kept as it came, bounded, and must be
/// escaped where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Evidence {
    /// A line of a file on a node.
    FileLine {
        /// The node's inventory name.
        node: String,
        /// Absolute path there.
        path: String,
        /// Line number from 1; `None` means the file as a whole.
        line: Option<u32>,
        /// What is remarkable about it.
        note: String,
    },
    /// A key's fingerprint and where it was seen.
    Key {
        /// Where: `recorded`, `served`, `on-disk`, `offered`, `authorized`.
        seen: KeySeen,
        /// The node's inventory name.
        node: String,
        /// OpenSSH's name of the key type, for example `ssh-ed25519`.
        key_type: String,
        /// `SHA256:…` as ssh-keygen prints it.
        fingerprint: String,
        /// File it was read from, when it was read from one.
        path: Option<String>,
    },
    /// What a command printed.
    Output {
        /// The node on which it ran.
        node: String,
        /// The command, as typed.
        command: String,
        /// Its exit status; `None` when it was cut off.
        status: Option<i32>,
        /// What it wrote, both streams, shortened.
        text: String,
    },
    /// Lines of a node's own log.
    Log {
        /// The node's inventory name.
        node: String,
        /// The line.
        text: String,
    },
    /// Any other fact, in words.
    Fact {
        /// The node's inventory name; `None` for the controller.
        node: Option<String>,
        /// The fact.
        text: String,
    },
}

/// Where a key was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySeen {
    /// In a known_hosts file.
    Recorded,
    /// On the wire.
    Served,
    /// In the host key file of the server.
    OnDisk,
    /// Offered by the client.
    Offered,
    /// In an authorized_keys file.
    Authorized,
}

/// What proof saw on one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// How far it got: the last step that succeeded. `None` when not even the first did.
    pub reached: Option<Step>,
    /// The outcome.
    pub outcome: Proven,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// How long the leg took on the client node, in milliseconds.
    pub millis: u64,
    /// The address that was dialled at last; `None` where a proxy dialled, or nobody did.
    pub address: Option<IpAddr>,
    /// Whether the far end said itself that it throttles, in place of its banner.
    pub throttled: bool,
}

/// The outcome of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proven {
    /// Every step up to the depth asked for succeeded.
    Works,
    /// It failed for this reason.
    Breaks(Reason),
    /// The login was refused and the client cannot know why: the far end's files and log must say it.
    Refused,
    /// Nothing can be said.
    Unknown(Why),
}

/// Something true and worth knowing that does not break a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub code: FindingCode,
    /// The nodes that it concerns, by inventory name.
    pub nodes: Vec<String>,
    /// The particulars, in words; identical findings on many nodes have identical words.
    pub detail: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_leg_breaks_the_pair_and_not_needed_never_hides_it() {
        let broken = Verdict::Broken(Reason::HostKeyUnknown);
        let unneeded = Verdict::NotNeeded(NotNeeded::LiveOverTcp);
        let unproven = Verdict::Unproven(Why::Throttled);
        assert_eq!(
            Verdict::of_pair([Verdict::Verified, unproven, broken, unneeded]),
            Some(broken)
        );
        assert_eq!(
            Verdict::of_pair([Verdict::Verified, unproven]),
            Some(unproven)
        );
        assert_eq!(
            Verdict::of_pair([unneeded, Verdict::Verified]),
            Some(Verdict::Verified)
        );
        assert_eq!(Verdict::of_pair([unneeded]), Some(unneeded));
        assert_eq!(Verdict::of_pair([]), None);
    }
}
