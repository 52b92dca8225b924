//! The gate: which destinations may be tried, and what lets a move through to one.

mod claims;
mod closed;
mod destinations;
mod pass;
mod width;

pub use claims::{Claim, Matched};
pub use closed::Closed;
pub use destinations::{
    Candidate, Cloud, Excluded, candidates, closed_service, eligible, is_outside, unmatched,
};
pub use pass::{LegProof, Override, Pass, Reported, Wanted, pass};
pub use width::Width;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
