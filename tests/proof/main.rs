//! The proof program on real nodes: what it proves, what it leaves behind, and what a node can do to it.

#![expect(clippy::unwrap_used, reason = "what cannot be set up fails the test")]
#![expect(clippy::disallowed_methods, reason = "tests wait for real processes")]

mod faults;
mod healthy;
mod hostile;
mod leftovers;
mod refusals;
mod support;
