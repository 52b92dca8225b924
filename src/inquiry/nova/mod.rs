//! nova-compute's own word on a move that failed.
//!
//! The API keeps 255 bytes of an error, and of a live move that could not log in nothing at all; the whole text stands in
//! nova-compute's log on the node, under Nova's id of the request.

mod answer;
mod script;
#[cfg(test)]
mod tests;

pub use answer::NovaLog;
pub use script::{NovaQuestion, nova_script};
