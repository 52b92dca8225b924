//! The one transition function.

use std::fmt;

use jiff::Timestamp;

use super::observe::{Reading, read};
use super::record::Record;
use super::state::{End, Hook, Stage, Tracked, Verdict};
use crate::domain::MoveKind;

/// A record that cannot follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Illegal {
    /// Where the move is.
    pub stage: Stage,
    /// What was to follow.
    pub record: String,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a move that is {} cannot become {}",
            self.stage, self.record
        )
    }
}

impl std::error::Error for Illegal {}

impl Tracked {
    /// The move after a record that was made at a time.
    ///
    /// # Errors
    /// The record cannot follow: it must not be written, and what was written is damaged.
    pub fn after(&self, record: &Record, at: Timestamp) -> Result<Self, Illegal> {
        let mut next = self.clone();
        match (self.stage, record) {
            (Stage::Planned, Record::Proving { destination }) => {
                next.destination.clone_from(destination);
                next.enter(Stage::Proving, at);
            }
            (
                Stage::Planned,
                Record::Adopted {
                    migration,
                    destination,
                },
            ) => {
                next.migration = Some(*migration);
                next.destination = Some(destination.clone());
                next.enter(Stage::Waiting, at);
            }
            (
                Stage::Proving,
                Record::Passed {
                    destination,
                    proven,
                    overridden,
                    ..
                },
            ) if self.destination == *destination => {
                next.proven.clone_from(proven);
                next.overridden = overridden.is_some();
                next.enter(Stage::Passed, at);
            }
            (Stage::Proving | Stage::Passed, Record::Closed { destination, .. })
                if self.destination.as_ref() == Some(destination) =>
            {
                next.try_elsewhere(at);
            }
            // The destination that is asked for is the one that was proven.
            (
                Stage::Passed,
                Record::Requesting {
                    destination,
                    baseline,
                    actions,
                },
            ) if destination.is_none() || *destination == self.destination => {
                next.destination.clone_from(destination);
                next.baseline = *baseline;
                next.known_actions.clone_from(actions);
                next.enter(Stage::Requested, at);
            }
            (Stage::Requested, Record::Accepted { request_id }) => {
                next.request_id.clone_from(request_id);
                next.enter(Stage::Accepted, at);
            }
            (
                Stage::Requested,
                Record::Rejected {
                    elsewhere: true, ..
                },
            ) => next.try_elsewhere(at),
            // Also after a stop: what was only prepared is prepared again, from a fresh proof.
            (Stage::Proving | Stage::Passed | Stage::Requested, Record::NotSent { .. }) => {
                next.destination = None;
                next.enter(Stage::Planned, at);
            }
            (
                Stage::Requested,
                Record::Rejected {
                    why,
                    elsewhere: false,
                },
            ) => {
                next.finish(Verdict::Failed, why.clone(), at);
            }
            (Stage::Requested, Record::Uncertain { why, .. }) => {
                next.phase.clone_from(why);
                next.since = at;
            }
            (
                Stage::Requested
                | Stage::Accepted
                | Stage::Moving
                | Stage::Waiting
                | Stage::Confirming
                | Stage::Reverting,
                Record::Seen(seen),
            ) => {
                // Without a row nothing is known of a request whose outcome is not.
                if self.stage == Stage::Requested
                    && seen.server.is_some()
                    && seen.migration.is_none()
                {
                    return Err(self.illegal(record));
                }
                if let Some(row) = &seen.migration {
                    next.migration = Some(row.id);
                    // The scheduler has alternates for a resize: when a host does not take it, the row names the next one.
                    if row.destination.is_some()
                        && (next.destination.is_none() || self.kind == MoveKind::Resize)
                    {
                        next.destination.clone_from(&row.destination);
                    }
                }
                next.take(read(&next, seen, at), at);
            }
            (Stage::Waiting, Record::ConfirmRequesting) => next.enter(Stage::Confirming, at),
            (Stage::Confirming, Record::ConfirmAccepted { .. }) => {
                "confirming".clone_into(&mut next.phase);
            }
            // Back to what is seen: somebody else may have confirmed, or the confirmation may be possible later.
            (Stage::Confirming, Record::ConfirmRejected { .. }) => next.enter(Stage::Moving, at),
            (Stage::Waiting, Record::RevertRequesting) => {
                next.reverting = true;
                next.enter(Stage::Reverting, at);
            }
            (Stage::Reverting, Record::RevertAccepted { .. }) => {
                "reverting".clone_into(&mut next.phase);
            }
            (Stage::Reverting, Record::RevertRejected { .. }) => next.enter(Stage::Moving, at),
            (Stage::Arrived, Record::Compared { differences }) => {
                if differences.is_empty() && self.reverting {
                    next.finish(Verdict::Reverted, String::new(), at);
                } else if differences.is_empty() {
                    next.finish(Verdict::Done, String::new(), at);
                } else {
                    let why = format!("the server is not as it was: {}", differences.join("; "));
                    next.finish(Verdict::Failed, why, at);
                }
            }
            (Stage::Ended, Record::HookStarting) if self.hook == Hook::Not => {
                next.hook = Hook::Started;
            }
            (Stage::Ended, Record::HookEnded { failure }) if self.hook == Hook::Started => {
                next.hook = Hook::Ended(failure.clone());
            }
            (Stage::Ended, Record::Explained { lines })
                if self.explained.is_empty()
                    && (self.has_ended(Verdict::Failed) || self.has_ended(Verdict::Unknown)) =>
            {
                next.explained.clone_from(lines);
            }
            // Nova may have gone on with what nobody could wait for: it is looked at again, and nothing is sent again that
            // may have been sent.
            (Stage::Ended, Record::Reopened) if self.has_ended(Verdict::Unknown) => {
                next.end = None;
                // What is found later is told instead.
                next.explained.clear();
                let unsettled = self.migration.is_none() && self.request_id.is_none();
                next.enter(
                    if unsettled {
                        Stage::Requested
                    } else {
                        Stage::Moving
                    },
                    at,
                );
            }
            (Stage::Ended, _) => return Err(self.illegal(record)),
            // What has not been asked for can be given up; what may be under way can only become unknown, or be left
            // where it waits.
            (Stage::Planned | Stage::Proving | Stage::Passed, Record::GivenUp { verdict, why })
                if matches!(
                    verdict,
                    Verdict::Refused | Verdict::NotStarted | Verdict::Failed
                ) =>
            {
                next.finish(*verdict, why.clone(), at);
            }
            (
                Stage::Waiting,
                Record::GivenUp {
                    verdict: Verdict::Unconfirmed,
                    why,
                },
            ) => {
                next.finish(Verdict::Unconfirmed, why.clone(), at);
            }
            (
                Stage::Requested
                | Stage::Accepted
                | Stage::Moving
                | Stage::Waiting
                | Stage::Confirming
                | Stage::Reverting
                | Stage::Arrived,
                Record::GivenUp {
                    verdict: Verdict::Unknown,
                    why,
                },
            ) => {
                next.finish(Verdict::Unknown, why.clone(), at);
            }
            _ => return Err(self.illegal(record)),
        }
        Ok(next)
    }

