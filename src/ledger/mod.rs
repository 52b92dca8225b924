//! What runs left behind: a database of runs, their events, their reports, and the legs that were proven last.
//!
//! By default an SQLite file. Nothing of SQLite is in the interface, so that a cloud's own database can stand behind it.
//! Nothing secret is stored: no private keys, no passphrases; evidence is what the report shows.

mod error;
mod events;
mod open;
mod proofs;
mod recorder;
mod repairs;
mod runs;

pub use error::LedgerError;
pub use events::StoredEvent;
pub use open::Ledger;
pub use proofs::ProvenLeg;
pub use recorder::Recorder;
pub use repairs::{StoredRepair, WorkedLegs};
pub use runs::{RunRecord, RunStart, RunState};

#[cfg(test)]
mod tests;
