//! What is asked of each node, how it answers, and the facts made from the answer.
//!
//! A [`SurveyRequest`] makes the [program](SurveyRequest::program) that is sent to a node's shell; [`parse`] makes
//! [`NodeFacts`] of what it answers.

mod answers;
mod content;
mod facts;
mod nova_conf;
mod parse;
mod program;
mod request;

pub use answers::{KnownAnswer, QUORUM, Tool, agreed};
pub use content::ContentPool;
pub use facts::{
    Account, Answer, CheckedFile, ClientFacts, Content, FileFact, FileKind, FileState, HostKeyFact,
    Identity, IdentityState, InstancesFact, Labels, LockState, LoginAccount, Meta, NodeFacts,
    ServerFacts, WrongLabel,
};
pub use nova_conf::{NovaSettings, Undecided};
pub use parse::{Survey, SurveyError, parse};
pub use request::{ContextRequest, SurveyRequest};

/// The name for which the survey asks `ssh -G`: no `Host` pattern but `*` is made for it (RFC 6761 `.invalid`).
pub const BASE_NAME: &str = "clearway-base.invalid";