    fn take(&mut self, reading: Reading, at: Timestamp) {
        match reading {
            Reading::Moving(word) => {
                self.settling = None;
                // A confirmation or a reversal that is being carried out stays one.
                if !matches!(self.stage, Stage::Confirming | Stage::Reverting) {
                    self.enter(Stage::Moving, at);
                }
                self.phase = word;
            }
            Reading::Waiting => {
                self.settling = None;
                self.enter(Stage::Waiting, at);
            }
            Reading::Confirming => {
                self.settling = None;
                self.enter(Stage::Confirming, at);
            }
            Reading::Reverting => {
                self.settling = None;
                self.enter(Stage::Reverting, at);
            }
            Reading::Arrived => {
                self.settling = None;
                self.enter(Stage::Arrived, at);
            }
            Reading::Settling(verdict, why) => match &self.settling {
                Some((before, said, _)) if *before == verdict && *said == why => {}
                _ => {
                    if self.stage == Stage::Requested {
                        self.enter(Stage::Moving, at);
                    }
                    self.settling = Some((verdict, why, at));
                }
            },
            Reading::Elsewhere => {
                self.settling = None;
                self.migration = None;
                self.try_elsewhere(at);
            }
            Reading::Ended(verdict, why) => self.finish(verdict, why, at),
        }
    }

    fn has_ended(&self, verdict: Verdict) -> bool {
        self.end.as_ref().is_some_and(|end| end.verdict == verdict)
    }

    fn enter(&mut self, stage: Stage, at: Timestamp) {
        if self.stage != stage {
            self.stage = stage;
            self.since = at;
            self.phase.clear();
        }
    }

    fn try_elsewhere(&mut self, at: Timestamp) {
        if let Some(tried) = self.destination.take() {
            self.tried.push(tried);
        }
        self.request_id = None;
        self.enter(Stage::Planned, at);
    }

    fn finish(&mut self, verdict: Verdict, why: String, at: Timestamp) {
        self.settling = None;
        self.enter(Stage::Ended, at);
        self.end = Some(End { verdict, why });
    }

    fn illegal(&self, record: &Record) -> Illegal {
        Illegal {
            stage: self.stage,
            record: format!("{record:?}"),
        }
    }
}
