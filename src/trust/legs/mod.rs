//! Who dials whom, by which name, as whom: the legs of every pair, composed on demand.

mod address;
mod live_uri;
mod recording;
mod sharing;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod usage;

pub use address::{Address, Origin};
pub use sharing::Sharing;
pub use table::Legs;
pub(in crate::trust) use usage::Used;
