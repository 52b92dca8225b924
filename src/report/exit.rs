//! The exit codes: what a script learns without reading anything.

use super::model::Summary;

/// All well.
pub const WELL: u8 = 0;
/// Something is broken or failed.
pub const BROKEN: u8 = 1;
/// The command line, the configuration or the inventory is wrong, or something on this machine does not work.
pub const USAGE: u8 = 2;
/// Something could not be checked, and nothing is known to be broken.
pub const UNPROVEN: u8 = 3;
/// The gate refused.
pub const REFUSED: u8 = 4;
/// Interrupted (128 + SIGINT, as shells report it).
pub const INTERRUPTED: u8 = 130;

/// The exit codes with what they mean, as help texts and documents show them.
pub const TABLE: &[(u8, &str)] = &[
    (WELL, "all well"),
    (BROKEN, "something is broken or failed"),
    (
        USAGE,
        "usage, configuration or inventory is wrong, or this machine is in the way",
    ),
    (
        UNPROVEN,
        "something could not be checked, and nothing is known to be broken",
    ),
    (REFUSED, "refused by the gate"),
    (INTERRUPTED, "interrupted"),
];

/// The exit code that the verdicts mean. Interrupted says most, since the verdicts are then incomplete; a broken leg
/// says more than an unproven one.
#[must_use]
pub fn code_of(summary: &Summary, interrupted: bool) -> u8 {
    if interrupted {
        INTERRUPTED
    } else if summary.legs.broken > 0 || summary.pairs.broken > 0 {
        BROKEN
    } else if summary.legs.unproven > 0
        || summary.pairs.unproven > 0
        || summary.surveyed < summary.nodes
    {
        UNPROVEN
    } else {
        WELL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Counts;

    fn summary(broken: u64, unproven: u64, surveyed: u64) -> Summary {
        Summary {
            nodes: 2,
            surveyed,
            legs: Counts {
                broken,
                unproven,
                ..Counts::default()
            },
            ..Summary::default()
        }
    }

    #[test]
    fn broken_outranks_unproven_and_an_interrupt_outranks_both() {
        for (case, interrupted, code) in [
            (summary(0, 0, 2), false, WELL),
            (summary(1, 0, 2), false, BROKEN),
            (summary(1, 5, 1), false, BROKEN),
            (summary(0, 1, 2), false, UNPROVEN),
            (summary(0, 0, 1), false, UNPROVEN),
            (summary(1, 1, 2), true, INTERRUPTED),
        ] {
            assert_eq!(code_of(&case, interrupted), code, "{case:?}");
        }
    }
}
