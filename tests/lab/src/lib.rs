//! Real sshd nodes on one machine, with planted faults, for clearway's tests.
//!
//! A [`Lab`] is a set of nodes, each with its own network, host name, process table, accounts, `/etc/ssh`,
//! `/etc/nova`, `/var/lib/nova` and a real sshd, made of namespaces over one shared image. Nothing of it appears in
//! the machine's own network or mount table, labs run side by side, and nothing is left when the owner is killed.
//!
//! ```no_run
//! # fn main() -> Result<(), clearway_lab::LabError> {
//! let lab = clearway_lab::Lab::builder().nodes(3).start()?;
//! let answer = lab.node("node1").sh_as("nova", "ssh -n -o BatchMode=yes 10.77.0.3 uname -n")?;
//! assert_eq!(answer.stdout, b"node2\n");
//! # Ok(()) }
//! ```

mod apt;
pub mod base;
mod builder;
mod enter;
mod error;
mod fault;
mod image;
mod init;
mod inventory;
mod keys;
mod lab;
mod layer;
mod net;
mod node;
mod openssh;
mod plan;
mod plant;
mod privilege;
mod process;
mod report;
mod rootfs;
mod state;
mod supervisor;
mod sys;
mod syslog;
mod verify;

pub use builder::Builder;
pub use error::{LabError, Result};
pub use fault::{
    Cure, ExpectedLeg, ExpectedProof, Fault, LabOptions, Lane, Place, Plant, Step, Verdict,
};
pub use image::Image;
pub use lab::Lab;
pub use node::Node;
pub use openssh::OpenSsh;
pub use plan::Kex;
pub use privilege::LabSupport;
pub use verify::Mismatch;
