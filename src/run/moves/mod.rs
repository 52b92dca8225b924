//! Moves as use cases: which servers could move; migrate, drain, resume.

mod access;
mod candidates;
mod copying;
mod deeds;
mod dry_run;
mod engine;
mod error;
mod explain;
mod finish;
mod hook;
mod hosts;
mod investigate;
mod journal;
mod observe;
mod options;
mod plan;
mod prover;
mod recover;
mod request;
mod resize;
mod resume;
mod servers;
mod settle;
mod start;
mod steer;
mod work;

pub use access::{CloudAccess, open};
pub use error::MovesError;
pub use explain::{Explained, Nodes, Wreck, explain_server};
pub use options::{Finish, HookCommand, How, MoveOptions, What};
pub use recover::{Recovered, recover};
pub use resume::resume;
pub use servers::{ServersRequest, servers};
pub use settle::settle;
pub use start::{Moves, migrate};
pub use steer::{Steered, Whose, steer};
