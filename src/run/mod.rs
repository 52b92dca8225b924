//! The use cases: async, over the adapters, telling an observer what happens and the ledger what happened.

mod error;
mod pairs;
mod request;

pub use error::RunError;
pub use request::{Cancel, Canceller, PairsMode, Request, Surroundings};
