//! The operator's inventory: text to fleet, and selections from it.

mod limit;
mod range;
mod suggest;

pub use limit::{LimitError, select};
pub use range::{MAX_NAMES, NameRange, RangeError, expand_list};
