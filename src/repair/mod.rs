//! What must change on which node so that broken legs work: a plan that leaves nothing to choose, and its review.
//!
//! Planning, linting and showing a plan are pure. What carries a plan out is `run::repair`.

pub mod certificates;
mod plan;
pub mod reload;

pub use plan::{
    AccountCommand, Answers, Attributes, Bytes, Edit, FileState, KeyCopy, KeyId, KeySource, Left,
    NewKey, NodePlan, PLAN_SCHEMA, Piece, Plan, SshdChange, Target, Text,
};
