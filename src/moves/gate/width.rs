//! How many moves are at the gate at the same time.

use std::time::Duration;

/// Between its proof and its request a move waits for nothing but Nova's answers. Where Nova takes its time, more moves at
/// once are requested no sooner: they wait for each other, each with a proof that grows old. So the gate becomes narrower
/// with every slow answer, and wider with every quick one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width(usize);

impl Width {
    /// No Nova is asked more at once, however quick it is.
    pub const MOST: usize = 8;
    /// An answer that takes longer is slow. Any other makes room for one more, so that one slow spell is not for ever.
    const SLOW: Duration = Duration::from_millis(500);

    /// How many moves may be there now, at least one.
    #[must_use]
    pub fn now(self) -> usize {
        self.0
    }

    /// Takes into account how long Nova took to say what is asked right before a request.
    pub fn answered(&mut self, took: Duration) {
        if took > Self::SLOW {
            self.0 = self.0.saturating_sub(1).max(1);
        } else {
            self.0 = (self.0 + 1).min(Self::MOST);
        }
    }
}

impl Default for Width {
    /// Half of the most: nothing is known of this Nova yet.
    fn default() -> Self {
        Self(Self::MOST / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_answers_make_it_narrow_but_never_close_it_and_quick_ones_make_it_wide_but_not_wider() {
        let mut width = Width::default();
        for (milliseconds, times, expected) in [
            (501, 2, 2),
            (20_000, 9, 1),
            (500, 3, 4),
            (1, 90, Width::MOST),
            (501, 1, Width::MOST - 1),
        ] {
            for _ in 0..times {
                width.answered(Duration::from_millis(milliseconds));
            }
            assert_eq!(width.now(), expected, "{milliseconds} ms, {times} times");
        }
    }
}
