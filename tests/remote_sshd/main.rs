//! The control connection against real OpenSSH servers on loopback, and against servers that misbehave.
//!
//! Every server is started by the test that uses it, as the current user, on a free port, and is killed with it.
#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says when it was not run, fails by panicking, and waits for the processes that it starts"
)]

mod agents;
mod host_keys;
mod hostile;
mod jumps;
mod logins;
mod many;
mod programs;
mod sshd;
