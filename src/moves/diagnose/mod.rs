//! What Nova's error texts mean: from what was pasted to the leg, the reason and the remedy.

mod complete;
mod meaning;
mod python;

pub(super) use meaning::GUEST_OFF;
pub use meaning::{Diagnosis, TRACE, diagnose};

#[cfg(test)]
mod tests;
