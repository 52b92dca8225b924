//! Which legs are climbed, and in which order, so that no node is met by all the others at once.

mod order;
mod selection;
#[cfg(test)]
mod tests;

pub use order::Rounds;
pub use selection::Selection;
