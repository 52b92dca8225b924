//! What a whole fleet of real nodes has to bear, and what it must not do to others: full meshes under sshd's default
//! limits, checks that are killed, hostile nodes, and files that must stay as they were.
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for the processes that it starts, and says how long they took"
)]

mod clearway;
mod findings;
mod hostile;
mod killed;
mod mesh;
mod options;
mod penalties;
mod unchanged;
