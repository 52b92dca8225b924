//! The rules of moves: what a move needs, what lets it through, how it goes on, what is compared, what a failure means.
//!
//! A request that moves a server is made here and nowhere else, out of a [`gate::Pass`], and a pass only out of proofs
//! that are young.

pub mod compare;
pub mod diagnose;
pub mod gate;
pub mod machine;
mod movable;
mod needs;
pub mod pace;
pub mod plan;
pub mod recover;
mod request;
pub mod steering;

pub use movable::{Movable, movable};
pub use needs::{ImageState, NeededLeg, Needs, Storage, needs};
pub use request::{MoveRequest, RequestError, rights_probe};
