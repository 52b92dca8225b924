//! Reads the answer of a program while it comes.

use thiserror::Error;

use crate::domain::{Evidence, Leg, LegId, NodeId, Proof, Proven, Reason, Why};
use crate::frame::{Decoder, FrameError, Limits, Nonce, Record};

use super::judge::{Judge, shortened};
use super::settings::Settings;
use super::transcript::Transcript;

/// A leg and what is proven of it.
pub type LegProof = (LegId, Proof);

/// Why an answer cannot be believed any further. What was read before it stays good.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// It is not in the form of an answer.
    #[error("the answer of the proof program breaks its form")]
    Frame(#[from] FrameError),
    /// A record that the program does not write.
    #[error("the answer of the proof program holds a record {0:?}")]
    Kind(String),
    /// A record that is not as the program writes it.
    #[error("a record of the proof program is wrong in {0}")]
    Field(&'static str),
    /// A leg that was not asked for, or that was answered already.
    #[error("the answer of the proof program speaks of leg {0}, which it has no business with")]
    Leg(usize),
}

/// How a program came to its end.
#[derive(Debug, Clone, Copy)]
pub enum Ended<'a> {
    /// By itself, with this status.
    Exited {
        /// Exit status; `None` when the node did not tell or a signal killed it.
        status: Option<u32>,
        /// The end of what it wrote to stderr.
        stderr: &'a [u8],
    },
    /// The control connection failed.
    Failed(Why),
    /// It was told to stop.
    Interrupted,
}

/// Reads the answer of one program.
///
/// What a node says counts for the legs that it was given, once each; anything else ends the reading.
#[derive(Debug)]
pub struct Reader {
    decoder: Decoder,
    token: String,
    settings: Settings,
    legs: Vec<Leg>,
    seen: Vec<bool>,
    began: bool,
    /// Programs that are missing on the node.
    missing: Vec<String>,
    /// Why the program could not do its work at all.
    failed: Option<String>,
    /// Why it stopped early.
    stopped: Option<Why>,
    error: Option<AnswerError>,
}

/// Bytes that one leg may answer: a record below `PIPE_BUF`.
const RECORD: usize = 4096;

/// Signs of life that one leg may give, one for each connection, and the bytes of one.
const SIGNS: usize = 6;
const SIGN: usize = 80;

/// Bytes that a context which cannot be entered may say on stdout, a message of the day included.
const WORDS: usize = 4096;

impl Reader {
    pub(super) fn new(nonce: &Nonce, token: String, settings: Settings, legs: Vec<Leg>) -> Self {
        let limits = Limits {
            bytes: (legs.len() + 16) * RECORD + legs.len() * SIGNS * SIGN + (64 << 10),
            noise: 64 << 10,
            records: legs.len() * (1 + SIGNS) + 16,
            fields: 8,
            field: RECORD,
        };
        Self {
            decoder: Decoder::new(nonce, limits),
            token,
            settings,
            seen: vec![false; legs.len()],
            legs,
            began: false,
            missing: Vec::new(),
            failed: None,
            stopped: None,
            error: None,
        }
    }

