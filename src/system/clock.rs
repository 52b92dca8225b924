//! The clocks.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The wall clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads it"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The wall clock in whole seconds since the epoch; 0 for a clock that is set before it.
#[must_use]
pub fn now_unix() -> u64 {
    u64::try_from(now().as_second()).unwrap_or_default()
}

/// Measures how long something takes, whatever happens to the wall clock meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads it"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Time since the start in whole milliseconds.
    #[must_use]
    pub fn millis(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
