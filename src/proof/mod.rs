//! Proof: what one program per client node does with the node's own ssh and scp, and what its answer means.
//!
//! ```text
//! legs, in the order of their rounds
//!   │ programs()                one program per context of the client node
//!   ▼
//! Program::script()             run over the control connection; it streams a record per leg
//!   │ Reader::push()            strict: what is not from this program, or of a leg that it was not given, is refused
//!   ▼
//! Transcript ── judge() ─▶ domain::Proof
//!                 Reader::finish() says of every leg without a record why it has none
//! ```
//!
//! How a leg is climbed is in `climb.sh`, what is said to the far end in `vocabulary.rs`, the command lines in
//! `words.rs`.

mod answer;
mod evidence;
mod judge;
mod program;
mod settings;
#[cfg(test)]
mod tests;
mod transcript;
mod vocabulary;
mod words;

pub use answer::{AnswerError, Ended, LegProof, Reader};
pub use program::{Program, programs};
pub use settings::Settings;