    /// Takes the next bytes and adds the legs that they complete. `name` gives nodes their inventory names.
    ///
    /// # Errors
    /// See [`AnswerError`]; the same one again on every later call. The program can be ended then.
    pub fn push(
        &mut self,
        bytes: &[u8],
        name: &dyn Fn(NodeId) -> String,
        proofs: &mut Vec<LegProof>,
    ) -> Result<(), AnswerError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let taken = self.take(bytes, name, proofs);
        self.error = taken.as_ref().err().cloned();
        taken
    }

    fn take(
        &mut self,
        bytes: &[u8],
        name: &dyn Fn(NodeId) -> String,
        proofs: &mut Vec<LegProof>,
    ) -> Result<(), AnswerError> {
        let pushed = self.decoder.push(bytes);
        while let Some(record) = self.decoder.next_record() {
            self.began = true;
            proofs.extend(self.record(&record, name)?);
        }
        Ok(pushed?)
    }

    fn record(
        &mut self,
        record: &Record,
        name: &dyn Fn(NodeId) -> String,
    ) -> Result<Option<LegProof>, AnswerError> {
        let text = || {
            let field = record.fields.first().map_or(&[][..], Vec::as_slice);
            shortened(&String::from_utf8_lossy(field), 200)
        };
        match record.kind.as_str() {
            "leg" => {
                let (number, transcript) =
                    Transcript::read(record).map_err(|bad| AnswerError::Field(bad.0))?;
                match self.seen.get_mut(number) {
                    Some(seen) if !*seen => *seen = true,
                    _ => return Err(AnswerError::Leg(number)),
                }
                let leg = &self.legs[number];
                let judge = Judge {
                    leg,
                    settings: &self.settings,
                    token: &self.token,
                    missing: &self.missing,
                    client: name(leg.id.client),
                    server: name(leg.id.server),
                };
                Ok(Some((leg.id, judge.judge(&transcript))))
            }
            // Only so that the silence of those who have nothing to tell ends.
            "alive" => Ok(None),
            "missing" => {
                self.missing.push(text());
                Ok(None)
            }
            "failed" => {
                self.failed = Some(text());
                Ok(None)
            }
            "stopped" => {
                self.stopped = Some(match text().as_str() {
                    "deadline" => Why::ProbeTimedOut,
                    "signal" => Why::Interrupted,
                    _ => return Err(AnswerError::Field("the end")),
                });
                Ok(None)
            }
            other => Err(AnswerError::Kind(shortened(other, 40))),
        }
    }

    /// Why reading ended early, if it did.
    #[must_use]
    pub fn error(&self) -> Option<&AnswerError> {
        self.error.as_ref()
    }

    /// Legs that have no record yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.seen.iter().filter(|seen| !**seen).count()
    }

    /// Says of every leg without a record why it has none.
    #[must_use]
    pub fn finish(self, ended: Ended<'_>, name: &dyn Fn(NodeId) -> String) -> Vec<LegProof> {
        let (outcome, told) = self.rest(ended);
        let missing = self.legs.iter().zip(&self.seen).filter(|(_, seen)| !**seen);
        missing
            .map(|(leg, _)| {
                let evidence = told.iter().map(|text| Evidence::Fact {
                    node: Some(name(leg.id.client)),
                    text: text.clone(),
                });
                let proof = Proof {
                    reached: None,
                    outcome,
                    evidence: evidence.collect(),
                    millis: 0,
                    address: None,
                    throttled: false,
                };
                (leg.id, proof)
            })
            .collect()
    }

    /// What is known of legs without a record, and in words.
    fn rest(&self, ended: Ended<'_>) -> (Proven, Option<String>) {
        if let Some(error) = &self.error {
            let cause = std::error::Error::source(error);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            return (
                Proven::Unknown(Why::ControlGarbage),
                Some(format!("{error}{cause}")),
            );
        }
        if let Some(failed) = &self.failed {
            return (Proven::Unknown(Why::ProbeFailed), Some(failed.clone()));
        }
        if let Some(why) = self.stopped {
            return (Proven::Unknown(why), None);
        }
        match ended {
            Ended::Failed(why) => (Proven::Unknown(why), None),
            Ended::Interrupted => (Proven::Unknown(Why::Interrupted), None),
            Ended::Exited { status, stderr } => self.exited(status, stderr),
        }
    }

    fn exited(&self, status: Option<u32>, stderr: &[u8]) -> (Proven, Option<String>) {
        let said = String::from_utf8_lossy(stderr);
        let said = said.trim();
        let came = self.decoder.finish();
        if !matches!(came, Err(FrameError::NoBegin { .. })) || self.began {
            // Killed from outside, or records are missing.
            let why = if came.is_ok() {
                Why::ControlGarbage
            } else {
                Why::ControlLost
            };
            return (
                Proven::Unknown(why),
                came.err().map(|error| error.to_string()),
            );
        }
        // A context that cannot be entered says so in a few words. Where there is no context to enter, or something
        // else talks at length, it is the node that does not answer as it should: that says nothing about the legs.
        let entered = self.legs.iter().all(|leg| leg.context.is_empty());
        if entered || self.decoder.noise().len() > WORDS {
            return (
                Proven::Unknown(Why::ControlGarbage),
                came.err().map(|error| error.to_string()),
            );
        }
        match status {
            Some(0) => (
                Proven::Breaks(Reason::ContextFailed),
                Some(
                    "the context passes no standard input to the program (docker exec needs -i)"
                        .to_owned(),
                ),
            ),
            Some(status) => (
                Proven::Breaks(Reason::ContextFailed),
                Some(format!(
                    "the context ends with status {status}: {}",
                    shortened(said, 300)
                )),
            ),
            None => (Proven::Unknown(Why::ControlLost), None),
        }
    }
}
