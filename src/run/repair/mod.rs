//! Repair: plan what is broken, carry it out on the nodes, prove it, and keep it or put it back.

mod alone;
mod carry;
mod control;
mod draft;
mod forget;
mod hands;
mod journal;
mod outcome;
mod prepare;
mod prove;
mod rests;
mod resume;
mod rotate;
mod undo;
mod way_back;

pub use draft::KeyChange;
pub use forget::prepare_forget;
pub use outcome::left_of;
pub use prepare::{Prepared, RepairRequest, prepare};
pub use resume::resume;
pub use rotate::{NextStep, conclude, next_of, open_rotation};
pub use undo::prepare_undo;
pub use way_back::{WayBack, WayBackRequest};
