//! From facts to a plan and back: what a plan leads to works, and needs no plan.

mod faults;
mod hostile;
mod json;
mod labels;
mod rotation;
mod settings;
pub(in crate::repair) mod world;
