//! The machine that clearway runs on: the only place where clocks, the environment and randomness are read.

mod clock;
mod environment;
mod limits;
mod process;
mod program;
mod random;

pub use clock::{Stopwatch, now, now_unix};
pub use environment::{Environment, Terminal, command_line, user, variables};
pub use limits::raise_open_files;
pub use process::{ProcessId, leave_now};
pub use program::{find_program, run_program};
pub use random::{host_name_salt, random_bytes, random_name, random_seed, run_id};
