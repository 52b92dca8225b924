//! What a plan does on one node: the work, the program that does it there, and what that answers.
//!
//! A [`Job`] is the part of a plan that concerns a node, with every byte known. [`Job::program`] is the text for the node's
//! shell; [`Program::read`] makes of its answer what became of each edit and key.

mod answer;
mod job;
mod obstacle;
mod printf;
mod program;
mod state;
#[cfg(test)]
mod tests;

pub use answer::{Answer, AnswerError, Lock, Private, Said, Sighting, Standing};
pub use job::{Job, JobError, Secrets};
pub use obstacle::{Obstacle, Refusal};
pub use program::{Operation, Program};
pub use state::public_key;
