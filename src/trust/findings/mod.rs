//! What is true of a fleet and worth knowing although it breaks no leg.
//!
//! Each finding names the nodes it concerns; those with the same words are put together where they are reported, so a
//! whole fleet with one habit is one line.

mod certificates;
mod find;
mod fleet;
mod former;
mod identity;
mod inventory;
mod keys;
mod known_hosts;
mod labels;
mod settings;

pub use find::find;
