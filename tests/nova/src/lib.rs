//! A real Keystone, Nova and Placement on 127.0.0.1, for clearway's tests.
//!
//! API, conductors, scheduler and computes are Nova's own, as PyPI ships them; only the hypervisors are made up, and
//! do with each move what the test says. Clouds run side by side, and nothing is left when the owner is killed. With
//! [`RealCloud`] even the hypervisors are real.
//!
//! ```no_run
//! # fn main() -> Result<(), clearway_nova_lab::CloudError> {
//! use clearway_nova_lab::{Cloud, ColdFault, Steer};
//! let cloud = Cloud::builder().computes(4).start()?;
//! let server = cloud.boot_server("s1", "node1.lab")?;
//! cloud.steer("node1.lab", "node2.lab", Steer::cold(ColdFault::HostKey))?;
//! cloud.act("operator", &server, r#"{"migrate": {"host": "node2.lab"}}"#)?;
//! # Ok(()) }
//! ```

mod api;
mod builder;
mod cache;
mod cloud;
mod control;
mod error;
mod fault;
mod home;
mod log;
mod machines;
mod plan;
mod process;
mod real;
mod servers;
mod steer;

pub use api::Answer;
pub use builder::Builder;
pub use cache::{Cache, Support};
pub use cloud::Cloud;
pub use error::{CloudError, Result};
pub use fault::{ApiFault, Effect};
pub use log::Request;
pub use plan::Compute;
pub use real::RealCloud;
pub use servers::IMAGE;
pub use steer::{ColdFault, ColdPhase, LiveFault, LivePhase, Steer};
