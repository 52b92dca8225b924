//! A change of sshd's configuration with a way back that needs nobody.
//!
//! ```text
//! on the node                                        clearway
//! ───────────                                        ────────
//! change()   hold the lock, compare, save
//!            arm the guard: it takes all back in N s
//!            write, sshd -t, reload, listen again  ─▶ a new login, while the old connection is still there
//!                                                     │ it came
//! keep()     the guard is told: nothing stays behind ◀┘     it did not come, or clearway is gone:
//! guard      files back, reload, nothing stays behind       N seconds later
//! ```
//!
//! The programs are text; `run` sends them.

mod answer;
mod program;
#[cfg(test)]
mod tests;

pub use answer::{Changed, Settled, read_changed, read_settled};
pub use program::{Unplanned, change, keep, take_back};
