//! What the facts of a fleet would be once a plan is applied, for tests and benches.
//!
//! Nothing here is used by the program itself.

mod apply;
mod files;

pub use apply::{Hidden, apply};
