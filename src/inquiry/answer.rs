//! Which lines answer a question, and what they come to.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::domain::{Evidence, KeySeen, Proof, Proven, Reason, Why};
use crate::frame::{FrameError, Limits, Nonce, decode};

use super::line::{LogLine, Moment};
use super::meaning::{Meaning, is_said, meaning};

/// The end of a server's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerLog {
    now: Moment,
    /// `journal` or a path; `None` when nothing could be read.
    source: Option<String>,
    text: String,
    nologin: Vec<String>,
}

/// What is asked of a log: why a leg was refused or dropped.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The addresses that the client may have come from.
    pub client: &'a [IpAddr],
    /// The addresses of all nodes: a connection from one of these that is not the client's was another node's. From any
    /// other it may have been the client's, for addresses are translated on the way.
    pub nodes: &'a HashSet<IpAddr>,
    /// The account that was logged in to, when it is known.
    pub user: Option<&'a str>,
    /// Why the files say that the leg breaks, if they do: a log tells which client and which account a connection was of, and
    /// not which leg, and two legs of one client to one account may offer different keys.
    pub predicted: Option<Reason>,
    /// Whether the far end would have taken the key; see [`key_was_taken`]. What PAM refuses after that is logged
    /// without the client's address.
    pub key_taken: bool,
    /// Whether the sshd writes down in this log, at least once, that it drops connections: else its silence tells nothing.
    pub logs_drops: bool,
    /// How long ago the leg can have been tried at most.
    pub window: Duration,
}

/// What a log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Why; `None` when the log does not say.
    pub reason: Option<Reason>,
    /// Whether sshd was throttling then; `None` when there is no log, or none that would say so.
    ///
    /// It does not log every connection that it drops: while `MaxStartups` is exceeded, only the first.
    pub throttled: Option<bool>,
    /// The lines.
    pub evidence: Vec<Evidence>,
}

/// Whether the far end may know more of this outcome than the client.
#[must_use]
pub fn is_worth_asking(outcome: Proven) -> bool {
    matches!(
        outcome,
        Proven::Refused
            | Proven::Unknown(Why::Throttled)
            | Proven::Breaks(Reason::SessionRefused | Reason::KeyExchangeFailed)
    )
}

/// Whether a proof shows that the far end would have taken the key, and refused the login after that.
#[must_use]
pub fn key_was_taken(proof: &Proof) -> bool {
    let is_taken = |it: &Evidence| {
        matches!(
            it,
            Evidence::Key {
                seen: KeySeen::Authorized,
                ..
            }
        )
    };
    proof.evidence.iter().any(is_taken)
}

/// Most lines that are kept as evidence.
const SHOWN: usize = 6;
/// Both clocks are read in whole seconds.
const SLACK: i64 = 1;
/// A line may be written while the program runs that has read the clock before.
const AHEAD: i64 = 2;

impl ServerLog {
    /// Reads the answer of [`super::script()`].
    ///
    /// # Errors
    /// If it is not a whole answer to the program with this nonce.
    pub fn read(stdout: &[u8], nonce: &Nonce) -> Result<Self, FrameError> {
        let limits = Limits {
            bytes: 512 << 10,
            noise: 64 << 10,
            records: 8,
            fields: 2,
            field: 512 << 10,
        };
        let mut log = Self::default();
        for record in decode(stdout, nonce, limits)? {
            let field = |number: usize| {
                let bytes = record.fields.get(number).map_or(&[][..], Vec::as_slice);
                String::from_utf8_lossy(bytes).into_owned()
            };
            match record.kind.as_str() {
                "nologin" => log.nologin.push(field(0)),
                "now" => {
                    log.now = Moment {
                        epoch: field(0).parse().ok(),
                        syslog: field(1),
                    }
                }
                "log" => {
                    log.source = Some(field(0));
                    let text = record.span.as_deref().unwrap_or_default();
                    log.text = String::from_utf8_lossy(text).into_owned();
                }
                _ => {}
            }
        }
        Ok(log)
    }

    /// Says what the log knows. `server` is the inventory name of the node whose log it is.
    #[must_use]
    pub fn explain(&self, server: &str, question: &Question<'_>) -> Answer {
        if self.source.is_none() {
            return Answer::default();
        }
        let window = i64::try_from(question.window.as_secs()).unwrap_or(i64::MAX);
        let recent = |line: &LogLine<'_>| {
            line.age
                .is_none_or(|age| (-AHEAD..=window.saturating_add(SLACK)).contains(&age))
        };
        let mut lines: Vec<_> = self
            .text
            .lines()
            .filter_map(|line| LogLine::read(line, &self.now))
            .collect();
        let still = still_throttling(&lines).cloned();
        lines.retain(recent);
        let of_client = |line: &LogLine<'_>| {
            line.client()
                .is_none_or(|it| question.client.contains(&it) || !question.nodes.contains(&it))
        };
        let mut throttling: Vec<_> = lines
            .iter()
            .filter(|line| meaning(line.text) == Some(Meaning::Throttling) && of_client(line))
            .collect();
        if throttling.is_empty() {
            throttling.extend(&still);
        }
        let told = told(&lines, question);
        let shown: Vec<_> = match &told {
            Some((_, lines)) => lines.iter().map(|line| line.whole).collect(),
            None => throttling.iter().map(|line| line.whole).collect(),
        };
        let mut evidence: Vec<_> = shown
            .into_iter()
            .take(SHOWN)
            .map(|text| Evidence::Log {
                node: server.to_owned(),
                text: text.to_owned(),
            })
            .collect();
        let mut reason = told.map(|(reason, _)| reason);
        if reason == Some(Reason::PamRefused)
            && question.user != Some("root")
            && let Some(path) = self.nologin.first()
        {
            reason = Some(Reason::LoginsDisabled);
            evidence.push(Evidence::FileLine {
                node: server.to_owned(),
                path: path.clone(),
                line: None,
                note: "exists: only root may log in".to_owned(),
            });
        }
        Answer {
            reason,
            throttled: match throttling.is_empty() {
                false => Some(true),
                true => question.logs_drops.then_some(false),
            },
            evidence,
        }
    }
}

