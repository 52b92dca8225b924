//! Phases that take longer than they should.

use jiff::{SignedDuration, Timestamp};

use super::observe::CONTRADICTION;
use super::state::{Stage, Tracked};
use crate::domain::{HostName, MoveKind};

/// How long Nova may take to begin with a request that it has taken.
const BEGIN: SignedDuration = SignedDuration::from_mins(5);
/// How long a confirmation may take.
const CONFIRM: SignedDuration = SignedDuration::from_mins(10);

/// What to say of a move whose phase takes longer than it should, and what to look at; `None` while it is in time. No phase
/// may take longer than `longest`.
#[must_use]
pub fn overdue(tracked: &Tracked, longest: SignedDuration, now: Timestamp) -> Option<String> {
    let (usual, what) = match tracked.stage {
        Stage::Requested => (
            BEGIN,
            "nobody can tell whether Nova took the request: look at the server's actions before anything else".to_owned(),
        ),
        Stage::Accepted => (
            BEGIN,
            "Nova took the request and has not begun: look at nova-conductor, nova-scheduler and the message queue".to_owned(),
        ),
        Stage::Moving => (longest, going_on(tracked)),
        Stage::Confirming => (
            CONFIRM,
            format!("the confirmation does not end: nova-compute on {} must be up for it", tracked.source),
        ),
        Stage::Reverting => (
            CONFIRM,
            format!("the reversal does not end: nova-compute on {} must be up for it", both(tracked)),
        ),
        _ => return None,
    };
    let bound = usual.min(longest);
    // What looks like an end is about to become one, or not.
    let settling = if tracked.settling.is_some() {
        CONTRADICTION
    } else {
        SignedDuration::ZERO
    };
    (now.duration_since(tracked.since) > bound + settling)
        .then(|| format!("after {} {what}; nothing was cancelled", time(bound)))
}

/// Where it stands still. The phases of a move are done by different hosts (nova/compute/manager.py).
fn going_on(tracked: &Tracked) -> String {
    let phase = tracked.phase.as_str();
    let word = phase.split(' ').next().unwrap_or_default();
    let source = &tracked.source;
    let place = match (tracked.kind, word) {
        (MoveKind::Live, "accepted") => {
            format!("nova-conductor, and at nova-compute on {}", both(tracked))
        }
        (MoveKind::Live, "preparing" | "post-migrating")
        | (_, "pre-migrating" | "post-migrating" | "finished") => {
            format!("nova-compute on {}", destination(tracked))
        }
        (_, "migrating" | "queued" | "running") => format!("nova-compute on {source}"),
        _ => format!("nova-compute on {}", both(tracked)),
    };
    let what = if phase.is_empty() {
        "Nova has not begun with it".to_owned()
    } else {
        format!("it is still {phase}")
    };
    let way_out = if tracked.kind == MoveKind::Live {
        format!("; `clearway moves abort {}` gives it up", tracked.server)
    } else {
        String::new()
    };
    format!("{what}: look at {place}{way_out}")
}

fn destination(tracked: &Tracked) -> &str {
    let destination = tracked.destination.as_ref();
    destination.map_or("its destination", HostName::as_str)
}

fn both(tracked: &Tracked) -> String {
    format!("{} and {}", tracked.source, destination(tracked))
}

fn time(bound: SignedDuration) -> String {
    match bound.as_secs() {
        seconds if seconds < 120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{accepted, at, seen};
    use super::*;

    #[test]
    fn a_phase_that_takes_too_long_says_where_it_stands_still() {
        let longest = SignedDuration::from_mins(120);
        let mut it = accepted(MoveKind::Cold);
        assert_eq!(overdue(&it, longest, at(299)), None);
        let said = overdue(&it, longest, at(301)).unwrap();
        assert!(
            said.contains("after 5 minutes") && said.contains("nova-conductor"),
            "{said}"
        );
        for (kind, word, place) in [
            (MoveKind::Cold, "pre-migrating", "nova-compute on b;"),
            (MoveKind::Cold, "migrating", "nova-compute on a;"),
            (MoveKind::Cold, "post-migrating", "nova-compute on b;"),
            (
                MoveKind::Live,
                "accepted",
                "nova-conductor, and at nova-compute on a and b;",
            ),
            (MoveKind::Live, "queued", "nova-compute on a;"),
            (MoveKind::Live, "preparing", "nova-compute on b;"),
            (MoveKind::Live, "running", "`clearway moves abort "),
        ] {
            let moving = accepted(kind)
                .after(&seen("RESIZE/x@a", word), at(0))
                .unwrap();
            assert_eq!(overdue(&moving, longest, at(7_200)), None);
            let said = overdue(&moving, longest, at(7_201)).unwrap();
            assert!(said.contains(place), "{kind} {word}: {said}");
            assert!(said.contains(&format!("still {word} (x)")), "{said}");
            assert!(said.ends_with("nothing was cancelled"), "{said}");
        }
        it.stage = Stage::Waiting;
        assert_eq!(overdue(&it, longest, at(1_000_000)), None);
    }

    #[test]
    fn no_phase_may_take_longer_than_the_longest() {
        let it = accepted(MoveKind::Cold);
        let said = overdue(&it, SignedDuration::from_secs(6), at(7)).unwrap();
        assert!(said.starts_with("after 6 seconds "), "{said}");
        let settling = it.after(&seen("ACTIVE/-@a", "error"), at(5)).unwrap();
        assert_eq!(
            overdue(&settling, SignedDuration::from_secs(6), at(7)),
            None
        );
    }
}
