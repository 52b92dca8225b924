//! What is asked of each node, how it answers, and the facts made from the answer.

mod facts;
mod nova_conf;

pub use facts::{
    Account, Answer, CheckedFile, ClientFacts, Content, FileFact, FileKind, FileState, HostKeyFact,
    Identity, IdentityState, InstancesFact, LockState, LoginAccount, Meta, NodeFacts, ServerFacts,
};
pub use nova_conf::NovaSettings;

/// The name for which the survey asks `ssh -G`: no `Host` pattern but `*` is made for it (RFC 6761 `.invalid`).
pub const BASE_NAME: &str = "clearway-base.invalid";