impl Answer {
    /// The outcome of a proof in the light of this answer: a connection that was dropped is broken when nothing tells of
    /// throttling, neither the log nor what the client was told.
    #[must_use]
    pub fn settle(&self, proof: &Proof) -> Proven {
        match (proof.outcome, self.throttled) {
            (Proven::Unknown(Why::Throttled), Some(false)) if !proof.throttled => {
                Proven::Breaks(self.reason.unwrap_or(Reason::ConnectionDropped))
            }
            (outcome, _) => outcome,
        }
    }
}

/// The line with which throttling began that has not ended since. sshd may drop connections for hours after it, and
/// says so again only after five minutes without one.
fn still_throttling<'l, 't>(lines: &'l [LogLine<'t>]) -> Option<&'l LogLine<'t>> {
    let throttles = |line: &LogLine<'_>| line.text.contains("MaxStartups throttling");
    let starts = |line: &LogLine<'_>| line.text.starts_with("Server listening on ");
    let last = lines.iter().rev().find(|it| throttles(it) || starts(it))?;
    (throttles(last) && !last.text.starts_with("exited ")).then_some(last)
}

/// A refused connection that may be the one in question: the more telling ones are greater.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// Whether sshd writes more than that the client has gone.
    tells: bool,
    /// Whether its lines name the client's address; otherwise only the account is known to be the one.
    by_address: bool,
    /// Whether it says why, and does not only suggest it.
    says: bool,
    /// Where its last line stands in the log.
    last: usize,
    /// Why, where it tells.
    reason: Option<Reason>,
    /// Where its lines stand.
    lines: Vec<usize>,
}

/// The reason, and the lines of the connection that it is from.
fn told<'l, 't>(
    lines: &'l [LogLine<'t>],
    question: &Question<'_>,
) -> Option<(Reason, Vec<&'l LogLine<'t>>)> {
    let mut connections: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, line) in lines.iter().enumerate() {
        if let Some(pid) = line.pid
            && meaning(line.text) != Some(Meaning::Throttling)
        {
            connections.entry(pid).or_default().push(place);
        }
    }
    let candidates: Vec<_> = connections
        .into_values()
        .filter_map(|places| Candidate::new(lines, places, question))
        .collect();
    let best = if let Some(predicted) = question.predicted {
        let as_predicted = candidates.iter().filter(|it| it.reason == Some(predicted));
        let is_silent = |it: &Candidate| it.reason.is_none();
        // What the files say is no line's to contradict if it is nothing that sshd writes down, and a connection was
        // refused in silence.
        let is_other_legs = !is_said(predicted) && candidates.iter().any(is_silent);
        let any = candidates.iter().filter(|_| !is_other_legs);
        as_predicted.max().or_else(|| any.max())?
    } else {
        candidates.iter().max()?
    };
    let lines = best.lines.iter().map(|&place| &lines[place]).collect();
    Some((best.reason?, lines))
}

impl Candidate {
    fn new(all: &[LogLine<'_>], lines: Vec<usize>, question: &Question<'_>) -> Option<Self> {
        let each = || lines.iter().map(|&place| &all[place]);
        // Every address counts: a pid may have been used again.
        let mut clients = each().filter_map(LogLine::client).peekable();
        let by_address = clients.peek().is_some();
        if !clients.all(|it| question.client.contains(&it)) {
            return None;
        }
        // A client that was refused before it named an account may be any.
        let is_account = |user: &str| {
            each().any(|line| line.names(user))
                || (by_address && !each().any(LogLine::names_somebody))
        };
        if !question.user.map_or(by_address, is_account) || !(by_address || question.key_taken) {
            return None;
        }
        let find = |wanted: fn(Meaning) -> Option<Reason>| {
            each().find_map(|line| wanted(meaning(line.text)?))
        };
        let said = find(|it| match it {
            Meaning::Says(reason) => Some(reason),
            _ => None,
        });
        let suggested = find(|it| match it {
            Meaning::Suggests(reason) => Some(reason),
            _ => None,
        });
        let reason = said.or(suggested);
        if reason.is_none() && !each().any(LogLine::is_left_unsaid) {
            return None;
        }
        Some(Self {
            tells: reason.is_some(),
            by_address,
            says: said.is_some(),
            last: *lines.last()?,
            reason,
            lines,
        })
    }
}
