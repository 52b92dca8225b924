//! How fast a live move gets on: from what is still to copy at two moments.

use jiff::Timestamp;

use crate::openstack::compute::LiveProgress;

/// What is known of a live move's copying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Nova's numbers.
    pub seen: LiveProgress,
    /// When they were first seen.
    at: Timestamp,
    /// Bytes in a second by which what is left became less; `None` while that is not known, and when it became more: the
    /// guest then writes faster than is copied.
    pub rate: Option<u64>,
}

impl Pace {
    /// Takes numbers that were read at a time. Nova writes them every few seconds: the same ones again say nothing new.
    #[must_use]
    pub fn after(before: Option<&Self>, seen: LiveProgress, at: Timestamp) -> Self {
        let Some(before) = before else {
            return Self {
                seen,
                at,
                rate: None,
            };
        };
        if before.seen == seen {
            return before.clone();
        }
        let millis = u64::try_from(at.duration_since(before.at).as_millis()).unwrap_or(0);
        let copied = left(&before.seen).zip(left(&seen));
        let copied = copied.and_then(|(before, now)| before.checked_sub(now));
        let rate = copied.and_then(|copied| copied.checked_mul(1_000)?.checked_div(millis));
        Self { seen, at, rate }
    }

    /// Bytes of memory and disk that are still to be copied.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        left(&self.seen)
    }

    /// Hundredths that are copied.
    #[must_use]
    pub fn percent(&self) -> Option<u64> {
        let disk = self.seen.disk_total_bytes.unwrap_or(0);
        let total = self.seen.memory_total_bytes?.checked_add(disk)?;
        let done = total.saturating_sub(self.left()?);
        done.checked_mul(100)?.checked_div(total)
    }

    /// Seconds until the rest is copied at this rate.
    #[must_use]
    pub fn seconds_left(&self) -> Option<u64> {
        self.left()?.checked_div(self.rate?)
    }
}

fn left(seen: &LiveProgress) -> Option<u64> {
    let disk = seen.disk_remaining_bytes.unwrap_or(0);
    seen.memory_remaining_bytes?.checked_add(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(memory: u64, disk: u64) -> LiveProgress {
        LiveProgress {
            id: 4,
            memory_total_bytes: Some(1_000),
            memory_remaining_bytes: Some(memory),
            disk_total_bytes: Some(3_000),
            disk_remaining_bytes: Some(disk),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(2_000_000 + second).unwrap()
    }

    #[test]
    fn the_rate_is_that_of_the_last_two_numbers_that_differ() {
        let first = Pace::after(None, seen(1_000, 3_000), at(0));
        assert_eq!((first.rate, first.seconds_left()), (None, None));
        assert_eq!(first.percent(), Some(0));
        let same = Pace::after(Some(&first), seen(1_000, 3_000), at(2));
        assert_eq!(same, first);
        let second = Pace::after(Some(&same), seen(500, 1_500), at(4));
        assert_eq!(second.rate, Some(500));
        assert_eq!((second.percent(), second.left()), (Some(50), Some(2_000)));
        assert_eq!(second.seconds_left(), Some(4));
        let dirtied = Pace::after(Some(&second), seen(900, 1_500), at(6));
        assert_eq!((dirtied.rate, dirtied.seconds_left()), (None, None));
    }

    #[test]
    fn numbers_that_nobody_could_have_written_say_nothing() {
        let mut none = seen(0, 0);
        none.memory_total_bytes = None;
        none.memory_remaining_bytes = None;
        let pace = Pace::after(None, none, at(0));
        assert_eq!(
            (pace.left(), pace.percent(), pace.seconds_left()),
            (None, None, None)
        );
        let huge = Pace::after(None, seen(u64::MAX, u64::MAX), at(0));
        assert_eq!((huge.left(), huge.percent()), (None, None));
        let before = Pace::after(None, seen(u64::MAX, 0), at(0));
        assert_eq!(Pace::after(Some(&before), seen(0, 0), at(0)).rate, None);
    }
}
