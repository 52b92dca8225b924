//! Certificates in the lab: real keys, real sshd, the real ssh-keygen, and every leg verified by the real clearway.
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for the processes that it starts"
)]

mod commands;
mod fleet;
mod journal;
mod legs;
mod reload;
mod review;
mod revoked;
