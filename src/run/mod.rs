//! The use cases: async, over the adapters, telling an observer what happens and the ledger what happened.

mod assemble;
mod check;
mod error;
mod journal;
mod pairs;
mod prove;
mod request;
mod survey;

pub use check::check;
pub use error::RunError;
pub use request::{Cancel, Canceller, PairsMode, Request, Surroundings};
