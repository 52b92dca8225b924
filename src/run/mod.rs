//! The use cases: async, over the adapters, telling an observer what happens and the ledger what happened.

mod assemble;
mod certificates;
mod check;
mod error;
mod examine;
mod host_keys;
mod inquire;
mod journal;
pub mod moves;
mod pairs;
mod prove;
mod repair;
mod request;
mod sample;
mod sshd;
mod survey;

pub use certificates::{CertificatesRequest, CertificatesTask, PlannedCertificates};
pub use check::check;
pub use error::RunError;
pub use host_keys::{record_host_keys, unknown_host_keys};
pub use repair::{
    KeyChange, NextStep, Prepared, RepairRequest, WayBack, WayBackRequest, conclude, left_of,
    next_of, open_rotation, prepare, prepare_forget, prepare_undo, resume,
};
pub use request::{Cancel, Canceller, PairsMode, Request, Surroundings};
