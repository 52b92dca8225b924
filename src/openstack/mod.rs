//! OpenStack's interfaces as plain values: what is sent, how the answer is read, which cloud is meant.
//!
//! Nothing here connects anywhere; [`crate::nova`] does. Answers are hostile until read: bounded, strictly typed, ids and
//! host names of a form that is safe in a path.

mod call;
pub mod cloud;
pub mod compute;
mod fault;
pub mod identity;
mod secret;

pub use call::{Answer, Call, Method, Microversion};
pub use fault::{Fault, Policy};
pub use secret::Secret;
