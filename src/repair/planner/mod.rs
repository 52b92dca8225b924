//! From what is known of a fleet to a plan that repairs it.

mod accounts;
mod admit;
mod config;
mod cure;
mod draft;
mod gathered;
mod identities;
mod input;
mod labels;
mod left;
mod make;
mod modes;
mod names;
mod places;
mod problems;
mod record;
mod rest;
mod revoke;
mod rotate;
mod sources;
mod strict;
#[cfg(test)]
pub(in crate::repair) mod tests;
mod withdraw;

pub use input::{Policy, Seen, Situation};
pub use make::{BY_CERTIFICATES, plan};
pub use rest::rest_of;
pub use revoke::{Revocation, plan_revocation};
pub use rotate::{Rotation, Trial, plan_next, plan_rotation, trials};
