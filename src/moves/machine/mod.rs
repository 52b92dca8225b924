//! One move from its plan to its end, as a machine with one transition function.
//!
//! [`Tracked::after`] is what guards every record before it is written to the journal, and what replays the journal: a
//! record that it refuses is never written, and what was written can always be read back.

mod explained;
mod observe;
mod overdue;
mod record;
mod rows;
mod state;
mod transition;
mod uncertain;

pub use observe::{Reading, SETTLE, read};
pub use overdue::overdue;
pub use record::{Record, Seen, SeenMigration, SeenServer};
pub use rows::own_row;
pub use state::{End, Hook, Stage, Tracked, Verdict};
pub use transition::Illegal;
pub use uncertain::{Doubt, Lookup, Sent, was_sent};

#[cfg(test)]
mod ends_tests;
#[cfg(test)]
mod tests;
