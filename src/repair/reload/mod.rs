//! A change of sshd's configuration with a way back that needs nobody.
//!
//! ```text
//! on the node                                        clearway
//! ───────────                                        ────────
//! change()   hold the lock, compare, save
//!            sshd -t, and where it would listen: nothing is
//!            begun that a reload would end with
//!            arm the guard: it takes all back in N s
//!            write, sshd -t, reload, listen again  ─▶ a new login, while the old connection is still there
//!                                                     │ it came
//! keep()     the guard is told: nothing stays behind ◀┘     it did not come, or clearway is gone:
//! guard      files back, reload, nothing stays behind       N seconds later
//! ```
//!
//! An sshd is told only what `sshd -t` takes, on the way back too, and there only if it was told before. Where it cannot be
//! told, it is left as it is: that is noted on the node, and whoever comes next tries again.
//!
//! The programs are text; `run` sends them.

mod answer;
mod program;
#[cfg(test)]
mod tests;

pub use answer::{Changed, Settled, read_changed, read_settled};
pub use program::{Unplanned, change, keep, take_back};
