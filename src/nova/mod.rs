//! Talking to Keystone and Nova: one session per command, with its token, its address and its microversion.
//!
//! Reads are repeated while the API is away. A write is sent once: what became of it is for whoever sent it to read back.

mod error;
mod http;
mod listing;
mod session;

pub use error::{Distrust, NovaError, Unsent};
pub use http::{Http, Patience};
pub use session::{Opened, Session, Written};
