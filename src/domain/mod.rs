//! The words of clearway as types. No I/O, no async, no clock, no environment.

mod comment;
mod event;
mod fold;
mod lane;
mod moves;
mod node;
mod profile;
mod reason;
mod verdict;

pub use comment::{COMMENT, HOST_AUTHORITY, REVOKED, USER_AUTHORITY, node_of_comment};
pub use event::{Event, Observer, Phase, Progress};
pub use fold::fold;
pub use lane::{Depth, Lane, Leg, LegId, Pair, Step, Transport};
pub use moves::{HostName, MoveKind, ServerId};
pub use node::{Control, Fleet, GroupRule, HostKeyTrust, JumpHost, Node, NodeId, NodeName, Scope};
pub use profile::{
    Dial, KeySharing, KnownHostsPlace, LaneProfile, LaneUse, NewKeyType, Profile, RepairProfile,
    SshdProfile, TrustBy,
};
pub use reason::{FindingCode, NotNeeded, Placeholders, Reason, Severity, Why, meaning_of};
pub use verdict::{Evidence, Finding, KeySeen, Predicted, Proof, Proven, Verdict};
