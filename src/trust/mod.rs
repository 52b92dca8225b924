//! What the facts mean for trust: who dials whom, what would come of it, and what really came of it. Pure.

mod digest;
pub mod findings;
pub mod identity;
mod labels;
pub mod legs;
mod predict;
pub mod rounds;
mod scope;
#[doc(hidden)]
pub mod simulate;
pub mod verdict;

pub use digest::facts_digest;
pub use labels::labels_on_the_way;
pub use legs::Legs;
pub use predict::{Explanation, KeysPlace, Prediction, Rungs, Way};
pub use rounds::{Rounds, Selection};
pub use scope::PairScope;
pub use verdict::{Inquiry, LegResult, PairResult, judge};
