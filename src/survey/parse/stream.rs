//! The whole answer: one span for each part of the program, each a frame of its own.

use thiserror::Error;

use crate::frame::{FrameError, Record, decode};

use super::super::answers::KnownAnswer;
use super::super::content::ContentPool;
use super::super::facts::NodeFacts;
use super::super::request::{Part, SurveyRequest};
use super::part::PartAnswer;
use super::{client, host, server};

/// What a survey brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The facts.
    pub facts: NodeFacts,
    /// Answers that other nodes need not give again.
    pub learnt: Vec<KnownAnswer>,
}

/// Why an answer is no survey. Nothing of it is used then.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SurveyError {
    /// The answer as a whole is not what the program writes.
    #[error("the survey's answer cannot be read")]
    Frame(#[from] FrameError),
    /// The part that tells who the node is did not answer.
    #[error("the survey of the host itself failed: {0}")]
    Host(String),
    /// A record that the program does not write, or not there, not so often, or not with these fields.
    #[error("the survey's answer has an unexpected record `{0}`")]
    Unexpected(String),
    /// A record that the program always writes is not there.
    #[error("the survey's answer lacks the record `{0}`")]
    Missing(&'static str),
    /// A value that is not what it should be.
    #[error("the survey's answer has a bad {0}")]
    Value(&'static str),
}

/// What came back from one part.
pub(super) enum Outcome {
    /// It was not entered: nova.conf does not let live migration use SSH.
    Skipped,
    /// It answered.
    Answered(Box<PartAnswer>),
    /// It could not be entered; with what it said instead.
    Failed(String),
    /// What came is not a whole answer, for example because it took too long: what it would have been is not known.
    Unfinished(String),
}

/// Reads the answer of a node to a request.
///
/// What a part of the program says counts only for that part: a container or an account that answers wrongly spoils
/// its own facts and becomes the `failed` of its [`ClientFacts`](crate::survey::ClientFacts) or a gap.
///
/// # Errors
/// When the answer is not whole, breaks the form, or does not tell who the node is: see [`SurveyError`].
pub fn parse(
    request: &SurveyRequest,
    bytes: &[u8],
    pool: &ContentPool,
) -> Result<Survey, SurveyError> {
    let records = decode(bytes, &request.nonce, request.limits())?;
    let parts = request.parts();
    let mut outcomes = Vec::with_capacity(parts.len());
    let mut records = records.into_iter();
    for (i, part) in parts.iter().enumerate() {
        let record = records.next().ok_or(SurveyError::Missing("part"))?;
        let number = i.to_string();
        let outcome = match (record.kind.as_str(), record.span, record.fields.as_slice()) {
            ("skipped", None, [n]) if *n == number.as_bytes() && part.only_live() => {
                Outcome::Skipped
            }
            ("part", Some(span), [n]) if *n == number.as_bytes() => {
                let left = records.next().ok_or(SurveyError::Missing("left"))?;
                outcome(request, i, &span, &left, pool)?
            }
            _ => return Err(SurveyError::Unexpected(record.kind)),
        };
        outcomes.push(outcome);
    }
    if let Some(record) = records.next() {
        return Err(SurveyError::Unexpected(record.kind));
    }
    assemble(request, &parts, &outcomes)
}

fn outcome(
    request: &SurveyRequest,
    index: usize,
    span: &[u8],
    left: &Record,
    pool: &ContentPool,
) -> Result<Outcome, SurveyError> {
    let (number, status, said) = match (left.kind.as_str(), left.fields.as_slice()) {
        ("left", [number, status, said]) => (number, status, said),
        _ => return Err(SurveyError::Unexpected(left.kind.clone())),
    };
    if *number != index.to_string().as_bytes() {
        return Err(SurveyError::Unexpected("left".to_owned()));
    }
    let status: u8 = text_number(status).ok_or(SurveyError::Value("exit status"))?;
    // What the part told the program around it is not for people.
    let said = String::from_utf8_lossy(said);
    let said: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("clearway-"))
        .collect();
    let said = said.join("\n");
    let answer = decode(span, &request.part_nonce(index), request.limits());
    Ok(match answer {
        Ok(records) => match PartAnswer::read(&records, pool) {
            Ok(answer) => Outcome::Answered(Box::new(answer)),
            Err(error) => Outcome::Unfinished(error.to_string()),
        },
        Err(FrameError::NoBegin { .. }) => {
            let noise = String::from_utf8_lossy(&span[..span.len().min(2000)]).into_owned();
            let words = [noise.trim(), said.trim()]
                .into_iter()
                .filter(|text| !text.is_empty());
            let words = words.collect::<Vec<_>>().join("\n");
            let why = match (words.is_empty(), status) {
                (true, 0) => "the program did not run there".to_owned(),
                (true, status) => format!("exit status {status}"),
                (false, 0) => words,
                (false, status) => format!("exit status {status}: {words}"),
            };
            // timeout(1) says 124, or 137 where it had to kill.
            if matches!(status, 0 | 124 | 137) {
                Outcome::Unfinished(why)
            } else {
                Outcome::Failed(why)
            }
        }
        Err(error) if status == 124 || status == 137 => {
            Outcome::Unfinished(format!("it took too long; {error}"))
        }
        Err(error) => Outcome::Unfinished(error.to_string()),
    })
}

fn assemble(
    request: &SurveyRequest,
    parts: &[Part],
    outcomes: &[Outcome],
) -> Result<Survey, SurveyError> {
    let mut gaps = Vec::new();
    let mut learnt = Vec::new();
    let of = |words: &[String]| {
        let at = parts.iter().position(|part| part.words == words);
        at.and_then(|at| outcomes.get(at))
            .ok_or(SurveyError::Missing("part"))
    };
    let host = match of(&[])? {
        Outcome::Answered(answer) => host::host(answer, &mut gaps)?,
        Outcome::Failed(why) | Outcome::Unfinished(why) => {
            return Err(SurveyError::Host(why.clone()));
        }
        Outcome::Skipped => return Err(SurveyError::Unexpected("skipped".to_owned())),
    };
    for outcome in outcomes {
        if let Outcome::Answered(answer) = outcome {
            answer.gaps(&mut gaps);
        }
    }
    let (nova, instances) = host::nova(outcomes.first(), &request.nova_conf, &host, &mut gaps);
    let mut clients = Vec::with_capacity(request.contexts.len());
    for context in &request.contexts {
        let (facts, answer) = client::client(request, context, of(&context.words)?)?;
        clients.push(facts);
        learnt.extend(answer);
    }
    let (server, answer) = match of(&request.sshd.context)? {
        Outcome::Answered(answer) => server::server(request, answer, host.clock, &mut gaps)?,
        Outcome::Failed(why) | Outcome::Unfinished(why) => (server::failed(why), None),
        Outcome::Skipped => return Err(SurveyError::Unexpected("skipped".to_owned())),
    };
    learnt.extend(answer);
    learnt.dedup();
    Ok(Survey {
        facts: NodeFacts {
            hostname: host.hostname,
            machine_id: host.machine_id,
            os: host.os,
            clock: host.clock,
            clock_skew: None,
            addresses: host.addresses,
            listeners: host.listeners,
            nova,
            clients,
            server,
            instances,
            gaps,
        },
        learnt,
    })
}

/// A decimal number in its range, without sign or leading zeros.
pub(super) fn text_number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    let canonical = text == b"0" || text.first().is_some_and(|b| (b'1'..=b'9').contains(b));
    let digits = text.iter().all(u8::is_ascii_digit);
    if !canonical || !digits {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
