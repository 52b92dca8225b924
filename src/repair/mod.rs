//! What must change on which node so that broken legs work: a plan that leaves nothing to choose, its review, the programs
//! that carry it out on the nodes, and how far a run of it has come.
//!
//! Planning, linting and showing a plan are pure. What carries a plan out is `run::repair`.

pub mod certificates;
mod diff;
mod edit;
mod effect;
mod lint;
mod plan;
mod planner;
mod progress;
pub mod reload;
#[doc(hidden)]
pub mod simulate;
mod text;

pub use diff::{Change, Folded, Hunk, HunkLine, Tag, diff, key_fingerprint};
pub use effect::{
    Answer, AnswerError, Job, JobError, Lock, Obstacle, Operation, Private, Program, Refusal, Said,
    Secrets, Sighting, Standing, public_key,
};
pub use lint::{AuthorityRules, Complaint, ControlAccount, Rule, lint, lint_with};
pub use plan::{
    AccountCommand, Answers, Attributes, Bytes, Edit, FileState, KeyCopy, KeyId, KeySource, Left,
    NewKey, NodePlan, PLAN_SCHEMA, Piece, Plan, Relabel, RenewedKey, RetiredKey, SshdChange,
    Target, Text, Turnover,
};
pub use planner::{
    BY_CERTIFICATES, Policy, Revocation, Rotation, Seen, Situation, Trial, plan, plan_next,
    plan_revocation, plan_rotation, rest_of, trials,
};
pub use progress::{End, IllegalRecord, NodeProgress, Progress, Record, Stage};
