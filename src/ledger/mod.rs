//! What runs left behind: a database of runs, their events, their reports, and the legs that were proven last.
//!
//! By default an SQLite file. Nothing of SQLite is in the interface, so that a cloud's own database can stand behind it.
//! Nothing secret is stored: no private keys, no passphrases; evidence is what the report shows.

mod error;
mod events;
mod locks;
mod moves;
mod open;
mod proofs;
mod recorder;
mod repairs;
mod runs;

pub use error::LedgerError;
pub use events::StoredEvent;
pub use locks::HeldLock;
pub use moves::{StoredMove, StoredRecord, StoredService};
pub use open::Ledger;
pub use proofs::ProvenLeg;
pub use recorder::Recorder;
pub use repairs::{StoredRepair, WorkedLegs};
pub use runs::{RunRecord, RunStart, RunState};

#[cfg(test)]
mod moves_tests;
#[cfg(test)]
mod tests;
