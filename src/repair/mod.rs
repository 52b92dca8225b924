//! What must change on which node so that broken legs work: a plan that leaves nothing to choose, and its review.
//!
//! Planning, linting and showing a plan are pure. What carries a plan out is `run::repair`.

mod diff;
mod edit;
mod lint;
mod plan;
mod planner;
#[doc(hidden)]
pub mod simulate;
mod text;

pub use diff::{Change, Folded, Hunk, HunkLine, Tag, diff};
pub use lint::{Complaint, ControlAccount, Rule, lint};
pub use plan::{
    AccountCommand, Answers, Attributes, Bytes, Edit, FileState, KeyCopy, KeyId, KeySource, Left,
    NewKey, NodePlan, PLAN_SCHEMA, Piece, Plan, Target, Text,
};
pub use planner::{Policy, Seen, Situation, plan};
