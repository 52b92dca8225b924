//! What a leg's verdict is, from what the files imply, what really happened, and what the far end's log says of it.

mod judge;
mod relation;
mod result;
#[cfg(test)]
mod tests;

pub use judge::{Difference, Inquiry, Judgement, Observed, final_step, judge};
pub use result::{LegResult, PairResult, common_placeholders, with_usual_file};
