//! The use cases: async, over the adapters, telling an observer what happens and the ledger what happened.

mod assemble;
mod check;
mod error;
mod host_keys;
mod inquire;
mod journal;
pub mod moves;
mod pairs;
mod prove;
mod request;
mod survey;

pub use check::check;
pub use error::RunError;
pub use host_keys::{record_host_keys, unknown_host_keys};
pub use request::{Cancel, Canceller, PairsMode, Request, Surroundings};
