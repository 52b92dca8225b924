//! Facts of made-up fleets, for benches and properties: healthy, or with faults.
//!
//! Nothing here is used by the program itself.

mod keys;
mod world;

pub use world::{Form, Simulation, World};
