//! Repair: plan what is broken, carry it out on the nodes, prove it, and keep it or put it back.

mod carry;
mod hands;
mod journal;
mod outcome;
mod prepare;
mod prove;
mod resume;
mod undo;

pub use prepare::{Prepared, RepairRequest, prepare};
pub use resume::resume;
pub use undo::{Undoing, Undone, UndoneNode, prepare_undo};
