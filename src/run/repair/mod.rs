//! Repair: plan what is broken, carry it out on the nodes, prove it, and keep it or put it back.

mod alone;
mod carry;
mod forget;
mod hands;
mod journal;
mod outcome;
mod prepare;
mod prove;
mod resume;
mod rotate;
mod undo;

pub use forget::{Forgetting, prepare_forget};
pub use prepare::{KeyChange, Prepared, RepairRequest, prepare};
pub use resume::resume;
pub use rotate::{NextStep, conclude, next_of, open_rotation, steps_back, steps_to_forget};
pub use undo::{Undoing, Undone, UndoneNode, prepare_undo};
